"""Servers of providers, in the formats and errors that they document: what the client makes of
them. Sources: OpenAI's and Anthropic's API references, Hugging Face's Inference Providers.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from errors import ContextTooLong, ModelError, Refused
from serving.chat import ChatModel
from serving.families import FAMILIES
from serving.reply import Reply
from tests.fake_openai import FakeOpenAI, Turn

ASK = [{"role": "user", "content": "What is 2 + 2?"}]
GOOD = Turn("So.</think>Final answer: 4")
Ask = Callable[..., tuple[Reply, list[dict[str, Any]]]]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """The reply of a server that takes the given turns, and the bodies that it was sent."""
    with contextlib.ExitStack() as stack:

        def start(*turns: Turn, family: str = "r1-distill", **options: Any) -> Any:
            server = stack.enter_context(FakeOpenAI(list(turns)))
            model = ChatModel(
                server.url, "fake", "sk-secret", FAMILIES[family], timeout_seconds=20, **options
            )
            stack.callback(model.close)
            reply = model.generate(ASK).raw
            return reply, [
                request.body for request in server.requests if "messages" in request.body
            ]

        yield start


def error(message: str, status: int = 400, **more: Any) -> Turn:
    """OpenAI's shape, which Anthropic's compatible address and most others have too."""
    return Turn(status=status, error={"error": {"message": message, **more}})


@pytest.mark.parametrize(
    ("refusal", "gone", "instead"),
    [
        pytest.param(
            error(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.",
                type="invalid_request_error",
                param="max_tokens",
                code="unsupported_parameter",
            ),
            "max_tokens",
            "max_completion_tokens",
            id="OpenAI, reasoning models: another name for the length",
        ),
        pytest.param(
            error(
                "Unsupported value: 'temperature' does not support 0.6 with this model. Only the "
                "default (1) value is supported.",
                param="temperature",
                code="unsupported_value",
            ),
            "temperature",
            "top_p",
            id="OpenAI, reasoning models: no temperature",
        ),
        pytest.param(
            error("Unsupported parameter: 'top_p' is not supported with this model."),
            "top_p",
            "temperature",
            id="OpenAI, reasoning models: no top_p",
        ),
        pytest.param(
            error(
                "`temperature` and `top_p` cannot both be specified for this model. Please use "
                "only one.",
                type="invalid_request_error",
                code="invalid_request_error",
            ),
            "top_p",
            "temperature",
            id="Anthropic: one of the two",
        ),
        pytest.param(
            error("`temperature` is deprecated for this model."),
            "temperature",
            "top_p",
            id="Anthropic, newer models: none",
        ),
        pytest.param(
            Turn(
                status=422,
                error={
                    "detail": [
                        {
                            "type": "extra_forbidden",
                            "loc": ["body", "stream_options"],
                            "msg": "Extra inputs are not permitted",
                        }
                    ]
                },
            ),
            "stream_options",
            "max_tokens",
            id="a provider behind the router: unknown fields refused, as FastAPI says it",
        ),
        pytest.param(
            error("property 'stream_options' is unsupported, did you mean 'stream'?"),
            "stream_options",
            "max_tokens",
            id="a provider behind the router: in words",
        ),
    ],
)
def test_a_field_that_is_refused_is_left_out(
    refusal: Turn, gone: str, instead: str, ask: Ask
) -> None:
    reply, bodies = ask(refusal, GOOD)
    assert reply.answer == "4" and len(bodies) == 2
    assert gone in bodies[0] and gone not in bodies[1]
    assert instead in bodies[1]
    assert bodies[1].keys() | {gone} >= bodies[0].keys(), "and nothing else is"


def test_several_refusals_one_after_the_other(ask: Ask) -> None:
    """As a reasoning model of OpenAI's gives them, and none is asked for twice."""
    names = ("max_tokens", "temperature", "top_p")
    turns = [error(f"Unsupported parameter: '{name}' is not supported.") for name in names]
    reply, bodies = ask(*turns, GOOD)
    assert reply.answer == "4" and len(bodies) == 4
    assert not {*names} & bodies[-1].keys() and bodies[-1]["max_completion_tokens"] == 8192


