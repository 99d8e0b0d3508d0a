"""Runs that go in circles, answers that don't count yet, and how a run ends without one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from smolagents.monitoring import Timing

from agent import context, guards, outcome
from agent.context import Step
from agent.events import ModelReplied, Notice
from agent.resume import steps_from_events
from agent.session import Limits
from sandbox.restricted import observations
from tests.agent_help import Make, Reply, asked, code, prose, run, sessions


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with sessions(tmp_path) as make:
        yield make


# -- answers without code -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The sum is \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("So it is.\n\n**Final answer:** Paris", "Paris"),
        ("Final Answer: 北京", "北京"),
    ],
)
def test_a_marked_answer_ends_the_run(make: Make, text: str, answer: str) -> None:
    session = make(prose(text))
    finished, _ = run(session)
    assert (finished.status, finished.answer, finished.provenance) == ("answered", answer, "stated")
    assert asked(session) == 1 and not finished.error


def test_bare_prose_is_told_twice_and_then_taken(make: Make) -> None:
    session = make(*[prose(f"Paris is lovely ({n}).") for n in range(3)])
    finished, seen = run(session)
    assert seen == [guards.NO_ACTION] * 3 and "\n" not in guards.NO_ACTION
    assert (finished.status, finished.provenance) == ("answered", "stated")
    assert finished.answer == "Paris is lovely (2)." and "3 replies in a row" in finished.error
    assert finished.fix


def test_code_in_between_begins_the_count_anew(make: Make) -> None:
    replies = [prose("Hm."), prose("Well."), code("print(1)"), prose("So."), prose("Yes.")]
    session = make(*replies, code("final_answer(5)"))
    assert run(session)[0].answer == "5"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (("Wait, and so on", "length"), "still thinking when the reply reached its longest"),
        ((prose("```python\nprint(1"), "length"), "cut off"),
        (("Wait, wait, wait, wait", "repetition"), "repeat itself"),
        (("Wait and think", "thinking_budget"), "still thinking after"),
        ("Hm.\n</think>\n", "empty"),
        ("Hm, I wonder", "ended while you were still thinking"),
        (prose("I would use Python."), "no Python code"),
        (code("# only a comment"), "no Python code"),
    ],
)
def test_a_reply_without_action_is_told_why(make: Make, reply: Reply, words: str) -> None:
    session = make(reply, code("final_answer(1)"))
    finished, seen = run(session)
    assert finished.answer == "1" and finished.steps == 2
    assert words in seen[0] and "\n" not in seen[0], "one line"
    assert words in session._model.history[-1][-1]["content"]  # type: ignore[attr-defined]
    assert next(e for e in session.events if isinstance(e, ModelReplied)).reason


def test_replies_without_anything_end_the_run_too(make: Make) -> None:
    session = make(code("print('half')"), *[("Wait, wait", "length")] * 3)
    finished, _ = run(session)
    assert (finished.status, finished.answer, finished.provenance) == ("limit", "half", "collected")
    assert asked(session) == 4


def test_an_answer_about_files_nobody_read_does_not_count(make: Make, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("units\n5\n")
    guess = prose("Final answer: 12")
    session = make(guess, code("print(open('sales.csv').read())"), prose("Final answer: 5"))
    finished, seen = run(session, tmp_path / "sales.csv")
    assert (finished.answer, finished.provenance) == ("5", "stated")
    assert "not read sales.csv" in seen[0]
    insists = make(guess, guess, guess)
    finished, seen = run(insists, tmp_path / "sales.csv")
    assert (finished.answer, finished.provenance) == ("12", "stated")
    assert "answer that counts" in finished.error, "flagged"


@pytest.mark.parametrize(
    "text", ["import os\nprint(os.listdir())", "import glob\nprint(glob.glob('*'))"]
)
def test_a_look_into_the_folder_counts_as_reading(make: Make, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    session = make(code(text), prose("Final answer: 1"))
    assert run(session, tmp_path / "a.csv")[0].steps == 2
    failed = make(code("open('a.csv').nothing"), prose("Final answer: 1"), code("final_answer(2)"))
    assert run(failed, tmp_path / "a.csv")[0].answer == "2", "code that failed does not"


def test_files_of_an_earlier_task_need_not_be_read_again(make: Make, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    session = make(code("final_answer(open('a.csv').read())"), prose("Final answer: y"))
    assert run(session, tmp_path / "a.csv")[0].answer == "x"
    assert run(session)[0].answer == "y"


def test_a_task_may_demand_tools(make: Make) -> None:
    session = make(prose("Final answer: 4"), code("print(2 + 2)"), prose("Final answer: 4"))
    finished, seen = run(session, needs_tools=True)
    assert finished.steps == 3 and "needs code or a tool" in seen[0]


# -- circles --------------------------------------------------------------------------------


def test_the_same_code_with_the_same_result_is_told_and_then_ends_the_run(make: Make) -> None:
    session = make(code("print('half way')"), code("print('half way')  # again"), code("x = 1"))
    session._model._replies[2] = code("print( 'half way' )")  # type: ignore[attr-defined]
    finished, seen = run(session)
    assert seen[0] == "Output:\nhalf way"
    assert seen[1] == f"Output:\nhalf way\n{guards.REPEATED}"
    assert (finished.status, finished.provenance) == ("limit", "collected")
    assert finished.answer == "half way" and "3 times" in finished.error and asked(session) == 3


def test_circles_of_two_are_seen_too(make: Make) -> None:
    session = make(*[code("print(1)"), code("print(2)")] * 3)
    finished, seen = run(session)
    assert finished.status == "limit" and asked(session) == 5
    assert [guards.REPEATED in text for text in seen] == [False, False, True, True, True]


def test_the_same_error_again_and_again_is_a_circle(make: Make) -> None:
    session = make(code("print('known')"), *[code("open('no.txt')")] * 3)
    finished, _ = run(session)
    assert (finished.status, finished.answer) == ("limit", "known")


@pytest.mark.parametrize(
    "text",
    [
        "n = globals().get('n', 0) + 1\nprint(n)",
        "import time\nprint(time.perf_counter_ns())",
    ],
)
def test_the_same_code_with_another_result_is_no_circle(make: Make, text: str) -> None:
    session = make(*[code(text)] * 5, code("final_answer('done')"))
    finished, seen = run(session)
    assert finished.answer == "done" and not any(guards.REPEATED in text for text in seen)


@pytest.mark.parametrize(
    "text", ["print(object())", "import matplotlib.pyplot as plt\nplt.plot([1, 2])"]
)
def test_what_differs_each_time_is_no_other_result(make: Make, text: str) -> None:
    session = make(*[code(text)] * 3)
    assert run(session)[0].status == "limit"


def test_a_new_task_begins_the_count_anew(make: Make) -> None:
    session = make(*[code("print(1)"), code("final_answer(1)")] * 3)
    for _ in range(3):
        finished, seen = run(session)
        assert finished.answer == "1" and guards.REPEATED not in "".join(seen)


# -- mistakes the model can't see -----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\nif x = 2:\n    pass", ["line 2: if x = 2:", "SyntaxError"]),
        ("print((1)\n", ["line 1: print((1)", "SyntaxError"]),
        ("prices = [1]\nprint(price)", ["line 2: print(price)", "prices"]),
        ("look_upp('x')", ["look_up"]),
        ("pd.read_csv('x')", ["import pandas as pd"]),
        ("look_up()", ["look_up(word)"]),
        ("look_up(text='x')", ["look_up(word)", "'text'"]),
        ("look_up(3)", ["look_up(word)", "must be text"]),
    ],
)
def test_a_mistake_is_shown_with_what_was_meant(make: Make, text: str, words: list[str]) -> None:
    session = make(code(text), code("final_answer(1)"))
    observation = run(session)[1][0]
    for word in words:
        assert word in observation, observation


def test_a_name_from_a_step_that_failed_is_explained(make: Make) -> None:
    session = make(code("1 / 0\ntotal = 5"), code("print(total)"), code("final_answer(1)"))
    observation = run(session)[1][1]
    assert observation.endswith("(`total` is set in step 1, which failed before that.)")


def test_hints_from_the_steps_where_the_executor_gives_none() -> None:
    steps = [Step(1, Timing(0.0, 0.0), code_action="price_list = [1]\nimport numpy as np")]
    error = "Error:\nline 1: x\nNameError: name '{}' is not defined"

    def hint(name: str, *tools: str, steps: list[Step] = steps) -> str:
        return guards.name_hint(error.format(name), "", steps, tools)

    assert hint("pricelist") == "(Names near it: price_list.)"
    assert hint("websearch", "web_search") == "(Names near it: web_search.)"
    assert "step 1, but is gone" in hint("np")
    assert hint("zzz", "look_up") == "(Set so far: np, price_list. Tools: look_up.)"
    assert hint("zzz", "look_up", steps=[]) == "(Tools: look_up.)"
    assert hint("zzz", steps=[]) == ""
    assert hint("x'. Did you mean: 'y") == "", "the error has said it"


def test_a_name_that_nothing_is_near_is_answered_with_those_there_are(make: Make) -> None:
    failing = "total = 5\nfor i in range(2):\n    pass\nprint(quux)\nlater = 1"
    session = make(code("import math\nwords = ['a']"), code(failing), code("final_answer(1)"))
    observation = run(session)[1][1]
    assert observation.endswith(
        "(Set so far: i, total, words, math. Tools: look_up, final_answer.)"
    ), observation


def test_only_names_that_are_there_are_listed() -> None:
    def made(code: str, observation: str = "", failed: str = "") -> Step:
        timing = Timing(0.0, 0.0)
        return Step(1, timing, code_action=code, observations=observation, failed=failed)

    error = "Error:\nline 9: x\nNameError: name 'quux' is not defined"
    before, after = made("old = 1"), made("new = 1")
    for between in (
        made("lost = 1", "Error:\nToo slow.", "limit"),
        made("lost = 1", f"Output:\n1\n{context.GONE}"),
        made("lost = 1", "The run was interrupted while this code ran.", "interrupted"),
    ):
        hint = guards.name_hint(error, "", [before, between, after], [])
        assert hint == "(Set so far: new.)"
    undone = made("undone = 1\n1 / 0", f"Error:\nline 2: 1 / 0\n{observations.BEFORE}", "error")
    assert guards.name_hint(error, "", [before, undone], []) == "(Set so far: old.)"
    many = made("\n".join(f"n{number} = 1" for number in range(30)))
    assert guards.name_hint(error, "", [many], []).endswith("n19, n18, ….)")


# -- the last step --------------------------------------------------------------------------


def test_at_the_last_step_the_model_is_asked_once_more(make: Make) -> None:
    session = make(code("x = 20\nprint(x)"), code("y = 22"), limits=Limits(max_steps=2))
    session._model._replies.append(prose("Final answer: 42"))  # type: ignore[attr-defined]
    finished, _ = run(session)
    assert (finished.status, finished.answer, finished.provenance) == ("answered", "42", "stated")
    assert "2 steps" in finished.error and "HEARTH_MAX_STEPS" in finished.fix
    last = session._model.history[-1]  # type: ignore[attr-defined]
    assert last[-1]["content"].endswith(context.LAST_REQUEST) and asked(session) == 3
    kept = steps_from_events(session.events)[-1]
    assert isinstance(kept, Step) and kept.asked == context.LAST_REQUEST


@pytest.mark.parametrize(
    ("reply", "answer", "provenance"),
    [
        (code("final_answer(x + 1)"), "21", "computed"),
        (prose("It is about twenty."), "It is about twenty.", "stated"),
        (prose("\\boxed{20}"), "20", "stated"),
    ],
)
def test_its_last_word_counts(make: Make, reply: Reply, answer: str, provenance: str) -> None:
    session = make(code("x = 20\nprint('so far', x)"), reply, limits=Limits(max_steps=1))
    finished, _ = run(session)
    assert (finished.status, finished.answer) == ("answered", answer)
    assert finished.provenance == provenance and finished.error


@pytest.mark.parametrize(
    "reply",
    [
        code("print('more')"),
        code("final_answer(undefined)"),
        ("Wait, I am not done", "length"),
        (prose("It is about"), "length"),
        "Long private thoughts without an end",
        "",
        None,
    ],
)
def test_a_last_word_that_is_none_leaves_what_is_known(make: Make, reply: Reply | None) -> None:
    replies = [code("print('so far 20')"), code("1 / 0"), *([] if reply is None else [reply])]
    session = make(*replies, limits=Limits(max_steps=2))
    finished, _ = run(session)
    assert (finished.status, finished.answer) == ("limit", "so far 20")
    assert finished.provenance == "collected"
    notices = [e for e in session.events if isinstance(e, Notice)]
    assert bool(notices) is (reply is None), "a fault in the last request is said"


def test_a_model_that_knows_only_its_training_is_told_nothing_new(make: Make) -> None:
    replies = code("1 / 0\ntotal = 5"), code("print(total)")
    session = make(*replies, remembers_turns=False, limits=Limits(max_steps=2))
    finished, seen = run(session)
    assert finished.status == "limit" and asked(session) == 2
    assert seen[1] == "Error:\nline 1: print(total)\nNameError: name 'total' is not defined"


def test_there_is_always_an_answer(make: Make) -> None:
    session = make(code("1 / 0"), code("x = 1"), limits=Limits(max_steps=2))
    finished, _ = run(session)
    assert finished.status == "limit" and finished.answer
    assert "No answer was found" in finished.answer and "division by zero" in finished.answer


def test_what_is_known_is_the_last_thing_that_says_something() -> None:
    def made(number: int, **fields: object) -> Step:
        return Step(number, Timing(0.0, 0.0), **fields)  # type: ignore[arg-type]

    printed = made(1, code_action="a", observations="Output:\n5")
    silent = made(2, code_action="b", observations=f"Output:\n{context.NOTHING_PRINTED}")
    broken = made(3, code_action="c", observations="Error:\nline 1: c\nE: x", failed="error")
    stated = made(4, model_output="so 7", stated="7", observations="No.")
    wrote = made(5, model_output="I think.", observations=guards.NO_ACTION)
    known = [
        outcome.collected(steps, "why").answer
        for steps in (
            [printed, silent, broken],
            [printed, stated],
            [stated, printed],
            [silent, wrote],
            [],
        )
    ]
    assert known == ["5", "7", "5", "I think.", "No answer was found."]
