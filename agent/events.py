"""What happens in a session, as data.

A session is its list of events: the command line prints them, the page draws them, the
store keeps them, and a session can be rebuilt from them. Each event is a frozen dataclass
of plain values (text, numbers, booleans, lists, dictionaries), so that
`event_from_dict(event_to_dict(e)) == e` and JSON holds it whole.
"""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunStarted:
    """A task was accepted. `files` are names in the workspace; `time` is ISO 8601, UTC."""

    run: str
    task: str
    files: list[str]
    model: str
    family: str
    max_steps: int
    time: str
    type: str = "run_started"


@dataclass(frozen=True)
class StepStarted:
    """The model is about to be asked. Steps count from 1 within a run."""

    step: int
    type: str = "step_started"


@dataclass(frozen=True)
class ThinkingDelta:
    """A piece of the model's thinking, as it streams."""

    step: int
    text: str
    type: str = "thinking_delta"


@dataclass(frozen=True)
class TextDelta:
    """A piece of the reply after the thinking (prose and code), as it streams."""

    step: int
    text: str
    type: str = "text_delta"


@dataclass(frozen=True)
class ModelReplied:
    """The whole reply. `finish` is `code`, `stop` or `length`; token counts are 0 where unknown."""

    step: int
    thinking: str
    text: str
    code: str | None
    answer: str | None
    finish: str
    input_tokens: int
    output_tokens: int
    seconds: float
    type: str = "model_replied"


@dataclass(frozen=True)
class ToolCalled:
    """The code called a tool; `call` joins it with its `ToolReturned`."""

    step: int
    call: int
    tool: str
    arguments: dict[str, Any]
    type: str = "tool_called"


@dataclass(frozen=True)
class ToolReturned:
    """A tool came back. `result` is a preview, at most 2,000 characters."""

    step: int
    call: int
    tool: str
    ok: bool
    result: str
    seconds: float
    type: str = "tool_returned"


@dataclass(frozen=True)
class OutputDelta:
    """A piece of what the code prints, as it comes."""

    step: int
    text: str
    type: str = "output_delta"


@dataclass(frozen=True)
class StepFinished:
    """A step ended. `observation` is what the model reads next; `error` names its kind, or None.

    `artefacts` are names of workspace files the code made or changed.
    """

    step: int
    observation: str
    error: str | None
    artefacts: list[str]
    seconds: float
    type: str = "step_finished"


@dataclass(frozen=True)
class Notice:
    """Something the user should know that is no part of the answer."""

    text: str
    type: str = "notice"


@dataclass(frozen=True)
class RunFinished:
    """A run ended; always the last event of a run.

    `status`: `answered`, `stopped` (by the user), `limit` (steps or time) or `failed`.
    `provenance`: `computed` (final_answer was called), `stated` (the model wrote it),
    `collected` (put together from the observations after a limit), or empty without an answer.
    """

    status: str
    answer: str | None = None
    provenance: str = ""
    artefacts: list[str] = field(default_factory=list)
    error: str = ""
    fix: str = ""
    steps: int = 0
    seconds: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    type: str = "run_finished"


Event = (
    RunStarted
    | StepStarted
    | ThinkingDelta
    | TextDelta
    | ModelReplied
    | ToolCalled
    | ToolReturned
    | OutputDelta
    | StepFinished
    | Notice
    | RunFinished
)

_CLASSES: dict[str, type[Any]] = {
    cls.__dataclass_fields__["type"].default: cls  # type: ignore[misc]
    for cls in Event.__args__  # type: ignore[attr-defined]
}


def event_to_dict(event: Event) -> dict[str, Any]:
    """The event as plain data, for JSON."""
    return asdict(event)


def event_from_dict(data: dict[str, Any]) -> Event:
    """The event that `event_to_dict` wrote. Raises ValueError for an unknown `type`."""
    cls = _CLASSES.get(data.get("type", ""))
    if cls is None:
        raise ValueError(f"unknown event type {data.get('type')!r}; known: {', '.join(_CLASSES)}")
    return cls(**data)
