"""Whatever lies outside: an honest answer that the bundled model can't do it, and what to do."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from serving.tiny.example import Example, Expect, Step
from serving.tiny.families.refusal_templates import REFUSAL
from serving.tiny.families.values import JOBS, LANGUAGES, city, title
from serving.tiny.families.words import ADJECTIVES, FIRST_NAMES, NOUNS, made_up, person, split
from serving.tiny.families.writing import literal, phrase, quote
from serving.tiny.phrasings import Family, Phrasings, Templates, vary

ANSWER = (
    "This needs a stronger model: the bundled model can't do it. "
    "Choose one with HEARTH_MODEL, see the README."
)
THINKING = "I can't do this; it needs a stronger model."


def _options(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_TOPICS = _options(
    "autumn|spring|the sea|friendship|love|courage|loneliness|time|democracy|climate change|gravity"
    "|black holes|quantum physics|evolution|photosynthesis|the French Revolution|ancient Rome"
    "|the Middle Ages|the Renaissance|the industrial revolution|the Cold War"
    "|artificial intelligence|machine learning|neural networks|blockchain|cryptocurrency"
    "|inflation|taxes|the stock market"
    "|globalisation|migration|human rights|freedom|justice|happiness|grief|childhood|old age|dreams"
    "|sleep|meditation|yoga|running|football|chess|cooking|gardening|travelling|photography|jazz"
    "|classical music|hip hop|modern art|architecture|poetry|theatre|cinema|philosophy|ethics"
    "|religion|mythology|psychology|education|social media|video games|remote work|electric cars"
    "|renewable power|nuclear energy|recycling|veganism|coffee|chocolate|wine|space travel|the moon"
    "|Mars|volcanoes|earthquakes|the weather|the ocean|rainforests|whales|bees|dogs|cats|dinosaurs"
    "|the brain|the immune system|vaccines|genetics|antibiotics|vitamins|prime numbers|statistics"
    "|probability|geometry|calculus|algebra|fractions|percentages|number theory|cryptography"
    "|compilers|operating systems|databases|open source software|robots|cities|traffic|money|power"
    "|war and peace|marriage|parenting|leadership|teamwork|stress|motivation|habits|luck|magic"
)
_PROGRAMS = _options(
    "sorts my photos|plays tic-tac-toe|downloads the news|tracks my expenses|manages a library"
    "|sends reminders|scrapes a website|draws fractals|counts my steps|books meeting rooms"
    "|shows the weather|translates messages|edits videos|finds duplicates|controls a robot"
    "|trades stocks|simulates traffic|learns to play chess|stores recipes|streams music"
)
_TASKS = _options(
    "repair a bicycle|paint a wall|clean the oven|train a dog|grow tomatoes|bake a cake|tie a tie"
    "|change a tyre|remove a stain|save money|write a book|learn the guitar|run a marathon|quit"
    " smoking|find a job|build a shed|plan a wedding|unclog a sink|move to another country|start a"
    " company|sleep better|make cheese|cook rice|iron a shirt|fix a leaking tap|sell a house|raise"
    " chickens|meet new people|study for an exam|get rid of ants|make a kite|give a speech"
)
_AILMENTS = split(
    "headaches fever cough nausea insomnia dizziness toothache hiccups heartburn anxiety asthma"
    " backache acne migraines allergies cramps sunburn fatigue hayfever stress"
)
_FILES = split(
    "letter.txt essay.txt report.md article.txt speech.txt chapter1.txt diary.txt interview.txt"
    " proposal.md story.txt minutes.txt review.txt paper.md"
)


def _gibberish(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return made_up(rng)
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9)))


def _topic(rng: random.Random) -> str:
    return rng.choice(_TOPICS) if rng.random() < 0.8 else f"{rng.choice(NOUNS)}s"


_SLOTS: dict[str, Callable[[random.Random], str]] = {
    "t": _topic,
    "n": lambda rng: rng.choice(NOUNS),
    "m": lambda rng: rng.choice(NOUNS),
    "a": lambda rng: rng.choice(ADJECTIVES),
    "f": lambda rng: rng.choice(FIRST_NAMES),
    "p": person,
    "l": lambda rng: rng.choice(LANGUAGES),
    "c": city,
    "j": lambda rng: rng.choice(JOBS),
    "s": lambda rng: quote(rng, phrase(rng) if rng.random() < 0.9 else title(rng)),
    "g": _gibberish,
    "k": lambda rng: rng.choice(_PROGRAMS),
    "h": lambda rng: rng.choice(_TASKS),
    "d": lambda rng: rng.choice(_FILES),
    "i": lambda rng: rng.choice(_AILMENTS),
}
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeio])")
_SLOT = re.compile(r"\{([a-z])(2?)\}")


def _text_file(rng: random.Random) -> bytes:
    lines = [phrase(rng) for _ in range(rng.randint(2, 6))]
    return ("\n".join(lines) + "\n").encode()


def refusal(rng: random.Random, phrasings: Phrasings) -> Example:
    """A request of any kind that no other family can meet."""
    _, template = phrasings.pick_kind(rng, "refusal", REFUSAL)
    files: dict[str, bytes] = {}

    def fill(match: re.Match[str]) -> str:
        text = _SLOTS[match[1]](rng)
        if match[1] == "d":
            files[text] = _text_file(rng)
        return text

    task = vary(rng, _ARTICLE.sub(r"\1n ", _SLOT.sub(fill, template)))
    if not files and rng.random() < 0.03:
        files[rng.choice(_FILES)] = _text_file(rng)
    step = Step(THINKING, f"final_answer({literal(ANSWER)})")
    return Example("refusal", template, task, Expect("refusal", ANSWER), [step], files=files)


TEMPLATES: dict[str, Templates] = {"refusal": REFUSAL}
FAMILIES: dict[str, Family] = {"refusal": refusal}
