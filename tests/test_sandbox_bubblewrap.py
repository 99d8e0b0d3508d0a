"""The tier `bubblewrap`: namespaces by a program that may have them where others may not."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from errors import Cancelled, CodeError, SandboxError
from sandbox.executor import SandboxExecutor
from tests.confined import gone, open_folder


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def wrapped(place: Path) -> Iterator[SandboxExecutor]:
    """An executor in the tier `bubblewrap`."""
    try:
        executor = SandboxExecutor(place / "work", confine="bubblewrap")
    except SandboxError as error:
        pytest.skip(str(error))
    yield executor
    executor.cleanup()


def test_bubblewrap_shows_as_little(wrapped: SandboxExecutor, place: Path) -> None:
    (place / "outside").mkdir()
    code = """
import os
def outcome(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
outside = ["/proc", "/home", "/root/.bashrc", "/etc/passwd", "../outside", "/boot"]
[
    [name for name in outside if os.path.exists(name)],
    outcome(lambda: os.mkdir("/new")),
    outcome(lambda: open(os.__file__, "a")) is None,
    outcome(os.fork),
    os.getpid() < 5,
    os.getcwd(),
]
"""
    seen = [[], "OSError", False, "PermissionError", True, str(place / "work")]
    assert wrapped(code).output == seen
    code = (
        "import pandas as pd\npd.DataFrame({'a': [1]}).to_csv('t.csv')\npd.read_csv('t.csv').a[0]"
    )
    assert wrapped(code).output == 1


def test_bubblewrap_passes_on_how_the_worker_ended(wrapped: SandboxExecutor) -> None:
    for code, said in (("os._exit(3)", "exit code 3"), ("os.abort()", "crashed (Aborted)")):
        with pytest.raises(CodeError, match=re.escape(said)):
            wrapped("import os\n" + code)
    assert wrapped("1").output == 1


def test_interrupts_leave_bubblewrap_alone(wrapped: SandboxExecutor) -> None:
    wrapped("kept = 5")
    stop = threading.Timer(0.3, wrapped.interrupt)
    stop.start()
    with pytest.raises(Cancelled):
        wrapped("while True:\n    pass")
    assert wrapped("kept").output == 5


def test_bubblewrap_leaves_no_process(wrapped: SandboxExecutor) -> None:
    wrapped("1")
    leader = psutil.Process(wrapped.pid)
    pids = [leader.pid, *(child.pid for child in leader.children(recursive=True))]
    wrapped.cleanup()
    assert len(pids) > 1 and gone(pids)
