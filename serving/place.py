"""A place of a route: what can answer, how it is opened, and how it is seen to be well.

A place is an engine that the supervisor starts, an endpoint that runs elsewhere, or an engine
that another Hearth has started. Opening one may take a minute, and whoever needs it meanwhile
waits for the same opening.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from errors import EngineError, HearthError
from serving.breaker import Breaker
from serving.families import Family, family_for
from serving.faults import Names
from serving.link import Quirks
from serving.row import Endpoint, Say
from settings import Settings
from settings.of_route import NOTHING_SET

PROBE_SECONDS = 3.0
_WAIT_SECONDS = 0.1


class Place(ABC):
    """One place of a route. `name` is its name there, `limits` what may be spent on it.

    `bundled`: the bundled model, taken only for want of another; `optional`: nobody asked for
    it, so that it isn't there is nothing to mention; `paid`: its requests go into the ledger.
    `endpoint` is set once it is open.
    """

    bundled = False
    optional = False
    paid = False
    quirks = Quirks()
    names = Names()

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.limits = settings.endpoints.get(name) or NOTHING_SET
        self.breaker = Breaker()
        self.endpoint: Endpoint | None = None
        self._lock = threading.Lock()
        self._opening: _Opening | None = None

    @property
    def model_id(self) -> str:
        """The model's name, as far as it is known."""
        return self.endpoint.model_id if self.endpoint else self._wanted

    @property
    def family(self) -> Family:
        """How its model is talked to."""
        return family_for(self.model_id)

    @property
    def most_tokens(self) -> int:
        """Of one reply."""
        return self.settings.max_tokens or self.family.max_tokens

    @property
    def elsewhere(self) -> bool:
        """Whether it is no process of this machine's Hearth."""
        return self.endpoint is None or self.endpoint.pid is None

    def open(self, say: Say, go_on: Callable[[], None]) -> Endpoint:
        """The place's server, started or asked if need be. `go_on` raises to end the wait.

        Raises HearthError where it can't be had.
        """
        with self._lock:
            if self.endpoint is not None:
                return self.endpoint
            if self._opening is None:
                self._opening = _Opening(lambda: self._open(say), f"open {self.name}")
            opening = self._opening
        opening.wait(go_on)
        with self._lock:
            if self._opening is opening:
                self._opening = None
                self.endpoint = opening.endpoint
        if opening.endpoint is None:
            raise opening.fault or EngineError(f"{self.name} was not opened.")
        return opening.endpoint

    def check(self) -> None:  # noqa: B027 - most places are never known to be gone
        """Raise EngineError once the place is gone for good."""

    @property
    def gone(self) -> bool:
        """Whether the place is gone for good."""
        try:
            self.check()
        except HearthError:
            return True
        return False

    @abstractmethod
    def probe(self) -> None:
        """Raise HearthError if an open place isn't well; takes a few seconds at most."""

    @abstractmethod
    def look(self) -> tuple[str, str]:
        """How the place stands while it isn't open: a state in a word or two, and a sentence.

        Starts nothing. Raises HearthError for what keeps it from being opened.
        """

    @property
    @abstractmethod
    def where(self) -> str:
        """Where it answers, in a few words."""

    def reopens(self) -> bool:
        """Whether opening it once more may help after it failed."""
        return True

    def close(self) -> None:
        """Give back what the place holds."""
        self.endpoint = None

    @property
    @abstractmethod
    def _wanted(self) -> str: ...

    @abstractmethod
    def _open(self, say: Say) -> Endpoint: ...


class _Opening:
    """An opening under way, on a thread of its own: those who wait for it can stop waiting."""

    def __init__(self, work: Callable[[], Endpoint], name: str) -> None:
        self.endpoint: Endpoint | None = None
        self.fault: HearthError | None = None
        self._work = work
        self._done = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self.endpoint = self._work()
        except HearthError as error:
            self.fault = error
        except Exception as error:  # noqa: BLE001 - who waits is on another thread
            self.fault = EngineError(f"It could not be opened: {type(error).__name__}: {error}")
        finally:
            self._done.set()

    def wait(self, go_on: Callable[[], None]) -> None:
        while not self._done.wait(_WAIT_SECONDS):
            go_on()
