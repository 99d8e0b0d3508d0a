"""Every event is kept before anyone sees it, as long as there is room for it."""

from collections.abc import Callable

from agent.events import Event, Notice


class Keeper:
    """Hands events to a store. One that fails is said once and then left alone."""

    def __init__(self, store: Callable[[Event], None] | None) -> None:
        self._store = store

    def keep(self, event: Event) -> list[Event]:
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
