"""A circuit breaker: whether a server that failed is asked again yet.

Closed: it is asked. Open: it is not, for a while that doubles with each failure. Half-open: the
while is over, and one request tries it; what comes of that closes or opens it. The client has
asked several times before a failure comes here, so one is enough to open it.
"""

import threading
import time
from collections.abc import Callable
from typing import Literal

FIRST_SECONDS = 15.0
MOST_SECONDS = 600.0

State = Literal["closed", "open", "half-open"]


class Breaker:
    """May be asked and told from several threads. `reason` says why it is open."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.reason = ""
        self._clock = clock
        self._lock = threading.Lock()
        self._until: float | None = None  # None: closed
        self._pause = 0.0  # the length of the last one
        self._closed_at = clock()
        self._out = False

    @property
    def state(self) -> State:
        """How it stands now."""
        if self._until is None:
            return "closed"
        return "open" if self._out or self._clock() < self._until else "half-open"

    @property
    def seconds_left(self) -> float | None:
        """How long it stays open; None for good, 0 where it isn't open."""
        if self._out:
            return None
        return max(0.0, self._until - self._clock()) if self._until is not None else 0.0

    @property
    def out(self) -> bool:
        """Whether it is open for good."""
        return self._out

    def allows(self, *, now: bool = False) -> bool:
        """Whether the server may be asked. Half-open this is true for the one who asks first: the
        others wait for as long again. With `now` the rest of a pause is not waited for.
        """
        with self._lock:
            if self._until is None:
                return True
            if self._out or (self._clock() < self._until and not now):
                return False
            self._until = self._clock() + self._pause
            return True

    def succeeded(self) -> None:
        """The server answered."""
        with self._lock:
            if self._until is not None:
                self._until, self.reason = None, ""
                self._closed_at = self._clock()

    def failed(self, reason: str, *, wait: float | None = None, at_least: float = 0.0) -> None:
        """The server failed; `wait`: it said itself for how long. A server that had answered for
        as long as it was out before starts with the shortest pause.
        """
        with self._lock:
            now, self.reason = self._clock(), reason
            was_well = self._until is None and now - self._closed_at > 2 * self._pause
            longer = FIRST_SECONDS if was_well or not self._pause else self._pause * 2
            self._pause = min(max(longer, at_least), MOST_SECONDS)
            self._until = now + max(self._pause, min(wait or 0.0, MOST_SECONDS))

    def hold(self, reason: str, seconds: float) -> None:
        """Don't ask for so long, though nothing has failed."""
        with self._lock:
            self.reason, self._until = reason, self._clock() + seconds

    def take_out(self, reason: str) -> None:
        """Never ask it again."""
        with self._lock:
            self._out, self.reason, self._until = True, reason, self._clock()
