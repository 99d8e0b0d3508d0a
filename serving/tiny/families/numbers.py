"""Big integers, powers and roots: what Python does exactly and a head does not."""

from __future__ import annotations

import random
from fractions import Fraction

from serving.tiny.families.common import (
    Kind,
    between,
    decimal,
    kinds_family,
    rounded,
    templates_of,
    whole,
)
from serving.tiny.phrasings import Family, Templates


def _big_pair(rng: random.Random) -> dict[str, str]:
    return {"a": whole(rng, 7, 16), "b": whole(rng, 7, 16)}


def _big_factors(rng: random.Random) -> dict[str, str]:
    return {"a": whole(rng, 6, 13), "b": whole(rng, 4, 11)}


def _big_division(rng: random.Random) -> dict[str, str]:
    return {"a": whole(rng, 8, 16), "b": whole(rng, 2, 5)}


def _big_power(rng: random.Random) -> dict[str, str]:
    return {"a": between(rng, 2, 99), "n": between(rng, 10, 150)}


def _modular(rng: random.Random) -> dict[str, str]:
    return {"a": between(rng, 2, 99), "n": between(rng, 10, 500), "m": whole(rng, 1, 5)}


BIG = {
    "plus": Kind(
        "Big integers: Python adds them exactly.",
        "final_answer({a} + {b})",
        lambda a, b: a + b,
        _big_pair,
        (
            "What is {a} + {b}?",
            "Add {a} and {b}.",
            "Compute the sum of {a} and {b}.",
            "What do you get when you add {a} and {b}?",
            "Work out {a} plus {b}.",
            "Compute {a} plus {b} exactly.",
            "What is the sum of {a} and {b}?",
            "Calculate {a} + {b} exactly.",
            "Find the exact sum of {a} and {b}.",
            "How much is {a} plus {b}?",
            "Add the big numbers {a} and {b}.",
        ),
    ),
    "minus": Kind(
        "Big integers: Python subtracts them exactly.",
        "final_answer({a} - {b})",
        lambda a, b: a - b,
        _big_pair,
        (
            "What is {a} - {b}?",
            "What is {a} minus {b}?",
            "Compute {a} minus {b} exactly.",
            "Calculate {a} - {b} exactly.",
            "Take {a} and subtract {b}.",
            "How much is {a} minus {b}?",
            "What is the exact difference {a} - {b}?",
        ),
    ),
    "times": Kind(
        "Big integers: Python multiplies them exactly.",
        "final_answer({a} * {b})",
        lambda a, b: a * b,
        _big_factors,
        (
            "What is {a} * {b}?",
            "Multiply {a} by {b}.",
            "What do you get when you multiply {a} by {b}?",
            "Work out {a} times {b}.",
            "Compute {a} times {b} exactly.",
            "What is the product of {a} and {b}?",
            "Calculate {a} × {b} exactly.",
            "Find the exact product of {a} and {b}.",
            "How much is {a} times {b}?",
            "Multiply the big numbers {a} and {b}.",
            "What is {a} x {b}?",
        ),
    ),
    "quotient": Kind(
        "Big integers: whole-number division.",
        "final_answer({a} // {b})",
        lambda a, b: a // b,
        _big_division,
        (
            "What is the integer quotient of {a} divided by {b}?",
            "How many times does {b} fit into {a}?",
            "Divide {a} by {b} and give the whole quotient.",
            "Compute the integer division of {a} by {b}.",
            "What is {a} divided by {b}, rounded down?",
            "How many whole times does {b} go into {a}?",
            "Give the whole-number quotient of {a} and {b}.",
        ),
    ),
    "remainder": Kind(
        "Big integers: the remainder of a division.",
        "final_answer({a} % {b})",
        lambda a, b: a % b,
        _big_division,
        (
            "What is the remainder when {a} is divided by {b}?",
            "Find the remainder of {a} divided by {b}.",
            "What is {a} mod {b}?",
            "Compute the remainder of {a} divided by {b}.",
            "What is left over when {a} is divided by {b}?",
            "Compute {a} modulo {b}.",
            "Divide {a} by {b}: what is the remainder?",
            "Calculate {a} mod {b}.",
            "What remainder does {a} leave when divided by {b}?",
            "Give me the remainder of {a} modulo {b}.",
        ),
    ),
    "power": Kind(
        "Big integers: an exact power.",
        "final_answer({a} ** {n})",
        lambda a, n: int(a) ** int(n),
        lambda rng: {"a": between(rng, 2, 99), "n": between(rng, 8, 40)},
        (
            "What is {a} to the power of {n} exactly?",
            "Compute {a}^{n} exactly.",
            "Calculate {a} ** {n} exactly.",
            "Give the exact value of {a}^{n}.",
            "What is the exact value of {a} to the power {n}?",
            "Raise {a} to the power of {n} exactly.",
            "What is {a} raised to the power {n}, with all digits?",
            "Write out all digits of {a}^{n}.",
        ),
    ),
    "digit_count": Kind(
        "Big integers: count the digits of the power.",
        "final_answer(len(str({a} ** {n})))",
        lambda a, n: len(f"{int(a) ** int(n)}"),
        _big_power,
        (
            "How many digits does {a}^{n} have?",
            "How many digits are there in {a} ** {n}?",
            "Calculate how many digits {a}^{n} has.",
            "How many digits does {a} to the power of {n} have?",
            "Count the digits of {a}^{n}.",
            "What is the number of digits in {a} ** {n}?",
            "Find the number of digits of {a} to the power {n}.",
            "How many digits are in the number {a}^{n}?",
            "Tell me the digit count of {a} to the power of {n}.",
        ),
    ),
    "digit_sum": Kind(
        "Big integers: sum the digits of the power.",
        "final_answer(sum(int(d) for d in str({a} ** {n})))",
        lambda a, n: _digit_sum(int(a) ** int(n)),
        _big_power,
        (
            "What is the sum of the digits of {a}^{n}?",
            "What is the digit sum of {a} to the power of {n}?",
            "Add up the digits of {a}^{n}.",
            "Sum the digits of {a} to the power of {n}.",
            "Find the sum of all digits of {a} ** {n}.",
            "Compute the digit sum of {a}^{n}.",
            "Calculate the sum of the digits in {a} to the power {n}.",
        ),
    ),
    "power_mod": Kind(
        "Big integers: a power modulo a number.",
        "final_answer(pow({a}, {n}, {m}))",
        lambda a, n, m: int(a) ** int(n) % int(m),
        _modular,
        (
            "What is {a}^{n} mod {m}?",
            "What is {a} to the power of {n} mod {m}?",
            "Find {a}^{n} modulo {m}.",
            "Compute {a} to the power of {n} modulo {m}.",
            "What is the remainder when {a}^{n} is divided by {m}?",
            "Find the remainder of {a}^{n} divided by {m}.",
            "Calculate {a} ** {n} mod {m}.",
            "What remainder does {a} to the power {n} leave when divided by {m}?",
            "Work out {a}^{n} modulo {m}.",
        ),
    ),
}


