"""What the model is sent: messages made from the steps of a run.

The list only ever grows at its end and every message is made once and for all from one
step, so that the engine's prefix cache answers for all but the new tokens. Past thinking
is never sent again, and each piece of code stands in it once.
"""

from collections.abc import Sequence

from smolagents.agents import ActionStep
from smolagents.memory import MemoryStep, TaskStep
from smolagents.models import ChatMessage, MessageRole

NOTHING_PRINTED = "(nothing was printed)"

NO_ACTION = (
    "Your reply held no Python code. Reply with one block that starts with ```python and ends "
    "with ```, and call final_answer(…) in it when you know the answer."
)
STILL_THINKING = (
    "You were still thinking when the reply reached its longest length of {tokens} tokens. "
    "Act now: one short ```python block."
)
CUT_SHORT = (
    "Your code was cut off when the reply reached its longest length of {tokens} tokens. "
    "Write less text and shorter code."
)


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


def messages(
    instructions: str, steps: Sequence[MemoryStep], *, remembers_turns: bool
) -> list[ChatMessage]:
    """The conversation for the next reply.

    `instructions` opens it as a system message (the client folds it into the first user turn
    for families that have no system role). Where a family does not remember turns, only the
    present task and its steps are sent.
    """
    if not remembers_turns:
        steps = steps[_last_task(steps) :]
    built = [_message(MessageRole.SYSTEM, instructions)] if instructions else []
    for step in steps:
        if isinstance(step, TaskStep):
            built.append(_message(MessageRole.USER, step.task))
        elif isinstance(step, ActionStep):
            built += _action_messages(step)
    return built


def _action_messages(step: ActionStep) -> list[ChatMessage]:
    if step.code_action:
        said = assistant_message(step.code_action)
    else:
        said = str(step.model_output or "").strip()
    built = [_message(MessageRole.ASSISTANT, said)] if said else []
    if step.observations:
        built.append(_message(MessageRole.USER, step.observations))
    return built


def _last_task(steps: Sequence[MemoryStep]) -> int:
    tasks = [number for number, step in enumerate(steps) if isinstance(step, TaskStep)]
    return tasks[-1] if tasks else 0


def _message(role: MessageRole, text: str) -> ChatMessage:
    return ChatMessage(role=role, content=[{"type": "text", "text": text}])
