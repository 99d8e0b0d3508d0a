"""The session on the real sandbox, with a scripted model in place of the engine."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from smolagents import Tool

from agent import guards
from agent.events import (
    Compacted,
    Event,
    ModelReplied,
    Notice,
    OutputDelta,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    ThinkingDelta,
    ToolCalled,
    ToolReturned,
    event_from_dict,
    event_to_dict,
)
from agent.session import Limits, Session
from errors import InputError
from sandbox.executor import SandboxExecutor
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from tests.agent_help import Make, code, sent, sessions

ROOT = Path(__file__).resolve().parent.parent


class Slow(Tool):
    name = "slow"
    description = "Waits."
    inputs = {"seconds": {"type": "number", "description": "How long."}}
    output_type = "string"

    def forward(self, seconds: float) -> str:
        time.sleep(seconds)
        return "waited"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with sessions(tmp_path, "tiny", [Slow()]) as make:
        yield make


def last(events: list[Event]) -> RunFinished:
    assert isinstance(events[-1], RunFinished)
    return events[-1]


def test_an_answer_in_two_steps(make: Make) -> None:
    session = make(code("x = 6 * 7\nprint(x)"), code("final_answer(x)"))
    events = list(session.run("six times seven"))
    assert last(events).status == "answered"
    assert (last(events).answer, last(events).provenance, last(events).steps) == (
        "42",
        "computed",
        2,
    )
    assert sent(session) == [
        "six times seven",
        "```python\nx = 6 * 7\nprint(x)\n```",
        "Output:\n42",
    ]
    kinds = [e.type for e in events]
    assert kinds[0] == "run_started" and kinds.count("step_started") == 2
    assert "".join(e.text for e in events if isinstance(e, ThinkingDelta)).startswith("Think.")
    assert "42" in "".join(e.text for e in events if isinstance(e, OutputDelta))


def test_an_error_goes_back_to_the_model(make: Make) -> None:
    session = make(code("print(1)\nprices = {}\nprices['apple']"), code("final_answer('no price')"))
    events = list(session.run("price?"))
    assert last(events).answer == "no price"
    assert sent(session)[-1] == ("Output:\n1\nError:\nline 3: prices['apple']\nKeyError: 'apple'")
    assert [e.error for e in events if isinstance(e, StepFinished)] == ["error", None]


def test_prose_is_never_run_and_gets_an_instruction(make: Make) -> None:
    session = make("Hm.\n</think>\n\nI would use Python.", code("final_answer(1)"))
    assert last(list(session.run("do it"))).answer == "1"
    assert sent(session)[-2:] == ["I would use Python.", guards.NO_ACTION]


def test_thinking_to_the_limit_is_told_so(make: Make) -> None:
    session = make(("Wait, wait, wait", "length"), code("final_answer(1)"))
    assert last(list(session.run("do it"))).answer == "1"
    assert "still thinking" in sent(session)[-1] and "400" in sent(session)[-1]


def test_an_answer_in_words_is_flagged(make: Make) -> None:
    session = make("Easy.\n</think>\n\nThe result is \\boxed{42}.")
    finished = last(list(session.run("six times seven")))
    assert (finished.status, finished.answer, finished.provenance) == ("answered", "42", "stated")


def test_the_step_limit_hands_over_what_is_known(make: Make) -> None:
    session = make(code("print('half way')"), code("1 / 0"), limits=Limits(max_steps=2))
    finished = last(list(session.run("go")))
    assert (finished.status, finished.provenance) == ("limit", "collected")
    assert finished.answer == "half way"
    assert "2 steps" in finished.error and "HEARTH_MAX_STEPS" in finished.fix


def test_the_time_limit_ends_the_run(make: Make) -> None:
    session = make(code("while True: pass"), limits=Limits(run_timeout_seconds=1.5))
    started = time.monotonic()
    finished = last(list(session.run("go")))
    assert finished.status == "limit" and "1.5 seconds" in finished.error
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("reply", "delay", "when"),
    [
        (code("print(1)") * 50, 0.2, ThinkingDelta),
        (
            code("import time\nprint('on', flush=True)\nwhile True: time.sleep(0.01)"),
            0.0,
            OutputDelta,
        ),
        (code("slow(30)"), 0.0, ToolCalled),
    ],
    ids=["in a reply", "in running code", "in a tool"],
)
def test_cancel_within_a_second(make: Make, reply: str, delay: float, when: type) -> None:
    session = make(reply, code("final_answer('after')"), delay=delay)
    stopped_at = 0.0
    for event in session.run("go"):
        if isinstance(event, when) and not stopped_at:
            session.cancel()
            stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 1.0
    assert last(session.events).status == "stopped"
    assert last(list(session.run("again"))).answer == "after", "the session goes on"


def test_a_stop_between_reply_and_code_is_in_time(make: Make, tmp_path: Path) -> None:
    """The store is told of an event in the worker, before anything else happens there."""
    session = make(
        code("open('ran', 'w').close()\nwhile True: pass"),
        code("final_answer('after')"),
        store=lambda event: session.cancel() if isinstance(event, ModelReplied) else None,
    )
    assert last(list(session.run("go"))).status == "stopped"
    assert not (session.workspace / "ran").exists()


@pytest.mark.parametrize("when", [RunStarted, RunFinished])
def test_a_stop_at_either_end_of_a_run(make: Make, when: type) -> None:
    stops = [when]
    session = make(
        code("final_answer(1)"),
        code("final_answer(2)"),
        store=lambda event: session.cancel() if isinstance(event, tuple(stops)) else None,
    )
    wanted = "stopped" if when is RunStarted else "answered"
    assert last(list(session.run("go"))).status == wanted
    stops.clear()
    assert last(list(session.run("again"))).status == "answered", "the stop was for the first run"


def test_a_run_is_over_when_its_last_event_is_seen(make: Make) -> None:
    session = make(*[code("final_answer(1)")] * 10)
    for _ in range(10):
        assert last(list(session.run("go"))).answer == "1", "the next may start at once"


def test_a_fault_of_the_model_server_ends_the_run_with_a_fix(make: Make) -> None:
    session = make(code("x = 5\nprint(x)"))
    finished = last(list(session.run("go")))
    assert finished.status == "failed"
    assert "replies" in finished.error and finished.fix
    assert [e for e in session.events if isinstance(e, StepFinished)], "what happened is kept"


def test_tools_are_events(make: Make) -> None:
    session = make(code("print(slow(0.01))"), code("slow('a', 'b')"), code("final_answer(2)"))
    events = list(session.run("go"))
    called = [e for e in events if isinstance(e, ToolCalled)]
    returned = [e for e in events if isinstance(e, ToolReturned)]
    assert called[0].tool == "slow" and called[0].arguments == {"seconds": 0.01}
    assert returned[0].ok and returned[0].result == "waited" and returned[0].seconds >= 0.01
    assert "slow(seconds)" in sent(session)[-1], "misuse shows the signature"


def test_files_are_attached_and_artefacts_come_back(make: Make, tmp_path: Path) -> None:
    source = tmp_path / "prices.csv"
    source.write_text("a,b\n1,2\n")
    session = make(
        code("open('out.txt', 'w').write(open('prices.csv').read())\nfinal_answer('ok')")
    )
    (tmp_path / "other").mkdir()
    namesake = tmp_path / "other" / "prices.csv"
    namesake.write_text("c\n")
    finished = last(list(session.run("copy it", [source, namesake])))
    assert finished.artefacts == ["out.txt"]
    assert (session.workspace / "prices-2.csv").read_text() == "c\n", "neither file is lost"
    assert (session.workspace / "out.txt").read_text() == "a,b\n1,2\n"
    assert sent(session)[0] == "copy it\n\nFiles: prices.csv, prices-2.csv"


@pytest.mark.parametrize("name", ["nothing.csv", "."])
def test_an_unreadable_file_is_one_clear_error(make: Make, tmp_path: Path, name: str) -> None:
    session = make()
    with pytest.raises(InputError, match="can't be read"):
        session.start("read it", [tmp_path / name])
    with pytest.raises(InputError, match="no task"):
        session.start("  \n ")
    assert session.events == [] and not session.running


def test_the_workspace_may_be_named_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    model = ScriptedModel([code("open('x.txt', 'w').close()\nfinal_answer(1)")], FAMILIES["tiny"])
    session = Session(model, SandboxExecutor(Path("mine")), [], Path("mine"))
    assert last(list(session.run("go"))).artefacts == ["x.txt"]
    session.close()


def test_two_runs_at_once_are_refused_and_leaving_ends_nothing(make: Make) -> None:
    session = make(code("import time; time.sleep(0.5); final_answer(7)"))
    events = session.run("go")
    next(events)
    events.close()  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="still at work"):
        session.start("another")
    assert last(list(session.follow())).answer == "7"


def test_a_second_start_is_refused_while_the_first_copies_files(make: Make) -> None:
    class Files(list[Path]):
        def __iter__(self) -> Iterator[Path]:
            with pytest.raises(InputError, match="still at work"):
                session.start("second")
            return super().__iter__()

    session = make(code("final_answer(1)"))
    assert last(list(session.run("first", Files()))).answer == "1"
    assert len([e for e in session.events if isinstance(e, RunStarted)]) == 1


def test_following_what_never_ended_or_never_began_ends(make: Make) -> None:
    cut_off = [RunStarted("r", "go", [], "m", "tiny", 8, "2026-01-01T00:00:00+00:00")]
    assert list(make(history=cut_off).follow()) == cut_off
    session = make()
    assert list(session.follow()) == []
    session.close()
    with pytest.raises(InputError, match="closed"):
        session.start("go")


def test_a_session_is_rebuilt_from_its_events(make: Make) -> None:
    replies = (
        code("y = 2\nprint(y)"),
        "Hm.\n</think>\n\nno code here",
        code("1/0"),
        code("final_answer(y)"),
    )
    first = make(*replies)
    list(first.run("first"))
    kept = [json.loads(json.dumps(event_to_dict(e))) for e in first.events]
    again = make(code("final_answer('b')"), history=[event_from_dict(e) for e in kept])
    first._model._replies.append(code("final_answer('b')"))  # type: ignore[attr-defined]
    list(first.run("second"))
    list(again.run("second"))
    assert again._agent.write_memory_to_messages() == first._agent.write_memory_to_messages()
    assert len(again.events) == len(first.events)


def test_families_that_remember_see_earlier_turns(make: Make) -> None:
    session = make(code("final_answer(1)"), code("final_answer(2)"), remembers_turns=True)
    list(session.run("first"))
    list(session.run("second"))
    assert sent(session) == [
        "first",
        "```python\nfinal_answer(1)\n```",
        "Answer given: 1\n\nsecond",
    ]
    forgetful = make(code("final_answer(1)"), code("final_answer(2)"), remembers_turns=False)
    list(forgetful.run("first"))
    list(forgetful.run("second"))
    assert sent(forgetful) == ["second"]


def test_every_kind_of_event_survives_json(make: Make) -> None:
    session = make(code("print(slow(0))"), code("final_answer(1)"))
    list(session.run("go"))
    session.notice("by the way")
    kinds = {e.type for e in session.events}
    rare = [Compacted(3, 2, 1, 0, 900, 400), RunResumed("r", "go", 2, False, "chance", "2026")]
    assert len(kinds) == 12, "with the two rare ones, every kind there is"
    for event in [*session.events, *rare]:
        assert event_from_dict(json.loads(json.dumps(event_to_dict(event)))) == event
    with pytest.raises(ValueError, match="unknown event"):
        event_from_dict({"type": "surprise"})


def test_token_counts_add_up(make: Make) -> None:
    session = make(code("print(1)"), code("final_answer(1)"))
    events = list(session.run("go"))
    replies = [e for e in events if isinstance(e, ModelReplied)]
    assert last(events).output_tokens == sum(e.output_tokens for e in replies) > 0
    assert isinstance(events[0], RunStarted)


def test_a_whole_run_never_imports_torch(tmp_path: Path) -> None:
    """smolagents imports torch to look at an answer that is neither text nor a picture."""
    script = f"""
