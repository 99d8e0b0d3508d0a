"""Runs tasks through the whole agent: engine, stream, sandbox, tools.

Every task gets a world of its own: a workspace with its files, a folder with its notes, an
empty history, and a web of just its pages behind the real web_search tool. Nothing of one
task, and nothing of the user's, is seen by another.
"""

import copy
import hashlib
import platform
import re
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agent.build import Hearth
from agent.events import Event, ModelReplied, RunFinished
from agent.session import Session
from errors import HearthError
from evals.results import Result, ResultFile
from evals.scorers import score
from evals.tasks import Given, Page, Task
from memory.history import History
from serving.families import Family
from serving.model import Message, ReplyDelta, StreamingModel
from serving.model_source import resolve_model
from serving.scripted import ScriptedModel
from tools.web_search import SearchFunction, SearchResult

MAX_FAILURES_IN_A_ROW = 3
_PACKAGES = ("smolagents", "transformers", "torch", "pandas", "numpy", "sympy")
_WORD = re.compile(r"\w{3,}")

OpenSession = Callable[[Task, Path], Session]
"""(task, an empty folder) -> a session in the task's world, to be closed by the caller."""


class GivenFirst(StreamingModel):
    """The first replies are `given`; after them `model` answers."""

    def __init__(self, given: Sequence[Given], model: StreamingModel) -> None:
        super().__init__(str(model.model_id), model.family)
        self.max_tokens = model.max_tokens
        replies = [written_reply(step, model.family) for step in given]
        self._script = ScriptedModel(replies, model.family)
        self._left = len(replies)
        self._model = model

    def generate_stream(
        self,
        messages: Sequence[Message],
        stop_sequences: list[str] | None = None,
        response_format: dict[str, Any] | None = None,
        tools_to_call_from: list[Any] | None = None,
        *,
        cancel: threading.Event | None = None,
        **kwargs: Any,
    ) -> Iterator[ReplyDelta]:
        """Stream the next given reply, or else the model's."""
        model: StreamingModel = self._script if self._left else self._model
        self._left = max(0, self._left - 1)
        return model.generate_stream(messages, cancel=cancel)

    def close(self) -> None:
        """Give back what the model holds."""
        self._model.close()


def written_reply(step: Given, family: Family) -> str:
    """The step as a model of this family would have written it."""
    code = f"```python\n{step.code.strip()}\n```"
    if family.opens_thinking:
        return f"{step.thinking}\n</think>\n\n{code}"
    return f"<think>\n{step.thinking}\n</think>\n\n{code}" if step.thinking else code


def open_session(hearth: Hearth) -> OpenSession:
    """How a task's session is opened on a running Hearth."""

    def opened(task: Task, folder: Path) -> Session:
        own = copy.copy(hearth)  # the same engine, but a history of its own
        own.history = History(folder / "history")
        notes = folder / "notes"
        notes.mkdir()
        for name, text in task.notes.items():
            (notes / name).write_text(text, encoding="utf-8")
        # What is measured has a name: no other model may answer in its place.
        model: StreamingModel = own.new_model(pinned=True)
        return own.new_session(
            model=GivenFirst(task.given, model) if task.given else model,
            search=canned_search(task.web),
            notes=notes,
            workspace=folder / "workspace",
            asks=False,
        )

    return opened


