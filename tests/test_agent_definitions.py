"""Functions and classes as answers: they are given as their code."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import guards
from agent.definitions import defined_names
from agent.session import Limits
from tests.agent_help import Make, code, run, sessions


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with sessions(tmp_path) as make:
        yield make


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


SCALE = "import math\nR = 2"
AREA = "def area(n):\n    return math.pi * R * n"
SQUARE = "square = lambda x: x * x"
FIB = "@cache\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)"
POWER = "def power(base, exponent):\n    return base**exponent"
ADDER = "def adder(n):\n    def add(x):\n        return x + n\n\n    return add"


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        (["def f(): return 1", "def f(): return 2\nfinal_answer(f)"], "def f(): return 2"),
        ([f"{SQUARE}\nfinal_answer(square)"], SQUARE),
        ([f"{SQUARE}; print(square(2))", "final_answer(answer=square)"], SQUARE),
        (["final_answer(lambda x: x * x)"], "lambda x: x * x"),
        (
            [f"from functools import cache\n\n{FIB}\nprint(fib(9))", "final_answer(fib)"],
            f"from functools import cache\n\n\n{FIB}",
        ),
        (
            [f"import functools\n{POWER}", "fast = functools.lru_cache(power)\nfinal_answer(fast)"],
            f"import functools\n\n\n{POWER}\n\n\nfast = functools.lru_cache(power)",
        ),
        (
            [f"from functools import partial\n{POWER}\nfinal_answer(partial(power, exponent=2))"],
            f"from functools import partial\n\n\n{POWER}\n\n\npartial(power, exponent=2)",
        ),
        ([f"{ADDER}\nadd3 = adder(3)\nfinal_answer(add3)"], f"{ADDER}\n\n\nadd3 = adder(3)"),
        ([f"{SCALE}\nn = 5\n{AREA}\nfinal_answer(area)"], f"{SCALE}\n\n\n{AREA}"),
    ],
    ids=["latest", "lambda", "name", "bare", "cached", "wrapped", "partial", "closure", "uses"],
)  # fmt: skip
def test_functions_of_all_kinds_are_written_out(make: Make, codes: list[str], wanted: str) -> None:
    finished, _ = run(make(*map(code, codes)))
    assert finished.answer == f"```python\n{wanted}\n```"


@pytest.mark.parametrize(
    "codes",
    [
        ["def outer():\n    f = lambda: 1\n    final_answer(f)\nouter()"],
        ["final_answer({'f': len}['f'])"],
    ],
)
def test_a_function_whose_code_is_not_to_be_had_stays_as_it_is(
    make: Make, codes: list[str]
) -> None:
    answer = run(make(*map(code, codes)))[0].answer or ""
    assert answer.startswith("<")


def test_so_are_those_of_the_restricted_interpreter(make: Make) -> None:
    replies = code(f"{POWER}\nfinal_answer(power)"), code(f"{SQUARE}\nfinal_answer(square)")
    session = make(*replies, confine="restricted")
    answers = [run(session)[0].answer for _ in range(2)]
    assert answers == [f"```python\n{POWER}\n```", f"```python\n{SQUARE}\n```"]


def test_a_function_that_comes_again_and_again_is_the_answer(make: Make) -> None:
    finished, _ = run(make(code("print('seen')"), *[code(ADD)] * 3))
    assert finished.status == "limit" and "def add(a, b):" in (finished.answer or "")
    once = make(code("print('seen')"), code(ADD), ("hm", "length"), limits=Limits(max_steps=2))
    assert run(once)[0].answer == "seen", "a helper on the way is none"
    alone = make(code(ADD), ("hm", "length"), limits=Limits(max_steps=1))
    assert "def add(a, b):" in (run(alone)[0].answer or ""), "better than none"


@pytest.mark.parametrize(
    "text",
    ["x = 1", "x = sorted", "def f(): pass\nf()", "for x in []:\n    pass", "def f(:", "'text'"],
)
def test_other_silent_code_gets_no_such_hint(text: str) -> None:
    assert guards.defined_hint(text, "Output:\n(nothing was printed)") == ""


def test_names_that_code_sets() -> None:
    code = (
        "import numpy as np\na, (b, *c) = 1, (2,)\nfor i in []:\n    d = 1\n"
        "def f(x):\n    inside = 1\nclass C: y = 1\nwith open('x') as h: pass\n"
        "[q for q in []]\nif (w := 1): e: int = 2\na.attribute = 3\n"
    )
    assert defined_names(code) == ["a", "b", "c", "i", "d", "f", "C", "h", "w", "e"]
    assert defined_names(code, imports=True)[0] == "np"
    assert defined_names("a = (") == []
