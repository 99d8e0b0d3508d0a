"""Replies that break off in the middle: gone on with where the server allows, else begun anew."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from errors import Cancelled, ContextTooLong, ModelError
from serving.model import ReplyDelta
from serving.reply import Reply
from tests.chat_client import INSTRUCT, Ask, asker, at_once
from tests.fake_openai import Turn
from tests.model_conformance import TASK

BREAKS = ["drop", "malformed", "early_end", "half_event", "bad_chunk", "abort"]
FAILURES = ["error_event", "bare_error"]
BROKEN = "one two three"
CODE = "```python\nprint(1)\n```"


@pytest.fixture
def ask() -> Iterator[Ask]:
    with asker() as ask:
        yield ask


@pytest.fixture
def no_pauses() -> Iterator[None]:
    with at_once():
        yield


def last(deltas: list[ReplyDelta]) -> Reply:
    assert deltas[-1].reply is not None
    return deltas[-1].reply


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("fault", [*BREAKS, *FAILURES])
def test_begun_anew(fault: Any, ask: Any) -> None:
    broken = Turn(BROKEN, thinking="Hm.", chunk=10, fault=fault, after=2)
    model, server = ask(broken, Turn(CODE, thinking="Again."))
    deltas = list(model.generate_stream(TASK))
    assert last(deltas) == Reply("Again.", CODE, "print(1)", None, "code")
    assert len(server.chats) == 2
    assert server.chats[0].body == server.chats[1].body
    anew = [delta.anew for delta in deltas].index(True)
    before, after = deltas[:anew], deltas[anew + 1 :]
    assert "".join(d.reasoning or "" for d in before).startswith("Hm")
    assert "".join(d.reasoning or "" for d in after).strip() == "Again."
    assert "".join(d.content or "" for d in after).strip() == CODE


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("owner", ["vllm", "llamacpp", "hearth"])
@pytest.mark.parametrize("fault", BREAKS)
def test_gone_on_with(fault: Any, owner: str, ask: Any) -> None:
    whole = f"So many.\n</think>\n\nLet me see.\n{CODE}"
    for after in (1, 2, 4, 6):
        model, server = ask(
            Turn(whole, chunk=7, fault=fault, after=after),
            Turn(whole[after * 7 :], chunk=5),
            owner=owner,
        )
        deltas = list(model.generate_stream(TASK))
        assert not any(delta.anew for delta in deltas)
        assert last(deltas) == Reply("So many.", f"Let me see.\n{CODE}", "print(1)", None, "code")
        first, second = server.chats
        assert (first.path, second.path) == ("/v1/chat/completions", "/v1/completions")
        prompt = second.body["prompt"]
        text = bytes(prompt).decode() if isinstance(prompt, list) else prompt
        assert text == "<User>What is 1 + 2?<Assistant><think>\n" + whole[: after * 7]
        assert second.body["temperature"] == first.body["temperature"]


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("shape", ["reasoning", "reasoning_content"])
def test_gone_on_with_where_the_server_had_split_it(shape: Any, ask: Any) -> None:
    first = Turn("Let me see.", thinking="So many.", shape=shape, chunk=4, fault="drop", after=4)
    model, server = ask(first, Turn(f"ee.\n{CODE}"), owner="vllm")
    reply = last(list(model.generate_stream(TASK)))
    prompt = bytes(server.chats[1].body["prompt"]).decode()
    assert prompt.endswith("<think>\nSo many.\n</think>\n\nLet me s")
    assert reply.text == f"Let me see.\n{CODE}"
    first = Turn("x", thinking="So many.", shape=shape, chunk=4, fault="drop", after=1)
    model, server = ask(first, Turn(f"any.\n</think>\n{CODE}"), owner="vllm")
    reply = last(list(model.generate_stream(TASK)))
    assert (reply.thinking, reply.code) == ("So many.", "print(1)")


@pytest.mark.usefixtures("no_pauses")
def test_it_may_break_off_several_times(ask: Any) -> None:
    whole = f"So many.\n</think>\n\n{CODE}"
    turns = [Turn(whole[n * 6 :], chunk=6, fault="drop", after=1) for n in range(4)]
    model, server = ask(*turns, Turn(whole[24:]), owner="vllm", patience_seconds=2)
    assert last(list(model.generate_stream(TASK))).code == "print(1)"
    assert len(server.chats) == 5


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("fault", "words", "most"),
    [
        ("drop", "broke off in the middle", 6),
        ("malformed", "can't be read", 6),
        ("early_end", "ended early", 6),
        ("error_event", "CUDA out of memory", 3),
        ("bare_error", 'no kernel for "bf16" here', 3),
    ],
)
def test_what_lasts_is_an_error_with_the_reply_so_far(
    fault: Any, words: str, most: int, ask: Any
) -> None:
    turn = Turn("one two three", thinking="Hm.", chunk=24, fault=fault, after=1)
    model, server = ask(turn, patience_seconds=0.5)
    with pytest.raises(ModelError, match=words) as caught:
        model.generate(TASK)
    assert caught.value.partial == Reply("Hm.", "one two th", None, None, "cancelled")
    assert caught.value.fix
    assert 2 <= len(server.chats) <= most


def test_nobody_is_there_any_more(ask: Any) -> None:
    """The partial reply of the first request is not lost when the others get nowhere."""
    first = Turn("one two three", chunk=4, fault="drop", after=2)
    model, _ = ask(first, Turn(status=503), family=INSTRUCT, owner="vllm", timeout_seconds=1)
    with pytest.raises(ModelError, match=r"too busy|longer than") as caught:
        model.generate(TASK)
    assert isinstance(caught.value.partial, Reply)
    assert caught.value.partial.text == "one two"


def test_a_stream_that_stalls(ask: Any) -> None:
    turns = Turn("one two", fault="silence", after=1), Turn("fine")
    model, server = ask(*turns, family=INSTRUCT, stall_seconds=0.4)
    started = time.monotonic()
    assert model.generate(TASK).content == "fine"
    assert 0.4 < time.monotonic() - started < 5
    assert server.chats[0].disconnected.wait(1)


@pytest.mark.usefixtures("no_pauses")
def test_a_stream_that_stalls_for_good(ask: Any) -> None:
    turn = Turn("one two", fault="silence", after=1)
    model, _ = ask(turn, family=INSTRUCT, stall_seconds=0.2, patience_seconds=0.3)
    with pytest.raises(ModelError, match=r"nothing came for 0\.2 s") as caught:
        model.generate(TASK)
    assert caught.value.partial == Reply("", "one", None, None, "cancelled")


def test_the_first_token_may_take_long(ask: Any) -> None:
    model, server = ask(Turn("fine", delay=0.6, chunk=9), family=INSTRUCT, stall_seconds=0.2)
    assert model.generate(TASK).content == "fine"
    assert len(server.chats) == 1


def test_a_context_that_is_full_is_no_fault_to_be_tried_again(ask: Any) -> None:
    said = {"error": {"message": "maximum context length is 2048 tokens", "code": 400}}
    event = f"data: {json.dumps(said)}\n\n".encode()
    model, server = ask(Turn(raw=event), Turn("fine"))
    with pytest.raises(ContextTooLong):
        model.generate(TASK)
    assert len(server.chats) == 1


def test_cancel_between_the_attempts(ask: Any) -> None:
    turns = Turn("one two", fault="drop", after=1), Turn(status=503, headers={"Retry-After": "15"})
    model, _ = ask(*turns, family=INSTRUCT)
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        list(model.generate_stream(TASK, cancel=cancel))
    assert time.monotonic() - started < 2


def test_patience_begins_anew_with_each_request(ask: Any) -> None:
    turns = [
        Turn("x", fault="drop", after=-1),
        Turn("I think and think.", delay=0.2, chunk=3),
        Turn("x", fault="drop", after=-1),
        Turn("Answer: 3"),
    ]
    model, server = ask(*turns, owner="hearth", patience_seconds=0.8)
    assert model.generate(TASK).raw.answer == "3"
    assert len(server.chats) == 4


@pytest.mark.usefixtures("no_pauses")
def test_an_empty_reply_is_asked_for_twice_and_then_said(ask: Any) -> None:
    model, server = ask(Turn(""), family=INSTRUCT)
    reply = model.generate(TASK).raw
    assert (reply.reason, reply.finish, len(server.chats)) == ("empty", "stop", 2)
