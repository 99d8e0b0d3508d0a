"""Statistics of listed numbers: mean, median, mode, range, standard deviation, sum and the like."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from serving.tiny.example import Example, Step
from serving.tiny.families.common import finish
from serving.tiny.phrasings import Family, Phrasings, Templates

Data = list[Fraction]


@dataclass(frozen=True)
class Statistic:
    """One statistic: how the thinking names it, the expression over `data`, its value, wordings."""

    name: str
    expression: str
    value: Callable[[Data], Any]
    templates: tuple[str, ...]
    needs_statistics: bool = True


def _mean(data: Data) -> Fraction:
    return sum(data, Fraction(0)) / len(data)


def _median(data: Data) -> Fraction:
    ordered, half = sorted(data), len(data) // 2
    return ordered[half] if len(data) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _mode(data: Data) -> Fraction:
    return max(data, key=data.count)


def _variance(data: Data) -> Fraction:
    """The sample variance (divided by n - 1), as statistics.variance has it."""
    mean = _mean(data)
    return sum(((x - mean) ** 2 for x in data), Fraction(0)) / (len(data) - 1)


STATISTICS = {
    "mean": Statistic(
        "mean",
        "statistics.mean(data)",
        _mean,
        (
            "What is the mean of {l}?",
            "What is the average of {l}?",
            "Find the mean of {l}.",
            "Find the average of the numbers {l}.",
            "Compute the average of {l}.",
            "Calculate the mean of these numbers: {l}",
            "Calculate the arithmetic mean of {l}.",
            "Average these numbers: {l}",
            "My scores are {l}. What is my average?",
            "The values are {l}. What is their mean?",
            "On average, how large are {l}?",
            "Work out the average value of {l}.",
            "Give me the mean value of {l}.",
        ),
    ),
    "median": Statistic(
        "median",
        "statistics.median(data)",
        _median,
        (
            "What is the median of {l}?",
            "Find the median of {l}.",
            "Find the median of the numbers {l}.",
            "Compute the median of {l}.",
            "Calculate the median of these numbers: {l}",
            "What is the median of these numbers: {l}?",
            "The values are {l}. What is their median?",
            "My scores are {l}. What is the median?",
            "Which is the median value of {l}?",
            "Give me the median of the list {l}.",
            "Work out the median value of {l}.",
        ),
    ),
    "mode": Statistic(
        "mode",
        "statistics.mode(data)",
        _mode,
        (
            "What is the mode of {l}?",
            "Find the mode of {l}.",
            "Find the mode of the numbers {l}.",
            "Compute the mode of these numbers: {l}",
            "Which number occurs most often in {l}?",
            "What is the most common number in {l}?",
            "Which value is the most frequent in {l}?",
            "Find the most frequent number in {l}.",
            "Which value appears most often in {l}?",
            "The values are {l}. What is the mode?",
            "Tell me the most common value in {l}.",
        ),
    ),
    "stdev": Statistic(
        "sample standard deviation",
        "statistics.stdev(data)",
        lambda data: math.sqrt(_variance(data)),
        (
            "What is the standard deviation of {l}?",
            "My scores are {l}. What is their standard deviation?",
            "Find the standard deviation of the numbers {l}.",
            "How large is the standard deviation of {l}?",
            "Find the standard deviation of {l}.",
            "Compute the standard deviation of {l}.",
            "Calculate the standard deviation of these numbers: {l}",
            "What is the sample standard deviation of {l}?",
            "Find the sample standard deviation of the numbers {l}.",
            "The values are {l}. What is their standard deviation?",
            "Give me the standard deviation of the list {l}.",
            "Work out the standard deviation of {l}.",
        ),
    ),
    "variance": Statistic(
        "sample variance",
        "statistics.variance(data)",
        _variance,
        (
            "What is the variance of {l}?",
            "Find the variance of the numbers {l}.",
            "How large is the variance of {l}?",
            "Find the variance of {l}.",
            "Compute the variance of {l}.",
            "Calculate the variance of these numbers: {l}",
            "What is the sample variance of {l}?",
            "Find the sample variance of the numbers {l}.",
            "The values are {l}. What is their variance?",
            "Give me the variance of the list {l}.",
        ),
    ),
    "range": Statistic(
        "range",
        "max(data) - min(data)",
        lambda data: sorted(data)[-1] - sorted(data)[0],
        (
            "What is the range of {l}?",
            "Find the range of {l}.",
            "Compute the range of the numbers {l}.",
            "Calculate the range of these numbers: {l}",
            "What is the difference between the largest and the smallest of {l}?",
            "Find the difference between the largest and smallest number in {l}.",
            "The values are {l}. What is their range?",
            "How far apart are the largest and the smallest of {l}?",
            "Subtract the smallest from the largest number in {l}.",
        ),
        False,
    ),
    "sum": Statistic(
        "sum",
        "sum(data)",
        lambda data: _mean(data) * len(data),
        (
            "What is the sum of {l}?",
            "Find the sum of {l}.",
            "Add up {l}.",
            "Add up these numbers: {l}",
            "Sum these numbers: {l}",
            "Sum up {l}.",
            "What is the total of {l}?",
            "Compute the total of {l}.",
            "Calculate the sum of the numbers {l}.",
            "My expenses are {l}. What is the total?",
            "How much is it if I add up {l}?",
            "The values are {l}. What is their sum?",
        ),
        False,
    ),
    "max": Statistic(
        "maximum",
        "max(data)",
        lambda data: sorted(data)[-1],
        (
            "What is the maximum of {l}?",
            "Find the maximum of {l}.",
            "What is the largest number in {l}?",
            "Which is the largest of {l}?",
            "Which number is the biggest in {l}?",
            "What is the biggest of these numbers: {l}?",
            "What is the highest value in {l}?",
            "The values are {l}. What is the maximum?",
            "My scores are {l}. Which is the highest?",
            "Find the largest of these numbers: {l}",
        ),
        False,
    ),
    "min": Statistic(
        "minimum",
        "min(data)",
        lambda data: sorted(data)[0],
        (
            "What is the minimum of {l}?",
            "Find the minimum of {l}.",
            "What is the smallest number in {l}?",
            "Which is the smallest of {l}?",
            "Which number is the lowest in {l}?",
            "What is the smallest of these numbers: {l}?",
            "What is the lowest value in {l}?",
            "The values are {l}. What is the minimum?",
            "My scores are {l}. Which is the lowest?",
            "Find the smallest of these numbers: {l}",
        ),
        False,
    ),
    "product": Statistic(
        "product",
        "math.prod(data)",
        lambda data: math.prod(data, start=Fraction(1)),
        (
            "What is the product of {l}?",
            "Find the product of {l}.",
            "Multiply {l}.",
            "Multiply these numbers together: {l}",
            "Multiply all of these numbers: {l}",
            "Compute the product of the numbers {l}.",
            "Calculate the product of these numbers: {l}",
            "What do you get when you multiply {l}?",
            "The values are {l}. What is their product?",
        ),
        False,
    ),
    "sorted": Statistic(
        "sort, smallest first",
        "sorted(data)",
        lambda data: [_plain(x) for x in sorted(data)],
        (
            "Sort {l}.",
            "Sort these numbers: {l}",
            "Sort {l} from smallest to largest.",
            "Order the numbers {l} from lowest to highest.",
            "Sort {l} in ascending order.",
            "Arrange these numbers in ascending order: {l}",
            "Sort the numbers {l} in ascending order.",
            "Put {l} in ascending order.",
            "Put these numbers in order, smallest first: {l}",
            "Order these numbers from smallest to largest: {l}",
            "Arrange {l} from smallest to largest.",
            "Sort the list {l} from lowest to highest.",
        ),
        False,
    ),
    "descending": Statistic(
        "sort, largest first",
        "sorted(data, reverse=True)",
        lambda data: [_plain(x) for x in sorted(data)][::-1],
        (
            "Sort {l} in descending order.",
            "Sort {l} from largest to smallest.",
            "Order the numbers {l} from highest to lowest.",
            "Arrange these numbers in descending order: {l}",
            "Sort the numbers {l} in descending order.",
            "Put {l} in descending order.",
            "Put these numbers in order, largest first: {l}",
            "Order these numbers from largest to smallest: {l}",
            "Arrange {l} from largest to smallest.",
            "Sort the list {l} from highest to lowest.",
            "Sort these numbers, largest first: {l}",
        ),
        False,
    ),
}
_TABLE = {kind: statistic.templates for kind, statistic in STATISTICS.items()}


def _plain(x: Fraction) -> int | float:
    return x.numerator if x.denominator == 1 else float(x)


def _numbers(rng: random.Random, kind: str) -> list[str]:
    """Three to ten numbers of one style; for the mode, one is there most often."""
    count = rng.randint(3, 5 if kind == "product" else 10)
    top = rng.choice((20, 50)) if kind == "product" else rng.choice((10, 100, 1000, 20000))
    low = -top if rng.random() < 0.15 else 1
    places = rng.choice((1, 2)) if rng.random() < 0.25 else 0

    def draw() -> str:
        x = rng.randint(low, top)
        return f"{x}.{rng.randint(1, 10**places - 1):0{places}d}" if places else str(x)

    if kind != "mode":
        return [draw() for _ in range(count)]
    found = list(dict.fromkeys(draw() for _ in range(count)))
    most = found[0]
    more = [x for x in found[1:] if rng.random() < 0.2]
    numbers = found + more + [most] * (2 if more else 1)
    rng.shuffle(numbers)
    return numbers


def _listed(rng: random.Random, numbers: list[str]) -> str:
    roll = rng.random()
    if roll < 0.45:
        return ", ".join(numbers)
    if roll < 0.75:
        return ", ".join(numbers[:-1]) + f" and {numbers[-1]}"
    if roll < 0.88:
        return f"[{', '.join(numbers)}]"
    return " ".join(numbers) if roll < 0.94 else ",".join(numbers)


def list_statistics(rng: random.Random, phrasings: Phrasings) -> Example:
    """One statistic of three to ten numbers that stand in the task."""
    name = "list_statistics"
    kind, template = phrasings.pick_kind(rng, name, _TABLE)
    statistic = STATISTICS[kind]
    numbers = _numbers(rng, kind)
    code = f"data = [{', '.join(numbers)}]\n"
    if kind == "product":
        code = "import math\n" + code
    elif statistic.needs_statistics:
        code = "import statistics\n" + code
    if kind in ("sorted", "descending"):
        code += f"final_answer({statistic.expression})"
    else:
        code += f"final_answer(round({statistic.expression}, 6))"
    value = statistic.value([Fraction(x) for x in numbers])
    step = Step(f"List statistics: {statistic.name}.", code)
    return finish(rng, name, template, {"l": _listed(rng, numbers)}, step, value)


TEMPLATES: dict[str, Templates] = {"list_statistics": _TABLE}
FAMILIES: dict[str, Family] = {"list_statistics": list_statistics}
