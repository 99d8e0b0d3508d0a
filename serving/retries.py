"""When a request that failed is made again: stamina's hook, with our rules."""

import time

from serving.faults import Fault

_FAILURES = 3  # how often a request is sent that may itself be what fails
_BREAKS = 6  # how often a reply may break off in the middle


class Again:
    """stamina's hook: whether to ask again after an error, and after how many seconds."""

    def __init__(self, timeout_seconds: float, patience_seconds: float) -> None:
        self.last: Fault | None = None
        self._deadline = time.monotonic() + timeout_seconds
        self._patience_seconds = patience_seconds
        self._first_break: float | None = None
        self._failures = self._breaks = 0

    def answered(self) -> None:
        """A request went through: patience begins anew with the next break."""
        self._first_break = None

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, Fault):
            return False
        self.last = error
        now = time.monotonic()
        self._breaks += error.again == "broken"
        self._failures += error.again == "failed"
        if error.again == "adapted":
            return 0.0
        if self._breaks >= _BREAKS or self._failures >= _FAILURES:
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
        return error.wait or True  # a wait of 0 would ask without end and without pause
