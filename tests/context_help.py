"""Conversations and models for the tests of what a model is sent."""

import dataclasses
from collections.abc import Sequence

from smolagents.memory import TaskStep
from smolagents.models import ChatMessage
from smolagents.monitoring import Timing

from agent.context import Step
from agent.tokens import text_of
from serving.families import FAMILIES


def step(number: int, code: str = "x = 1", observation: str = "Output:\n1", **more: object) -> Step:
    made = Step(number, Timing(0.0, 0.0), code_action=code, observations=observation)
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


LETTERS = "abcdefghijklmnopqrstuvwxyz" * 3


def long_run(count: int = 10, size: int = 1000) -> list:
    said = [f"Output:\n{LETTERS[number] * size}" for number in range(count)]
    return [TaskStep("Add it up."), *(step(n, f"x{n} = {n}", said[n]) for n in range(count))]


class Model:
    """The parts of a model that a window looks at."""

    def __init__(self, context_tokens: int, max_tokens: int = 100, **more: object) -> None:
        self.family = dataclasses.replace(FAMILIES["instruct"], context_tokens=context_tokens)
        self.max_tokens = max_tokens
        self.__dict__.update(more)


def texts(messages: Sequence[ChatMessage]) -> list[str]:
    return [text_of(message) for message in messages]
