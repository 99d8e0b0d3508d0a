"""The tasks of an evaluation: JSON lines, each a task with its files, notes, web and answer.

`python -m serving.tiny tasks` writes them for the bundled model; any other program can. A
line holds `family`, `phrasing`, `task`, `expect` {kind, value, tolerance}, `files` (name to
base64), `notes` (name to text), `web` [{title, address, snippet}], and, for tasks that begin
in the middle, `steps` [{thinking, code}] of which the first `given` are taken as done. It may
hold `held_out`, and the `seed` it was made from.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from errors import InputError

KINDS = ("number", "text", "list", "file", "refusal")
_HELD_OUT_SHARE = 5


@dataclass(frozen=True)
class Expect:
    """The right result; `tolerance` is absolute and holds for numbers."""

    kind: str
    value: Any
    tolerance: float = 1e-6


@dataclass(frozen=True)
class Page:
    """A page of the task's small web."""

    title: str
    address: str
    snippet: str


@dataclass(frozen=True)
class Given:
    """A step that counts as taken when the model comes in."""

    thinking: str
    code: str


@dataclass(frozen=True)
class Task:
    """One task. `id` is the same for the same line, whatever file it stands in.

    `held_out`: its wording was kept out of training.
    """

    id: str
    family: str
    phrasing: str
    held_out: bool
    task: str
    expect: Expect
    files: dict[str, bytes] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    web: list[Page] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    seed: int | None = None


def load_tasks(paths: Iterable[Path]) -> list[Task]:
    """The tasks of the files, in order, each once. Raises InputError naming file and line."""
    tasks: dict[str, Task] = {}
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"The task file {path} can't be read: {error}.",
                fix="Write one with: python -m serving.tiny tasks --out tasks.jsonl",
            ) from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                task = _task(line, f"{path}, line {number}")
                tasks.setdefault(task.id, task)
    if not tasks:
        raise InputError("The task files hold no tasks.", fix="Name a file with tasks in it.")
    return list(tasks.values())


def _task(line: str, where: str) -> Task:
    try:
        data = json.loads(line)
        expect = Expect(**data["expect"])
        _check_expect(expect)
        return Task(
            id=_identity(data),
            family=str(data["family"]),
            phrasing=str(data["phrasing"]),
            held_out=_held_out(data),
            task=str(data["task"]),
            expect=expect,
            files={_name(n): _bytes(text) for n, text in data.get("files", {}).items()},
            notes={_name(n): str(text) for n, text in data.get("notes", {}).items()},
            web=[Page(**page) for page in data.get("web", [])],
            given=[Given(**step) for step in data.get("steps", [])[: data.get("given", 0)]],
            seed=data.get("seed"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{where} is no task: {reason}.", fix="See evals/tasks.py for what a line holds."
        ) from None


def _check_expect(expect: Expect) -> None:
    if expect.kind not in KINDS:
        raise ValueError(f"expect.kind is {expect.kind!r}, not one of {', '.join(KINDS)}")
    types = {"number": (int, float), "list": (list,), "file": (str,)}.get(expect.kind)
    if types and not isinstance(expect.value, types):
        raise ValueError(f"expect.value is {expect.value!r}, which is no {expect.kind}")


def _identity(data: Mapping[str, Any]) -> str:
    """A hash over what the task is; how it was solved when it was made doesn't matter."""
    told = {key: data.get(key) for key in ("family", "task", "expect", "files", "notes", "web")}
    told["given"] = data.get("steps", [])[: data.get("given", 0)]
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _held_out(data: Mapping[str, Any]) -> bool:
    """As the line says; else by the generator's rule: one wording in five, by hash."""
    if "held_out" in data:
        return bool(data["held_out"])
    digest = hashlib.sha256(f"{data['family']}|{data['phrasing']}".encode()).digest()
    return int.from_bytes(digest, "big") % _HELD_OUT_SHARE == 0


def _name(name: str) -> str:
    """A plain relative file name, so that a task file can't write anywhere else."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or len(path.parts) != 1:
        raise ValueError(f"{name!r} is no plain file name")
    return name


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("a file is not in base64") from None
