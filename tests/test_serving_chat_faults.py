"""The client against a server that breaks the protocol in every way, and what the errors say."""

import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from errors import Cancelled, ContextTooLong, EngineError, HearthError, ModelError
from serving.chat import ChatModel
from serving.reply import Reply
from tests.chat_client import INSTRUCT, KEY, Ask, asker, at_once
from tests.fake_openai import FakeOpenAI, Turn
from tests.model_conformance import R1, TASK


@pytest.fixture
def ask() -> Iterator[Ask]:
    with asker() as ask:
        yield ask


@pytest.fixture
def no_pauses() -> Iterator[None]:
    with at_once():
        yield


# Faults after the first token: test_serving_chat_broken.py


def test_a_reply_that_takes_too_long(ask: Any) -> None:
    model, server = ask(Turn("word " * 100, delay=0.05), family=INSTRUCT, timeout_seconds=0.6)
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"longer than 0\.6 seconds") as caught:
        model.generate(TASK)
    assert time.monotonic() - started < 1.5
    assert isinstance(caught.value.partial, Reply)
    assert caught.value.partial.text.startswith("word")
    assert server.chats[0].disconnected.wait(1)


def test_a_server_that_forgets_to_end_the_stream(ask: Any) -> None:
    model, _ = ask(Turn("Answer: 3", hangs_at_end=True), family=INSTRUCT)
    assert model.generate(TASK).raw.answer == "3"


# Faults before the first token: asked again, inside the deadline


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    "turn",
    [
        Turn(status=503),
        Turn(status=408),
        Turn(status=529),
        Turn(status=502, error="<html><h1>Bad Gateway</h1></html>"),
        Turn(status=504, error=""),
        Turn(status=429, headers={"Retry-After": "0"}),
        Turn("x", fault="drop", after=-1),
        Turn("x", fault="half_headers", after=-1),
        Turn("x", fault="drop", after=0),
        Turn("x", fault="early_end", after=0),
        Turn("x", fault="bad_chunk", after=0),
        Turn("x", fault="error_event", after=0),
        Turn(raw=b""),
        Turn(finish="stop"),
    ],
    ids=[
        "503",
        "408",
        "529",
        "502",
        "504",
        "429",
        "dropped",
        "dropped within the headers",
        "dropped after the headers",
        "ended",
        "bad chunk",
        "error",
        "no body",
        "empty",
    ],
)
def test_asked_again(turn: Turn, ask: Any) -> None:
    model, server = ask(turn, Turn("fine"), family=INSTRUCT)
    assert model.generate(TASK).content == "fine"
    assert len(server.chats) == 2


def test_patience_begins_with_the_first_break(ask: Any) -> None:
    turn = Turn("x", fault="drop", after=-1, delay=0.8)
    model, _ = ask(turn, Turn("fine"), family=INSTRUCT, patience_seconds=0.5)
    assert model.generate(TASK).content == "fine"


def test_a_busy_server_that_asks_for_no_wait_is_not_flooded(ask: Any) -> None:
    turn = Turn(status=429, headers={"Retry-After": "0"})
    model, server = ask(turn, timeout_seconds=1.2)
    with pytest.raises(ModelError, match="too busy"):
        model.generate(TASK)
    assert 2 <= len(server.chats) < 10


def test_slow_after_a_break_is_slow(ask: Any) -> None:
    turns = Turn("x", fault="drop", after=-1), Turn("x", fault="silence", after=0)
    model, server = ask(*turns, timeout_seconds=1.5)
    with pytest.raises(ModelError, match=r"longer than 1\.5 seconds"):
        model.generate(TASK)
    assert len(server.chats) == 2


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_retry_after_is_honoured(as_date: bool, ask: Any) -> None:
    """A date has whole seconds only."""
    value = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    turn = Turn(status=429, headers={"Retry-After": value})
    model, server = ask(turn, Turn("fine"), family=INSTRUCT)
    assert model.generate(TASK).content == "fine"
    waited = server.chats[1].at - server.chats[0].at
    assert 0.8 <= waited < 3.0


@pytest.mark.parametrize(
    "value", ["3600", formatdate(time.time() + 3600, usegmt=True)], ids=["seconds", "date"]
)
def test_retry_after_beyond_the_deadline_ends_at_once(value: str, ask: Any) -> None:
    model, server = ask(Turn(status=429, headers={"Retry-After": value}))
    started = time.monotonic()
    with pytest.raises(ModelError, match="too busy") as caught:
        model.generate(TASK)
    assert time.monotonic() - started < 1
    assert len(server.chats) == 1
    assert re.search(r"It asks for [123],\d{3} seconds", caught.value.fix)


def test_busy_for_longer_than_the_deadline(ask: Any) -> None:
    model, server = ask(Turn(status=503), timeout_seconds=1.2)
    started = time.monotonic()
    with pytest.raises(ModelError, match="too busy"):
        model.generate(TASK)
    assert time.monotonic() - started < 2
    assert len(server.chats) >= 2


def test_a_request_that_fails_is_asked_a_few_times(ask: Any) -> None:
    model, server = ask(Turn(status=500), Turn("fine"), family=INSTRUCT)
    assert model.generate(TASK).content == "fine"
    model, server = ask(Turn(status=500), patience_seconds=900)
    with pytest.raises(ModelError, match="out of order"):
        model.generate(TASK)
    assert len(server.chats) == 3


@pytest.mark.parametrize("status", [400, 501, 505])
def test_not_asked_again(status: int, ask: Any) -> None:
    model, server = ask(Turn(status=status))
    with pytest.raises(ModelError, match="out of order"):
        model.generate(TASK)
    assert len(server.chats) == 1


