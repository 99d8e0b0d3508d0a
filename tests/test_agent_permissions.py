"""Who may call what: the policy, the questions to the user, and what the model is told."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from agent.build import Hearth
from agent.events import (
    Event,
    PermissionAnswered,
    PermissionAsked,
    RunFinished,
    StepFinished,
    ToolCalled,
    ToolReturned,
    event_from_dict,
    event_to_dict,
)
from agent.gate import Gate
from agent.permissions import MOST_CHARS, PermissionDesk, pending, shown_call
from agent.policy import Policy
from agent.session import Limits, Session
from agent.wiring.gate import gate_for
from errors import Denied, InputError, SettingsError
from sandbox.executor import SandboxExecutor
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from settings import load_settings
from tests.command_line import on_terminal, run
from tests.fake_openai import FakeOpenAI, Turn
from tools.base import HearthTool


class SendMail(HearthTool):
    """A tool that changes something elsewhere; it keeps what it was called with."""

    name = "send_mail"
    description = "Sends a mail."
    inputs: ClassVar = {
        "to": {"type": "string", "description": "The recipient."},
        "text": {"type": "string", "description": "The text."},
    }
    touches = frozenset({"network", "changes"})

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def domain(self, arguments: Mapping[str, Any]) -> str:
        return arguments["to"].partition("@")[2]

    def forward(self, to: str, text: str) -> str:
        self.sent.append(to)
        return f"Sent to {to}."


MAIL = """```python
try:
    print(send_mail({to!r}, {text!r}))
except PermissionError as error:
    print(error)
```"""
DONE = "```python\nfinal_answer('done')\n```"


def mail(to: str = "bob@example.com", text: str = "hi") -> str:
    return MAIL.format(to=to, text=text)


Answers = Callable[[Session, PermissionAsked], None]


class Room:
    """A session with the mail tool, and what happens in it."""

    def __init__(
        self, folder: Path, *replies: str, policy: str = "", patience: float = 20.0, **more: Any
    ) -> None:
        self.tool = SendMail()
        self.desk = PermissionDesk(patience)
        limits = more.pop("limits", Limits())
        step = more.pop("step_seconds", 60.0)
        self.session = Session(
            ScriptedModel([*replies, DONE], FAMILIES["instruct"]),
            SandboxExecutor(folder, timeout_seconds=step),
            [self.tool],
            folder,
            gate=Gate(Policy.parse(policy), self.desk),
            limits=limits,
            **more,
        )

    def run(self, answer: Answers = lambda session, asked: None) -> list[Event]:
        events = []
        for event in self.session.run("go"):
            events.append(event)
            if isinstance(event, PermissionAsked):
                answer(self.session, event)
        return events


@pytest.fixture
def room(tmp_path: Path) -> Any:
    rooms: list[Room] = []

    def made(*replies: str, **more: Any) -> Room:
        rooms.append(Room(tmp_path, *replies, **more))
        return rooms[-1]

    yield made
    for each in rooms:
        each.session.close()


def says(choice: str) -> Answers:
    def answer(session: Session, asked: PermissionAsked) -> None:
        assert session.answer(asked.ask, choice)

    return answer


def outcomes(events: list[Event]) -> list[str]:
    return [event.outcome for event in events if isinstance(event, ToolReturned)]


def observation(events: list[Event]) -> str:
    return next(event.observation for event in events if isinstance(event, StepFinished))


@pytest.mark.parametrize(
    ("rules", "touches", "domain", "wanted"),
    [
        ("", {"network"}, "a.example.com", "allow"),
        ("", {"changes"}, "", "ask"),
        ("", {"money", "network"}, "", "ask"),
        ("", set(), "", "allow"),
        ("network=ask", {"network"}, "", "ask"),
        ("network=ask, tool=allow", {"network"}, "", "allow"),
        ("network=ask, *.example.com=allow", {"network"}, "a.example.com", "allow"),
        ("network=ask, *.example.com=allow", {"network"}, "example.com", "allow"),
        ("network=ask, *.example.com=allow", {"network"}, "notexample.com", "ask"),
        ("network=ask, *.example.com=allow", {"network"}, "example.com.evil.net", "ask"),
        ("example.com=allow, network=deny", {"network"}, "a.example.com", "deny"),
        ("tool=allow, *.example.com=deny", {"network"}, "A.Example.COM.", "deny"),
        ("tool=deny, *.example.com=allow", {"network"}, "a.example.com", "deny"),
        ("*.com=deny, *.example.com=allow", {"network"}, "a.example.com", "allow"),
        ("tool=ask, example.com=allow", {"network"}, "example.com", "allow"),
        ("changes=allow", {"changes", "money"}, "", "ask"),
        ("changes=deny, network=allow", {"changes", "network"}, "", "deny"),
        ("network=allow, network=deny", {"network"}, "", "deny"),
    ],
)
def test_which_rule_counts(rules: str, touches: set[str], domain: str, wanted: str) -> None:
    assert Policy.parse(rules).decide("tool", touches, domain).answer == wanted


def test_the_call_waits_for_a_yes(room: Any) -> None:
    made = room(mail())
    events = made.run(says("once"))
    asked = next(event for event in events if isinstance(event, PermissionAsked))
    assert (asked.step, asked.tool, asked.rule) == (1, "send_mail", "changes=ask")
    assert shown_call(asked) == "send_mail(to='bob@example.com', text='hi')"
    kinds = [type(event) for event in events]
    order = [ToolCalled, PermissionAsked, PermissionAnswered, ToolReturned]
    assert [kind for kind in kinds if kind in order] == order
    assert made.tool.sent == ["bob@example.com"] and outcomes(events) == ["ok"]
    assert [event_from_dict(event_to_dict(event)) for event in events] == events
    assert pending(events) == [] == made.desk.open


def test_once_is_once_and_session_is_for_the_same_place(room: Any) -> None:
    made = room(mail(), mail(text="2"), mail(text="3"), mail("eve@evil.example"))
    choices = iter(["once", "session", "deny"])
    events = made.run(lambda session, asked: says(next(choices))(session, asked))
    asked = [event for event in events if isinstance(event, PermissionAsked)]
    assert [event.grant.partition(" on ")[2] for event in asked] == [
        "example.com",
        "example.com",
        "evil.example",
    ]
    assert made.tool.sent == ["bob@example.com"] * 3
    assert outcomes(events) == ["ok", "ok", "ok", "denied"]


def test_a_no_reaches_the_model_and_stands_for_the_run(room: Any) -> None:
    made = room(mail(), mail())
    events = made.run(says("deny"))
    assert made.tool.sent == []
    assert sum(isinstance(event, PermissionAsked) for event in events) == 1
    assert "The user has denied this call of send_mail. Don't call it again" in observation(events)
    assert outcomes(events) == ["denied", "denied"]


def test_nobody_there_is_a_no_that_says_so_and_is_waited_for_once(room: Any) -> None:
    made = room(mail(), mail("other@example.com"), patience=0.4)
    events = made.run()
    assert "and nobody was there to give it" in observation(events)
    answered = [event for event in events if isinstance(event, PermissionAnswered)]
    assert [event.answer for event in answered] == ["nobody"]
    assert outcomes(events) == ["denied", "denied"]


def test_without_patience_nobody_is_asked(room: Any) -> None:
    made = room(mail(), patience=0)
    events = made.run()
    assert not any(isinstance(event, PermissionAsked) for event in events)
    assert "nobody was there" in observation(events)


def test_waiting_uses_up_neither_the_step_s_time_nor_the_run_s(room: Any) -> None:
    made = room(DONE, mail(), step_seconds=1.0, limits=Limits(run_timeout_seconds=2.0))
    made.run()  # the sandbox has started

    def late(session: Session, asked: PermissionAsked) -> None:
        time.sleep(2.2)
        says("once")(session, asked)

    events = made.run(late)
    last = events[-1]
    assert isinstance(last, RunFinished) and last.status == "answered"
    assert made.tool.sent == ["bob@example.com"]
    returned = next(event for event in events if isinstance(event, ToolReturned))
    assert returned.seconds < 1.0


def test_a_stop_withdraws_the_question(room: Any) -> None:
    made = room(mail())
    threading.Timer(0.5, lambda: made.session.cancel()).start()
    events = made.run()
    assert events[-1].status == "stopped"  # type: ignore[union-attr]
    answered = [event for event in events if isinstance(event, PermissionAnswered)]
    assert [event.answer for event in answered] == ["withdrawn"]
    time.sleep(0.3)
    assert made.session.events[-1] == events[-1], "nothing comes after the run's end"
    assert not made.session.answer(answered[0].ask, "once"), "too late"
    assert made.tool.sent == []


def test_a_yes_after_the_step_s_end_does_nothing(room: Any) -> None:
    """A thread that the code leaves behind asks; the model was told that nothing came of it."""
    left = (
        "```python\nimport threading, time\n"
        "call = lambda: send_mail('bob@example.com', 'hi')\n"
        "threading.Thread(target=call, daemon=True).start()\ntime.sleep(0.5)\n```"
    )
    made = room(left)
    events, answered = [], []
    for event in made.session.run("go"):
        events.append(event)
        if isinstance(event, StepFinished) and not answered:
            asked = next(e for e in events if isinstance(e, PermissionAsked))
            answered.append(made.session.answer(asked.ask, "once"))
    assert answered == [False] and outcomes(events) == ["cut off"]
    assert [e.answer for e in events if isinstance(e, PermissionAnswered)] == ["withdrawn"]
    assert made.tool.sent == []


def test_one_yes_for_the_session_answers_all_that_wait(room: Any) -> None:
    many = (
        "```python\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    sent = pool.map(lambda n: send_mail(f'{n}@example.com', 'x'), range(8))\n"
        "print(len(list(sent)))\n```"
    )
    made = room(many)
    waiting = []

    def answer(session: Session, asked: PermissionAsked) -> None:
        waiting.append(asked)
        if len(waiting) == 8:
            says("session")(session, waiting[0])

    events = made.run(answer)
    assert observation(events) == "Output:\n8"
    assert len(made.tool.sent) == 8


def test_a_yes_for_the_session_outlives_a_restart(room: Any, tmp_path: Path) -> None:
    before = room(mail()).run(says("session"))
    made = room(mail(), history=before)
    events = made.run()
    assert made.tool.sent == ["bob@example.com"]
    assert not any(isinstance(event, PermissionAsked) for event in events)


def test_a_setting_that_denies(room: Any) -> None:
    made = room(mail(), mail("a@ok.example"), policy="*.example.com=deny, ok.example=allow")
    events = made.run()
    said = "Calls of send_mail to example.com are not allowed here (*.example.com=deny)"
    assert said in observation(events)
    assert made.tool.sent == ["a@ok.example"]
    assert outcomes(events) == ["denied", "ok"]


def test_what_is_too_long_to_read_is_not_asked() -> None:
    desk = PermissionDesk(5)
    with pytest.raises(Denied, match="too long to be read"):
        desk.ask("send_mail", {"text": "x" * MOST_CHARS}, "changes=ask", "send_mail")


def test_an_answer_that_is_none() -> None:
    with pytest.raises(InputError, match="'maybe' is no answer"):
        PermissionDesk(5).answer("x", "maybe")


def test_events_of_before_still_load() -> None:
    old = {
        "step": 1, "call": 1, "tool": "t", "ok": True, "result": "x", "seconds": 0.1,
        "type": "tool_returned",
    }  # fmt: skip
    assert event_from_dict(old) == ToolReturned(1, 1, "t", True, "x", 0.1)


CALCULATES = Turn("```python\nfinal_answer(calculate('6 * 7'))\n```")
GAVE_UP = Turn("```python\nfinal_answer('no')\n```")
POLICY = {"HEARTH_TOOL_POLICY": "calculate=ask"}


def test_the_command_line_says_how_to_allow_it(tmp_path: Path) -> None:
    with FakeOpenAI([CALCULATES, GAVE_UP, CALCULATES]) as server:
        code, out, err = run(["go"], tmp_path, server.url, **POLICY)
        assert code == 0 and "Answer: no" in out and "nobody was there to give it" in out
        assert "To allow them: --allow calculate" in err
        code, out, err = run(["go", "--allow", "calculate"], tmp_path, server.url, **POLICY)
    assert code == 0 and "Answer: 42" in out and "--allow" not in err


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("network", "must be what=answer, and the answer one of allow, ask, deny"),
        ("network=perhaps", "must be what=answer"),
        ("a b=ask", "must begin with a tool's name, a domain such as"),
        ("web_serach=ask", "there is no tool 'web_serach'"),
    ],
)
def test_a_policy_that_can_not_be(tmp_path: Path, policy: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"(?s)tool_policy.*{said}"):
        settings = load_settings(tmp_path, data_dir=tmp_path / "d", tool_policy=policy)
        Hearth(settings).new_session(model=ScriptedModel([DONE]))


def test_a_server_is_not_called_what_a_rule_means_otherwise(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, data_dir=tmp_path)
    for name in ("network", "send_mail"):
        tool = SendMail()
        tool.group = name  # type: ignore[misc]
        with pytest.raises(SettingsError, match=f"mcp: '{name}' is what a rule of tool_policy"):
            gate_for(settings, [tool], "r1", asks=False)


def test_on_a_terminal_the_call_is_asked_for(tmp_path: Path) -> None:
    question = "in this conversation, [n]o:"
    with FakeOpenAI([CALCULATES, GAVE_UP]) as server:
        code, out = on_terminal(
            ["go"],
            tmp_path,
            server.url,
            (" ", "always"),  # typed for something else, before it is asked
            (question, "and what?"),  # no answer: it is asked again
            (question, "Yes "),
            **POLICY,
        )
    assert code == 0
    assert "calculate(expression='6 * 7')" in out and "Answer: 42" in out
