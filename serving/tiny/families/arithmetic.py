"""Arithmetic: expressions in symbols and in words, and short problems that come down to one."""

from __future__ import annotations

import random
from fractions import Fraction

from serving.tiny.example import Example, Step
from serving.tiny.families.common import (
    Kind,
    between,
    finish,
    kinds_family,
    number,
    price,
    rounded,
    templates_of,
    whole,
)
from serving.tiny.phrasings import Family, Phrasings, Templates

EXPRESSION = (
    "What is {e}?",
    "Compute {e}.",
    "Calculate {e}.",
    "Evaluate {e}.",
    "Work out {e}.",
    "How much is {e}?",
    "What does {e} equal?",
    "What do you get for {e}?",
    "Find the value of {e}.",
    "Give me the result of {e}.",
    "What is the value of {e}?",
    "What's {e}?",
    "Tell me what {e} is.",
    "Tell me the value of {e}.",
    "I need the result of {e}.",
    "{e} = ?",
    "{e}",
    "Evaluate the expression {e}.",
    "Calculate the value of the expression {e}.",
    "Compute the following: {e}",
    "Work out the following expression: {e}",
    "Do the arithmetic: {e}",
    "Solve this arithmetic problem: {e}",
    "Figure out {e} for me.",
    "Determine the value of {e}.",
    "What number is {e}?",
    "Simplify {e} to one number.",
    "What is the result of {e}?",
    "What is the answer to {e}?",
    "Give the answer to {e}.",
    "Using the order of operations, compute {e}.",
    "Follow the usual precedence and evaluate {e}.",
    "How much do I get if I work out {e}?",
    "My calculator is broken: what is {e}?",
    "I want to know how much {e} is.",
    "Print the value of {e}.",
)

