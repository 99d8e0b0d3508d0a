"""A session: one conversation, its runs, and their events.

A run goes on in a thread of the session's own; whoever watches only reads the list of
events, so a closed page or a lost connection ends nothing. The session keeps no other
state: `Session(..., history=events)` goes on where those events stopped, and `resume` takes
up a run that broke off there.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smolagents import Model, Tool

from agent import context, outcome
from agent.attachments import attach
from agent.code_agent import Demands, ReasoningCodeAgent
from agent.context import Shape, Step
from agent.events import (
    Event,
    Notice,
    OutputDelta,
    RunFinished,
    RunResumed,
    RunStarted,
    tool_event,
)
from agent.gate import Gate
from agent.log import EventLog
from agent.manner import Manner
from agent.outcome import Outcome, totals
from agent.packages import PackageDesk
from agent.resume import (
    Point,
    broke_off,
    broken_step,
    only_looks,
    other_model,
    rebuild,
    shape_from_events,
    steps_from_events,
)
from agent.running import Executor, Limits
from agent.shown_files import Shown
from errors import Cancelled, HearthError, InputError

__all__ = ["Limits", "Session"]


class Session:
    """One conversation with the agent. Runs follow one another; two at once are refused.

    `model` is a smolagents Model whose `generate_stream` ends with a delta that carries the
    split reply; `executor` runs the code in `workspace`; `store` is called with each event
    before anyone sees it, and `name` is what the store knows the session by. `history` holds
    the events of an earlier life of this session: the conversation goes on from there; variables
    in the sandbox come back with `resume` only. `manner_of` is how another model is talked to,
    where `model` changes between several. `on_close` is called when the session is closed.
    `packages` sees to what the code lacks; `sandbox` names the tier that confines the code;
    `gate` stands before the tools, and its desk is `permissions`. `show_files` says what of
    attached files the task itself shows, nothing by default.
    """

    def __init__(
        self,
        model: Model,
        executor: Executor,
        tools: Sequence[Tool],
        workspace: Path,
        *,
        instructions: str | Callable[[str], str] = "",
        family: str = "",
        remembers_turns: bool = True,
        manner_of: Callable[[str], Manner] | None = None,
        limits: Limits = Limits(),
        store: Callable[[Event], None] | None = None,
        history: Sequence[Event] = (),
        name: str = "",
        on_close: Callable[[], None] = lambda: None,
        packages: PackageDesk | None = None,
        sandbox: str = "",
        gate: Gate | None = None,
        show_files: Callable[[Sequence[tuple[Path, str]]], Shown] = lambda files: Shown(),
    ) -> None:
        self.name = name or uuid.uuid4().hex[:12]
        self.workspace = workspace = workspace.absolute()
        self.limits = limits
        self._model, self._executor = model, executor
        self._on_close = on_close
        self._sandbox, self._show_files = sandbox, show_files
        # `changed` of the log guards these two flags and the raising of `_cancel` as well.
        self._log = EventLog(store)
        self._closed = False
        self._cancel = threading.Event()
        self._out_of_time = False
        self._worker: threading.Thread | None = None
        self._files: list[str] = []
        self._tools = {tool.name: tool for tool in tools}
        self._agent = ReasoningCodeAgent(
            list(tools),
            model,
            executor,  # type: ignore[arg-type]  # a PythonExecutor with the Protocol's additions
            workspace=workspace,
            manner=Manner(family, instructions, remembers_turns),
            manner_of=manner_of,
            max_steps=limits.max_steps,
            emit=self._log.emit,
            cancel=self._cancel,
            gate=gate,
        )
        self.permissions = self._agent.runner.gate.desk
        self.permissions.attach(self._log.emit, lambda: self._agent.step_number, self._is_over)
        self._take(history)
        executor.on_output = self._on_output
        executor.on_tool_call = self._on_tool_call
        # A stop between the model's reply and the start of its code must not be lost.
        executor.stopped = self._cancel.is_set
        self.packages = packages
        if packages is not None:
            packages.attach(self._log.emit, lambda: self._agent.step_number, self._is_over)
            executor.on_missing = packages.missing

    @property
    def events(self) -> list[Event]:
        """All events so far."""
        return self._log.events

    @property
    def running(self) -> bool:
        """Whether a run goes on at present; no longer once its `RunFinished` can be seen."""
        return self._log.running

    def _take(self, history: Sequence[Event]) -> None:
        """Go on from the events of an earlier life."""
        self._log.take(history)
        self._files = list(dict.fromkeys(name for e in _starts(history) for name in e.files))
        self._agent.memory.steps = steps_from_events(history)
        self._agent.conversation.window.shape = shape_from_events(history)
        self.permissions.take(history)
        if history:
            self._agent.runner.begin_empty()

    def run(
        self, task: str, files: Sequence[Path] = (), *, needs_tools: bool = False
    ) -> Iterator[Event]:
        """Start a run and yield its events until `RunFinished`. Leaving early ends nothing."""
        return self.follow(self.start(task, files, needs_tools=needs_tools))

    def start(self, task: str, files: Sequence[Path] = (), *, needs_tools: bool = False) -> int:
        """Start a run in the session's worker; returns the index of its first event.

        `files` are copied into the workspace. With `needs_tools` an answer in words counts only
        after code has run. Raises InputError for an empty task, an unreadable file, or while
        another run goes on.
        """
        # Half a character, from a broken name or argument, can be neither kept nor sent.
        task = task.encode("utf-8", "replace").decode().strip()
        if not task:
            raise InputError("There is no task.", fix="Say what the agent is to do.")
        with self._log.changed:
            self._claim()
            first = len(self._log)
        try:
            names = attach(files, self.workspace)
            if names:
                self._executor.keep(names)
            self._files += [name for name in names if name not in self._files]
            shown = self._show_files(list(zip(files, names, strict=True)))
            started = RunStarted(
                uuid.uuid4().hex[:12],
                task,
                list(self._files),
                str(self._model.model_id or ""),
                self._agent.conversation.manner.family,
                self.limits.max_steps,
                _now(),
                needs_tools,
                self._sandbox,
                shown.text,
                shown.read,
            )
            self._log.emit(started)
            self._begin(lambda: self._run_agent(started, names))
        except BaseException:
            self._log.release()
            raise
        return first

    def resume(self, events: Sequence[Event] | None = None) -> Iterator[Event]:
        """Go on with a run that broke off, and yield its further events until `RunFinished`.

        A run broke off when the process was killed in its midst, when it was stopped, or when a
        fault ended it. Its finished steps stay; the model is not asked for them again.
        `events` are those of the run's session, for a session that has none of its own yet.
        Raises InputError where there is no such run.
        """
        return self.follow(self.start_resumed(events))

    def start_resumed(self, events: Sequence[Event] | None = None) -> int:
        """Like `resume`, in the session's worker; returns the index of the first new event."""
        with self._log.changed:
            self._claim()
            try:
                if events is not None:
                    if len(self._log):
                        raise InputError(
                            "This session has events of its own.",
                            fix="Resume in a new session, or leave the events out.",
                        )
                    self._take(events)
                point = broke_off(self.events)
            except BaseException:
                self._log.release()
                raise
            first = len(self._log)
        self._begin(lambda: self._go_on(point))
        return first

    def _begin(self, run: Callable[[], Outcome]) -> None:
        self._worker = threading.Thread(target=self._work, args=(run,), daemon=True)
        self._worker.start()

    def _claim(self) -> None:
        """Take the session for a run. Raises InputError where that can't be."""
        if self._closed:
            raise InputError("This session was closed.", fix="Start a new one.")
        if self._log.running:
            raise InputError(
                "This session is still at work on the task before.",
                fix="Wait for it, or stop it first.",
            )
        self._log.running = True
        self._cancel.clear()
        self._out_of_time = False

    def follow(self, first: int = 0) -> Iterator[Event]:
        """Yield the events from index `first`, waiting for new ones, to the run's end."""
        return self._log.follow(first)

    def wait(self, first: int, timeout_seconds: float | None = None) -> list[Event]:
        """The events from index `first` on; waits for one, at most `timeout_seconds`.

        An empty list means that the time is over, or that nothing runs from which one could come.
        """
        return self._log.wait(first, timeout_seconds)

    def cancel(self) -> None:
        """Stop the run, in the middle of a reply or of running code; harmless when idle."""
        with self._log.changed:
            if self._log.running:
                self._cancel.set()
                self._executor.interrupt()

    def answer(self, ask: str, choice: str) -> bool:
        """Answer a `PermissionAsked`, as `PermissionDesk.answer` has it."""
        return self.permissions.answer(ask, choice)

    def close(self) -> None:
        """Stop what runs and let go of the sandbox. The workspace stays."""
        with self._log.changed:
            self._closed = True
            self.cancel()
        if self._worker is not None and self._worker.ident is not None:
            self._worker.join(timeout=5)
        self._executor.cleanup()
        close_model = getattr(self._model, "close", None)
        if close_model is not None:
            close_model()
        self._on_close()

    # -- one run, in the worker -------------------------------------------------------

    def _work(self, run: Callable[[], Outcome]) -> None:
        clock = time.monotonic()
        over = threading.Event()
        self.permissions.begin_run()
        self._agent.conversation.patience.begin_run()
        self._agent.open(_starts(self.events)[0].task)
        try:
            threading.Thread(target=self._keep_time, args=(over,), daemon=True).start()
            ended = run()
        except Cancelled:
            ended = self._stopped()
        except HearthError as error:
            ended = outcome.failed(error)
        except Exception as error:  # noqa: BLE001 - the worker's outer edge: a run always ends in an event
            ended = outcome.crashed(error)
        finally:
            over.set()
            self.permissions.end_run()
        for last in self._agent.memory.steps[-1:]:
            if isinstance(last, Step):
                last.given = ended.answer
        seconds = round(time.monotonic() - clock, 3)
        self._log.emit(RunFinished(**ended.fields(), **totals(self.events), seconds=seconds))

    def _run_agent(self, started: RunStarted, attached: Sequence[str]) -> Outcome:
        self._agent.demands = Demands.of(started, attached)
        self._agent.shown = started.shown
        task = context.task_message(started.task, started.files)
        for _ in self._agent.run(task, stream=True, reset=False):
            pass
        assert self._agent.outcome is not None  # or the run would have raised
        return self._agent.outcome

    def _go_on(self, point: Point) -> Outcome:
        """The rest of a run that broke off at `point`."""
        if point.done is not None:
            return Outcome("answered", point.done.answer, point.provenance)
        agent, started = self._agent, point.started
        talk = agent.conversation
        rebuilt, why = True, ""
        if not agent.runner.intact:
            agent.runner.send_tools(agent.tools)
            all_runs = talk.manner.remembers_turns or hasattr(self._model, "settle")
            rebuilt, why = rebuild(agent.runner, self.events, all_runs=all_runs)
        self._log.emit(RunResumed(started.run, started.task, point.step, rebuilt, why, _now()))
        if change := other_model(self.events, point.step, self._model, talk.manner.family):
            self._log.emit(change)
            talk.window.shape = Shape()  # it is sent the conversation anew
        earlier = {name for e in _starts(self.events)[:-1] for name in e.files}
        agent.demands = Demands.of(started, [n for n in started.files if n not in earlier])
        agent.memory.steps = steps_from_events(self.events)
        if point.reply is not None:
            del agent.memory.steps[-1]  # it is to be finished
        looks = {name for name, tool in self._tools.items() if only_looks(tool)}
        broken = broken_step(point, agent.runner, rebuilt, looks.__contains__)
        for _ in agent.go_on(point.step, broken):
            pass
        assert agent.outcome is not None
        return agent.outcome

    def _is_over(self) -> bool:
        return self._closed or (self._log.running and self._cancel.is_set())

    def _stopped(self) -> Outcome:
        if not self._out_of_time:
            return Outcome("stopped", error="The run was stopped.")
        why = f"The run reached its limit of {self.limits.run_timeout_seconds:g} seconds."
        return outcome.collected(context.run_steps(self._agent.memory.steps), why)

    # -- helpers ------------------------------------------------------------------------

    def _keep_time(self, over: threading.Event) -> None:
        """Stop the run when its time is up; the time in which the user is asked, or a model is
        started, doesn't count."""
        ends = time.monotonic() + self.limits.run_timeout_seconds

        def left() -> float:
            patience = self._agent.conversation.patience
            waited = self.permissions.waited_seconds + patience.waited_seconds
            return ends + waited - time.monotonic()

        while not over.wait(max(0.05, left())):
            if left() <= 0:
                with self._log.changed:
                    if not over.is_set():  # and this is no later run
                        self._out_of_time = True
                        self.cancel()
                return

    def _on_output(self, text: str) -> None:
        self._log.emit(OutputDelta(self._agent.step_number, text))

    def _on_tool_call(self, record: dict[str, Any]) -> None:
        self._log.emit(tool_event(self._agent.step_number, record))

    def notice(self, text: str) -> None:
        """Add a `Notice` to the events."""
        self._log.emit(Notice(text))


def _starts(events: Sequence[Event]) -> list[RunStarted]:
    return [event for event in events if isinstance(event, RunStarted)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
