"""Calls that the user is asked about: the questions of one session, and who answers them."""

import json
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from agent.desk import Desk
from agent.events import Event, PermissionAnswered, PermissionAsked, RunFinished, RunStarted
from errors import Cancelled, Denied, InputError

CHOICES = ("once", "session", "deny")
WORDS = {
    "once": "Allowed this time.",
    "session": "Allowed for this conversation.",
    "deny": "Denied.",
    "nobody": "Nobody answered: denied.",
    "withdrawn": "The step ended before anyone answered.",
}
"""What each answer is called where a user reads it."""
MOST_CHARS = 15_000
"""Nobody can say yes to a call that is too long to be read."""
_LOOK_SECONDS = 0.25

NEEDS_A_YES = "needs the user's yes"
_REFUSED = (
    "Don't call it again with this. Go on without it, or tell the user in your answer what you "
    "would have done."
)


class PermissionDesk(Desk):
    """The questions of one session, between its code and its user.

    A call waits at the desk until it is answered, for `patience_seconds` at most; then it counts
    as refused. Once nobody has answered, later calls of the same run don't wait any more. What
    was denied stays denied for the run, and what was allowed for the session stays allowed.
    """

    def __init__(self, patience_seconds: float = 600.0) -> None:
        super().__init__()
        self.patience_seconds = patience_seconds
        # Held while an event goes out, so that none comes after the run's last.
        self._changed = threading.Condition()
        self._open: dict[str, PermissionAsked] = {}
        self._answers: dict[str, str] = {}
        self._granted: set[str] = set()
        self._denied: set[str] = set()
        self._nobody = False
        self._over = False
        self._waited, self._since = 0.0, 0.0

    def take(self, history: Iterable[Event]) -> None:
        """Go on with what was allowed for the session in an earlier life of it."""
        self._granted |= {
            event.grant
            for event in history
            if isinstance(event, PermissionAnswered) and event.answer == "session"
        }

    def begin_run(self) -> None:
        """A run begins: what the last one was refused may be asked again."""
        with self._changed:
            self._denied.clear()
            self._nobody = self._over = False
            self._waited = 0.0

    def end_run(self) -> None:
        """The run is over; its questions are withdrawn."""
        with self._changed:
            self._over = True
            self.withdraw()

    def withdraw(self) -> None:
        """Close the open questions: the step whose calls they are about has ended."""
        with self._changed:
            for ask in list(self._open):
                self._settle(ask, "withdrawn")

    @property
    def open(self) -> list[PermissionAsked]:
        """The questions that wait for an answer, the oldest first."""
        with self._changed:
            return list(self._open.values())

    @property
    def waited_seconds(self) -> float:
        """For how long the run has waited for the user so far."""
        with self._changed:
            return self._waited + (time.monotonic() - self._since if self._open else 0.0)

    def answer(self, ask: str, choice: str) -> bool:
        """Answer a question: `once`, `session` or `deny`; False if nobody waits for it any more.

        A yes for the session answers every open question that it covers. Raises InputError for
        an answer that is none of these.
        """
        if choice not in CHOICES:
            raise InputError(
                f"{choice!r} is no answer to a question.", fix=f"Answer {', '.join(CHOICES)}."
            )
        with self._changed:
            question = self._open.get(ask)
            if question is None:
                return False
            self._settle(ask, choice)
            if choice == "session":
                self._granted.add(question.grant)
                for other in [a for a, q in self._open.items() if q.grant == question.grant]:
                    self._settle(other, choice)
        return True

    def ask(self, tool: str, arguments: Mapping[str, Any], rule: str, grant: str) -> None:
        """Wait for the user's yes to a call. Raises Denied for anything else, and Cancelled."""
        given = json.loads(json.dumps(arguments, default=repr))
        call = f"{tool} {json.dumps(given, sort_keys=True)}"
        with self._changed:
            if grant in self._granted:
                return
            if call in self._denied:
                raise Denied(f"The user has denied this call of {tool}.", _REFUSED)
            if self._nobody or self.patience_seconds <= 0:
                raise self._nobody_there(tool, rule)
            if len(call) > MOST_CHARS:
                raise Denied(
                    f"This call of {tool} {NEEDS_A_YES}, and is too long to be read.",
                    "Call it with less.",
                )
            question = PermissionAsked(
                self._step(), uuid.uuid4().hex[:12], tool, given, rule, grant
            )
            said = self._wait(question)
            if said == "deny":
                self._denied.add(call)
                raise Denied(f"The user has denied this call of {tool}.", _REFUSED)
        if said == "nobody":
            raise self._nobody_there(tool, rule)
        if said == "withdrawn":
            raise Cancelled

    def _wait(self, question: PermissionAsked) -> str:
        """What comes of a question; called with the lock, which is let go while it waits."""
        ask = question.ask
        if self._over:
            return "withdrawn"
        if not self._open:
            self._since = time.monotonic()
        self._open[ask] = question
        self._emit(question)
        until = time.monotonic() + self.patience_seconds
        while ask not in self._answers:
            if self._stopped():
                self._settle(ask, "withdrawn")
            elif time.monotonic() >= until:
                self._nobody = True
                self._settle(ask, "nobody")
            else:
                self._changed.wait(_LOOK_SECONDS)
        return self._answers.pop(ask)

    def _settle(self, ask: str, answer: str) -> None:
        """Close an open question; called with the lock."""
        question = self._open.pop(ask)
        if not self._open:
            self._waited += time.monotonic() - self._since
        self._answers[ask] = answer
        self._emit(PermissionAnswered(ask, answer, question.grant))
        self._changed.notify_all()

    def _nobody_there(self, tool: str, rule: str) -> Denied:
        return Denied(f"{tool} {NEEDS_A_YES} ({rule}), and nobody was there to give it.", _REFUSED)


def pending(events: Iterable[Event]) -> list[PermissionAsked]:
    """The questions among these events that nobody has answered, and whose run goes on."""
    found: dict[str, PermissionAsked] = {}
    for event in events:
        if isinstance(event, PermissionAsked):
            found[event.ask] = event
        elif isinstance(event, PermissionAnswered):
            found.pop(event.ask, None)
        elif isinstance(event, RunFinished | RunStarted):
            found.clear()
    return list(found.values())


def shown_call(question: PermissionAsked) -> str:
    """The call as the user reads it: `send_mail(to='a@example.com', text='…')`."""
    given = ", ".join(f"{name}={value!r}" for name, value in question.arguments.items())
    return f"{question.tool}({given})"
