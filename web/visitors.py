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
    longest makes room, if that was an hour; otherwise the newcomer is told to wait. A session
    in which something runs is not idle.
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
            visit = self._visits.get(key)  # another request of the same visitor may have been first
            if visit is not None:
                return visit.session
            leaving = self._longest_idle() if len(self._visits) >= self._most else None
            session = self._new_session()
            self._visits[key] = _Visit(session)
        if leaving is not None:
            self.end(leaving)
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
            open_ = dict(self._visits)
        for visit in open_.values():  # all first, so that the waits for them are one wait
            visit.session.cancel()
        for key in open_:
            self.end(key)

    def _longest_idle(self) -> str:
        """The key of the session to close. Raises InputError if all are in use."""
        now = time.monotonic()
        idle = {
            key: now - visit.last_seen
            for key, visit in self._visits.items()
            if not visit.session.running
        }
        key = max(idle, key=idle.__getitem__, default="")
        if not key or idle[key] < IDLE_SECONDS:
            raise InputError(
                f"All {self._most} places are taken.",
                fix="Come back a little later, or raise HEARTH_MAX_VISITORS.",
            )
        return key
