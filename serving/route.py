"""The route: the models that may answer, the best first, and which of them can at the moment.

One for a whole Hearth: what one session learns of an endpoint, all know. `serving.router` is
the model that a session talks to.
"""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from pydantic import SecretStr

from errors import Cancelled, EngineError, HearthError, InputError, ModelError, Refused
from serving.aside import Aside
from serving.breaker import MOST_SECONDS
from serving.engines import ENGINES, Engine
from serving.families import family_named
from serving.ledger import Ledger, LimitReached
from serving.link import Quirks
from serving.place import Place
from serving.place_endpoint import EndpointPlace
from serving.place_engine import EnginePlace, LocalPlace
from serving.progress import Measure, Progress, lines
from serving.providers import PROVIDERS
from serving.row import Say
from settings import BUNDLED_MODEL, Settings
from settings.of_route import PRESETS

BUNDLED_SAYS = "The bundled model knows simple tasks only."
_HOLD_SECONDS = 20.0  # at least: a limit of requests a minute must not have a run go to and fro


class Route:
    """The places of `settings.route`. `say` is told, line by line, how one comes up, `measure` how
    far it is.

    `notice` says, after `start`, what was asked for and passed over, or is empty; `progress` how
    far the opening of a place is at present, if one is measured; `startup` is what `begin` began.
    Raises SettingsError for a family that does not exist.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        say: Say | None = None,
        measure: Measure | None = None,
        engines: Mapping[str, Engine] = ENGINES,
    ) -> None:
        self.settings = settings
        self._say = say or (lambda _: None)
        self._measure = measure or lines(self._say)
        self.places = places_of(settings, engines, self._hear)
        self.ledger = Ledger(settings.data_dir / "route.db")
        self.notice = ""
        self.progress: Progress | None = None
        self.startup: Aside[Place] | None = None
        self._stopped = threading.Event()
        if settings.family:
            family_named(settings.family)
        for place in self.places:
            _ = place.family

    @property
    def strict(self) -> bool:
        """Whether there is only one place, and so nothing to choose."""
        return len(self.places) == 1

    @property
    def present(self) -> Place | None:
        """The best place that is open and not known to be ill, or the first that is open."""
        there = [place for place in self.places if place.endpoint is not None]
        well = (p for p in there if p.breaker.state == "closed" and not p.gone)
        return next(well, there[0] if there else None)

    def preferred(self) -> Place:
        """The first place of those that the user counts on, whether it is open or not."""
        wanted = (p for p in self.places if p.endpoint is not None or not p.optional)
        return next(wanted, self.places[0])

    def start(self) -> Place:
        """Open the first place that can be opened; returns it.

        Raises SettingsError and InputError for what is wrong with the settings, and EngineError
        where no place can be opened: for a single one its own, with the end of its log.
        """
        passed: dict[Place, HearthError] = {}
        for number, place in enumerate(self.places, start=1):
            fault = self._try(place, self._raise_if_stopped)
            if fault is None:
                self.notice = _passed_over(passed, place)
                return place
            passed[place] = fault
            # Where nothing follows that is counted on, the error says it.
            if not place.optional and not all(p.optional for p in self.places[number:]):
                self._say(f"{place.name} can't be used: {fault.message}")
        raise self._nobody(passed)

    def begin(self) -> Aside[Place]:
        """`start`, on a thread of its own. Who needs a model meanwhile waits for it."""
        self.startup = Aside(self.start, "start of the route")
        return self.startup

    def stop(self) -> None:
        """Close all places; engines that were started for them end."""
        self._stopped.set()
        for place in self.places:
            place.close()

    def choose(
        self,
        go_on: Callable[[], None],
        failed: Mapping[Place, HearthError] = MappingProxyType({}),
        only: Place | None = None,
    ) -> Place:
        """The best place that can answer now and is none of `failed`; opens it if need be.

        With `only` that one, whatever went before.

        Raises EngineError, which lists every place with its reason, where there is none, or the
        one reason there is. While the route starts it waits for that, and fails as that does.
        """
        if self.startup is not None and not self.startup.over:
            self.startup.wait(go_on)
        if only is not None:
            self.ledger.check(only.name, only.limits)
            self._open(only, go_on)
            only.check()
            return only
        faults: dict[Place, HearthError] = {}
        for anyhow in (False, True):  # rather one that is out for a while than none
            for place in self.places:
                fault = failed.get(place) or self._try(place, go_on, anyhow=anyhow)
                if fault is None:
                    return place
                faults[place] = fault
        raise self._nobody(faults)

    def follows(self, place: Place) -> Place | None:
        """Who may answer in this place's stead, the bundled model last."""
        after = [p for p in self.places if p is not place and p.breaker.state != "open"]
        return next((p for p in after if not p.optional or p.endpoint is not None), None)

    def answered(self, place: Place) -> None:
        """Note that the place gave a reply."""
        if place.breaker.state != "closed":
            place.breaker.succeeded()
            self.ledger.note(place.name)

    def failed(self, place: Place, error: HearthError) -> None:
        """Note that the place could not answer."""
        if self.strict:
            return
        if isinstance(error, LimitReached):
            place.breaker.hold(error.message, max(error.seconds, _HOLD_SECONDS))
        elif isinstance(error, EngineError) and not place.reopens():
            place.breaker.take_out(error.message)
        else:
            at_least = MOST_SECONDS if isinstance(error, Refused) else 0.0
            wait = error.wait if isinstance(error, ModelError) else None
            place.breaker.failed(error.message, wait=wait, at_least=at_least)
        if not place.optional:
            self.ledger.note(place.name, error.message, place.breaker.seconds_left)

    def _try(
        self, place: Place, go_on: Callable[[], None], *, anyhow: bool = False
    ) -> HearthError | None:
        """Why the place can't answer now; None if it can, and then it is open."""
        was_well = place.breaker.state == "closed"
        if not place.breaker.allows(now=anyhow):
            return ModelError(place.breaker.reason)
        try:
            if place.paid:
                self.ledger.check(place.name, place.limits, place.most_tokens)
            if place.endpoint is None:
                self._open(place, go_on)
            elif was_well:
                place.check()
            else:
                place.probe()
        except (EngineError, ModelError, InputError) as error:
            if isinstance(error, InputError) and place is self.places[0]:
                raise  # what the user named is no model: to be mended, not got round
            self.failed(place, error)
            return error
        return None

    def _open(self, place: Place, go_on: Callable[[], None]) -> None:
        try:
            place.open(self._say, go_on)
        finally:
            self.progress = None

    def _hear(self, progress: Progress) -> None:
        self.progress = progress
        self._measure(progress)

    def _raise_if_stopped(self) -> None:
        if self._stopped.is_set():
            raise Cancelled("Hearth was stopped.")

    def _nobody(self, faults: Mapping[Place, HearthError]) -> HearthError:
        told = {place: fault for place, fault in faults.items() if not place.optional} or faults
        if len(told) == 1:
            return next(iter(told.values()))
        lines = [
            f"{place.name} ({place.model_id}): {fault.message}" for place, fault in told.items()
        ]
        first = next((fault.fix for fault in told.values() if fault.fix), "")
        listed = "`python -m serving route` lists the route."
        return EngineError(
            "No model on the route can answer.\n" + "\n".join(lines),
            fix=f"{first} {listed}".strip(),
            log=next((getattr(fault, "log", "") for fault in told.values()), ""),
        )


