"""How many tokens a prompt has, and how many a server holds: counted, learnt, told."""

import pytest
from smolagents.memory import TaskStep
from smolagents.models import ChatMessage

from agent.compaction import Window
from agent.tokens import TokenCounter
from tests.context_help import Model, long_run


def test_the_engines_own_count_is_used_and_asked_for_once() -> None:
    asked: list[str] = []

    def count(text: str) -> int:
        asked.append(text)
        return len(text.split())

    counter = TokenCounter(Model(1000, count_tokens=count))
    messages = Window(Model(1000), "Do it.", remembers_turns=True).messages(long_run(3))
    assert counter.count(messages) == counter.count(messages) and counter.exact
    assert len(asked) == len(set(asked)) == len(messages)


def test_without_it_an_estimate_learns_from_the_servers_count() -> None:
    counter = TokenCounter(Model(1000, count_tokens=lambda text: None))
    messages = Window(Model(1000), "", remembers_turns=True).messages([TaskStep("x" * 3500)])
    assert counter.count(messages) == counter.estimate(messages) == 1006
    assert not counter.exact
    counter.learn(messages, 606)
    assert counter.count(messages) == counter.estimate(messages) == 606
    counter.learn(messages, 0)
    assert counter.count(messages) == 606


def test_digits_and_other_scripts_count_singly() -> None:
    counter = TokenCounter(None)
    sizes = [
        counter.estimate([ChatMessage("user", text)])  # type: ignore[arg-type]
        for text in ("a" * 350, "1" * 350, "汉" * 350, "👍" * 350)
    ]
    assert sizes == [106, 356, 356, 356]


def test_a_clients_own_guess_teaches_nothing() -> None:
    window = Window(Model(1000), "", remembers_turns=True)
    messages = window.messages([TaskStep("x" * 4000)])
    window.learn(messages, 1000)
    assert window.counter.rate == 1
    window.learn(messages, 2000)
    assert window.counter.rate == pytest.approx(1.75, abs=0.01)


@pytest.mark.parametrize(
    "why",
    [
        "This model's maximum context length is 2000 tokens. However, you requested 9000 tokens",
        "the prompt is too long: max_model_len 2000",
        "decoder prompt is longer than the context window of 2000 tokens",
    ],
)
def test_a_server_that_holds_less_is_believed(why: str) -> None:
    window = Window(Model(100_000), "", remembers_turns=True)
    steps = long_run()
    assert window.fit(steps) is None
    made = window.refused(steps, "", why)
    assert made and made.tokens_after < window.room * 0.81 and window.room < 2000
    small = Window(Model(100_000, context_limit=lambda: 2000), "", remembers_turns=True)
    assert small.fit(steps) is None, "a server that has not answered yet is asked nothing"
    small.learn([], 0)
    assert small.fit(steps) and small.room == window.room


def test_replies_are_no_longer_than_half_of_the_context() -> None:
    model = Model(100_000, 8192, thinking_tokens=4096, context_limit=lambda: 8000)
    window = Window(model, "", remembers_turns=True)
    window.learn([], 0)
    made = window.fit([TaskStep("Short.")])
    assert made and made.shape is None and made.reply_tokens == model.max_tokens == 4000
    assert model.thinking_tokens == 3000  # type: ignore[attr-defined]
    assert window.fit([TaskStep("Short.")]) is None
    refused = Window(Model(100_000, 8192), "", remembers_turns=True)
    made = refused.refused([TaskStep("Short.")], "", "maximum context length is 8192 tokens")
    assert made and made.reply_tokens == 4096
    assert refused.refused([TaskStep("Short.")], "", "maximum context length is 8192") is None
