"""Calls of tools that the worker's own code would never make, seen from the app."""

import threading
import time
from typing import Any

import pytest
from smolagents import Tool

from errors import ToolError
from sandbox import calls, wire
from sandbox.calls import BoundTool, StepCalls


class Page(Tool):
    """Takes a moment for one address and none for another."""

    name = "page"
    description = "The text of a page."
    inputs: dict = {"address": {"type": "any", "description": "where"}}
    output_type = "string"

    def forward(self, address: Any) -> str:
        time.sleep(0.2 if address == "slow" else 0)
        return f"the text of {type(address)!s}" if type(address) is not str else address


Records = list[dict[str, Any]]


@pytest.fixture
def records() -> Records:
    return []


@pytest.fixture
def step(records: Records) -> StepCalls:
    tools = {"page": BoundTool("page", Page())}
    return StepCalls(tools, lambda: None, records.append, timeout_seconds=10)


def _wait(step: StepCalls) -> None:
    deadline = time.monotonic() + 10
    while step.in_flight and time.monotonic() < deadline:
        step.finished()
        time.sleep(0.01)


def test_a_result_is_never_recorded_as_that_of_another_call(
    step: StepCalls, records: Records
) -> None:
    """The record is what citations rest on: two calls under one number must not mix."""
    assert step.begin(7, "page", wire.pack([["slow"], {}])) is None
    refused = step.begin(7, "page", wire.pack([["trusted"], {}]))
    assert refused is not None and refused[1] is False
    _wait(step)
    shown = [(each["phase"], each.get("arguments"), each.get("result")) for each in records]
    assert shown == [("start", {"address": "slow"}, None), ("end", None, "slow")]
    assert step.begin(7, "page", wire.pack([["trusted"], {}])) is not None  # nor afterwards


def test_a_call_that_is_admitted_after_its_step_is_not_made(records: Records) -> None:
    asked, said, made = threading.Event(), threading.Event(), []

    class Asks(Page):
        def admit(self, arguments: dict[str, Any]) -> None:
            asked.set()
            said.wait(10)

        def forward(self, address: Any) -> str:
            made.append(address)
            return ""

    step = StepCalls(
        {"page": BoundTool("page", Asks())}, lambda: None, records.append, timeout_seconds=10
    )
    step.begin(1, "page", wire.pack([["late"], {}]))
    assert asked.wait(10)
    step.abandon()
    said.set()
    for thread in threading.enumerate():
        if thread.name == "tool-page":
            thread.join(10)
    assert made == [] and records[-1]["outcome"] == "cut off"


def test_refused_calls_do_not_fill_the_record(step: StepCalls, records: Records) -> None:
    for number in range(5 * calls.MAX_CALLS):
        reply = step.begin(number, "x" * 100_000, wire.pack([[], {}]))
        assert reply is not None and reply[1] is False and len(reply[2]) < 1_000
    assert len(records) <= 4 * calls.MAX_CALLS
    assert max(len(str(each)) for each in records) < 1_000


def test_numbers_too_long_to_be_printed(step: StepCalls, records: Records) -> None:
    """Python refuses to print them: an exception here would end the run."""
    long = 10**5000
    assert step.begin(1, "page", wire.pack([[{long: long}], {}])) is None
    _wait(step)
    assert records[-1]["ok"] and "dict" in records[-1]["result"]
    with pytest.raises(wire.WireError, match="no text"):
        step.begin(2, "page", wire.pack([[], {long: 1}]))


def test_the_error_of_a_tool_is_a_built_in_one_for_the_code(records: Records) -> None:
    class Refuses(Page):
        name = "page"

        def forward(self, address: Any) -> str:
            raise ToolError("No such page.", "Look for it first.", seen_as=ConnectionError)

    step = StepCalls(
        {"page": BoundTool("page", Refuses())}, lambda: None, records.append, timeout_seconds=10
    )
    assert step.begin(1, "page", wire.pack([["x"], {}])) is None
    replies: list[Any] = []
    while step.in_flight:
        replies += step.finished()
    number, ok, body = replies[0]
    assert (number, ok) == (1, False)
    assert wire.unpack(body) == ["ConnectionError", "No such page. Look for it first."]
