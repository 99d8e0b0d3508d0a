"""The agent's code in the executor: what came out, as an observation, and whether it may run again.

The executor is the sandbox behind smolagents' PythonExecutor. Mistakes of the code come back as
observations; errors.HearthError of the sandbox itself goes through.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from smolagents.local_python_executor import CodeOutput

from agent import context
from agent.attachments import open_plain
from agent.events import Checkpoint
from agent.gate import Gate
from agent.recorder import Call, Recorder
from agent.replay import Rules
from agent.summary import cut, settled
from errors import CodeError, InputError

MAX_NAMES = 2000
"""With more files in a workspace, every file that a step writes counts as there before."""

MAX_KNOWN_BYTES = 500_000
"""Of an attached file, as much is known again in what the code prints."""

_HOW_TO_SEE = "`last_output` holds it all: print(last_output[…:…])"
_FORGET = (
    "for _name in [n for n in globals() if not n.startswith('__')]:\n"
    "    globals().pop(_name, None)\n"
    "globals().pop('_name', None)\n"
)


class Executor(Protocol):
    """What a session needs of the sandbox beyond smolagents' PythonExecutor."""

    on_output: Callable[[str], None] | None
    on_tool_call: Callable[[dict[str, Any]], None] | None
    on_missing: Callable[[str], str]
    stopped: Callable[[], bool]
    state: dict[str, Any]
    artefacts: list[Path]

    def __call__(self, code_action: str) -> CodeOutput: ...
    def interrupt(self) -> None: ...
    def keep(self, names: Sequence[str]) -> None: ...
    def cleanup(self) -> None: ...


@dataclass(frozen=True)
class Limits:
    """The bounds of one run."""

    max_steps: int = 8
    run_timeout_seconds: float = 1800.0


@dataclass(frozen=True)
class Ran:
    """What a step's code did.

    `failed`: the kind of its mistake, or empty. `answer`: what it gave to final_answer, as text.
    `artefacts`: names of workspace files that it made or changed.
    """

    observation: str
    failed: str = ""
    answer: str | None = None
    artefacts: list[str] = field(default_factory=list)
    seconds: float = 0.0
    checkpoint: Checkpoint | None = None


def answer_text(value: Any) -> str:
    """The answer as text: floats without the noise of binary fractions, text as it stands."""
    if isinstance(value, float):
        return repr(round(value, 10))
    return value if isinstance(value, str) else str(value)