WORDED = {
    "add_times": Kind(
        "Arithmetic: add {a} and {b}, then multiply by {c}.",
        rounded("({a} + {b}) * {c}"),
        lambda a, b, c: (a + b) * c,
        lambda rng: {"a": number(rng), "b": number(rng), "c": whole(rng, 1, 3)},
        (
            "Add {a} and {b}, then multiply by {c}.",
            "Add {a} and {b} together and multiply that sum by {c}.",
            "Find the sum of {a} and {b}, then multiply it by {c}.",
            "Start with {a}, add {b}, then multiply by {c}.",
            "Add {a} to {b} and multiply the sum by {c}.",
            "What is the sum of {a} and {b}, multiplied by {c}?",
            "What is the sum of {a} and {b} times {c}?",
            "Multiply the sum of {a} and {b} by {c}.",
            "Take {a}, add {b}, and multiply the result by {c}.",
            "What do you get when you add {a} and {b} and multiply the sum by {c}?",
            "Compute the sum of {a} and {b}, then multiply it by {c}.",
        ),
    ),
    "subtract_times": Kind(
        "Arithmetic: subtract {b} from {a}, then multiply by {c}.",
        rounded("({a} - {b}) * {c}"),
        lambda a, b, c: (a - b) * c,
        lambda rng: {"a": whole(rng, 3, 5), "b": whole(rng, 1, 3), "c": whole(rng, 1, 3)},
        (
            "Take {a}, subtract {b}, and multiply the result by {c}.",
            "What is the difference between {a} and {b}, multiplied by {c}?",
            "What is the difference of {a} and {b} times {c}?",
            "Multiply the difference between {a} and {b} by {c}.",
            "Start with {a}, subtract {b}, then multiply by {c}.",
            "From {a} take away {b}, then multiply the result by {c}.",
            "Compute the difference between {a} and {b}, then multiply it by {c}.",
            "What do you get when you take {a}, subtract {b} and multiply by {c}?",
        ),
    ),
    "times_add": Kind(
        "Arithmetic: multiply {a} by {b}, then add {c}.",
        rounded("{a} * {b} + {c}"),
        lambda a, b, c: a * b + c,
        lambda rng: {"a": number(rng), "b": whole(rng, 1, 3), "c": number(rng)},
        (
            "Multiply {a} by {b} and add {c}.",
            "Multiply {a} by {b}, then add {c} to the result.",
            "What is the product of {a} and {b}, plus {c}?",
            "Take the product of {a} and {b}, then add {c}.",
            "Compute the product of {a} and {b}, then add {c}.",
            "Start with {a}, multiply by {b}, then add {c}.",
            "What do you get when you multiply {a} by {b} and add {c}?",
            "Take {a} times {b} and add {c} to the product.",
        ),
    ),
    "times_subtract": Kind(
        "Arithmetic: multiply {a} by {b}, then subtract {c}.",
        rounded("{a} * {b} - {c}"),
        lambda a, b, c: a * b - c,
        lambda rng: {"a": number(rng), "b": whole(rng, 1, 3), "c": number(rng)},
        (
            "Multiply {a} by {b} and subtract {c}.",
            "Multiply {a} by {b}, then subtract {c} from the result.",
            "What is the product of {a} and {b}, minus {c}?",
            "Compute the product of {a} and {b}, then subtract {c}.",
            "Start with {a}, multiply by {b}, then subtract {c}.",
            "What do you get when you multiply {a} by {b} and take away {c}?",
            "Take {a} times {b} and subtract {c} from the product.",
            "Take the product of {a} and {b}, and take away {c}.",
        ),
    ),
    "add_divide": Kind(
        "Arithmetic: add {a} and {b}, then divide by {c}.",
        rounded("({a} + {b}) / {c}"),
        lambda a, b, c: (a + b) / c,
        lambda rng: {"a": number(rng), "b": number(rng), "c": whole(rng, 1, 2)},
        (
            "Add {a} and {b}, then divide by {c}.",
            "Find the sum of {a} and {b}, then divide it by {c}.",
            "Add {a} and {b} together and divide that sum by {c}.",
            "Add {a} to {b} and divide the sum by {c}.",
            "What is the sum of {a} and {b}, divided by {c}?",
            "Divide the sum of {a} and {b} by {c}.",
            "Take {a}, add {b}, and divide the result by {c}.",
            "What do you get when you add {a} and {b} and divide the sum by {c}?",
            "Compute the sum of {a} and {b}, then divide it by {c}.",
            "Start with {a}, add {b}, then divide by {c}.",
        ),
    ),
    "divide_add": Kind(
        "Arithmetic: divide {a} by {b}, then add {c}.",
        rounded("{a} / {b} + {c}"),
        lambda a, b, c: a / b + c,
        lambda rng: {"a": number(rng, 2, 6), "b": whole(rng, 1, 2), "c": number(rng)},
        (
            "Divide {a} by {b} and add {c}.",
            "Find the quotient of {a} and {b}, then add {c}.",
            "Divide {a} by {b} and then add {c}.",
            "Divide {a} by {b}, then add {c} to the result.",
            "What is the quotient of {a} and {b}, plus {c}?",
            "Compute the quotient of {a} and {b}, then add {c}.",
            "Start with {a}, divide by {b}, then add {c}.",
            "What do you get when you divide {a} by {b} and add {c}?",
            "Take {a} divided by {b} and add {c} to the quotient.",
            "Take {a}, divide it by {b}, and add {c}.",
        ),
    ),
    "squares": Kind(
        "Arithmetic: the square of {a} plus the square of {b}.",
        rounded("{a} ** 2 + {b} ** 2"),
        lambda a, b: a**2 + b**2,
        lambda rng: {"a": whole(rng, 1, 3), "b": whole(rng, 1, 3)},
        (
            "What is the square of {a} plus the square of {b}?",
            "Find the sum of the squares of {a} and {b}.",
            "Take the square of {a} and add the square of {b}.",
            "How much is the square of {a} plus the square of {b}?",
            "Add the square of {a} and the square of {b}.",
            "Add the squares of {a} and {b}.",
            "What is the sum of the squares of {a} and {b}?",
            "Square {a} and square {b}, then add the two.",
            "Compute the sum of the squares of {a} and {b}.",
            "Square both {a} and {b} and add the results.",
        ),
    ),
    "each": Kind(
        "Arithmetic: {a} times {b}.",
        rounded("{a} * {b}"),
        lambda a, b: a * b,
        lambda rng: {"a": whole(rng, 1, 4), "b": price(rng, 1, 3)},
        (
            "{name} buys {a} {item} at ${b} each. How much is the total?",
            "What do {a} {item} cost at ${b} each?",
            "How much do {a} {item} cost if each costs ${b}?",
            "We need {a} {item} that cost ${b} each. What is the total cost?",
            "{name} sold {a} {item} for ${b} each. How much money is that in total?",
            "A shop sells {a} {item} at ${b} each. How much money does it make?",
            "What is the total price of {a} {item} at ${b} each?",
        ),
    ),
    "each_plus": Kind(
        "Arithmetic: {a} times {b}, plus {c}.",
        rounded("{a} * {b} + {c}"),
        lambda a, b, c: a * b + c,
        lambda rng: {"a": whole(rng, 1, 3), "b": price(rng, 1, 3), "c": price(rng, 1, 2)},
        (
            "{name} buys {a} {item} at ${b} each and pays ${c} for shipping. How much in total?",
            "What do {a} {item} at ${b} each cost with ${c} for shipping?",
            "How much are {a} {item} at ${b} each plus a delivery fee of ${c}?",
            "{name} orders {a} {item} for ${b} each plus ${c} delivery. What is the total cost?",
            "We buy {a} {item} that cost ${b} each and a bag for ${c}. What is the total?",
            "A shop sells {a} {item} at ${b} each and adds a fee of ${c}. What is the total price?",
            "Find the total price of {a} {item} at ${b} each plus shipping of ${c}.",
        ),
    ),
    "left": Kind(
        "Arithmetic: {a} minus {b} minus {c}.",
        rounded("{a} - {b} - {c}"),
        lambda a, b, c: a - b - c,
        lambda rng: {"a": between(rng, 300, 9999), "b": whole(rng, 1, 2), "c": whole(rng, 1, 2)},
        (
            "{name} has {a} {item}, gives away {b} and loses {c}. How many are left?",
            "There are {a} {item}. {b} are sold and {c} are broken. How many are left?",
            "{name} has {a} {item}. {b} are lost and {c} are given away. How many are left?",
            "{name} had {a} {item} and sold {b}, then lost {c}. How many {item} remain?",
            "Of {a} {item}, we sold {b} and used {c}. How many are left?",
            "Out of {a} {item}, {b} are sold and {c} are given away. How many remain?",
            "{name} had {a} {item}, sold {b} and gave away {c}. How many {item} remain?",
            "A shop has {a} {item}. It sells {b} today and {c} tomorrow. How many are left?",
            "From {a} {item} we use {b} and lose {c}. How many {item} are left?",
        ),
    ),
}

