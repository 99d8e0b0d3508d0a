"""Which wordings a task may be put in, and the small natural variation every wording gets.

A family holds its wordings (templates) in tables at module level. One in five is held out by hash,
so that accuracy on wordings the model never saw can be measured.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence

from serving.tiny.example import Example

HELD_OUT_SHARE = 5
"""One template in this many is held out of training."""

Templates = Sequence[str] | Mapping[str, Sequence[str]]
"""A family's wordings: a flat list, or one list for each kind of task in the family."""


def is_held_out(family: str, template: str) -> bool:
    """True when this template of this family is never trained on."""
    digest = hashlib.sha256(f"{family}|{template}".encode()).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_SHARE == 0


def flatten(templates: Templates) -> list[str]:
    """All templates of a family, whatever their kind."""
    if isinstance(templates, Mapping):
        return [template for group in templates.values() for template in group]
    return list(templates)


class Phrasings:
    """One side of the templates: the ones seen in training, or the held-out ones."""

    def __init__(self, held_out: bool) -> None:
        self.held_out = held_out
        self._flat: dict[tuple[str, int], tuple[object, list[str]]] = {}
        self._kinds: dict[tuple[str, int], tuple[object, list[tuple[str, list[str]]]]] = {}

    def side(self, family: str, templates: Sequence[str]) -> list[str]:
        """The templates of the list that belong to this side; may be empty."""
        return [t for t in templates if is_held_out(family, t) == self.held_out]

    def pick(self, rng: random.Random, family: str, templates: Sequence[str]) -> str:
        """A template of this side, as it stands in the table. ValueError when there is none."""
        # The table is kept beside its selection, so that its id can't be used again.
        entry = self._flat.get((family, id(templates)))
        if entry is None:
            entry = self._flat[family, id(templates)] = (templates, self.side(family, templates))
        if not entry[1]:
            raise ValueError(f"family {family!r} has no template with held_out={self.held_out}")
        return rng.choice(entry[1])

    def pick_kind(
        self, rng: random.Random, family: str, table: Mapping[str, Sequence[str]]
    ) -> tuple[str, str]:
        """(kind, template) of this side, each kind that has one being equally likely."""
        entry = self._kinds.get((family, id(table)))
        if entry is None:
            sides = [(kind, self.side(family, group)) for kind, group in table.items()]
            entry = (table, [(kind, group) for kind, group in sides if group])
            self._kinds[family, id(table)] = entry
        if not entry[1]:
            raise ValueError(f"family {family!r} has no template with held_out={self.held_out}")
        kind, group = rng.choice(entry[1])
        return kind, rng.choice(group)


Family = Callable[[random.Random, Phrasings], Example]
"""A family makes one example from a source of chance and one side of its wordings."""


_QUESTION = (
    "what what's which how who when where why is are does do did will if on in at by from for to"
    " the there i my you"
)
_REQUEST = (
    "add answer apply arrange ask average break build calculate capitalise capitalize change check"
    " choose combine compute convert count create cut decide deduct determine display divide draw"
    " evaluate exchange express extract factor factorise factorize figure fetch find gather get"
    " give group identify increase invert isolate join keep let list locate look lower make"
    " measure multiply name note obtain open order pick plot plug print produce pull put raise rank"
    " read recall reduce remember remind render report return reverse rewrite round save say"
    " search select show simplify solve sort split spell state store subtract sum summarise"
    " summarize take tell total transform translate try turn use visit visualise visualize work"
    " write"
)
_QUESTION_WORDS = frozenset(_QUESTION.split())
_REQUEST_WORDS = frozenset(_REQUEST.split())
_ASKING = ("Can you ", "Could you ", "Could you please ", "Would you ")
_REQUEST_OPENINGS = ("Please ", "please ", "Hey, ", "Hi, ", "Hello, please ", "Now ")
_QUESTION_OPENINGS = ("Quick question: ", "Hey, ", "Hi, ", "Question: ", "Tell me: ", "So, ")
_CLOSINGS = (" Thanks!", " Thank you.", " Thanks.", " Please.", " Thank you!", " thanks")


def vary(rng: random.Random, text: str) -> str:
    """The same task as another person might type it: an opening, a thank-you, case, punctuation.

    Only the first letter of a known ordinary word and a last `?` or `.` are ever changed, so
    numbers, names and quoted text stay as they are. Text that is data and ends in a full stop
    must be quoted in its template.
    """
    word = text.split(None, 1)[0] if text.strip() else ""
    plain = word.rstrip(",:").lower()
    request = plain in _REQUEST_WORDS
    if request or plain in _QUESTION_WORDS:
        text = _open(rng, text, request, keep_case=word in ("I", "I'd", "I'm"))
    roll = rng.random()
    if roll < 0.12 and text[-1:] in "?.!":
        return text + rng.choice(_CLOSINGS)
    if roll < 0.35 and text[-1:] in "?." and text[-2:-1].isalnum():
        return text[:-1]
    return text


def _open(rng: random.Random, text: str, request: bool, keep_case: bool) -> str:
    roll = rng.random()
    if roll < 0.60:
        return text
    lowered = text if keep_case else text[:1].lower() + text[1:]
    if roll < 0.75:
        return lowered
    if not request:
        return rng.choice(_QUESTION_OPENINGS) + (lowered if rng.random() < 0.6 else text)
    if roll < 0.87 or text[-1:] == "?" or "\n" in text:
        return rng.choice(_REQUEST_OPENINGS) + lowered
    return rng.choice(_ASKING) + (lowered[:-1] if lowered[-1:] == "." else lowered) + "?"
