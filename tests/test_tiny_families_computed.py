"""The computed families: every program gives the expected value, apart from which it was made."""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from typing import Any

import pytest

from serving.tiny.example import Example, Expect, Step, WebPage
from serving.tiny.families import (
    arithmetic,
    counting,
    dates,
    equations,
    integers,
    lists,
    numbers,
    percentages,
    units,
)
from serving.tiny.phrasings import Phrasings, flatten, is_held_out, vary

MODULES = (
    arithmetic,
    percentages,
    numbers,
    integers,
    counting,
    units,
    dates,
    lists,
    equations,
)
FAMILIES = {name: family for module in MODULES for name, family in module.FAMILIES.items()}
TEMPLATES = {name: table for module in MODULES for name, table in module.TEMPLATES.items()}
SIDES = {"seen": False, "held out": True}


def run(code: str) -> Any:
    """The value that the program hands to final_answer, under plain exec."""
    answers: list[Any] = []
    exec(code, {"final_answer": answers.append})
    assert len(answers) == 1, code
    return answers[0]


def agrees(expect: Expect, answer: Any) -> bool:
    if expect.kind == "number":
        assert isinstance(answer, int | float)
        return abs(answer - expect.value) <= expect.tolerance
    if expect.kind == "list":
        return len(answer) == len(expect.value) and all(
            abs(a - b) <= expect.tolerance for a, b in zip(answer, expect.value, strict=True)
        )
    assert expect.kind == "text" and isinstance(answer, str)
    return answer == expect.value


def examples(name: str, held_out: bool, count: int, seed: int = 7) -> list[Example]:
    rng, phrasings = random.Random(f"{seed}{name}"), Phrasings(held_out)
    return [FAMILIES[name](rng, phrasings) for _ in range(count)]


def test_the_families_of_the_room_are_all_there() -> None:
    assert set(FAMILIES) == set(TEMPLATES) == {
        "arithmetic", "percentages", "big_integers", "powers_roots", "primes", "gcd_lcm",
        "factorial_combinations", "base_conversion", "unit_conversion", "date_arithmetic",
        "weekdays", "list_statistics", "equations",
    }  # fmt: skip


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_program_gives_the_expected_value(name: str, side: str) -> None:
    for example in examples(name, SIDES[side], 60):
        (step,) = example.steps
        answer = run(step.code)
        assert agrees(example.expect, answer), (example.task, step.code, answer, example.expect)
        assert example.family == name and is_held_out(name, example.phrasing) == SIDES[side]


@pytest.mark.parametrize("name", FAMILIES)
def test_texts_are_short_and_whole(name: str) -> None:
    for example in examples(name, False, 300) + examples(name, True, 100):
        assert len(example.task.split()) <= 40 and not re.search(r"[{}]", example.task)
        assert len(example.steps[0].thinking.split()) <= 25
        assert len(example.steps[0].code.splitlines()) <= 6


@pytest.mark.parametrize("name", FAMILIES)
def test_there_are_enough_templates_on_both_sides(name: str) -> None:
    every = flatten(TEMPLATES[name])
    # The same words may be a template of two kinds (an equation to solve), never of one.
    table = TEMPLATES[name]
    for group in table.values() if isinstance(table, dict) else [table]:
        assert len(group) == len(set(group))
    held_out = [t for t in set(every) if is_held_out(name, t)]
    assert len(set(every)) >= 45 and len(held_out) >= 4
    assert len(held_out) < len(set(every)) / 2


@pytest.mark.parametrize("name", FAMILIES)
def test_instances_are_many_and_follow_the_seed(name: str) -> None:
    made = examples(name, False, 1000)
    assert len({e.task for e in made}) >= 900
    assert made[:50] == examples(name, False, 50) != examples(name, False, 50, seed=8)


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"unit_conversion", "date_arithmetic"}))
def test_the_numbers_of_the_code_are_those_of_the_task(name: str) -> None:
    """The model copies digits: a long number in the code stands so in the task."""
    for example in examples(name, False, 200):
        shown = example.task.replace(",", "")
        for figure in re.findall(r"\d{4,}", example.steps[0].code):
            assert figure in shown, (example.task, example.steps[0].code)


def test_the_task_of_the_front_page_is_in_the_stream() -> None:
    table = TEMPLATES["percentages"]
    assert isinstance(table, dict)
    template = "What is {p}% of {a}, plus {b} squared?"
    assert template in table["of_plus_square"]
    kind = percentages.KINDS["of_plus_square"]
    code = kind.code.format(p="17", a="2480", b="3")
    assert code == "final_answer(round(2480 * 17 / 100 + 3 ** 2, 6))"
    assert run(code) == 430.6


def test_an_example_survives_json() -> None:
    example = Example(
        "f", "t {x}", "task", Expect("text", "ä"), [Step("think", "code")],
        {"a.bin": b"\x00\xff"}, {"n.md": "note"}, [WebPage("t", "https://a.test", "s")], 1,
    )  # fmt: skip
    assert Example.from_dict(json.loads(json.dumps(example.to_dict()))) == example
    with pytest.raises(ValueError, match=r"Expect\.kind"):
        Expect("numbr", 3)


def test_one_instance_in_twenty_is_for_evaluation_and_files_count() -> None:
    made = examples("arithmetic", False, 4000)
    share = sum(e.for_evaluation for e in made) / len(made)
    assert 0.03 < share < 0.07
    plain = Example("f", "t", "task", Expect("number", 1), [])
    kept = {
        Example("f", "t", "task", Expect("number", 1), [], {"a": bytes([n])}).for_evaluation
        for n in range(200)
    }
    assert kept == {True, False} and plain.for_evaluation in kept


def test_the_two_sides_follow_the_rule_and_an_empty_side_is_an_error() -> None:
    for name, table in TEMPLATES.items():
        for template in flatten(table):
            digest = hashlib.sha256(f"{name}|{template}".encode()).hexdigest()
            assert is_held_out(name, template) == (int(digest, 16) % 5 == 0)
    with pytest.raises(ValueError, match="no template"):
        Phrasings(True).pick(random.Random(0), "f", [])


def test_variation_keeps_the_data() -> None:
    rng = random.Random(3)
    texts = (
        'Reverse the text "Hello. World."',
        "What is 3.50 of Sales_2024.csv?",
        "Name.CSV holds what?",
        "Compute 12 plus 7.",
    )
    for text in texts:
        seen = {vary(rng, text) for _ in range(400)}
        data = re.findall(r'"[^"]*"|[\w.]*\d[\w.]*\b|Name\.CSV', text)
        assert len(seen) > 3 or text.startswith(("Name", "Reverse"))
        assert all(piece in variant for variant in seen for piece in data)
    assert {"please compute 12 plus 7.", "Compute 12 plus 7", "Could you compute 12 plus 7?"} <= {
        vary(rng, texts[3]) for _ in range(3000)
    }


def test_generation_keeps_ahead_of_training() -> None:
    """5,000 examples a second on a quiet machine; asked here is a fifth, for a busy one."""
    for name in FAMILIES:
        examples(name, False, 1)
    start = time.process_time()
    for name in FAMILIES:
        examples(name, False, 400)
    assert 400 * len(FAMILIES) / (time.process_time() - start) > 1000
