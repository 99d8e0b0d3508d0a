"""Which of a session's tools its prompt lists, when they are more than a small model reads.

All tools can be called, listed or not: the ones left out are named in one line, and their
docstrings say the rest. What is listed is settled by the session's first task and stays, so that
the prompt's beginning is the same in every request.
"""

import re
from collections.abc import Sequence

MOST_CHARS = 4_600
"""Of the list, in characters. With the line of the others it comes to some 5,200: under 1,500
tokens at 3.5 characters each, of which a 7B model's tokens of English and code have more."""
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


def listed(entries: Sequence[tuple[str, str]], task: str, most: int = MOST_CHARS) -> set[str]:
    """The names whose entries (name, text) fit into `most` characters, the most relevant first.

    Those of `ALWAYS` come before all others; among equals the order of `entries` counts.
    """
    wanted = _words(task)

    def rank(place: int) -> tuple[bool, int, int]:
        name, text = entries[place]
        return name not in ALWAYS, -len(wanted & _words(f"{name.replace('_', ' ')} {text}")), place

    names: set[str] = set()
    left = most
    for place in sorted(range(len(entries)), key=rank):
        name, text = entries[place]
        if len(text) <= left:
            names.add(name)
            left -= len(text)
    return names


def _words(text: str) -> set[str]:
    """The words that tell one task from another, by their beginnings: `convert`, `conversion`."""
    return {word[:6] for word in _WORD.findall(text.lower())} - _COMMON
