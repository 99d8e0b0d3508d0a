"""The agent's Python: a smolagents executor whose code runs in a process of its own.

One worker per session keeps the variables from step to step. It is started when the session
starts or at the first step, replaced when it dies or has to be killed, and ends with the app.
The model's faults raise CodeError, which the model reads; a broken sandbox raises
SandboxError, which the user reads.
"""

import contextlib
import os
import shutil
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from smolagents import Tool
from smolagents.local_python_executor import CodeOutput, PythonExecutor

from errors import Cancelled, CodeError, InputError, SandboxError
from sandbox import artefacts, wire
from sandbox.calls import MAX_CALLS, BoundTool, Record, StepCalls
from sandbox.confine import LEVELS
from sandbox.process import Wake, WorkerGone, WorkerProcess
from sandbox.step import Outcome, Output, StepRun

_KEPT = "Variables were kept."
_GONE = "Variables are gone, files in the workspace are kept."


class SandboxExecutor(PythonExecutor):
    """Runs the agent's code in a worker process; `executor=` of a smolagents CodeAgent.

    workspace: the code's working folder; made if it isn't there.
    timeout_seconds: wall clock of one step; the time that tools take doesn't count.
    output_chars: most characters of printed text that a step keeps.
    memory_bytes: address space of the worker; beyond it the code gets a MemoryError.
    on_output: gets printed text as it comes, in the thread that runs the step.
    on_tool_call: gets a record when a tool is called and when it has come back.
    imports: the top-level modules that the code may import besides the standard library's;
    None for all that are installed.
    packages: the folder of the packages that were installed for this session.
    confine: level of confinement, see `sandbox.confine`.
    tool_timeout_seconds: how long one call of a tool may take; then the code gets a TimeoutError.

    Raises SandboxError where there can't be a sandbox.
    """

    def __init__(
        self,
        workspace: Path,
        *,
        timeout_seconds: float = 60,
        output_chars: int = 20_000,
        memory_bytes: int = 4 * 1024**3,
        on_output: Callable[[str], None] | None = None,
        on_tool_call: Callable[[Record], None] | None = None,
        imports: Sequence[str] | None = None,
        packages: Path | None = None,
        confine: str = "process",
        tool_timeout_seconds: float = 120,
    ) -> None:
        _check_possible(confine)
        self.workspace = Path(workspace).absolute()
        self.level = confine
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
        self._memory_bytes = memory_bytes
        self._imports = imports
        self._packages = packages
        self._tool_timeout_seconds = tool_timeout_seconds
        self._tools: dict[str, BoundTool] = {}
        self._variables: dict[str, Any] = {}
        self._unsent: set[str] = set()
        self._step = 0
        self._busy = threading.Lock()
        self._cancel = threading.Event()
        self._starting = threading.Lock()
        self._running = False
        self._wake = Wake()
        self._held: dict[str, Any] = {"worker": None, "app": os.getpid()}
        self._finalizer = weakref.finalize(self, _release, self._held, self._wake)

    def start(self) -> None:
        """Start the worker now, in the background; otherwise the first step does."""
        if not self._finalizer.alive:
            raise SandboxError("The sandbox was closed.", fix="Start a new session.")
        with self._starting:
            if self._held["worker"] is None:
                self._start_worker()

    def _start_worker(self) -> None:
        try:
            self.workspace.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SandboxError(
                f"The workspace {self.workspace} can't be made: {error.strerror}.",
                fix="Check the disk and the setting data_dir.",
            ) from None
        self._held["worker"] = WorkerProcess(
            self.workspace,
            level=self.level,
            memory_bytes=self._memory_bytes,
            output_chars=self._output_chars,
            max_calls=MAX_CALLS,
            imports=self._imports,
            packages=self._packages,
        )
        self._unsent = {"tools", "variables"}

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
            worker = self._ready_worker()
            before = artefacts.snapshot(self.workspace)
            output = Output(self._output_chars, self.on_output)
            run = StepRun(
                worker,
                StepCalls(
                    self._tools,
                    self._wake.ring,
                    self.on_tool_call,
                    timeout_seconds=self._tool_timeout_seconds,
                ),
                output,
                wake=self._wake,
                cancelled=self._is_stopped,
                timeout_seconds=self._timeout_seconds,
            )
            try:
                outcome = run.run(code_action, self._step)
            except BaseException:  # a callback of the app failed: the worker is mid-step
                self._drop()
                raise
            finally:
                self.state["_print_outputs"] = output.text
            if outcome.gone:
                self._replace()
            after = artefacts.snapshot(self.workspace)
            self.artefacts = artefacts.changed(self.workspace, before, after)
            self._raise_for(outcome)
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
        """End the worker and remove its caches; the workspace's files stay."""
        if self.interrupt() and self._busy.acquire(timeout=5):
            self._busy.release()
        self._finalizer()
        with contextlib.suppress(OSError, RecursionError):  # the code may have left anything here
            shutil.rmtree(self.workspace / artefacts.HIDDEN)

    @property
    def pid(self) -> int | None:
        """The worker's process id, if there is one."""
        worker = self._held["worker"]
        return worker.pid if worker is not None else None

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise SandboxError("The sandbox is running a step already.")
        try:
            self._cancel.clear()
            self._running = True
            yield
        finally:
            self._running = False
            self._busy.release()

    def _ready_worker(self) -> WorkerProcess:
        """A worker that waits for a step, with the tools and variables as they are now."""
        self.start()
        worker: WorkerProcess = self._held["worker"]
        try:
            worker.wait_ready(self._wake, self._is_stopped)
        except SandboxError:
            self._drop()
            raise
        if self._is_stopped():
            raise Cancelled
        try:
            worker.begin_step()
        except WorkerGone as gone:
            self._replace()
            raise CodeError(
                f"Before this step the Python process {gone} and was restarted; this code was "
                f"not run. {_GONE}",
                kind="limit",
            ) from None
        if "tools" in self._unsent:
            described = [[tool.name, tool.doc] for tool in self._tools.values()]
            worker.send("tools", wire.pack(described))
        if "variables" in self._unsent:
            worker.send("variables", wire.pack(self._variables))
        self._unsent.clear()
        return worker

    def _raise_for(self, outcome: Outcome) -> None:
        """Raise what a step that didn't succeed has to raise."""
        if outcome.cancelled:
            raise Cancelled
        if outcome.answered:
            return
        if outcome.timed_out and (outcome.gone or outcome.interrupted):
            limit = f"The code ran longer than {self._timeout_seconds:g} s and "
            if outcome.gone:
                raise CodeError(f"{limit}had to be killed. {_GONE}", kind="timeout")
            place = f" at {outcome.text}" if outcome.text and "\n" not in outcome.text else ""
            raise CodeError(f"{limit}was stopped{place}. {_KEPT}", kind="timeout")
        if outcome.gone:
            raise CodeError(
                f"The Python process {outcome.gone} and was restarted. {_GONE}", kind="limit"
            )
        if outcome.status == "error":
            note = self.on_missing(outcome.missing) if outcome.missing else ""
            raise CodeError(f"{outcome.text}\n{note}" if note else outcome.text)

    def _replace(self) -> None:
        """Drop the worker and start the next one in the background."""
        self._drop()
        if self._finalizer.alive:
            self.start()

    def _drop(self) -> None:
        worker, self._held["worker"] = self._held["worker"], None
        if worker is not None:
            worker.kill()


def _release(held: dict[str, Any], wake: Wake) -> None:
    worker, held["worker"] = held["worker"], None
    if held["app"] != os.getpid():  # a fork of the app must not end what isn't its own
        return
    if worker is not None:
        worker.kill()
    wake.close()


def _check_possible(level: str) -> None:
    if sys.platform == "win32":
        raise SandboxError(
            "The sandbox needs Linux or macOS.", fix="On Windows, run Hearth inside WSL 2."
        )
    if level not in LEVELS:
        raise SandboxError(
            f"Unknown level of confinement {level!r}.", fix=f"Known: {', '.join(LEVELS)}."
        )
