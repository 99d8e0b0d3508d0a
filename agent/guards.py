"""What keeps a run from going in circles, and tells the model what it can't see itself."""

import ast
import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from agent import context
from agent.context import Step
from agent.definitions import defined_names, names_before, only_defined, source_of
from agent.summary import settled

MOST_REPEATS = 3
"""The same code with the same result for this many times ends the run."""
MOST_IDLE = 3
"""This many replies in a row without code and without an answer that counts end the run."""

REPEATED = (
    "You ran this same code before, with this same result. Do something else, or call "
    "final_answer(…) with what you know."
)
NO_ACTION = (
    "Your reply held no Python code and no marked answer. Reply with one block that starts with "
    "```python and ends with ```, and call final_answer(…) in it when you know the answer."
)
_ACT = "Act now: one short ```python block."
_REASONS = {
    "length": "You were still thinking when the reply reached its longest length of {tokens} "
    f"tokens. {_ACT}",
    "cut": "Your code was cut off when the reply reached its longest length of {tokens} tokens. "
    "Write less text and shorter code.",
    "thinking_budget": f"You were still thinking after {{tokens}} tokens. {_ACT}",
    "repetition": f"Your reply began to repeat itself and was stopped. Think less. {_ACT}",
    "unclosed": f"Your reply ended while you were still thinking. {_ACT}",
    "empty": f"Your reply was empty. {_ACT}",
}
_NEEDS_CODE = "Your answer can't be taken yet: this task needs code or a tool. "
_UNREAD = "Your answer can't be taken yet: you have not read {names}. "
_READ_FIRST = "Write one ```python block that does, then call final_answer(…)."
_COMPUTE_FIRST = "Write one ```python block that finds it out, then call final_answer(…)."

_DEFINED = (
    "(`{name}` is defined now. Call it and print the result; if the code itself is what was asked "
    "for, call final_answer({name}).)"
)
_UNDEFINED = re.compile(r"NameError: name '(\w+)' is not defined\s*$")
_FAILED_LINE = re.compile(r"^line (\d+)\b", re.MULTILINE)
_UNDONE = "Variables are as they were before this step."  # of the restricted interpreter
_MOST_NAMES = 12
_LISTINGS = ("listdir", "scandir", "glob", "iterdir", "walk(")


def repeats(steps: Sequence[Step], code: str, observation: str) -> int:
    """How often this code has run before in these steps with this result."""
    form, result = _form(code), _result(observation)
    return sum(
        1
        for step in steps
        if step.code_action
        and _result(step.observations or "") == result
        and _form(step.code_action) == form
    )


def _form(code: str) -> str:
    """The code without what makes no difference: layout and comments."""
    try:
        return ast.dump(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code.strip()


def _result(observation: str) -> str:
    return settled(observation.removesuffix(REPEATED).rstrip())


def idle(steps: Sequence[Step]) -> int:
    """How many replies in a row, up to now, held nothing to act on."""
    count = 0
    for step in reversed(steps):
        if step.code_action:
            break
        count += 1
    return count


def instruction(reply: Any, tokens: int | None) -> str:
    """What a reply that held nothing to act on is answered with; it names why it ended.

    `reply` has the client's `reason` for it; `tokens` is how long it was, or was allowed to be.
    """
    why = "cut" if reply.reason == "length" and reply.text.strip() else reply.reason
    return _REASONS.get(why, NO_ACTION).format(tokens=f"{tokens:,}" if tokens else "so many")


def demand(steps: Sequence[Step], *, needs_tools: bool, attached: Sequence[str]) -> str:
    """Why an answer in words does not count yet, as the model is told; empty if it does.

    `attached` are the files that came with the task. They count as read once code that did not
    fail names one of them, or lists the folder.
    """
    ran = [step.code_action for step in steps if step.code_action and not step.failed]
    said = "\n".join(ran)
    if attached and not any(word in said for word in (*attached, *_LISTINGS)):
        names = ", ".join(attached[:5]) + (" …" if len(attached) > 5 else "")
        return _UNREAD.format(names=names) + _READ_FIRST
    if needs_tools and not ran:
        return _NEEDS_CODE + _COMPUTE_FIRST
    return ""


def name_hint(error: str, code: str, steps: Sequence[Step], tools: Iterable[str]) -> str:
    """What is known of a name that the code did not find, where the error itself says nothing.

    That is where an earlier step set it; else the names near it; else those there are.
    """
    missing = _UNDEFINED.search(error)
    if missing is None:
        return ""
    name, tools = missing[1], list(tools)
    there = _names_there(error, code, steps)
    for step in reversed(steps):
        names = defined_names(step.code_action or "", imports=True)
        if name in names:
            if step.failed:
                return f"(`{name}` is set in step {step.step_number}, which failed before that.)"
            return f"(`{name}` was set in step {step.step_number}, but is gone; set it again.)"
    near = difflib.get_close_matches(name, dict.fromkeys([*tools, *there]), n=3, cutoff=0.6)
    if near:
        return f"(Names near it: {', '.join(near)}.)"
    listed = (("Set so far", there), ("Tools", tools))
    said = [f"{what}: {_some(names)}." for what, names in listed if names]
    return f"({' '.join(said)})" if said else ""


def _names_there(error: str, code: str, steps: Sequence[Step]) -> list[str]:
    """The names that the code of these steps has set, and `code` before its error: latest first."""
    there: dict[str, None] = {}
    for text, observation, failed in [
        (code, error, "error"),
        *((step.code_action or "", step.observations or "", step.failed) for step in steps[::-1]),
    ]:
        if failed in ("limit", "interrupted") or context.GONE in observation:
            break  # the process may have been replaced
        if _UNDONE in observation:
            continue
        line = _FAILED_LINE.search(observation) if failed else None
        names = names_before(text, int(line[1]) if line else sys.maxsize)
        there.update(dict.fromkeys(reversed(names)))
    return list(there)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")


def defined_hint(code: str, observation: str) -> str:
    """What to do with a definition, after code that did nothing but define."""
    if context.plain_output(observation) != context.NOTHING_PRINTED:
        return ""
    names = only_defined(code)
    return _DEFINED.format(name=names[-1]) if names else ""


def written_out(answer: str, codes: Sequence[str]) -> str:
    """An answer that is a function or a class of the run, as its code; any other as it stands."""
    code = source_of(answer, codes)
    return context.assistant_message(code) if code else answer


def defining_code(steps: Sequence[Step]) -> str | None:
    """The last code, if all it did was to define what was perhaps asked for."""
    last = next((step for step in reversed(steps) if step.code_action), None)
    if last is None or last.failed or not only_defined(last.code_action or ""):
        return None
    return context.assistant_message(last.code_action or "")


def best_text(steps: Sequence[Step]) -> str | None:
    """What the model itself said last that may serve as an answer."""
    for step in reversed(steps):
        if step.stated:
            return step.stated
    for step in reversed(steps):
        if not step.code_action and (step.model_output or "").strip():
            return str(step.model_output).strip()
    return None


def telling_output(step: Step) -> str | None:
    """What the step's code printed, if that says something and is no error."""
    if not step.code_action or not step.observations or step.failed:
        return None
    text = context.plain_output(step.observations.removesuffix(REPEATED).rstrip())
    return text if text.strip() and not text.startswith(context.NOTHING_PRINTED) else None
