"""Who is visiting: one session each, never shared, and no more at once than the settings allow."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.session import Session
from errors import InputError

IDLE_SECONDS = 3600.0


@dataclass
class _Visit:
    session: Session
    last_seen: float = field(default_factory=time.monotonic)


class Visitors:
    """The sessions of the page's visitors, by a random key kept in each visitor's browser.

    `new_session` makes one. When `most` sessions are open, the one that has been idle
    longest makes room if nothing runs in it and it was idle for an hour; otherwise the
    newcomer is told to wait.
    """

    def __init__(self, new_session: Callable[[], Session], most: int) -> None:
        self._new_session = new_session
        self._most = most
        self._visits: dict[str, _Visit] = {}
        self._lock = threading.Lock()

    def find(self, key: str) -> Session | None:
        """The visitor's session, if there is one."""
        with self._lock:
            visit = self._visits.get(key)
            if visit is None:
                return None
            visit.last_seen = time.monotonic()
            return visit.session

    def get(self, key: str) -> Session:
        """The visitor's session, made at the first call. Raises InputError when all are taken."""
        session = self.find(key)
        if session is not None:
            return session
        with self._lock:
            if len(self._visits) >= self._most:
                self._make_room()
            session = self._new_session()
            self._visits[key] = _Visit(session)
        return session

    def end(self, key: str) -> None:
        """Close the visitor's session; the next `get` makes a new one."""
        with self._lock:
            visit = self._visits.pop(key, None)
        if visit is not None:
            visit.session.close()

    def close(self) -> None:
        """Close every session."""
        with self._lock:
            keys = list(self._visits)
        for key in keys:
            self.end(key)

    def _make_room(self) -> None:
        key, visit = min(self._visits.items(), key=lambda item: item[1].last_seen)
        idle = time.monotonic() - visit.last_seen
        if visit.session.running or idle < IDLE_SECONDS:
            raise InputError(
                f"All {self._most} places are taken.",
                fix="Come back a little later, or raise HEARTH_MAX_VISITORS.",
            )
        self._visits.pop(key)
        visit.session.close()
