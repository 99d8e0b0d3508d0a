"""Places of a route that the supervisor opens: engines of this machine, and `endpoint_url`."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from errors import EngineError, HearthError
from serving.connect import connect
from serving.engines import ENGINES, Engine, answers_health, chosen_engine, engine_row
from serving.families import Family, family_for
from serving.faults import shown_address
from serving.hub_files import in_hub_cache
from serving.model_family import family_of_model
from serving.place import PROBE_SECONDS, Place
from serving.progress import Measure
from serving.row import Endpoint, Say
from serving.state import USE_SUFFIX, Use, all_records
from serving.supervisor import Supervisor
from settings import BUNDLED_MODEL, Settings


class EnginePlace(Place):
    """What a supervisor starts or finds for `settings`: a local engine, or `endpoint_url`."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        bundled: bool = False,
        optional: bool = False,
        engines: Mapping[str, Engine] = ENGINES,
        measure: Measure | None = None,
    ) -> None:
        super().__init__(name, settings)
        self._measure = measure
        self.bundled, self.optional = bundled, optional
        self.paid = settings.resolved_engine == "endpoint"
        self._engines = engines
        self._supervisor: Supervisor | None = None
        self._closed = False

    @property
    def where(self) -> str:
        if self.settings.resolved_engine == "endpoint":
            return shown_address(self.settings.endpoint_url)
        return f"{self.endpoint.engine} on this machine" if self.endpoint else "this machine"

    @property
    def _wanted(self) -> str:
        unnamed = self.settings.model == BUNDLED_MODEL
        if unnamed and self.settings.resolved_engine == "endpoint":
            return f"the model at {self.where}"
        return self.settings.model

    @property
    def family(self) -> Family:
        named = self.settings.family
        if self.paid and not named:
            return family_for(self.model_id)
        return family_of_model(self.settings.model, self.model_id, named)

    def _open(self, say: Say) -> Endpoint:
        supervisor = Supervisor(
            self.settings, on_progress=say, on_measure=self._measure, engines=self._engines
        )
        with self._lock:
            if self._closed:
                raise EngineError("Hearth was stopped.")
            self._supervisor = supervisor
        return supervisor.start()

    def check(self) -> None:
        supervisor = self._supervisor
        if supervisor is None:
            return
        supervisor.check()
        known, now = self.endpoint, supervisor.endpoint
        if known and now and (known.base_url, known.notice) != (now.base_url, now.notice):
            self.endpoint = now  # its port was lost between two starts, or its plan is smaller

    @property
    def notice(self) -> str:
        return self._supervisor.notice if self._supervisor is not None else ""

    def probe(self) -> None:
        self.check()
        endpoint, settings = self.endpoint, self.settings
        if endpoint is None or endpoint.pid is not None or endpoint.transport is not None:
            return  # the supervisor watches its own engine; one in this process is there
        key = settings.endpoint_key.get_secret_value()
        connect(endpoint.base_url, key, endpoint.model_id, lambda _: None, seconds=PROBE_SECONDS)

    def look(self) -> tuple[str, str]:
        if self.paid:
            key = self.settings.endpoint_key.get_secret_value()
            model = "" if self.settings.model == BUNDLED_MODEL else self.settings.model
            url = self.settings.endpoint_url
            found = connect(url, key, model, lambda _: None, seconds=PROBE_SECONDS)
            return "well", found.notice or "It answers and has the model."
        row = engine_row(chosen_engine(self.settings), self._engines)
        if row.plan is None:
            return "can be loaded", f"Into Hearth's own process, by {row.name}."
        plan = row.plan(self.settings)
        wanted = (row.name, plan.source.model_id)
        for endpoint, _ in _running(self.settings):
            if (endpoint.engine, endpoint.model_id) == wanted:
                return "runs", f"At {endpoint.base_url}."
        if plan.obstacle is not None:
            raise plan.obstacle
        return "can be started", f"{plan.title}, by {row.name}."

    def reopens(self) -> bool:
        # An engine that could not be started needs the user: minutes would go on each try.
        return self.settings.resolved_engine == "endpoint"

    def close(self) -> None:
        with self._lock:
            self._closed = True
            supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.stop()
        super().close()


