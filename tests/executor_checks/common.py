"""The tools that the checks lend to an executor, and how a check says that code has to fail."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from smolagents import Tool

from errors import CodeError

Make = Callable[..., Any]


class Echo(Tool):
    name = "web_search"
    description = "Gives back what it was asked."
    inputs = {
        "query": {"type": "string", "description": "what to look for"},
        "max_results": {"type": "integer", "description": "how many", "nullable": True},
    }
    output_type = "string"

    def forward(self, query: str, max_results: int | None = 5) -> str:
        return f"{query}/{max_results}"


class Slow(Tool):
    name = "slow"
    description = "Waits, and says which threads ran beside it."
    inputs = {"seconds": {"type": "number", "description": "how long"}}
    output_type = "number"

    def forward(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


class Same(Tool):
    name = "same"
    description = "Gives its argument back."
    inputs = {"value": {"type": "any", "description": "anything"}}
    output_type = "any"

    def forward(self, value: Any) -> Any:
        return value


class Failing(Tool):
    name = "failing"
    description = "Fails with the exception that is named."
    inputs = {"kind": {"type": "string", "description": "which"}}
    output_type = "string"

    def forward(self, kind: str) -> str:
        class OwnError(Exception):
            pass

        errors: dict[str, Exception] = {
            "file": FileNotFoundError("There is no file sales.csv."),
            "value": ValueError("a bad value"),
            "key": KeyError("Region"),
            "own": OwnError("the server said no"),
        }
        raise errors[kind]


TOOLS = {tool.name: tool for tool in (Echo(), Slow(), Same(), Failing())}


def with_tools(make: Make, **options: Any) -> Any:
    executor = make(**options)
    executor.send_variables({})
    executor.send_tools(TOOLS)
    return executor


def fails(executor: Any, code: str, kind: str = "error") -> str:
    """The text of the CodeError that the code has to end in."""
    with pytest.raises(CodeError) as caught:
        executor(code)
    assert caught.value.kind == kind, str(caught.value)
    return str(caught.value)
