"""What happens in a session, as data.

A session is its list of events: the command line prints them, the page draws them, the
store keeps them, and a session can be rebuilt from them. Each event is a frozen dataclass
of plain values (text, numbers, booleans, lists, dictionaries), so that
`event_from_dict(event_to_dict(e)) == e` and JSON holds it whole.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_SHOWN_CHARS = 2000


@dataclass(frozen=True)
class RunStarted:
    """A task was accepted. `files` are names in the workspace; `time` is ISO 8601, UTC.

    `needs_tools`: an answer counts only after code has run. `sandbox`: the tier that confines it.
    `shown`: the text of attached files that the model is shown before the task; `read`: the
    names of those that it is shown whole and need not read.
    """

    run: str
    task: str
    files: list[str]
    model: str
    family: str
    max_steps: int
    time: str
    needs_tools: bool = False
    sandbox: str = ""
    shown: str = ""
    read: list[str] = field(default_factory=list)
    type: str = "run_started"


@dataclass(frozen=True)
class StepStarted:
    """The model is about to be asked. Steps count from 1 within a run.

    `asked` is what it is told beyond the conversation so far, if anything.
    """

    step: int
    asked: str = ""
    type: str = "step_started"


@dataclass(frozen=True)
class ModelStarting:
    """The step waits for a model that is being started. `phase` is what is being done, `done` of
    `total` bytes of it (0: unknown), `seconds_left` the time left of it; `text` says all that."""

    step: int
    phase: str
    text: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    type: str = "model_starting"

    @classmethod
    def of(cls, step: int, progress: Any) -> "ModelStarting":
        """The event for a `serving.progress.Progress`."""
        p = progress
        return cls(step, p.what, p.text, p.done, p.total, p.seconds_left)


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
    """The whole reply. Token counts are 0 where unknown.

    `finish` says why it ended, in the words of the model seam: `code`, `stop`, `length` …; and
    `reason` why it holds neither code nor an answer, if it doesn't.
    """

    step: int
    thinking: str
    text: str
    code: str | None
    answer: str | None
    finish: str
    input_tokens: int
    output_tokens: int
    seconds: float
    reason: str = ""
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
    """A tool came back. `result` is a preview, at most 2,000 characters.

    `size` is the length of the whole as text, in characters. `outcome`: `ok`, `error`, `timeout`,
    `denied` (by the user or a setting) or `cut off` (its step ended before it came back).
    `seconds` is without the time in which the user was asked.
    """

    step: int
    call: int
    tool: str
    ok: bool
    result: str
    seconds: float
    size: int = 0
    outcome: str = ""
    type: str = "tool_returned"


@dataclass(frozen=True)
class OutputDelta:
    """A piece of what the code prints, as it comes."""

    step: int
    text: str
    type: str = "output_delta"


@dataclass(frozen=True)
class Checkpoint:
    """Whether a step's code may be run again to rebuild its variables; comes before the step's end.

    `reason` says why not, or is empty. `calls` are the tool calls of the step with their whole
    results, in the order they were made: `{tool, arguments, value}` or `{tool, arguments, error:
    [type, text]}`; running the step again takes them from here. `result` is a digest of what the
    code showed, which has to be the same again.
    """

    step: int
    replayable: bool
    reason: str
    calls: list[dict[str, Any]]
    result: str = ""
    type: str = "checkpoint"


@dataclass(frozen=True)
class StepFinished:
    """A step ended. `observation` is what the model reads next; `error` names its kind, or None.

    `artefacts` are names of workspace files the code made or changed. `answer` is set in the
    step that ended the run with an answer.
    """

    step: int
    observation: str
    error: str | None
    artefacts: list[str]
    seconds: float
    answer: str | None = None
    type: str = "step_finished"


@dataclass(frozen=True)
class Compacted:
    """The conversation came near the model's context and is sent shortened from here on.

    The counts are of steps from the session's beginning: the first `summarised` are sent as a
    line each, the output of the first `trimmed` cut short, all other output cut to `most_chars`
    characters (0: not at all). Tokens are those of the prompt before and after.
    """

    step: int
    trimmed: int
    summarised: int
    most_chars: int
    tokens_before: int
    tokens_after: int
    type: str = "compacted"


@dataclass(frozen=True)
class ModelChanged:
    """From this step on another model answers. What streamed of the step before it is void.

    `family` is that of the new one; `reason` a sentence on why. The places are their names on the
    route, or empty where there is none.
    """

    step: int
    from_model: str
    to_model: str
    family: str
    reason: str
    from_place: str = ""
    to_place: str = ""
    type: str = "model_changed"

    @property
    def text(self) -> str:
        """The same in words."""
        at = f" ({self.to_place})" if self.to_place else ""
        return f"{self.to_model}{at} answers from here on, not {self.from_model}: {self.reason}"


@dataclass(frozen=True)
class RunResumed:
    """A run that broke off goes on, at `step`.

    `rebuilt`: the variables of the steps before are there again; otherwise `reason` says why
    not, and the model is told. `time` is ISO 8601, UTC.
    """

    run: str
    task: str
    step: int
    rebuilt: bool
    reason: str
    time: str
    type: str = "run_resumed"


@dataclass(frozen=True)
class PackageWanted:
    """The code imported `module`, which isn't installed; the user may allow `package`."""

    step: int
    module: str
    package: str
    type: str = "package_wanted"


