"""Every family of tables, plots, files and recovery: its steps, run for real, give its answer."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
from matplotlib import pyplot

from serving.tiny.example import Example
from serving.tiny.families import files, plots, recovery, table_groups, tables
from serving.tiny.judge import is_right
from serving.tiny.phrasings import Phrasings, flatten, is_held_out
from serving.tiny.world import World

MODULES = (tables, plots, files, recovery)
FAMILIES = {name: family for module in MODULES for name, family in module.FAMILIES.items()}
TEMPLATES = {name: table for module in MODULES for name, table in module.TEMPLATES.items()}
EXAMPLES = 40


@pytest.fixture(autouse=True)
def no_windows() -> Iterator[None]:
    matplotlib.use("Agg")
    yield
    pyplot.close("all")


def examples(name: str, held_out: bool, count: int = EXAMPLES, seed: int = 5) -> list[Example]:
    rng, phrasings = random.Random(f"{seed}{name}{held_out}"), Phrasings(held_out)
    return [FAMILIES[name](rng, phrasings) for _ in range(count)]


def check(example: Example, folder: Path) -> None:
    """Runs all steps: the given ones must fail, the last one must answer rightly."""
    world = World(example, folder)
    for number, step in enumerate(example.steps):
        ran = world.run(step.code)
        told = f"{example.task}\n{step.code}\n{ran.error}"
        assert (ran.error is not None) == (number < example.given), told
        assert ran.answered == (number == len(example.steps) - 1), told
    assert is_right(example.expect, ran.answer, folder), (
        f"{example.task}\n{step.code}\n{ran.answer!r} is not {example.expect.value!r}"
    )


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_steps_give_the_expected_answer(name: str, held_out: bool, tmp_path: Path) -> None:
    for example in examples(name, held_out):
        assert example.family == name
        assert is_held_out(name, example.phrasing) == held_out
        check(example, tmp_path / "work")
        pyplot.close("all")


@pytest.mark.parametrize("name", FAMILIES)
def test_examples_are_short_and_hold_the_file_they_name(name: str) -> None:
    for example in examples(name, False) + examples(name, True):
        assert len(example.task.split()) <= 40, example.task
        for step in example.steps:
            assert len(step.thinking.split()) <= 30, step.thinking
            assert len(step.code.splitlines()) <= 6, step.code
            named = [file for file in example.files if file in step.code]
            if not example.given and example.files:
                assert len(named) >= 1
        assert "{" not in example.task


@pytest.mark.parametrize("name", FAMILIES)
def test_one_seed_gives_the_same_examples(name: str) -> None:
    assert examples(name, False, 6) == examples(name, False, 6)
    assert examples(name, False, 6) != examples(name, False, 6, seed=6)


@pytest.mark.parametrize("name", FAMILIES)
def test_wordings_suffice_on_both_sides(name: str) -> None:
    templates = flatten(TEMPLATES[name])
    assert len(templates) >= 45
    held_out = [template for template in templates if is_held_out(name, template)]
    assert len(held_out) >= 4
    table = TEMPLATES[name]
    assert isinstance(table, dict)
    for kind, group in table.items():
        assert sum(not is_held_out(name, template) for template in group) >= 2, kind


def test_group_means_never_lie_halfway_between_two_roundings() -> None:
    rng = random.Random(3)
    for _ in range(400):
        question = table_groups.each_group(rng)
        by, column = question.used
        for group, shown in ast.literal_eval(question.expect.value).items():
            values = [v for g, v in zip(by.values, column.values, strict=True) if g == group]
            if ".mean()" in question.lines[0]:
                mean = sum(values) / len(values)
                assert round(mean + 2e-8, 4) == round(mean - 2e-8, 4) == shown


def test_no_wording_is_used_twice() -> None:
    every = [template for table in TEMPLATES.values() for template in flatten(table)]
    assert sorted(every) == sorted(set(every))


def test_the_columns_are_many() -> None:
    from serving.tiny.families.table_data import themes

    names = {words for theme in themes() for words, *_ in theme.numbers}
    names |= {words for theme in themes() for words in (*theme.categories, theme.entity)}
    assert len(names) >= 120
