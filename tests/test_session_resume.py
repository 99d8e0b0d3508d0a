"""A run that broke off goes on: killed at every moment, stopped, or ended by a fault."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from smolagents import Tool

from agent.events import (
    Checkpoint,
    Event,
    ModelReplied,
    RunFinished,
    RunResumed,
    StepFinished,
    StepStarted,
)
from agent.session import Session
from errors import InputError
from sandbox.executor import SandboxExecutor
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from tests.agent_help import code
from tests.broken_off import ANSWER, REPLIES, TASK, kept_events, session_in

ROOT = Path(__file__).resolve().parent.parent


def broken_off(folder: Path, *moments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.broken_off", str(folder), *moments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def of(kind: type, events: list[Event]) -> list:
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return json.loads(broken_off(tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("quarter", range(4))
def test_killed_after_any_event(quarter: int, whole: list[str], tmp_path: Path) -> None:
    """Every kept event is a moment to be killed at; the answer is always the same."""
    moments = [str(n) for n in range(1, len(whole)) if n % 4 == quarter]
    broken_off(tmp_path, *moments)
    for moment in moments:
        folder = tmp_path / moment
        events = kept_events(folder)
        assert [event.type for event in events] == whole[: int(moment)]
        check_resumed(folder, events)


@pytest.mark.parametrize(
    "moment", ["thinking_delta:3", "text_delta:9", "output_delta:1", "tool_called:1"]
)
def test_killed_in_the_middle_of_something(moment: str, tmp_path: Path) -> None:
    broken_off(tmp_path, moment)
    check_resumed(tmp_path / moment, kept_events(tmp_path / moment))


def check_resumed(folder: Path, before: list[Event]) -> None:
    replied = len(of(ModelReplied, before))
    finished = {event.step for event in of(StepFinished, before)}
    session = session_in(folder, REPLIES[replied:], before)
    fresh = list(session.resume())
    session.close()
    last = fresh[-1]
    assert isinstance(last, RunFinished)
    assert (last.status, last.answer, last.provenance) == ("answered", ANSWER, "computed")
    assert len(session._model.history) == len(REPLIES) - replied  # type: ignore[attr-defined]
    assert not finished & {event.step for event in of(StepStarted, fresh)}, "they were done"
    if not isinstance(before[-1], StepFinished) or before[-1].answer is None:
        resumed = of(RunResumed, fresh)
        assert [event.rebuilt for event in resumed] == [True], resumed
    assert (folder / "work" / "out.txt").read_text() == "42\n"
    looked = (folder / "calls").read_text().split()
    assert len(looked) == 1 or (len(looked) == 2 and 3 not in finished), "results are fed back"
    whole = [event for event in session.events if not event.type.endswith("_delta")]
    assert kept_events(folder) == whole, "all of it is in the history"
    # What the model was sent is what it would have been sent in one go.
    straight = session_in(folder / "again", REPLIES)
    list(straight.run(TASK))
    straight.close()
    sent = session._model.history  # type: ignore[attr-defined]
    assert sent == straight._model.history[replied:]  # type: ignore[attr-defined]


class Send(Tool):
    """Does something in the world."""

    name = "send"
    description = "Sends."
    inputs = {"text": {"type": "string", "description": "What."}}
    output_type = "string"

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.fault = fault

    def forward(self, text: str) -> str:
        self.sent.append(text)
        if self.fault:
            raise self.fault
        return f"sent {text}"


def interrupted(folder: Path, *replies: str, tools: list[Tool] | None = None) -> list[Event]:
    """The events of a run whose model failed after these replies; a process of old."""
    session = session_in(folder, replies, tools=tools or [])
    events = list(session.run(TASK))
    session.close()
    assert isinstance(events[-1], RunFinished) and events[-1].status == "failed", events[-1]
    return kept_events(folder)


def resumed(
    folder: Path, before: list[Event], *replies: str, tools: list[Tool] | None = None
) -> tuple[list[Event], list[str]]:
    """The further events, and the last prompt."""
    session = session_in(folder, replies, before, tools=tools or [])
    events = list(session.resume())
    session.close()
    prompts = session._model.history  # type: ignore[attr-defined]
    return events, [message["content"] for message in prompts[-1]] if prompts else []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import random\nx = random.random()", "chance"),
        ("import datetime as d\nx = d.datetime.now()", "clock"),
        ("open('log.txt', 'a').write('x')\nx = 1", "adds to a file"),
        ("import tempfile\nprint(tempfile.mkdtemp())", "came out otherwise"),
    ],
)
def test_what_can_not_be_run_again_is_not(text: str, reason: str, tmp_path: Path) -> None:
    before = interrupted(tmp_path, code("w = 1"), code(text))
    events, sent = resumed(tmp_path, before, code("final_answer('w' in globals())"))
    assert [(e.rebuilt, reason in e.reason) for e in of(RunResumed, events)] == [(False, True)]
    assert "variables and imports are gone" in sent[-1], "the model is told"
    assert events[-1].answer == "False", "and it is so"  # type: ignore[union-attr]


def test_chance_with_a_seed_is_no_chance(tmp_path: Path) -> None:
    text = "import random\nrandom.seed(7)\nx = random.random()\nprint(x)"
    before = interrupted(tmp_path, code(text), code("y = random.random()\nprint(y)"))
    wanted = of(StepFinished, before)[1].observation.removeprefix("Output:\n")
    events, sent = resumed(tmp_path, before, code("final_answer(y)"))
    assert float(events[-1].answer) == pytest.approx(float(wanted))  # type: ignore[union-attr]
    assert "interrupted" not in "".join(sent), "nothing has happened that the model should know"


def test_a_tool_that_acts_is_answered_from_the_record(tmp_path: Path) -> None:
    send = Send()
    before = interrupted(tmp_path, code("x = send('a')\nsend('b')"), tools=[send])
    events, _ = resumed(tmp_path, before, code("final_answer(x)"), tools=[send])
    assert events[-1].answer == "sent a"  # type: ignore[union-attr]
    assert send.sent == ["a", "b"], "not once more"


@pytest.mark.parametrize("fault", [ValueError("no"), KeyError("k"), OSError("broken pipe")])
def test_a_tool_that_failed_fails_again(fault: Exception, tmp_path: Path) -> None:
    text = "try:\n    send('a')\nexcept Exception as e:\n    x = repr(e)\n    print(x)"
    send = Send(fault)
    before = interrupted(tmp_path, code(text), tools=[send])
    events, _ = resumed(tmp_path, before, code("final_answer(x)"), tools=[send])
    wanted = of(StepFinished, before)[0].observation.removeprefix("Output:\n")
    assert events[-1].answer == wanted  # type: ignore[union-attr]
    assert len(send.sent) == 1


def test_code_that_had_acted_is_not_run_again_but_told(tmp_path: Path) -> None:
    """Cut off after the call: what it did once it must not do twice."""
    send = Send()
    replies = (code("x = 4"), code("send('a')\nsend('b')"))
    before = interrupted(tmp_path, *replies, tools=[send])
    cut = next(n for n, e in enumerate(before) if e.type == "tool_returned") + 1
    events, sent = resumed(tmp_path, before[:cut], code("final_answer(x)"), tools=[send])
    assert send.sent == ["a", "b"], "that was the first life's"
    assert "had called send(text='a'), which returned: sent a" in sent[-1]
    assert "What was set before it is there." in sent[-1]
    assert events[-1].answer == "4"  # type: ignore[union-attr]


def test_code_that_must_run_once_only_is_not_run_again_but_told(tmp_path: Path) -> None:
    """Whether it had come to that line, nobody knows."""
    adds = code("open('log.txt', 'a').write('x')")
    before = interrupted(tmp_path, code("x = 4"), adds)
    cut = max(n for n, e in enumerate(before) if e.type == "model_replied") + 1
    events, sent = resumed(tmp_path, before[:cut], code("final_answer(x)"))
    assert events[-1].answer == "4"  # type: ignore[union-attr]
    assert "interrupted while this code ran" in sent[-1]
    assert (tmp_path / "work" / "log.txt").read_text() == "x"


def test_imports_of_repeated_steps_count_for_later_ones(tmp_path: Path) -> None:
    before = interrupted(tmp_path, code("import random as r"))
    events, _ = resumed(tmp_path, before, code("x = r.random()"))
    assert [(e.replayable, e.reason) for e in of(Checkpoint, events)] == [
        (False, "it uses chance without a seed")
    ]


def test_code_that_breaks_off_each_time_is_tried_once_more_only(tmp_path: Path) -> None:
    before = interrupted(tmp_path, code("x = 4"), code("x = 5"))
    cut = max(n for n, e in enumerate(before) if e.type == "model_replied") + 1
    again = RunResumed(before[0].run, TASK, 2, True, "", "2026")  # type: ignore[union-attr]
    events, sent = resumed(tmp_path, [*before[:cut], again], code("final_answer(x)"))
    assert events[-1].answer == "4"  # type: ignore[union-attr]
    assert "interrupted while this code ran" in sent[-1]


def test_a_file_of_the_user_that_was_changed_stands_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("2")
    session = session_in(tmp_path, [code("n = int(open('n.txt').read())"), code(DOUBLE)])
    list(session.run(TASK, [tmp_path / "n.txt"]))
    session.close()
    before = kept_events(tmp_path)
    events, _ = resumed(tmp_path, before, code("final_answer(open('n.txt').read())"))
    assert "n.txt" in of(RunResumed, events)[0].reason
    assert events[-1].answer == "4", "and not 8"  # type: ignore[union-attr]


DOUBLE = "with open('n.txt', 'w') as file:\n    file.write(str(n * 2))"


def test_files_that_the_code_made_do_not(tmp_path: Path) -> None:
    write = "n = 1\nwith open('own.txt', 'w') as file:\n    file.write(str(n))"
    double = DOUBLE.replace("n.txt", "own.txt")
    before = interrupted(tmp_path, code(write), code(double), code(double))
    events, _ = resumed(tmp_path, before, code("final_answer(open('own.txt').read() + str(n))"))
    assert of(RunResumed, events)[0].rebuilt
    assert events[-1].answer == "21"  # type: ignore[union-attr]


def test_a_session_resumes_itself_after_a_fault(tmp_path: Path) -> None:
    """The sandbox was kept, so nothing needs to be run again, whatever it was."""
    session = session_in(tmp_path, [code("import random\nx = random.random()\nprint(x)")])
    failed = list(session.run(TASK))
    assert failed[-1].status == "failed"  # type: ignore[union-attr]
    session._model._replies.append(code("final_answer(x)"))  # type: ignore[attr-defined]
    events = list(session.resume())
    session.close()
    assert of(RunResumed, events)[0].rebuilt
    wanted = of(StepFinished, failed)[0].observation.removeprefix("Output:\n")
    assert float(events[-1].answer) == pytest.approx(float(wanted))  # type: ignore[union-attr]


def test_a_session_resumes_itself_after_a_stop_in_running_code(tmp_path: Path) -> None:
    wait = "x += 1\nopen('began', 'w').close()\nimport os, time\n"
    wait += "while not os.path.exists('go'):\n    time.sleep(0.05)"
    session = session_in(tmp_path, [code("x = 1"), code(wait), code("final_answer(x)")])
    session.start(TASK)
    while not (tmp_path / "work" / "began").exists():
        time.sleep(0.02)
    session.cancel()
    stopped = list(session.follow())[-1]
    assert isinstance(stopped, RunFinished) and stopped.status == "stopped"
    (tmp_path / "work" / "go").touch()
    events = list(session.resume())
    session.close()
    assert events[-1].answer == "2", "not 3: the sum was begun anew"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reply", "provenance"),
    [(code("final_answer(7)"), "computed"), ("Hm.\n</think>\nFinal answer: 7", "stated")],
)
def test_an_answer_that_was_there_is_handed_out(
    reply: str, provenance: str, tmp_path: Path
) -> None:
    session = session_in(tmp_path, [reply])
    list(session.run(TASK))
    session.close()
    events, sent = resumed(tmp_path, kept_events(tmp_path)[:-1])
    assert len(events) == 1 and not sent
    assert (events[0].answer, events[0].provenance) == ("7", provenance)  # type: ignore


def test_only_a_run_that_broke_off_can_be_resumed(tmp_path: Path) -> None:
    session = session_in(tmp_path, [code("final_answer(7)")])
    with pytest.raises(InputError, match="no run to go on with"):
        session.resume()
    assert list(session.run(TASK))[-1].answer == "7"  # type: ignore[union-attr]
    with pytest.raises(InputError, match="no run to go on with"):
        session.resume()
    with pytest.raises(InputError, match="events of its own"):
        session.resume([])
    assert not session.running
    session.close()


def test_a_new_session_takes_the_events_of_another(tmp_path: Path) -> None:
    before = interrupted(tmp_path / "a", code("x = 6"))
    session = session_in(tmp_path / "b", [code("final_answer(x)")])
    assert list(session.resume(before))[-1].answer == "6"  # type: ignore[union-attr]
    session.close()


def test_variables_of_earlier_runs_come_back_too(tmp_path: Path) -> None:
    session = session_in(tmp_path, [code("x = 6\nfinal_answer(x)"), code("y = x + 1")])
    list(session.run("first"))
    list(session.run("second"))
    session.close()
    events, sent = resumed(tmp_path, kept_events(tmp_path), code("final_answer(y)"))
    assert events[-1].answer == "7"  # type: ignore[union-attr]
    assert "Answer given: 6\n\nsecond" in sent


def test_a_process_that_was_put_away_between_runs_is_noticed(tmp_path: Path) -> None:
    """The session is the same, but its variables are not there any more."""
    executor = SandboxExecutor(tmp_path, idle_seconds=0.3)
    model = ScriptedModel([code("x = 6\nprint(x)")], FAMILIES["r1-distill"])
    session = Session(model, executor, [], tmp_path)
    assert list(session.run(TASK))[-1].status == "failed"  # type: ignore[union-attr]
    while executor.pid is not None:
        time.sleep(0.05)
    model._replies.append(code("final_answer(x)"))
    events = list(session.resume())
    session.close()
    assert of(RunResumed, events)[0].rebuilt
    assert events[-1].answer == "6"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [(code("print(5)"), "5"), ("Hm.\n</think>\nIt is five, I think.", "It is five, I think.")],
)
def test_a_circle_that_had_closed_ends_the_resumed_run(
    reply: str, answer: str, tmp_path: Path
) -> None:
    session = session_in(tmp_path, [reply] * 3)
    assert list(session.run(TASK))[-1].answer == answer  # type: ignore[union-attr]
    session.close()
    events, sent = resumed(tmp_path, kept_events(tmp_path)[:-1])
    assert events[-1].answer == answer and not sent  # type: ignore[union-attr]
