"""What the model is sent: prefixes that stay, and the one large step when the room is short."""

from itertools import pairwise

import pytest
from smolagents.memory import TaskStep
from smolagents.monitoring import Timing

from agent import context, guards
from agent.compaction import Window
from agent.context import Step
from agent.summary import cut, summary
from serving.families import FAMILIES, Family
from tests.context_help import LETTERS, Model, long_run, step, texts


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


def test_a_refusal_without_a_number_makes_it_much_shorter() -> None:
    """The server is right, although by our count there is room."""
    window = Window(Model(100_000), "", remembers_turns=True)
    steps = long_run(6, 2000)
    assert window.fit(steps) is None
    made = window.refused(steps, "", "The prompt is too long.")
    assert made and made.tokens_after <= made.tokens_before * 3 // 4


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
