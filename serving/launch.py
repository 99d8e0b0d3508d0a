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
from serving.logs import new_log, tail
from serving.model_source import downloaded_bytes, size_text
from serving.ports import HOST
from serving.row import Endpoint, Engine, Plan, Say
from serving.state import unwritable

LOG_LINES = 30
_POLL_SECONDS = 0.1
_SAY_EVERY_SECONDS = 5.0
_UNSOUND = (
    "Try another checkpoint of the model, or another data type or engine: float16 overflows in "
    "some models, and damaged files or a wrong chat template show like this too."
)


class Launch:
    """An engine's process, started by the constructor; `endpoint` is where it will answer.

    Raises EngineError when the process or its log can't be made.
    """

    def __init__(
        self, row: Engine, plan: Plan, family: Family, *, port: int, key: str, logs: Path
    ) -> None:
        assert row.command is not None
        self.row, self.plan, self.family = row, plan, family
        self._began = time.monotonic()
        command = row.command(plan, port, key)
        try:
            self.log = new_log(logs, plan.notes)
        except OSError as error:
            raise unwritable(logs, error) from None
        try:
            self.process = GuardedProcess(
                command.argv, env=command.env, cwd=command.cwd, log=self.log
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

    def await_ready(self, go_on: Callable[[], float], say: Say) -> None:
        """Wait until the engine answers and has given a first reply.

        `go_on` returns the seconds that are left, or raises to end the wait. Raises
        EngineError when the engine ends or can't reply.
        """
        assert self.row.ready is not None
        source = self.plan.source
        if source.folder is None:
            size = size_text(source.download_bytes) if source.download_bytes else "size unknown"
            say(f"{self.plan.loaded_id} is not on this machine yet: downloading it ({size})")
        said, phase = time.monotonic(), ""
        while not self.row.ready(self.endpoint):
            if self.process.wait(_POLL_SECONDS):
                go_on()
                raise self.ended("ended before it was ready")
            go_on()
            now, doing = time.monotonic(), self._phase()
            if doing and (doing != phase or now - said >= _SAY_EVERY_SECONDS):
                say(f"{doing} ({self.seconds:.0f} s)")
                said, phase = now, doing
        self._self_test(go_on, say)

    def _phase(self) -> str:
        log = self.log_tail(200)
        doing = [what for text, what in self.row.phases if text in log]
        if not doing:
            return ""
        source = self.plan.source
        if source.folder is None and source.download_bytes:
            have = min(downloaded_bytes(self.plan.loaded_id), source.download_bytes)
            if have < source.download_bytes:
                return f"downloading, {size_text(have)} of {size_text(source.download_bytes)}"
        return doing[-1]

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
