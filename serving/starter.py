"""What the supervisor starts its engine with: the port and key it keeps, the files it needs, the
time it gives. One `Starter` serves all the starts of one engine.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from errors import Cancelled, EngineError
from serving.causes import SHORT
from serving.fetch import fetch_model
from serving.first_reply import family_of
from serving.launch import Launch
from serving.model_source import ModelSource, listed_on_hub
from serving.ports import PortHold
from serving.progress import Measure, Progress
from serving.row import Engine, Plan, Say
from serving.smaller import next_step
from serving.starting import StartNote
from serving.state import Process, Record, unwritable
from settings import Settings

_MOST_STEPS = 4  # towards a plan that fits, each of which may take minutes
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
        self._steps: list[str] = []
        self._checked = False

    @property
    def folder(self) -> Path:
        """Where the state of engines is kept."""
        return self.settings.data_dir / "engines"

    @property
    def _logs(self) -> Path:
        return self.settings.data_dir / "logs"

    @property
    def notice(self) -> str:
        """How its plan is smaller than the first one, for the user; empty where it is not."""
        said = "; ".join(self._steps)
        return f"The memory did not suffice, so it runs with {said}." if said else ""

    def fetch(self) -> None:
        """Download what the plan's model lacks on this machine. Raises EngineError."""
        source = self.plan.source
        if not source.files:
            return
        if self.plan.obstacle is not None:  # before gigabytes are downloaded for nothing
            raise self.plan.obstacle
        self._bring(source)

    def _bring(self, source: ModelSource, *, check: bool = False) -> bool:
        """Download the files of `source`, and plan anew; returns whether anything came."""
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
        """Start the engine and wait until it answers; where its memory does not suffice, or a file
        of its model is damaged, mend that and try again. `keep` stores its record at once.

        `port` and `key` are those to have again, 0 and empty for new ones; `use_file` is what
        those who use it hold a lock on. Raises EngineError.
        """
        for _ in range(_MOST_STEPS):
            try:
                return self._start_once(port, key, keep, use_file)
            except EngineError as error:
                if not self._mends(error):
                    raise
        return self._start_once(port, key, keep, use_file)

    def _mends(self, error: EngineError) -> bool:
        """Whether the next try may go better; what was not done about it is added to the error."""
        launch = self.launch
        cause = launch.cause if launch is not None else None
        if launch is None or cause is None or cause.kind not in (*SHORT, "killed", "damaged"):
            return False
        launch.process.stop()  # one that gives no reply still runs
        launch.cause = None
        if cause.kind == "damaged":
            return self._fetches_again()
        return self.plans_smaller(error, cause.kind, self.settings.engine_smaller)

    def plans_smaller(self, error: EngineError, kind: str, how: str) -> bool:
        """Take the next smaller plan after `error`, whose cause is of this `kind`; returns whether
        there is one. `how` is as the setting `engine_smaller`. Raises `error`, which then offers
        the plan, where it may not be taken.
        """
        step = next_step(self.settings, self.row.name, kind)
        if step is None:
            return False
        if how == "never" or (how == "same" and not step.same_model):
            error.fix += f"\nThe next smaller plan is {step.said}: set {step.as_settings}"
            raise error
        self._say(f"{error.message} Trying {step.said} (for good: {step.as_settings}).")
        self.settings = self.settings.model_copy(update=dict(step.changes))
        assert self.row.plan is not None
        self.plan = self.row.plan(self.settings)
        self.fetch()
        self._steps.append(step.said)
        return True

    def _fetches_again(self) -> bool:
        """Whether a damaged file of a hub model was found and fetched anew; done once."""
        if self._checked or not self.plan.source.from_hub:
            return False
        self._checked = True
        source = listed_on_hub(self.plan.loaded_id, self.plan.source)
        self._say("comparing the model's files with their published checksums")
        return self._bring(source, check=True)

    def _start_once(self, port: int, key: str, keep: Keep, use_file: Path) -> Record:
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
        launch.endpoint = replace(launch.endpoint, notice=self.notice)
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
