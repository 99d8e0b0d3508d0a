"""One step, seen from the app: feed the worker, watch the clock, collect what comes back."""

import codecs
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox import watch, wire
from sandbox.calls import StepCalls
from sandbox.output import Cleaner, HeadTail, clean, gap_note
from sandbox.process import Wake, WorkerGone, WorkerProcess
from sandbox.watch import Breach

GRACE_SECONDS = 2.0
CANCEL_SECONDS = 0.6
BREACH_SECONDS = 0.5
MAX_ERROR_CHARS = 20_000  # of a hostile worker; an honest one says less
_AGAIN_SECONDS = 0.5  # an interrupt that the code swallowed is sent again


class Output:
    """Printed text of a step: cleaned, bounded, streamed. All that was streamed is `text`."""

    def __init__(self, limit: int, show: Callable[[str], None] | None) -> None:
        self._kept = HeadTail(limit)
        self._show = show
        self._printed, self._raw, self._note = Cleaner(), Cleaner(), Cleaner()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parts: list[str] = []
        self._at_line_start = True

    def printed(self, text: str) -> None:
        self._feed(self._printed.feed(text))

    def note(self, text: str) -> None:
        """A line of the app's own."""
        self._feed(("" if self._at_line_start else "\n") + self._note.feed(text) + "\n")

    def raw(self, data: bytes) -> None:
        """Bytes written past Python's print: other programs, libraries in C."""
        self._feed(self._raw.feed(self._decoder.decode(data)))

    def tail(self, left_out: int, text: str) -> None:
        """What the worker kept of text beyond its limit."""
        self._kept.skip(left_out)
        self.printed(text)

    def finish(self) -> None:
        for cleaner in (self._printed, self._raw):
            self._feed(cleaner.finish())
        left_out, tail = self._kept.finish()
        self._emit((gap_note(left_out) if left_out else "") + tail)

    def _feed(self, text: str) -> None:
        if text:
            self._at_line_start = text.endswith("\n")
            self._emit(self._kept.feed(text))

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def _emit(self, text: str) -> None:
        if text:
            self._parts.append(text)
            if self._show is not None:
                self._show(text)


@dataclass
class Outcome:
    """How a step ended. `gone` says why the worker has to be replaced, if it has; `breach` is
    the limit for which the code was stopped."""

    status: str = ""  # ok | error; empty when the worker never said
    text: str = ""
    value: Any = None
    answered: bool = False
    interrupted: bool = False
    timed_out: bool = False
    cancelled: bool = False
    gone: str = ""
    breach: Breach | None = None
    missing: str = ""  # the module whose absence ended the step