def _digit_sum(value: int) -> int:
    total = 0
    while value:
        value, digit = divmod(value, 10)
        total += digit
    return total


def _root_of(rng: random.Random) -> dict[str, str]:
    if rng.random() < 0.5:
        return {"a": str(rng.randint(2, 999) ** 2)}
    return {"a": whole(rng, 1, 6) if rng.random() < 0.8 else decimal(rng, 1, 3)}


def _cube_of(rng: random.Random) -> dict[str, str]:
    return {"a": str(rng.randint(2, 99) ** 3) if rng.random() < 0.5 else whole(rng, 1, 6)}


def _nth_root(rng: random.Random) -> dict[str, str]:
    n = rng.randint(4, 9)
    a = rng.randint(2, 12) ** n if rng.random() < 0.4 else int(whole(rng, 2, 7))
    return {"a": str(a), "n": str(n)}


def _base(rng: random.Random, low: int, high: int) -> str:
    return decimal(rng, 1, 2, 1) if rng.random() < 0.25 else whole(rng, low, high)


def _root(value: Fraction, n: int) -> float:
    """The nth root by Newton's method: apart from the `**` of the code."""
    target = float(value)
    guess = max(1.0, 10 ** (len(str(int(target))) / n))
    for _ in range(200):
        better = ((n - 1) * guess + target / guess ** (n - 1)) / n
        if abs(better - guess) <= 1e-15 * better:
            break
        guess = better
    return guess


