"""What goes wrong with stock smolagents 1.26 on models that think, and does not here.

Each test runs one script on both agents. With `stock` it has to show the failure, which keeps
the test honest; with `ours` it must not. The names F1 … are those of the list of failures that
the loop was built against; those that concern the client alone are tested there.
"""

import time
from pathlib import Path

import pytest
from smolagents import CodeAgent, LogLevel
from smolagents.monitoring import AgentLogger
from smolagents.utils import parse_code_blobs

from agent.session import Session
from sandbox.executor import SandboxExecutor
from serving.families import FAMILIES
from tests.loop_help import OurScript, Outcome, Script, Side, ours, stock

both = pytest.mark.parametrize("side", [stock, ours])


def check(side: Side, good: bool, outcome: Outcome) -> None:
    """Ours is good, and the stock agent is not."""
    assert good is (side is ours), outcome


FENCE = "\n</think>\n\n```python\n{}\n```"
TAGS = "\n</think>\n<code>\n{}\n</code>"


@both
def test_f01_a_draft_in_the_thinking_is_not_run(side: Side) -> None:
    draft = "Try <code>\nfinal_answer('draft')\n</code> No wait, that is wrong."
    outcome = side([draft + TAGS.format("final_answer('right')")])
    check(side, outcome.answer == "right", outcome)


MENTIONS = [
    "I must put it between `<code>` and `</code>` tags.",
    "It begins with `<code>`.",
    "It opens with\n<code>\nand closes.",
]


@both
@pytest.mark.parametrize(
    "words",
    [*(f"{said}\n</think>" for said in MENTIONS), *(f"Hm.\n</think>\n{m}" for m in MENTIONS[:2])],
)
def test_f02_talking_about_the_tags_is_no_code(side: Side, words: str) -> None:
    outcome = side([f"{words}\n<code>\nfinal_answer('2')\n</code>"], max_steps=2)
    check(side, str(outcome.answer) == "2" and len(outcome.prompts) == 1, outcome)


@both
@pytest.mark.parametrize("word", ["Observation:", "Calling tools:", "</code>"])
def test_f03_no_word_in_the_thinking_stops_the_reply(side: Side, word: str) -> None:
    outcome = side([f"Then `{word}` comes." + FENCE.format("final_answer('3')")], max_steps=2)
    check(side, not any(outcome.stops) and str(outcome.answer) == "3", outcome)


@both
def test_f05_a_reply_without_content_is_named_as_such(side: Side) -> None:
    outcome = side([None, FENCE.format("final_answer('5')")])
    check(side, "empty" in outcome.last_prompt and "NoneType" not in outcome.last_prompt, outcome)


@both
def test_f06_an_empty_reply_is_no_program(side: Side) -> None:
    nothing = "\n</think>\n" if side is ours else ""
    outcome = side([nothing, FENCE.format("final_answer('6')")], stream=True)
    check(side, len(outcome.executed) == 1 and "empty" in outcome.seen[0], outcome)


@both
@pytest.mark.parametrize("text", ["Paris", "42"])
def test_f09_prose_is_an_answer_and_not_a_program(side: Side, text: str) -> None:
    """The stock parser takes it for code; in its loop a tag that it adds makes it an error."""
    assert parse_code_blobs(text, ("<code>", "</code>")) == text
    outcome = side([f"</think>{text}" if side is ours else text])
    good = not outcome.executed and outcome.answer == text and len(outcome.prompts) == 3
    check(side, good, outcome)


INVENTED = "```python\nx = 1\nprint(x)\n```\n\n{}\n5\n\n```python\nfinal_answer('5')\n```"


@both
@pytest.mark.parametrize("heading", ["Output:", "The result:"])
def test_f10_with_a_fence_the_first_block_ends_the_reply(side: Side, heading: str) -> None:
    outcome = side(
        ["\n</think>\n" + INVENTED.format(heading), FENCE.format("final_answer(str(x))")]
    )
    check(side, outcome.executed[0] == "x = 1\nprint(x)" and str(outcome.answer) == "1", outcome)


@both
def test_f11_nor_are_blocks_joined_with_markdown_tags(side: Side) -> None:
    replies = ["\n</think>\n" + INVENTED.format("Output:"), FENCE.format("final_answer(str(x))")]
    outcome = side(replies, code_block_tags="markdown")
    check(side, outcome.executed[0] == "x = 1\nprint(x)", outcome)


