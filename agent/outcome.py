"""How a run ends: what becomes of its last event."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent import context, guards
from agent.context import Step
from agent.events import Event, ModelReplied, RunStarted, StepFinished
from errors import HearthError

MORE_STEPS = (
    "Allow more with HEARTH_MAX_STEPS or HEARTH_RUN_TIMEOUT_SECONDS, or ask for less at once."
)
ASK_OTHERWISE = "Ask in other words or for less at once, or take a stronger model."


@dataclass(frozen=True)
class Outcome:
    """The part of `RunFinished` that says how it came out."""

    status: str
    answer: str | None = None
    provenance: str = ""
    error: str = ""
    fix: str = ""

    def fields(self) -> dict[str, Any]:
        """For `RunFinished(**…)`."""
        return asdict(self)


def failed(error: HearthError) -> Outcome:
    """A fault that the model can't mend."""
    return Outcome("failed", error=error.message, fix=error.fix)


def crashed(error: Exception) -> Outcome:
    """A fault of our own."""
    return Outcome(
        "failed",
        error=f"Hearth itself failed: {type(error).__name__}: {error}",
        fix="Try again; if it happens again, please report it with this text.",
    )


def collected(steps: Sequence[Step], why: str, fix: str = MORE_STEPS) -> Outcome:
    """What is known when a run ends without the model's answer; there is always some text.

    That is the last output that says something, or an answer that the model stated after it; else
    the last code, if all it did was to define a function or a class (it goes first when it came
    twice: it was what was asked for); else the last prose; and where there is none of these, that
    there is none.
    """
    code = guards.defining_code(steps)
    written = [context.assistant_message(step.code_action or "") for step in steps]
    if code and written.count(code) > 1:
        return Outcome("limit", code, "collected", why, fix)
    for step in reversed(steps):
        if step.stated:
            return Outcome("limit", step.stated, "stated", why, fix)
        if output := guards.telling_output(step):
            return Outcome("limit", output, "collected", why, fix)
    known = code or guards.best_text(steps)
    if known is None:
        errors = [step.observations for step in steps if step.failed and step.code_action]
        last = (errors[-1] or "").strip().splitlines()[-1:] if errors else []
        known = " ".join(["No answer was found.", *(f"The last error was: {x}" for x in last)])
    return Outcome("limit", known, "collected", why, fix)


def in_words(steps: Sequence[Step], why: str) -> Outcome:
    """The run ends with what the model wrote, though it is no answer that it marked as one."""
    text = guards.best_text(steps)
    if text is None:
        return collected(steps, why, ASK_OTHERWISE)
    return Outcome("answered", text, "stated", why, ASK_OTHERWISE)


def totals(events: Sequence[Event]) -> dict[str, Any]:
    """What the session's last run made and used, for `RunFinished(**…)`."""
    starts = [place for place, event in enumerate(events) if isinstance(event, RunStarted)]
    run = events[starts[-1] :] if starts else []
    replies = [event for event in run if isinstance(event, ModelReplied)]
    made = [name for event in run if isinstance(event, StepFinished) for name in event.artefacts]
    return {
        "artefacts": list(dict.fromkeys(made)),
        "steps": len(replies),
        "input_tokens": sum(event.input_tokens for event in replies),
        "output_tokens": sum(event.output_tokens for event in replies),
    }
