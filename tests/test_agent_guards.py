"""Runs that go in circles, answers that don't count yet, and how a run ends without one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from smolagents import Tool
from smolagents.monitoring import Timing

from agent import context, guards, outcome
from agent.context import Step
from agent.events import Event, ModelReplied, Notice, RunFinished, StepFinished
from agent.session import Limits, Session
from sandbox.executor import SandboxExecutor
from serving.families import FAMILIES
from serving.scripted import ScriptedModel

Reply = str | tuple[str, str]
Make = Callable[..., Session]


def code(text: str) -> str:
    return f"Think.\n</think>\n\n```python\n{text}\n```"


def prose(text: str) -> str:
    return f"Think.\n</think>\n\n{text}"


class Look(Tool):
    name = "look_up"
    description = "Looks up."
    inputs = {"word": {"type": "string", "description": "What."}}
    output_type = "string"

    def forward(self, word: str) -> str:
        return word


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Session] = []

    def session(*replies: Reply, **options: object) -> Session:
        workspace = tmp_path / f"w{len(made)}"
        workspace.mkdir()
        model = ScriptedModel(replies, FAMILIES["r1-distill"])
        options = {"instructions": "Solve it.", **options}
        made.append(
            Session(model, SandboxExecutor(workspace), [Look()], workspace, **options)  # type: ignore[arg-type]
        )
        return made[-1]

    yield session
    for one in made:
        one.close()


def run(session: Session, *files: Path, needs_tools: bool = False) -> tuple[RunFinished, list[str]]:
    """The run's end, and the observations."""
    events: list[Event] = list(session.run("Go.", files, needs_tools=needs_tools))
    assert isinstance(events[-1], RunFinished)
    return events[-1], [e.observation for e in events if isinstance(e, StepFinished)]


def asked(session: Session) -> int:
    return len(session._model.history)  # type: ignore[attr-defined]


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
    assert "price_list" in guards.name_hint(error.format("pricelist"), steps, [])
    assert "web_search" in guards.name_hint(error.format("websearch"), [], ["web_search"])
    assert "step 1, but is gone" in guards.name_hint(error.format("np"), steps, [])
    assert guards.name_hint(error.format("zzz"), steps, []) == ""
    assert guards.name_hint(error.format("x") + ". Did you mean: 'y'?", steps, []) == ""


# -- the last step --------------------------------------------------------------------------


def test_at_the_last_step_the_model_is_asked_once_more(make: Make) -> None:
    session = make(code("x = 20\nprint(x)"), code("y = 22"), limits=Limits(max_steps=2))
    session._model._replies.append(prose("Final answer: 42"))  # type: ignore[attr-defined]
    finished, _ = run(session)
    assert (finished.status, finished.answer, finished.provenance) == ("answered", "42", "stated")
    assert "2 steps" in finished.error and "HEARTH_MAX_STEPS" in finished.fix
    last = session._model.history[-1]  # type: ignore[attr-defined]
    assert last[-1]["content"].endswith(context.LAST_REQUEST) and asked(session) == 3


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


# -- code that is itself what was asked for -------------------------------------------------

ADD = "import math\n\n\n@staticmethod\ndef other():\n    pass\n\n\ndef add(a, b):\n    return a + b"


def test_code_that_only_defines_is_told_how_to_go_on(make: Make) -> None:
    session = make(code(ADD), code("print(add(1, 2))\ndef f(): pass"), code("final_answer(add)"))
    finished, seen = run(session)
    assert seen[0].startswith("Output:\n(nothing was printed)\n(`add` is defined now. Call it")
    assert seen[1] == "Output:\n3", "it did something"
    assert finished.answer == "```python\ndef add(a, b):\n    return a + b\n```", "no <function …>"
    assert finished.provenance == "computed"


def test_a_class_and_a_definition_of_the_same_step_are_written_out_too(make: Make) -> None:
    definition = "@str.upper.__class__.__call__\ndef f():\n    pass"
    assert guards.written_out("<function f at 0x7f0>", [definition]).count("@") == 1
    finished, _ = run(make(code("class A:\n    x = 1\n\nfinal_answer(A)")))
    assert finished.answer == "```python\nclass A:\n    x = 1\n```"
    for text in ("<function gone at 0x7f0>", "<class 'int'>", "the <function f at 0x7f0>"):
        assert guards.written_out(text, ["def f(): pass", "1/"]) == text


def test_a_function_that_comes_again_and_again_is_the_answer(make: Make) -> None:
    finished, _ = run(make(code("print('seen')"), *[code(ADD)] * 3))
    assert finished.status == "limit" and "def add(a, b):" in (finished.answer or "")
    once = make(code("print('seen')"), code(ADD), ("hm", "length"), limits=Limits(max_steps=2))
    assert run(once)[0].answer == "seen", "a helper on the way is none"
    alone = make(code(ADD), ("hm", "length"), limits=Limits(max_steps=1))
    assert "def add(a, b):" in (run(alone)[0].answer or ""), "better than none"


@pytest.mark.parametrize(
    "text", ["x = 1", "def f(): pass\nf()", "for x in []:\n    pass", "def f(:", "'text'"]
)
def test_other_silent_code_gets_no_such_hint(text: str) -> None:
    assert guards.defined_hint(text, "Output:\n(nothing was printed)") == ""
