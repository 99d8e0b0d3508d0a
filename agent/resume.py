"""A run that broke off, continued: from its events to the point where it stopped.

The steps that were finished stay as they are. The sandbox's variables come back by running
the finished steps' code again, with what the tools returned then, as long as the checkpoints
allow it and the same comes out as before; otherwise the model is told that they are gone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smolagents.memory import MemoryStep, TaskStep
from smolagents.monitoring import Timing

from agent import context
from agent.code_agent import Broken
from agent.context import Shape, Step
from agent.events import (
    Checkpoint,
    Compacted,
    Event,
    ModelChanged,
    ModelReplied,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    StepStarted,
    ToolCalled,
    ToolReturned,
)
from agent.running import Runner
from errors import InputError

MAX_REPEAT_SECONDS = 300.0
"""Variables are not rebuilt where the code ran longer than this in all."""

_CUT_OFF = "The run was interrupted while this code ran; what it did is not known."
_GONE_TOO = " Variables and imports are gone, files are kept. Set again what you need."
_KEPT = " What was set before it is there."
# Tools of ours that only look; of any other it is taken that calling it twice does something twice.
_ONLY_LOOK = frozenset(
    {
        "web_search",
        "visit_webpage",
        "wikipedia_search",
        "wikipedia_page",
        "archived_page",
        "youtube_transcript",
        "read_file",
        "inspect_table",
        "calculate",
        "search_notes",
        "search_history",
    }
)
_CAN_GO_ON = ("failed", "stopped", "")  # the last: it has not ended at all
_NOT_RUN = ("no action", "interrupted")  # kinds of steps that leave no variables


@dataclass(frozen=True)
class Point:
    """Where a run broke off.

    `step` is the one to go on with, `reply` its reply if that had come, `called` the tools that
    its code had called by then. `tried`: its code was run once more already, and that broke off
    too. `done` is the step that gave the answer, if only the run's last event is missing.
    """

    started: RunStarted
    step: int
    reply: ModelReplied | None = None
    called: tuple[ToolCalled, ...] = ()
    returned: tuple[ToolReturned, ...] = ()
    tried: bool = False
    done: StepFinished | None = None

    @property
    def provenance(self) -> str:
        """Of the answer in `done`."""
        return "computed" if self.reply and self.reply.code else "stated"


def resumable(events: Sequence[Event]) -> RunStarted | None:
    """The last run of these events, if it can be resumed."""
    started: RunStarted | None = None
    status = ""
    for event in events:
        if isinstance(event, RunStarted):
            started, status = event, ""
        elif isinstance(event, RunFinished):
            status = event.status
        elif isinstance(event, RunResumed):
            status = ""
    return started if status in _CAN_GO_ON else None


def broke_off(events: Sequence[Event]) -> Point:
    """Where the last run stopped. Raises InputError if there is none to go on with."""
    started = resumable(events)
    if started is None:
        raise InputError(
            "There is no run to go on with: the last one came to its end, or none was begun.",
            fix="Give a new task.",
        )
    point = Point(started, step=1)
    for event in events[events.index(started) :]:
        if isinstance(event, ModelReplied):
            point = replace(point, reply=event, called=(), returned=(), tried=False)
        elif isinstance(event, ToolCalled):
            point = replace(point, called=(*point.called, event))
        elif isinstance(event, ToolReturned):
            point = replace(point, returned=(*point.returned, event))
        elif isinstance(event, RunResumed):
            point = replace(point, tried=point.reply is not None)
        elif isinstance(event, StepFinished):
            if event.answer is not None:
                return replace(point, done=event)
            point = Point(point.started, event.step + 1)
    return point


def steps_from_events(history: Sequence[Event]) -> list[MemoryStep]:
    """The agent's memory, rebuilt from a session's events; the inverse of running them."""
    steps: list[MemoryStep] = []
    asked = ""
    for event in history:
        last = steps[-1] if steps else None
        if isinstance(event, RunStarted):
            steps.append(
                context.Task(task=context.task_message(event.task, event.files), shown=event.shown)
            )
        elif isinstance(event, StepStarted):
            asked = event.asked
        elif isinstance(event, ModelReplied):
            steps.append(_replied(event, asked))
        elif isinstance(event, StepFinished) and isinstance(last, Step):
            last.observations, last.failed = event.observation, event.error or ""
            if event.answer is not None:
                last.is_final_answer, last.action_output = True, event.answer
            if event.error == "no action":
                last.code_action = None
        elif isinstance(event, RunResumed) and not event.rebuilt:
            tell_gone(steps)
        elif isinstance(event, RunFinished) and isinstance(last, Step):
            last.given = event.answer
    return steps


def _replied(event: ModelReplied, asked: str) -> Step:
    return Step(
        event.step,
        Timing(start_time=0.0, end_time=0.0),
        model_output=event.text,
        code_action=event.code,
        asked=asked,
        stated=event.answer,
    )


def tell_gone(steps: Sequence[MemoryStep]) -> None:
    """Note at the end of the conversation that variables are gone."""
    for place in range(len(steps) - 1, -1, -1):
        step = steps[place]
        if isinstance(step, Step):
            if step.observations:
                step.observations = f"{step.observations}\n{context.GONE}"
            if step.observations or step.code_action:
                return  # a step that broke off is told so itself
        elif isinstance(step, TaskStep):
            if place:  # nothing has run before the first task
                step.task = f"{step.task}\n\n{context.GONE}"
            return


def shape_from_events(history: Sequence[Event]) -> Shape:
    """How the conversation was sent last; another model was sent it whole."""
    for event in reversed(history):
        if isinstance(event, Compacted):
            return Shape(event.trimmed, event.summarised, event.most_chars)
        if isinstance(event, ModelChanged):
            break
    return Shape()


def other_model(
    history: Sequence[Event], step: int, model: Any, family: str
) -> ModelChanged | None:
    """The event that says so where a run is resumed on another model than answered last."""
    now = str(model.model_id or "")
    for event in reversed(history):
        if isinstance(event, ModelChanged | RunStarted):
            before = event.model if isinstance(event, RunStarted) else event.to_model
            why = "the run is resumed with it."
            return None if before == now else ModelChanged(step, before, now, family, why)
    return None


# -- the sandbox's variables -------------------------------------------------------------


@dataclass(frozen=True)
class _Past:
    """A finished step with code."""

    code: str
    finished: StepFinished
    checkpoint: Checkpoint | None


def _past(events: Sequence[Event], *, all_runs: bool) -> list[_Past]:
    """The steps whose variables count: those since all variables were last gone."""
    found: list[_Past] = []
    reply: ModelReplied | None = None
    checkpoint: Checkpoint | None = None
    for event in events:
        new_run = isinstance(event, RunStarted) and not all_runs
        if new_run or (isinstance(event, RunResumed) and not event.rebuilt):
            found = []
        elif isinstance(event, ModelReplied):
            reply, checkpoint = event, None
        elif isinstance(event, Checkpoint):
            checkpoint = event
        elif isinstance(event, StepFinished):
            if event.error == "limit":  # the process was replaced
                found = []
            elif reply is not None and reply.code and event.error not in _NOT_RUN:
                found.append(_Past(reply.code, event, checkpoint))
            reply = None
    return found


def rebuild(runner: Runner, events: Sequence[Event], *, all_runs: bool) -> tuple[bool, str]:
    """Bring the sandbox's variables back; whether they are there again, and if not, why.

    `all_runs`: the steps of the session's earlier runs count too. Raises errors.Cancelled and
    errors.SandboxError.
    """
    steps = _past(events, all_runs=all_runs)
    runner.forget()
    why = _why_not(steps) or _repeat(runner, steps)
    if why:
        runner.forget()
    return not why, why


def _why_not(steps: Sequence[_Past]) -> str:
    for step in steps:
        name = f"step {step.finished.step}"
        if step.checkpoint is None:
            return f"{name} has no checkpoint"
        if not step.checkpoint.replayable:
            return f"{name} can't be run again: {step.checkpoint.reason}"
    seconds = sum(step.finished.seconds for step in steps)
    if seconds > MAX_REPEAT_SECONDS:
        return f"running the code again would take some {seconds:.0f} seconds"
    return ""


def _repeat(runner: Runner, steps: Sequence[_Past]) -> str:
    for step in steps:
        assert step.checkpoint is not None
        if not runner.repeat(step.code, step.checkpoint):
            return f"step {step.finished.step} came out otherwise when it was run again"
    return ""


def broken_step(
    point: Point, runner: Runner, rebuilt: bool, only_looks: Callable[[str], bool]
) -> Broken | None:
    """What to do with a reply whose step broke off: run its code, or tell the model."""
    if point.reply is None:
        return None
    code = point.reply.code
    if not code:
        return Broken(point.reply)
    acted = [call for call in point.called if not only_looks(call.tool)]
    if rebuilt and not acted and not point.tried and not runner.once_only(code):
        return Broken(point.reply)
    told = [_CUT_OFF + (_KEPT if rebuilt else _GONE_TOO)]
    for call in acted:
        came = next((r for r in point.returned if r.call == call.call), None)
        given = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
        result = f"returned: {came.result}" if came else "was under way"
        told.append(f"It had called {call.tool}({given}), which {result}")
    return Broken(point.reply, context.harmless("\n".join(told)))


def only_looks(tool: Any) -> bool:
    """Whether a call of this tool can be made twice without doing anything twice."""
    changes = getattr(tool, "side_effects", None)
    return tool.name in _ONLY_LOOK if changes is None else not changes
