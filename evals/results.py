"""The results of an evaluation, as JSON lines: first what was measured, then one line a task.

A line is written as soon as a task is done, so a run that breaks goes on where it stopped;
a line that was cut off by the break is done again.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from errors import InputError

_IDENTITY = ("model", "model_hash", "max_steps", "tasks")
"""What of `about` must be the same for results to stand in one file."""


@dataclass(frozen=True)
class Result:
    """One task, run once. `right` is False for whatever isn't a right answer.

    `status` and `provenance` are those of agent.events.RunFinished; `failed` means that
    Hearth broke, not the model, and such a task is run again when the run goes on.
    """

    id: str
    family: str
    phrasing: str
    held_out: bool
    task: str
    right: bool
    why: str
    answer: str | None
    status: str
    provenance: str
    error: str
    steps: int
    seconds: float
    input_tokens: int
    output_tokens: int
    code: list[str]


class ResultFile:
    """Appends results to a file; safe to use from several threads.

    `about` says what is measured (model, task files, limits); a file that begins with
    another is refused, since its results would be mixed with these, or, with `replace`,
    begun anew. Raises InputError for that, and for a file that can't be written.
    """

    def __init__(self, path: Path, about: dict[str, Any], *, replace: bool = False) -> None:
        self.path = path
        self.done: list[Result] = []
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size and self._goes_on(about, replace):
                return
            path.write_text("", encoding="utf-8")
            self._write({"about": about})
        except OSError as error:
            raise InputError(
                f"The results can't be written to {path}: {error.strerror}.",
                fix="Choose another --out.",
            ) from None

    def _goes_on(self, about: dict[str, Any], replace: bool) -> bool:
        """Reads a file that is there; False if it is to be begun anew."""
        there, done = read_results(self.path)
        other = [key for key in _IDENTITY if there.get(key) != about.get(key)]
        if other and replace:
            return False
        if other:
            told = "; ".join(f"{key} {there.get(key)}, now {about.get(key)}" for key in other)
            raise InputError(
                f"{self.path} holds results of another run ({told}).",
                fix="Choose another --out, or say --replace to begin that file anew.",
            )
        self.done = done
        self._mend_end()
        return True

    @property
    def done_ids(self) -> set[str]:
        """The tasks that need not be run again."""
        return {result.id for result in self.done if result.status != "failed"}

    def add(self, result: Result) -> None:
        """Append one result. Raises InputError when the disk does not take it."""
        with self._lock:
            try:
                self._write(asdict(result))
            except OSError as error:
                raise InputError(
                    f"A result can't be written to {self.path}: {error.strerror}.",
                    fix="Make room and give the same command again; it goes on from here.",
                ) from None
            self.done.append(result)

    def _write(self, data: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(data, ensure_ascii=False) + "\n")
            file.flush()

    def _mend_end(self) -> None:
        """Cuts off a last line that a break left unfinished."""
        data = self.path.read_bytes()
        if not data.endswith(b"\n"):
            with self.path.open("rb+") as file:
                file.truncate(data.rfind(b"\n") + 1)


def read_results(path: Path) -> tuple[dict[str, Any], list[Result]]:
    """What was measured, and the last result of each task. Raises InputError."""
    try:
        lines = list(_lines(path))
        about = lines[0]["about"]
        results = {line["id"]: Result(**line) for line in lines[1:]}
    except (OSError, UnicodeDecodeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{path} is no file of results: {error}.",
            fix="Name the file that `python -m evals run … --out` wrote.",
        ) from None
    return about, list(results.values())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    texts = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for text in texts:
        if text.endswith("\n") and text.strip():  # a last line without its end was cut off
            yield json.loads(text)
