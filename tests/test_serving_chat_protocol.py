"""Streams that bend or break the protocol: read where that is safe, else asked for again."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import ModelError
from serving.draft import Draft
from serving.sse import Chunk, Events, ServerSaid, read_chunk
from tests.chat_client import INSTRUCT, Ask, asker, at_once
from tests.fake_openai import Turn
from tests.model_conformance import R1, TASK


@pytest.fixture
def ask() -> Iterator[Ask]:
    with asker() as ask:
        yield ask


@pytest.fixture
def no_pauses() -> Iterator[None]:
    with at_once():
        yield


def chunk(content: Any = None, finish: str | None = None, **fields: Any) -> str:
    delta = {} if content is None else {"content": content}
    return json.dumps({"choices": [{"delta": delta, "finish_reason": finish}], **fields})


def event(content: Any = None, finish: str | None = None, **fields: Any) -> bytes:
    return f"data: {chunk(content, finish, **fields)}\n\n".encode()


STOP, DONE = event(finish="stop"), b"data: [DONE]\n\n"
FINE = event("Answer: ") + event("3") + STOP + DONE

READ = {
    "as it should be": FINE,
    "windows line ends": FINE.replace(b"\n", b"\r\n"),
    "the line ends of an old Macintosh": FINE.replace(b"\n", b"\r"),
    "line ends of all kinds": event("Answer: ").replace(b"\n", b"\r") + event("3") + STOP + DONE,
    "no blank lines": FINE.replace(b"\n\n", b"\n"),
    "no space": FINE.replace(b"data: ", b"data:"),
    "more spaces": FINE.replace(b"data: ", b"data:   "),
    "a byte order mark": b"\xef\xbb\xbf" + FINE,
    "comments": b": ping\n\n" + FINE.replace(b"data", b": keep-alive\n\ndata"),
    "names and numbers of events": FINE.replace(b"data", b"event: message\nid: 7\nretry: 3\ndata"),
    "data of several lines": FINE.replace(b'{"choices": ', b'{"choices":\ndata: '),
    "no last line end": FINE.removesuffix(b"\n\n"),
    "no [DONE]": FINE.removesuffix(DONE),
    "only [DONE]": event("Answer: 3") + DONE,
    "nothing but a finish": event("Answer: 3", "stop"),
    "empty deltas": event("") + event(None) + FINE,
    "chunks without choices": event("Answer: ") + b'data: {"choices": []}\n\n' + event("3") + STOP,
    "null everywhere": b'data: {"choices": null, "usage": null, "error": null}\n\n' + FINE,
    "null delta": b'data: {"choices": [{"delta": null}]}\n\n' + FINE,
    "null finish first": event("Answer: 3", None) + STOP,
    "a long line": event("", padding="x" * 1_000_000) + FINE,
    "parts of text": event([{"type": "text", "text": "Answer: 3"}]) + STOP,
    "other choices": event("Answer: 3").replace(b"]}", b', {"delta": {"content": "x"}}]}') + STOP,
    "usage after the finish": event("Answer: 3") + STOP + event(usage={"prompt_tokens": 5}) + DONE,
    "junk after the finish": event("Answer: 3") + STOP + b"data: {broken}\n\n",
    "text after [DONE]": event("Answer: 3") + DONE + event("4"),
    "an unknown finish": event("Answer: 3", "because"),
    "eos": event("Answer: 3", "eos"),
}


@pytest.mark.parametrize("name", READ)
def test_read_as_it_comes(name: str, ask: Any) -> None:
    model, server = ask(Turn(raw=READ[name]), family=INSTRUCT)
    reply = model.generate(TASK).raw
    assert (reply.text, reply.answer, reply.finish) == ("Answer: 3", "3", "stop")
    assert len(server.chats) == 1


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", ""])
def test_the_content_type_of_a_stream_may_be_wrong(kind: str, ask: Any) -> None:
    model, _ = ask(Turn(raw=FINE, kind=kind), family=INSTRUCT)
    assert model.generate(TASK).raw.answer == "3"


WHOLE = {"choices": [{"message": {"content": "Answer: 3", "reasoning": None}}]}


def test_a_reply_in_one_piece(ask: Any) -> None:
    body = json.dumps(WHOLE).encode()
    model, _ = ask(Turn(raw=body, kind="application/json; charset=utf-8"), family=INSTRUCT)
    assert model.generate(TASK).raw.answer == "3"


BROKEN = {
    "nothing": b"",
    "half a line": b"data: {",
    "no JSON": b"data: {broken}\n\n",
    "a number": b"data: 3\n\n",
    "a list": b"data: []\n\n",
    "a string": b'data: "x"\n\n',
    "choices that are a number": b'data: {"choices": 3}\n\n',
    "a choice that is a string": b'data: {"choices": ["x"]}\n\n',
    "a delta that is a list": b'data: {"choices": [{"delta": ["x"]}]}\n\n',
    "text that is a number": b'data: {"choices": [{"delta": {"content": 3}}]}\n\n',
    "usage that is text": b'data: {"choices": [], "usage": "much"}\n\n',
    "nested too deep": b"data: {" + b'"a":[' * 100_000 + b"}\n\n",
    "bytes that are no text": b"data: {\xff\xfe}\n\n",
    "plain text": b"Internal Server Error",
    "no finish": event("Hm"),
    "no name of a field": FINE.replace(b"data: ", b""),
    "another name": FINE.replace(b"data: ", b"text: "),
    "comments only": b": ping\n\n: ping\n\n",
    "an error": b'data: {"error": {"message": "overloaded", "code": 503}}\n\n',
    "an error as text": b'data: {"error": "overloaded"}\n\n',
    "an error of older servers": b'data: {"object": "error", "message": "overloaded"}\n\n',
    "an error with its event": b'event: error\ndata: {"error": {"message": "no"}}\n\n',
}


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("name", BROKEN)
def test_asked_for_again(name: str, ask: Any) -> None:
    model, server = ask(Turn(raw=BROKEN[name]), Turn("fine"), family=INSTRUCT)
    assert model.generate(TASK).content == "fine"
    assert len(server.chats) == 2
    model, server = ask(Turn(raw=BROKEN[name]), family=INSTRUCT, patience_seconds=0.1)
    with pytest.raises(ModelError) as caught:
        model.generate(TASK)
    assert caught.value.fix


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b'{"choices": [{"message": 3}]}', b'{"choices": 3}']
)
def test_json_that_is_no_reply(body: bytes, ask: Any) -> None:
    turns = Turn(raw=body, kind="application/json"), Turn("fine")
    model, server = ask(*turns, family=INSTRUCT)
    assert model.generate(TASK).content == "fine"
    assert len(server.chats) == 2


def test_wrong_utf_8_costs_a_letter_and_not_the_reply(ask: Any) -> None:
    raw = event("Answer: caf#").replace(b"#", b"\xff") + STOP
    model, server = ask(Turn(raw=raw), family=INSTRUCT)
    assert model.generate(TASK).raw.answer == "caf\N{REPLACEMENT CHARACTER}"
    assert len(server.chats) == 1


@pytest.mark.usefixtures("no_pauses")
def test_a_line_without_end_is_asked_for_again(ask: Any) -> None:
    model, server = ask(Turn(raw=b"data: " + b"x" * (9 << 20)), Turn("fine"), family=INSTRUCT)
    assert model.generate(TASK).content == "fine"
    assert len(server.chats) == 2


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    events = Events()
    with pytest.raises(ValueError, match="without end"):
        for _ in range(20):
            events.feed(b"x" * (1 << 20))


# The parser alone


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.text(max_size=20), max_size=5),
    sizes=st.lists(st.integers(1, 30)),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_events_are_the_same_however_the_bytes_are_cut(
    texts: list[str], sizes: list[int], end: str
) -> None:
    data = [json.dumps({"t": text}, ensure_ascii=False) for text in texts]
    raw = "".join(f"data: {one}{end * 2}" for one in data).encode("utf-8", "surrogatepass")
    events, found, at = Events(), [], 0
    for size in [*sizes, len(raw)]:
        found += events.feed(raw[at : at + size])
        at += size
    found += events.end()
    if not any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        assert found == data


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | st.text('data: {}[]"choices,deltar:nul\n', max_size=200).map(str.encode)
)
def test_no_bytes_make_the_parser_fail(raw: bytes) -> None:
    events = Events()
    for data in [*events.feed(raw), *events.end()]:
        try:
            read_chunk(data)
        except (ValueError, ServerSaid):
            continue


KEYS = (
    *("choices", "delta", "message", "content", "reasoning", "tool_calls", "usage", "text"),
    *("function", "name", "arguments", "index", "finish_reason", "error"),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(["choices", "usage", "error", "object"]), VALUES))
def test_no_chunk_makes_the_draft_fail(value: dict[str, Any]) -> None:
    draft = Draft(R1, 10, lambda delta: None)
    try:
        draft.take(read_chunk(json.dumps(value)))
    except (ValueError, ServerSaid):
        return
    draft.lacks()
    draft.end()


def test_chunks_of_all_kinds() -> None:
    assert read_chunk('{"choices": [{"text": "a"}]}') == Chunk(content="a")
    said = '{"choices": [{"delta": {"reasoning_content": "a", "content": "b"}}]}'
    assert read_chunk(said) == Chunk("a", "b")
    usage = '{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": null}}'
    assert read_chunk(usage) == Chunk(usage=(1, 0))
