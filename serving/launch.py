"""One start of an engine: the process, its log, the wait until it answers, why it failed.

The supervisor makes one `Launch` for every start and restart.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from errors import EngineError, ModelError
from serving.causes import Cause, explain
from serving.families import Family
from serving.first_reply import Faulty, check_first_reply
from serving.guard import GuardedProcess
from serving.hub_files import downloaded_bytes
from serving.loading import loaded_share, phase_of
from serving.logs import new_log, tail
from serving.ports import HOST
from serving.progress import Measure, Meter, Progress
from serving.row import Endpoint, Engine, Plan, Say
from serving.state import unwritable

LOG_LINES = 30
_POLL_SECONDS = 0.1
_UNSOUND = (
    "Try another checkpoint of the model, or another data type or engine: float16 overflows in "
    "some models, and damaged files or a wrong chat template show like this too."
)


class Launch:
    """An engine's process, started by the constructor; `endpoint` is where it will answer,
    and `ready` whether it has.

    `cause` is why it failed, once it has. Raises EngineError when the process or its log can't
    be made.
    """

    def __init__(
        self,
        row: Engine,
        plan: Plan,
        family: Family,
        *,
        port: int,
        key: str,
        logs: Path,
        keep_minutes: float = 0.0,
        use_file: Path | None = None,
    ) -> None:
        assert row.command is not None
        self.row, self.plan, self.family = row, plan, family
        self.cause: Cause | None = None
        self.ready = False
        self._began = time.monotonic()
        command = row.command(plan, port, key)
        try:
            self.log = new_log(logs, plan.notes)
        except OSError as error:
            raise unwritable(logs, error) from None
        try:
            self.process = GuardedProcess(
                command.argv,
                env=command.env,
                cwd=command.cwd,
                log=self.log,
                keep_seconds=keep_minutes * 60,
                use_file=use_file,
            )
        except OSError as error:
            raise EngineError(
                f"The engine {row.name} can't be started: {error}.",
                fix="Run `make run`, which mends the installation.",
            ) from None
        model_id = plan.source.model_id
        self.endpoint = Endpoint(
            f"http://{HOST}:{port}/v1", key, model_id, row.name, self.process.pid
        )

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def await_ready(self, go_on: Callable[[], float], say: Say, measure: Measure) -> None:
        """Wait until the engine answers and has given a first reply.

        `go_on` returns the seconds that are left, or raises to end the wait; `measure` hears how
        far it is. Raises EngineError when the engine ends or can't reply; `cause` is then why.
        """
        assert self.row.ready is not None
        meter = Meter()
        while not self.row.ready(self.endpoint):
            if self.process.wait(_POLL_SECONDS):
                go_on()
                raise self.ended("ended before it was ready")
            go_on()
            measure(self._progress(meter))
        measure(meter.read("asking it a first question"))
        self._self_test(go_on, say)
        self.ready = True

    def _progress(self, meter: Meter) -> Progress:
        log, source = self.log_tail(200), self.plan.source
        if source.folder is None and source.download_bytes:  # the engine downloads by itself
            have = downloaded_bytes(self.plan.loaded_id)
            if have < source.download_bytes:
                what = f"downloading {self.plan.loaded_id}"
                return meter.read(what, have, source.download_bytes)
        phase = phase_of(log, self.row.phases) or f"starting {self.row.name}"
        share, weights = loaded_share(log), source.weight_bytes
        if share is None or not weights:
            return meter.read(phase)
        return meter.read("loading weights", int(share * weights), weights)

    def _self_test(self, go_on: Callable[[], float], say: Say) -> None:
        """A first reply: what it loads is loaded, and a model that isn't sound is known."""
        try:
            remark = check_first_reply(self.endpoint, self.family, max(5.0, go_on()))
        except ModelError as error:
            ended = self.process.wait(1.0)
            go_on()
            if ended:
                raise self.ended("ended at its first reply") from None
            raise self.failed(f"gave no first reply ({error.message})") from None
        except Faulty as fault:
            raise EngineError(
                f"The engine {self.row.name} runs, but its model is not sound: it {fault}.",
                fix=f"{_UNSOUND} Its log is {self.log}",
                log=self.log_tail(),
            ) from None
        if remark:
            say(remark)

    def ended(self, how: str) -> EngineError:
        """The error for an engine whose process has ended, with the likely cause in words."""
        cause = explain(self.log_tail(200), self.process.code)
        return self._error(f"{how}: {cause.what}", cause)

    def failed(self, how: str) -> EngineError:
        """The error for an engine that runs but doesn't do its work."""
        cause = explain(self.log_tail(200), 0)
        known = "" if cause.what.startswith("it exited") else f": {cause.what}"
        return self._error(f"{how}{known}", cause)

    def _error(self, what: str, cause: Cause) -> EngineError:
        self.cause = cause
        return EngineError(
            f"The engine {self.row.name} {what}.",
            fix=f"{cause.fix} Its log is {self.log}",
            log=self.log_tail(),
        )

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines of the log."""
        with contextlib.suppress(OSError):
            return tail(self.log, lines)
        return ""
