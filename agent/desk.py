"""What a session lends to whoever asks its user something."""

from collections.abc import Callable

from agent.events import Event


class Desk:
    """A place where something of one session waits for its user; idle until it is attached."""

    def __init__(self) -> None:
        self._emit: Callable[[Event], None] = lambda event: None
        self._step: Callable[[], int] = lambda: 0
        self._stopped: Callable[[], bool] = lambda: False

    def attach(
        self,
        emit: Callable[[Event], None],
        step: Callable[[], int],
        stopped: Callable[[], bool],
    ) -> None:
        """Called by the session: where events go, which step runs, whether the run is to end."""
        self._emit, self._step, self._stopped = emit, step, stopped
