"""The tier `restricted`: a part of Python, interpreted, without files, network or libraries."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.register_assert_rewrite("tests.executor_checks")
from errors import Cancelled, CodeError  # noqa: E402
from sandbox.executor import SandboxExecutor  # noqa: E402
from tests.confined import gone  # noqa: E402
from tests.executor_checks import calling, failing, limits, running  # noqa: E402
from tests.executor_checks.common import fails, with_tools  # noqa: E402

# Of the suite for executors, what needs nothing that this interpreter lacks.
CHECKS: list[Callable[..., None]] = [
    running.check_state_is_kept,
    running.check_variables_are_sent,
    running.check_value_of_last_expression,
    running.check_output_streams,
    running.check_output_is_kept_with_an_error,
    running.check_flood_is_bounded,
    running.check_flood_of_one_text,
    failing.check_long_errors_are_cut,
    failing.check_syntax_errors,
    calling.check_tool_call,
    calling.check_bad_arguments,
    calling.check_tool_errors,
    calling.check_number_of_calls,
    calling.check_time_of_tools_does_not_count,
    calling.check_final_answer,
    calling.check_final_answer_survives_except,
    calling.check_final_answer_survives_a_loop,
    calling.check_large_final_answer,
    limits.check_interrupt_keeps_variables,
    limits.check_interrupt_without_a_step,
]
HERE = "this machine offers only the restricted interpreter"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    made: list[SandboxExecutor] = []

    def build(**options: Any) -> SandboxExecutor:
        workspace = tmp_path / f"workspace-{len(made)}"
        executor = SandboxExecutor(workspace, confine="restricted", **options)
        made.append(executor)
        return executor

    yield build
    for executor in made:
        executor.cleanup()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conforms(check: Callable[..., None], make: Any) -> None:
    check(make)


def test_ordinary_logic_works(make: Any) -> None:
    executor = with_tools(make)
    code = """
import re, json, math, collections, itertools, datetime
from dataclasses import dataclass

@dataclass
class Sale:
    region: str
    amount: float

sales = [Sale(r, float(a)) for r, a in re.findall(r"(\\w+)=(\\d+)", "north=3 south=4 north=5")]
totals = collections.defaultdict(float)
for sale in sales:
    totals[sale.region] += sale.amount
match max(totals, key=lambda region: totals[region]):
    case "north" as best if (total := totals["north"]) > 7:
        answer = f"{best}: {total:.1f}"
