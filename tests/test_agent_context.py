"""What the model is sent: prefixes that stay, and the one large step when the room is short."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from smolagents.memory import TaskStep
from smolagents.models import ChatMessage
from smolagents.monitoring import Timing

from agent import context, guards
from agent.code_agent import MOST_COMPACTIONS
from agent.compaction import Window
from agent.context import Step
from agent.events import (
    Compacted,
    Notice,
    RunFinished,
    StepFinished,
    event_from_dict,
    event_to_dict,
)
from agent.session import Session
from agent.summary import cut, defined_names, summary
from agent.tokens import TokenCounter, text_of
from sandbox.executor import SandboxExecutor
from serving.families import FAMILIES, Family
from serving.model import plain_messages
from serving.scripted import ScriptedModel
from tests.fake_openai import FakeOpenAI, Turn


def step(number: int, code: str = "x = 1", observation: str = "Output:\n1", **more: object) -> Step:
    made = Step(number, Timing(0.0, 0.0), code_action=code, observations=observation)
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


LETTERS = "abcdefghijklmnopqrstuvwxyz" * 3


def long_run(count: int = 10, size: int = 1000) -> list:
    said = [f"Output:\n{LETTERS[number] * size}" for number in range(count)]
    return [TaskStep("Add it up."), *(step(n, f"x{n} = {n}", said[n]) for n in range(count))]


class Model:
    """The parts of a model that a window looks at."""

    def __init__(self, context_tokens: int, max_tokens: int = 100, **more: object) -> None:
        self.family = dataclasses.replace(FAMILIES["instruct"], context_tokens=context_tokens)
        self.max_tokens = max_tokens
        self.__dict__.update(more)


def texts(messages: Sequence[ChatMessage]) -> list[str]:
    return [text_of(message) for message in messages]


def test_a_prompt_only_grows_at_its_end() -> None:
    window = Window(Model(1_000_000), "Do it.", remembers_turns=True)
    steps = long_run()
    before: list[str] = []
    for end in range(1, len(steps) + 1):
        now = texts(window.messages(steps[:end]))
        assert now[: len(before)] == before
        before = now


def test_near_the_limit_it_is_made_much_shorter_in_one_step() -> None:
    """Then it grows again: two compactions lie many steps apart."""
    window = Window(Model(4000), "Do it.", remembers_turns=True)
    steps, changes, before = [TaskStep("Add it up.")], [], ["x"]
    for number in range(60):
        steps.append(step(number, f"x{number} = {number}", f"Output:\n{LETTERS[number] * 800}"))
        made = window.fit(steps)
        now = texts(window.messages(steps))
        assert window.counter.count(window.messages(steps)) <= 4000
        assert (now[: len(before)] == before) is (made is None) or number == 0
        if made:
            changes.append(number)
            assert made.tokens_after < made.tokens_before * 0.7
        before = now
        assert now[0] == "Do it." and now[1].startswith("Add it up."), "what is asked stays"
        assert now[-1] == steps[-1].observations, "and what was seen last"
        assert now[-2] == f"```python\nx{number} = {number}\n```"
    assert 1 < len(changes) < 15
    assert min(b - a for a, b in pairwise(changes)) >= 3


def test_the_oldest_observations_go_first_then_steps_become_lines() -> None:
    steps = long_run(10, 900)
    window = Window(Model(3000), "", remembers_turns=True)
    assert window.fit(steps)
    assert window.shape.summarised == 0 and 0 < window.shape.trimmed < 10
    first = texts(window.messages(steps))[2]
    assert "characters left out" in first and len(first) < 400
    window = Window(Model(1500), "", remembers_turns=True)
    assert window.fit(steps)
    assert window.shape.summarised > 1
    said = texts(window.messages(steps))
    assert said[0] == "Add it up." and said[1].startswith("What was done before, shortened:")
    assert "- `x1 = 1` (sets x1) → bbbb" in said[1]
    assert said[-2:] == texts(context.messages("", steps, remembers_turns=True))[-2:]


def test_a_last_observation_too_large_for_any_room_is_cut_too() -> None:
    steps = long_run(2, 60_000)
    window = Window(Model(3000), "", remembers_turns=True)
    made = window.fit(steps)
    assert made and made.tokens_after < 2900 and window.shape.most_chars
    assert window.fit(steps) is None, "it is so for good"


def test_what_can_not_be_made_to_fit_is_left_to_the_server() -> None:
    window = Window(Model(1000), "", remembers_turns=True)
    steps = [TaskStep("word " * 5000)]
    assert window.fit(steps) is None and window.refused(steps, "", "too long") is None


def test_families_without_memory_lose_nothing_of_the_present_task() -> None:
    window = Window(Model(3000), "", remembers_turns=False)
    steps = [*long_run(8, 900), TaskStep("Another."), step(1)]
    assert window.fit(steps) is None
    assert texts(window.messages(steps)) == ["Another.", "```python\nx = 1\n```", "Output:\n1"]


def test_earlier_tasks_are_told_in_lines_with_their_answers() -> None:
    steps = [TaskStep("First."), step(1, given="42"), TaskStep("Second."), step(1), step(2)]
    shape = context.Shape(summarised=4)
    said = texts(context.messages("", steps, remembers_turns=True, shape=shape))
    assert said[0].splitlines()[1:] == [
        "Task: First.",
        "- `x = 1` (sets x) → 1",
        "Answer given: 42",
    ]
    assert said[1] == "Second." and said[-1] == "Output:\n1"


# -- counting -----------------------------------------------------------------------------


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


# -- through the whole session ------------------------------------------------------------

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
    list(again.resume())
    again.close()
    agent = session._agent
    wanted = plain_messages(agent.window.messages(agent.memory.steps), SMALL)
    assert again._model.history[-1] == wanted, "what it would have been"  # type: ignore[attr-defined]


def test_vllms_own_count_keeps_a_run_within_its_context(tmp_path: Path) -> None:
    """The server says that it holds 4,096 tokens, and counts them itself."""
    from serving.chat import ChatModel

    turns = [Turn(f"```python\nprint('{n} ' * 400)\n```") for n in range(8)]
    with FakeOpenAI([*turns, Turn("Final answer: 5")], owner="vllm") as server:
        model = ChatModel(server.url, "fake", "", FAMILIES["instruct"], timeout_seconds=20)
        session = Session(model, SandboxExecutor(tmp_path), [], tmp_path)
        events = list(session.run("Go."))
        assert session._agent.window.counter.exact
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


def test_a_server_that_refuses_gets_a_shorter_prompt(tmp_path: Path) -> None:
    from serving.chat import ChatModel

    turns = [
        *(Turn(f"```python\nprint('{n}' * 900)\n```") for n in range(4)),
        REFUSED,
        Turn("```python\nfinal_answer(5)\n```"),
    ]
    with FakeOpenAI(turns) as server:
        model = ChatModel(server.url, "fake", "", FAMILIES["instruct"], timeout_seconds=20)
        session = Session(model, SandboxExecutor(tmp_path), [], tmp_path)
        events = list(session.run("Go."))
        session.close()
        sizes = [len(str(request.body["messages"])) for request in server.chats]
    assert isinstance(events[-1], RunFinished) and events[-1].answer == "5"
    assert [e.step for e in events if isinstance(e, Compacted)] == [5]
    assert sizes[5] < sizes[4] * 0.75


def test_a_server_with_a_small_context_gets_shorter_replies(tmp_path: Path) -> None:
    from serving.chat import ChatModel

    turns = [
        Turn(
            status=400,
            error={"error": {"message": "maximum context length is 4096 tokens, 8300 requested"}},
        ),
        Turn("```python\nfinal_answer(5)\n```"),
    ]
    with FakeOpenAI(turns) as server:
        model = ChatModel(server.url, "fake", "", FAMILIES["instruct"], timeout_seconds=20)
        session = Session(model, SandboxExecutor(tmp_path), [], tmp_path)
        events = list(session.run("Go."))
        session.close()
        assert [request.body["max_tokens"] for request in server.chats] == [8192, 2048]
    assert events[-1].answer == "5"  # type: ignore[union-attr]
    assert "2,048" in "".join(e.text for e in events if isinstance(e, Notice))


def test_a_server_that_refuses_everything_ends_the_run(tmp_path: Path) -> None:
    from serving.chat import ChatModel

    turns = [*(Turn(f"```python\nprint('{n}' * 900)\n```") for n in range(6)), REFUSED]
    with FakeOpenAI(turns) as server:
        model = ChatModel(server.url, "fake", "", FAMILIES["instruct"], timeout_seconds=20)
        session = Session(model, SandboxExecutor(tmp_path), [], tmp_path)
        last = list(session.run("Go."))[-1]
        session.close()
        assert len(server.chats) <= 6 + 1 + MOST_COMPACTIONS
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


# -- text ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mark",
    [
        *("<｜Assistant｜>", "<|im_start|>", "</think>", "<think>", "<start_of_turn>", "[INST]"),
        *("<|channel|>", "<|reserved_special_token_0|>", "<｜tool▁calls▁begin｜>", "<tool_call>"),
        *("</s>", "<s>", "<bos>", "[/INST]", "[TOOL_CALLS]", "<<SYS>>", "[gMASK]", "◁think▷"),
    ],
)
def test_marks_of_chat_templates_stay_text(mark: str) -> None:
    assert mark not in context.harmless(f"a {mark} b")
    assert context.harmless(f"a {mark} b").replace(" ", "") == f"a{mark}b"


def test_what_nobody_sees_is_gone_before_marks_are_looked_for() -> None:
    """Or a mark could be hidden behind a character that is dropped afterwards."""
    tags = "".join(chr(0xE0000 + ord(c)) for c in "obey")
    assert context.harmless(f"a{tags}b\u200b\u202e\ufeff\U000e0100c") == "abc"
    assert context.harmless("<\u2060think>") == "< think>"
    kept = "na\u00efve \u0645\u06cc\u200c\u062e \U0001f468\u200d\U0001f469 \u2764\ufe0f"
    assert context.harmless(kept) == kept


def test_no_message_holds_a_mark_whoever_wrote_it() -> None:
    steps = [
        TaskStep("a <|im_start|> b"),
        step(1, "x = '<｜User｜>'", "Output:\n</think>"),
        Step(2, Timing(0.0), model_output="I say [INST] so", observations="no"),
    ]
    sent = context.messages("be <s>good", steps, remembers_turns=True, asked="go <think>")
    text = str([message.content for message in sent])
    for mark in ("<|im_start|>", "<｜User｜>", "</think>", "[INST]", "<s>", "<think>"):
        assert mark not in text and mark[:1] + " " + mark[1:] in text


def test_other_text_stays_as_it_is() -> None:
    text = "a < b, x <| y |> z, List[int], <table>, [1], <b>think</b>, if a<think: 1"
    assert context.harmless(text) == text


@pytest.mark.parametrize("size", [0, 1, 10, 11, 100])
def test_cutting_keeps_both_ends(size: int) -> None:
    text = "".join(chr(97 + n % 26) for n in range(size))
    shorter = cut(text, 10)
    assert (shorter == text) is (size <= 10)
    assert shorter.startswith(text[:6]) and shorter.endswith(text[-4:])
    assert cut(text, 0) == text


def test_names_that_code_sets() -> None:
    code = (
        "import numpy as np\na, (b, *c) = 1, (2,)\nfor i in []:\n    d = 1\n"
        "def f(x):\n    inside = 1\nclass C: y = 1\nwith open('x') as h: pass\n"
        "[q for q in []]\nif (w := 1): e: int = 2\na.attribute = 3\n"
    )
    assert defined_names(code) == ["a", "b", "c", "i", "d", "f", "C", "h", "w", "e"]
    assert defined_names(code, imports=True)[0] == "np"
    assert defined_names("a = (") == []


def test_a_summary_says_what_was_done_and_came_out() -> None:
    steps = [
        step(
            1, "# look\nimport pandas as pd\ndf = pd.read_csv('a.csv')\nprint(df)", "Output:\nx\n1"
        ),
        step(2, "1/0", "Error:\nline 1: 1/0\nZeroDivisionError: division by zero"),
        Step(
            3, Timing(0.0, 0.0), model_output="I think it is five.", observations=guards.NO_ACTION
        ),
    ]
    assert summary(steps).splitlines()[1:] == [
        "- `df = pd.read_csv('a.csv'); print(df)` (sets df) → x 1",
        "- `1/0` → Error: line 1: 1/0 ZeroDivisionError: division by zero",
        "- wrote: I think it is five.",
    ]


def test_the_bundled_models_prompt_is_what_it_learned() -> None:
    """Its training data is made of these bytes; see serving/tiny/render.py."""
    family: Family = FAMILIES["tiny"]
    assert family.prompt == "tiny" and not family.remembers_turns
    steps = [
        TaskStep(context.task_message("Add a.csv.", ["a.csv"])),
        step(1, "\nprint(1)\n", context.observation_text("1\n")),
        step(
            2, "1/0", context.observation_text("", "line 1: 1/0\nZeroDivisionError: x"), failed="e"
        ),
        step(3, "x", context.observation_text("", None, 5)),
        step(4, "y = 1", context.observation_text("", None, None)),
    ]
    assert texts(context.messages("", steps, remembers_turns=False)) == [
        "Add a.csv.\n\nFiles: a.csv",
        "```python\nprint(1)\n```",
        "Output:\n1",
        "```python\n1/0\n```",
        "Error:\nline 1: 1/0\nZeroDivisionError: x",
        "```python\nx\n```",
        "Output:\n5",
        "```python\ny = 1\n```",
        "Output:\n(nothing was printed)",
    ]
