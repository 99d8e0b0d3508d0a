"""Text made shorter, by rule: a long one cut in its middle, a step told in a line."""

import re
from collections.abc import Iterator, Sequence

from smolagents.agents import ActionStep
from smolagents.memory import MemoryStep, TaskStep

from agent.definitions import defined_names

HEADING = "What was done before, shortened:"
# Addresses in memory, numbers of saved figures.
_PASSING = re.compile(r"0x[0-9a-fA-F]{4,}|\b(?:figure|image)-\d+(?=\.(?:png|html)\b)")
_TASK_CHARS = 300
_CODE_CHARS = 100
_RESULT_CHARS = 140
_NAMES = 12
_MOST_CHARS = 3000


def cut(text: str, most: int, how_to_see: str = "") -> str:
    """The text, or its first two thirds and last third of `most` characters (0: any number).

    The line in between says how much is missing and, with `how_to_see`, how to get at it.
    """
    if not most or len(text) <= most:
        return text
    head = most * 2 // 3
    tail = most - head
    rest = f"; {how_to_see}" if how_to_see else ""
    left_out = len(text) - head - tail
    return f"{text[:head]}\n[… {left_out:,} characters left out{rest} …]\n{text[-tail:]}"


def settled(text: str) -> str:
    """What code showed, without what differs from one run of it to the next."""
    return _PASSING.sub("", text)


def summary(steps: Sequence[MemoryStep]) -> str:
    """The steps in a line each, earlier tasks and answers included; empty for no steps."""
    lines = [line for step in steps for line in _lines(step)]
    kept, size = 0, 0
    while kept < len(lines) and size + len(lines[-kept - 1]) < _MOST_CHARS:
        kept += 1
        size += len(lines[-kept])
    left_out = len(lines) - kept
    if left_out:
        lines[:left_out] = [f"({left_out} lines before these are left out.)"]
    return "\n".join([HEADING, *lines]) if lines else ""


def _lines(step: MemoryStep) -> Iterator[str]:
    if isinstance(step, TaskStep):
        yield f"Task: {_one_line(step.task, _TASK_CHARS)}"
        return
    if not isinstance(step, ActionStep):
        return
    result = _one_line((step.observations or "").removeprefix("Output:\n"), _RESULT_CHARS)
    if step.code_action:
        names = ", ".join(defined_names(step.code_action)[:_NAMES])
        did = f"`{_gist(step.code_action)}`" + (f" (sets {names})" if names else "")
        yield f"- {did}" + (f" → {result}" if result else "")
    elif step.model_output:
        yield f"- wrote: {_one_line(step.model_output, _RESULT_CHARS)}"
    given = getattr(step, "given", None)
    if given is not None:
        yield f"Answer given: {_one_line(given, _TASK_CHARS)}"


def _gist(code: str) -> str:
    """The first lines that do something, on one line."""
    lines = [line.strip() for line in code.splitlines()]
    telling = [x for x in lines if x and not x.startswith(("#", "import ", "from "))]
    return _one_line("; ".join(telling or lines), _CODE_CHARS).replace("`", "'")


def _one_line(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
