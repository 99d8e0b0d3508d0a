"""Limits and interrupts, and what survives them."""

import threading
import time
from typing import Any

import pytest

from errors import Cancelled, CodeError
from sandbox.workspace import Quota
from tests.executor_checks.common import Make, fails, with_tools


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
        assert time.monotonic() - began < 4  # on a busy machine
        assert text.startswith("The code ran longer than 0.5 s and was stopped at line ")
        assert text.endswith("Variables were kept.")
    assert executor("x").output > 1


def check_timeout_names_the_line(make: Make) -> None:
    executor = make(timeout_seconds=0.5)
    assert "at line 2: time.sleep(9). " in fails(executor, "import time\ntime.sleep(9)", "timeout")


def check_timeout_of_an_await(make: Make) -> None:
    executor = make(timeout_seconds=0.5)
    text = fails(executor, "import asyncio\nawait asyncio.sleep(50)", "timeout")
    assert text.endswith("Variables were kept.")
    assert executor("await asyncio.sleep(0.01, 'x')").output == "x"


def check_timeout_in_an_import(make: Make) -> None:
    executor = make(timeout_seconds=0.5)
    executor("open('slow.py', 'w').write('import time; time.sleep(50)')")
    assert fails(executor, "import slow", "timeout") == (
        "The code ran longer than 0.5 s and was stopped at slow.py, line 1: "
        "import time; time.sleep(50). Variables were kept."
    )
    executor("import os\nhome = os.environ['HOME']\nos.rename('slow.py', home + '/library.py')")
    text = fails(executor, "import sys\nsys.path.append(home)\nimport library", "timeout")
    assert text.endswith("Variables are gone, files in the workspace are kept.")
    assert executor("1").output == 1


def check_interrupts_never_cut_a_message(make: Make) -> None:
    executor = make(timeout_seconds=0.2, output_chars=30_000_000)
    executor("kept = 0")
    code = "try:\n    while True:\n        print('x' * 200_000)\nfinally:\n    kept += 1"
    for _ in range(10):
        assert fails(executor, code, "timeout").endswith("Variables were kept.")
    assert executor("kept").output == 10


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
    time.sleep(1.2)
    text = fails(executor, "ran = True", "limit")
    assert "this code was not run" in text
    assert "NameError" in fails(executor, "ran")


def check_memory(make: Make) -> None:
    executor = make(memory_bytes=512 * 1024**2)
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
    # To the last byte: nothing is left over from one large piece that was refused.
    assert "MemoryError" in fails(executor, "chain = None\nwhile True:\n    chain = (chain, 1)")
    executor("del chain")
    assert executor("x, list(range(1000))[-1]").output == (1, 999)


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
    forged = (
        "import msgspec\nbody = msgspec.msgpack.encode(['done', '0' * 16, 'ok', '', False, None])\n"
        + write.replace("DATA", "len(body).to_bytes(4, 'big') + body")
    )
    assert "belongs to no step" in fails(executor, forged + "import time\ntime.sleep(5)", "limit")
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
    time.sleep(1.2)
    assert "this code was not run" in fails(executor, "1", "limit")


BUSY = 3  # seconds; on a quiet machine it is less than one


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
        assert _interrupted(executor, code) < BUSY
        assert executor("x").output == 5


def check_interrupt_of_a_c_call(make: Make) -> None:
    executor = make()
    assert _interrupted(executor, "sum(range(10**13))") < BUSY
    assert "NameError" in fails(executor, "x")


def check_interrupt_of_a_stubborn_loop(make: Make) -> None:
    executor = make()
    code = "import time\nwhile True:\n    try:\n        time.sleep(0.1)\n    except:\n        pass"
    assert _interrupted(executor, code) < BUSY
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass"
    assert _interrupted(executor, code) < BUSY


def check_interrupt_without_a_step(make: Make) -> None:
    executor = make()
    assert executor.interrupt() is False
    assert executor("1").output == 1


def check_threads_are_bounded(make: Make) -> None:
    executor = make()
    executor("kept = 1")
    code = (
        "import threading, time\nfor n in range(20_000):\n"
        "    threading.Thread(target=time.sleep, args=(2,)).start()"
    )
    text = fails(executor, code)
    assert "RuntimeError: can't start a thread: " in text and text.endswith(" are running already")
    assert executor("kept").output == 1
    code = (
        "import _thread, time\nfor n in range(20_000):\n"
        "    _thread.start_new_thread(time.sleep, (9,))"
    )
    before = threading.active_count()
    with pytest.raises(CodeError):  # refused by the system, or ended by the app
        executor(code + "\ntime.sleep(9)")
    pool = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(50)]
    for thread in pool:
        thread.start()  # the app can still do so itself
    for thread in pool:
        thread.join()
    assert threading.active_count() <= before
    assert executor("1").output == 1


def check_quota_of_the_workspace(make: Make) -> None:
    executor = make(quota=Quota(max_bytes=20_000_000, max_files=300))
    executor.workspace.mkdir(parents=True, exist_ok=True)
    (executor.workspace / "sales.csv").write_text("a,b\n")
    executor("kept = 1\nopen('mine.txt', 'w').close()")
    for code, limit in (
        ("n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'wb').write(bytes(10**6))", "20 MB"),
        ("n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'w').close()", "300 files and folders"),
    ):
        text = fails(executor, code, "limit")
        assert text.startswith(f"The code left more than {limit} in the workspace and was ")
        assert "What it wrote was removed." in text
        left = sorted(path.name for path in executor.workspace.iterdir())
        assert left == [".sandbox", "mine.txt", "sales.csv"]
    assert executor("open('sales.csv').read()").output == "a,b\n"


def check_idle_workers_are_ended(make: Make) -> None:
    executor = make(idle_seconds=0.5)
    executor("x = 1\nopen('kept.txt', 'w').close()")
    deadline = time.monotonic() + 10
    while executor.pid is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    result = executor("import os\n[os.path.exists('kept.txt'), 'x' in globals()]")
    assert result.output == [True, False]
    assert result.logs.startswith("[The sandbox was not used for ")
