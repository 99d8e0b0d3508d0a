"""Which of a session's tools its prompt lists, when they are more than a small model reads.

All tools can be called, listed or not: the ones left out are named in one line, as far as that
goes, and their docstrings say the rest. What is listed is settled by the session's first task and
stays, so that the prompt's beginning is the same in every request.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.tokens import likely_tokens

MOST_TOKENS = 1_170
"""Of the list. With the line of the others a 7B model reads less than 1,500 tokens:
`tests/test_agent_selection.py` counts them by a real tokenizer."""
NAMES_TOKENS = 200
"""Of the line that names the others."""
ALWAYS = frozenset(
    {
        "web_search",
        "visit_webpage",
        "read_file",
        "inspect_table",
        "calculate",
        "search_notes",
        "remember",
    }
)
"""Listed whatever the task: what most tasks need, and what the user expects to be there."""
_WORD = re.compile(r"[a-z]{3,}|\d{2,}")
_COMMON = frozenset("the and for from with that this what which are was were how many".split())  # noqa: SIM905


@dataclass(frozen=True)
class Choice:
    """What a prompt says of the tools: entries in full, names alone, and how many are not named."""

    listed: list[str]
    named: list[str]
    unnamed: int


def choose(
    entries: Sequence[tuple[str, str]],
    task: str,
    most: float = MOST_TOKENS,
    most_names: float = NAMES_TOKENS,
) -> Choice:
    """Of the entries (name, text), those whose texts fit into `most` tokens, and of the rest those
    whose names fit into `most_names`: the most relevant to the task first, shown in their order.

    Those of `ALWAYS` come before all others; among equals the order of `entries` counts.
    """
    wanted = _words(task)

    def rank(place: int) -> tuple[bool, int, int]:
        name, text = entries[place]
        return name not in ALWAYS, -len(wanted & _words(f"{name.replace('_', ' ')} {text}")), place

    order = sorted(range(len(entries)), key=rank)
    listed = _fitting(((place, entries[place][1]) for place in order), most)
    others = [place for place in order if place not in listed]
    named = _fitting(((place, f"{entries[place][0]}, ") for place in others), most_names)
    return Choice(
        [entries[place][1] for place in sorted(listed)],
        [entries[place][0] for place in sorted(named)],
        len(others) - len(named),
    )


def _fitting(texts: Iterable[tuple[int, str]], most: float) -> set[int]:
    """The places of the texts that fit into `most` tokens together, tried one after the other."""
    places: set[int] = set()
    for place, text in texts:
        tokens = likely_tokens(text)
        if tokens <= most:
            places.add(place)
            most -= tokens
    return places


def _words(text: str) -> set[str]:
    """The words that tell one task from another, by their beginnings: `convert`, `conversion`."""
    return {word[:6] for word in _WORD.findall(text.lower())} - _COMMON
