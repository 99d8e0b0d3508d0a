"""Work on a thread of its own, for which several may wait and each may stop waiting."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from errors import EngineError, HearthError

_WAIT_SECONDS = 0.1
T = TypeVar("T")


class Aside(Generic[T]):
    """`work`, begun by the constructor. Once it is `over`, `result` or `fault` holds what came.

    A daemon's thread: the process may end before it.
    """

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self.result: T | None = None
        self.fault: HearthError | None = None
        self._work = work
        self._done = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether the work has come to its end."""
        return self._done.is_set()

    def wait(self, go_on: Callable[[], None] = lambda: None) -> T:
        """Its result. `go_on` is called several times a second and raises to end the wait.

        Raises the HearthError that the work ended with.
        """
        while not self._done.wait(_WAIT_SECONDS):
            go_on()
        if self.result is None:
            raise self.fault or EngineError("It came to nothing.")
        return self.result

    def _run(self) -> None:
        try:
            self.result = self._work()
        except HearthError as error:
            self.fault = error
        except Exception as error:  # noqa: BLE001 - who waits is on another thread
            self.fault = EngineError(f"It could not be opened: {type(error).__name__}: {error}")
        finally:
            self._done.set()
