"""How the model that answers is talked to, and the change to another one in the middle of a run."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.context import OBSERVATION_CHARS


@dataclass(frozen=True)
class Manner:
    """How a model is talked to: its family's name, the prompt that opens the conversation, or what
    makes it from the first task, and whether it is shown the tasks before the present one.
    """

    family: str
    instructions: str | Callable[[str], str]
    remembers_turns: bool

    def opening(self, task: str) -> str:
        """The prompt that opens a conversation whose first task this is."""
        made = self.instructions
        return made if isinstance(made, str) else made(task)


class Patience:
    """Times the waits for a model, a `with` block each: they are none of a run's own time."""

    def __init__(self) -> None:
        self.begin_run()

    def begin_run(self) -> None:
        """Count from zero."""
        self._waited, self._since = 0.0, 0.0

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._waited, self._since = self.waited_seconds, 0.0

    @property
    def waited_seconds(self) -> float:
        """All waits so far, the one under way too. May be asked from any thread."""
        since = self._since
        return self._waited + (time.monotonic() - since if since else 0.0)


def settle(
    model: Any, failed: Exception | None, cancel: Any, tell: Callable[[Any], None] | None = None
) -> Any:
    """Have a model object that stands for several choose which of them answers next.

    It has a method `settle(failed, cancel=…, tell=…)`, which returns the change, or None, and
    raises where none can answer. `failed` is the fault of the reply that was just asked for; it is
    raised where the object stands for one model only. `tell` hears of a model that is being
    started how far it is.
    """
    choose = getattr(model, "settle", None)
    if choose is not None:
        return choose(failed, cancel=cancel, tell=tell)
    if failed is not None:
        raise failed
    return None


def news(model: Any) -> str:
    """What the user should know of how the model runs that is new; a model object tells it once
    by its method `news`, if it has one."""
    tell = getattr(model, "news", None)
    return str(tell()) if tell is not None else ""


def observation_chars(model: Any) -> int:
    """Most characters of an observation: never more than the context has tokens, which is about
    a third of it."""
    most: int = getattr(getattr(model, "family", None), "context_tokens", 32_768)
    return min(OBSERVATION_CHARS, most)
