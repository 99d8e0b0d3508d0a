"""Starts a process in a tier of confinement, without the executor, and says how it went.

The code that runs confined is a function of the test, in a fork: it returns plain data. What it
imports, and whatever opens a file when first used, must be there before: the user without
rights can't read a Python that lies in root's home.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from sandbox import confine
from sandbox.confine import Confinement

NOBODY = 54321  # a user id that means nothing here
WHO = ("as it is", "root with a user id of its own", "a user without rights")


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder through which every user can pass, which pytest's own is not; `work` is in it."""
    folder = Path(tempfile.mkdtemp(prefix="hearth-")).resolve()
    folder.chmod(0o755)
    (folder / "work").mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class Ended(NamedTuple):
    """What the function returned (None if it didn't), how the process ended, what it printed."""

    result: Any
    code: int
    text: str


class Process:
    """The leader of one sandbox, and the pipes by which it reports."""

    def __init__(self, leader: int, result: int, printed: int) -> None:
        self.leader = leader
        self._result, self._printed = result, printed

    def processes(self) -> list[int]:
        """The leader and what it started."""
        found = psutil.Process(self.leader)
        return [self.leader, *(child.pid for child in found.children(recursive=True))]

    def wait(self) -> Ended:
        """Read what it says and wait for its end."""
        texts = []
        for descriptor in (self._result, self._printed):
            with os.fdopen(descriptor, "rb") as stream:
                texts.append(stream.read())
        _, status = os.waitpid(self.leader, 0)
        result = json.loads(texts[0]) if texts[0] else None
        return Ended(result, os.waitstatus_to_exitcode(status), texts[1].decode())

    def first(self) -> bytes:
        """Wait until it has sent something."""
        return os.read(self._result, 1)


def start(
    tier: str,
    workspace: Path,
    work: Callable[[], Any],
    *,
    who: str = WHO[0],
    send: bool = True,
    **options: Any,
) -> Process:
    """Run `work` in the tier, with the workspace for temporary files too.

    `options` are those of `Confinement`.
    """
    if who != WHO[0] and os.geteuid() != 0:
        pytest.skip("only root can be another user")
    uid = NOBODY if who == WHO[1] else None
    owner = NOBODY if who != WHO[0] else os.geteuid()
    os.chown(workspace, owner, owner)
    result, result_end = os.pipe()
    printed, printed_end = os.pipe()
    leader = os.fork()
    if leader:
        os.close(result_end)
        os.close(printed_end)
        return Process(leader, result, printed)
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for target, source in enumerate((os.open(os.devnull, 0), printed_end, printed_end)):
            os.dup2(source, target)
        os.dup2(result_end, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.chdir(workspace)
        tempfile.tempdir = str(workspace)
        if who == WHO[2]:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        c = Confinement(tier, str(workspace.resolve()), uid=uid, **options)
        confine.supervise(c, lambda: _report(work, send))
    except BaseException:  # noqa: BLE001 - the outer edge of the process
        traceback.print_exc()
    finally:
        os._exit(99)


def _report(work: Callable[[], Any], send: bool) -> None:
    result = work()
    if send:
        data = json.dumps(result).encode()
        while data:
            data = data[os.write(3, data) :]


def run(tier: str, workspace: Path, work: Callable[[], Any], **options: Any) -> Any:
    """The result of `work`; the process must have ended well and quietly."""
    ended = start(tier, workspace, work, **options).wait()
    assert (ended.code, ended.text) == (0, ""), ended
    return ended.result


def gone(pids: list[int], seconds: float = 10) -> bool:
    """Whether the processes end (zombies have)."""
    deadline = time.monotonic() + seconds
    while any(_lives(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _lives(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
