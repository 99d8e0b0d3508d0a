"""Whole runs whose context gets full, on servers of all kinds."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from agent import context
from agent.conversation import MOST_COMPACTIONS
from agent.events import (
    Compacted,
    Event,
    Notice,
    RunFinished,
    StepFinished,
    event_from_dict,
    event_to_dict,
)
from agent.session import Session
from sandbox.executor import SandboxExecutor
from serving.chat import ChatModel
from serving.families import FAMILIES
from serving.model import plain_messages
from serving.scripted import ScriptedModel
from tests.context_help import LETTERS
from tests.fake_openai import FakeOpenAI, Request, Turn

PRINT = "Hm.\n</think>\n```python\nprint('{}' * 1500)\n```"
SMALL = dataclasses.replace(
    FAMILIES["r1-distill"], name="small", context_tokens=4000, max_tokens=500
)


def small_session(tmp_path: Path, replies: Sequence[str], **more: object) -> Session:
    model = ScriptedModel(replies, SMALL)
    model.max_tokens = SMALL.max_tokens
    return Session(model, SandboxExecutor(tmp_path), [], tmp_path, **more)  # type: ignore[arg-type]


def test_a_session_is_compacted_and_goes_on_the_same_after_a_restart(tmp_path: Path) -> None:
    replies = [PRINT.format(LETTERS[n]) for n in range(7)]
    session = small_session(tmp_path, replies)
    failed = list(session.run("Go."))
    session.close()
    made = [event for event in failed if isinstance(event, Compacted)]
    assert made and made[0].tokens_after < made[0].tokens_before
    kept = [event_from_dict(event_to_dict(event)) for event in session.events]
    again = small_session(tmp_path, ["```python\nfinal_answer(1)\n```"], history=kept)
    agent = session._agent
    assert again._agent.conversation.window.shape == agent.conversation.window.shape
    list(again.resume())
    again.close()
    wanted = plain_messages(agent.conversation.window.messages(agent.memory.steps), SMALL)
    assert again._model.history[-1] == wanted, "what it would have been"  # type: ignore[attr-defined]


def test_vllms_own_count_keeps_a_run_within_its_context(tmp_path: Path) -> None:
    """The server says that it holds 4,096 tokens, and counts them itself."""
    turns = [Turn(f"```python\nprint('{n} ' * 400)\n```") for n in range(8)]
    with FakeOpenAI([*turns, Turn("Final answer: 5")], owner="vllm") as server:
        model = ChatModel(server.url, "fake", "", FAMILIES["instruct"], timeout_seconds=20)
        session = Session(model, SandboxExecutor(tmp_path), [], tmp_path)
        events = list(session.run("Go."))
        assert session._agent.conversation.window.counter.exact
        for request in server.chats:
            size = sum(model.count_tokens(m["content"]) or 0 for m in request.body["messages"])
            assert size + request.body["max_tokens"] <= 4096 or request is server.chats[0]
        session.close()
    assert events[-1].answer == "5"  # type: ignore[union-attr]
    assert any(isinstance(event, Compacted) for event in events)


REFUSED = Turn(
    status=400,
    error={"error": {"message": "This model's maximum context length is 900 tokens."}},
)


def run_on_server(turns: Sequence[Turn], folder: Path) -> tuple[list[Event], list[Request]]:
    """The events of a run on a server with these turns, and what it was asked."""
    with FakeOpenAI(turns) as server:
        model = ChatModel(server.url, "fake", "", FAMILIES["instruct"], timeout_seconds=20)
        session = Session(model, SandboxExecutor(folder), [], folder)
        events = list(session.run("Go."))
        session.close()
        return events, server.chats


def test_a_server_that_refuses_gets_a_shorter_prompt(tmp_path: Path) -> None:
    turns = [
        *(Turn(f"```python\nprint('{n}' * 900)\n```") for n in range(4)),
        REFUSED,
        Turn("```python\nfinal_answer(5)\n```"),
    ]
    events, asked = run_on_server(turns, tmp_path)
    sizes = [len(str(request.body["messages"])) for request in asked]
    assert isinstance(events[-1], RunFinished) and events[-1].answer == "5"
    assert [e.step for e in events if isinstance(e, Compacted)] == [5]
    assert sizes[5] < sizes[4] * 0.75


def test_a_server_with_a_small_context_gets_shorter_replies(tmp_path: Path) -> None:
    turns = [
        Turn(
            status=400,
            error={"error": {"message": "maximum context length is 4096 tokens, 8300 requested"}},
        ),
        Turn("```python\nfinal_answer(5)\n```"),
    ]
    events, asked = run_on_server(turns, tmp_path)
    assert [request.body["max_tokens"] for request in asked] == [8192, 2048]
    assert events[-1].answer == "5"  # type: ignore[union-attr]
    assert "2,048" in "".join(e.text for e in events if isinstance(e, Notice))


def test_a_server_that_refuses_everything_ends_the_run(tmp_path: Path) -> None:
    turns = [*(Turn(f"```python\nprint('{n}' * 900)\n```") for n in range(6)), REFUSED]
    events, asked = run_on_server(turns, tmp_path)
    assert len(asked) <= 6 + 1 + MOST_COMPACTIONS
    last = events[-1]
    assert isinstance(last, RunFinished) and last.status == "failed"
    assert "too long" in last.error and last.fix


def test_long_output_is_cut_and_the_rest_can_be_seen(tmp_path: Path) -> None:
    replies = [
        "```python\nprint('\\n'.join(str(n) for n in range(4000)))\n```",
        "```python\nfinal_answer(last_output.splitlines()[2000])\n```",
    ]
    model = ScriptedModel(replies, FAMILIES["instruct"])
    session = Session(model, SandboxExecutor(tmp_path), [], tmp_path)
    events = list(session.run("Go."))
    session.close()
    seen = next(e.observation for e in events if isinstance(e, StepFinished))
    assert len(seen) < context.OBSERVATION_CHARS + 200
    assert seen.startswith("Output:\n0\n1\n") and seen.endswith("3999")
    assert "`last_output` holds it all" in seen
    assert events[-1].answer == "2000"  # type: ignore[union-attr]
