"""Errors of the code, and what the model reads about them."""

from tests.executor_checks.common import Make, fails


def check_traceback_text(make: Make) -> None:
    executor = make()
    code = "data = {'region': 1}\nx = 1\ndata[\"Region\"]"
    assert fails(executor, code) == "line 3: data[\"Region\"]\nKeyError: 'Region'"
    code = "def inner(n):\n    return 1 / n\n\ndef outer():\n    inner(0)\n\nouter()"
    assert fails(executor, code) == (
        "line 7: outer()\nline 5: inner(0)\nline 2: return 1 / n\n"
        "ZeroDivisionError: division by zero"
    )
    assert fails(executor, "x = 1\ninner(0)") == (
        "line 2: inner(0)\nstep 2, line 2: return 1 / n\nZeroDivisionError: division by zero"
    )
    assert fails(executor, "assert x == 2") == "line 1: assert x == 2\nAssertionError"


def check_traceback_leaves_libraries_out(make: Make) -> None:
    executor = make()
    text = fails(executor, "import json\n\njson.loads('{')")
    assert text == (
        "line 3: json.loads('{')\nJSONDecodeError: Expecting property name enclosed in double "
        "quotes: line 1 column 2 (char 1)"
    )
    assert fails(executor, "import no_such_module_x") == (
        "line 1: import no_such_module_x\nModuleNotFoundError: No module named 'no_such_module_x'. "
        "It isn't installed. Here are: numpy, pandas, matplotlib, scipy, sympy, sklearn, networkx, "
        "openpyxl, PIL and the standard library."
    )


def check_syntax_errors(make: Make) -> None:
    executor = make()
    assert fails(executor, "x = 1\nprint('x'\n") == (
        "line 2: print('x'\nSyntaxError: '(' was never closed"
    )
    assert fails(executor, "if True:\nprint(1)").startswith("line 2: print(1)\nIndentationError: ")
    assert fails(executor, "x = 1\nreturn x") == (
        "line 2: return x\nSyntaxError: 'return' outside function"
    )
    assert "null bytes" in fails(executor, "x = '\0'")


def check_near_names(make: Make) -> None:
    executor = make()
    executor("frame = 1")
    assert fails(executor, "frme").endswith(
        "NameError: name 'frme' is not defined. Did you mean: 'frame'?"
    )
    assert fails(executor, "np.zeros(3)").endswith(
        "NameError: name 'np' is not defined. Did you forget 'import numpy as np'?"
    )
    assert fails(executor, "'x'.uper()").endswith(
        "AttributeError: 'str' object has no attribute 'uper'. Did you mean: 'upper'?"
    )
    assert fails(executor, "qqqqq").endswith("NameError: name 'qqqqq' is not defined")


def check_long_errors_are_cut(make: Make) -> None:
    executor = make()
    text = fails(executor, "raise ValueError('x' * 10_000)")
    assert len(text) < 600 and text.endswith("…")
    text = fails(executor, "def f(n):\n    return f(n + 1)\nf(0)")
    assert "line 2: return f(n + 1)\n… the same line " in text and text.count("\n") == 3
    assert "RecursionError: maximum recursion depth" in text
    text = fails(executor, "def a(n):\n    return b(n)\ndef b(n):\n    return a(n)\na(0)")
    assert "more calls …" in text and text.count("\n") == 7
    text = fails(executor, "[1 / n for n in (1, 0)]")
    assert text == "line 1: [1 / n for n in (1, 0)]\nZeroDivisionError: division by zero"


def check_hostile_exceptions(make: Make) -> None:
    executor = make()
    code = "class E(Exception):\n    def __str__(self):\n        1/0\nraise E"
    assert "E: (its text failed with ZeroDivisionError)" in fails(executor, code)
    code = "class F(BaseException):\n    pass\nraise F('out')"
    assert fails(executor, code).endswith("F: out")
    assert "KeyboardInterrupt" in fails(executor, "raise KeyboardInterrupt")
    assert executor("1").output == 1


def check_warnings(make: Make) -> None:
    executor = make()
    code = (
        "import warnings\nfor _ in range(3):\n    warnings.warn('old way')\n"
        "warnings.warn('soon gone', FutureWarning)"
    )
    assert executor(code).logs == "UserWarning: old way\nFutureWarning: soon gone\n"
    assert executor("x = 1\n" + code).logs == ""


def check_exit_and_input(make: Make) -> None:
    executor = make()
    executor("x = 5")
    assert "SystemExit: the code called exit()" in fails(executor, "import sys\nsys.exit(3)")
    assert "SystemExit: the code called exit()" in fails(executor, "exit()")
    assert "input() can't be used" in fails(executor, "input('Name? ')")
    assert executor("x").output == 5


def check_failing_thread(make: Make) -> None:
    executor = make()
    code = (
        "import threading\ndef work():\n    return 1 / 0\n"
        "t = threading.Thread(target=work, name='worker')\nt.start()\nt.join()"
    )
    assert executor(code).logs == (
        "In worker:\nline 3: return 1 / 0\nZeroDivisionError: division by zero\n"
    )
