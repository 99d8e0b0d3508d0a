"""Thinking that is too long, goes in circles or never ends: closed, and the reply gone on with."""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from errors import ModelError
from serving.families import FAMILIES
from serving.model import ReplyDelta
from serving.reply import Reply
from serving.thinking import CLOSING
from tests.chat_client import INSTRUCT, Ask, asker
from tests.fake_openai import Turn
from tests.model_conformance import R1, TASK

CODE = "```python\nprint(1)\n```"
PROMPT = "<User>What is 1 + 2?<Assistant><think>\n"
LONG = "".join(f"Number {n} is {n * n}. " for n in range(400))
LOOP = "Let me check that again.\n" * 400
QWEN3 = FAMILIES["qwen3"]


@pytest.fixture
def ask() -> Iterator[Ask]:
    with asker() as ask:
        yield ask


def stream(model: Any) -> tuple[list[ReplyDelta], Reply]:
    deltas = list(model.generate_stream(TASK))
    assert deltas[-1].reply is not None
    return deltas, deltas[-1].reply


def thought(deltas: list[ReplyDelta]) -> str:
    return "".join(delta.reasoning or "" for delta in deltas)


# The budget


def test_closed_by_the_client_and_gone_on_with(ask: Any) -> None:
    model, server = ask(
        Turn(LONG, delay=0.001), Turn(f"So:\n{CODE}"), owner="hearth", thinking_tokens=50
    )
    deltas, reply = stream(model)
    assert server.chats[0].disconnected.wait(2), "the engine is told to stop"
    assert server.chats[0].deltas_sent < 200
    assert (reply.code, reply.text) == ("print(1)", f"So:\n{CODE}")
    assert (reply.finish, reply.reason, reply.forced) == ("code", None, "thinking_budget")
    first, second = server.chats
    assert first.body["messages"][0]["content"] == "What is 1 + 2?"
    thinking, _, rest = second.body["prompt"].removeprefix(PROMPT).partition(CLOSING)
    assert LONG.startswith(thinking) and rest == "</think>\n\n"
    assert 45 <= len(thinking) / 4 <= 55
    assert reply.thinking == f"{thinking}{CLOSING}".strip()
    assert thought(deltas).strip() == reply.thinking
    usage = deltas[-1].token_usage
    assert usage is not None
    assert 50 < usage.output_tokens < 80


@pytest.mark.parametrize("shape", ["reasoning", "reasoning_content", "raw", "template"])
@pytest.mark.parametrize("family", [R1, QWEN3], ids=["opened by the template", "both tags"])
def test_closed_whatever_the_server_makes_of_it(shape: Any, family: Any, ask: Any) -> None:
    if shape == "template" and family is QWEN3:
        shape = "raw"
    turns = Turn("Never said.", thinking=LONG, shape=shape), Turn(CODE)
    model, server = ask(*turns, owner="llamacpp", family=family, thinking_tokens=50)
    reply = stream(model)[1]
    assert (reply.code, reply.forced) == ("print(1)", "thinking_budget")
    prompt = server.chats[1].body["prompt"].removeprefix(PROMPT)
    opened = shape == "raw" or family is QWEN3
    assert prompt.startswith("<think>\nNumber 0" if opened else "Number 0")
    assert prompt.endswith(f"{CLOSING}</think>\n\n")
    assert prompt.count("</think>") == 1


def test_counted_by_the_server(ask: Any) -> None:
    model, server = ask(Turn(CODE, thinking="Short."), owner="vllm", thinking_tokens=50)
    assert stream(model)[1].code == "print(1)"
    assert server.chats[0].body["thinking_token_budget"] == 50
    repetition = server.chats[0].body["repetition_detection"]
    assert repetition["min_count"] * repetition["min_pattern_size"] > 300
    assert len(server.chats) == 1


def test_a_server_that_takes_the_field_and_forgets_it(ask: Any) -> None:
    model, server = ask(Turn(LONG), Turn(CODE), owner="vllm", thinking_tokens=50)
    reply = stream(model)[1]
    assert (reply.code, reply.forced) == ("print(1)", "thinking_budget")
    assert server.chats[1].path == "/v1/completions"
    assert "thinking_token_budget" not in server.chats[1].body


