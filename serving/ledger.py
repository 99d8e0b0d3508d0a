"""What each endpoint was asked for and what that cost, kept on disk, so that limits hold.

A row per request in `data_dir/route.db`. A request is written down before it is sent, at the most
that it can cost, and set right when the reply has ended: so the limits hold for several processes
at once, and a process that is killed leaves too much in the book, never too little.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import ModelError
from serving.state import Process
from settings.of_route import EndpointSettings

_DAY = 86_400
_KEPT_SECONDS = 3 * _DAY
_AGAIN_SECONDS = 60.0
_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL, at REAL NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, money REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS by_endpoint ON requests (endpoint, at);
CREATE TABLE IF NOT EXISTS left_out (
    endpoint TEXT NOT NULL, pid INTEGER NOT NULL, started REAL NOT NULL, until REAL, why TEXT,
    PRIMARY KEY (endpoint, pid)
);
"""


class LimitReached(ModelError):
    """An endpoint has no room for another request; `seconds` is how long that will be so."""

    def __init__(self, message: str, *, fix: str, seconds: float) -> None:
        super().__init__(message, fix=fix)
        self.seconds = seconds


@dataclass(frozen=True)
class Spent:
    """Of one endpoint: the requests of the last 60 seconds, and all of today (UTC)."""

    this_minute: int = 0
    requests: int = 0
    tokens: int = 0
    money: float = 0.0
    next_in: float = 60.0
    """In how many seconds the oldest request of the minute is a minute old."""


