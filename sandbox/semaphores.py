"""The worker's side: `multiprocessing`'s locks and queues between threads.

A confined worker may make no named semaphores, and it has no other process to share them with.
Without them `multiprocessing.pool.ThreadPool`, which starts no process, could not be made.
"""

import _multiprocessing
import threading
from typing import Any

_RECURSIVE = 0  # multiprocessing.synchronize.RECURSIVE_MUTEX


class ThreadSemaphore:
    """What `_multiprocessing.SemLock` does, for the threads of this process."""

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:
        self.kind, self.maxvalue = kind, maxvalue
        self.handle, self.name = 0, None
        self._value = value
        self._owner, self._depth = 0, 0
        self._changed = threading.Condition()

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        me = threading.get_ident()
        with self._changed:
            if self.kind == _RECURSIVE and self._owner == me:
                self._depth += 1
                return True
            seconds = 0 if not block else None if timeout is None else max(0.0, timeout)
            if not self._changed.wait_for(lambda: self._value > 0, seconds):
                return False
            self._value -= 1
            self._owner, self._depth = me, 1
            return True

    def release(self) -> None:
        with self._changed:
            if self.kind == _RECURSIVE:
                if self._owner != threading.get_ident():
                    raise AssertionError("attempt to release recursive lock not owned by thread")
                self._depth -= 1
                if self._depth:
                    return
            elif self._value >= self.maxvalue:
                raise ValueError("semaphore or lock released too many times")
            self._owner = 0
            self._value += 1
            self._changed.notify()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _count(self) -> int:
        return self._depth if self._is_mine() else 0

    def _is_mine(self) -> bool:
        return self._owner == threading.get_ident()

    def _get_value(self) -> int:
        return self._value

    def _is_zero(self) -> bool:
        return self._value == 0

    def _after_fork(self) -> None:
        """Nothing: there is no fork."""


def put_in_place() -> None:
    """Where the system refuses a semaphore, `multiprocessing` gets one for threads."""
    real: Any = _multiprocessing.SemLock  # type: ignore[attr-defined]

    def make(*args: Any, **kwargs: Any) -> Any:
        try:
            return real(*args, **kwargs)
        except FileExistsError:
            raise
        except OSError:
            return ThreadSemaphore(*args, **kwargs)

    make.SEM_VALUE_MAX = real.SEM_VALUE_MAX  # type: ignore[attr-defined]
    make._rebuild = real._rebuild  # type: ignore[attr-defined]
    _multiprocessing.SemLock = make  # type: ignore[attr-defined]