def test_a_server_that_can_not_count(ask: Any) -> None:
    """vLLM without a reasoning config refuses the field; then the client counts."""
    said = "thinking_token_budget is set but reasoning_config is not configured."
    refusal = Turn(status=400, error={"error": {"message": said}})
    turns = refusal, Turn(LONG), Turn(CODE), Turn("</think>" + CODE)
    model, server = ask(*turns, owner="vllm", thinking_tokens=50)
    assert stream(model)[1].code == "print(1)"
    assert "thinking_token_budget" not in server.chats[1].body
    stream(model)
    assert "thinking_token_budget" not in server.chats[3].body, "it is not asked for twice"


@pytest.mark.parametrize("shape", ["reasoning", "template"])
def test_a_server_that_can_not_go_on_is_asked_to_act(shape: Any, ask: Any) -> None:
    turns = Turn("", thinking=LONG, shape=shape), Turn(CODE, thinking="I act.", shape=shape)
    model, server = ask(*turns, thinking_tokens=50)
    deltas, reply = stream(model)
    assert (reply.code, reply.text, reply.forced) == ("print(1)", CODE, "thinking_budget")
    assert reply.thinking.endswith("I act.") and reply.thinking.startswith("Number 0")
    assert not any(delta.anew for delta in deltas)
    task, said, nudge = server.chats[1].body["messages"]
    assert task == server.chats[0].body["messages"][0]
    assert said["role"] == "assistant" and said["content"] in LONG
    assert nudge["role"] == "user" and "thought for long enough" in nudge["content"]
    assert "```python" in nudge["content"]


def test_a_proxy_that_lets_only_chats_through(ask: Any) -> None:
    turns = Turn(LONG), Turn(status=404), Turn(f"</think>{CODE}"), Turn(LONG), Turn(CODE)
    model, server = ask(*turns, owner="vllm", thinking_tokens=50)
    assert stream(model)[1].code == "print(1)"
    assert [chat.path.count("chat") for chat in server.chats] == [1, 0, 1]
    stream(model)
    assert server.chats[-1].path == "/v1/chat/completions", "it is not tried again"


def test_asked_to_act_without_thinking_where_the_family_can(ask: Any) -> None:
    turns = Turn("", thinking=LONG, shape="raw"), Turn(CODE)
    model, server = ask(*turns, family=QWEN3, thinking_tokens=50)
    assert stream(model)[1].code == "print(1)"
    assert "chat_template_kwargs" not in server.chats[0].body
    assert server.chats[1].body["chat_template_kwargs"] == {"enable_thinking": False}
    gpt = FAMILIES["gpt-oss"]
    turns = Turn("", thinking=LONG, shape="reasoning"), Turn("Answer: 3", shape="reasoning")
    model, server = ask(*turns, family=gpt, owner="vllm", thinking_tokens=50)
    assert stream(model)[1].answer == "3"
    assert server.chats[1].path == "/v1/chat/completions", "its format can't be closed by hand"
    assert server.chats[1].body["reasoning_effort"] == "low"


def test_one_that_thinks_on_and_on_is_named(ask: Any) -> None:
    model, server = ask(Turn(LONG), thinking_tokens=50)
    reply = stream(model)[1]
    assert (reply.code, reply.answer, reply.text) == (None, None, "")
    assert (reply.reason, reply.finish, reply.ended_in) == (
        "thinking_budget",
        "thinking_budget",
        "thinking",
    )
    assert len(server.chats) == 3


def test_no_thinking_at_all(ask: Any) -> None:
    turns = Turn(LONG, delay=0.005), Turn(CODE)
    model, server = ask(*turns, owner="hearth", thinking_tokens=0)
    assert stream(model)[1].code == "print(1)"
    assert server.chats[0].deltas_sent < 20


def test_room_is_left_for_the_action(ask: Any) -> None:
    turns = Turn(LONG, delay=0.001), Turn(CODE)
    model, server = ask(*turns, owner="hearth", max_tokens=80, thinking_tokens=500)
    assert stream(model)[1].code == "print(1)"
    assert server.chats[1].body["max_tokens"] == 80
    thinking = server.chats[1].body["prompt"].partition(CLOSING)[0].removeprefix(PROMPT)
    assert 55 < len(thinking) / 4 < 65