class LocalPlace(Place):
    """An engine that another Hearth of this data folder has started, whatever its model.

    Where none runs, it is `startable`, if that is given: an engine that can be started here.
    """

    def __init__(
        self, settings: Settings, *, optional: bool, startable: EnginePlace | None = None
    ) -> None:
        super().__init__("local", settings)
        self.optional = optional
        self._startable = startable
        self._use: Use | None = None

    @property
    def where(self) -> str:
        return f"{self.endpoint.engine} on this machine" if self.endpoint else "this machine"

    @property
    def _wanted(self) -> str:
        return self._startable.model_id if self._startable else "an engine that runs already"

    @property
    def family(self) -> Family:
        startable = self._startable
        ours = startable is not None and self.endpoint in (None, startable.endpoint)
        return startable.family if startable and ours else super().family

    def _open(self, say: Say) -> Endpoint:
        for endpoint, use_file in self._others():
            with contextlib.suppress(OSError):  # or one that is kept would end while it is used
                self._use = Use(use_file)
            say(f"using the engine that runs already, {endpoint.model_id}")
            return endpoint
        startable = self._startable
        if startable is None or not can_start_here(startable.settings):
            raise EngineError(
                "No engine runs on this machine.", fix="Start one: make serve MODEL=…"
            )
        try:
            return startable.open(say, lambda: None)
        except HearthError:
            self._startable = None  # minutes would go on each further try
            startable.close()
            raise

    def _others(self) -> list[tuple[Endpoint, Path]]:
        """Engines that other Hearths run; that with the bundled model is no gain."""
        running = _running(self.settings, others=True)
        return [found for found in running if Path(found[0].model_id).name != BUNDLED_MODEL]

    def look(self) -> tuple[str, str]:
        for endpoint, _ in self._others():
            return "runs", f"{endpoint.model_id} at {endpoint.base_url}."
        if self._startable is not None and can_start_here(self._startable.settings):
            return "can be started", "The model's files are on this machine, and it fits."
        return "none", "No engine runs on this machine."

    def check(self) -> None:
        startable = self._startable
        if startable is not None:
            ours = self.endpoint == startable.endpoint
            startable.check()
            if ours:
                self.endpoint = startable.endpoint

    @property
    def notice(self) -> str:
        startable = self._startable
        ours = startable is not None and self.endpoint == startable.endpoint
        return startable.notice if startable and ours else super().notice

    def probe(self) -> None:
        self.check()
        if self.endpoint is not None and not answers_health(self.endpoint):
            self.endpoint = None  # the next one may have another address
            self._end_use()
            raise EngineError("The engine on this machine doesn't answer.")

    def close(self) -> None:
        if self._startable is not None:
            self._startable.close()
        self._end_use()
        super().close()

    def _end_use(self) -> None:
        use, self._use = self._use, None
        if use is not None:
            use.end()


def _running(settings: Settings, *, others: bool = False) -> list[tuple[Endpoint, Path]]:
    """The engines of this data folder that answer, each with its use file (serving/state.py);
    with `others` those of other processes."""
    found = []
    for path, record in all_records(settings.data_dir / "engines"):
        endpoint = Endpoint(record.base_url, record.api_key, record.model_id, record.engine, None)
        ours = record.owner.pid == os.getpid()
        if record.stopped or (others and ours) or not record.process.alive:
            continue
        if answers_health(endpoint):
            found.append((endpoint, path.with_suffix(USE_SUFFIX)))
    return found


def can_start_here(settings: Settings) -> bool:
    """Whether the model's files are on this machine and its plan fits: nothing is downloaded."""
    from serving.hardware import look
    from serving.plan import Wishes, make_plan
    from serving.plan.source import find_model, on_disk

    model = settings.model
    try:
        if not Path(model).expanduser().is_dir() and not in_hub_cache(model):
            return False
        hardware = look(ask_hub=False)
        found = find_model(model, model, lambda: hardware.hub)
        return make_plan(hardware, found.shape, Wishes(), have=on_disk).fits
    except (HearthError, RuntimeError):
        return False
