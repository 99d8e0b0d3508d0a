"""The client against a server that keeps the protocol; faults: test_serving_chat_faults.py."""

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from smolagents.models import ChatMessage, MessageRole

from errors import Cancelled, InputError, ModelError
from serving.chat import ChatModel
from serving.families import Family
from serving.reply import Reply
from tests import model_conformance
from tests.chat_client import INSTRUCT, KEY, Ask, asker
from tests.fake_openai import FakeOpenAI, Turn
from tests.model_conformance import ADD, R1, TASK


@pytest.fixture
def ask() -> Iterator[Ask]:
    with asker() as ask:
        yield ask


@pytest.fixture
def make(ask: Ask) -> model_conformance.Make:
    def start(
        replies: Sequence[str | tuple[str, str]],
        family: Family = INSTRUCT,
        *,
        delay_seconds: float = 0.0,
    ) -> ChatModel:
        pairs = [(reply, "stop") if isinstance(reply, str) else reply for reply in replies]
        return ask(*(Turn(t, finish=f, delay=delay_seconds) for t, f in pairs), family=family)[0]

    return start


@pytest.mark.parametrize("check", model_conformance.SCRIPTED, ids=lambda c: c.__name__)
def test_conformance(check: Callable[..., None], make: model_conformance.Make) -> None:
    check(make)


@pytest.mark.parametrize("check", model_conformance.ANY_MODEL, ids=lambda c: c.__name__)
def test_conformance_of_any_model(check: Callable[..., None], make: model_conformance.Make) -> None:
    check(make([ADD] * 2, R1, delay_seconds=0.005), TASK)


@pytest.mark.parametrize("shape", ["reasoning", "reasoning_content", "raw", "template"])
def test_thinking_wherever_the_server_puts_it(shape: Any, ask: Any) -> None:
    text = "Sum:\n```python\nprint(3)\n```"
    model, _ = ask(Turn(text, thinking="Add `</think>`.\n```python\nno()\n```", shape=shape))
    assert model.generate(TASK).raw == Reply(
        "Add `</think>`.\n```python\nno()\n```", text, "print(3)", None, "code"
    )


def test_a_server_that_does_not_stream(ask: Any) -> None:
    model, _ = ask(Turn("Answer: 3", thinking="Add.", streams=False))
    assert model.generate(TASK).raw == Reply("Add.", "Answer: 3", None, "3", "stop")


def test_line_separators_inside_the_text(ask: Any) -> None:
    text = "a\u2028b\u2029c\x85d\x0be\U0001f600"
    model, _ = ask(Turn(text, chunk=2), family=INSTRUCT)
    assert model.generate(TASK).content == text


# What is sent


