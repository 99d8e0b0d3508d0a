"""A session: one conversation, its runs, and their events.

A run goes on in a thread of the session's own; whoever watches only reads the list of
events, so a closed page or a lost connection ends nothing. The session keeps no other
state: `Session(..., history=events)` goes on where those events stopped.
"""

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from smolagents import Model, Tool
from smolagents.agents import ActionStep
from smolagents.local_python_executor import CodeOutput
from smolagents.memory import MemoryStep, TaskStep
from smolagents.monitoring import Timing

from agent import context
from agent.attachments import attach
from agent.code_agent import ReasoningCodeAgent
from agent.events import (
    Event,
    ModelReplied,
    Notice,
    OutputDelta,
    RunFinished,
    RunStarted,
    StepFinished,
    ToolCalled,
    ToolReturned,
)
from errors import Cancelled, HearthError, InputError

MAX_SHOWN_CHARS = 2000


class Executor(Protocol):
    """What a session needs of the sandbox beyond smolagents' PythonExecutor."""

    on_output: Callable[[str], None] | None
    on_tool_call: Callable[[dict[str, Any]], None] | None
    stopped: Callable[[], bool]
    state: dict[str, Any]
    artefacts: list[Path]

    def __call__(self, code_action: str) -> CodeOutput: ...
    def interrupt(self) -> None: ...
    def cleanup(self) -> None: ...


@dataclass(frozen=True)
class Limits:
    """The bounds of one run."""

    max_steps: int = 8
    run_timeout_seconds: float = 1800.0


