"""The events of a session: each is kept, as long as there is room for it, and then shown."""

import threading
from collections.abc import Callable, Iterator, Sequence

from agent.events import Event, Notice, RunFinished


class EventLog:
    """The list of events, which one thread adds to and any number wait at.

    `store` gets each event before anyone sees it; one that fails is said once and then left
    alone. `running` is whether a run goes on; it is not to be changed without `changed`.
    """

    def __init__(self, store: Callable[[Event], None] | None) -> None:
        self._store = store
        self._events: list[Event] = []
        # Guards the events and the flag. Its lock is reentrant, so a signal's handler may stop
        # a run whatever the main thread is doing.
        self.changed = threading.Condition()
        self.running = False

    @property
    def events(self) -> list[Event]:
        """All events so far."""
        with self.changed:
            return list(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def take(self, history: Sequence[Event]) -> None:
        """Go on from the events of an earlier life, which are kept already."""
        self._events = list(history)

    def emit(self, event: Event) -> None:
        """Keep an event, then show it. The last one of a run ends it."""
        fresh = self._kept(event)
        with self.changed:
            self._events += fresh
            if isinstance(event, RunFinished):
                self.running = False
            self.changed.notify_all()

    def release(self) -> None:
        """No run goes on after all."""
        with self.changed:
            self.running = False
            self.changed.notify_all()

    def wait(self, first: int, timeout_seconds: float | None = None) -> list[Event]:
        """The events from index `first` on; waits for one, at most `timeout_seconds`.

        An empty list means that the time is over, or that nothing runs from which one could come.
        """
        with self.changed:
            self.changed.wait_for(
                lambda: first < len(self._events) or not self.running, timeout_seconds
            )
            return self._events[first:]

    def follow(self, first: int = 0) -> Iterator[Event]:
        """Yield the events from index `first`, waiting for new ones, to the run's end."""
        while fresh := self.wait(first):
            for event in fresh:
                first += 1
                yield event
                if isinstance(event, RunFinished):
                    return

    def _kept(self, event: Event) -> list[Event]:
        """Keep the event; what is to be shown then, which may begin with a notice."""
        if self._store is not None:
            try:
                self._store(event)
            except Exception as error:  # noqa: BLE001 - whatever it is, the run must reach its end
                self._store = None
                why = getattr(error, "strerror", None) or error
                fault = Notice(
                    f"This conversation can't be kept from here on: {why}. "
                    "Free some space, or set HEARTH_DATA_DIR to another disk."
                )
                return [fault, event]
        return [event]