def test_request_of_a_family_without_system_role(ask: Any) -> None:
    model, server = ask(Turn("x"), key=KEY)
    model.generate(
        [
            ChatMessage(role=MessageRole.SYSTEM, content="Be brief."),
            ChatMessage(role=MessageRole.USER, content=[{"type": "text", "text": "One"}]),
            ChatMessage(role=MessageRole.TOOL_CALL, content="calling"),
            ChatMessage(role=MessageRole.TOOL_RESPONSE, content="result"),
            {"role": "user", "content": "Two"},
        ],
        stop_sequences=["Observation:"],
    )
    assert server.chats[0].body == {
        "model": "fake",
        "messages": [
            {"role": "user", "content": "Be brief.\n\nOne"},
            {"role": "assistant", "content": "calling"},
            {"role": "user", "content": "result\n\nTwo"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 8192,
        "temperature": 0.6,
        "top_p": 0.95,
    }
    assert server.chats[0].headers["authorization"] == f"Bearer {KEY}"


def test_request_with_system_role_and_without_sampling(ask: Any) -> None:
    model, server = ask(Turn("x"), family=INSTRUCT, max_tokens=50)
    system = {"role": "system", "content": "Be brief."}
    user = {"role": "user", "content": "One"}
    model.generate([system, user, {**system, "content": "Late."}])
    body = server.chats[0].body
    assert body["messages"] == [system, {"role": "user", "content": "One\n\nLate."}]
    assert not {"temperature", "top_p", "stop"} & set(body)
    assert body["max_tokens"] == model.max_tokens == 50
    assert "authorization" not in server.chats[0].headers


def test_zero_temperature_is_sent_and_overrides(ask: Any) -> None:
    model, server = ask(Turn("x"), temperature=0.0, top_p=0.5)
    model.generate(TASK)
    assert (server.chats[0].body["temperature"], server.chats[0].body["top_p"]) == (0.0, 0.5)


def test_usage_of_the_server(ask: Any) -> None:
    model, _ = ask(Turn("Hello.", usage=(12, 5)), family=INSTRUCT)
    usage = model.generate(TASK).token_usage
    assert (usage.input_tokens, usage.output_tokens) == (12, 5)


def test_usage_estimated_when_the_stream_is_closed_first(ask: Any) -> None:
    model, server = ask(Turn(f"{ADD} and on and on", usage=(12, 99), delay=0.01))
    usage = model.generate(TASK).token_usage
    sent = server.chats[0].deltas_sent
    assert sent - 2 <= usage.output_tokens <= sent, "the last may still be on their way"
    assert usage.input_tokens == 4  # of 14 characters


# Closing


def test_the_connection_closes_at_the_end_of_the_block(ask: Any) -> None:
    model, server = ask(Turn(ADD + " and so on" * 500, delay=0.005))
    assert model.generate(TASK).raw.code == "print(1 + 2)"
    assert server.chats[0].disconnected.wait(1)
    assert server.chats[0].deltas_sent < len(ADD) / 4 + 10


@pytest.mark.parametrize(
    "turn",
    [
        Turn("x", fault="silence", after=-1),
        Turn("some text", fault="silence", after=2),
        Turn(status=503, headers={"Retry-After": "15"}),
    ],
    ids=["before the headers", "in the stream", "between attempts"],
)
def test_cancel_while_nothing_comes(turn: Turn, ask: Any) -> None:
    model, server = ask(turn)
    cancel = threading.Event()
    started = time.monotonic()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(Cancelled):
        list(model.generate_stream(TASK, cancel=cancel))
    assert 0.3 <= time.monotonic() - started < 1.3
    assert turn.status != 200 or server.chats[0].disconnected.wait(1)


def test_leaving_the_iterator_closes_the_connection(ask: Any) -> None:
    model, server = ask(Turn("text " * 100, delay=0.01), family=INSTRUCT)
    for _ in model.generate_stream(TASK):
        break
    assert server.chats[0].disconnected.wait(1)


def test_close_ends_the_streams_and_the_thread(ask: Any) -> None:
    model, server = ask(Turn("a", fault="silence", after=0))
    assert not _threads(), "none before its use"
    threading.Timer(0.3, model.close).start()
    with pytest.raises(Cancelled):
        model.generate(TASK)
    assert server.chats[0].disconnected.wait(1)
    _until(lambda: not _threads())
    with pytest.raises(ModelError, match="closed"):
        model.generate(TASK)


def test_a_forgotten_model_ends_its_thread() -> None:
    with FakeOpenAI([Turn("a")]) as server:
        model = ChatModel(server.url, "fake", "", INSTRUCT, timeout_seconds=5)
        model.generate(TASK)
        assert len(_threads()) == 1
        del model
        gc.collect()
        _until(lambda: not _threads())


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "chat fake"]


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# The object itself


def test_address_must_be_one() -> None:
    with pytest.raises(InputError, match="no address"):
        ChatModel("localhost:8000", "fake", "", R1, timeout_seconds=5)


def test_password_in_the_address_is_not_shown() -> None:
    model = ChatModel("http://me:pa55@127.0.0.1:9/v1", "fake", KEY, R1, timeout_seconds=5)
    assert "pa55" not in repr(model)
    assert KEY not in repr(model)


def test_a_proxy_of_the_environment_does_not_stand_before_loopback(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    model, _ = ask(Turn("fine"), family=INSTRUCT)
    assert model.generate(TASK).content == "fine"


def test_importing_does_no_work() -> None:
    code = (
        "import sys, threading, serving.chat, serving.scripted\n"
        "from serving.families import FAMILIES\n"
        "tiny = FAMILIES['tiny']\n"
        "serving.chat.ChatModel('http://127.0.0.1:9', 'm', 'k', tiny, timeout_seconds=1)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "heavy = {'torch', 'transformers', 'vllm', 'openai'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
