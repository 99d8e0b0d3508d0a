"""The app's one thread that looks after idle sandboxes, once a second."""

import contextlib
import os
import threading
import time
import weakref
from typing import Protocol

_SECONDS = 1.0


class Tended(Protocol):
    """What can be looked after. `tend` returns at once while a step runs, and never raises."""

    def tend(self) -> None: ...


class _Caretaker:
    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[Tended] = weakref.WeakSet()
        threading.Thread(target=self._work, name="sandbox-care", daemon=True).start()

    def add(self, one: Tended) -> None:
        with self._lock:
            self._all.add(one)

    def _work(self) -> None:
        while True:
            time.sleep(_SECONDS)
            self._tend_all()

    def _tend_all(self) -> None:
        with self._lock:
            present = list(self._all)
        for one in present:
            with contextlib.suppress(Exception):  # one broken sandbox is no harm to the others
                one.tend()


_lock = threading.Lock()
_only: list[_Caretaker] = []


def look_after(one: Tended) -> None:
    """Call `one.tend` once a second from now on, for as long as something else holds it."""
    with _lock:
        if not _only or _only[0].pid != os.getpid():  # a forked app has lost the thread
            _only[:] = [_Caretaker()]
        _only[0].add(one)
