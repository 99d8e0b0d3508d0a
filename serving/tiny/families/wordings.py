"""A family's templates by kind of question, and the words that fill their common slots."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from serving.tiny.phrasings import Phrasings


class Wordings:
    """One family's templates. Every template is equally likely, whatever its kind."""

    def __init__(self, family: str, table: Mapping[str, Sequence[str]]) -> None:
        self.family = family
        self.table = table
        self._kinds = {template: kind for kind, group in table.items() for template in group}
        self._flat = tuple(self._kinds)

    def pick(self, rng: random.Random, phrasings: Phrasings) -> tuple[str, str]:
        """(kind, template), of the side that `phrasings` stands for."""
        template = phrasings.pick(rng, self.family, self._flat)
        return self._kinds[template], template


STATS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "sum": (("total", "total", "overall", "combined"), ("sum", "total"), "sum"),
    "mean": (("average", "average", "mean"), ("average", "mean"), "mean"),
    "max": (("highest", "maximum", "largest", "biggest"), ("maximum", "highest value"), "max"),
    "min": (("lowest", "minimum", "smallest"), ("minimum", "lowest value"), "min"),
    "median": (("median",), ("median",), "median"),
}
"""Statistic → its words before a column, its words as a noun, the pandas method."""

COMPARISONS: dict[str, tuple[str, ...]] = {
    ">": ("more than", "over", "above", "greater than", "higher than"),
    "<": ("less than", "under", "below", "lower than"),
    ">=": ("at least",),
    "<=": ("at most",),
}

SMALL_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def stat_words(rng: random.Random, stat: str) -> dict[str, str]:
    """The slots {stat} (an adjective) and {noun} for a statistic."""
    adjectives, nouns, _ = STATS[stat]
    return {"stat": rng.choice(adjectives), "noun": rng.choice(nouns)}


def count_word(rng: random.Random, count: int) -> str:
    """A small number in digits, or sometimes as a word."""
    return SMALL_NUMBERS[count] if count in SMALL_NUMBERS and rng.random() < 0.35 else str(count)
