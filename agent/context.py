"""What the model is sent: messages made from the steps of a run.

The list only ever grows at its end and every message is made once and for all from one
step, so that the engine's prefix cache answers for all but the new tokens. Past thinking
is never sent again, and each piece of code stands in it once. When the model's context is
nearly full, `agent.compaction` picks a `Shape`, and the older part is sent shortened.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from smolagents.agents import ActionStep
from smolagents.memory import MemoryStep, TaskStep
from smolagents.models import ChatMessage, MessageRole

from agent.outside import harmless
from agent.summary import cut, summary

NOTHING_PRINTED = "(nothing was printed)"
OBSERVATION_CHARS = 8000
"""Most characters of one observation; the rest stays in the sandbox, as `last_output`."""
PROSE_CHARS = 2000
TRIMMED_CHARS = 300
_ANSWER_CHARS = 1000

GONE = (
    "(The run was interrupted here and goes on in a new Python process: variables and imports "
    "are gone, files are kept. Set again what you need.)"
)
LAST_REQUEST = (
    "No step is left. Answer now from what you have: one ```python block that only calls "
    "final_answer(…), or a line `Final answer: …`."
)

# The lines that `agent.prompts.outside_text` puts around a text.
_FRAME_LINES = re.compile(
    r"^\[(?:webpage \d+ (?:begin|end)|file content (?:begin|end)|file name\]: [^\n]*"
    r"|from [^\]\n]{1,120}: (?:begin|end))\]?\n?",
    re.MULTILINE,
)


@dataclass
class Step(ActionStep):
    """smolagents' ActionStep, with what else the next prompts and the run's end need.

    `asked`: what the model was told right before its reply. `failed`: the kind of its mistake,
    or empty. `stated`: the answer its reply stated. `given`: the answer that the run ended with,
    in the run's last step.
    """

    asked: str = ""
    failed: str = ""
    stated: str | None = None
    given: str | None = None


@dataclass
class Task(TaskStep):
    """smolagents' TaskStep. `shown`: the text of files that stands before the task."""

    shown: str = ""


@dataclass(frozen=True)
class Shape:
    """How much of a conversation is sent shortened; positions count all its steps and tasks.

    Steps before `summarised` are a line each; the observations of those before `trimmed` are cut
    short, the others to `most_chars` characters (0: not at all).
    """

    trimmed: int = 0
    summarised: int = 0
    most_chars: int = 0


def task_message(task: str, files: Sequence[str]) -> str:
    """The user turn that opens a run: the task, and the names of the files in the workspace."""
    return f"{task}\n\nFiles: {', '.join(files)}" if files else task


def assistant_message(code: str) -> str:
    """A past action as the model sees it: the code alone, without the thinking."""
    return f"```python\n{code.strip()}\n```"


def observation_text(printed: str, error: str | None = None, value: object = None) -> str:
    """What a step's code did, as the model reads it next.

    `printed` is the text the code printed, `error` the text of a `CodeError`, and `value`
    the value of the code's last expression where nothing else was printed.
    """
    parts = []
    printed = printed.rstrip("\n")
    if not printed and value is not None and error is None:
        printed = str(value)
    if printed or error is None:
        parts.append(f"Output:\n{printed or NOTHING_PRINTED}")
    if error is not None:
        parts.append(f"Error:\n{error}")
    return "\n".join(parts)


def plain_output(observation: str) -> str:
    """The printed text of an observation without an error, and without marks of ours."""
    return _FRAME_LINES.sub("", observation.removeprefix("Output:\n")).rstrip("\n")


def messages(
    instructions: str,
    steps: Sequence[MemoryStep],
    *,
    remembers_turns: bool,
    shape: Shape = Shape(),
    asked: str = "",
) -> list[ChatMessage]:
    """The conversation for the next reply.

    `instructions` opens it as a system message (the client folds it into the first user turn
    for families that have no system role); `asked` closes it as a user message. Where a family
    does not remember turns, only the present task and its steps are sent.
    """
    task = last_task(steps)
    start = 0 if remembers_turns else task
    built = [_message(MessageRole.SYSTEM, instructions)] if instructions else []
    full = max(start, min(shape.summarised, len(steps)))
    if full > start:
        built += _summaries(steps, start, task, full)
    for place in range(full, len(steps)):
        most = TRIMMED_CHARS if place < shape.trimmed else shape.most_chars
        built += _step_messages(steps[place], most, is_last=place == len(steps) - 1)
    if asked:
        built.append(_message(MessageRole.USER, asked))
    return built


def last_task(steps: Sequence[MemoryStep]) -> int:
    """Where the present run begins."""
    tasks = [place for place, step in enumerate(steps) if isinstance(step, TaskStep)]
    return tasks[-1] if tasks else 0


def run_steps(steps: Sequence[MemoryStep]) -> list[Step]:
    """The steps of the present run."""
    return [step for step in steps[last_task(steps) :] if isinstance(step, Step)]


def _summaries(steps: Sequence[MemoryStep], start: int, task: int, full: int) -> list[ChatMessage]:
    """The steps from `start` to `full` in a few lines; the present task stays whole."""
    built = []
    before = summary(steps[start : min(task, full)])
    if before:
        built.append(_message(MessageRole.USER, before))
    if full > task:
        built += _step_messages(steps[task], 0, is_last=False)
        since = summary(steps[task + 1 : full])
        if since:
            built.append(_message(MessageRole.USER, since))
    return built


def _step_messages(step: MemoryStep, most: int, *, is_last: bool) -> list[ChatMessage]:
    if isinstance(step, TaskStep):
        shown = step.shown if isinstance(step, Task) else ""
        return [_message(MessageRole.USER, f"{shown}\n\n{step.task}" if shown else step.task)]
    if not isinstance(step, ActionStep):
        return []
    built = []
    if isinstance(step, Step) and step.asked:
        built.append(_message(MessageRole.USER, step.asked))
    if step.code_action:
        said = assistant_message(step.code_action)
    else:
        said = cut(str(step.model_output or "").strip(), PROSE_CHARS)
    if said:
        built.append(_message(MessageRole.ASSISTANT, said))
    heard = cut(step.observations or "", most)
    if isinstance(step, Step) and step.given is not None and not is_last:
        heard = f"{heard}\n\nAnswer given: {cut(step.given, _ANSWER_CHARS)}".strip()
    if heard:
        built.append(_message(MessageRole.USER, heard))
    return built


def _message(role: MessageRole, text: str) -> ChatMessage:
    # Whoever wrote it: what the model was talked into writing goes back to it as well.
    text = harmless(text)
    return ChatMessage(role=role, content=[{"type": "text", "text": text}])
