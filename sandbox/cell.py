"""One session's worker in its workspace: started, kept within its limits, replaced, ended."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from errors import SandboxError
from sandbox import care, files, launch
from sandbox.files import Contents
from sandbox.process import WorkerProcess
from sandbox.step import Outcome
from sandbox.watch import Breach, Watch, breach_of
from sandbox.workspace import Workspace

GONE = "Variables are gone, files in the workspace are kept."


class OverLimit(Exception):
    """The worker broke a limit between two steps and was ended; the text says all of it."""


class Cell:
    """Holds at most one worker. `make_worker` starts one in the folder that it is given.

    A step runs inside of `in_use`; outside of it the worker is looked after (`tend`).
    """

    def __init__(
        self,
        place: Workspace,
        make_worker: Callable[[Path], WorkerProcess],
        *,
        memory_bytes: int,
        idle_seconds: float | None,
    ) -> None:
        self.place = place
        self.worker: WorkerProcess | None = None
        self.watch: Watch | None = None
        self.started = 0
        self._make_worker = make_worker
        self._memory_bytes = memory_bytes
        self._idle_seconds = idle_seconds
        self._notes: list[str] = []
        self._last_used = time.monotonic()
        self._broke_before = False  # the quota, in the step before
        self._closed = False
        self._app = os.getpid()
        self._starting = threading.Lock()
        self._tending = threading.Lock()
        care.look_after(self)

    def prepare(self) -> None:
        """Get ready in the background. While libraries are being imported for the worker, it is
        better started later, with more of them."""
        if not launch.is_warming():
            self.start()

    def start(self) -> WorkerProcess:
        """The worker; starts one if there is none. Raises SandboxError where that can't be."""
        with self._starting:
            if self._closed:
                raise SandboxError("The sandbox was closed.", fix="Start a new session.")
            if self.worker is None:
                self.worker = self._make_worker(self.place.make())
                self.started += 1
                self.watch = Watch(
                    self.worker.pid, self.place.root, memory_bytes=self._memory_bytes
                )
            return self.worker

    def drop(self) -> None:
        """End the worker, if there is one."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.kill()

    def replace(self) -> None:
        """End the worker and get ready for the next one."""
        self.drop()
        if not self._closed:
            self.prepare()

    def close(self) -> None:
        """End the worker for good and remove its caches; of a temporary workspace, all."""
        if self._closed or self._app != os.getpid():  # a fork of the app ends what is its own
            return
        with self._starting:
            self._closed = True
        self.drop()
        self.place.remove()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """While a step runs nothing else happens to the worker."""
        with self._tending:
            try:
                yield
            finally:
                self._last_used = time.monotonic()

    def notes(self) -> list[str]:
        """What happened since the last step, for whoever reads the next one's output."""
        notes, self._notes = self._notes, []
        return notes

    def look(self) -> Breach | None:
        """The first limit that is broken now."""
        return self.watch.look() if self.watch is not None else None

    def before(self) -> Contents:
        """What the workspace holds as a step begins. Raises OverLimit."""
        assert self.worker is not None
        if self.worker.uid is not None:  # the user may have attached files since
            files.give(self.place.root, self.worker.uid)
        last, found = self.place.last, self.place.look()
        breach = breach_of(found, self.place.quota)
        if breach:
            raise OverLimit(self._end_for(breach, last))
        assert self.watch is not None
        self.watch.begin(self.place.quota)
        return found

    def after(self, before: Contents, outcome: Outcome) -> tuple[Contents, str]:
        """What the workspace holds after a step, brought within its quota if it was beyond it,
        and how."""
        found = self.place.look()
        breach = breach_of(found, self.place.quota)
        if breach is None and not (outcome.breach and outcome.breach.disk):
            self._broke_before = False
            return found, ""
        outcome.breach = outcome.breach or breach
        again, self._broke_before = self._broke_before, True
        if self.worker is not None and again:  # a thread of the code goes on writing
            self._end(outcome)
        with self.worker.paused() if self.worker is not None else contextlib.nullcontext():
            removed = self.place.restore(before)
            found = self.place.look()
            found.bytes += self.watch.nameless() if self.watch is not None else 0
        if self.worker is not None and breach_of(found, self.place.quota):
            self._end(outcome)  # it holds what was removed
        return found, removed

    def _end(self, outcome: Outcome) -> None:
        self.drop()
        outcome.gone = "left too much in the workspace"

    def tend(self) -> None:
        """Between steps: end a worker that nobody uses, or that breaks its limits."""
        if not self._tending.acquire(blocking=False):
            return
        try:
            if self.worker is None or self.watch is None or not self.worker.ready:
                return
            idle = time.monotonic() - self._last_used
            if self._idle_seconds is not None and idle >= self._idle_seconds:
                self.drop()
                self._notes.append(f"The sandbox was not used for {_span(idle)}. {GONE}")
            elif breach := self.watch.look():
                self._notes.append(self._end_for(breach, self.place.last))
        finally:
            self._tending.release()

    def _end_for(self, breach: Breach, last: Contents | None) -> str:
        self.drop()
        removed = f" {self.place.restore(last or Contents())}" if breach.disk else ""
        return f"Between two steps the Python process {breach.said}, and was ended.{removed} {GONE}"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"
