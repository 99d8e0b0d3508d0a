"""A small process between the app and an engine, so that no engine outlives its app.

    app ──lifeline (the guard's stdin)──> guard ──process group──> engine and its children

The app holds the other end of the lifeline, and the kernel closes it however the app ends,
SIGKILL included. The guard then terminates the engine's process group and, after a grace
period, kills it; or, where the engine is to be kept, first waits until no app has used it for a
while: apps that do hold a lock on a file (serving/state.py), which the kernel lets go too.
Should the guard itself be killed: on Linux the kernel kills the engine (PR_SET_PDEATHSIG),
elsewhere the app does.

The guard is serving/guard_process.py, run as a script; `GuardedProcess` is the app's end.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serving.guard_process import signal_group

GRACE_SECONDS = 3.0
_SCRIPT = Path(__file__).with_name("guard_process.py")
_END = b"end"


class GuardedProcess:
    """An engine under its guard, as the app holds it.

    `pid` is the engine's, `guard_pid` the guard's. Output of both goes to `log`. With
    `keep_seconds` the engine outlives its app by so long, counted anew from each moment in which
    an app holds a lock on `use_file`. Raises OSError when the engine can't be started at all.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        grace_seconds: float = GRACE_SECONDS,
        keep_seconds: float = 0.0,
        use_file: Path | None = None,
    ) -> None:
        self._grace = grace_seconds
        self._exited = threading.Event()
        self.code: int | None = None  # the exit code; None while it runs, or if nobody knows
        script = [sys.executable, "-I", "-S", str(_SCRIPT)]
        given = (os.getpid(), grace_seconds, log, keep_seconds, use_file or "")
        with log.open("ab") as errors:
            self._guard = subprocess.Popen(
                [*script, *map(str, given), "--", *argv],
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
        with contextlib.suppress(OSError, ValueError):  # ValueError: it was closed before
            assert self._guard.stdin is not None
            self._guard.stdin.write(_END)
        self._let_go()
        if not self._exited.wait(self._grace + 5):
            self._guard.kill()
            signal_group(self.pid, signal.SIGKILL)
            self._exited.wait(5)

    def leave(self) -> None:
        """Let an engine that is to be kept live on without this app; its `wait` is over then."""
        self._let_go()
        self._exited.set()

    def _let_go(self) -> None:
        with contextlib.suppress(OSError):
            assert self._guard.stdin is not None
            self._guard.stdin.close()

    def _read(self) -> dict[str, Any]:
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        return json.loads(line) if line else {}

    def _follow(self) -> None:
        report = self._read()
        if report.get("event") == "exited":
            self.code = report["code"]
        else:  # the guard was killed: its work falls to us
            signal_group(self.pid, signal.SIGKILL)
        self._close()
        self._exited.set()

    def _close(self) -> None:
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._guard.wait()