class Runner:
    """Runs the steps of one session in its executor."""

    def __init__(
        self, executor: Any, workspace: Path, *, most_chars: int, gate: Gate | None = None
    ) -> None:
        self.gate = gate or Gate()
        self._whole = True
        self._pid: object = None  # of the process that has the variables
        self._executor = executor
        self._workspace = workspace
        self.most_chars = most_chars
        self._recorder = Recorder()
        self._rules = Rules()
        self._used = False  # whether anything has run in the executor
        self._from_outside: set[str] = set()  # tools
        self._known_files: set[str] = set()  # attached, and taken in
        self._made: set[str] = set()  # files that a repetition of the steps makes again

    @property
    def intact(self) -> bool:
        """Whether the executor's variables are those that the finished steps have left.

        They are not when code was cut off in its middle, or when the process is another one.
        """
        return self._whole and (not self._used or self._pid == self._process())

    def begin_empty(self) -> None:
        """There are finished steps, but none of them has run in this executor."""
        self._whole = False

    def _process(self) -> object:
        return getattr(self._executor, "pid", None)

    def send_tools(self, tools: Mapping[str, Any]) -> None:
        """The tools that the code may call, recorded, and behind the gate."""
        self._from_outside = {n for n, tool in tools.items() if getattr(tool, "outside", True)}
        self._executor.send_tools(self._recorder.wrap(self.gate.wrap(tools)))

    def run(self, step: int, code: str, attached: Sequence[str] = ()) -> Ran:
        """Run a step's code. `attached` are names of files that the user handed in."""
        there = self._names()
        self._take_in_files(attached)
        self._recorder.begin()
        self._whole = False
        ran = self._run(code)
        self.gate.desk.withdraw()
        self._whole = True
        known = there is not None
        theirs = ((there or set()) - self._made) | set(attached)
        overwritten = [name for name in ran.artefacts if name in theirs or not known]
        self._made.update(ran.artefacts)
        checkpoint = self._checkpoint(step, code, ran, overwritten)
        self._take_in(self._recorder.calls)
        seen = self.gate.outside.framed(ran.observation)
        return replace(ran, observation=seen, checkpoint=checkpoint)

    def repeat(self, code: str, checkpoint: Checkpoint) -> bool:
        """Run a finished step's code again, with the results its tool calls had then.

        False when something else came out than before. Nothing of it becomes an event.
        """
        self._rules.effects(code)  # code that comes later uses its imports
        self._recorder.begin(checkpoint.calls)
        self._whole = False
        with self._in_silence():
            ran = self._run(code)
        self._whole = True
        self._take_in(checkpoint.calls)
        self._made.update(ran.artefacts)
        return not self._recorder.missed and _digest(ran) == checkpoint.result

    def once_only(self, code: str) -> str:
        """Why this code must not be run a second time, or empty."""
        return Rules(dict(self._rules.names)).effects(code).twice

    def forget(self) -> None:
        """Delete all variables, so that none is left with a value of some time ago.

        From here on, files that are there count as having been there before.
        """
        if self._used:
            with self._in_silence(), contextlib.suppress(CodeError):
                self._executor(_FORGET)
            self._executor.send_variables({})  # those that were sent are sent again
            self._pid = self._process()
        self._made.clear()
        self.gate.outside.clear()
        self._known_files.clear()
        self._rules = Rules()
        self._whole = True

    def _run(self, code: str) -> Ran:
        self._used = True
        started = time.monotonic()
        printed, error, value, failed, answer = "", None, None, "", None
        try:
            result = self._executor(code)
            printed, value = result.logs, result.output
            if result.is_final_answer:
                answer = answer_text(result.output)
        except CodeError as mistake:
            printed = str(self._executor.state.get("_print_outputs", ""))
            error, failed = str(mistake), mistake.kind
        self._pid = self._process()
        text = "" if answer is not None else self._observation(printed, error, value)
        made = [
            str((self._workspace / path).relative_to(self._workspace))
            for path in self._executor.artefacts
        ]
        return Ran(text, failed, answer, made, time.monotonic() - started)

    def _observation(self, printed: str, error: str | None, value: object) -> str:
        printed = printed.rstrip("\n")
        if not printed and value is not None and error is None:
            printed = str(value)
        shown = cut(printed, self.most_chars, _HOW_TO_SEE)
        if shown != printed:
            self._executor.send_variables({"last_output": printed})
        return context.harmless(context.observation_text(shown, error))

    def _checkpoint(self, step: int, code: str, ran: Ran, overwritten: list[str]) -> Checkpoint:
        found = self._rules.effects(code)
        calls, incomplete = self._recorder.whole()
        if ran.failed and ran.failed != "error":
            reason = "it was cut off"
        elif found.twice:
            reason = f"it {found.twice}"
        elif overwritten:
            reason = f"it changed {overwritten[0]}, which was there before"
        elif found.chance:
            reason = f"it {found.chance}"
        else:
            reason = incomplete
        return Checkpoint(step, not reason, reason, [] if reason else calls, _digest(ran))

    def _take_in(self, calls: Sequence[Call]) -> None:
        """What the step's tools returned that others wrote."""
        for call in calls:
            if call["tool"] in self._from_outside and "value" in call:
                given = call["arguments"]
                path = given.get("path") if isinstance(given, dict) else None
                self.gate.outside.add(f"file {path}" if path else call["tool"], call["value"])

    def _take_in_files(self, names: Sequence[str]) -> None:
        """The text of attached files, which the code may open itself."""
        for name in names:
            if name in self._known_files:
                continue
            self._known_files.add(name)
            path = self._workspace / name
            # By now the code may have put a link there, to a file that is none of its own.
            with (
                contextlib.suppress(OSError, InputError),
                open_plain(path, follow=False) as file,
            ):
                text = file.read(MAX_KNOWN_BYTES).decode("utf-8", "replace")
                self.gate.outside.add(f"file {name}", text)

    def _names(self) -> set[str] | None:
        """The files in the workspace by relative name; None where there are too many."""
        names: set[str] = set()
        for folder, folders, files in os.walk(self._workspace):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = Path(folder).relative_to(self._workspace)
            names.update(str(inside / name) for name in files)
            if len(names) > MAX_NAMES:
                return None
        return names

    @contextlib.contextmanager
    def _in_silence(self) -> Iterator[None]:
        """Without events of what the code prints and calls: it has all been shown before."""
        executor = self._executor
        before = executor.on_output, executor.on_tool_call
        executor.on_output = executor.on_tool_call = None
        try:
            yield
        finally:
            executor.on_output, executor.on_tool_call = before


def _digest(ran: Ran) -> str:
    """Of what the code showed."""
    text = "\n".join(
        [settled(ran.observation), ran.failed, "" if ran.answer is None else f"answer {ran.answer}"]
    )
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
