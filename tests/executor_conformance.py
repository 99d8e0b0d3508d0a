"""What every executor has to do, as plain checks: `check_…(make)` for any level of confinement.

`make(**options)` gives a new executor with its own empty workspace (`executor.workspace`), the
options being those of `SandboxExecutor`; whoever calls the checks cleans up after them.
`CHECKS` lists them all.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from smolagents import Tool

from errors import Cancelled, CodeError

Make = Callable[..., Any]


class Echo(Tool):
    name = "web_search"
    description = "Gives back what it was asked."
    inputs = {
        "query": {"type": "string", "description": "what to look for"},
        "max_results": {"type": "integer", "description": "how many", "nullable": True},
    }
    output_type = "string"

    def forward(self, query: str, max_results: int | None = 5) -> str:
        return f"{query}/{max_results}"


class Slow(Tool):
    name = "slow"
    description = "Waits, and says which threads ran beside it."
    inputs = {"seconds": {"type": "number", "description": "how long"}}
    output_type = "number"

    def forward(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


class Same(Tool):
    name = "same"
    description = "Gives its argument back."
    inputs = {"value": {"type": "any", "description": "anything"}}
    output_type = "any"

    def forward(self, value: Any) -> Any:
        return value


class Failing(Tool):
    name = "failing"
    description = "Fails with the exception that is named."
    inputs = {"kind": {"type": "string", "description": "which"}}
    output_type = "string"

    def forward(self, kind: str) -> str:
        class OwnError(Exception):
            pass

        errors: dict[str, Exception] = {
            "file": FileNotFoundError("There is no file sales.csv."),
            "value": ValueError("a bad value"),
            "key": KeyError("Region"),
            "own": OwnError("the server said no"),
        }
        raise errors[kind]


TOOLS = {tool.name: tool for tool in (Echo(), Slow(), Same(), Failing())}


def with_tools(make: Make, **options: Any) -> Any:
    executor = make(**options)
    executor.send_variables({})
    executor.send_tools(TOOLS)
    return executor


def fails(executor: Any, code: str, kind: str = "error") -> str:
    """The text of the CodeError that the code has to end in."""
    with pytest.raises(CodeError) as caught:
        executor(code)
    assert caught.value.kind == kind, str(caught.value)
    return str(caught.value)


# State, values, output


def check_state_is_kept(make: Make) -> None:
    executor = make()
    executor("import math\nclass A:\n    x = 1\ndef double(n):\n    return 2 * n\nkept = [1]")
    executor("kept.append(double(A.x))")
    assert executor("kept + [math.gcd(4, 6)]").output == [1, 2, 2]


def check_variables_are_sent(make: Make) -> None:
    executor = make()
    executor.send_variables({"limit": 3, "names": ("a", "b")})
    assert executor("names * limit").output == ("a", "b") * 3


def check_value_of_last_expression(make: Make) -> None:
    executor = make()
    assert executor("x = 2\nx + 1").output == 3
    assert executor("x = 2").output is None
    assert executor("for i in range(3):\n    i").output is None
    assert executor("# nothing").output is None
    assert executor("").output is None
    result = executor("'text'")
    assert (result.output, result.logs, result.is_final_answer) == ("text", "", False)


def check_top_level_await(make: Make) -> None:
    executor = make()
    executor("import asyncio\nasync def f():\n    await asyncio.sleep(0.001)\n    return 7")
    executor("x = await f()")
    assert executor("x + await f()").output == 14
    assert executor("asyncio.run(f())").output == 7


def check_ordinary_python(make: Make) -> None:
    executor = make()
    code = (
        "from dataclasses import dataclass\n"
        "@dataclass\nclass P:\n    x: int\n    y: int = 2\n"
        "def g():\n    total = 0\n    def add(n):\n        nonlocal total\n        total += n\n"
        "        return total\n    yield from (add(i) for i in range(3))\n"
        "match P(1):\n    case P(x=a, y=b):\n        pair = (a, b)\n"
        "counter = 0\ndef bump():\n    global counter\n    counter += 1\n"
        "bump()\n"
        "if (n := len([*g()])) == 3:\n    pair += (n, counter)\n"
        "assert __name__ == '__main__'\n"
        "(*pair, [*g()])"
    )
    assert executor(code).output == (1, 2, 3, 1, [0, 1, 3])


def check_order_of_prints(make: Make) -> None:
    executor = make()
    code = (
        "import sys, logging, warnings\n"
        "print('one')\nprint('two', file=sys.stderr)\nprint('three', end='')\n"
        "sys.stderr.write(' four\\n')\nprint('five')"
    )
    assert executor(code).logs == "one\ntwo\nthree four\nfive\n"
    assert executor.state["_print_outputs"] == "one\ntwo\nthree four\nfive\n"


def check_output_streams(make: Make) -> None:
    seen: list[tuple[float, str]] = []
    executor = make(on_output=lambda text: seen.append((time.monotonic(), text)))
    executor("1")
    executor("import time\nprint('first')\ntime.sleep(0.4)\nprint('second')")
    assert [text for _, text in seen] == ["first\n", "second\n"]
    assert seen[1][0] - seen[0][0] > 0.3


def check_output_is_kept_with_an_error(make: Make) -> None:
    executor = make()
    assert "ZeroDivisionError" in fails(executor, "print('so far')\n1/0")
    assert executor.state["_print_outputs"] == "so far\n"
    executor("1")
    assert executor.state["_print_outputs"] == ""


def check_control_characters_are_stripped(make: Make) -> None:
    executor = make()
    code = (
        "print('\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07x\\x00\\x08y \\u202eturned')\n"
        "print('a\\rb\\r\\nc\\td')\nimport sys\nsys.stdout.write('\\x1b[3'); sys.stdout.flush()\n"
        "print('1mz')"
    )
    assert executor(code).logs == "red xy turned\na\nb\nc\td\nz\n"


def check_flood_is_bounded(make: Make) -> None:
    seen: list[str] = []
    executor = make(output_chars=1000, on_output=seen.append)
    logs = executor("for i in range(200_000):\n    print('line', i)").logs
    assert logs.startswith("line 0\nline 1\n")
    assert logs.endswith("line 199998\nline 199999\n")
    assert len(logs) < 1100
    assert "\n[… 2,287,890 characters left out …]\n" in logs
    assert "".join(seen) == logs


def check_flood_of_one_text(make: Make) -> None:
    executor = make(output_chars=1000)
    logs = executor("print('a' * 30_000_000 + 'z')").logs
    assert logs.startswith("aaa") and logs.endswith("az\n") and len(logs) < 1100


def check_flood_past_print(make: Make) -> None:
    executor = make(output_chars=1000)
    logs = executor("import os\nfor _ in range(200):\n    os.write(1, b'x' * 100_000)\n'done'").logs
    assert len(logs) < 1100 and "characters left out" in logs
    text = fails(executor, "while True:\n    os.write(2, b'x' * 1_000_000)", "limit")
    assert "64 MB" in text and "Variables are gone" in text
    assert executor("1").output == 1


def check_output_of_other_programs(make: Make) -> None:
    executor = make()
    code = "import os\nos.write(1, 'häl'.encode())\nos.write(2, b'lo\\n\\xff')"
    assert executor(code).logs == "hällo\n\ufffd"


def check_output_between_steps_is_dropped(make: Make) -> None:
    executor = make()
    code = (
        "import threading, time, os\n"
        "def late():\n    time.sleep(0.2)\n    print('late')\n    os.write(1, b'late')\n"
        "threading.Thread(target=late).start()"
    )
    assert executor(code).logs == ""
    time.sleep(0.4)
    assert executor("print('next')").logs == "next\n"


def check_unicode(make: Make) -> None:
    executor = make()
    code = "s = 'naïve 漢字 🙂'\nprint(s)\nprint('lone \\ud800 surrogate')\ns"
    result = executor(code)
    assert result.logs == "naïve 漢字 🙂\nlone \ufffd surrogate\n"
    assert result.output == "naïve 漢字 🙂"
    assert executor("'\\ud83d\\ude42 \\udc00'").output == "🙂 \ufffd"
    assert executor("'lone \ud800 in the code'").output.startswith("lone ")


def check_values_are_plain(make: Make) -> None:
    executor = make()
    assert executor("[1, 2.5, None, True, 'x', b'y', (1, {2}), {3: {'k': 4}}]").output == [
        1, 2.5, None, True, "x", b"y", (1, {2}), {3: {"k": 4}}
    ]  # fmt: skip
    assert executor("2 ** 200").output == 2**200
    digits = executor("3 ** 20000").output  # more digits than the app could print as a number
    assert type(digits) is str and len(digits) == 9543
    assert executor("from collections import Counter, namedtuple\nCounter('aab')").output == {
        "a": 2, "b": 1
    }  # fmt: skip
    assert executor("namedtuple('P', 'x y')(1, 2)").output == (1, 2)
    assert executor("class Odd:\n    pass\nOdd()").output.startswith("<__main__.Odd object")
    assert executor("a = []\na.append(a)\na").output == "[[...]]"
    assert executor("{}.keys()").output == []


def check_hostile_repr(make: Make) -> None:
    executor = make()
    assert (
        "ValueError"
        in executor("class R:\n    def __repr__(self):\n        raise ValueError('no')\nR()").output
    )
    assert (
        len(executor("class L:\n    def __repr__(self):\n        return 'x'*10**7\nL()").output)
        < 5000
    )
    assert len(str(executor("list(range(10**6))").output)) < 10_000_000
    assert executor("'still there'").output == "still there"


def check_libraries_values(make: Make) -> None:
    executor = make()
    executor("import numpy as np, pandas as pd, sympy as sp")
    assert executor("np.float64(1.5), np.int64(3), np.bool_(True)").output == (1.5, 3, True)
    assert executor("np.arange(6).reshape(2, 3)").output == [[0, 1, 2], [3, 4, 5]]
    assert "shape (2000,)" in executor("np.zeros(2000)").output
    assert executor("np.datetime64('2024-01-02T03:04:05', 'ns')").output.startswith("2024-01-02")
    assert executor("pd.Series([1, 2])").output == [1, 2]
    assert executor("pd.Series({'a': 1.5, 'b': 2})").output == {"a": 1.5, "b": 2.0}
    table = executor("pd.DataFrame({'n': range(30), 'name': 'x'})").output
    assert "30 rows" in table and table.count("\n") == 11
    assert executor("sp.Integer(4), sp.Rational(1, 2), sp.sqrt(2)").output == (4, 0.5, "sqrt(2)")
    x = executor("x = sp.symbols('x')\n[sp.solve(x**2 - 4, x), sp.true, x + 1, sp.oo]").output
    assert x == [[-2, 2], True, "x + 1", "oo"]


# Errors


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
        "line 1: import no_such_module_x\nModuleNotFoundError: No module named 'no_such_module_x'"
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
    assert "more calls" in text and "RecursionError: maximum recursion depth" in text
    assert text.count("\n") < 10


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
    assert executor(code).logs == ""


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


# Tools


def check_tool_call(make: Make) -> None:
    records: list[dict[str, Any]] = []
    executor = with_tools(make, on_tool_call=records.append)
    assert executor("web_search('cats') + web_search(query='x', max_results=2)").output == (
        "cats/5x/2"
    )
    assert executor("web_search('y', max_results=None)").output == "y/5"
    assert records[0] == {
        "phase": "start", "call": 1, "tool": "web_search", "arguments": {"query": "cats"}
    }  # fmt: skip
    end = records[1]
    assert end.pop("seconds") >= 0
    assert end == {"phase": "end", "call": 1, "tool": "web_search", "ok": True, "result": "cats/5"}


def check_plain_data_round_trip(make: Make) -> None:
    executor = with_tools(make)
    code = (
        "import datetime as d, decimal, math\n"
        "values = [None, True, 0, -5, 2**64, -(2**300), 1.5, math.inf, 'ü', b'\\x00\\xff', [1], "
        "(1,), "
        "{1: 'a', 'b': 2, (1, 2): 3}, {1, 2}, frozenset([3]), d.date(2024, 1, 2), "
        "d.datetime(2024, 1, 2, 3, tzinfo=d.timezone.utc), d.time(1, 2), d.timedelta(1, 2, 3), "
        "decimal.Decimal('1.10'), 1 + 2j, {}, [], '', {'a': {'b': [()]}}]\n"
        "[v for v in values if same(v) != v or type(same(v)) is not type(v)]"
    )
    assert executor(code).output == []
    assert executor("math.isnan(same(math.nan))").output is True
    assert executor("import pathlib\nsame(pathlib.Path('a/b'))").output == "a/b"
    executor("import numpy as np, pandas as pd")
    assert executor("same([np.int64(1), np.array([1.5])])").output == [1, [1.5]]
    text = fails(executor, "same(open)")
    assert text.endswith(
        "TypeError: same: builtin_function_or_method is not plain data; pass text, numbers, "
        "lists or dictionaries"
    )
    assert "too large" in fails(executor, "same('x' * 20_000_000)")
    assert executor("len(same('x' * 10_000_000))").output == 10_000_000


def check_bad_arguments(make: Make) -> None:
    executor = with_tools(make)
    signature = "TypeError: web_search(query, max_results=5): "
    for call, text in {
        "web_search(q='x')": "unknown argument 'q'",
        "web_search()": "missing argument 'query'",
        "web_search('a', 2, 3)": "takes 2 arguments, 3 given",
        "web_search('a', query='b')": "argument 'query' given twice",
        "web_search(['a'])": "'query' must be text, not list",
        "web_search('a', max_results='many')": "'max_results' must be a whole number, not str",
    }.items():
        assert fails(executor, call) == f"line 1: {call}\n{signature}{text}"
    assert executor("web_search('a', 3.0)").output == "a/3"
    caught = "try:\n    web_search(q=1)\nexcept TypeError as error:\n    print('caught')"
    assert executor(caught).logs == "caught\n"


def check_tool_errors(make: Make) -> None:
    executor = with_tools(make)
    assert fails(executor, "failing('file')").endswith(
        "\nFileNotFoundError: There is no file sales.csv."
    )
    assert fails(executor, "failing('value')").endswith("\nValueError: a bad value")
    assert fails(executor, "failing('key')").endswith("\nKeyError: 'Region'")
    assert fails(executor, "failing('own')").endswith(
        "\nRuntimeError: failing failed: the server said no"
    )
    assert executor("try:\n    failing('own')\nexcept RuntimeError:\n    x = 1\nx").output == 1


def check_parallel_calls(make: Make) -> None:
    executor = with_tools(make)
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    done = list(pool.map(slow, [0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.3, 0.3]))\ndone"
    )
    executor("1")
    began = time.monotonic()
    assert executor(code).output == [0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.3, 0.3]
    assert time.monotonic() - began < 1.0


def check_call_after_the_step(make: Make) -> None:
    records: list[dict[str, Any]] = []
    executor = with_tools(make, on_tool_call=records.append)
    code = (
        "import threading, time\nfound = []\n"
        "def late():\n    time.sleep(0.2)\n    try:\n        web_search('x')\n"
        "    except Exception as error:\n        found.append(str(error))\n"
        "threading.Thread(target=late).start()"
    )
    executor(code)
    time.sleep(0.5)
    assert executor("found").output == ["web_search was called after its step had ended"]
    assert records == []


def check_call_that_the_step_leaves_behind(make: Make) -> None:
    executor = with_tools(make)
    code = (
        "import threading\nfound = []\n"
        "def work():\n    try:\n        slow(5)\n    except Exception as error:\n"
        "        found.append(str(error))\n"
        "t = threading.Thread(target=work)\nt.start()\nimport time; time.sleep(0.1)"
    )
    began = time.monotonic()
    executor(code)
    assert executor("t.join(1)\nfound").output == ["the step ended before the tool answered"]
    assert time.monotonic() - began < 2


def check_number_of_calls(make: Make) -> None:
    executor = with_tools(make)
    text = fails(executor, "for i in range(500):\n    web_search(str(i))\n")
    assert "at most 200 tool calls in one step" in text
    assert executor("i").output == 200
    assert executor("web_search('again')").output == "again/5"


def check_time_of_tools_does_not_count(make: Make) -> None:
    executor = with_tools(make, timeout_seconds=1)
    assert executor("slow(0.8) + slow(0.8)").output == 1.6


def check_tools_are_restored(make: Make) -> None:
    executor = with_tools(make)
    executor("web_search = 5\nfinal_answer = None\ndel slow")
    assert executor("web_search('x')").output == "x/5"
    assert executor("final_answer(1)").is_final_answer
    executor.send_tools({"same": TOOLS["same"]})
    assert "NameError" in fails(executor, "web_search('x')")
    assert executor("same(3)").output == 3


# final_answer


def check_final_answer(make: Make) -> None:
    executor = with_tools(make)
    result = executor("print('p')\nfinal_answer(6 * 7)\nprint('never')")
    assert (result.output, result.logs, result.is_final_answer) == (42, "p\n", True)
    assert executor("final_answer(answer={'a': [1]})").output == {"a": [1]}
    assert not executor("42").is_final_answer
    assert "takes one answer, 0 given" in fails(executor, "final_answer()")
    assert executor("final_answer(None)").is_final_answer


def check_final_answer_survives_except(make: Make) -> None:
    executor = with_tools(make)
    for clause in ("except Exception:", "except:", "except BaseException as e:"):
        code = f"try:\n    final_answer('first')\n{clause}\n    final_answer('second')\n1 / 0"
        result = executor(code)
        assert (result.output, result.is_final_answer) == ("first", True)
    result = executor("def f():\n    try:\n        final_answer(1)\n    finally:\n        1/0\nf()")
    assert (result.output, result.is_final_answer) == (1, True)


def check_final_answer_survives_a_loop(make: Make) -> None:
    executor = with_tools(make, timeout_seconds=0.5)
    result = executor(
        "while True:\n    try:\n        final_answer('it')\n    except:\n        pass"
    )
    assert (result.output, result.is_final_answer) == ("it", True)


def check_final_answer_from_a_thread(make: Make) -> None:
    executor = with_tools(make)
    code = (
        "import threading\nt = threading.Thread(target=final_answer, args=('t',))\n"
        "t.start()\nt.join()\n5"
    )
    result = executor(code)
    assert (result.output, result.logs, result.is_final_answer) == ("t", "", True)


def check_final_answer_is_not_forged(make: Make) -> None:
    executor = with_tools(make)
    code = "class FinalAnswer(BaseException):\n    pass\nraise FinalAnswer(1)"
    assert "FinalAnswer: 1" in fails(executor, code)
    code = "class FinalAnswerException(Exception):\n    value = 1\nraise FinalAnswerException"
    assert "FinalAnswerException" in fails(executor, code)
    executor("try:\n    final_answer(1)\nexcept BaseException as error:\n    kept = type(error)")
    assert "FinalAnswer" in fails(executor, "raise kept")


def check_large_final_answer(make: Make) -> None:
    executor = with_tools(make)
    text = fails(executor, "final_answer('x' * 50_000_000)")
    assert "ValueError: final_answer: a value of 50,000,005 bytes" in text
    assert len(executor("final_answer('x' * 5_000_000)").output) == 5_000_000


# Limits, and what survives them


def check_timeout_keeps_variables(make: Make) -> None:
    executor = make(timeout_seconds=0.5)
    executor("x = 1")
    for code in (
        "while True:\n    x += 1",
        "import time\ntime.sleep(100)",
        "import threading\nthreading.Event().wait()",
        "import re\nre.match('(a+)+b', 'a' * 40)",
    ):
        began = time.monotonic()
        text = fails(executor, code, "timeout")
        assert time.monotonic() - began < 1.5
        assert text.startswith("The code ran longer than 0.5 s and was stopped at line ")
        assert text.endswith("Variables were kept.")
    assert executor("x").output > 1


def check_timeout_names_the_line(make: Make) -> None:
    executor = make(timeout_seconds=0.5)
    assert "at line 2: time.sleep(9). " in fails(executor, "import time\ntime.sleep(9)", "timeout")


def check_timeout_kills(make: Make) -> None:
    executor = with_tools(make, timeout_seconds=0.5)
    executor("x = 1\nopen('kept.txt', 'w').write('file')")
    began = time.monotonic()
    text = fails(executor, "sum(range(10**13))", "timeout")
    assert 2.4 < time.monotonic() - began < 4
    assert text == (
        "The code ran longer than 0.5 s and had to be killed. Variables are gone, files in the "
        "workspace are kept."
    )
    assert "NameError" in fails(executor, "x")
    assert executor("open('kept.txt').read() + web_search('q')").output == "fileq/5"


def check_timeout_swallowed(make: Make) -> None:
    executor = make(timeout_seconds=0.5)
    code = (
        "import time\nwhile True:\n    try:\n        time.sleep(0.01)\n"
        "    except BaseException:\n        pass"
    )
    assert "had to be killed" in fails(executor, code, "timeout")
    assert executor("1").output == 1


def check_worker_death(make: Make) -> None:
    executor = make()
    text = fails(executor, "print('before')\nimport os\nos._exit(3)", "limit")
    assert text == (
        "The Python process ended itself (exit code 3) and was restarted. Variables are gone, "
        "files in the workspace are kept."
    )
    assert executor.state["_print_outputs"] == "before\n"
    assert "crashed (Segmentation fault)" in fails(
        executor, "import ctypes\nctypes.string_at(0)", "limit"
    )
    assert "crashed (Aborted)" in fails(executor, "import os\nos.abort()", "limit")
    assert "was killed" in fails(executor, "import os\nos.kill(os.getpid(), 9)", "limit")
    assert executor("1").output == 1


def check_death_between_steps(make: Make) -> None:
    executor = make()
    code = (
        "import threading, time, os\n"
        "def end():\n    time.sleep(0.2)\n    os._exit(1)\nthreading.Thread(target=end).start()"
    )
    executor(code)
    time.sleep(0.6)
    text = fails(executor, "ran = True", "limit")
    assert "this code was not run" in text
    assert "NameError" in fails(executor, "ran")


def check_memory(make: Make) -> None:
    executor = make(memory_bytes=1024**3)
    executor("x = 1")
    text = fails(executor, "big = bytearray(4 * 1024**3)")
    assert text == (
        "line 1: big = bytearray(4 * 1024**3)\n"
        "MemoryError: the code needed more memory than the sandbox has"
    )
    text = fails(executor, "parts = []\nwhile True:\n    parts.append(bytearray(10**7))")
    assert "MemoryError" in text
    assert executor("x, len(parts) > 30").output == (1, True)
    executor("del parts")
    assert len(executor("list(range(1000))").output) == 1000


def check_broken_channel(make: Make) -> None:
    executor = make()
    write = "import os\nfor fd in range(3, 30):\n    try:\n        os.write(fd, DATA)\n    except OSError:\n        pass\n"  # noqa: E501
    for data in (
        "b'\\xff\\xff\\xff\\xff'",
        "b'\\x00\\x00\\x00\\x01\\xc1'",
        "b'\\x00\\x00\\x00\\x02\\x91\\x01'",
    ):
        text = fails(executor, write.replace("DATA", data) + "import time\ntime.sleep(5)", "limit")
        assert "broke its channel" in text
    text = fails(executor, "import os, time\nos.closerange(3, 30)\ntime.sleep(5)", "limit")
    assert "Variables are gone" in text
    assert executor("1").output == 1


def check_no_leftover_frames(make: Make) -> None:
    executor = make()
    code = (
        "import os, threading, time\n"
        "def late():\n    time.sleep(0.2)\n    for fd in range(3, 30):\n        try:\n"
        "            os.write(fd, b'\\x00\\x00\\x00\\x07\\x92\\xa5ready\\x01')\n"
        "        except OSError:\n"
        "            pass\nthreading.Thread(target=late).start()"
    )
    executor(code)
    time.sleep(0.5)
    assert "this code was not run" in fails(executor, "1", "limit")


# Interrupts


def _interrupted(executor: Any, code: str, after: float = 0.4) -> float:
    """Run the code, interrupt it, and give the seconds it took to raise Cancelled."""
    at: list[float] = []

    def stop() -> None:
        at.append(time.monotonic())
        executor.interrupt()

    executor("x = 5")
    timer = threading.Timer(after, stop)
    timer.start()
    with pytest.raises(Cancelled):
        executor(code)
    seconds = time.monotonic() - at[0]
    timer.join()
    return seconds


def check_interrupt_keeps_variables(make: Make) -> None:
    executor = with_tools(make)
    for code in ("while True:\n    pass", "import time\ntime.sleep(50)", "slow(3)"):
        assert _interrupted(executor, code) < 1
        assert executor("x").output == 5


def check_interrupt_of_a_c_call(make: Make) -> None:
    executor = make()
    assert _interrupted(executor, "sum(range(10**13))") < 1
    assert "NameError" in fails(executor, "x")


def check_interrupt_of_a_stubborn_loop(make: Make) -> None:
    executor = make()
    code = "import time\nwhile True:\n    try:\n        time.sleep(0.1)\n    except:\n        pass"
    assert _interrupted(executor, code) < 1
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass"
    assert _interrupted(executor, code) < 1


def check_interrupt_without_a_step(make: Make) -> None:
    executor = make()
    assert executor.interrupt() is False
    assert executor("1").output == 1


# What one step breaks, the next one finds whole


def check_builtins_are_restored(make: Make) -> None:
    executor = with_tools(make)
    executor("import builtins\nbuiltins.len = None\nbuiltins.sum = lambda *a: 0\ndel builtins.max")
    assert executor("len([1, 2]), sum([1, 2]), max(1, 2)").output == (2, 3, 2)
    executor("builtins.isinstance = builtins.type = builtins.print = builtins.__import__ = None")
    assert executor("import json\njson.loads('[1]'), type(1) is int").output == ([1], True)


def check_replaced_modules(make: Make) -> None:
    executor = with_tools(make)
    executor(
        "import sys, os, json, struct\nsys.modules['json'] = 5\nstruct.Struct = struct.pack = None"
    )
    executor("os.write = os.read = None\nimport threading, queue\nthreading.get_ident = None")
    assert executor("print('x')\nweb_search('y')").output == "y/5"


def check_replaced_streams(make: Make) -> None:
    executor = make()
    executor("import sys, io\nsys.stdout = io.StringIO()\nsys.stderr = None\nprint('lost')")
    assert executor("print('seen')").logs == "seen\n"
    executor("sys.stdout.close()\nsys.stdout = None")
    assert executor("print('seen')").logs == "seen\n"
    code = "import contextlib\nwith contextlib.redirect_stdout(io.StringIO()) as s:\n    print('in')\ns.getvalue()"  # noqa: E501
    assert executor(code).output == "in\n"


def check_hooks_do_no_harm(make: Make) -> None:
    executor = make()
    executor(
        "import sys, threading\nsys.excepthook = threading.excepthook = sys.displayhook = None"
    )
    executor("def trace(*a):\n    raise OSError\nthreading.settrace(trace)")
    with pytest.raises(CodeError):
        executor("sys.settrace(trace)\nsys.setprofile(trace)\nlen([])")
    assert executor("def f():\n    return 2\nf()").output == 2


def check_workspace_hides_no_library(make: Make) -> None:
    executor = make()
    executor("open('json.py', 'w').write('x = 1')\nopen('numpy.py', 'w').write('x = 1')")
    executor("open('helper.py', 'w').write('def twice(n):\\n    return n * 2\\n')")
    assert executor("import json, helper\njson.dumps([helper.twice(2)])").output == "[4]"
    assert fails(executor, "helper.twice()").startswith("line 1: helper.twice()\nTypeError")
    executor("open('later.py', 'w').write('def boom():\\n    raise OSError(1)')")
    assert fails(executor, "import later\nlater.boom()") == (
        "line 2: later.boom()\nlater.py, line 2: raise OSError(1)\nOSError: 1"
    )


def check_no_secrets(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    executor = make()
    found = executor("import os\ndict(os.environ)").output
    assert "secret" not in str(found)
    assert found["MPLBACKEND"] == "Agg" and found["OPENBLAS_CORETYPE"] == "Haswell"
    inside = str(executor.workspace)
    assert all(found[name].startswith(inside) for name in ("HOME", "TMPDIR", "MPLCONFIGDIR"))
    assert executor("import tempfile\ntempfile.gettempdir()").output == found["TMPDIR"]


def check_descriptors(make: Make) -> None:
    executor = make()
    other = make()
    other("1")
    code = "import os\nfound = []\nfor fd in range(200):\n    try:\n        os.fstat(fd)\n        found.append(fd)\n    except OSError:\n        pass\nlen(found)"  # noqa: E501
    assert executor(code).output <= 5  # stdin, stdout, stderr and the two ends of the wire


# Files


def names(executor: Any) -> list[str]:
    return [str(path.relative_to(executor.workspace)) for path in executor.artefacts]


def check_artefacts(make: Make) -> None:
    executor = make()
    executor.workspace.mkdir(parents=True, exist_ok=True)
    (executor.workspace / "sales.csv").write_text("a,b\n1,2\n")
    executor("open('new.txt', 'w').write('x')\nimport os\nos.makedirs('sub/deep')\n"
             "open('sub/deep/b.txt', 'w').write('y')")  # fmt: skip
    assert sorted(names(executor)) == ["new.txt", "sub/deep/b.txt"]
    assert executor.artefacts[0].is_absolute()
    executor("1")
    assert names(executor) == []
    executor("f = open('sales.csv', 'a')\nf.write('3,4\\n')")
    assert names(executor) == ["sales.csv"]
    assert (executor.workspace / "sales.csv").read_text() == "a,b\n1,2\n3,4\n"
    with pytest.raises(CodeError):
        executor("open('half.txt', 'w').write('z')\n1/0")
    assert names(executor) == ["half.txt"]


def check_odd_artefacts(make: Make) -> None:
    executor = make()
    code = (
        "import os\nos.symlink('/etc/passwd', 'link')\nos.symlink('/etc', 'folder')\n"
        "os.mkfifo('pipe')\nopen(b'bad\\xff', 'w').close()\nopen('new\\nline', 'w').close()\n"
        "open(os.path.expanduser('~/cache'), 'w').close()\n"
        "os.mkdir('deep')\nos.chdir('deep')\n"
        "for i in range(600):\n    os.mkdir('d'); os.chdir('d')\n"
        "open('x', 'w').close()\nos.chdir(os.environ['HOME'] + '/../..')\nopen('fine', 'w').close()"
    )
    executor(code)
    assert names(executor) == ["fine"]


def check_figures(make: Make) -> None:
    executor = make()
    executor("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.figure()")
    assert names(executor) == ["figure-1.png", "figure-2.png"]
    assert (executor.workspace / "figure-1.png").read_bytes()[:4] == b"\x89PNG"
    assert executor.state["_print_outputs"] == ""
    executor("1")
    assert names(executor) == []
    executor("plt.plot([3, 1])\nplt.savefig('mine.png')")
    assert names(executor) == ["mine.png"]
    with pytest.raises(CodeError):
        executor("plt.plot([3, 1])\n1 / 0")
    assert names(executor) == []
    executor("plt.plot([3, 1])\nNone")
    assert names(executor) == ["figure-3.png"]


def check_two_sessions_are_apart(make: Make) -> None:
    one, two = make(), make()
    one("x = 1\nopen('one.txt', 'w').close()")
    assert "NameError" in fails(two, "x")
    assert one("import os\nos.getpid()").output != two("import os\nos.getpid()").output
    assert names(two) == []


CHECKS = [item for name, item in list(globals().items()) if name.startswith("check_")]
