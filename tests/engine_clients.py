"""Clients of a module's real engine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from serving.chat import ChatModel
from serving.families import FAMILIES
from serving.supervisor import Supervisor


@contextmanager
def connecting(engine: Supervisor, **usual: Any) -> Iterator[Callable[..., ChatModel]]:
    """A function that makes a client of the engine, with `usual` where it is told nothing else;
    all are closed at the end."""
    endpoint = engine.endpoint
    assert endpoint is not None
    with ExitStack() as stack:

        def start(
            key: str | None = None, model_id: str = endpoint.model_id, **options: Any
        ) -> ChatModel:
            model = ChatModel(
                endpoint.base_url,
                model_id,
                endpoint.api_key if key is None else key,
                FAMILIES["tiny"],
                timeout_seconds=100,
                check=engine.check,
                **{**usual, **options},
            )
            stack.callback(model.close)
            return model

        yield start