class Ledger:
    """The book of a data folder. `clock` gives seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._made = False

    def spent(self, endpoint: str) -> Spent:
        """What the endpoint was asked for. Raises LimitReached when the book can't be read."""
        if not self._path.exists():
            return Spent()
        with self._open(endpoint) as book:
            return self._sum(book, endpoint)

    def check(self, endpoint: str, limits: EndpointSettings, output_tokens: int = 0) -> None:
        """Raise LimitReached if the endpoint has no room for a request, whatever it sends, with a
        reply of so many tokens."""
        if has_limits(limits):
            left, money = self._to_midnight, cost(limits, 0, output_tokens)
            _refuse_over(endpoint, limits, self.spent(endpoint), left, output_tokens, money)

    def begin(
        self, endpoint: str, limits: EndpointSettings, input_tokens: int, output_tokens: int
    ) -> int:
        """Write down a request that is about to be sent, at its most; returns its number.

        Raises LimitReached where it would go over a limit.
        """
        money = cost(limits, input_tokens, output_tokens)
        with self._open(endpoint) as book:
            book.execute("BEGIN IMMEDIATE")
            spent = self._sum(book, endpoint)
            left = self._to_midnight
            _refuse_over(endpoint, limits, spent, left, input_tokens + output_tokens, money)
            row = (endpoint, self._clock(), input_tokens, output_tokens, money)
            number = book.execute(
                "INSERT INTO requests (endpoint, at, input_tokens, output_tokens, money) "
                "VALUES (?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            book.execute("COMMIT")
        return number or 0

    def end(
        self, number: int, limits: EndpointSettings, input_tokens: int, output_tokens: int
    ) -> None:
        """Set a request right. Where that can't be written, its most stays."""
        money = cost(limits, input_tokens, output_tokens)
        with contextlib.suppress(LimitReached), self._open("") as book:
            book.execute(
                "UPDATE requests SET input_tokens = ?, output_tokens = ?, money = ? WHERE id = ?",
                (input_tokens, output_tokens, money, number),
            )

    def note(self, endpoint: str, why: str = "", seconds: float | None = 0.0) -> None:
        """Note for other processes that this one leaves the endpoint out for so long (None: for
        good), or asks it again (0)."""
        me = Process.of(os.getpid())
        with contextlib.suppress(LimitReached), self._open(endpoint) as book:
            book.execute("DELETE FROM left_out WHERE endpoint = ? AND pid = ?", (endpoint, me.pid))
            if why:
                until = None if seconds is None else self._clock() + seconds
                row = (endpoint, me.pid, me.started, until, why)
                book.execute("INSERT INTO left_out VALUES (?, ?, ?, ?, ?)", row)

    def left_out(self, endpoint: str) -> tuple[float | None, str] | None:
        """Until when and why a Hearth that runs leaves the endpoint out; None where none does."""
        if not self._path.exists():
            return None
        with self._open(endpoint) as book:
            rows = book.execute(
                "SELECT pid, started, until, why FROM left_out WHERE endpoint = ?", (endpoint,)
            ).fetchall()
        for pid, started, until, why in rows:
            if (until is None or until > self._clock()) and Process(pid, started).alive:
                return until, why
        return None

    @contextlib.contextmanager
    def _open(self, endpoint: str) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, contextlib.closing(self._connect()) as book:
                yield book
        except sqlite3.Error as error:
            raise LimitReached(
                f"{endpoint} is not used: what it costs can't be kept in {self._path.name} "
                f"({error}).",
                fix="Make room on the disk of HEARTH_DATA_DIR, or mend its permissions.",
                seconds=60.0,
            ) from None

    def _connect(self) -> sqlite3.Connection:
        there = self._made and self._path.exists()
        book = sqlite3.connect(self._path, timeout=5.0, isolation_level=None)
        if not there:
            book.executescript(_TABLE)
            book.execute("DELETE FROM requests WHERE at < ?", (self._clock() - _KEPT_SECONDS,))
            self._made = True
        return book

    def _sum(self, book: sqlite3.Connection, endpoint: str) -> Spent:
        now = self._clock()
        midnight = now - now % _DAY
        minute, oldest = book.execute(
            "SELECT count(*), min(at) FROM requests WHERE endpoint = ? AND at > ?",
            (endpoint, now - 60),
        ).fetchone()
        requests, tokens, money = book.execute(
            "SELECT count(*), coalesce(sum(input_tokens + output_tokens), 0), "
            "coalesce(sum(money), 0) FROM requests WHERE endpoint = ? AND at >= ?",
            (endpoint, midnight),
        ).fetchone()
        return Spent(minute, requests, tokens, money, 60 - (now - (oldest or now)))

    @property
    def _to_midnight(self) -> float:
        return _DAY - self._clock() % _DAY


def has_limits(limits: EndpointSettings) -> bool:
    """Whether anything is limited."""
    return any((limits.requests_per_minute, *_per_day(limits)))


def cost(limits: EndpointSettings, input_tokens: int, output_tokens: int) -> float:
    """The price of a request, in the user's currency."""
    return (input_tokens * limits.input_price + output_tokens * limits.output_price) / 1e6


def _per_day(limits: EndpointSettings) -> tuple[float | None, ...]:
    return limits.requests_per_day, limits.tokens_per_day, limits.money_per_day


def _refuse_over(
    endpoint: str,
    limits: EndpointSettings,
    spent: Spent,
    to_midnight: float,
    tokens: int = 0,
    money: float = 0.0,
) -> None:
    """`tokens` and `money` are the most that the next request may need."""
    minute = limits.requests_per_minute
    if minute is not None and spent.this_minute >= minute:
        limit = f"{minute} requests a minute"
        raise _full(endpoint, f"has reached its limit of {limit}", "minute", spent.next_in)
    day = (
        ("requests", "", spent.requests, 1, limits.requests_per_day),
        ("tokens", "", spent.tokens, tokens, limits.tokens_per_day),
        ("money", ".4g", spent.money, money, limits.money_per_day),
    )
    for what, form, used, more, most in day:
        if most is None or (used < most and used + more <= most):
            continue
        why = f"has reached its limit of {most:{form or ','}} {what} a day"
        if used < most:
            why = (
                f"has {most - used:{form or ','}} left of its limit of {most:{form or ','}} {what} "
                f"a day, and a reply may need {more:{form or ','}}"
            )
            # A shorter one may, or when those that are under way have turned out to cost less.
            to_midnight = min(to_midnight, _AGAIN_SECONDS)
        raise _full(endpoint, why, "day", to_midnight, what)


def _full(
    endpoint: str, why: str, span: str, seconds: float, what: str = "requests"
) -> LimitReached:
    return LimitReached(
        f"{endpoint} {why}.",
        fix=f"Wait, or raise {what}_per_{span} of endpoints.{endpoint}.",
        seconds=max(seconds, 1.0),
    )
