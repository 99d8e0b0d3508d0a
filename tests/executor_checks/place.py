"""One tier of confinement, and around it the things that code in it must not reach.

A check is written once and runs twice over: in a confined tier what it tries has to be refused,
and in the tier `unconfined` the same code has to succeed (the control), so that a check which
could never fail is noticed.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import psutil

from errors import CodeError
from sandbox.confine import TIERS
from sandbox.executor import SandboxExecutor
from tests.executor_checks.common import TOOLS

CONTROL = "unconfined"
# Those of this operating system.
HERE = [tier for tier in TIERS if tier != "seatbelt" or sys.platform == "darwin"]
REFUSED = frozenset({"EPERM", "EACCES"})
# In namespaces of its own the outside isn't forbidden: it isn't there.
HIDDEN = frozenset({"ENOENT", "ENOTDIR", "EROFS", "ESRCH", "EXDEV", "ECONNREFUSED", "ENETUNREACH"})

# Put before the code of every attempt. It comes to the code as it is, and is all that it needs.
PRELUDE = """
import ctypes, errno, os, sys
_libc = ctypes.CDLL(None, use_errno=True)
def syscall(number, *arguments):
    '''A system call by its number, past every wrapper; raises OSError.'''
    if number is None:
        raise OSError(errno.EPERM, 'there is no such call on this machine')
    ctypes.set_errno(0)
    plain = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    _libc.syscall.restype = ctypes.c_long
    result = _libc.syscall(ctypes.c_long(number), *plain)
    if result == -1:
        raise OSError(ctypes.get_errno(), 'refused')
    return result
def outcome(attempt):
    '''done, or the name of the error.'''
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno, f'{type(error).__name__} {error}')
    except Exception as error:
        return f'{type(error).__name__}: {error}'
    return 'done'
