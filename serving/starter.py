"""What the supervisor starts its engine with: the port and key it keeps, the files it needs, the
time it gives. One `Starter` serves all the starts of one engine.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from errors import Cancelled, EngineError
from serving.fetch import fetch_model
from serving.first_reply import family_of
from serving.launch import Launch
from serving.ports import PortHold
from serving.progress import Measure, Progress
from serving.row import Engine, Plan, Say
from serving.starting import StartNote
from serving.state import Process, Record, unwritable
from settings import Settings

Keep = Callable[[Record], None]


class Starter:
    """Starts one engine. `plan` is how; `launch` is the last start, `log` its log.

    `stopping` ends whatever waits here, with Cancelled.
    """

    def __init__(
        self,
        settings: Settings,
        row: Engine,
        *,
        say: Say,
        measure: Measure,
        stopping: threading.Event,
    ) -> None:
        assert row.plan is not None
        self.settings, self.row = settings, row
        self.plan: Plan = row.plan(settings)
        self.launch: Launch | None = None
        self._say, self._tell, self._stopping = say, measure, stopping
        self._hold: PortHold | None = None
        self._note: StartNote | None = None

    @property
    def folder(self) -> Path:
        """Where the state of engines is kept."""
        return self.settings.data_dir / "engines"

    @property
    def _logs(self) -> Path:
        return self.settings.data_dir / "logs"

    def fetch(self, *, check: bool = False) -> bool:
        """Download what the plan's model lacks on this machine; returns whether anything came.

        With `check`, what is there is compared with its checksums first. Raises EngineError.
        """
        source = self.plan.source
        if not source.files:
            return False
        if self.plan.obstacle is not None:  # before gigabytes are downloaded for nothing
            raise self.plan.obstacle
        self._begin_note()
        try:
            came = fetch_model(
                self.plan.loaded_id,
                source,
                self._logs,
                say=self._say,
                measure=self._measure,
                go_on=self.raise_if_stopping,
                check=check,
            )
        finally:
            self._end_note()
        assert self.row.plan is not None
        self.plan = self.row.plan(self.settings)
        if self.plan.source.folder is None and self.plan.source.files:
            raise EngineError(
                f"{self.plan.loaded_id} was downloaded, but is not whole.",
                fix="Set HEARTH_MODEL to a folder that holds the model, or to another model.",
            )
        return came

    def start(self, port: int, key: str, keep: Keep, use_file: Path) -> Record:
        """Start the engine and wait until it answers. `keep` stores its record at once.

        `port` and `key` are those to have again, 0 and empty for new ones; `use_file` is what
        those who use it hold a lock on. Raises EngineError.
        """
        go_on = self.patience()
        go_on()
        hold = self._take_port(port)
        if not key and self.row.takes_key:
            key = secrets.token_urlsafe(24)
        self._say(f"starting {self.row.name} with {self.plan.title} …")
        family = family_of(self.plan, self.settings.family)
        kept = self.settings.engine_keep_minutes
        launch = Launch(
            self.row,
            self.plan,
            family,
            port=hold.port,
            key=key,
            logs=self._logs,
            keep_minutes=kept,
            use_file=use_file,
        )
        self.launch = launch
        record = Record(
            engine=self.row.name,
            model_id=launch.endpoint.model_id,
            base_url=launch.endpoint.base_url,
            port=hold.port,
            api_key=key,
            log=str(launch.log),
            process=Process.of(launch.process.pid),
            guard=Process.of(launch.process.guard_pid),
            owner=Process.of(os.getpid()),
            keep_minutes=kept,
        )
        keep(record)
        self._begin_note()
        try:
            launch.await_ready(go_on, self._say, self._measure)
        finally:
            self._end_note()
        return record

    def patience(self) -> Callable[[], float]:
        """A function that returns the seconds left for a start, or raises to end it."""
        allowed = self.settings.engine_start_timeout_seconds
        deadline = time.monotonic() + allowed

        def go_on() -> float:
            self.raise_if_stopping()
            left = deadline - time.monotonic()
            if left <= 0:
                raise EngineError(
                    f"The engine {self.row.name} did not become ready within {allowed:.0f} "
                    "seconds.",
                    fix="Raise HEARTH_ENGINE_START_TIMEOUT_SECONDS, or choose a smaller model.",
                    log=self.launch.log_tail() if self.launch is not None else "",
                )
            return left

        return go_on

    def raise_if_stopping(self) -> None:
        """Raise Cancelled once the supervisor has been stopped."""
        if self._stopping.is_set():
            raise Cancelled("The start of the engine was stopped.")

    def release(self) -> None:
        """Give the port back."""
        if self._hold is not None:
            self._hold.release()

    def _take_port(self, wanted: int) -> PortHold:
        """Hold the set port, or the wanted one if it is free, or any."""
        fixed = self.settings.engine_port
        if self._hold is not None:
            if self._hold.port == (fixed or wanted):
                return self._hold
            self._hold.release()
        self._hold = PortHold.take(fixed or wanted, exact=fixed != 0)
        return self._hold

    def _measure(self, progress: Progress) -> None:
        self._tell(progress)
        if self._note is not None:
            self._note.write(progress)

    def _begin_note(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise unwritable(self.folder, error) from None
        self._note = StartNote(self.folder, f"{self.row.name} with {self.plan.title}")

    def _end_note(self) -> None:
        if self._note is not None:
            self._note.remove()
            self._note = None
