"""Invented names, dates, codes and quantities: what facts to be searched are made of."""

from __future__ import annotations

import random
from collections.abc import Callable

from serving.tiny.families.words import (
    ADJECTIVES,
    FIRST_NAMES,
    NOUNS,
    made_up,
    person,
    split,
)

MONTHS = split(
    "January February March April May June July August September October November December"
)
DAYS = split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
COLOURS = split(
    "red blue green yellow orange purple black white grey brown pink turquoise silver gold beige"
)
LANGUAGES = split(
    "Arabic Czech Danish Dutch Finnish French Georgian German Greek Hindi Hungarian Italian"
    " Japanese Korean Latin Mandarin Norwegian Polish Portuguese Romanian Russian Spanish Swahili"
    " Swedish Tamil Thai Turkish Urdu Welsh Zulu"
)
JOBS = split(
    "painter poet architect physicist chemist composer sculptor pianist novelist historian"
    " biologist engineer astronomer singer actor photographer surgeon explorer cyclist swimmer"
    " journalist philosopher mathematician geologist dancer violinist chef botanist pilot lawyer"
)
FOODS = split(
    "apples bread butter carrots cheese chicken chocolate coffee cookies dumplings eggs figs"
    " garlic grapes honey lasagne lemons lentils mangoes milk mushrooms mussels noodles olives"
    " onions oranges pancakes pasta peaches peanuts pears peppers pizza plums potatoes pumpkin"
    " rice salmon shrimp soup spinach strawberries sushi tofu tomatoes tuna walnuts yoghurt"
)
REAL_PLACES = split(
    "Lisbon Porto Oslo Bergen Vienna Graz Prague Brno Warsaw Krakow Athens Cairo Nairobi Lagos"
    " Accra Tunis Delhi Mumbai Hanoi Seoul Tokyo Kyoto Osaka Lima Quito Bogota Toronto Montreal"
    " Boston Chicago Denver Seattle Dublin Cork Leeds Bristol Cardiff Glasgow Paris Lyon Madrid"
    " Seville Rome Naples Turin Berlin Hamburg Munich Zurich Geneva Sydney Perth Auckland"
)
_CITY_ENDS = split("burg ville ton port ford stad grad haven bridge field mouth minster wick holm")
_COUNTRY_ENDS = split("ia land stan ovia onia ara istan aland mark esia")
_COMPANY_ENDS = split(
    "Systems Foods Motors Labs Airlines Bank Energy Robotics Software Textiles Pharma Media Optics"
    " Logistics Brewing Toys Networks Steel Shipping Instruments Games Press Dairy Furniture"
)


def name(rng: random.Random) -> str:
    """A made-up proper name."""
    return made_up(rng).capitalize()


def city(rng: random.Random) -> str:
    """A town: mostly invented, one in six real."""
    roll = rng.random()
    if roll < 0.17:
        return rng.choice(REAL_PLACES)
    if roll < 0.55:
        return name(rng) + rng.choice(_CITY_ENDS)
    if roll < 0.68:
        return f"{rng.choice(('Port', 'New', 'San', 'Upper', 'Saint', 'North'))} {name(rng)}"
    return name(rng)


def country(rng: random.Random) -> str:
    """An invented country."""
    return made_up(rng, 1, 2).capitalize() + rng.choice(_COUNTRY_ENDS)


def company(rng: random.Random) -> str:
    """An invented company."""
    first = rng.choice(NOUNS).capitalize() if rng.random() < 0.3 else name(rng)
    return f"{first} {rng.choice(_COMPANY_ENDS)}"


def title(rng: random.Random) -> str:
    """A title of a book, film, song or painting."""
    noun, other = rng.choice(NOUNS).capitalize(), rng.choice(NOUNS).capitalize()
    adjective = rng.choice(ADJECTIVES).capitalize()
    return rng.choice(
        (
            f"The {adjective} {noun}",
            f"The {noun} of {name(rng)}",
            f"{adjective} {noun}",
            f"A {noun} for {rng.choice(FIRST_NAMES)}",
            f"{noun} and {other}",
            f"The Last {noun}",
            f"{name(rng)}",
        )
    )


def date(rng: random.Random) -> str:
    """A day with its year."""
    day, month, year = rng.randint(1, 28), rng.choice(MONTHS), rng.randint(1750, 2024)
    return f"{day} {month} {year}" if rng.random() < 0.6 else f"{month} {day}, {year}"


def day_of_year(rng: random.Random) -> str:
    """A day without a year."""
    return f"{rng.randint(1, 28)} {rng.choice(MONTHS)}"


def clock(rng: random.Random) -> str:
    """A time of day."""
    minute = rng.choice(("00", "15", "30", "45", "10", "20", "05", "50"))
    if rng.random() < 0.7:
        return f"{rng.randint(6, 22)}:{minute}"
    return f"{rng.randint(1, 12)} {rng.choice(('am', 'pm'))}"


