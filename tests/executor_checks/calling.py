"""Tools and final_answer."""

import time
from typing import Any

from tests.executor_checks.common import TOOLS, Make, fails, with_tools


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
    assert end == {
        "phase": "end", "call": 1, "tool": "web_search", "ok": True, "result": "cats/5",
        "size": 6, "outcome": "ok"
    }  # fmt: skip


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
    assert time.monotonic() - began < 1.6  # one after the other they take 1.65 s


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
    time.sleep(1.2)
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