import sys
from pathlib import Path
from agent.session import Limits, Session
from sandbox.executor import SandboxExecutor
from serving.scripted import ScriptedModel
from tests.agent_help import Make, code, sent, sessions
replies = ["```python\\nfinal_answer([1, 2.5])\\n```", "```python\\nprint(3)\\n```"]
folder = Path({str(tmp_path)!r})
limits = Limits(max_steps=1)
session = Session(ScriptedModel(replies), SandboxExecutor(folder), [], folder, limits=limits)
print(list(session.run("go"))[-1].answer, list(session.run("go on"))[-1].status)
session.close()
print([m for m in ("torch", "transformers") if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["[1, 2.5] limit", "[]"], done.stderr


@pytest.mark.parametrize(
    "fault", [OSError(28, "No space left on device"), ValueError("No space left either")]
)
def test_a_full_disk_is_said_and_the_run_goes_on(make: Make, fault: Exception) -> None:
    kept: list[Event] = []

    def store(event: Event) -> None:
        if len(kept) >= 3:
            raise fault
        kept.append(event)

    session = make(code("print(1)"), code("final_answer(7)"), store=store)
    events = list(session.run("go"))
    assert last(events).answer == "7"
    notices = [e.text for e in events if isinstance(e, Notice)]
    assert len(notices) == 1 and "No space left" in notices[0]
    assert kept == [e for e in events if not isinstance(e, Notice)][:3]


def test_any_argument_of_a_tool_fits_into_json(make: Make) -> None:
    session = make(
        code(
            "for x in (b'\\xff', {1, 2}, 'a' * 10_000, [1, float('nan')]):\n"
            "    try: slow(x)\n    except Exception: pass\nfinal_answer(1)"
        )
    )
    events = list(session.run("go"))
    assert last(events).answer == "1"
    for event in events:
        assert len(json.dumps(event_to_dict(event))) < 5000
