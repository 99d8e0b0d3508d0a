"""Starts the engine that the settings name, keeps it alive, and ends it with the app.

    with Supervisor(settings, on_progress=print) as endpoint: …

A healthy engine with the same model and options that another app has started is used, not
started twice; it stays its owner's, and when its owner goes this one starts its own at the
same address. An engine that dies is started again at the same port and with the same key,
so that clients go on. Three deaths within five minutes are given up: `failure` says why.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from errors import Cancelled, EngineError
from serving.engines import ENGINES, Endpoint, Engine, chosen_engine, engine_row
from serving.first_reply import family_of
from serving.launch import Launch
from serving.ports import PortHold
from serving.state import EngineState, Process, Record, end
from settings import Settings

_POLL_SECONDS = 0.2
_ADOPT_SECONDS = 10.0
_STOPPED = (
    "The engine was stopped with `python -m serving stop`.",
    "Start the app again, or run `python -m serving start`.",
)


class Supervisor:
    """One engine, from start to stop. `stop` and `check` may be called from any thread.

    `on_progress` gets a line at a time, from any thread. `engines` is the table to look in.
    `failure` is set when the engine is gone for good; `endpoint` is the present one, `owned`
    whether it is this supervisor's; `log` is the engine's log file.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_progress: Callable[[str], None] | None = None,
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
        self._engines = engines
        self._max_deaths = max_deaths
        self._within = within_seconds
        self._deaths: list[float] = []
        self._stopping = threading.Event()
        self._launch: Launch | None = None
        self._record: Record | None = None
        self._hold: PortHold | None = None
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
        assert row.plan is not None
        self._row = row
        self._plan = row.plan(self.settings)
        folder = self.settings.data_dir / "engines"
        model_id = self._plan.source.model_id
        self._state = EngineState(folder, row.name, model_id, self._plan.options)
        try:
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
        """End the engine if it is ours; leave another app's alone. May be called twice.

        A stopped supervisor isn't started again; make a new one.
        """
        self._stopping.set()
        self.endpoint = None
        self._end_own()
        watcher = self._watcher
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(timeout=10)
            self._end_own()  # it may have been starting it again
        if self._hold is not None:
            self._hold.release()

    def _end_own(self) -> None:
        if self._launch is not None:
            if self._record is not None:  # first, so that nobody takes up what is ending
                self._state.clear(self._record.process)
            self._launch.process.stop()

    # starting ---------------------------------------------------------------------------

    def _find_or_start(self, port: int = 0, key: str = "") -> None:
        """Use the engine of the state file if there is one, otherwise start one.

        Whoever starts an engine, or starts it again, holds the lock until it answers.
        """
        go_on, told = self._patience(), False
        while True:
            with self._state.locked(1.0) as locked:
                if locked:
                    record = self._state.read()
                    if record is None or record.stopped or not record.owner.alive:
                        if record is not None:
                            self._clean(record)
                        self._start(port, key)
                        return
                    if record.process.alive:
                        self._adopt(record, go_on)
                        return
                    # It has just died, and its owner is about to start it again.
            go_on()
            if not told:
                self._say("another Hearth is starting this engine; waiting for it")
                told = True
            self._stopping.wait(_POLL_SECONDS)

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
        self._say(f"using the engine that runs already, {self._plan.title}, {_at(endpoint)}")

    def _clean(self, record: Record) -> None:
        """Remove a stale record, and end what an app that is gone has left running."""
        if record.process.alive and not end(record):
            self._say(f"process {record.process.pid} of an earlier Hearth does not end")
        self._state.clear()

    def _start(self, port: int, key: str) -> None:
        """Start the engine and wait until it answers. The caller holds the lock."""
        go_on = self._patience()
        go_on()
        hold = self._take_port(port)
        if not key and self._row.takes_key:
            key = secrets.token_urlsafe(24)
        self._say(f"starting {self._row.name} with {self._plan.title} …")
        logs = self.settings.data_dir / "logs"
        family = family_of(self._plan, self.settings.family)
        launch = Launch(self._row, self._plan, family, port=hold.port, key=key, logs=logs)
        self._launch, self.log = launch, launch.log
        self._record = Record(
            engine=self._row.name,
            model_id=launch.endpoint.model_id,
            base_url=launch.endpoint.base_url,
            port=hold.port,
            api_key=key,
            log=str(launch.log),
            process=Process.of(launch.process.pid),
            guard=Process.of(launch.process.guard_pid),
            owner=Process.of(os.getpid()),
        )
        self._state.write(self._record)
        launch.await_ready(go_on, self._say)
        self.endpoint, self.owned = launch.endpoint, True
        self._say(f"ready in {launch.seconds:.0f} s {_at(launch.endpoint)}")

    def _take_port(self, wanted: int) -> PortHold:
        """Hold the set port, or the wanted one if it is free, or any."""
        fixed = self.settings.engine_port
        if self._hold is not None:
            if self._hold.port == (fixed or wanted):
                return self._hold
            self._hold.release()
        self._hold = PortHold.take(fixed or wanted, exact=fixed != 0)
        return self._hold

    def _patience(self) -> Callable[[], float]:
        """A function that returns the seconds left for a start, or raises to end it."""
        allowed = self.settings.engine_start_timeout_seconds
        deadline = time.monotonic() + allowed

        def go_on() -> float:
            if self._stopping.is_set():
                raise Cancelled("The start of the engine was stopped.")
            left = deadline - time.monotonic()
            if left <= 0:
                raise EngineError(
                    f"The engine {self._row.name} did not become ready within {allowed:.0f} "
                    "seconds.",
                    fix="Raise HEARTH_ENGINE_START_TIMEOUT_SECONDS, or choose a smaller model.",
                    log=self._launch.log_tail() if self._launch is not None else "",
                )
            return left

        return go_on

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
        now = time.monotonic()
        self._deaths = [t for t in self._deaths if now - t < self._within] + [now]
        error = dead.ended("died")
        if len(self._deaths) >= self._max_deaths:
            times = f"{len(self._deaths)} times within {now - self._deaths[0]:.0f} seconds"
            raise EngineError(
                f"The engine {self._row.name} died {times}; it isn't started again. "
                f"The last time, {error.message[0].lower()}{error.message[1:]}",
                fix=error.fix,
                log=error.log,
            )
        self._say(f"{error.message} Starting it again.")
        if self._stopping.wait(min(10.0, 0.2 * 4 ** (len(self._deaths) - 1))):
            return
        assert self._record is not None
        go_on = self._patience()
        while True:
            with self._state.locked(1.0) as locked:
                if locked:
                    self._raise_if_stopped()  # meanwhile
                    self._start_after(dead, self._record)
                    return
            go_on()

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