@dataclass(frozen=True)
class PackageInstall:
    """A package that the user allowed. `status`: `progress`, `installed` or `failed`."""

    package: str
    status: str
    text: str
    type: str = "package_install"


@dataclass(frozen=True)
class PermissionAsked:
    """The code wants to call a tool that needs the user's yes; the call waits for it.

    `arguments` are the whole of what the tool would get; `rule` is the setting by which the user
    is asked; `grant` is what a yes for the session would allow.
    """

    step: int
    ask: str
    tool: str
    arguments: dict[str, Any]
    rule: str
    grant: str
    type: str = "permission_asked"


@dataclass(frozen=True)
class PermissionAnswered:
    """What came of a question. `answer`: `once`, `session`, `deny`, `nobody` (no answer in time)
    or `withdrawn` (its step ended first)."""

    ask: str
    answer: str
    grant: str = ""
    type: str = "permission_answered"


@dataclass(frozen=True)
class Notice:
    """Something the user should know that is no part of the answer."""

    text: str
    type: str = "notice"


@dataclass(frozen=True)
class RunFinished:
    """A run ended; always the last event of a run, unless it is resumed.

    `status`: `answered` (by the model), `stopped` (by the user), `limit` (steps, time, or no
    progress) or `failed`. `provenance`: `computed` (final_answer was called), `stated` (the
    model wrote it), `collected` (put together from the observations after a limit), or empty
    without an answer. An answer with an `error` beside it came only after a limit.
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
    | ModelStarting
    | ThinkingDelta
    | TextDelta
    | ModelReplied
    | ToolCalled
    | ToolReturned
    | OutputDelta
    | Checkpoint
    | StepFinished
    | Compacted
    | ModelChanged
    | RunResumed
    | PackageWanted
    | PackageInstall
    | PermissionAsked
    | PermissionAnswered
    | Notice
    | RunFinished
)

_CLASSES: dict[str, type[Any]] = {
    cls.__dataclass_fields__["type"].default: cls  # type: ignore[misc]
    for cls in Event.__args__  # type: ignore[attr-defined]
}


_PIECES = (ThinkingDelta, TextDelta, OutputDelta)


def event_to_dict(event: Event) -> dict[str, Any]:
    """The event as plain data, for JSON."""
    if isinstance(event, _PIECES):  # of these there is one a token, and they hold nothing deep
        return dict(vars(event))
    return asdict(event)


def event_from_dict(data: dict[str, Any]) -> Event:
    """The event that `event_to_dict` wrote. Raises ValueError for what is none."""
    cls = _CLASSES.get(data.get("type", ""))
    if cls is None:
        raise ValueError(f"unknown event type {data.get('type')!r}; known: {', '.join(_CLASSES)}")
    try:
        return cls(**data)
    except TypeError as error:
        raise ValueError(f"no event of the type {data['type']}: {error}") from None


def shown(value: Any) -> Any:
    """An argument of a tool as an event may hold it: JSON, and not the whole of a long text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):  # JSON knows no other numbers
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…"


def tool_event(step: int, record: dict[str, Any]) -> ToolCalled | ToolReturned:
    """What the sandbox recorded of a tool's call, as an event."""
    call, tool = record["call"], record["tool"]
    if record["phase"] == "start":
        given = {name: shown(value) for name, value in record["arguments"].items()}
        return ToolCalled(step, call, tool, given)
    return ToolReturned(
        step,
        call,
        tool,
        record["ok"],
        record["result"],
        record["seconds"],
        record.get("size", 0),
        record.get("outcome", ""),
    )
