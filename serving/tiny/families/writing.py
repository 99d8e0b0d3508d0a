"""How a task quotes what it is about: phrases, quotation marks, lists, and Python literals."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from serving.tiny.families.words import (
    ADJECTIVES,
    ADVERBS,
    FIRST_NAMES,
    NOUNS,
    VERBS,
    WORDS,
    made_up,
    word,
)
from serving.tiny.phrasings import vary

_PLACES = ("in the", "near the", "behind the", "under a", "over the", "with a", "for the", "at the")
_SHORT = ("I don't", "we can't", "it's", "she won't", "they're", "I'll", "you've", "isn't", "let's")
_FIXED = (
    "Hello, world!",
    "hello world",
    "Good morning, everyone",
    "Practice makes perfect",
    "To be or not to be",
    "the quick brown fox jumps over the lazy dog",
    "Time flies like an arrow",
    "Where are you going?",
    "See you later, alligator",
    "once upon a time",
    "All that glitters is not gold",
    "Happy birthday to you!",
    "machine learning is fun",
    "Better late than never",
    "I think, therefore I am",
    "open source software",
    "An apple a day keeps the doctor away",
    "Actions speak louder than words",
)


def _clause(rng: random.Random) -> str:
    choice = rng.choice
    subject = f"{choice(ADJECTIVES)} {choice(NOUNS)}" if rng.random() < 0.6 else choice(NOUNS)
    start = choice(FIRST_NAMES) if rng.random() < 0.25 else f"the {subject}"
    rest = f"{choice(VERBS)} {choice(('the', 'a', 'my', 'every', 'one'))} {choice(NOUNS)}"
    roll = rng.random()
    if roll < 0.3:
        return f"{start} {rest} {choice(ADVERBS)}"
    if roll < 0.6:
        return f"{start} {rest} {choice(_PLACES)} {choice(NOUNS)}"
    return f"{start} {rest}"


def phrase(rng: random.Random, marks: bool = True) -> str:
    """Two to ten words; with `marks`, possibly a capital, commas and a mark at the end."""
    roll = rng.random()
    if roll < 0.30:
        return " ".join(rng.sample(WORDS, rng.randint(2, 5)))
    if roll < 0.42:
        return f"{rng.choice(ADJECTIVES)} {made_up(rng)}"
    if roll < 0.50:
        return f"{rng.choice(NOUNS)} {rng.randint(1, 999)}"
    if roll < 0.55:
        text = rng.choice(_FIXED)
        return text if marks else text.rstrip("!?.")
    if roll < 0.62:
        return f"{rng.choice(_SHORT)} {rng.choice(ADVERBS)} {rng.choice(ADJECTIVES)}"
    text = _clause(rng)
    if not marks:
        return text
    if rng.random() < 0.5:
        text = text[0].upper() + text[1:]
    return text + rng.choice(("", "", ".", "!", "?", f", {rng.choice(NOUNS)}"))


def literal(text: str) -> str:
    """The text as a Python string in double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literals(items: Sequence[str]) -> str:
    """The texts as a Python list of strings in double quotes."""
    return "[" + ", ".join(literal(item) for item in items) + "]"


def quote(rng: random.Random, text: str) -> str:
    """The text in quotation marks: single (unless it holds an apostrophe), double, curly, ticks."""
    roll = rng.random()
    if roll < 0.44 and "'" not in text:
        return f"'{text}'"
    if roll < 0.90:
        return f'"{text}"'
    if roll < 0.95:
        return f"\u201c{text}\u201d"
    return f"`{text}`"


def listing(rng: random.Random, items: Sequence[str], at_end: bool) -> str:
    """The items as people list them: commas, brackets, quotes, "and"; bare only `at_end`."""
    roll = rng.random()
    if roll < 0.50:
        return ", ".join(items)
    if roll < 0.65 and len(items) > 1:
        return ", ".join(items[:-1]) + " and " + items[-1]
    if roll < 0.75 and at_end:
        return " ".join(items)
    if roll < 0.83:
        return "[" + ", ".join(items) + "]"
    if roll < 0.88:
        return "; ".join(items)
    if roll < 0.92:
        return ",".join(items)
    mark = rng.choice("'\"")
    text = ", ".join(f"{mark}{item}{mark}" for item in items)
    return f"[{text}]" if rng.random() < 0.5 else text


def fill_text(
    rng: random.Random, template: str, change: Callable[[str], str] | None = None
) -> tuple[str, str]:
    """(task, text): the template with a text (changed by `change`) in its slot, and varied.

    {w} takes one word, {s} several words, {x} either. A text stands in quotation marks, but for
    single words now and then, and for what follows a last ": ", which ends the task.
    """
    if "{w}" in template:
        slot, text = "{w}", word(rng)
        if rng.random() < 0.2:
            text = text.capitalize()
    elif "{s}" in template or rng.random() < 0.5:
        slot = "{s}" if "{s}" in template else "{x}"
        text = ""
    else:
        slot, text = "{x}", word(rng)
    if template.endswith(": " + slot) and rng.random() < 0.5:
        text = text or phrase(rng, marks=False)
        text = change(text) if change else text
        return open_plainly(rng, template.replace(slot, text)), text
    text = text or phrase(rng)
    text = change(text) if change else text
    bare = slot == "{w}" or " " not in text
    shown = text if bare and rng.random() < 0.3 else quote(rng, text)
    return vary(rng, template.replace(slot, shown)), text


def open_plainly(rng: random.Random, task: str) -> str:
    """A variation of the opening only, for a task that ends in text that isn't quoted."""
    roll = rng.random()
    if roll < 0.6:
        return task
    lowered = task[:1].lower() + task[1:]
    if roll < 0.8 or task.startswith(("What", "How", "Is", "Are", "I ", "Which")):
        return lowered
    return rng.choice(("Please ", "please ", "Now ", "Hi, please ")) + lowered