POWERS = {
    "square": Kind(
        "Powers: {a} squared.",
        rounded("{a} ** 2"),
        lambda a: a * a,
        lambda rng: {"a": _base(rng, 1, 5)},
        (
            "What is {a} squared?",
            "Square {a}.",
            "Square the number {a}.",
            "Give the square of {a}.",
            "Compute the square of {a}.",
            "What is the square of {a}?",
            "Calculate {a} squared.",
            "Find the square of the number {a}.",
            "What is the area of a square with side {a}?",
            "A square has sides of {a}. What is its area?",
            "How much is {a}²?",
        ),
    ),
    "cube": Kind(
        "Powers: {a} cubed.",
        rounded("{a} ** 3"),
        lambda a: a * a * a,
        lambda rng: {"a": _base(rng, 1, 4)},
        (
            "What is {a} cubed?",
            "Compute {a} cubed.",
            "Compute the cube of {a}.",
            "What is the cube of {a}?",
            "Cube the number {a}.",
            "Calculate {a} cubed.",
            "Find the cube of the number {a}.",
            "What is the volume of a cube with side {a}?",
            "A cube has sides of {a}. What is its volume?",
            "How much is {a}³?",
        ),
    ),
    "power": Kind(
        "Powers: {a} to the power of {n}.",
        rounded("{a} ** {n}"),
        lambda a, n: a ** int(n),
        lambda rng: {"a": _base(rng, 1, 2), "n": between(rng, 2, 9)},
        (
            "What is {a} to the power of {n}?",
            "How much is {a}^{n}?",
            "Compute {a} to the power of {n}.",
            "Raise {a} to the power of {n}.",
            "Compute {a}^{n}.",
            "Calculate {a} ** {n}.",
            "What is {a}^{n}?",
            "What is {a} raised to the power {n}?",
            "How much is {a} to the power {n}?",
            "Find {a} to the power {n}.",
            "Work out {a} raised to the power of {n}.",
            "Evaluate {a} to the power of {n}.",
        ),
    ),
    "square_root": Kind(
        "Roots: the square root of {a}.",
        rounded("{a} ** 0.5"),
        lambda a: _root(a, 2),
        _root_of,
        (
            "What is the square root of {a}?",
            "Find the square root of {a}.",
            "Compute the square root of {a}.",
            "Calculate √{a}.",
            "How much is the square root of {a}?",
            "What is √{a}?",
            "What is sqrt({a})?",
            "Take the square root of {a}.",
            "Work out sqrt({a}).",
            "What is the side of a square with area {a}?",
            "A square has an area of {a}. How long is its side?",
            "Which positive number squared gives {a}?",
        ),
    ),
    "cube_root": Kind(
        "Roots: the cube root of {a}.",
        rounded("{a} ** (1 / 3)"),
        lambda a: _root(a, 3),
        _cube_of,
        (
            "What is the cube root of {a}?",
            "Give me the cube root of {a}.",
            "Find the cube root of {a}.",
            "Compute the cube root of {a}.",
            "Calculate the cube root of {a}.",
            "How much is the cube root of {a}?",
            "What is ∛{a}?",
            "Take the cube root of {a}.",
            "What is the side of a cube with volume {a}?",
            "A cube has a volume of {a}. How long is its side?",
            "Which number cubed gives {a}?",
        ),
    ),
    "nth_root": Kind(
        "Roots: root number {n} of {a}.",
        rounded("{a} ** (1 / {n})"),
        lambda a, n: _root(a, int(n)),
        _nth_root,
        (
            "What is the {n}th root of {a}?",
            "Find the {n}th root of {a}.",
            "Compute the {n}th root of {a}.",
            "Calculate the {n}th root of the number {a}.",
            "How much is the {n}th root of {a}?",
            "Take the {n}th root of {a}.",
            "Which positive number raised to the power {n} gives {a}?",
            "Work out root {n} of {a}.",
        ),
    ),
    "root_plus_square": Kind(
        "Powers and roots: the square root of {a} plus {b} squared.",
        rounded("{a} ** 0.5 + {b} ** 2"),
        lambda a, b: _root(a, 2) + float(b) ** 2,
        lambda rng: _root_of(rng) | {"b": between(rng, 2, 99)},
        (
            "What is the square root of {a} plus {b} squared?",
            "Find √{a} plus the square of {b}.",
            "What is sqrt({a}) plus {b} squared?",
            "Add the square root of {a} and the square of {b}.",
            "Compute √{a} + {b}².",
            "Calculate sqrt({a}) + {b}^2.",
            "What is the square root of {a}, plus the square of {b}?",
            "Find the square root of {a} and add {b} squared.",
            "Take the square root of {a}, then add {b} squared.",
            "How much is √{a} plus {b} squared?",
        ),
    ),
    "hypotenuse": Kind(
        "Powers and roots: the hypotenuse of the sides {a} and {b}.",
        rounded("({a} ** 2 + {b} ** 2) ** 0.5"),
        lambda a, b: _root(a * a + b * b, 2),
        lambda rng: {"a": _base(rng, 1, 3), "b": _base(rng, 1, 3)},
        (
            "A right triangle has legs {a} and {b}. How long is the hypotenuse?",
            "What is the hypotenuse of a right triangle with legs {a} and {b}?",
            "Find the hypotenuse of a right triangle with sides {a} and {b}.",
            "Compute the hypotenuse for the legs {a} and {b}.",
            "What is the diagonal of a rectangle with sides {a} and {b}?",
            "A rectangle is {a} by {b}. How long is its diagonal?",
            "Calculate the diagonal of a rectangle that is {a} by {b}.",
            "How long is the hypotenuse when the legs are {a} and {b}?",
            "A rectangle has sides {a} and {b}. How long is its diagonal?",
            "How long is the diagonal of a rectangle that is {a} by {b}?",
            "A rectangle is {a} by {b}. What is its diagonal?",
            "A rectangle measures {a} by {b}. How long is the diagonal?",
        ),
    ),
}

TEMPLATES: dict[str, Templates] = {
    "big_integers": templates_of(BIG),
    "powers_roots": templates_of(POWERS),
}
FAMILIES: dict[str, Family] = {
    "big_integers": kinds_family("big_integers", BIG),
    "powers_roots": kinds_family("powers_roots", POWERS),
}