json.dumps({"answer": answer, "root": round(math.sqrt(total), 3), **dict(totals)})
"""
    assert executor(code).output == (
        '{"answer": "north: 8.0", "root": 2.828, "north": 8.0, "south": 4.0}'
    )
    assert executor("import asyncio\nawait asyncio.sleep(0.01)\n[s.region for s in sales]").output
    values = "[None, True, 2**70, 1.5, 'ü', b'x', (1, [2]), {'a': {1}}, frozenset([3]), 1 + 2j]"
    assert executor(f"[v for v in {values} if same(v) != v]").output == []
    assert executor("same(sales[0])").output == {"region": "north", "amount": 3.0}
    assert executor("sales[:1]").output == [{"region": "north", "amount": 3.0}]
    assert executor("call = web_search\n[call(q) for q in ('a', 'b')]").output == ["a/5", "b/5"]


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("import pandas as pd", "ModuleNotFoundError", "pandas can't be used here: " + HERE),
        ("from numpy import array", "ModuleNotFoundError", "instead: lists, math and sum()"),
        ("import no_such", "ModuleNotFoundError", "what can be imported: asyncio, base64"),
        ("import web_search", "ModuleNotFoundError", "is already there: use it without importing"),
        ("pd.DataFrame()", "NameError", "pandas can't be used here"),
        ("open('a.csv')", "PermissionError", "files can't be used here: " + HERE),
        ("import os\nos.listdir('/')", "PermissionError", "read with the tools"),
        ("def f():\n    yield 1", "NotImplementedError", HERE + ", which doesn't know yield"),
        ("class A(Exception):\n    pass", "NotImplementedError", "doesn't know class inheritance"),
        ("x = 1\ndel x", "NotImplementedError", "write it without"),
        ("globals()", "NameError", HERE + ", which doesn't know it"),
        ("import json\njson.loads('{')", "JSONDecodeError", "line 1 column 2"),
        ("json.loads('{}')", "NameError", "Did you forget 'import json'?"),
        ("frme = 1\nframe", "NameError", "Did you mean: 'frme'?"),
        ("'x'.uper()", "AttributeError", "Did you mean: 'upper'?"),
        ("input('?')", "RuntimeError", "nobody can type here"),
        ("exit()", "SystemExit", "variables were kept"),
        ("same(same)", "", ""),
    ],
)
def test_what_is_missing_is_said(code: str, kind: str, said: str, make: Any) -> None:
    executor = with_tools(make)
    if not kind:
        executor(code)
        return
    text = fails(executor, code)
    assert f"{kind}: " in text and said in text
    assert "monty" not in text.lower()
    assert executor("1 + 1").output == 2


def test_errors_name_the_lines(make: Any) -> None:
    executor = make()
    code = "def inner(n):\n    return 1 / n\n\ndef outer():\n    inner(0)\n\nouter()"
    assert fails(executor, code) == (
        "line 7: outer()\nline 5: inner(0)\nline 2: return 1 / n\n"
        "ZeroDivisionError: division by zero"
    )
    assert fails(executor, "x = 1\ninner(0)") == (
        "line 2: inner(0)\nstep 1, line 2: return 1 / n\nZeroDivisionError: division by zero"
    )
    assert fails(executor, "d = {}\nd['Region']") == "line 2: d['Region']\nKeyError: 'Region'"


def test_a_step_out_of_time_is_undone(make: Any) -> None:
    executor = with_tools(make, timeout_seconds=0.5)
    executor.send_variables({"given": [1]})
    for code in ("while True:\n    pass", "import time\ntime.sleep(60)", "sum(range(10**13))"):
        began = time.monotonic()
        text = fails(executor, "given = 2\n" + code, "timeout")
        assert time.monotonic() - began < 5
        assert text == (
            "The code ran longer than 0.5 s and was stopped. "
            "Variables are as they were before this step."
        )
        assert executor("given").output == [1]
        executor("given = [1]\nkept = 5")
    assert executor("web_search('x') + str(kept)").output == "x/55"


def test_memory_is_bounded(make: Any) -> None:
    executor = make(memory_bytes=512 * 1024 * 1024)
    executor("x = 5")
    for code in ("'x' * 10**10", "a = []\nwhile True:\n    a.append('x' * 100_000)"):
        text = fails(executor, code)
        assert text.endswith(
            "MemoryError: the code needed more memory than the sandbox has. "
            "Variables are as they were before this step."
        )
        assert executor("x").output == 5
    assert "RecursionError" in fails(executor, "def f(n):\n    return f(n + 1)\nf(0)")
    assert "too deep" in fails(executor, "(" * 5000) or "SyntaxError" in fails(executor, "(" * 5000)
    assert executor("x").output == 5


def test_a_crash_of_the_interpreter_is_an_observation(make: Any) -> None:
    executor = make(timeout_seconds=20)
    executor("x = 5")
    child = psutil.Process(executor.pid).children()[0]
    threading.Timer(0.3, child.kill).start()
    text = fails(executor, "while True:\n    pass")
    assert text.endswith("crashed. Variables are as they were before this step.")
    assert executor("x").output == 5
    psutil.Process(executor.pid).children()[0].kill()  # between two steps
    text = fails(executor, "y = 1")
    assert "crashed" in text
    assert executor("x").output == 5


def test_a_stop_is_quick_and_keeps_the_state(make: Any) -> None:
    executor = with_tools(make)
    executor("x = 5")
    for code in ("while True:\n    pass", "slow(30)", "import time\ntime.sleep(30)"):
        stop = threading.Timer(0.3, executor.interrupt)
        stop.start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            executor(code)
        assert time.monotonic() - began < 3
        assert executor("x").output == 5


def test_nothing_outlives_it(make: Any) -> None:
    executor = make()
    executor("1")
    pids = [executor.pid, *(p.pid for p in psutil.Process(executor.pid).children(recursive=True))]
    assert len(pids) > 1
    executor.cleanup()
    assert gone(pids)


def test_it_ends_with_an_app_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys, threading
from sandbox.executor import SandboxExecutor
from pathlib import Path
executor = SandboxExecutor(Path({str(tmp_path / "w")!r}), confine="restricted")
executor("1")
print(executor.pid, flush=True)
executor("while True: pass")
"""
    root = str(Path(__file__).resolve().parent.parent)
    app = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=root)
    assert app.stdout is not None
    worker = int(app.stdout.readline())
    pids = [worker, *(p.pid for p in psutil.Process(worker).children(recursive=True))]
    time.sleep(0.3)
    os.kill(app.pid, signal.SIGKILL)
    app.wait()
    app.stdout.close()
    assert len(pids) > 1 and gone(pids)


def test_secrets_of_the_app_are_not_there(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    executor = make()
    executor("1")
    for process in psutil.Process(executor.pid).children(recursive=True):
        assert "hf_secret" not in str(process.environ())
    assert executor("import os\nos.getenv('HF_TOKEN')").output is None
    with pytest.raises(CodeError):
        executor("open('/proc/self/environ').read()")
