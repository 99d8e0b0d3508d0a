"""The guard of an engine, as a script with the standard library only: it must start at once and
never fail. serving/guard.py says what it is for, and starts it.

    guard_process.py APP_PID GRACE_SECONDS LOG KEEP_SECONDS USE_FILE -- COMMAND…

It reports on its stdout, one JSON object a line: `started` with the engine's pid, `failed` with
a message, `exited` with the exit code (negative: the signal). On stdin it reads the lifeline: its
end means that the app has gone, anything on it that the engine must end at once, kept or not.
What the engine prints goes through the guard into its log.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

MOST_BYTES = 4_000_000
OLDER = ".1"
_READ_BYTES = 65_536
_MOST_READS = 64  # at a time
_SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD")
_LEAST_SECRET = 8  # characters; shorter values may be words

_PR_SET_PDEATHSIG = 1
_NOTE_EVERY_SECONDS = 10.0


def main(arguments: Sequence[str]) -> int:
    """Start the command and guard it to its end; 1 where it could not be started."""
    app, grace, log = int(arguments[0]), float(arguments[1]), BoundedLog(arguments[2])
    keep = _Keep(float(arguments[3]), arguments[4])
    command = list(arguments[arguments.index("--") + 1 :])
    stopping: list[int] = []
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    output, writing = os.pipe()
    os.set_blocking(output, False)
    try:
        child = _start(command, writing)
    except OSError as error:
        _report(event="failed", message=f"{command[0]}: {error.strerror or error}")
        return 1
    os.close(writing)
    _report(event="started", pid=child.pid)
    watched = [0, wake, output]
    while not (_has_exited(child) or stopping):
        # getppid covers an app whose end of the lifeline lives on in a forked child.
        if (0 not in watched or os.getppid() != app) and keep.is_over():
            break
        readable, _, _ = select.select(watched, [], [], 0.5 if log.waits else 1.0)
        if 0 in readable:
            said = os.read(0, 64)
            if said:  # the app wants it ended, kept or not
                break
            watched.remove(0)
        if wake in readable:
            os.read(wake, 4096)
        if output in readable and not log.take(output):
            watched.remove(output)
        if not readable:
            log.flush()
    _end(child, grace, lambda: log.take(output))
    log.flush()
    _report(event="exited", code=child.returncode)
    return 0


class _Keep:
    """How long an engine lives on without its app: `seconds` from when it was last in use."""

    def __init__(self, seconds: float, use_file: str) -> None:
        self._seconds, self._file = seconds, use_file
        self._used = self._noted = 0.0

    def is_over(self) -> bool:
        """Whether nobody has used it for long enough. Asked for as long as it has no app."""
        now = time.monotonic()
        if self._used == 0.0 or self._in_use():
            self._used = now
            if now - self._noted > _NOTE_EVERY_SECONDS:  # `status` reads the file's time
                self._noted = now
                with contextlib.suppress(OSError):
                    os.utime(self._file)
        return now - self._used >= self._seconds

    def _in_use(self) -> bool:
        """Whether an app holds the lock. Where there are no locks nobody can."""
        if not self._file:
            return False
        try:
            import fcntl

            handle = os.open(self._file, os.O_RDWR)
        except (ImportError, OSError):
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False


class BoundedLog:
    """An engine's log, bounded in size: when the file is full it becomes the older part
    (`….log.1`), in place of the one before, and a new one begins; so the end is never lost.

    The values of variables that are named like secrets are replaced by dots. It never fails: a
    full disk costs lines of the log, not the engine.
    """

    def __init__(self, path: str, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._most = path, most_bytes
        self._handle, self._size = -1, 0
        self._rest = b""
        self._secrets = _secrets()

    @property
    def waits(self) -> bool:
        """Whether the beginning of a line is held back."""
        return bool(self._rest)

    def take(self, output: int) -> bool:
        """Write what can be read from `output` now; False once nobody writes to it any more."""
        for _ in range(_MOST_READS):
            try:
                data = os.read(output, _READ_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self._add(data)
        return True  # there is more, and other things to see to

    def flush(self) -> None:
        """Write the beginning of a line too, such as a progress bar's last state."""
        rest, self._rest = self._rest, b""
        self._write(rest)

    def _add(self, data: bytes) -> None:
        # By whole lines, so that no secret is cut in two; a bar's states count as lines.
        text = self._rest + data
        cut = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        if not cut and len(text) > _READ_BYTES:
            cut = len(text)
        self._rest = text[cut:]
        self._write(text[:cut])

    def _write(self, text: bytes) -> None:
        for secret in self._secrets:
            text = text.replace(secret, b"...")
        while text:
            try:
                if self._handle < 0:
                    self._open()
                if self._size >= self._most:
                    self._begin_anew()
                written = os.write(self._handle, text)
            except OSError:
                return
            self._size += written
            text = text[written:]

    def _open(self) -> None:
        self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._handle).st_size

    def _begin_anew(self) -> None:
        os.close(self._handle)
        self._handle = -1
        os.replace(self._path, self._path + OLDER)  # noqa: PTH105 - pathlib loads slowly
        self._open()


def _secrets() -> list[bytes]:
    values = {
        os.fsencode(value)
        for name, value in os.environ.items()
        if len(value) >= _LEAST_SECRET and any(part in name.upper() for part in _SECRET_NAMES)
    }
    return sorted(values, key=len, reverse=True)


def _start(command: list[str], output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        restore_signals=True,
        preexec_fn=_death_signal_setter(),
    )


def _death_signal_setter() -> Any:
    """What the child runs between fork and exec, on Linux: be killed when the guard dies.

    The signal follows the thread that forked; the guard forks from its main thread.
    """
    signals = (signal.SIGINT, signal.SIGHUP)
    if not sys.platform.startswith("linux"):
        return lambda: [signal.signal(number, signal.SIG_DFL) for number in signals]
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    guard = os.getpid()

    def prepare() -> None:
        for number in signals:  # an ignored signal would stay ignored in the engine
            signal.signal(number, signal.SIG_DFL)
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != guard:  # it died before the request could take hold
            os._exit(1)

    return prepare


def _has_exited(child: subprocess.Popen[bytes]) -> bool:
    """Whether the child has ended; it is not reaped, so that its group's number stays taken."""
    if not hasattr(os, "waitid"):
        return child.poll() is not None
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, child.pid, options) is not None


def _end(child: subprocess.Popen[bytes], grace: float, listen: Callable[[], object]) -> None:
    """Terminate the group, wait up to `grace` seconds for the child, kill what is left.

    `listen` takes what it prints meanwhile, or it could not go on.
    """
    if not _has_exited(child):
        signal_group(child.pid, signal.SIGTERM)
        for _ in range(max(1, int(grace / 0.05))):
            if _has_exited(child):
                break
            listen()
            select.select([], [], [], 0.05)
    signal_group(child.pid, signal.SIGKILL)
    child.wait()
    listen()


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a process group that may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _report(**event: Any) -> None:
    with contextlib.suppress(OSError):  # the app may be gone
        os.write(1, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
