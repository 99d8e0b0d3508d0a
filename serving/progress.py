"""How far the start of an engine has come: what it is doing, bytes done and to do, time left.

The supervisor tells it as numbers (`Progress`), for whoever draws them; `lines` makes lines of
them for whoever does not.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_SECONDS = 20.0  # the speed of the last while is what the time left goes by
_LEAST_SECONDS = 2.0  # of a speed that is believed
_LINE_EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Progress:
    """What the start is doing now. `total` is 0 where nobody knows how much there is to do;
    `seconds` have passed since it began, `seconds_left` are left of `what` (None: unknown)."""

    what: str
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    seconds_left: float | None = None

    @property
    def text(self) -> str:
        """Such as `downloading org/model, 1.2 of 15.2 GB, 4 min left`."""
        parts = [self.what]
        if self.total:
            parts.append(f"{size_text(self.done)} of {size_text(self.total)}")
        if self.seconds_left is not None:
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(parts)

    def __str__(self) -> str:
        return f"{self.text} ({duration(self.seconds)})"


Measure = Callable[[Progress], None]


def size_text(size: int) -> str:
    """A number of bytes for people, such as `15.2 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Seconds for people, such as `45 s`, `4 min` or `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class Meter:
    """Makes `Progress` of bare numbers: it keeps when they came, and so knows the speed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._what = ""
        self._seen: deque[tuple[float, int]] = deque()
        self._grew = self._began

    def read(self, what: str, done: int = 0, total: int = 0) -> Progress:
        """The progress now, with `done` of `total` bytes."""
        now = self._clock()
        if what != self._what:
            self._what, self._grew = what, now
            self._seen.clear()
        if not self._seen or done != self._seen[-1][1]:
            self._grew = now
        self._seen.append((now, done))
        while now - self._seen[0][0] > _WINDOW_SECONDS:
            self._seen.popleft()
        return Progress(what, min(done, total), total, now - self._began, self._left(done, total))

    @property
    def still_seconds(self) -> float:
        """How long `done` has not changed."""
        return self._clock() - self._grew

    def _left(self, done: int, total: int) -> float | None:
        (then, had), (now, has) = self._seen[0], self._seen[-1]
        if not total or has <= had or now - then < _LEAST_SECONDS:
            return None
        return max(0, total - done) / ((has - had) / (now - then))


class Paced:
    """Passes progress on now and then: when it does something else, then every few seconds."""

    def __init__(self, tell: Measure, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._what, self._said = "", 0.0

    def __call__(self, progress: Progress) -> None:
        """Tell it, if it is time."""
        now = self._clock()
        if progress.what != self._what or now - self._said >= _LINE_EVERY_SECONDS:
            self._what, self._said = progress.what, now
            self._tell(progress)


def lines(say: Callable[[str], None]) -> Measure:
    """Progress as lines, of which `say` hears one every few seconds."""
    return Paced(lambda progress: say(str(progress)))
