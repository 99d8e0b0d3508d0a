"""What every model of Hearth must do, whatever stands behind it.

`ANY_MODEL` are checks of a model and the messages it can answer: for real engines too.
`SCRIPTED` are checks of a factory `make(replies, family=…, delay_seconds=…)` that returns a
model which says `replies`, raw, one after the other.

    @pytest.mark.parametrize("check", model_conformance.SCRIPTED)
    def test_conformance(check, make): check(make)
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest
from smolagents.models import ChatMessage, MessageRole, agglomerate_stream_deltas

from errors import Cancelled, HearthError, InputError
from serving.families import FAMILIES, Family
from serving.model import ReplyDelta, StreamingModel
from serving.reply import Reply

R1 = FAMILIES["r1-distill"]
ADD = "Add them.\n</think>\n\nLet me see.\n```python\nprint(1 + 2)\n```"
TASK = [ChatMessage(role=MessageRole.USER, content=[{"type": "text", "text": "What is 1 + 2?"}])]


class Make(Protocol):
    """A factory of models that say what they are told to."""

    def __call__(
        self,
        replies: Sequence[str | tuple[str, str]],
        family: Family = ...,
        *,
        delay_seconds: float = ...,
    ) -> StreamingModel: ...


def last(deltas: list[ReplyDelta]) -> Reply:
    """The reply that a stream ended with."""
    assert deltas[-1].reply is not None
    return deltas[-1].reply


# Any model


def the_stream_ends_with_the_reply(model: StreamingModel, messages: list[ChatMessage]) -> None:
    deltas = list(model.generate_stream(messages))
    reply = last(deltas)
    assert all(delta.reply is None and delta.token_usage is None for delta in deltas[:-1])
    assert "".join(d.reasoning or "" for d in deltas).strip() == reply.thinking
    assert "".join(d.content or "" for d in deltas).strip() == reply.text
    assert agglomerate_stream_deltas(deltas).content.strip() == reply.text
    usage = deltas[-1].token_usage
    assert usage is not None
    assert usage.output_tokens > 0
    assert usage.input_tokens > 0


def generate_is_the_stream_drained(model: StreamingModel, messages: list[ChatMessage]) -> None:
    message = model.generate(messages, stop_sequences=["Observation:"])
    assert isinstance(message.raw, Reply)
    assert message.content == message.raw.text
    assert message.role == MessageRole.ASSISTANT
    assert message.token_usage is not None


def cancelling_ends_it_within_a_second(model: StreamingModel, messages: list[ChatMessage]) -> None:
    cancel = threading.Event()
    stream = model.generate_stream(messages, cancel=cancel)
    next(stream)
    cancel.set()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        list(stream)
    assert time.monotonic() - started < 1.0


def cancelled_before_it_began(model: StreamingModel, messages: list[ChatMessage]) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        list(model.generate_stream(messages, cancel=cancel))


def what_cannot_be_sent_is_refused(model: StreamingModel, messages: list[ChatMessage]) -> None:
    picture = ChatMessage(role=MessageRole.USER, content=[{"type": "image", "image": b"png"}])
    with pytest.raises(InputError, match="image"):
        model.generate([picture])
    with pytest.raises(InputError, match="no message"):
        model.generate([])
    with pytest.raises(InputError, match="tools_to_call_from"):
        model.generate(messages, tools_to_call_from=["a tool"])
    with pytest.raises(InputError, match="response_format"):
        model.generate(messages, response_format={"type": "json_object"})


def it_says_what_it_is(model: StreamingModel, messages: list[ChatMessage]) -> None:
    assert model.model_id
    assert isinstance(model.family, Family)
    assert model.max_tokens > 0


ANY_MODEL: list[Callable[[StreamingModel, list[ChatMessage]], None]] = [
    the_stream_ends_with_the_reply,
    generate_is_the_stream_drained,
    cancelling_ends_it_within_a_second,
    cancelled_before_it_began,
    what_cannot_be_sent_is_refused,
    it_says_what_it_is,
]


# Models that say what they are told to


def thinking_text_and_code_are_told_apart(make: Make) -> None:
    deltas = list(make([ADD], R1).generate_stream(TASK))
    text = "Let me see.\n```python\nprint(1 + 2)\n```"
    assert last(deltas) == Reply("Add them.", text, "print(1 + 2)", None, "code")
    assert len([d for d in deltas if d.content]) > 3, "it comes in pieces"


def the_first_block_ends_the_reply(make: Make) -> None:
    model = make([ADD + "\nObservation: 4\n```python\nfinal_answer(4)\n```"], R1)
    deltas = list(model.generate_stream(TASK))
    assert last(deltas).code == "print(1 + 2)"
    assert "Observation" not in "".join(d.content or "" for d in deltas)


def stop_strings_never_cut(make: Make) -> None:
    model = make(["Observation: so\n</think>Calling tools: none.\nFinal answer: 4"], R1)
    stops = ["Observation:", "Calling tools:", "answer"]
    reply = last(list(model.generate_stream(TASK, stops)))
    assert reply.thinking == "Observation: so"
    assert reply.answer == "4"


def a_reply_cut_by_the_limit_says_so(make: Make) -> None:
    model = make([("Hm, so", "length"), ("</think>```python\nprint(", "length")], R1)
    reply = last(list(model.generate_stream(TASK)))
    assert reply == Reply("Hm, so", "", None, None, "length", "thinking")
    assert reply.reason == "length"
    reply = last(list(model.generate_stream(TASK)))
    assert (reply.code, reply.finish, reply.ended_in) == (None, "length", "code")


def replies_come_in_order(make: Make) -> None:
    model = make(["one", "two", "three"])
    assert [model.generate(TASK).content for _ in range(3)] == ["one", "two", "three"]


def leaving_early_leaves_the_model_usable(make: Make) -> None:
    model = make(["Wait, let me think about it.", "two"], delay_seconds=0.01)
    stream = model.generate_stream(TASK)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert model.generate(TASK).content == "two"


def cancelling_one_leaves_the_model_usable(make: Make) -> None:
    model = make(["slow " * 500, "two"], delay_seconds=0.02)
    cancelling_ends_it_within_a_second(model, TASK)
    assert model.generate(TASK).content == "two"


def two_threads_do_not_mix(make: Make) -> None:
    model = make(["a" * 300, "b" * 300], delay_seconds=0.002)
    with ThreadPoolExecutor(2) as pool:
        texts = {str(m.content) for m in pool.map(lambda _: model.generate(TASK), range(2))}
    assert texts == {"a" * 300, "b" * 300}


def closing_twice_is_fine(make: Make) -> None:
    model = make(["one"])
    model.generate(TASK)
    model.close()
    model.close()


def errors_are_hearths_own(make: Make) -> None:
    with pytest.raises(HearthError):
        make(["one"]).generate([{"role": "narrator", "content": "Once upon a time"}])


SCRIPTED: list[Callable[[Make], None]] = [
    thinking_text_and_code_are_told_apart,
    the_first_block_ends_the_reply,
    stop_strings_never_cut,
    a_reply_cut_by_the_limit_says_so,
    replies_come_in_order,
    leaving_early_leaves_the_model_usable,
    cancelling_one_leaves_the_model_usable,
    two_threads_do_not_mix,
    closing_twice_is_fine,
    errors_are_hearths_own,
]