"""


class Place:
    """A tier, the executors in it, and a folder of the user's outside of every workspace."""

    def __init__(self, tier: str) -> None:
        self.tier = tier
        self.control = tier == CONTROL
        self.restricted = tier == "restricted"
        self.hides = tier in ("namespaces", "bubblewrap")  # the outside isn't there
        self.real_python = not self.restricted
        # Of its own, not pytest's: with the usual rights, so that a tier that relies on them shows.
        self.folder = Path(tempfile.mkdtemp(prefix="hearth-place-")).resolve()
        self.folder.chmod(0o755)
        self.canary = f"canary-{secrets.token_hex(8)}"
        self.outside = self.folder / "outside"
        self._plant()
        self._made: list[Any] = []
        self._shared: Any = None
        self._victims: list[subprocess.Popen[bytes]] = []

    def _plant(self) -> None:
        self.outside.mkdir()
        self.secret = self.outside / "secret.txt"
        self.secret.write_text(self.canary)
        self.secret.chmod(0o600)
        self.public = self.outside / "public.txt"
        self.public.write_text("for everybody to read")
        self.public.chmod(0o644)

    def leaves_open(self, words: str) -> bool:
        """Whether the tier itself says so: it names these words among what it leaves open."""
        return any(words in line for line in TIERS[self.tier].leaves_open)

    # Executors

    def make(self, **options: Any) -> Any:
        """A new executor in this tier, with an empty workspace of its own."""
        workspace = self.folder / f"workspace-{len(self._made)}"
        executor = SandboxExecutor(workspace, confine=self.tier, **options)
        self._made.append(executor)
        executor.send_variables({})
        executor.send_tools(TOOLS)
        return executor

    @property
    def executor(self) -> Any:
        """An executor that checks share; what one breaks there, the next must not need whole."""
        if self._shared is None:
            self._shared = self.make()
        return self._shared

    def drop(self) -> None:
        """The shared executor is spent: the next check gets a new one."""
        executor, self._shared = self._shared, None
        if executor is not None:
            executor.cleanup()

    # Attempts

    def outcomes(self, attempts: dict[str, str], setup: str = "", **options: Any) -> dict[str, str]:
        """What came of each expression: `done`, or the name of its error."""
        tries = ", ".join(f"{name!r}: outcome(lambda: {code})" for name, code in attempts.items())
        executor = self.make(**options) if options else self.executor
        try:
            found = executor(f"{PRELUDE}\n{setup}\n{{{tries}}}").output
        except CodeError as error:
            # The restricted interpreter has nothing to try it with.
            assert self.restricted and error.kind == "error", str(error)
            return dict.fromkeys(attempts, "EPERM")
        assert self.canary not in str(found)
        return found

    def refused(
        self,
        attempts: dict[str, str],
        *,
        setup: str = "",
        also: Collection[str] = (),
        reaches: bool = False,
        unshown: Collection[str] = (),
        opened: Collection[str] = (),
    ) -> dict[str, str]:
        """Every attempt has to be refused; in the control, to succeed.

        also: further errors that count as a refusal.
        reaches: in the control the call need not succeed: it is made with arguments that do no
            harm, and has to get further than the refusal.
        unshown: attempts that the control can't show here.
        opened: attempts that this tier leaves open, by its own words: they have to succeed.
        """
        found = self.outcomes(attempts, setup)
        if self.control:
            self._shown(
                {n: c for n, c in attempts.items() if n not in unshown}, found, setup, reaches
            )
            return found
        allowed = REFUSED | set(also) | (HIDDEN if self.hides else set())
        wrong = {
            name: got
            for name, got in found.items()
            if (got != "done" if name in opened else got not in allowed)
        }
        assert not wrong, f"tier {self.tier}: {wrong}"
        return found

    def _shown(
        self, attempts: dict[str, str], found: dict[str, str], setup: str, reaches: bool
    ) -> None:
        """The control: each attempt succeeded, or does in a plain process of the user's.

        The tier `unconfined` gives up an administrator's capabilities; the user has them.
        """

        def failed(got: str) -> bool:
            return got in REFUSED | {"ENOSYS"} if reaches else got != "done"

        left = {name: code for name, code in attempts.items() if failed(found[name])}
        if left:
            found |= self.plain(left, setup)
        wrong = {name: found[name] for name in left if failed(found[name])}
        assert not wrong, f"the control could not show {wrong}"

    def plain(self, attempts: dict[str, str], setup: str = "") -> dict[str, str]:
        """As `outcomes`, in a process without any sandbox, in a folder of its own."""
        tries = ", ".join(f"{name!r}: outcome(lambda: {code})" for name, code in attempts.items())
        code = f"{PRELUDE}\n{setup}\nimport json\nprint(json.dumps({{{tries}}}))"
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60
            )
        assert done.returncode == 0, done.stderr
        plain: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
        return plain

    def text_of(self, code: str, kind: str = "error", executor: Any = None) -> str:
        """The observation of code that has to fail."""
        try:
            value = (executor or self.executor)(code).output
        except CodeError as error:
            assert error.kind == kind, str(error)
            return str(error)
        raise AssertionError(f"nothing failed; the value is {value!r}")

    def lacks(self, code: str) -> bool:
        """Whether the tier has no means for a check at all: then this code fails in it."""
        if self.restricted:
            self.text_of(code)
        return self.restricted

    # The outside

    def victim(self) -> "subprocess.Popen[bytes]":
        """A process of the user's that has nothing to do with the sandbox, alive."""
        if not self._victims or self._victims[-1].poll() is not None:
            self._victims.append(subprocess.Popen(["sleep", "3600"]))
        return self._victims[-1]

    def untouched(self) -> None:
        """The files outside are as they were, and nothing was added."""
        assert sorted(path.name for path in self.outside.iterdir()) == ["public.txt", "secret.txt"]
        assert self.secret.read_text() == self.canary
        assert self.public.read_text() == "for everybody to read"
        assert self.secret.stat().st_mode & 0o777 == 0o600

    def restore(self) -> None:
        """After a control has done its harm."""
        shutil.rmtree(self.outside, ignore_errors=True)
        self._plant()

    def close(self) -> None:
        """End everything; nothing of it may live on."""
        pids = [executor.pid for executor in self._made]
        for executor in self._made:
            executor.cleanup()
        for victim in self._victims:
            victim.kill()
            victim.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert _all_gone([pid for pid in pids if pid is not None])


def _all_gone(pids: list[int], seconds: float = 5) -> bool:
    """Whether the processes have ended in time (a zombie has ended)."""
    deadline = time.monotonic() + seconds
    for pid in pids:
        while psutil.pid_exists(pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    break
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True


def is_root() -> bool:
    """Whether this process may do what only an administrator may."""
    if sys.platform != "linux":
        return os.geteuid() == 0
    rights = Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0]
    return os.geteuid() == 0 and bool(int(rights, 16) & (1 << 21))  # CAP_SYS_ADMIN


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Variables of this process, for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


Check = Callable[[Place], None]
