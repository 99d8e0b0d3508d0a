"""Starts the engine that the settings name, keeps it alive, and ends it with the app.

    with Supervisor(settings, on_progress=print) as endpoint: …

A healthy engine with the same model and options that another app has started is used, not
started twice; it stays its owner's, and when its owner goes this one starts its own at the
same address. An engine that dies is started again at the same port and with the same key,
so that clients go on. Three deaths within five minutes are given up: `failure` says why.
"""

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import httpx

from errors import Cancelled, EngineError
from serving.causes import explain
from serving.engines import ENGINES, Endpoint, Engine, engine_row, local_client
from serving.guard import GuardedProcess
from serving.logs import new_log, tail
from serving.model_source import downloaded_bytes
from serving.ports import PortHold
from serving.state import EngineState, Process, Record, end, unwritable
from settings import Settings

LOG_LINES = 30
_POLL_SECONDS = 0.1
_SAY_EVERY_SECONDS = 5.0
_STOPPED = (
    "The engine was stopped with `python -m serving stop`.",
    "Start the app again, or run `python -m serving start`.",
)


class Supervisor:
    """One engine, from start to stop. Safe to use from several threads.

    `on_progress` gets a line at a time, from any thread. `engines` is the table to look in.
    `failure` is set when the engine is gone for good; `endpoint` is the present one.
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
        self._process: GuardedProcess | None = None
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
        row = engine_row(self.settings.resolved_engine, self._engines)
        if row.connect is not None:
            self.endpoint = row.connect(self.settings, self._say)
            return self.endpoint
        assert row.plan is not None
        self._row = row
        self._plan = row.plan(self.settings)
        folder = self.settings.data_dir / "engines"
        model_id = self._plan.source.model_id
        self._state = EngineState(folder, row.name, model_id, self._plan.options)
        self._deadline = time.monotonic() + self.settings.engine_start_timeout_seconds
        try:
            self._find_or_launch()
        except BaseException:  # Ctrl-C too: nothing may be left behind
            self.stop()
            raise
        assert self.endpoint is not None
        watch = self._watch_own if self.owned else self._watch_others
        self._watcher = threading.Thread(target=watch, name="engine-watch", daemon=True)
        self._watcher.start()
        return self.endpoint

    def check(self) -> None:
        """Raise EngineError if the engine is gone for good."""
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End the engine if it is ours; leave another app's alone. May be called twice.

        A stopped supervisor isn't started again; make a new one.
        """
        self._stopping.set()
        self.endpoint = None
        if self._process is not None:
            if self._record is not None:
                self._state.clear(self._record.process)
            self._process.stop()
        watcher = self._watcher
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(timeout=10)
        if self._process is not None:  # a restart may have been under way
            if self._record is not None:
                self._state.clear(self._record.process)
            self._process.stop()
        if self._hold is not None:
            self._hold.release()

    # starting ---------------------------------------------------------------------------

    def _find_or_launch(self, port: int = 0, key: str = "") -> None:
        """Use the engine of the state file if it is healthy, otherwise start one."""
        told = False
        while True:
            with self._state.locked(1.0) as locked:
                if locked:
                    record = self._state.read()
                    if record is not None and not record.stopped and self._adopt(record):
                        return
                    if record is not None:
                        self._clean(record)
                    self._launch(port, key)
                    return
            self._refuse_to_go_on(self._deadline)
            if not told:
                self._say("another Hearth is starting this engine; waiting for it")
                told = True

    def _adopt(self, record: Record) -> bool:
        assert self._row.ready is not None
        endpoint = Endpoint(
            record.base_url, record.api_key, record.model_id, record.engine, record.process.pid
        )
        if not record.process.alive or not self._row.ready(endpoint):
            return False
        self._record, self.endpoint, self.owned = record, endpoint, False
        self.log = Path(record.log)
        self._say(f"using the engine that runs already, {self._plan.title}, {_address(endpoint)}")
        return True

    def _clean(self, record: Record) -> None:
        """Remove a stale record, and the engine of an app that is gone."""
        if not record.owner.alive and record.process.alive and not end(record):
            self._say(f"process {record.process.pid} of an earlier Hearth does not end")
        self._state.clear()

    def _launch(self, port: int, key: str) -> None:
        """Start the engine and wait until it answers. The caller holds the lock."""
        assert self._row.command is not None
        self._refuse_to_go_on(self._deadline)
        if self._hold is None or self._hold.port != port:
            if self._hold is not None:
                self._hold.release()
            self._hold = PortHold.take(self.settings.engine_port or port, exact=self._fixed_port)
        if not key and self._row.takes_key:
            key = secrets.token_urlsafe(24)
        model_id = self._plan.source.model_id
        base_url = f"http://127.0.0.1:{self._hold.port}/v1"
        command = self._row.command(self._plan, self._hold.port, key)
        self._say(f"starting {self._row.name} with {self._plan.title} …")
        if self._plan.source.folder is None:
            size = self._plan.source.download_bytes
            amount = f"{size / 1e9:.1f} GB" if size else "of unknown size"
            self._say(f"{model_id} is not on this machine yet: downloading it, {amount}")
        began = time.monotonic()
        try:
            self.log = new_log(self.settings.data_dir / "logs", self._plan.notes)
            self._process = GuardedProcess(
                command.argv, env=command.env, cwd=command.cwd, log=self.log
            )
        except OSError as error:
            if error.filename is not None:
                raise unwritable(Path(error.filename), error) from None
            raise EngineError(
                f"The engine {self._row.name} can't be started: {error}.",
                fix="Run `make run`, which mends the installation.",
            ) from None
        process = Process.of(self._process.pid)
        endpoint = Endpoint(base_url, key, model_id, self._row.name, process.pid)
        self._record = Record(
            engine=self._row.name,
            model_id=model_id,
            base_url=base_url,
            port=self._hold.port,
            api_key=key,
            log=str(self.log),
            process=process,
            guard=Process.of(self._process.guard_pid),
            owner=_myself(),
        )
        self._state.write(self._record)
        self._await_ready(endpoint, began)
        self._warm_up(endpoint)
        self.endpoint, self.owned = endpoint, True
        self._say(f"ready in {time.monotonic() - began:.0f} s {_address(endpoint)}")

    @property
    def _fixed_port(self) -> bool:
        return self.settings.engine_port != 0

    def _await_ready(self, endpoint: Endpoint, began: float) -> None:
        assert self._row.ready is not None and self._process is not None
        said, phase = time.monotonic(), ""
        while not self._row.ready(endpoint):
            if self._process.wait(_POLL_SECONDS):
                self._refuse_to_go_on(self._deadline)
                raise self._ended("ended before it was ready")
            self._refuse_to_go_on(self._deadline)
            now, doing = time.monotonic(), self._phase()
            if doing and (doing != phase or now - said >= _SAY_EVERY_SECONDS):
                self._say(f"{doing} ({now - began:.0f} s)")
                said, phase = now, doing

    def _phase(self) -> str:
        log = self._log_tail(200)
        doing = [what for text, what in self._row.phases if text in log]
        if not doing:
            return ""
        source = self._plan.source
        if source.folder is None and source.download_bytes:
            have = min(downloaded_bytes(source.model_id), source.download_bytes)
            if have < source.download_bytes:
                return f"downloading, {have / 1e9:.1f} of {source.download_bytes / 1e9:.1f} GB"
        return doing[-1]

    def _warm_up(self, endpoint: Endpoint) -> None:
        """One token: what the first request loads is loaded, and a model that can't is known."""
        request = {
            "model": endpoint.model_id,
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 1,
        }
        left = max(5.0, self._deadline - time.monotonic())
        try:
            with local_client(endpoint, timeout=left) as client:
                reply = client.post(f"{endpoint.base_url}/chat/completions", json=request)
        except httpx.HTTPError as error:
            assert self._process is not None
            if self._process.wait(0.5):
                raise self._ended("ended at its first reply") from None
            raise self._failed(f"gave no first reply ({error})") from None
        if reply.status_code != 200:
            raise self._failed(f"answered its first request with {reply.status_code}")

    def _refuse_to_go_on(self, deadline: float) -> None:
        if self._stopping.is_set():
            raise Cancelled("The start of the engine was stopped.")
        if time.monotonic() > deadline:
            seconds = self.settings.engine_start_timeout_seconds
            raise EngineError(
                f"The engine {self._row.name} did not become ready within {seconds:.0f} seconds.",
                fix="Raise engine_start_timeout_seconds, or choose a smaller model.",
                log=self._log_tail(),
            )

    # watching ---------------------------------------------------------------------------

    def _watch_own(self) -> None:
        """Start the engine again whenever it dies, until it has died too often."""
        try:
            while not self._stopping.is_set():
                assert self._process is not None
                self._process.wait()
                if self._stopping.is_set():
                    return
                self._restart()
        except Cancelled:
            return
        except EngineError as error:
            self._give_up(error)

    def _restart(self) -> None:
        record = self._state.read()
        if record is not None and record.stopped:
            raise EngineError(_STOPPED[0], fix=_STOPPED[1], log=self._log_tail())
        now = time.monotonic()
        self._deaths = [t for t in self._deaths if now - t < self._within] + [now]
        error = self._ended("died")
        if len(self._deaths) >= self._max_deaths:
            times = f"{len(self._deaths)} times within {now - self._deaths[0]:.0f} seconds"
            raise EngineError(
                f"The engine {self._row.name} died {times}; it isn't started again. "
                f"The last time, {error.message[0].lower()}{error.message[1:]}",
                fix=error.fix,
                log=error.log,
            )
        self._say(f"{error.message} Starting it again.")
        if self._stopping.wait(0.2 * 4 ** (len(self._deaths) - 1)):
            return
        assert self._record is not None
        self._deadline = time.monotonic() + self.settings.engine_start_timeout_seconds
        process = self._process
        try:
            with self._state.locked(self.settings.engine_start_timeout_seconds):
                self._launch(self._record.port, self._record.api_key)
        except EngineError:
            # An engine that ended during its start is one more death; all else is final.
            if self._process is process or (self._process is not None and self._process.alive):
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
                if present is not None and present.owner.alive and present.process.alive:
                    self._record = present  # its owner has started it again
                elif present is None or not present.owner.alive:
                    self._take_over()
                    if self.owned:
                        self._watch_own()
                        return
        except Cancelled:
            return
        except EngineError as error:
            self._give_up(error)

    def _take_over(self) -> None:
        assert self._record is not None
        self._say("the app that owned the engine is gone; starting our own")
        self._deadline = time.monotonic() + self.settings.engine_start_timeout_seconds
        self._find_or_launch(self._record.port, self._record.api_key)

    def _give_up(self, error: EngineError) -> None:
        self.failure = error
        if self._process is not None:
            self._process.stop()
        if self.owned and self._record is not None:
            record = self._state.read()
            if record is not None and not record.stopped:
                self._state.clear(self._record.process)
        self._say(error.message)

    # faults -----------------------------------------------------------------------------

    def _ended(self, how: str) -> EngineError:
        assert self._process is not None
        cause = explain(self._log_tail(200), self._process.code)
        return EngineError(
            f"The engine {self._row.name} {how}: {cause.what}.", fix=cause.fix, log=self._log_tail()
        )

    def _failed(self, how: str) -> EngineError:
        cause = explain(self._log_tail(200), 0)
        known = "" if cause.what.startswith("it exited") else f": {cause.what}"
        return EngineError(
            f"The engine {self._row.name} {how}{known}.", fix=cause.fix, log=self._log_tail()
        )

    def _log_tail(self, lines: int = LOG_LINES) -> str:
        with contextlib.suppress(OSError):
            return tail(self.log, lines) if self.log is not None else ""
        return ""


def _address(endpoint: Endpoint) -> str:
    return f"at {endpoint.base_url.removesuffix('/v1')}"


def _myself() -> Process:
    return Process.of(os.getpid())
