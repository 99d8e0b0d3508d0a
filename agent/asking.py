"""Calls of tools that the user is asked about, on a terminal."""

import contextlib
import signal
import sys
import termios
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from agent.console import tell
from agent.events import Event, PermissionAsked, ToolReturned
from agent.permissions import NEEDS_A_YES

if TYPE_CHECKING:
    from agent.session import Session

_CHOICES = {
    "y": "once", "yes": "once", "a": "session", "always": "session", "n": "deny", "no": "deny",
}  # fmt: skip


def on_terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty())


def asking(session: "Session", events: Iterable[Event]) -> Iterator[Event]:
    """The events; after each question that somebody may answer, its answer is asked for."""
    for event in events:
        yield event
        if isinstance(event, PermissionAsked) and event in session.permissions.open:
            choice = _ask(event)
            if choice is None:
                session.cancel()
            elif not session.answer(event.ask, choice):
                tell("That came too late.", "dim")


def _ask(question: PermissionAsked) -> str | None:
    """The user's choice; None if they press Ctrl-C, or there is no more input."""
    text = f"Allow it? [y]es, [a]lways {question.grant} in this conversation, [n]o: "
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while True:
            with contextlib.suppress(OSError, ValueError, termios.error):
                # What was typed before the question is no answer to it.
                termios.tcflush(sys.stdin, termios.TCIFLUSH)
            with contextlib.suppress(OSError):
                sys.stderr.write(text)
                sys.stderr.flush()
            line = sys.stdin.readline()
            if not line:
                return None
            choice = _CHOICES.get(line.strip().lower())
            if choice:
                return choice
    except KeyboardInterrupt:
        return None
    finally:
        signal.signal(signal.SIGINT, before)


def unasked(events: Iterable[Event]) -> list[str]:
    """The tools of which calls were refused because nobody could be asked."""
    return list(
        dict.fromkeys(
            event.tool
            for event in events
            if isinstance(event, ToolReturned)
            and event.outcome == "denied"
            and NEEDS_A_YES in event.result
        )
    )
