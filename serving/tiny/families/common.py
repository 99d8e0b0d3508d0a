"""What the computed families share: kinds of task, random numbers, the finished example."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from serving.tiny.example import Example, Expect, Step
from serving.tiny.phrasings import Family, Phrasings, vary

ITEMS = (
    "apples eggs pencils books tickets chairs bottles candles stickers coins bricks tiles marbles "
    "oranges cookies stamps shirts plates lamps batteries"
)
NAMES = "Anna Ben Carla David Emma Felix Grace Hugo Ines Jack Lena Maria Noah Omar Priya Sam Tom"


@dataclass(frozen=True)
class Kind:
    """One kind of task in a family: its numbers, its wordings, its one canonical program.

    `slots` draws the numbers as they are written in the code; `plan` and `code` are format strings
    over them; `value` computes the expected answer from the slots as fractions (or as text, for
    slots that are no numbers), apart from the code.
    """

    plan: str
    code: str
    value: Callable[..., Any]
    slots: Callable[[random.Random], dict[str, str]]
    templates: tuple[str, ...]


def rounded(expression: str) -> str:
    """The program that answers with the expression's value, rounded to six places."""
    return f"final_answer(round({expression}, 6))"


def expect(value: Any, by_floats: bool) -> Expect:
    """What the answer must be: a number, a text or a list.

    `by_floats`: the program may compute in floats, so that the last places may differ.
    """
    if isinstance(value, str):
        return Expect("text", value)
    if isinstance(value, list):
        return Expect("list", value)
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    if not isinstance(value, int):
        value = round(float(value), 6)
    return Expect("number", value, max(2e-6, abs(value) * 1e-12) if by_floats else 1e-6)


def finish(
    rng: random.Random, family: str, template: str, slots: Mapping[str, str], step: Step, value: Any
) -> Example:
    """The example of a template, what is shown in its slots, and the one step that solves it."""
    task = vary(rng, template.format(**slots))
    return Example(family, template, task, expect(value, "round(" in step.code), [step])


def kinds_family(name: str, kinds: Mapping[str, Kind], separators: float = 0.0) -> Family:
    """A family that draws one of its kinds each time.

    `separators` is the share of tasks that show whole numbers with thousands separators.
    """
    table = {kind: made.templates for kind, made in kinds.items()}

    def family(rng: random.Random, phrasings: Phrasings) -> Example:
        chosen, template = phrasings.pick_kind(rng, name, table)
        kind = kinds[chosen]
        slots = kind.slots(rng)
        shown = dict(slots)
        if separators and rng.random() < separators:
            shown = {key: with_separators(text) for key, text in slots.items()}
        step = Step(kind.plan.format(**slots), kind.code.format(**slots))
        value = kind.value(**{key: _exact(text) for key, text in slots.items()})
        scene = {"item": rng.choice(ITEMS.split()), "name": rng.choice(NAMES.split())}
        return finish(rng, name, template, scene | shown, step, value)

    return family


def templates_of(kinds: Mapping[str, Kind]) -> dict[str, tuple[str, ...]]:
    """The family's wordings, kind by kind."""
    return {kind: made.templates for kind, made in kinds.items()}


def _exact(text: str) -> Fraction | str:
    return Fraction(text) if text.lstrip("-")[:1].isdigit() else text


def with_separators(text: str) -> str:
    """1250000 as 1,250,000; anything but a whole number of four digits or more stays as it is."""
    return f"{int(text):,}" if len(text) > 3 and text.isdigit() else text


def whole(rng: random.Random, low: int, high: int) -> str:
    """A whole number of `low` to `high` digits, each length being equally likely; at least 2."""
    digits = rng.randint(low, high)
    return str(rng.randint(max(2, 10 ** (digits - 1)), 10**digits - 1))


def between(rng: random.Random, low: int, high: int) -> str:
    """A whole number from `low` to `high`, both included."""
    return str(rng.randint(low, high))


def decimal(rng: random.Random, low: int, high: int, places: int = 2) -> str:
    """A number with one to `places` decimals and `low` to `high` digits before the point."""
    count = rng.randint(1, places)
    return f"{whole(rng, low, high)}.{rng.randint(1, 10**count - 1):0{count}d}"


def number(rng: random.Random, low: int = 1, high: int = 5) -> str:
    """A whole number, or one time in five a decimal one."""
    return decimal(rng, low, min(high, 4)) if rng.random() < 0.2 else whole(rng, low, high)


def price(rng: random.Random, low: int = 1, high: int = 4) -> str:
    """An amount of money, with or without cents."""
    text = whole(rng, low, high)
    return text if rng.random() < 0.5 else f"{text}.{rng.randint(5, 99):02d}"
