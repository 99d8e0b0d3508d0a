"""When a request that failed is made again: stamina's hook, with our rules."""

import time
from dataclasses import dataclass

from serving.faults import Fault

_FAILURES = 3  # how often a request is sent that may itself be what fails


@dataclass(frozen=True)
class GivesUp:
    """When a server is given up on; sooner where another one can answer instead.

    `busy_seconds`: how long it may be too busy; `silent_seconds`: how long it may say nothing
    before its first token; None for both: until the deadline. `breaks`: how often a reply may
    break off in the middle.
    """

    busy_seconds: float | None = None
    silent_seconds: float | None = None
    breaks: int = 6


class Again:
    """stamina's hook: whether to ask again after an error, and after how many seconds."""

    def __init__(
        self, timeout_seconds: float, patience_seconds: float, gives_up: GivesUp = GivesUp()
    ) -> None:
        self.last: Fault | None = None
        self._deadline = time.monotonic() + timeout_seconds
        self._patience_seconds = patience_seconds
        self._gives_up = gives_up
        self._first_break: float | None = None
        self._first_busy: float | None = None
        self._failures = self._breaks = 0

    def answered(self) -> None:
        """A request went through: patience begins anew with the next break."""
        self._first_break = self._first_busy = None

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, Fault):
            return False
        self.last = error
        now = time.monotonic()
        self._breaks += error.again == "broken"
        self._failures += error.again == "failed"
        if error.again == "adapted":
            return 0.0
        if self._breaks >= self._gives_up.breaks or self._failures >= _FAILURES:
            return False
        if error.again == "broken":
            self._first_break = None  # it did answer
        if error.again in ("connection", "broken"):
            # From the first break: the request may have waited for its turn for long before it.
            self._first_break = self._first_break or now
            return now - self._first_break < self._patience_seconds
        if error.again == "failed":
            return True
        if error.again != "busy" or now + (error.wait or 0) >= self._deadline:
            return False
        self._first_busy = self._first_busy or now
        most = self._gives_up.busy_seconds
        if most is not None and now - self._first_busy + (error.wait or 0) >= most:
            return False
        return error.wait or True  # a wait of 0 would ask without end and without pause
