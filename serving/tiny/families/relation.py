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


WEB_FRAMES = (
    "Tell me the *.",
    "Google the *.",
    "Do you know the *?",
    "I'd like to know the *.",
    "I need the *.",
    "Give me the *.",
    "What was the * again?",
    "Search online for the *.",
    "Use the web to find the *.",
    "Check the * on the internet.",
    "Find the *.",
    "Search for the *.",
    "Could you find the *?",
    "I wonder what the * is.",
    "Look online for the *.",
    "See if you can find the *.",
    "What is the *?",
    "Find me the * on the web.",
    "Do a web search for the *.",
)
NOTE_FRAMES = (
    "Tell me the *.",
    "Find the * in my notes.",
    "What do my notes say about the *?",
    "Search my notes for the *.",
    "Do you know the *?",
    "I need the *.",
    "I forgot the *.",
    "Check my notes for the *.",
    "According to my notes, what is the *?",
    "What is the * in my notes?",
    "Can you find the * in my notes?",
    "I noted the * somewhere. What is it?",
    "Look up the * in my notes.",
    "Give me the * from my notes.",
    "My notes have the *. What is it?",
    "What did I note as the *?",
)
RECALL_FRAMES = (
    "Do you know *?",
    "Do you remember *?",
    "Remind me of *.",
    "Tell me *.",
    "What did I tell you about *?",
    "What did I say about *?",
    "I forgot *.",
    "I can't remember *.",
    "Look up * in your memory.",
    "I told you *. What was it?",
    "What do you remember about *?",
    "What do you know about *?",
    "Can you tell me *?",
    "Please recall *.",
    "Search your memory for *.",
)
"""Frames for questions on any fact; * stands for the phrase that names what is asked for."""

_FRAMES_EACH = 6


def parse(table: str, frames: tuple[str, ...]) -> tuple[Relation, ...]:
    """The relations of a table: blocks of lines with an empty line between them.

    A block reads `key | topic, topic | kind of value`; the statements, each after "- "; after
    "+ " the phrase that names what is asked for; and the questions. Some of the frames, filled
    with the phrase, become questions too: others for each relation.
    """
    blocks = table.strip().split("\n\n")
    return tuple(_relation(block.splitlines(), frames, at) for at, block in enumerate(blocks))


def _relation(lines: list[str], frames: tuple[str, ...], at: int) -> Relation:
    key, topics, kind = lines[0].split(" | ")
    says = tuple(line[2:] for line in lines[1:] if line.startswith("- "))
    phrase = next(line[2:] for line in lines if line.startswith("+ "))
    asks = [line for line in lines[1:] if line[:2] not in ("- ", "+ ")]
    asks += [
        frames[(5 * at + 4 * place) % len(frames)].replace("*", phrase)
        for place in range(_FRAMES_EACH)
    ]
    return Relation(key, tuple(topics.split(", ")), kind, says, tuple(dict.fromkeys(asks)))
