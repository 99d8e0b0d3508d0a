"""Events as chat messages: what is shown, and that data stays data."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import (
    Event,
    ModelReplied,
    OutputDelta,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    ThinkingDelta,
    ToolCalled,
    ToolReturned,
)
from web.publish import Publisher
from web.render import MAX_SHOWN_CHARS, Transcript, fence, markdown, quote

START = RunStarted(
    "r", "Add <b>them</b>", ["a_b.csv"], "tiny", "tiny", 8, "2026-01-01T00:00:00+00:00"
)


def messages(*events: Event) -> list[dict]:
    transcript = Transcript(lambda name: Path("/shown") / name)
    transcript.add([START, *events])
    return transcript.messages


def test_a_step_is_one_folded_message() -> None:
    shown = messages(
        StepStarted(1),
        ThinkingDelta(1, "I add."),
        TextDelta(1, "```python\nprint(1+1)\n```"),
        ModelReplied(
            1, "I add.", "```python\nprint(1+1)\n```", "print(1+1)", None, "code", 5, 6, 0.5
        ),
        ToolCalled(1, 1, "calculate", {"expression": "1+1"}),
        ToolReturned(1, 1, "calculate", True, "2", 0.1),
        OutputDelta(1, "2\n"),
        StepFinished(1, "Output:\n2", None, ["plot.png"], 0.25),
        RunFinished("answered", "2", "computed", ["plot.png"], steps=1),
    )
    assert [m["role"] for m in shown] == ["user", "assistant", "assistant", "assistant"]
    assert shown[0]["content"] == "Add &lt;b>them&lt;/b>\n\nFiles: a\\_b.csv"
    step = shown[1]
    assert step["metadata"] == {"title": "Step 1: computed", "status": "done", "duration": 0.8}
    for part in ("> I add.", "```python\nprint(1+1)\n```", "→ calculate(expression='1+1')", "← 2"):
        assert part in step["content"]
    assert step["content"].endswith("```text\n2\n```")
    assert shown[2]["content"] == "**2**"
    assert shown[3]["content"]["path"] == "/shown/plot.png"


def test_a_step_shows_what_it_is_doing_while_it_does() -> None:
    begun = (StepStarted(1), ThinkingDelta(1, "Hm"))
    assert messages(*begun)[1]["metadata"] == {"title": "Step 1: thinking", "status": "pending"}
    writing = (*begun, TextDelta(1, "```python\nx = 1"))
    assert messages(*writing)[1]["metadata"]["title"] == "Step 1: writing code"
    assert "```python\nx = 1\n```" in messages(*writing)[1]["content"]
    calling = (*writing, ToolCalled(1, 1, "web_search", {"query": "x"}))
    assert messages(*calling)[1]["metadata"]["title"] == "Step 1: using web_search"


def test_a_stopped_step_does_not_spin_for_ever() -> None:
    shown = messages(
        StepStarted(1), ThinkingDelta(1, "Hm"), RunFinished("stopped", error="Stopped.")
    )
    assert shown[1]["metadata"] == {"title": "Step 1: broken off", "status": "done"}
    assert shown[2]["content"] == "Stopped."


def test_a_long_reply_is_drawn_once_and_not_for_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr("web.render.quote", lambda text: drawn.append(text) or quote(text))
    thinking = [ThinkingDelta(1, "hm ")] * 1000
    shown = messages(StepStarted(1), *thinking, StepStarted(2))
    assert "hm hm" in shown[1]["content"] and len(drawn) == 1


def test_answers_that_are_no_answers_say_so() -> None:
    stated = messages(RunFinished("answered", "42", "stated"))[-1]["content"]
    assert "42" in stated and "not computed" in stated
    collected = messages(RunFinished("limit", "half", "collected", error="8 steps", fix="More."))
    assert (
        "Not an answer" in collected[-1]["content"] and "8 steps More." in collected[-1]["content"]
    )


@given(st.text(alphabet="`~\n<>&![]()*_|a ", max_size=60))
def test_a_fence_can_not_be_closed_from_inside(text: str) -> None:
    shown = fence(text)
    ticks = shown[: len(shown) - len(shown.lstrip("`"))]
    assert len(ticks) >= 3
    inside = shown.removeprefix(ticks + "text\n").removesuffix("\n" + ticks)
    assert inside == text and ticks not in inside


@given(st.text(alphabet="`~\n<>&![]()*_|a ", max_size=60))
def test_quoted_thinking_holds_no_markup(text: str) -> None:
    for line in quote(text).splitlines():
        assert line.startswith("> ")
        plain = line[2:].replace("\\\\", "")
        for sign in "`<![*_|":
            assert plain.count(sign) == plain.count("\\" + sign)


def test_pictures_from_elsewhere_are_never_loaded() -> None:
    assert "![" not in markdown("see ![x](https://example.org/?secret=1) <img src=x>")
    assert "<img" not in markdown("<img src=x>")


def test_long_output_is_cut_in_the_middle() -> None:
    shown = fence("a" * 100_000)
    assert len(shown) < MAX_SHOWN_CHARS + 100 and "80,000 characters left out" in shown


def test_links_are_never_published(tmp_path: Path) -> None:
    workspace, secret = tmp_path / "w", tmp_path / "secret.txt"
    workspace.mkdir()
    secret.write_text("key")
    (workspace / "link.txt").symlink_to(secret)
    (workspace / "plain.txt").write_text("fine")
    os.mkfifo(workspace / "pipe")
    publish = Publisher(tmp_path / "shown")
    assert publish(workspace, "link.txt") is None
    assert publish(workspace, "../secret.txt") is None
    assert publish(workspace, "pipe") is None
    assert publish(workspace, "nothing") is None
    copy = publish(workspace, "plain.txt")
    assert copy is not None and copy.read_text() == "fine" and copy.name == "plain.txt"
    assert publish(workspace, "plain.txt") == copy, "one copy per state of the file"