def _passed_over(passed: Mapping[Place, HearthError], taken: Place) -> str:
    """What the user should know when the place they counted on isn't the one that answers."""
    told = [
        f"{place.name} ({place.model_id}) can't be used: {str(fault).replace(chr(10), ' ')}"
        for place, fault in passed.items()
        if not place.optional
    ]
    if not told:
        return ""
    instead = f"{taken.model_id} ({taken.name}) answers instead."
    about = f" {BUNDLED_SAYS}" if taken.bundled else ""
    return "\n".join([*told, f"{instead}{about} HEARTH_ROUTE=main makes this an error."])


def places_of(
    settings: Settings,
    engines: Mapping[str, Engine] = ENGINES,
    measure: Measure | None = None,
) -> list[Place]:
    """The places that the setting `route` names, in its order."""
    engine = partial(EnginePlace, engines=engines, measure=measure)
    if settings.route != "auto":
        return [_place(name, settings, engine) for name in settings.route.split(",")]
    named = "model" in settings.model_fields_set or settings.endpoint_url or settings.engine_port
    names = ["main"] if named or settings.engine != "auto" else []
    names += ["local", *(name for name in settings.endpoints if name not in ("main", *PRESETS))]
    names += [name for name in PRESETS if settings.key_of(name)]
    if names[0] != "main" or not _is_bundled(settings):
        names.append("bundled")
    places = [_place(name, settings, engine, optional=name == "local") for name in names]
    if names == ["local", "bundled"]:  # the settings are made for no other model
        places[1] = engine("bundled", settings, bundled=True)
    return places


def _is_bundled(settings: Settings) -> bool:
    return settings.model == BUNDLED_MODEL and settings.resolved_engine == "transformers"


def _place(
    name: str, settings: Settings, engine: Callable[..., EnginePlace], *, optional: bool = False
) -> Place:
    if name == "main":
        bundled = _is_bundled(settings)
        return engine(name, settings, bundled=bundled)
    if name == "bundled":
        return engine(name, _for_bundled(settings), bundled=True)
    if name == "local":
        return _local(settings, engine, optional)
    if name in PROVIDERS:
        row, own = PROVIDERS[name], settings.endpoints.get(name)
        url, model = (own.url, own.model) if own else ("", "")
        return EndpointPlace(
            name, settings, url=url or row.url, model=model or row.model, quirks=row.quirks
        )
    if name in settings.endpoints:
        own = settings.endpoints[name]
        return EndpointPlace(name, settings, url=own.url, model=own.model, quirks=Quirks())
    here = settings.model_copy(update={"engine": name, "endpoint_url": ""})
    return engine(name, here)


def _local(settings: Settings, engine: Callable[..., EnginePlace], optional: bool) -> LocalPlace:
    """What runs here, else the model of an endpoint that is out, where its files lie here."""
    if not settings.endpoint_url or settings.model == BUNDLED_MODEL:
        return LocalPlace(settings, optional=optional)
    here = settings.model_copy(update={"engine": "auto", "endpoint_url": ""})
    startable = engine("local", here)
    return LocalPlace(settings, optional=optional, startable=startable)


def _for_bundled(settings: Settings) -> Settings:
    """The settings for the bundled model: those that were made for another don't fit it."""
    own = {
        "model": BUNDLED_MODEL,
        "engine": "transformers",
        "endpoint_url": "",
        "endpoint_key": SecretStr(""),
        "engine_port": 0,
        "quantize": "auto",
        "family": "",
        "temperature": None,
        "top_p": None,
        "max_tokens": None,
        "thinking_tokens": None,
    }
    return settings.model_copy(update=own)
