"""A small process between the app and an engine, so that no engine outlives its app.

    app ──lifeline (the guard's stdin)──> guard ──process group──> engine and its children

The app holds the other end of the lifeline, and the kernel closes it however the app ends,
SIGKILL included. The guard then terminates the engine's process group and, after a grace
period, kills it. Should the guard itself be killed: on Linux the kernel kills the engine
(PR_SET_PDEATHSIG), elsewhere the app does. `GuardedProcess` is the app's end.

Run as a script, with the standard library only: it must start at once and never fail.
The guard reports on its stdout, one JSON object a line: `started` with the engine's pid,
`failed` with a message, `exited` with the exit code (negative: the signal).
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

GRACE_SECONDS = 3.0
_PR_SET_PDEATHSIG = 1


class GuardedProcess:
    """An engine under its guard, as the app holds it.

    `pid` is the engine's, `guard_pid` the guard's. Output of both goes to `log`.
    Raises OSError when the engine can't be started at all.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._grace = grace_seconds
        self._exited = threading.Event()
        self.code: int | None = None  # the exit code; None while it runs, or if nobody knows
        script = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
        with log.open("ab") as errors:
            self._guard = subprocess.Popen(
                [*script, str(os.getpid()), str(grace_seconds), str(log), "--", *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,  # a Ctrl-C in the terminal is for the app alone
            )
        self.guard_pid = self._guard.pid
        first = self._read()
        if first.get("event") != "started":
            self._close()
            raise OSError(first.get("message", "the guard process ended at once"))
        self.pid: int = first["pid"]
        threading.Thread(target=self._follow, name="engine-guard", daemon=True).start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the engine has ended; False when `timeout` seconds were not enough."""
        return self._exited.wait(timeout)

    @property
    def alive(self) -> bool:
        """Whether the engine still runs."""
        return not self._exited.is_set()

    def stop(self) -> None:
        """End the engine and everything it started; returns when they are gone."""
        with contextlib.suppress(OSError):
            assert self._guard.stdin is not None
            self._guard.stdin.close()
        if not self._exited.wait(self._grace + 5):
            self._guard.kill()
            _signal_group(self.pid, signal.SIGKILL)
            self._exited.wait(5)

    def _read(self) -> dict[str, Any]:
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        return json.loads(line) if line else {}

    def _follow(self) -> None:
        report = self._read()
        if report.get("event") == "exited":
            self.code = report["code"]
        else:  # the guard was killed: its work falls to us
            _signal_group(self.pid, signal.SIGKILL)
        self._close()
        self._exited.set()

    def _close(self) -> None:
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._guard.wait()


def main(arguments: Sequence[str]) -> int:
    """The guard: `guard.py APP_PID GRACE_SECONDS LOG -- COMMAND…`."""
    app, grace, log = int(arguments[0]), float(arguments[1]), arguments[2]
    command = list(arguments[arguments.index("--") + 1 :])
    stopping: list[int] = []
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    try:
        child = _start(command, log)
    except OSError as error:
        _report(event="failed", message=f"{command[0]}: {error.strerror or error}")
        return 1
    _report(event="started", pid=child.pid)
    while not _has_exited(child):
        # getppid covers an app whose end of the lifeline lives on in a forked child.
        if stopping or os.getppid() != app:
            break
        readable, _, _ = select.select([0, wake], [], [], 1.0)
        if 0 in readable and not os.read(0, 64):
            break
        if wake in readable:
            os.read(wake, 4096)
    _end(child, grace)
    _report(event="exited", code=child.returncode)
    return 0


def _start(command: list[str], log: str) -> subprocess.Popen[bytes]:
    die_with_me = _death_signal_setter()
    with open(log, "ab") as output:  # noqa: PTH123 - pathlib would double the start-up time
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            restore_signals=True,
            preexec_fn=die_with_me,
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


def _end(child: subprocess.Popen[bytes], grace: float) -> None:
    """Terminate the group, wait up to `grace` seconds for the child, kill what is left."""
    if not _has_exited(child):
        _signal_group(child.pid, signal.SIGTERM)
        for _ in range(max(1, int(grace / 0.05))):
            if _has_exited(child):
                break
            select.select([], [], [], 0.05)
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _report(**event: Any) -> None:
    with contextlib.suppress(OSError):  # the app may be gone
        os.write(1, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
