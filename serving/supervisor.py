"""Starts the engine that the settings name, keeps it alive, and ends it with the app.

    with Supervisor(settings, on_progress=print) as endpoint: …

A healthy engine with the same model and options that another app has started is used, not
started twice; it stays its owner's, and when its owner goes this one starts its own at the
same address. With `engine_keep_minutes` an engine lives on without an app for a while instead,
and the next app finds it. An engine that dies is started again at the same port and with the same
key, so that clients go on; one that ran out of memory with the next smaller plan of its model.
Three deaths within five minutes are given up: `failure` says why.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from errors import Cancelled, EngineError
from serving.causes import SHORT
from serving.deaths import Deaths
from serving.engines import ENGINES, Endpoint, Engine, chosen_engine, engine_row
from serving.launch import Launch
from serving.progress import Measure, duration, lines
from serving.starter import Starter
from serving.state import NOBODY, EngineState, Record, Use, end
from settings import Settings

_POLL_SECONDS = 0.2
_ADOPT_SECONDS = 10.0
_STOPPED = (
    "The engine was stopped with `python -m serving stop`.",
    "Start the app again, or run `python -m serving start`.",
)


class Supervisor:
    """One engine, from start to stop. `stop` and `check` may be called from any thread.

    `on_progress` gets a line at a time, from any thread; `on_measure` how far a start is, several
    times a second, in bytes and seconds, and without it that comes as lines too. `engines` is the
    table to look in. An engine that dies `max_deaths` times `within_seconds` is given up.
    `failure` is set when the engine is gone for good; `endpoint` is the present one, `owned`
    whether it is this supervisor's; `log` is the engine's log file.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_progress: Callable[[str], None] | None = None,
        on_measure: Measure | None = None,
        engines: Mapping[str, Engine] = ENGINES,
        max_deaths: int = 3,
        within_seconds: float = 300.0,
    ) -> None:
        self.settings = settings
        self.endpoint: Endpoint | None = None
        self.owned = False
        self.failure: EngineError | None = None
        self.log: Path | None = None
        self._say = on_progress or (lambda _: None)
        self._measure = on_measure or lines(self._say)
        self._engines = engines
        self._deaths = Deaths(max_deaths, within_seconds)
        self._stopping = threading.Event()
        self._starter: Starter | None = None
        self._record: Record | None = None
        self._use: Use | None = None
        self._left = False
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> Endpoint:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Endpoint:
        """Start or find the engine; returns when it answers.

        Raises SettingsError or InputError when what is asked for can't be, EngineError when
        the engine can't be started (with the end of its log), Cancelled on `stop`.
        """
        if self.endpoint is not None:
            self.check()
            return self.endpoint
        if self._stopping.is_set():
            raise Cancelled("The engine was stopped.")
        row = engine_row(chosen_engine(self.settings), self._engines)
        if row.connect is not None:
            self.endpoint = row.connect(self.settings, self._say)
            return self.endpoint
        self._row = row
        try:
            self._prepare(row)
            self._find_or_start()
        except BaseException:  # Ctrl-C too: nothing may be left behind
            self.stop()
            raise
        assert self.endpoint is not None
        watch = self._watch_own if self.owned else self._watch_others
        self._watcher = threading.Thread(target=watch, name="engine-watch", daemon=True)
        self._watcher.start()
        return self.endpoint

    def check(self) -> None:
        """Raise EngineError if the engine is gone for good, and not about to come back."""
        if self.failure is not None:
            raise self.failure
        if self._stopping.is_set():
            raise EngineError("The engine was stopped.", fix="Start Hearth again.")

    def stop(self) -> None:
        """End the engine if it is ours and not to be kept; leave another app's alone.

        May be called twice.

        A stopped supervisor isn't started again; make a new one.
        """
        self._stopping.set()
        self.endpoint = None
        self._end_own()
        watcher = self._watcher
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(timeout=10)
            self._end_own()  # it may have been starting it again
        if self._starter is not None:
            self._starter.release()
        if self._use is not None:
            self._use.end()

    @property
    def notice(self) -> str:
        """What the user should know of how the engine runs, or is about to run again."""
        if self._starter is not None and self.owned:
            return self._starter.notice
        return self.endpoint.notice if self.endpoint is not None else ""

    @property
    def _launch(self) -> Launch | None:
        return self._starter.launch if self._starter is not None else None

    def _end_own(self) -> None:
        launch = self._launch
        if launch is None or self._left:
            return
        if self.settings.engine_keep_minutes and launch.ready and launch.process.alive:
            self._left = True
            if self._record is not None:  # it has no owner now, though this process may go on
                self._state.write(replace(self._record, owner=NOBODY))
            launch.process.leave()
            kept = duration(self.settings.engine_keep_minutes * 60)
            self._say(f"the engine stays for {kept}; `python -m serving stop` ends it")
            return
        if self._record is not None:  # first, so that nobody takes up what is ending
            self._state.clear(self._record.process)
        launch.process.stop()

    # starting ---------------------------------------------------------------------------

    def _prepare(self, row: Engine) -> None:
        """Settle the plan, and bring the model's files onto this machine."""
        starter = Starter(
            self.settings, row, say=self._say, measure=self._measure, stopping=self._stopping
        )
        self._starter = starter
        starter.fetch()
        plan = starter.plan
        self._state = EngineState(starter.folder, row.name, plan.source.model_id, plan.options)
        self._use = self._state.use()

    def _find_or_start(self, port: int = 0, key: str = "") -> None:
        """Use the engine of the state file if there is one, otherwise start one.

        Whoever starts an engine, or starts it again, holds the lock until it answers.
        """
        assert self._starter is not None
        go_on, told = self._starter.patience(), False
        while True:
            with self._state.locked(1.0) as locked:
                if locked:
                    record = self._state.read()
                    if self._takes_up(record, go_on):
                        return
                    if record is None or record.stopped or not record.owner.alive:
                        if record is not None:
                            self._clean(record)
                        self._start(port, key)
                        return
                    # It has just died, and its owner is about to start it again.
            go_on()
            if not told:
                self._say("another Hearth is starting this engine; waiting for it")
                told = True
            self._stopping.wait(_POLL_SECONDS)

    def _takes_up(self, record: Record | None, go_on: Callable[[], float]) -> bool:
        """Use the engine of `record` where one runs; a kept one that is mute is given up."""
        if record is None or record.stopped or not record.process.alive:
            return False
        if record.owner.alive:
            self._adopt(record, go_on)
            return True
        if not record.is_kept:
            return False
        try:
            self._adopt(record, go_on)
        except EngineError:
            return False
        return True

    def _adopt(self, record: Record, go_on: Callable[[], float]) -> None:
        """Use another app's engine. Raises EngineError if it runs but doesn't answer."""
        assert self._row.ready is not None
        endpoint = Endpoint(
            record.base_url, record.api_key, record.model_id, record.engine, record.process.pid
        )
        until = time.monotonic() + _ADOPT_SECONDS
        while not self._row.ready(endpoint):
            go_on()
            if time.monotonic() > until:
                raise EngineError(
                    f"Another Hearth (process {record.owner.pid}) runs this engine at "
                    f"{record.base_url}, but it doesn't answer.",
                    fix="Stop it with `python -m serving stop`, then try again.",
                )
            self._stopping.wait(_POLL_SECONDS)
        self.log = Path(record.log)
        self._record, self.endpoint, self.owned = record, endpoint, False
        title = self._starter.plan.title if self._starter is not None else ""
        self._say(f"using the engine that runs already, {title}, {_at(endpoint)}")

    def _clean(self, record: Record) -> None:
        """Remove a stale record, and end what an app that is gone has left running."""
        if record.process.alive and not end(record):
            self._say(f"process {record.process.pid} of an earlier Hearth does not end")
        self._state.clear()

    def _start(self, port: int, key: str) -> None:
        """Start the engine and wait until it answers. The caller holds the lock."""
        assert self._starter is not None
        try:
            self._starter.start(port, key, self._keep, self._state.use_file)
        finally:
            if self._launch is not None:
                self.log = self._launch.log
        assert self._launch is not None
        self.endpoint, self.owned = self._launch.endpoint, True
        self._say(f"ready in {self._launch.seconds:.0f} s {_at(self.endpoint)}")

    def _keep(self, record: Record) -> None:
        self._record = record
        self._state.write(record)

    # watching ---------------------------------------------------------------------------

    def _watch_own(self) -> None:
        """Start the engine again whenever it dies, until it has died too often."""
        try:
            while not self._stopping.is_set():
                assert self._launch is not None
                self._launch.process.wait()
                if not self._stopping.is_set():
                    self._restart(self._launch)
        except Cancelled:
            return
        except EngineError as error:
            self._give_up(error)

    def _restart(self, dead: Launch) -> None:
        self._raise_if_stopped()
        error = dead.ended("died")
        wait = 0.0 if self._plans_smaller(dead, error) else self._deaths.another()
        if wait is None:
            raise EngineError(
                f"The engine {self._row.name} died {self._deaths}; it isn't started again. "
                f"The last time, {error.message[0].lower()}{error.message[1:]}",
                fix=error.fix,
                log=error.log,
            )
        self._say(f"{error.message} Starting it again.")
        if self._stopping.wait(wait):
            return
        assert self._record is not None and self._starter is not None
        go_on = self._starter.patience()
        while True:
            with self._state.locked(1.0) as locked:
                if locked:
                    self._raise_if_stopped()  # meanwhile
                    self._start_after(dead, self._record)
                    return
            go_on()

    def _plans_smaller(self, dead: Launch, error: EngineError) -> bool:
        """Whether it ran out of memory and is to come back with a smaller plan.

        Raises the error, with an offer, where the smaller plan may not be taken: as it was, it
        would die at the same point. Those that use it keep their model: another is only offered.
        """
        assert self._starter is not None
        cause = dead.cause
        if cause is None or cause.kind not in SHORT:
            return False
        dead.process.stop()  # what is left of it holds memory
        how = self.settings.engine_smaller
        return self._starter.plans_smaller(error, cause.kind, "never" if how == "never" else "same")

    def _raise_if_stopped(self) -> None:
        """Raise EngineError if someone has stopped our engine, or begun another in its place."""
        present, ours = self._state.read(), self._record
        if present is not None and (present.stopped or (ours and present.process != ours.process)):
            raise EngineError(_STOPPED[0], fix=_STOPPED[1])

    def _start_after(self, dead: Launch, record: Record) -> None:
        try:
            self._start(record.port, record.api_key)
        except EngineError:
            # One that ended while it started is one more death; any other fault is final.
            if self._launch is None or self._launch is dead or self._launch.process.alive:
                raise

    def _watch_others(self) -> None:
        """Watch another app's engine; when it and its owner are gone, start our own."""
        try:
            while not self._stopping.wait(1.0):
                assert self._record is not None
                if self._record.process.alive:
                    continue
                present = self._state.read()
                if present is not None and present.stopped:
                    raise EngineError(_STOPPED[0], fix=_STOPPED[1])
                self._find_or_start(self._record.port, self._record.api_key)
                if self.owned:
                    self._watch_own()
                    return
        except Cancelled:
            return
        except EngineError as error:
            self._give_up(error)

    def _give_up(self, error: EngineError) -> None:
        self.failure = error
        record = self._state.read()
        if self._launch is not None:
            self._launch.process.stop()
            # A record that says "stopped" stays, for the apps that used this engine too.
            if self._record is not None and record is not None and not record.stopped:
                self._state.clear(self._record.process)
        self._say(error.message)


def _at(endpoint: Endpoint) -> str:
    return f"at {endpoint.base_url.removesuffix('/v1')}"
