"""One example for the bundled model: a task, its world, and the steps that solve it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

EVALUATION_SHARE = 20
"""One instance in this many is kept for evaluation and never trained on."""

EXPECT_KINDS = ("number", "text", "list", "file", "refusal")


@dataclass(frozen=True)
class Step:
    """What the model is to reply in one step: the thinking lines, and the Python it runs."""

    thinking: str
    code: str


@dataclass(frozen=True)
class WebPage:
    """A page of the example's small web, as the search and visit tools show it."""

    title: str
    address: str
    snippet: str


@dataclass(frozen=True)
class Expect:
    """The right result. `kind` is one of EXPECT_KINDS; `tolerance` is absolute, for numbers.

    text: the answer, or a text it must contain; list: equal item by item; file: the name of a file
    that must be made; refusal: an honest answer that the model can't do this.
    """

    kind: str
    value: Any
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        if self.kind not in EXPECT_KINDS:
            raise ValueError(f"Expect.kind is {self.kind!r}; use one of {', '.join(EXPECT_KINDS)}.")


@dataclass(frozen=True)
class Example:
    """A task with all that is needed to run and judge it.

    `phrasing` is the template the task was made from. `files` lie in the session's workspace,
    `notes` in the knowledge base (name → text), `web` is what the web tools find. The first
    `given` steps are handed to the model as already taken (recovery: the step that fails): they
    carry no loss in training and are scripted in evaluation.
    """

    family: str
    phrasing: str
    task: str
    expect: Expect
    steps: list[Step]
    files: dict[str, bytes] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    web: list[WebPage] = field(default_factory=list)
    given: int = 0

    @property
    def for_evaluation(self) -> bool:
        """True for the instances that are never trained on: one in EVALUATION_SHARE, by hash."""
        digest = hashlib.sha256(self.task.encode())
        for name, data in sorted(self.files.items()):
            digest.update(b"\0" + name.encode() + b"\0" + data)
        for name, text in sorted(self.notes.items()):
            digest.update(b"\0" + name.encode() + b"\0" + text.encode())
        for page in self.web:
            digest.update(f"\0{page.title}\0{page.address}\0{page.snippet}".encode())
        return int.from_bytes(digest.digest(), "big") % EVALUATION_SHARE == 0

    def to_dict(self) -> dict[str, Any]:
        """The example as JSON-able data; file contents as base64."""
        return {
            "family": self.family,
            "phrasing": self.phrasing,
            "task": self.task,
            "expect": {
                "kind": self.expect.kind,
                "value": self.expect.value,
                "tolerance": self.expect.tolerance,
            },
            "steps": [{"thinking": s.thinking, "code": s.code} for s in self.steps],
            "files": {n: base64.b64encode(b).decode("ascii") for n, b in self.files.items()},
            "notes": dict(self.notes),
            "web": [
                {"title": p.title, "address": p.address, "snippet": p.snippet} for p in self.web
            ],
            "given": self.given,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Example:
        """The reverse of `to_dict`."""
        return cls(
            family=data["family"],
            phrasing=data["phrasing"],
            task=data["task"],
            expect=Expect(**data["expect"]),
            steps=[Step(**step) for step in data["steps"]],
            files={name: base64.b64decode(text) for name, text in data["files"].items()},
            notes=dict(data["notes"]),
            web=[WebPage(**page) for page in data["web"]],
            given=data["given"],
        )