class Session:
    """One conversation with the agent. Runs follow one another; two at once are refused.

    `model` is a smolagents Model whose `generate_stream` ends with a delta that carries the
    split reply; `executor` runs the code in `workspace`; `store` is called with each event
    before anyone sees it, and `name` is what the store knows the session by. `history` holds
    the events of an earlier life of this session: the conversation goes on from there, though
    variables in the sandbox are gone.
    """

    def __init__(
        self,
        model: Model,
        executor: Executor,
        tools: Sequence[Tool],
        workspace: Path,
        *,
        instructions: str = "",
        family: str = "",
        remembers_turns: bool = True,
        limits: Limits = Limits(),
        store: Callable[[Event], None] | None = None,
        history: Sequence[Event] = (),
        name: str = "",
    ) -> None:
        self.name = name or uuid.uuid4().hex[:12]
        self.workspace = workspace = workspace.absolute()
        self.limits = limits
        self._model, self._executor, self._family = model, executor, family
        self._store = store
        self._events: list[Event] = list(history)
        # Guards the events, the two flags and the raising of `_cancel`. Its lock is reentrant, so
        # a signal's handler may cancel whatever the main thread is doing.
        self._changed = threading.Condition()
        self._running = False
        self._closed = False
        self._cancel = threading.Event()
        self._out_of_time = False
        self._worker: threading.Thread | None = None
        self._files: list[str] = [
            name for e in history if isinstance(e, RunStarted) for name in e.files
        ]
        self._agent = ReasoningCodeAgent(
            list(tools),
            model,
            executor,  # type: ignore[arg-type]  # a PythonExecutor with the Protocol's additions
            workspace=workspace,
            instructions=instructions,
            remembers_turns=remembers_turns,
            max_steps=limits.max_steps,
            emit=self._emit,
            cancel=self._cancel,
        )
        self._agent.memory.steps = steps_from_events(history)
        executor.on_output = self._on_output
        executor.on_tool_call = self._on_tool_call
        # A stop between the model's reply and the start of its code must not be lost.
        executor.stopped = self._cancel.is_set

    @property
    def events(self) -> list[Event]:
        """All events so far."""
        with self._changed:
            return list(self._events)

    @property
    def running(self) -> bool:
        """Whether a run goes on at present; no longer once its `RunFinished` can be seen."""
        return self._running

    def run(self, task: str, files: Sequence[Path] = ()) -> Iterator[Event]:
        """Start a run and yield its events until `RunFinished`. Leaving early ends nothing."""
        return self.follow(self.start(task, files))

    def start(self, task: str, files: Sequence[Path] = ()) -> int:
        """Start a run in the session's worker; returns the index of its first event.

        `files` are copied into the workspace. Raises InputError for an empty task, an
        unreadable file, or while another run goes on.
        """
        # Half a character, from a broken name or argument, can be neither kept nor sent.
        task = task.encode("utf-8", "replace").decode().strip()
        if not task:
            raise InputError("There is no task.", fix="Say what the agent is to do.")
        with self._changed:
            self._claim()
            first = len(self._events)
        try:
            names = attach(files, self.workspace)
            self._files += [name for name in names if name not in self._files]
            started = RunStarted(
                uuid.uuid4().hex[:12],
                task,
                list(self._files),
                str(self._model.model_id or ""),
                self._family,
                self.limits.max_steps,
                datetime.now(UTC).isoformat(timespec="seconds"),
            )
            self._worker = threading.Thread(target=self._work, args=(started,), daemon=True)
            self._emit(started)
            self._worker.start()
        except BaseException:
            with self._changed:
                self._running = False
                self._changed.notify_all()
            raise
        return first

    def _claim(self) -> None:
        """Take the session for a run. Raises InputError where that can't be."""
        if self._closed:
            raise InputError("This session was closed.", fix="Start a new one.")
        if self._running:
            raise InputError(
                "This session is still at work on the task before.",
                fix="Wait for it, or stop it first.",
            )
        self._running = True
        self._cancel.clear()
        self._out_of_time = False

    def follow(self, first: int = 0) -> Iterator[Event]:
        """Yield the events from index `first`, waiting for new ones, to the run's end."""
        while fresh := self.wait(first):
            for event in fresh:
                first += 1
                yield event
                if isinstance(event, RunFinished):
                    return

    def wait(self, first: int, timeout_seconds: float | None = None) -> list[Event]:
        """The events from index `first` on; waits for one, at most `timeout_seconds`.

        An empty list means that the time is over, or that nothing runs from which one could come.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: first < len(self._events) or not self._running, timeout_seconds
            )
            return self._events[first:]

    def cancel(self) -> None:
        """Stop the run, in the middle of a reply or of running code; harmless when idle."""
        with self._changed:
            if self._running:
                self._cancel.set()
                self._executor.interrupt()

    def close(self) -> None:
        """Stop what runs and let go of the sandbox. The workspace stays."""
        with self._changed:
            self._closed = True
            self.cancel()
        if self._worker is not None and self._worker.ident is not None:
            self._worker.join(timeout=5)
        self._executor.cleanup()
        close_model = getattr(self._model, "close", None)
        if close_model is not None:
            close_model()

    # -- one run, in the worker -------------------------------------------------------

    def _work(self, started: RunStarted) -> None:
        clock = time.monotonic()
        timer = threading.Timer(self.limits.run_timeout_seconds, self._time_is_up, [self._worker])
        timer.daemon = True
        outcome: dict[str, Any]
        try:
            timer.start()
            outcome = self._run_agent(started)
        except Cancelled:
            outcome = self._stopped()
        except HearthError as error:
            outcome = {"status": "failed", "error": error.message, "fix": error.fix}
        except Exception as error:  # noqa: BLE001 - the worker's outer edge: a run always ends in an event
            outcome = {
                "status": "failed",
                "error": f"Hearth itself failed: {type(error).__name__}: {error}",
                "fix": "Try again; if it happens again, please report it with this text.",
            }
        finally:
            timer.cancel()
        self._emit(RunFinished(**outcome, **self._totals(started, clock)))

    def _run_agent(self, started: RunStarted) -> dict[str, Any]:
        task = context.task_message(started.task, started.files)
        for _ in self._agent.run(task, stream=True, reset=False):
            pass
        last = self._agent.memory.steps[-1]
        if isinstance(last, ActionStep) and last.is_final_answer:
            return {
                "status": "answered",
                "answer": str(last.action_output),
                "provenance": "computed" if last.code_action else "stated",
            }
        return self._limit(f"The run reached its limit of {self.limits.max_steps} steps.")

    def _stopped(self) -> dict[str, Any]:
        if not self._out_of_time:
            return {"status": "stopped", "error": "The run was stopped."}
        seconds = self.limits.run_timeout_seconds
        return self._limit(f"The run reached its limit of {seconds:g} seconds.")

    def _limit(self, why: str) -> dict[str, Any]:
        """What is known when a limit ends a run: the last output that was no error."""
        fix = "Allow more with HEARTH_MAX_STEPS or HEARTH_RUN_TIMEOUT_SECONDS, or ask for less."
        outcome: dict[str, Any] = {"status": "limit", "error": why, "fix": fix}
        for event in reversed(self._run_events()):
            if isinstance(event, StepFinished) and event.observation and not event.error:
                outcome["answer"] = event.observation.removeprefix("Output:\n")
                outcome["provenance"] = "collected"
                break
        return outcome

    def _totals(self, started: RunStarted, clock: float) -> dict[str, Any]:
        replies = [e for e in self._run_events() if isinstance(e, ModelReplied)]
        made: list[str] = []
        for event in self._run_events():
            if isinstance(event, StepFinished):
                made += [name for name in event.artefacts if name not in made]
        return {
            "artefacts": made,
            "steps": len(replies),
            "seconds": round(time.monotonic() - clock, 3),
            "input_tokens": sum(e.input_tokens for e in replies),
            "output_tokens": sum(e.output_tokens for e in replies),
        }

    def _run_events(self) -> list[Event]:
        """The events of the present run."""
        everything = self.events
        starts = [i for i, e in enumerate(everything) if isinstance(e, RunStarted)]
        return everything[starts[-1] :] if starts else []

    # -- helpers ------------------------------------------------------------------------

    def _time_is_up(self, worker: threading.Thread) -> None:
        with self._changed:
            if self._worker is worker:  # and not the worker of a later run
                self._out_of_time = True
                self.cancel()

    def _emit(self, event: Event) -> None:
        """Keep an event, then show it. A store that fails is said once and then left alone."""
        fault = None
        if self._store is not None:
            try:
                self._store(event)
            except Exception as error:  # noqa: BLE001 - whatever it is, the run must reach its end
                self._store = None
                why = getattr(error, "strerror", None) or error
                fault = Notice(
                    f"This conversation can't be kept from here on: {why}. "
                    "Free some space, or set HEARTH_DATA_DIR to another disk."
                )
        with self._changed:
            self._events += [fault, event] if fault else [event]
            if isinstance(event, RunFinished):
                self._running = False
            self._changed.notify_all()

    def _on_output(self, text: str) -> None:
        self._emit(OutputDelta(self._agent.step_number, text))

    def _on_tool_call(self, record: dict[str, Any]) -> None:
        step, call, tool = self._agent.step_number, record["call"], record["tool"]
        if record["phase"] == "start":
            given = {name: _shown(value) for name, value in record["arguments"].items()}
            self._emit(ToolCalled(step, call, tool, given))
        else:
            self._emit(
                ToolReturned(step, call, tool, record["ok"], record["result"], record["seconds"])
            )

    def notice(self, text: str) -> None:
        """Add a `Notice` to the events."""
        self._emit(Notice(text))


def _shown(value: Any) -> Any:
    """An argument of a tool as an event may hold it: JSON, and not the whole of a long text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):  # JSON knows no other numbers
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…"


def steps_from_events(history: Sequence[Event]) -> list[MemoryStep]:
    """The agent's memory, rebuilt from a session's events; the inverse of running them."""
    steps: list[MemoryStep] = []
    for event in history:
        if isinstance(event, RunStarted):
            steps.append(TaskStep(task=context.task_message(event.task, event.files)))
        elif isinstance(event, ModelReplied):
            steps.append(
                ActionStep(
                    step_number=event.step,
                    timing=Timing(start_time=0.0, end_time=0.0),
                    model_output=event.text,
                    code_action=event.code,
                )
            )
        elif isinstance(event, StepFinished) and steps and isinstance(steps[-1], ActionStep):
            steps[-1].observations = event.observation
    return steps
