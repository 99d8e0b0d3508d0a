"""What web tools keep between calls: answers for a while, and when a server may be asked again.

One SQLite file, used by all sessions and processes at once. It is a cache: where it can't be
read or written, everything goes on without it, and it may be deleted at any time.
"""

import contextlib
import functools
import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MAX_BYTES = 200 << 20
MAX_ENTRY_BYTES = 4 << 20
_TRIM_EVERY = 50  # entries written by this process
_LOCK_SECONDS = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, until REAL NOT NULL, size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (server TEXT PRIMARY KEY, next REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pauses (
    server TEXT PRIMARY KEY, until REAL NOT NULL, why TEXT NOT NULL
) WITHOUT ROWID;
"""


class WebState:
    """The file at `path`, made when it is first needed; without a path, in memory.

    Safe to use from several threads; `now` is the clock, in seconds since 1970.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._now = now
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._written = 0

    def get(self, *key: object) -> bytes | None:
        """What is kept under a key, if it is not too old."""
        with self._open() as db:
            row = (
                db
                and db.execute(
                    "SELECT value FROM kept WHERE key = ? AND until > ?", (_name(key), self._now())
                ).fetchone()
            )
            return row[0] if row else None
        return None

    def keep(self, value: bytes, seconds: float, *key: object) -> None:
        """Keep a value for so long; one that is too large is not kept."""
        if seconds <= 0 or len(value) > MAX_ENTRY_BYTES:
            return
        with self._open() as db:
            if db:
                db.execute(
                    "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)",
                    (_name(key), value, self._now() + seconds, len(value)),
                )
                self._written += 1
                if self._written % _TRIM_EVERY == 1:
                    self._trim(db)

    def turn(self, server: str, gap_seconds: float, patience_seconds: float) -> float | None:
        """How long to wait before the server is asked, so that `gap_seconds` lie between calls.

        None where that would be longer than `patience_seconds`; no turn is taken then.
        """
        with self._open() as db:
            if db:
                now = self._now()
                row = db.execute("SELECT next FROM turns WHERE server = ?", (server,)).fetchone()
                # A time far ahead was written under another clock.
                at = max(now, row[0]) if row and row[0] < now + 3600 else now
                if at - now > patience_seconds:
                    return None
                db.execute("INSERT OR REPLACE INTO turns VALUES (?, ?)", (server, at + gap_seconds))
                return at - now
        return 0.0

    def pause(self, server: str, seconds: float, why: str) -> None:
        """Leave a server alone for a while."""
        with self._open() as db:
            if db:
                db.execute(
                    "INSERT OR REPLACE INTO pauses VALUES (?, ?, ?)",
                    (server, self._now() + seconds, why),
                )

    def paused(self, server: str) -> tuple[float, str] | None:
        """For how many seconds more a server is left alone, and why; None if it may be asked."""
        with self._open() as db:
            row = (
                db
                and db.execute(
                    "SELECT until, why FROM pauses WHERE server = ? AND until > ?",
                    (server, self._now()),
                ).fetchone()
            )
            return (row[0] - self._now(), row[1]) if row else None
        return None

    def _trim(self, db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM kept WHERE until <= ?", (self._now(),))
        total = db.execute("SELECT coalesce(sum(size), 0) FROM kept").fetchone()[0]
        while total > self._max_bytes:
            rows = db.execute("SELECT key, size FROM kept ORDER BY until LIMIT 100").fetchall()
            for key, size in rows:
                if total <= self._max_bytes * 0.8:
                    return
                db.execute("DELETE FROM kept WHERE key = ?", (key,))
                total -= size

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        """The database, within one transaction; None where there is none to be had."""
        with self._lock:
            try:
                db = self._connected()
                db.execute("BEGIN IMMEDIATE")
            except (sqlite3.Error, OSError) as error:
                self._lost(error)
                yield None
                return
            try:
                yield db
                db.execute("COMMIT")
            except sqlite3.Error as error:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                self._lost(error)
            except BaseException:
                db.execute("ROLLBACK")
                raise

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.touch(mode=0o600)  # what was searched for is nobody else's business
            self._connection = sqlite3.connect(
                self._path or ":memory:",
                timeout=_LOCK_SECONDS,
                isolation_level=None,
                check_same_thread=False,  # guarded by the lock
            )
            # What a power cut takes away is fetched again.
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute("PRAGMA auto_vacuum = FULL")
            self._connection.executescript(_SCHEMA)
        return self._connection

    def _lost(self, error: Exception) -> None:
        """The database failed: what is damaged is deleted, and the next call begins anew."""
        log.debug("web cache: %s", error)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        # A lock that is held or a full disk is a kind of it, and passes.
        damaged = type(error) is sqlite3.DatabaseError
        if damaged and self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


@functools.lru_cache(8)
def shared(path: Path) -> WebState:
    """The one of this process for a file."""
    return WebState(path)


def _name(key: tuple[object, ...]) -> str:
    """A key's name in the file: not what was asked for, which can be long."""
    return hashlib.sha256(repr(key).encode("utf-8", "backslashreplace")).hexdigest()
