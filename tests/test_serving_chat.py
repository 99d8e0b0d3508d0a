"""The client against a server that keeps the protocol, and one that breaks it in every way."""

import gc
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from smolagents.models import ChatMessage, MessageRole

from errors import Cancelled, ContextTooLong, HearthError, InputError, ModelError
from serving.chat import ChatModel
from serving.families import FAMILIES, Family
from serving.reply import Reply
from tests import model_conformance
from tests.fake_openai import FakeOpenAI, Turn
from tests.model_conformance import ADD, R1, TASK

KEY = "sk-very-secret-0123456789"
INSTRUCT = FAMILIES["instruct"]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def ask(stack: ExitStack) -> Callable[..., tuple[ChatModel, FakeOpenAI]]:
    """A model and the server it asks, which takes `turns` in order."""

    def start(
        *turns: Turn,
        family: Family = R1,
        key: str = "",
        timeout_seconds: float = 20,
        **options: Any,
    ) -> tuple[ChatModel, FakeOpenAI]:
        names = ("models", "server_key")
        served = {name: options.pop(name) for name in names if name in options}
        server = stack.enter_context(
            FakeOpenAI(
                turns, models=served.get("models", ["fake"]), key=served.get("server_key", "")
            )
        )
        model = ChatModel(
            server.url, "fake", key, family, timeout_seconds=timeout_seconds, **options
        )
        stack.callback(model.close)
        return model, server

    return start


@pytest.fixture
def make(ask: Callable[..., tuple[ChatModel, FakeOpenAI]]) -> model_conformance.Make:
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
    assert usage.output_tokens == server.chats[0].deltas_sent
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
    threading.Timer(0.3, cancel.set).start()
    started = time.monotonic()
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
    before = threading.active_count()
    model, server = ask(Turn("a", fault="silence", after=0))
    assert threading.active_count() == before + 1, "the server's; none of the model before its use"
    threading.Timer(0.3, model.close).start()
    with pytest.raises(Cancelled):
        model.generate(TASK)
    assert server.chats[0].disconnected.wait(1)
    _until(lambda: threading.active_count() <= before + 1)
    with pytest.raises(ModelError, match="closed"):
        model.generate(TASK)


def test_a_forgotten_model_ends_its_thread() -> None:
    before = threading.active_count()
    with FakeOpenAI([Turn("a")]) as server:
        model = ChatModel(server.url, "fake", "", INSTRUCT, timeout_seconds=5)
        model.generate(TASK)
        assert threading.active_count() == before + 2
        del model
        gc.collect()
        _until(lambda: threading.active_count() == before + 1)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 2
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Faults after the first token: no repetition, the reply so far is kept


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("drop", "broke off"),
        ("malformed", "can't be read"),
        ("early_end", "ended early"),
        ("error_event", "CUDA out of memory"),
        ("bare_error", 'no kernel for "bf16" here'),
    ],
)
def test_fault_in_the_middle(fault: Any, words: str, ask: Any) -> None:
    model, server = ask(Turn("one two three", thinking="Hm.", chunk=24, fault=fault, after=1))
    seen = []
    with pytest.raises(ModelError, match=words) as caught:
        for delta in model.generate_stream(TASK):
            seen.append((delta.reasoning, delta.content))
    assert seen == [("Hm.\n", None), (None, "\n\none two th")]
    assert caught.value.partial == Reply("Hm.", "one two th", None, None, "cancelled")
    assert caught.value.fix
    assert len(server.chats) == 1


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


@pytest.mark.parametrize(
    "turn",
    [
        Turn(status=503),
        Turn(status=502, error="<html><h1>Bad Gateway</h1></html>"),
        Turn(status=429, headers={"Retry-After": "0"}),
        Turn("x", fault="drop", after=-1),
        Turn("x", fault="drop", after=0),
        Turn("x", fault="early_end", after=0),
    ],
    ids=["503", "502", "429", "dropped", "dropped after the headers", "ended"],
)
def test_asked_again(turn: Turn, ask: Any) -> None:
    model, server = ask(turn, Turn("fine"), family=INSTRUCT)
    assert model.generate(TASK).content == "fine"
    assert len(server.chats) == 2


def test_retry_after_is_honoured(ask: Any) -> None:
    turn = Turn(status=429, headers={"Retry-After": "1"})
    model, server = ask(turn, Turn("fine"), family=INSTRUCT)
    assert model.generate(TASK).content == "fine"
    waited = server.chats[1].at - server.chats[0].at
    assert 1.0 <= waited < 2.0


@pytest.mark.parametrize(
    "value", ["3600", formatdate(time.time() + 3600, usegmt=True)], ids=["seconds", "date"]
)
def test_retry_after_beyond_the_deadline_ends_at_once(value: str, ask: Any) -> None:
    model, server = ask(Turn(status=429, headers={"Retry-After": value}))
    started = time.monotonic()
    with pytest.raises(ModelError, match="too busy"):
        model.generate(TASK)
    assert time.monotonic() - started < 1
    assert len(server.chats) == 1


def test_busy_for_longer_than_the_deadline(ask: Any) -> None:
    model, server = ask(Turn(status=503), timeout_seconds=1.2)
    started = time.monotonic()
    with pytest.raises(ModelError, match="too busy"):
        model.generate(TASK)
    assert time.monotonic() - started < 2
    assert len(server.chats) >= 2


@pytest.mark.parametrize("status", [400, 500, 501])
def test_not_asked_again(status: int, ask: Any) -> None:
    model, server = ask(Turn(status=status))
    with pytest.raises(ModelError, match="out of order"):
        model.generate(TASK)
    assert len(server.chats) == 1


# What the errors say


def test_nobody_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        model = ChatModel(url, "fake", KEY, R1, timeout_seconds=30, patience_seconds=0.5)
        started = time.monotonic()
        with pytest.raises(ModelError) as caught:
            model.generate(TASK)
        model.close()
    assert 0.4 < time.monotonic() - started < 3
    assert f"{url} can't be reached" in caught.value.message
    assert "Is it running" in caught.value.fix
    assert caught.value.partial is None


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
        Turn("fine"),
        Turn("two"),
    )
    assert model.generate(TASK).raw.thinking == "fine"
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


def test_every_error_is_hearths(ask: Any) -> None:
    model, _ = ask(Turn(status=418, error={"unexpected": ["shape"]}))
    with pytest.raises(HearthError):
        model.generate(TASK)
