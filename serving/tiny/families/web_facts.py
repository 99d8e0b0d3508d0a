"""All facts of the invented web, by their key words and by what they are about."""

from __future__ import annotations

import random
from collections.abc import Callable

from serving.tiny.families.relation import Relation
from serving.tiny.families.values import city, company, country, name, title
from serving.tiny.families.web_places import PLACES
from serving.tiny.families.web_works import WORKS
from serving.tiny.families.words import person


def _suffix(*endings: str) -> Callable[[random.Random], str]:
    return lambda rng: f"{name(rng)} {rng.choice(endings)}"


TOPICS: dict[str, tuple[Callable[[random.Random], str], bool]] = {
    "country": (country, False),
    "city": (city, False),
    "person": (person, False),
    "company": (company, False),
    "river": (_suffix("River"), True),
    "mountain": (lambda rng: f"Mount {name(rng)}", False),
    "lake": (lambda rng: f"Lake {name(rng)}", False),
    "island": (_suffix("Island"), False),
    "book": (title, False),
    "film": (title, False),
    "song": (title, False),
    "painting": (title, False),
    "bridge": (_suffix("Bridge"), True),
    "tower": (_suffix("Tower", "Building"), True),
    "museum": (_suffix("Museum", "Gallery"), True),
    "university": (lambda rng: f"University of {city(rng)}", True),
    "festival": (_suffix("Festival"), True),
    "cup": (lambda rng: f"{rng.randint(1950, 2024)} {name(rng)} Cup", True),
    "product": (lambda rng: f"{name(rng)} {rng.choice('XZTPMQ')}{rng.randint(2, 900)}", True),
    "planet": (lambda rng: f"planet {name(rng)}", True),
    "battle": (lambda rng: f"Battle of {name(rng)}", True),
    "airport": (_suffix("Airport"), True),
}
"""What facts are about: how it is named, and whether a sentence puts "the" before it."""

RELATIONS = PLACES + WORKS
WEB_BY_KEY: dict[str, Relation] = {relation.key: relation for relation in RELATIONS}
WEB_BY_TOPIC: dict[str, tuple[Relation, ...]] = {
    topic: tuple(r for r in RELATIONS if topic in r.topics) for topic in TOPICS
}
WEB: dict[str, tuple[str, ...]] = {relation.key: relation.asks for relation in RELATIONS}
