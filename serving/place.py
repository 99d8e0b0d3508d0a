"""A place of a route: what can answer, how it is opened, and how it is seen to be well.

A place is an engine that the supervisor starts, an endpoint that runs elsewhere, or an engine
that another Hearth has started. Opening one may take a minute, and whoever needs it meanwhile
waits for the same opening.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from errors import HearthError
from serving.aside import Aside
from serving.breaker import Breaker
from serving.families import Family, family_for
from serving.faults import Names
from serving.link import Quirks
from serving.row import Endpoint, Say
from settings import Settings
from settings.of_route import NOTHING_SET

PROBE_SECONDS = 3.0


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
        self._opening: Aside[Endpoint] | None = None

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
                self._opening = Aside(lambda: self._open(say), f"open {self.name}")
            opening = self._opening
        try:
            return opening.wait(go_on)
        finally:
            with self._lock:
                if self._opening is opening and opening.over:
                    self._opening = None
                    self.endpoint = opening.result

    def check(self) -> None:  # noqa: B027 - most places are never known to be gone
        """Raise EngineError once the place is gone for good."""

    @property
    def notice(self) -> str:
        """What the user should know of how it answers; it may change while it is used."""
        return self.endpoint.notice if self.endpoint else ""

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
