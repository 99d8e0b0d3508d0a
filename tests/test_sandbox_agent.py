"""The executor behind smolagents' own CodeAgent, and the limits of tools seen from the app."""

import contextvars
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from smolagents import ChatMessage, CodeAgent, MessageRole, Model, Tool, tool

import errors
from sandbox.calls import BoundTool
from sandbox.executor import SandboxExecutor


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[SandboxExecutor]:
    made = SandboxExecutor(tmp_path)
    yield made
    made.cleanup()


class Lines(Model):
    """A model that says what it was given, in order."""

    def __init__(self, *codes: str) -> None:
        super().__init__(model_id="lines")
        self.codes = list(codes)
        self.seen: list[Any] = []

    def generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatMessage:
        self.seen.append(messages)
        return ChatMessage(MessageRole.ASSISTANT, f"<code>\n{self.codes.pop(0)}\n</code>")


@tool
def price(item: str, pieces: int = 1) -> float:
    """The price.

    Args:
        item: what
        pieces: how many
    """
    return 2.5 * pieces


def test_code_agent_runs_on_it(executor: SandboxExecutor) -> None:
    model = Lines("x = price('tea', pieces=2)\nprint('x is', x)", "1 / 0", "final_answer(x * 2)")
    agent = CodeAgent(tools=[price], model=model, executor=executor, verbosity_level=0)
    assert agent.run("How much?") == 10.0
    assert "x is 5.0" in str(model.seen[1])
    assert "ZeroDivisionError: division by zero" in str(model.seen[2])
    model.codes = ["final_answer(x + 1)"]
    assert agent.run("And one more?", reset=False) == 6.0


class Waits(Tool):
    name = "waits"
    description = "Waits."
    inputs: dict = {}
    output_type = "string"
    setups = 0

    def setup(self) -> None:
        time.sleep(0.05)
        self.setups += 1
        self.is_initialized = True

    def forward(self) -> str:
        time.sleep(0.3)
        return _who.get()


_who = contextvars.ContextVar("who", default="nobody")


def test_a_tool_has_its_own_time_limit(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = []
    executor = SandboxExecutor(tmp_path, tool_timeout_seconds=0.1, on_tool_call=records.append)
    executor.send_tools({"waits": Waits()})
    code = "try:\n    waits()\nexcept TimeoutError as error:\n    print(error)"
    assert executor(code).logs.startswith("waits took longer than 0.1 s. ")
    assert records[-1]["ok"] is False
    executor.cleanup()


def test_tools_run_in_the_callers_context_and_are_set_up_once(executor: SandboxExecutor) -> None:
    waits = Waits()
    executor.send_tools({"waits": waits})
    _who.set("the caller")
    code = (
        "from concurrent.futures import ThreadPoolExecutor as P\n"
        "with P(4) as pool:\n    found = list(pool.map(lambda _: waits(), range(4)))\nfound"
    )
    assert executor(code).output == ["the caller"] * 4
    assert waits.setups == 1


def test_calls_run_side_by_side_but_not_without_bound(executor: SandboxExecutor) -> None:
    most = [0, 0]
    lock = threading.Lock()

    class Counts(Waits):
        name = "waits"

        def forward(self) -> str:
            with lock:
                most[0] += 1
                most[1] = max(most)
            time.sleep(0.1)
            with lock:
                most[0] -= 1
            return ""

    executor.send_tools({"waits": Counts()})
    executor(
        "from concurrent.futures import ThreadPoolExecutor as P\n"
        "with P(40) as pool:\n    list(pool.map(lambda _: waits(), range(40)))"
    )
    assert most[1] == 16


def test_signatures() -> None:
    bound = BoundTool("price", price)
    assert bound.signature == "price(item, pieces=1)"
    assert bound.bind(["tea"], {}) == {"item": "tea"}
    assert bound.bind([], {"item": "tea", "pieces": None}) == {"item": "tea"}
    with pytest.raises(
        TypeError, match=r"price\(item, pieces=1\): 'pieces' must be a whole number"
    ):
        bound.bind(["tea", True], {})


def test_results_of_other_types_arrive_as_text(executor: SandboxExecutor) -> None:
    class Gives(Tool):
        name = "gives"
        description = "Gives."
        inputs: dict = {"what": {"type": "string", "description": "which"}}
        output_type = "any"

        def forward(self, what: str) -> Any:
            class Own:
                def __str__(self) -> str:
                    return "its text"

            class Bad:
                def __str__(self) -> str:
                    raise ZeroDivisionError("no text")

            return {"own": Own(), "bad": Bad(), "large": "x" * 20_000_000, "digits": 10**5000}[what]

    records: list[dict[str, Any]] = []
    executor.on_tool_call = records.append
    executor.send_tools({"gives": Gives()})
    assert executor("gives('own')").output == "its text"
    assert executor("gives('digits') == 10**5000").output is True
    for what in ("bad", "large"):
        with pytest.raises(errors.CodeError, match="gives failed: its result can't be used"):
            executor(f"gives('{what}')")
    assert records[-1]["ok"] is False and len(records) == 8


def test_records_hold_only_what_json_takes(executor: SandboxExecutor) -> None:
    import json

    class Any_(Tool):
        name = "takes"
        description = "Takes."
        inputs: dict = {"value": {"type": "any", "description": "anything"}}
        output_type = "any"

        def forward(self, value: Any) -> Any:
            return value

    records: list[dict[str, Any]] = []
    executor.on_tool_call = records.append
    executor.send_tools({"takes": Any_()})
    executor("takes([b'x', {1: {2}}, 10**9999, 'y' * 10_000, 1 + 2j, (None, 1.5)])")
    shown = json.loads(json.dumps(records))[0]["arguments"]["value"]
    assert shown[1] == {"1": [2]} and len(shown[3]) == 2000 and shown[5] == [None, 1.5]
    assert len(records[1]["result"]) <= 2000
