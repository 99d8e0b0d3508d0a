"""The shape of a fact: what a question asks for, and how a page or a note states it."""

from __future__ import annotations

from typing import NamedTuple


class Relation(NamedTuple):
    """One kind of fact.

    `key` holds the words to search for, `topics` what has such a fact, `value` the kind of value
    (of values.VALUES). In `says` and `asks`, {e} is what the fact is about, {v} the value.
    """

    key: str
    topics: tuple[str, ...]
    value: str
    says: tuple[str, ...]
    asks: tuple[str, ...]


def parse(table: str) -> tuple[Relation, ...]:
    """The relations of a table: blocks of lines with an empty line between them.

    A block reads `key | topic, topic | kind of value`, then the statements, each after "- ", then
    the questions.
    """
    return tuple(_relation(block.splitlines()) for block in table.strip().split("\n\n"))


def _relation(lines: list[str]) -> Relation:
    key, topics, kind = lines[0].split(" | ")
    says = tuple(line[2:] for line in lines[1:] if line.startswith("- "))
    asks = tuple(line for line in lines[1:] if not line.startswith("- "))
    return Relation(key, tuple(topics.split(", ")), kind, says, asks)
