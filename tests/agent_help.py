"""Sessions with a scripted model on the real sandbox, and what came of their runs. For tests."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smolagents import Tool

from agent.events import Event, RunFinished, StepFinished
from agent.session import Session
from sandbox.executor import SandboxExecutor
from serving.families import FAMILIES
from serving.scripted import ScriptedModel

Reply = str | tuple[str, str]
Make = Callable[..., Session]


def code(text: str, thinking: str = "Think.") -> str:
    """A reply with this code."""
    return f"{thinking}\n</think>\n\n```python\n{text}\n```"


def prose(text: str) -> str:
    """A reply without code."""
    return f"Think.\n</think>\n\n{text}"


class Look(Tool):
    """A tool that gives back what it is given."""

    name = "look_up"
    description = "Looks up."
    inputs = {"word": {"type": "string", "description": "What."}}
    output_type = "string"

    def forward(self, word: str) -> str:
        return word


@contextmanager
def sessions(
    folder: Path, family: str = "r1-distill", tools: Sequence[Tool] | None = None
) -> Iterator[Make]:
    """A function that makes a session of the replies; `delay` is that of the model, and other
    options are the session's. All are closed at the end.
    """
    made: list[Session] = []
    given = [Look()] if tools is None else list(tools)

    def make(*replies: Reply, delay: float = 0.0, confine: str = "", **options: Any) -> Session:
        workspace = folder / f"w{len(made)}"
        workspace.mkdir()
        model = ScriptedModel(replies, FAMILIES[family], delay_seconds=delay)
        executor = SandboxExecutor(workspace, **({"confine": confine} if confine else {}))
        made.append(Session(model, executor, given, workspace, **options))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()


def run(session: Session, *files: Path, needs_tools: bool = False) -> tuple[RunFinished, list[str]]:
    """The run's end, and the observations."""
    events: list[Event] = list(session.run("Go.", files, needs_tools=needs_tools))
    assert isinstance(events[-1], RunFinished)
    return events[-1], [e.observation for e in events if isinstance(e, StepFinished)]


def sent(session: Session, number: int = -1) -> list[str]:
    """The texts of the messages that the model got for one of its replies."""
    return [m["content"] for m in session._model.history[number]]  # type: ignore[attr-defined]


def asked(session: Session) -> int:
    """How often the model was asked for a reply."""
    return len(session._model.history)  # type: ignore[attr-defined]