def canned_search(pages: Sequence[Page]) -> SearchFunction:
    """A search engine over a few pages: all of them, if the query has a word of one of them."""
    words = {word for page in pages for word in _words(f"{page.title} {page.snippet}")}

    def search(query: str, max_results: int) -> list[SearchResult]:
        if not words & set(_words(query)):
            return []
        return [SearchResult(p.title, p.address, p.snippet) for p in pages[:max_results]]

    return search


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def run_task(task: Task, opened: OpenSession) -> Result:
    """One task in a fresh world, scored. A fault of ours is a failed result."""
    # The agent's code may have left a folder behind that can't be removed.
    with tempfile.TemporaryDirectory(prefix="hearth-eval-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            with _session(task, opened, folder) as session:
                events = list(session.run(task.task, _write_files(task, folder)))
                return _result(task, events, session.workspace)
        except (HearthError, OSError) as error:
            return _result(task, [RunFinished("failed", error=str(error))], folder)


@contextmanager
def _session(task: Task, opened: OpenSession, folder: Path) -> Iterator[Session]:
    session = opened(task, folder)
    try:
        yield session
    finally:
        session.close()


def _write_files(task: Task, folder: Path) -> list[Path]:
    attached = folder / "attached"
    attached.mkdir()
    paths = []
    for name, data in task.files.items():
        paths.append(attached / name)
        paths[-1].write_bytes(data)
    return paths


def _result(task: Task, events: Sequence[Event], workspace: Path) -> Result:
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    if finished.status == "answered":
        verdict = score(task.expect, finished.answer, workspace)
        right, why = verdict.right, verdict.why
    else:
        right, why = False, f"the run ended as {finished.status}"
    return Result(
        id=task.id,
        family=task.family,
        phrasing=task.phrasing,
        held_out=task.held_out,
        task=task.task,
        right=right,
        why=why,
        answer=finished.answer,
        status=finished.status,
        provenance=finished.provenance,
        error=finished.error,
        steps=finished.steps,
        seconds=finished.seconds,
        input_tokens=finished.input_tokens,
        output_tokens=finished.output_tokens,
        code=[event.code or event.text for event in events if isinstance(event, ModelReplied)],
    )


def run_tasks(
    tasks: Iterable[Task], opened: OpenSession, results: ResultFile, jobs: int = 1
) -> Iterator[Result]:
    """Run the tasks that `results` lacks, `jobs` at a time; yields each result once written.

    Raises HearthError when several tasks in a row failed through no fault of the model.
    """
    done = results.done_ids
    waiting = (task for task in tasks if task.id not in done)
    failures = 0
    running: set[Future[Result]] = set()
    open_now = _OpenNow(opened)
    with ThreadPoolExecutor(jobs, thread_name_prefix="eval") as pool:
        try:
            while True:
                while len(running) < jobs and (task := next(waiting, None)) is not None:
                    running.add(pool.submit(run_task, task, open_now))
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    result = future.result()
                    results.add(result)
                    failures = failures + 1 if result.status == "failed" else 0
                    yield result
                    if failures >= MAX_FAILURES_IN_A_ROW:
                        raise HearthError(
                            f"{failures} tasks in a row failed: {result.error}",
                            fix="Mend that and give the same command again; it goes on from here.",
                        )
        finally:  # Ctrl-C too: it must not wait for the tasks that are under way
            open_now.stop(running)


class _OpenNow:
    """Opens sessions, and knows which are open, so that they can be stopped."""

    def __init__(self, opened: OpenSession) -> None:
        self._opened = opened
        self._lock = threading.Lock()
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()

    def __call__(self, task: Task, folder: Path) -> Session:
        session = self._opened(task, folder)
        with self._lock:
            self._sessions.add(session)
        return session

    def stop(self, running: Iterable[Future[Result]]) -> None:
        """Stop what runs, until all of `running` is over: one may have been about to begin."""
        while wait(running, timeout=0.2).not_done:
            with self._lock:
                sessions = list(self._sessions)
            for session in sessions:
                session.cancel()


def about(
    hearth: Hearth, task_files: Sequence[Path], tasks: Sequence[Task], command: str
) -> dict[str, Any]:
    """What is measured and with what: kept in the results, and shown in the report."""
    local = hearth.settings.resolved_engine != "endpoint"
    folder = resolve_model(hearth.settings.model).folder if local else None
    return {
        "model": Path(hearth.endpoint.model_id).name,
        "model_hash": _weights_hash(folder) if folder else "",
        "max_steps": hearth.settings.max_steps,
        "tasks": {path.name: _file_hash(path) for path in task_files},
        "seeds": sorted({task.seed for task in tasks if task.seed is not None}),
        "command": command,
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _weights_hash(folder: Path) -> str:
    """Hashes of a local model's weights and tokenizer."""
    files = [*sorted(folder.glob("*.safetensors")), folder / "tokenizer.json"]
    return "-".join(_file_hash(file) for file in files if file.is_file())


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