_worded = kinds_family("arithmetic", WORDED, separators=0.05)
_MULTIPLY = {"plain": ("*", "*", "×", "x"), "words": ("times", "multiplied by")}
_DIVIDE = {"plain": ("/", "/", "÷", "/"), "words": ("divided by", "over")}
_POWER_WORDS = {"2": " squared", "3": " cubed"}
_POWER_SIGNS = {"2": "²", "3": "³"}

Part = tuple[str, str, Fraction]
"""A part of an expression: as shown, as code, and its value."""


def _power(rng: random.Random, words: bool) -> Part:
    base, exponent = between(rng, 2, 40), rng.choice(("2", "2", "3", "4"))
    code = f"{base} ** {exponent}"
    if words:
        shown = base + _POWER_WORDS.get(exponent, f" to the power of {exponent}")
    elif rng.random() < 0.3 and exponent in _POWER_SIGNS:
        shown = base + _POWER_SIGNS[exponent]
    else:
        shown = rng.choice((f"{base}^{exponent}", code.replace(" ", ""), code))
    return shown, code, Fraction(base) ** int(exponent)


def _operand(rng: random.Random, words: bool) -> Part:
    if rng.random() < 0.15:
        return _power(rng, words)
    text = number(rng, 1, 4)
    return text, text, Fraction(text)


def _chain(parts: list[Part], operators: list[str], signs: dict[str, str], tight: bool) -> Part:
    """The parts joined by the operators; `*` and `/` bind first. ZeroDivisionError as it falls."""
    shown, code = parts[0][0], parts[0][1]
    total, term = Fraction(0), parts[0][2]
    for operator, part in zip(operators, parts[1:], strict=True):
        sign = signs[operator]
        shown += f"{sign}{part[0]}" if tight else f" {sign} {part[0]}"
        code += f" {operator} {part[1]}"
        if operator == "*":
            term *= part[2]
        elif operator == "/":
            term /= part[2]
        else:
            total, term = total + term, part[2] if operator == "+" else -part[2]
    return shown, code, total + term


def expression(rng: random.Random) -> Part:
    """A random expression of two to five numbers, in symbols or in words."""
    words = rng.random() < 0.45
    choice, style = rng.randrange(4), "words" if words else "plain"
    plus, minus = ("plus", "minus") if words else ("+", "-")
    times, over = rng.choice(_MULTIPLY[style]), _DIVIDE[style][choice % len(_DIVIDE[style])]
    signs = {"+": plus, "-": minus, "*": times, "/": over}
    tight = not words and times == "*" and rng.random() < 0.25
    count = rng.choice((2, 3, 3, 3, 4))
    parts = [_operand(rng, words) for _ in range(count)]
    if not words and rng.random() < 0.45:
        place = rng.randrange(count)
        inner = [_operand(rng, words), _operand(rng, words)]
        shown, code, value = _chain(inner, [rng.choice("++--*")], signs, tight)
        parts[place] = (f"({shown})", f"({code})", value)
    operators = [rng.choice("++--**/") for _ in range(count - 1)]
    return _chain(parts, operators, signs, tight)


def arithmetic(rng: random.Random, phrasings: Phrasings) -> Example:
    """Expressions half of the time; otherwise operations told in order, or a short problem."""
    name = "arithmetic"
    if rng.random() < 0.5:
        template = phrasings.pick(rng, name, EXPRESSION)
        while True:
            try:
                shown, code, value = expression(rng)
                break
            except ZeroDivisionError:
                continue
        step = Step("Arithmetic: evaluate the expression.", rounded(code))
        return finish(rng, name, template, {"e": shown}, step, value)
    return _worded(rng, phrasings)


TEMPLATES: dict[str, Templates] = {
    "arithmetic": {"expression": EXPRESSION, **templates_of(WORDED)},
}
FAMILIES: dict[str, Family] = {"arithmetic": arithmetic}