class StepRun:
    """Runs the code of one step in a ready worker."""

    def __init__(
        self,
        worker: WorkerProcess,
        calls: StepCalls,
        output: Output,
        *,
        look: Callable[[], Breach | None] = lambda: None,
        wake: Wake,
        cancelled: Callable[[], bool],
        timeout_seconds: float,
    ) -> None:
        self._worker = worker
        self._find_breach = look
        self._calls = calls
        self._output = output
        self._wake = wake
        self._cancelled = cancelled
        self._limit = timeout_seconds
        self._nonce = secrets.token_hex(8)
        self._used = 0.0
        self._mark = 0.0
        self._stop_began: float | None = None
        self._next_interrupt = math.inf
        self._next_look = math.inf
        self._outcome = Outcome()

    def run(self, code: str, step: int) -> Outcome:
        """Run to the end, whatever that is; raises only what the app's own callbacks raise."""
        outcome = self._outcome
        try:
            self._worker.send("step", self._nonce, step, self._limit, wire.clean_text(code))
            self._mark = time.monotonic()
            self._next_look = self._mark + watch.SECONDS
            while not outcome.status:
                self._turn()
        except WorkerGone as gone:
            outcome.gone = str(gone)
        except wire.TooLarge as error:
            outcome.status, outcome.text = "error", f"ValueError: the code is too long: {error}"
        finally:
            self._calls.abandon()
        self._drain_raw()
        return outcome

    def _turn(self) -> None:
        """Wait for the next thing to happen, and see to it."""
        self._worker.wait(self._wake, self._seconds_to_wait())
        self._wake.hush()
        self._tick()
        data = self._worker.read_raw()
        if data:
            self._output.raw(data)
        for message in self._worker.read():
            self._take(message)
        for number, ok, body in self._calls.finished():
            self._worker.send("result", self._nonce, number, ok, body)
        if not self._outcome.status:
            self._watch()

    def _tick(self) -> None:
        """The time of tools doesn't count."""
        now = time.monotonic()
        if not self._calls.in_flight:
            self._used += now - self._mark
        self._mark = now

    def _seconds_to_wait(self) -> float:
        now = time.monotonic()
        if self._stop_began is not None:
            ends = min(self._next_interrupt, self._stop_began + self._grace())
        elif self._calls.in_flight:
            ends = self._calls.next_deadline() or math.inf
        else:
            ends = self._mark + self._limit - self._used
        return min(ends, self._next_look) - now

    def _grace(self) -> float:
        if self._outcome.cancelled:
            return CANCEL_SECONDS
        return BREACH_SECONDS if self._outcome.breach else GRACE_SECONDS

    def _watch(self) -> None:
        """Stop the code when it is out of time or the user says so: ask first, then kill."""
        now = time.monotonic()
        if self._cancelled() and not self._outcome.cancelled:
            self._outcome.cancelled = True
            self._stop_began, self._next_interrupt = now, now
            self._calls.abandon()
        if self._stop_began is None and self._used >= self._limit:
            self._outcome.timed_out = True
            self._stop_began, self._next_interrupt = now, now
        if now >= self._next_look:
            self._look()
        if self._stop_began is None:
            return
        if now >= self._stop_began + self._grace():
            raise WorkerGone("had to be killed")
        if now >= self._next_interrupt:
            self._worker.interrupt()
            self._next_interrupt = now + _AGAIN_SECONDS

    def _look(self) -> None:
        """See whether the code keeps within the limits that the kernel doesn't keep for us."""
        breach = self._find_breach()
        now = time.monotonic()
        self._next_look = now + watch.SECONDS
        if breach is None:
            return
        self._next_look = math.inf
        self._outcome.breach = breach
        if breach.at_once:
            raise WorkerGone(breach.said)
        if self._stop_began is None:
            self._stop_began, self._next_interrupt = now, now

    def _take(self, message: list[Any]) -> None:
        """One message of the worker; whatever is not expected here ends it."""
        kind, nonce, fields = message[0], message[1:2], message[2:]
        take, types = _TAKES.get(kind, (None, ()))
        try:
            if nonce != [self._nonce] or self._outcome.status:
                raise wire.WireError("a message that belongs to no step")
            if take is None or [type(field) for field in fields] not in types:
                raise wire.WireError("a message of no known form")
            take(self, *fields)
        except wire.WireError as error:
            raise WorkerGone(f"broke its channel to the app ({error})") from None

    def _take_out(self, text: str) -> None:
        self._output.printed(text)

    def _take_tail(self, left_out: int, text: str) -> None:
        self._output.tail(max(0, left_out), text)

    def _take_call(self, number: int, name: str, body: bytes) -> None:
        self._drain_raw()
        reply = self._calls.begin(number, name, body)
        if reply is not None:
            self._worker.send("result", self._nonce, *reply)

    def _take_final(self, body: bytes) -> None:
        value = _printable(body)
        if not self._outcome.answered:
            self._outcome.answered, self._outcome.value = True, value

    def _take_wanted(self, name: str) -> None:
        if name.isidentifier() and len(name) <= 100:
            self._outcome.missing = name

    def _take_done(self, status: str, text: str, interrupted: bool, body: bytes | None) -> None:
        outcome = self._outcome
        if status not in ("ok", "error"):
            raise wire.WireError("a step that ended in no known way")
        outcome.text, outcome.interrupted = clean(text[:MAX_ERROR_CHARS]), interrupted
        if body is not None and not outcome.answered:
            outcome.value = _printable(body)
        outcome.status = status

    def _drain_raw(self) -> None:
        try:
            while data := self._worker.read_raw():
                self._output.raw(data)
        except WorkerGone as gone:
            self._outcome.gone = self._outcome.gone or str(gone)


def _printable(body: bytes) -> Any:
    """The value; whoever gets it shows it. Raises WireError also for one that Python won't print,
    such as a number of very many digits."""
    value = wire.unpack(body)
    try:
        str(value)
    except (ValueError, RecursionError):
        raise wire.WireError("a value that can't be printed") from None
    return value


# What the worker may send during a step: who takes it, and the types of its fields.
_TAKES: dict[str, tuple[Callable[..., None], list[list[type]]]] = {
    "out": (StepRun._take_out, [[str]]),
    "tail": (StepRun._take_tail, [[int, str]]),
    "call": (StepRun._take_call, [[int, str, bytes]]),
    "final": (StepRun._take_final, [[bytes]]),
    "wanted": (StepRun._take_wanted, [[str]]),
    "done": (
        StepRun._take_done,
        [[str, str, bool, bytes], [str, str, bool, type(None)]],
    ),
}
