"""A run that goes on with another model: the whole agent, on two servers."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from agent.build import Hearth
from agent.console import show
from agent.events import (
    Event,
    ModelChanged,
    RunFinished,
    StepStarted,
    ThinkingDelta,
    event_from_dict,
    event_to_dict,
)
from agent.resume import shape_from_events
from settings import load_settings
from tests.fake_openai import FakeOpenAI, Turn
from web.render import Transcript

R1 = "Think.\n</think>\n\n```python\n{}\n```"
PLAIN = "```python\n{}\n```"
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def other() -> Iterator[FakeOpenAI]:
    with FakeOpenAI([Turn(PLAIN.format("final_answer(x)"))], models=["b"], key=KEY) as server:
        yield server


def settings_for(tmp_path: Path, main: str, other: FakeOpenAI, **more: object) -> Hearth:
    spare = {"spare": {"url": other.url, "key": KEY}}
    route = str(more.pop("route", "main,spare"))
    return Hearth(
        load_settings(
            tmp_path,
            data_dir=tmp_path / "d",
            endpoint_url=main,
            route=route,
            endpoints=spare,
            request_timeout_seconds=6,
            **more,
        )
    )


def changes(events: list[Event]) -> list[ModelChanged]:
    return [event for event in events if isinstance(event, ModelChanged)]


def test_a_run_changes_models_at_its_second_step(tmp_path: Path, other: FakeOpenAI) -> None:
    broken = Turn("Half a thought", fault="drop", after=2)
    turns = [Turn(R1.format("x = 6 * 7\nprint(x)")), broken]
    with (
        FakeOpenAI(turns, models=["deepseek-r1-distill"]) as main,
        settings_for(tmp_path, main.url, other) as hearth,
    ):
        session = hearth.new_session()
        events = list(session.run("six times seven"))
        session.close()
    last = events[-1]
    assert isinstance(last, RunFinished) and (last.status, last.answer) == ("answered", "42")
    [change] = changes(events)
    assert (change.step, change.from_place, change.to_place) == (2, "main", "spare")
    assert (change.from_model, change.to_model) == ("deepseek-r1-distill", "b")
    assert change.family == "instruct" and "broke off" in change.reason
    sent = other.chats[0].body["messages"]
    assert sent[0]["role"] == "system", "the prompt of the next model's family"
    assert main.chats[0].body["messages"][0]["role"] == "user"
    said = [message["content"] for message in sent[1:]]
    assert said == ["six times seven", "```python\nx = 6 * 7\nprint(x)\n```", "Output:\n42"]
    assert KEY not in str([event_to_dict(event) for event in events])
    assert event_from_dict(event_to_dict(change)) == change
    assert shape_from_events(events).summarised == 0


def test_one_that_is_down_from_the_start_is_said_and_passed_over(
    tmp_path: Path, other: FakeOpenAI
) -> None:
    other.turns = [Turn(PLAIN.format("final_answer(1)"))]
    with settings_for(tmp_path, "http://127.0.0.1:9/v1", other) as hearth:
        assert "main" in hearth.notice and "HEARTH_ENDPOINT_URL" in hearth.notice
        session = hearth.new_session()
        events = list(session.run("one"))
        session.close()
    assert [change.to_place for change in changes(events)] == ["spare"]
    assert isinstance(events[-1], RunFinished) and events[-1].answer == "1"


def test_what_is_measured_keeps_its_model(tmp_path: Path, other: FakeOpenAI) -> None:
    with (
        FakeOpenAI([Turn(status=400)], models=["a"]) as main,
        settings_for(tmp_path, main.url, other) as hearth,
    ):
        session = hearth.new_session(model=hearth.new_model(pinned=True))
        events = list(session.run("six times seven"))
        session.close()
    assert isinstance(events[-1], RunFinished) and events[-1].status == "failed"
    assert not changes(events) and not other.chats


def test_a_run_that_failed_is_resumed_on_another_model(tmp_path: Path, other: FakeOpenAI) -> None:
    turns = [Turn(R1.format("x = 6 * 7")), Turn(status=400)]
    with (
        FakeOpenAI(turns, models=["deepseek-r1-distill"]) as main,
        settings_for(tmp_path, main.url, other, route="main") as hearth,
    ):
        session = hearth.new_session()
        failed = list(session.run("six times seven"))[-1]
        session.close()
    assert isinstance(failed, RunFinished) and failed.status == "failed"
    with settings_for(tmp_path, "http://127.0.0.1:9/v1", other, route="spare") as later:
        session = later.reopen("last")
        events = list(session.resume())
        session.close()
    [change] = changes(events)
    assert (change.from_model, change.to_model) == ("deepseek-r1-distill", "b")
    assert isinstance(events[-1], RunFinished) and events[-1].answer == "42"


def test_the_page_and_the_terminal_show_it() -> None:
    change = ModelChanged(1, "big", "tiny", "tiny", "big is *down*.", "main", "bundled")
    begun = [StepStarted(1), ThinkingDelta(1, "void"), change, ThinkingDelta(1, "anew")]
    transcript = Transcript(lambda name: None)
    transcript.add(begun)
    page = "\n".join(str(message["content"]) for message in transcript.messages)
    assert "anew" in page and "void" not in page, "what had streamed is gone"
    assert "tiny" in page and r"big is \*down\*" in page
    console = Console(file=io.StringIO(), width=200)
    show([*begun, RunFinished("answered", "1")], console)
    assert "tiny (bundled) answers from here on, not big" in console.file.getvalue()  # type: ignore[attr-defined]
