"""The agent's Python: a smolagents executor whose code runs in a process of its own.

One worker per session keeps the variables from step to step. It is started when the session
starts or at the first step, replaced when it dies or has to be killed, dropped when nobody has
used it for long, and ends with the app. The model's faults raise CodeError, which the model
reads; a broken sandbox raises SandboxError, which the user reads.
"""

import contextlib
import functools
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from smolagents import Tool
from smolagents.local_python_executor import CodeOutput, PythonExecutor

from errors import Cancelled, CodeError, InputError, SandboxError
from sandbox import artefacts, selftest, wire
from sandbox.calls import MAX_CALLS, BoundTool, Record, StepCalls
from sandbox.cell import GONE, Cell, OverLimit
from sandbox.files import Contents, Quota
from sandbox.process import Wake, WorkerGone, WorkerProcess
from sandbox.selftest import Verdict
from sandbox.step import Outcome, Output, StepRun
from sandbox.workspace import Workspace

_KEPT = "Variables were kept."
_AS_BEFORE = "Variables are as they were before this step."  # its interpreter was killed


class SandboxExecutor(PythonExecutor):
    """Runs the agent's code in a worker process; `executor=` of a smolagents CodeAgent.

    workspace: the code's working folder; made if it isn't there. None for a temporary one, which
    `cleanup` removes.
    timeout_seconds: wall clock of one step; the time that tools take doesn't count.
    output_chars: most characters of printed text that a step keeps.
    memory_bytes: address space of the code, without what the libraries take that are imported
    beforehand; beyond it the code gets a MemoryError.
    on_output: gets printed text as it comes, in the thread that runs the step.
    on_tool_call: gets a record when a tool is called and when it has come back.
    imports: the top-level modules that the code may import besides the standard library's;
    None for all that are installed.
    packages: the folder of the packages that were installed for this session.
    confine: a tier of `sandbox.confine.TIERS`, or `auto`.
    tool_timeout_seconds: how long one call of a tool may take; then the code gets a TimeoutError.
    quota: what the code may leave in the workspace, besides the files that were there.
    idle_seconds: after that long without a step the worker is ended; None for never.

    Raises SandboxError where there can't be a sandbox.
    """

    def __init__(
        self,
        workspace: Path | None = None,
        *,
        timeout_seconds: float = 60,
        output_chars: int = 20_000,
        memory_bytes: int = 4 * 1024**3,
        on_output: Callable[[str], None] | None = None,
        on_tool_call: Callable[[Record], None] | None = None,
        imports: Sequence[str] | None = None,
        packages: Path | None = None,
        confine: str = "auto",
        tool_timeout_seconds: float = 120,
        quota: Quota = Quota(),
        idle_seconds: float | None = None,
    ) -> None:
        self.verdict = _choose(confine)
        place = Workspace(workspace, quota)
        self.workspace = place.path
        self.on_output = on_output
        self.on_tool_call = on_tool_call
        # Asked when a step begins and as it runs. A session sets it to its own flag, raised before
        # it calls `interrupt`: then no moment is left in which a stop could get lost.
        self.stopped: Callable[[], bool] = lambda: False
        # Told which module a step lacked; what it returns ends the step's observation.
        self.on_missing: Callable[[str], str] = lambda module: ""
        self.state: dict[str, Any] = {"_print_outputs": ""}
        self.artefacts: list[Path] = []
        self._timeout_seconds = timeout_seconds
        self._output_chars = output_chars
        self._tool_timeout_seconds = tool_timeout_seconds
        self._tools: dict[str, BoundTool] = {}
        self._variables: dict[str, Any] = {}
        self._unsent: set[str] = set()
        self._sent_to = 0
        self._step = 0
        self._busy = threading.Lock()
        self._cancel = threading.Event()
        self._running = False
        self._wake = Wake()
        make_worker = functools.partial(
            _worker, self.verdict, memory_bytes, output_chars, imports, packages
        )
        self._cell = Cell(place, make_worker, memory_bytes=memory_bytes, idle_seconds=idle_seconds)
        self._finalizer = weakref.finalize(self, _close, self._cell, self._wake)

    @property
    def tier(self) -> str:
        """The tier of confinement that the code runs in; `verdict` says how it was chosen."""
        return self.verdict.tier

    def start(self) -> None:
        """Get ready in the background, so that the first step begins sooner."""
        self._cell.prepare()

    def keep(self, names: Iterable[str]) -> None:
        """These files of the workspace, named relative to it, are the user's: they stay when it
        has to be cleared, and don't count towards its quota."""
        self._cell.place.keep(names)

    def send_tools(self, tools: dict[str, Tool]) -> None:
        """The tools that the code may call, by name; `final_answer` is built in."""
        self._tools = {
            name: BoundTool(name, tool) for name, tool in tools.items() if name != "final_answer"
        }
        self._unsent.add("tools")

    def send_variables(self, variables: dict[str, Any]) -> None:
        """Variables that the code finds, plain data only; raises InputError for others."""
        for name, value in variables.items():
            try:
                wire.pack({name: value})
            except wire.WireError as error:
                raise InputError(
                    f"The variable {name} can't be handed to the sandbox: {error}.",
                    fix="Pass plain data, or put a file into the workspace.",
                ) from None
        self._variables.update(variables)
        self._unsent.add("variables")

    def __call__(self, code_action: str) -> CodeOutput:
        """Run the code of one step.

        `output` is the value of the last expression or of `final_answer`, `logs` what was
        printed (also in `state["_print_outputs"]`, with an error too). Raises CodeError,
        SandboxError, and Cancelled after `interrupt`.
        """
        with self._turn():
            self._step += 1
            self.state["_print_outputs"], self.artefacts = "", []
            worker, before = self._ready_worker()
            output = Output(self._output_chars, self.on_output)
            calls = StepCalls(
                self._tools,
                self._wake.ring,
                self.on_tool_call,
                timeout_seconds=self._tool_timeout_seconds,
            )
            run = StepRun(
                worker,
                calls,
                output,
                look=self._cell.look,
                wake=self._wake,
                cancelled=self._is_stopped,
                timeout_seconds=self._timeout_seconds,
            )
            try:
                for note in self._cell.notes():
                    output.note(f"[{note}]")
                outcome = run.run(code_action, self._step)
                if outcome.gone:
                    self._cell.drop()
                after, removed = self._cell.after(before, outcome)
                names, notes = artefacts.changed(before, after)
                for note in notes:
                    output.note(f"[{note}]")
                output.finish()
            except BaseException:  # a callback of the app failed: the worker is mid-step
                self._cell.drop()
                raise
            finally:
                self.state["_print_outputs"] = output.text
            self.artefacts = [self.workspace / name for name in names]
            if outcome.gone:
                self._cell.replace()
            self._raise_for(outcome, removed)
            return CodeOutput(outcome.value, output.text, outcome.answered)

    def interrupt(self) -> bool:
        """Stop the running step, from any thread; its call raises Cancelled within a second.

        False if no step is running; then nothing happens, and nothing is remembered.
        """
        if not self._running:
            return False
        self._cancel.set()
        self._wake.ring()
        return True

    def _is_stopped(self) -> bool:
        return self._cancel.is_set() or self.stopped()

    def cleanup(self) -> None:
        """End the worker and remove its caches; the files stay, but in a temporary workspace."""
        if self.interrupt() and self._busy.acquire(timeout=5):
            self._busy.release()
        self._finalizer()

    @property
    def pid(self) -> int | None:
        """The process id of the sandbox, if there is one now."""
        worker = self._cell.worker
        return worker.pid if worker is not None else None

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise SandboxError("The sandbox is running a step already.")
        try:
            with self._cell.in_use():
                self._cancel.clear()
                self._running = True
                yield
        finally:
            self._running = False
            self._busy.release()

    def _ready_worker(self) -> tuple[WorkerProcess, Contents]:
        """A worker that waits for a step, with the tools and variables as they are now, and
        what lies in the workspace."""
        worker = self._cell.start()
        try:
            worker.wait_ready(self._wake, self._is_stopped)
        except SandboxError:
            self._cell.drop()
            raise
        if self._is_stopped():
            raise Cancelled
        try:
            worker.begin_step()
            before = self._cell.before()
        except WorkerGone as gone:
            self._cell.replace()
            raise CodeError(
                f"Before this step the Python process {gone} and was restarted; this code was "
                f"not run. {GONE}",
                kind="limit",
            ) from None
        except OverLimit as limit:
            self._cell.replace()
            raise CodeError(f"{limit} This code was not run.", kind="limit") from None
        self._send_what_it_lacks(worker)
        return worker, before

    def _send_what_it_lacks(self, worker: WorkerProcess) -> None:
        if self._sent_to != self._cell.started:  # it is another one
            self._sent_to = self._cell.started
            self._unsent = {"tools", "variables"}
        if "tools" in self._unsent:
            described = [[tool.name, tool.doc] for tool in self._tools.values()]
            worker.send("tools", wire.pack(described))
        if "variables" in self._unsent:
            worker.send("variables", wire.pack(self._variables))
        self._unsent.clear()

    def _raise_for(self, outcome: Outcome, removed: str) -> None:
        """Raise what a step that didn't succeed has to raise."""
        if outcome.cancelled:
            raise Cancelled
        if outcome.answered:
            return
        survived = GONE if outcome.gone else _AS_BEFORE if self.tier == "restricted" else _KEPT
        place = f" at {outcome.text}" if outcome.text and "\n" not in outcome.text else ""
        if outcome.breach:
            stopped = " and was ended" if outcome.gone else " and was stopped" + place
            stopped = stopped if outcome.gone or outcome.interrupted else ""
            said = f"The code {outcome.breach.said}{stopped}. {removed}"
            raise CodeError(f"{said} {survived}", kind="limit")
        if outcome.timed_out and (outcome.gone or outcome.interrupted):
            stopped = "had to be killed" if outcome.gone else f"was stopped{place}"
            limit = f"The code ran longer than {self._timeout_seconds:g} s and {stopped}."
            raise CodeError(f"{limit} {survived}", kind="timeout")
        if outcome.gone:
            said = f"The Python process {outcome.gone} and was restarted."
            raise CodeError(f"{said} {survived}", kind="limit")
        if outcome.status == "error":
            note = self.on_missing(outcome.missing) if outcome.missing else ""
            raise CodeError(f"{outcome.text}\n{note}" if note else outcome.text)


def _worker(
    verdict: Verdict,
    memory_bytes: int,
    output_chars: int,
    imports: Sequence[str] | None,
    packages: Path | None,
    root: Path,
) -> WorkerProcess:
    """Start a worker in the workspace `root`."""
    folders = () if packages is None else (str(packages.resolve()),)
    return WorkerProcess(
        verdict.confinement(root, readable=folders, memory_bytes=memory_bytes),
        output_chars=output_chars,
        max_calls=MAX_CALLS,
        imports=imports,
        packages=packages,
    )


def _close(cell: Cell, wake: Wake) -> None:
    cell.close()
    wake.close()


def _choose(wanted: str) -> Verdict:
    """The tier to use. Raises SandboxError where that can't be."""
    if sys.platform == "win32":
        raise SandboxError(
            "The sandbox needs Linux or macOS.", fix="On Windows, run Hearth inside WSL 2."
        )
    return selftest.choose(wanted)
