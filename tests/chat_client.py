"""A client and the small server that it asks, for the tests of the client."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import stamina

from serving.chat import ChatModel
from serving.families import FAMILIES, Family
from tests.fake_openai import FakeOpenAI, Turn
from tests.model_conformance import R1

KEY = "sk-very-secret-0123456789"
INSTRUCT = FAMILIES["instruct"]

Ask = Callable[..., tuple[ChatModel, FakeOpenAI]]


@contextmanager
def asker() -> Iterator[Ask]:
    """A function that returns a model and the server it asks, which takes `turns` in order."""
    with ExitStack() as stack:

        def start(
            *turns: Turn,
            family: Family = R1,
            key: str = "",
            timeout_seconds: float = 20,
            models: tuple[str, ...] = ("fake",),
            server_key: str = "",
            owner: str = "",
            **options: Any,
        ) -> tuple[ChatModel, FakeOpenAI]:
            server = stack.enter_context(
                FakeOpenAI(turns, models=models, key=server_key, owner=owner)
            )
            model = ChatModel(
                server.url, "fake", key, family, timeout_seconds=timeout_seconds, **options
            )
            stack.callback(model.close)
            return model, server

        yield start


@contextmanager
def at_once() -> Iterator[None]:
    """What failed is asked again without a pause, where it is not the pauses that are looked at."""
    with stamina.set_testing(True, attempts=50):
        yield
