"""The app's side of one worker: start it, talk with it without ever blocking, end it for sure."""

import contextlib
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from errors import SandboxError
from sandbox import launch, watch, wire
from sandbox.confine import CANT_CONFINE, Confinement

START_SECONDS = 60
MAX_RAW_BYTES = 64 * 1024 * 1024


class Wake:
    """A pipe that ends a wait from another thread. Tools that nobody waits for any more may
    ring long after it was closed, when its descriptor belongs to something else."""

    def __init__(self) -> None:
        self.descriptor, self._writer = os.pipe()
        self._lock = threading.Lock()
        for descriptor in (self.descriptor, self._writer):
            os.set_blocking(descriptor, False)

    def ring(self) -> None:
        """End the wait that is going on, or the next one."""
        with self._lock:
            if self._writer >= 0:
                with contextlib.suppress(BlockingIOError):  # full: it rings already
                    os.write(self._writer, b".")

    def hush(self) -> None:
        """Forget the rings so far."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.descriptor, 4096):
                pass

    def close(self) -> None:
        """Close both ends; ringing does nothing from now on."""
        with self._lock:
            if self._writer >= 0:
                os.close(self._writer)
                os.close(self.descriptor)
                self._writer = -1


class WorkerGone(Exception):
    """The worker ended or has to be ended; the text says why, as in `the process …`."""


class WorkerProcess:
    """One worker process and its three pipes. Not thread-safe, but for `interrupt`."""

    def __init__(
        self,
        confinement: Confinement,
        *,
        output_chars: int,
        max_calls: int,
        imports: Sequence[str] | None = None,
        packages: Path | None = None,
    ) -> None:
        self.ready = False
        self.uid = confinement.uid
        self._frames = wire.Frames()
        self._out: deque[memoryview] = deque()
        self._raw_bytes = 0
        self._raw_start = b""
        reader, self._to_worker = os.pipe()
        self._from_worker, writer = os.pipe()
        self._raw, raw_writer = os.pipe()
        config = {
            "confinement": confinement.to_dict(),
            "output_chars": output_chars,
            "max_calls": max_calls,
            "imports": None if imports is None else list(imports),
            "packages": str(packages.resolve()) if packages is not None else "",
        }
        try:
            self._process = launch.start(config, (reader, writer, raw_writer))
        except SandboxError:
            self._close()
            raise
        finally:
            for descriptor in (reader, writer, raw_writer):
                os.close(descriptor)
        for descriptor in (self._to_worker, self._from_worker, self._raw):
            os.set_blocking(descriptor, False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, *fields: wire.Field) -> None:
        """Queue a message and write what the pipe takes now; `wait` writes the rest."""
        self._out.append(memoryview(wire.frame(*fields)))
        self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                written = os.write(self._to_worker, self._out[0])
                if written == len(self._out[0]):
                    self._out.popleft()
                else:
                    self._out[0] = self._out[0][written:]
        except BlockingIOError:
            return
        except OSError:
            self._out.clear()  # it has gone; reading finds out how

    def wait(self, wake: Wake, seconds: float) -> None:
        """Sleep until the worker or `wake` has something to read, or `seconds` are over."""
        poll = select.poll()
        for descriptor in (self._from_worker, self._raw, wake.descriptor):
            poll.register(descriptor, select.POLLIN)
        if self._out:
            poll.register(self._to_worker, select.POLLOUT)
        ready = dict(poll.poll(max(0.0, seconds) * 1000))
        if ready.get(self._raw) == select.POLLHUP and len(ready) == 1:
            time.sleep(min(seconds, 0.01))  # the code closed descriptors 1 and 2: don't spin
        self._flush()

    def read(self) -> list[list[Any]]:
        """The messages that have come. Raises WorkerGone at the end or on a bad frame."""
        try:
            data = os.read(self._from_worker, 1 << 18)
        except BlockingIOError:
            return []
        if not data:
            raise WorkerGone(self._reason())
        try:
            return list(self._frames.feed(data))
        except wire.WireError as error:
            raise WorkerGone(f"broke its channel to the app ({error})") from None

    def read_raw(self) -> bytes:
        """What came on descriptors 1 and 2 outside of Python's print, a piece of it."""
        try:
            data = os.read(self._raw, 1 << 16)
        except BlockingIOError:
            return b""
        self._raw_bytes += len(data)
        if self._raw_bytes > MAX_RAW_BYTES:
            raise WorkerGone(f"wrote more than {MAX_RAW_BYTES >> 20} MB past print() and was ended")
        return data

    def begin_step(self) -> None:
        """Drop what was printed between steps. Raises WorkerGone if the worker isn't clean."""
        while self.read_raw():
            pass
        self._raw_bytes = 0
        if self.read() or self._frames.pending:
            raise WorkerGone("sent messages between two steps and was ended")

    def wait_ready(self, wake: Wake, stopped: Callable[[], bool]) -> None:
        """Wait for the first message. Raises SandboxError if it doesn't come."""
        deadline = time.monotonic() + START_SECONDS
        while not self.ready and not stopped():
            left = deadline - time.monotonic()
            if left <= 0:
                self.kill()
                raise _start_error(f"no answer within {START_SECONDS} s")
            self.wait(wake, left)
            self._raw_start = (self._raw_start + self.read_raw())[-2000:]
            try:
                messages = self.read()
            except WorkerGone as gone:
                self._raw_start += self.read_raw()
                refused = self._process.wait(0) == CANT_CONFINE
                self.kill()
                shown = self._raw_start.decode("utf-8", "replace").strip()
                raise _start_error(shown or str(gone), refused=refused) from None
            self.ready = bool(messages) and messages[0][0] == "ready"

    def interrupt(self) -> None:
        """Ask the running code to stop (SIGINT)."""
        self._signal(signal.SIGINT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile the process and its threads do nothing."""
        try:
            self._signal(signal.SIGSTOP)
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """End the worker and every process that it started and that can still be found."""
        others = []
        for other in watch.group(self.pid)[1:]:
            with contextlib.suppress(psutil.Error):
                others.append(psutil.Process(other))
        self._process.kill()
        for started in others:
            with contextlib.suppress(psutil.Error):
                started.kill()  # not if its number belongs to another by now
        self._process.release()
        self._close()

    def _close(self) -> None:
        for name in ("_to_worker", "_from_worker", "_raw"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                setattr(self, name, -1)
                os.close(descriptor)

    def _reason(self) -> str:
        """Why the channel ended; ends a worker that only closed it."""
        code = self._process.wait(0.5)
        if code is None:
            return "closed its channel to the app"
        if code >= 0:
            return f"ended itself (exit code {code})"
        if -code == signal.SIGKILL and self._process.lost:
            return "was ended because the process that it was forked from had ended"
        if -code == signal.SIGKILL:
            return "was killed, most likely because memory ran out"
        if -code == signal.SIGXCPU:
            return "used more processor time than a step may"
        return f"crashed ({signal.strsignal(-code) or f'signal {-code}'})"


def _start_error(shown: str, *, refused: bool = False) -> SandboxError:
    """`refused`: the worker could not be confined; more memory doesn't help then."""
    fix = "`python -m sandbox status` says what this machine allows"
    fix += "." if refused else "; a larger sandbox_memory_mb may help."
    return SandboxError(f"The sandbox didn't start: {shown}", fix=fix)