def test_what_the_user_set_is_an_error_and_never_dropped(ask: Ask) -> None:
    with pytest.raises(ModelError, match="temperature"):
        ask(error("Unsupported value: 'temperature' does not support 0.2."), GOOD, temperature=0.2)
    both = error("`temperature` and `top_p` cannot both be specified for this model.")
    _, bodies = ask(both, GOOD, top_p=0.5)
    assert bodies[1]["top_p"] == 0.5 and "temperature" not in bodies[1]


@pytest.mark.parametrize("shape", ["reasoning", "reasoning_content", "raw"])
def test_thinking_wherever_a_provider_puts_it(shape: Any, ask: Ask) -> None:
    """`reasoning` (Groq, Cerebras, OpenRouter), `reasoning_content` (DeepSeek), or tags."""
    turn = Turn("Final answer: 4", thinking="Two and two.", shape=shape)
    for family in ("instruct", "gpt-oss", "qwen3"):
        reply, _ = ask(turn, family=family)
        assert (reply.thinking, reply.answer) == ("Two and two.", "4"), family


@pytest.mark.parametrize(
    ("message", "most"),
    [
        (
            "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens for "
            "claude-3-haiku-20240307",
            4096,
        ),
        (
            "max_tokens too large: 8192. This model supports at most 4096 completion tokens.",
            4096,
        ),
        (
            "input length and `max_tokens` exceed context limit: 193000 + 8192 > 200000, decrease "
            "input length or `max_tokens` and try again",
            7000,
        ),
    ],
)
def test_a_reply_that_may_not_be_so_long_is_asked_for_shorter(
    message: str, most: int, ask: Ask
) -> None:
    reply, bodies = ask(error(message), GOOD)
    assert reply.answer == "4" and [b["max_tokens"] for b in bodies] == [8192, most]


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in "
        "130000 tokens. Please reduce the length of the messages.",
        "input length and `max_tokens` exceed context limit: 199990 + 8192 > 200000, decrease "
        "input length or `max_tokens` and try again",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ],
)
def test_a_conversation_that_is_too_long(message: str, ask: Ask) -> None:
    with pytest.raises(ContextTooLong):
        ask(error(message), GOOD)


@pytest.mark.parametrize(
    ("turn", "kind", "words"),
    [
        (
            Turn(
                status=402,
                error={
                    "error": "You have exceeded your monthly included credits for Inference "
                    "Providers. Subscribe to PRO to get 20x more monthly included credits."
                },
            ),
            Refused,
            "wants payment: You have exceeded your monthly included credits",
        ),
        (
            error("Your credit balance is too low to access the Anthropic API."),
            Refused,
            "credit balance is too low",
        ),
        (
            error("Incorrect API key provided: sk-se**et.", 401, code="invalid_api_key"),
            Refused,
            "refused the key",
        ),
        (
            error("invalid x-api-key", 401, type="authentication_error"),
            Refused,
            "refused the key",
        ),
        (
            Turn(
                status=400,
                error={
                    "error": {
                        "message": "The requested model 'fake' is not supported by any provider "
                        "you have enabled.",
                        "type": "invalid_request_error",
                        "param": "model",
                        "code": "model_not_supported",
                    }
                },
            ),
            Refused,
            "not supported by any provider you have enabled",
        ),
    ],
)
def test_refusals_in_providers_words(turn: Turn, kind: type, words: str, ask: Ask) -> None:
    with pytest.raises(kind, match=words) as caught:
        ask(turn)
    assert caught.value.fix and "sk-secret" not in str(caught.value)


def test_a_reply_that_a_filter_ended_has_a_reason(ask: Ask) -> None:
    reply, bodies = ask(Turn("I can't", finish="content_filter"), family="instruct")
    assert reply.text == "I can't" and reply.answer is None and reply.reason and len(bodies) == 1
