"""State, values and printed output."""

import time

from tests.executor_checks.common import Make, fails


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
    time.sleep(1)
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
    executor.send_tools({})
    table = executor("final_answer(pd.DataFrame({'n': range(30)}))").output
    assert table.endswith("\n29  29") and "rows" not in table
    assert executor("sp.Integer(4), sp.Rational(1, 2), sp.sqrt(2)").output == (4, 0.5, "sqrt(2)")
    x = executor("x = sp.symbols('x')\n[sp.solve(x**2 - 4, x), sp.true, x + 1, sp.oo]").output
    assert x == [[-2, 2], True, "x + 1", "oo"]