def code(rng: random.Random) -> str:
    """A password or code."""
    roll = rng.random()
    if roll < 0.4:
        return f"{made_up(rng)}-{rng.randint(10, 9999)}"
    if roll < 0.6:
        return (
            f"{rng.choice(NOUNS).capitalize()}{rng.choice(NOUNS).capitalize()}{rng.randint(1, 99)}"
        )
    if roll < 0.8:
        return "".join(rng.choices("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=8))
    return f"{name(rng)}!{rng.randint(10, 99)}"


def number_code(rng: random.Random) -> str:
    """A code of digits, possibly with a letter or two."""
    if rng.random() < 0.6:
        return str(rng.randint(1000, 999_999))
    letters = "".join(rng.choices("ABCDEFGHKLMNPRSTXYZ", k=2))
    return f"{letters}{rng.randint(100, 99_999)}"


def phone(rng: random.Random) -> str:
    """A telephone number."""
    if rng.random() < 0.5:
        return f"555-{rng.randint(0, 9999):04d}"
    return f"0{rng.randint(20, 99)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}"


def plate(rng: random.Random) -> str:
    """A licence plate."""
    letters = "".join(rng.choices("ABCDEFGHJKLMNPRSTVWXYZ", k=4))
    return f"{letters[:2]}-{letters[2:]} {rng.randint(1, 9999)}"


def people(rng: random.Random) -> str:
    """A number of people or things, with thousands marked, or in millions."""
    if rng.random() < 0.3:
        return f"{rng.randint(11, 990) / 10} million"
    return f"{rng.randint(200, 990_000):,}"


def price(rng: random.Random) -> str:
    """An amount of money with its currency."""
    roll, amount = rng.random(), rng.choice((rng.randint(2, 90), rng.randint(90, 4000)))
    cents = f".{rng.choice((0, 20, 50, 75, 90, 95, 99)):02d}" if rng.random() < 0.4 else ""
    if roll < 0.4:
        return f"${amount}{cents}"
    if roll < 0.75:
        return f"{amount}{cents} euros"
    return f"{amount}{cents} dollars"


def _named(text: str) -> Callable[[random.Random], str]:
    return lambda rng: text.replace("*", name(rng), 1)


def _count(low: int, high: int, unit: str = "") -> Callable[[random.Random], str]:
    return lambda rng: f"{rng.randint(low, high):,}{unit}"


def _one_of(options: tuple[str, ...]) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(options)


VALUES: dict[str, Callable[[random.Random], str]] = {
    "person": person,
    "doctor": lambda rng: f"Dr. {person(rng) if rng.random() < 0.4 else name(rng)}",
    "first name": lambda rng: rng.choice(FIRST_NAMES) if rng.random() < 0.6 else name(rng),
    "name": name,
    "city": city,
    "country": country,
    "company": company,
    "title": title,
    "year": _count(1200, 2024),
    "date": date,
    "day": day_of_year,
    "weekday": _one_of(DAYS),
    "month": _one_of(MONTHS),
    "clock": clock,
    "day and time": lambda rng: f"{rng.choice(DAYS)} at {clock(rng)}",
    "code": code,
    "number code": number_code,
    "phone": phone,
    "plate": plate,
    "people": people,
    "price": price,
    "language": _one_of(LANGUAGES),
    "colour": _one_of(COLOURS),
    "food": _one_of(FOODS),
    "job": _one_of(JOBS),
    "currency": lambda rng: name(rng).lower(),
    "metres": _count(12, 8_900, " metres"),
    "kilometres": lambda rng: (
        f"{rng.randint(3, 4000):,} {rng.choice(('km', 'kilometres', 'miles'))}"
    ),
    "area": _count(3, 90_000, " square kilometres"),
    "hours": _count(3, 72, " hours"),
    "minutes": _count(4, 190, " minutes"),
    "grams": _count(20, 950, " grams"),
    "kilograms": lambda rng: f"{rng.randint(2, 900) / 10} kg",
    "degrees": lambda rng: f"{rng.randint(14, 25) * 10} degrees",
    "few": _count(2, 12),
    "dozens": _count(13, 400),
    "score": lambda rng: f"{rng.randint(0, 7)}-{rng.randint(0, 7)}",
    "street": lambda rng: (
        f"{rng.randint(1, 240)} {name(rng)} {rng.choice(('Street', 'Road', 'Lane'))}"
    ),
    "email": lambda rng: f"{rng.choice(FIRST_NAMES).lower()}@{made_up(rng)}.example",
    "sea": lambda rng: f"Gulf of {name(rng)}" if rng.random() < 0.5 else f"{name(rng)} Sea",
    "shoe size": _count(34, 48),
    "blood type": _one_of(("A+", "A-", "B+", "B-", "AB+", "AB-", "0+", "0-")),
    "version": lambda rng: f"{rng.randint(1, 24)}.{rng.randint(0, 30)}",
    "pressure": lambda rng: f"{rng.randint(18, 55) / 10} bar",
    "port": lambda rng: str(rng.randint(80, 9999)),
    "size": lambda rng: rng.choice((str(rng.randint(34, 48)), "S", "M", "L", "XL")),
    "address": lambda rng: f"192.168.{rng.randint(0, 9)}.{rng.randint(2, 254)}",
    "noun": lambda rng: rng.choice(NOUNS),
    "event": _named("the * talks"),
}


def value(rng: random.Random, kind: str) -> str:
    """A value of the kind, a key of VALUES. Years carry no thousands mark."""
    return VALUES[kind](rng).replace(",", "") if kind == "year" else VALUES[kind](rng)
