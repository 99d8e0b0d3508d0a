"""How often an engine has died lately: how long to wait before the next start, when to give up."""

import time
from collections.abc import Callable

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 10.0


class Deaths:
    """The deaths of the last `within_seconds`; the `most`th of them is the last."""

    def __init__(
        self, most: int, within_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._within, self._clock = most, within_seconds, clock
        self._times: list[float] = []

    def another(self) -> float | None:
        """Count a death; returns the seconds to wait before the next start, None for never."""
        now = self._clock()
        self._times = [t for t in self._times if now - t < self._within] + [now]
        if len(self._times) >= self._most:
            return None
        wait: float = _FIRST_WAIT_SECONDS * 4 ** (len(self._times) - 1)
        return min(_LONGEST_WAIT_SECONDS, wait)

    def __str__(self) -> str:
        span = self._times[-1] - self._times[0] if self._times else 0.0
        return f"{len(self._times)} times within {span:.0f} seconds"