def test_and_in_the_context(ask: Any) -> None:
    model, server = ask(Turn(f"</think>{CODE}"), owner="vllm", thinking_tokens=4000)
    task = [{"role": "user", "content": "x" * 4 * 2096}]
    model.generate(task)
    assert server.chats[0].body["thinking_token_budget"] == 1536, "of 4096 less 2096, and a quarter"
    model.generate(TASK)
    assert server.chats[1].body["thinking_token_budget"] == 3069


REFUSALS = [
    "This model's maximum context length is 4096 tokens. However, you requested 8195 tokens (3 in "
    "the messages, 8192 in the completion). Please reduce the length.",
    "'max_tokens' is too large: 8192. This model's maximum context length is 4096 tokens and your "
    "request has 3 input tokens (8192 > 4096 - 3).",
    "max_tokens is too large: 8192. This model supports at most 4093 completion tokens.",
]


@pytest.mark.parametrize("said", REFUSALS)
def test_a_reply_for_which_there_is_no_room_is_to_be_shorter(said: str, ask: Any) -> None:
    refusal = Turn(status=400, error={"error": {"message": said}})
    model, server = ask(refusal, Turn(f"</think>{CODE}"))
    assert stream(model)[1].code == "print(1)"
    assert server.chats[1].body["max_tokens"] == 4093
    full = said.replace("3 in", "4000 in").replace("4093", "20")
    model, server = ask(Turn(status=400, error={"error": {"message": full}}))
    with pytest.raises(ModelError):
        stream(model)
    assert len(server.chats) == 1


def test_the_answer_may_be_longer_than_the_budget(ask: Any) -> None:
    model, server = ask(Turn(f"{LONG}\n\nAnswer: 3", thinking="Hm."), thinking_tokens=20)
    assert stream(model)[1].answer == "3"
    assert len(server.chats) == 1


# Circles


@pytest.mark.parametrize("owner", ["vllm", "hearth", ""])
def test_a_loop_in_the_thinking_is_cut_and_left_out(owner: str, ask: Any) -> None:
    first = Turn(f"I add one and two. That is it.\n{LOOP}", delay=0.0005, hangs_at_end=True)
    model, server = ask(first, Turn(CODE, thinking="So." if not owner else ""), owner=owner)
    reply = stream(model)[1]
    assert server.chats[0].disconnected.wait(2)
    assert server.chats[0].deltas_sent < 1000
    assert (reply.code, reply.forced, reply.finish) == ("print(1)", "repetition", "code")
    body = server.chats[1].body
    said = body["messages"][1]["content"] if not owner else body["prompt"]
    said = bytes(said).decode() if isinstance(said, list) else said
    assert "I add one and two." in said
    assert said.count("check that again") < 4


def test_a_loop_that_the_server_has_noticed(ask: Any) -> None:
    turns = Turn("I add them.\nAgain and", finish="repetition"), Turn(CODE)
    model, server = ask(*turns, owner="vllm")
    reply = stream(model)[1]
    assert (reply.code, reply.forced) == ("print(1)", "repetition")
    assert len(server.chats) == 2


def test_a_loop_in_the_text_is_named(ask: Any) -> None:
    model, server = ask(Turn(f"</think>I say: {LOOP}", delay=0.0005, hangs_at_end=True))
    reply = stream(model)[1]
    assert (reply.reason, reply.finish, reply.ended_in) == ("repetition", "repetition", "text")
    assert len(server.chats) == 1
    assert server.chats[0].disconnected.wait(2)


def test_a_table_of_zeros_is_no_loop(ask: Any) -> None:
    code = f"grid = [{', '.join(['[' + '0, ' * 19 + '0]'] * 20)}]\nprint(sum(map(sum, grid)))"
    model, server = ask(Turn(f"```python\n{code}\n```", chunk=40), family=INSTRUCT)
    assert stream(model)[1].code == code
    assert len(server.chats) == 1


# Thinking that never ends


@pytest.mark.parametrize("owner", ["hearth", ""])
def test_ended_by_itself_while_thinking(owner: str, ask: Any) -> None:
    model, server = ask(Turn("I add them, that is 3."), Turn("Answer: 3"), owner=owner)
    if not owner:
        model, server = ask(Turn("I add them, that is 3."), Turn("</think>Answer: 3"))
    reply = stream(model)[1]
    assert (reply.answer, reply.forced) == ("3", "unclosed")
    assert reply.thinking.startswith("I add them, that is 3.")
    assert len(server.chats) == 2