@both
def test_f13_nothing_is_added_to_what_the_model_wrote(side: Side) -> None:
    outcome = side(["\n</think>\nI would use Python.", FENCE.format("final_answer('13')")])
    said = [m["content"] for m in outcome.prompts[-1] if m["role"] == "assistant"]
    check(side, len(said) == 1 and said[0].endswith("I would use Python."), outcome)


@both
@pytest.mark.parametrize("heading", ["Observations:", "### Output", "Execution logs:"])
def test_f14_an_invented_observation_is_not_acted_on(side: Side, heading: str) -> None:
    text = f"```python\nprint(1)\n```\n{heading}\n42\n```python\nfinal_answer('42')\n```"
    outcome = side([f"\n</think>\n{text}", FENCE.format("final_answer('real')")])
    check(side, outcome.answer == "real", outcome)


@both
def test_f15_past_thinking_goes_and_code_stands_once(side: Side) -> None:
    step = "My long private thoughts." + TAGS.format("value = 15\nprint(value)")
    outcome = side([step, TAGS.format("final_answer(str(value))")])
    sent = outcome.last_prompt
    good = "private" not in sent and sent.count("value = 15") == 1 and "Calling tools" not in sent
    check(side, good, outcome)


@both
def test_f16_the_prompt_is_short_and_without_examples(side: Side) -> None:
    outcome = side([TAGS.format("final_answer('16')")])
    first = outcome.prompts[0]
    size = sum(len(message["content"]) for message in first)
    good = size < 3000 and [m["role"] for m in first] == ["user"]
    check(side, good and first[0]["content"].count("Task:") == 1, outcome)


@both
def test_f18_a_full_context_does_not_end_the_run(side: Side) -> None:
    steps = [TAGS.format(f"print('{n}' * 3000)") for n in range(6)]
    outcome = side([*steps, TAGS.format("final_answer('done')")], most_chars=12_000)
    check(side, outcome.answer == "done" and not outcome.error, outcome)


@both
@pytest.mark.parametrize("last", ["Long private thoughts.</think>The answer is 5", None])
def test_f19_the_last_step_gives_an_answer_and_no_thinking(side: Side, last: str | None) -> None:
    outcome = side([TAGS.format("print('so far 5')"), last], max_steps=1)
    good = isinstance(outcome.answer, str) and "private" not in outcome.answer
    check(side, good and "5" in str(outcome.answer), outcome)


@both
def test_f20_no_thinking_comes_back_by_way_of_a_plan(side: Side) -> None:
    """Ours makes none: it thinks in its steps, and what it thought there does not come back."""
    thought = "Long private thoughts."
    plan = [f"{thought}\n</think>\n"] if side is stock else []
    first = "" if side is stock else thought
    replies = [*plan, first + TAGS.format("print(1)"), TAGS.format("final_answer('20')")]
    outcome = side(replies, planning_interval=5)
    check(side, "private" not in outcome.last_prompt, outcome)


def test_f25_a_long_reply_costs_a_fraction() -> None:
    """The stock agent joins all deltas anew for each one."""

    def cost(side: Side, words: int) -> float:
        reply = "thinking aloud " * words + TAGS.format("final_answer('25')")
        began = time.process_time()
        assert str(side([reply], stream=True).answer) == "25"
        return time.process_time() - began

    short = cost(ours, 800)
    assert short * 4 < cost(stock, 400), "and that is half as long"
    assert cost(ours, 8000) < 15 * short, "it grows as the reply does"


def test_f27_a_stream_can_be_left(tmp_path: Path) -> None:
    replies = ["Hm." + TAGS.format("final_answer('27')")]
    theirs = CodeAgent([], Script(replies), logger=AgentLogger(level=LogLevel.OFF))
    stream = theirs.run("Go.", stream=True)
    next(stream)
    with pytest.raises(RuntimeError, match="generator ignored"):
        stream.close()
    model = OurScript(replies, FAMILIES["r1-distill"])
    session = Session(model, SandboxExecutor(tmp_path), [], tmp_path)
    stream = session._agent.run("Go.", stream=True)
    next(stream)
    stream.close()
    session.close()
