"""Percentages: a share of, up and down by, what share, tips, discounts, and growth over years."""

from __future__ import annotations

import random

from serving.tiny.families.common import (
    Kind,
    between,
    kinds_family,
    number,
    price,
    rounded,
    templates_of,
    whole,
)
from serving.tiny.phrasings import Family, Templates


def _percent(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.15:
        return f"{between(rng, 1, 40)}.{rng.choice('525')}"
    return between(rng, 1, 99) if roll < 0.95 else between(rng, 101, 400)


def _share(rng: random.Random) -> dict[str, str]:
    return {"p": _percent(rng), "a": number(rng, 1, 6)}


def _share_then(rng: random.Random) -> dict[str, str]:
    return {"p": _percent(rng), "a": number(rng, 2, 5), "b": number(rng, 1, 3)}


def _share_square(rng: random.Random) -> dict[str, str]:
    return {"p": _percent(rng), "a": whole(rng, 2, 5), "b": between(rng, 2, 60)}


def _money(rng: random.Random) -> dict[str, str]:
    return {"p": between(rng, 2, 75), "a": price(rng, 2, 5)}


def _two(rng: random.Random) -> dict[str, str]:
    a = int(whole(rng, 1, 5))
    return {"a": str(a), "b": str(rng.randint(a + 1, a * 8 + 20))}


def _change(rng: random.Random) -> dict[str, str]:
    slots = _two(rng)
    return slots if rng.random() < 0.5 else {"a": slots["b"], "b": slots["a"]}


def _growth(rng: random.Random) -> dict[str, str]:
    rate = between(rng, 1, 15) if rng.random() < 0.6 else f"{between(rng, 1, 9)}.5"
    return {"p": rate, "a": whole(rng, 3, 5), "n": between(rng, 2, 25)}


KINDS = {
    "of": Kind(
        "Percentage: {p}% of {a}.",
        rounded("{a} * {p} / 100"),
        lambda p, a: a * p / 100,
        _share,
        (
            "What is {p}% of {a}?",
            "How much is {p}% of {a}?",
            "Calculate {p}% of {a}.",
            "Compute {p} percent of {a}.",
            "What is {p} percent of {a}?",
            "Find {p}% of {a}.",
            "Work out {p}% of the number {a}.",
            "Give me {p} percent of {a}.",
            "What number is {p}% of {a}?",
            "Take {p}% of {a}.",
            "I need {p}% of {a}.",
            "If I take {p} percent of {a}, how much is that?",
            "Out of {a} people, {p}% said yes. How many is that?",
            "{p}% of {a} = ?",
            "Tell me how much {p}% of {a} is.",
        ),
    ),
    "of_plus_square": Kind(
        "Percentage: {p}% of {a}, plus {b} squared.",
        rounded("{a} * {p} / 100 + {b} ** 2"),
        lambda p, a, b: a * p / 100 + b**2,
        _share_square,
        (
            "What is {p}% of {a}, plus {b} squared?",
            "Give me {p}% of {a}, plus {b} squared.",
            "How much do I get for {p}% of {a} plus {b}²?",
            "Calculate {p} percent of {a} and add the square of {b}.",
            "How much is {p}% of {a} plus {b} squared?",
            "Calculate {p}% of {a} plus {b}^2.",
            "Compute {p} percent of {a} and add {b} squared.",
            "Take {p}% of {a} and add the square of {b}.",
            "Find {p}% of {a}, then add {b} squared.",
            "What is {p} percent of {a} plus the square of {b}?",
            "Work out {p}% of {a}, plus {b}².",
            "What do I get for {p}% of {a} plus {b} squared?",
        ),
    ),
    "of_plus": Kind(
        "Percentage: {p}% of {a}, plus {b}.",
        rounded("{a} * {p} / 100 + {b}"),
        lambda p, a, b: a * p / 100 + b,
        _share_then,
        (
            "What is {p}% of {a}, plus {b}?",
            "How much is {p}% of {a} plus {b}?",
            "Calculate {p}% of {a} and add {b}.",
            "Compute {p} percent of {a} plus {b}.",
            "Take {p}% of {a} and add {b}.",
            "Find {p}% of {a}, then add {b}.",
            "What is {p} percent of {a}, plus {b}?",
            "Work out {p}% of {a} and add {b} to it.",
        ),
    ),
    "of_minus": Kind(
        "Percentage: {p}% of {a}, minus {b}.",
        rounded("{a} * {p} / 100 - {b}"),
        lambda p, a, b: a * p / 100 - b,
        _share_then,
        (
            "What is {p}% of {a}, minus {b}?",
            "How much is {p}% of {a} minus {b}?",
            "Calculate {p}% of {a} and subtract {b}.",
            "Compute {p} percent of {a} minus {b}.",
            "Take {p}% of {a} and subtract {b}.",
            "Find {p}% of {a}, then subtract {b}.",
            "What is {p} percent of {a}, minus {b}?",
            "Work out {p}% of {a} and subtract {b} from it.",
        ),
    ),
    "tip": Kind(
        "Percentage: a tip or tax of {p}% of {a}.",
        rounded("{a} * {p} / 100"),
        lambda p, a: a * p / 100,
        _money,
        (
            "How much is a {p}% tip on a bill of ${a}?",
            "What is a {p}% tip on ${a}?",
            "How much is the tip on ${a} at {p}%?",
            "How much is the {p}% tax on ${a}?",
            "What commission is {p}% on a sale of ${a}?",
            "Calculate a tip of {p}% on a ${a} bill.",
            "My bill is ${a} and I want to tip {p}%. How much is the tip?",
            "The bill is ${a}. How much tip is {p} percent?",
            "How much tax is {p}% on ${a}?",
            "What is the tax on ${a} at {p} percent?",
            "Compute the {p}% tax on a price of ${a}.",
            "What commission do I get on ${a} at {p}%?",
        ),
    ),
    "up": Kind(
        "Percentage: increase {a} by {p}%.",
        rounded("{a} * (1 + {p} / 100)"),
        lambda p, a: a * (1 + p / 100),
        _money,
        (
            "Increase {a} by {p}%.",
            "What is {a} increased by {p}%?",
            "Raise {a} by {p} percent.",
            "Add {p}% to {a}.",
            "A price of ${a} goes up by {p}%. What is the new price?",
            "A salary of ${a} is raised by {p}%. What is the new salary?",
            "What is the total of a ${a} bill with a {p}% tip?",
            "What is the total with {p}% tax added to ${a}?",
            "A ${a} price goes up {p} percent. How much is it now?",
            "What do I pay in total for a bill of ${a} plus a {p}% tip?",
            "The rent is ${a} and rises by {p}%. What is the new rent?",
            "If {a} grows by {p}%, what is the result?",
        ),
    ),
    "down": Kind(
        "Percentage: decrease {a} by {p}%.",
        rounded("{a} * (1 - {p} / 100)"),
        lambda p, a: a * (1 - p / 100),
        _money,
        (
            "Decrease {a} by {p}%.",
            "What is {a} decreased by {p}%?",
            "Reduce {a} by {p} percent.",
            "Lower {a} by {p}%.",
            "A price of ${a} goes down by {p}%. What is the new price?",
            "What is the sale price of a ${a} jacket with a {p}% discount?",
            "A ${a} coat has a discount of {p}%. What do I pay?",
            "How much do I pay for a ${a} lamp at {p}% off?",
            "A phone costs ${a}, now {p}% off. What is the sale price?",
            "What is ${a} after a discount of {p} percent?",
            "Take {p}% off {a}.",
            "If {a} falls by {p}%, what is the result?",
        ),
    ),
    "what_percent": Kind(
        "Percentage: {a} as a share of {b}.",
        rounded("{a} / {b} * 100"),
        lambda a, b: a / b * 100,
        _two,
        (
            "What percent of {b} is {a}?",
            "Calculate what percent of {b} {a} is.",
            "Compute {a} out of {b} in percent.",
            "{a} out of {b} people said yes. What percentage is that?",
            "What percentage of {b} is {a}?",
            "{a} is what percent of {b}?",
            "What percent is {a} of {b}?",
            "What percentage is {a} out of {b}?",
            "Express {a} out of {b} as a percentage.",
            "I got {a} of {b} points. What percentage is that?",
            "{a} is what percentage of {b}?",
            "How many percent of {b} is {a}?",
            "What is {a} out of {b} as a percentage?",
            "In a class of {b}, {a} passed. What percentage is that?",
            "Find what percentage {a} is of {b}.",
        ),
    ),
    "change": Kind(
        "Percentage change from {a} to {b}.",
        rounded("({b} - {a}) / {a} * 100"),
        lambda a, b: (b - a) / a * 100,
        _change,
        (
            "What is the percentage change from {a} to {b}?",
            "What is the percent change from {a} to {b}?",
            "By what percent does {a} change to become {b}?",
            "A value goes from {a} to {b}. What is the change in percent?",
            "Calculate the percentage change when {a} becomes {b}.",
            "The price went from ${a} to ${b}. What is the percentage change?",
            "Sales went from {a} to {b}. By how many percent did they change?",
            "Find the percent change between the old value {a} and the new value {b}.",
            "Compute the relative change from {a} to {b} as a percentage.",
        ),
    ),
    "whole": Kind(
        "Percentage: {a} is {p}% of the whole.",
        rounded("{a} / ({p} / 100)"),
        lambda p, a: a / (p / 100),
        _share,
        (
            "{a} is {p}% of what number?",
            "Find the whole if {p}% of it is {a}.",
            "What number has {a} as its {p}%?",
            "I know that {a} is {p}% of a number. What is the number?",
            "{a} is {p} percent of what number?",
            "{p}% of what number is {a}?",
            "{p} percent of which number is {a}?",
            "If {p}% of a number is {a}, what is the number?",
            "Find the number of which {p}% is {a}.",
            "{p}% of a number equals {a}. Find the number.",
            "Of what number is {a} {p} percent?",
            "I paid ${a}, which is {p}% of the whole. What is the whole?",
        ),
    ),
    "growth": Kind(
        "Percentage: compound growth of {a} at {p}% for {n} years.",
        rounded("{a} * (1 + {p} / 100) ** {n}"),
        lambda p, a, n: a * (1 + p / 100) ** int(n),
        _growth,
        (
            "What is ${a} worth after {n} years at {p}% compound interest?",
            "I invest ${a} at {p}% per year. How much is it after {n} years?",
            "I save ${a} at {p}% compound interest. What is it worth after {n} years?",
            "Find the value of ${a} after {n} years at {p}% per year, compounded yearly.",
            "A population of {a} grows by {p}% each year. How large is it after {n} years?",
            "${a} grows at {p}% a year, compounded yearly. How much is it after {n} years?",
            "Compute the compound interest total for ${a} at {p}% over {n} years.",
            "How much will ${a} be after {n} years with {p} percent interest per year?",
            "A town of {a} people grows {p}% per year. How many after {n} years?",
            "If {a} grows by {p}% each year, what is it after {n} years?",
            "Savings of ${a} earn {p}% interest per year. What are they worth after {n} years?",
            "Calculate {a} growing at {p} percent per year for {n} years.",
        ),
    ),
}

TEMPLATES: dict[str, Templates] = {"percentages": templates_of(KINDS)}
FAMILIES: dict[str, Family] = {"percentages": kinds_family("percentages", KINDS, separators=0.12)}