# What the errors say


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}/v1"


def test_nobody_listens(nobody: str) -> None:
    model = ChatModel(nobody, "fake", KEY, R1, timeout_seconds=30, patience_seconds=0.5)
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        model.generate(TASK)
    model.close()
    assert 0.4 < time.monotonic() - started < 5
    assert f"{nobody} can't be reached" in caught.value.message
    assert "Is it running" in caught.value.fix
    assert caught.value.partial is None


def test_cancel_while_an_engine_is_waited_for(nobody: str) -> None:
    model = ChatModel(nobody, "fake", "", R1, timeout_seconds=90, patience_seconds=60)
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        list(model.generate_stream(TASK, cancel=cancel))
    assert time.monotonic() - started < 2
    model.close()


def test_an_engine_that_is_gone_for_good_is_not_waited_for(nobody: str) -> None:
    gone = EngineError("It died 3 times.", fix="Choose a smaller model.")

    def check() -> None:
        raise gone

    model = ChatModel(nobody, "m", "", R1, timeout_seconds=90, patience_seconds=60, check=check)
    with pytest.raises(EngineError, match="died 3 times") as caught:
        model.generate(TASK)
    assert caught.value is gone
    model.close()


def test_an_engine_that_comes_back_within_the_patience() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    server = FakeOpenAI([Turn("back")], port=port)
    start = threading.Timer(0.5, server.__enter__)
    start.start()
    url = f"http://127.0.0.1:{port}/v1"
    model = ChatModel(url, "fake", "", INSTRUCT, timeout_seconds=20, patience_seconds=10)
    try:
        assert model.generate(TASK).content == "back"
    finally:
        start.join()
        model.close()
        server.__exit__()


@pytest.mark.parametrize(("key", "words"), [(KEY, "refused the key"), ("", "asks for a key")])
def test_wrong_key(key: str, words: str, ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    model, _ = ask(Turn("x"), key=key, server_key="sk-another")
    with pytest.raises(ModelError, match=words) as caught:
        model.generate(TASK)
    assert "HEARTH_ENDPOINT_KEY" in caught.value.fix
    shown = [str(caught.value), repr(caught.value), repr(model), str(vars(caught.value))]
    assert KEY not in "".join(shown) + caplog.text


def test_unknown_model_names_those_there_are(ask: Any) -> None:
    model, _ = ask(models=["small", "large"])
    with pytest.raises(ModelError, match=r"no model 'fake'. It has: small, large\."):
        model.generate(TASK)


def test_wrong_path(ask: Any) -> None:
    _, server = ask()
    model = ChatModel(server.url.removesuffix("/v1"), "fake", "", R1, timeout_seconds=5)
    with pytest.raises(ModelError, match="no such address or model") as caught:
        model.generate(TASK)
    assert "/v1" in caught.value.fix
    model.close()


def test_the_address_of_some_web_page(ask: Any) -> None:
    model, server = ask(Turn(fault="web_page"))
    with pytest.raises(ModelError, match="no such address"):
        model.generate(TASK)
    assert len(server.chats) == 1


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 2048 tokens. However, you requested 9000 tokens",
        "the request exceeds the available context size (2048 tokens)",
        "Input is too long: max_model_len is 2048",
    ],
)
def test_context_too_long_is_told_apart(text: str, ask: Any) -> None:
    model, _ = ask(Turn(status=400, error={"error": {"message": text}}))
    with pytest.raises(ContextTooLong, match="too long"):
        model.generate(TASK)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "Server is pinned to 'a'"}, "Server is pinned to 'a'"),
        ({"detail": [{"loc": ["body", "n"], "msg": "bad n"}]}, "bad n"),
        ({"error": "plain"}, "plain"),
        ({"object": "error", "message": "old vLLM", "code": 40401}, r"old vLLM \(40401\)"),
        ("<html><title>Oh</title> no</html>", "Oh no"),
        ("", "no message"),
    ],
)
def test_error_bodies(body: Any, words: str, ask: Any) -> None:
    model, _ = ask(Turn(status=400, error=body))
    with pytest.raises(ModelError, match=words):
        model.generate(TASK)


def test_no_credit(ask: Any) -> None:
    error = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    model, server = ask(Turn(status=429, error=error))
    with pytest.raises(ModelError, match="wants payment"):
        model.generate(TASK)
    assert len(server.chats) == 1


def test_a_field_the_server_does_not_take_is_left_out(ask: Any) -> None:
    def refusal(name: str) -> Turn:
        return Turn(status=400, error={"error": {"message": f"Unsupported parameter: '{name}'"}})

    model, server = ask(
        refusal("stream_options"),
        refusal("max_tokens"),
        refusal("top_p"),
        Turn("</think>fine"),
        Turn("</think>two"),
    )
    assert model.generate(TASK).content == "fine"
    model.generate(TASK)
    for request in server.chats[3:]:
        assert not {"stream_options", "max_tokens", "top_p"} & set(request.body)
        assert request.body["max_completion_tokens"] == 8192


def test_a_chosen_field_the_server_does_not_take_is_an_error(ask: Any) -> None:
    error = {"error": {"message": "Unsupported value: 'temperature' does not support 0.3"}}
    model, server = ask(Turn(status=400, error=error), temperature=0.3)
    with pytest.raises(ModelError, match="temperature"):
        model.generate(TASK)
    assert len(server.chats) == 1


def test_every_error_is_hearths(ask: Any) -> None:
    model, _ = ask(Turn(status=418, error={"unexpected": ["shape"]}))
    with pytest.raises(HearthError):
        model.generate(TASK)