def test_a_parser_that_found_no_end(ask: Any) -> None:
    """vLLM's answer when the model never closed its thinking: all in the field, no content."""
    turns = Turn("", thinking="I add them.", shape="reasoning"), Turn("Answer: 3")
    model, server = ask(*turns, owner="vllm")
    reply = stream(model)[1]
    assert (reply.answer, reply.forced) == ("3", "unclosed")
    assert (
        bytes(server.chats[1].body["prompt"]).decode().endswith(f"I add them.{CLOSING}</think>\n\n")
    )


def test_cut_by_the_limit_while_thinking_is_named(ask: Any) -> None:
    model, server = ask(Turn("I think", finish="length"))
    reply = stream(model)[1]
    assert (reply.reason, reply.ended_in, len(server.chats)) == ("length", "thinking", 1)


def test_a_break_after_the_thinking_was_closed(ask: Any) -> None:
    broken = Turn(f"Let me.\n{CODE}", fault="drop", after=1, chunk=5)
    turns = Turn(LONG), broken, Turn(f"me.\n{CODE}")
    model, server = ask(*turns, owner="vllm", thinking_tokens=20)
    reply = stream(model)[1]
    assert (reply.text, reply.code) == (f"Let mme.\n{CODE}", "print(1)")
    assert bytes(server.chats[2].body["prompt"]).decode().endswith("</think>\n\nLet m")
    turns = Turn(LONG), broken, Turn(f"Hm.\n</think>\n{CODE}")
    model, server = ask(*turns, thinking_tokens=20)
    deltas, reply = stream(model)
    assert (reply.thinking, reply.text) == ("Hm.", CODE)
    assert any(delta.anew for delta in deltas)


# Tool calls that the server has parsed


def test_a_parsed_tool_call_acts(ask: Any) -> None:
    raw = (
        b'data: {"choices":[{"delta":{"reasoning":"I look."}}]}\n\n'
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":'
        b'{"name":"web_search","arguments":""}}]}}]}\n\n'
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":'
        b'{"arguments":"{\\"query\\": \\"Oslo\\"}"}}]}}]}\n\n'
        b'data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'
    )
    model, server = ask(Turn(raw=raw))
    reply = stream(model)[1]
    assert (reply.thinking, reply.code) == ("I look.", "print(web_search(query='Oslo'))")
    assert len(server.chats) == 1


# What the server knows


def test_tokens_counted_by_the_server(ask: Any) -> None:
    model, server = ask(owner="vllm")
    assert (model.count_tokens("four"), model.context_limit()) == (4, 4096)
    assert server.requests[-1].body["add_special_tokens"] is False
    model, _ = ask(owner="")
    assert (model.count_tokens("four"), model.context_limit()) == (None, None)


def test_a_server_that_says_nothing_of_itself_is_not_asked_each_time(ask: Any) -> None:
    model, server = ask(Turn("</think>fine"), server_key="another")
    assert model.context_limit() is None
    assert model.context_limit() is None
    assert model.count_tokens("four") is None
    assert len(server.requests) == 1
    model.close()
    with pytest.raises(ModelError, match="closed"):
        model.count_tokens("four")


def test_usage_known_although_the_stream_is_closed_early(ask: Any) -> None:
    turn = Turn(f"</think>{CODE} and on and on", usage=(12, 99), delay=0.005, counts=True)
    model, server = ask(turn, owner="vllm")
    usage = stream(model)[0][-1].token_usage
    assert usage is not None
    sent = server.chats[0].deltas_sent
    assert usage.input_tokens == 12
    assert sent - 2 <= usage.output_tokens <= sent, "the last may still be on their way"
    assert server.chats[0].body["stream_options"]["continuous_usage_stats"] is True


def test_watching_costs_little() -> None:
    """16k tokens of thinking: the splitter, the loops and the budget together."""
    from serving.draft import Draft
    from serving.sse import Chunk

    chance = random.Random(1)
    words = [f" {chance.choice('abcdefgh')}{chance.randint(0, 999)}" for _ in range(16_000)]

    def cpu() -> float:
        draft = Draft(R1, 100_000, lambda delta: None)
        started = time.process_time()
        for word in words:
            assert not draft.take(Chunk(content=word))
        return time.process_time() - started

    assert min(cpu() for _ in range(3)) < 0.4
