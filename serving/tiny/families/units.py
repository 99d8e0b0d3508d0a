"""Unit conversion: length, mass, temperature, volume, time, speed, area and data, both ways.

Every unit has one factor to the base unit of its quantity, so that the model learns one number a
unit and not one a pair. The factors are exact by definition (international yard and pound, US
customary volumes, nautical mile; kilobyte is 1000 bytes and kibibyte 1024, by IEC 80000-13).
"""

from __future__ import annotations

import random
from fractions import Fraction

from serving.tiny.example import Example, Step
from serving.tiny.families.common import decimal, finish, whole, with_separators
from serving.tiny.phrasings import Family, Phrasings, Templates

Unit = tuple[str, str, str]
"""Plural name, abbreviation, factor to the base unit as written in code."""

QUANTITIES: dict[str, tuple[str, tuple[Unit, ...]]] = {
    "length": (
        "meters",
        (
            ("meters", "m", "1"),
            ("kilometers", "km", "1000"),
            ("centimeters", "cm", "0.01"),
            ("millimeters", "mm", "0.001"),
            ("miles", "mi", "1609.344"),
            ("yards", "yd", "0.9144"),
            ("feet", "ft", "0.3048"),
            ("inches", "in", "0.0254"),
            ("nautical miles", "nmi", "1852"),
        ),
    ),
    "mass": (
        "kilograms",
        (
            ("kilograms", "kg", "1"),
            ("grams", "g", "0.001"),
            ("milligrams", "mg", "0.000001"),
            ("tonnes", "t", "1000"),
            ("pounds", "lb", "0.45359237"),
            ("ounces", "oz", "0.028349523125"),
            ("stone", "st", "6.35029318"),
        ),
    ),
    "volume": (
        "liters",
        (
            ("liters", "L", "1"),
            ("milliliters", "ml", "0.001"),
            ("cubic meters", "m³", "1000"),
            ("gallons", "gal", "3.785411784"),
            ("quarts", "qt", "0.946352946"),
            ("pints", "pt", "0.473176473"),
            ("cups", "cups", "0.2365882365"),
            ("fluid ounces", "fl oz", "0.0295735295625"),
        ),
    ),
    "time": (
        "seconds",
        (
            ("seconds", "s", "1"),
            ("minutes", "min", "60"),
            ("hours", "h", "3600"),
            ("days", "days", "86400"),
            ("weeks", "weeks", "604800"),
            ("milliseconds", "ms", "0.001"),
        ),
    ),
    "speed": (
        "kilometers per hour",
        (
            ("kilometers per hour", "km/h", "1"),
            ("meters per second", "m/s", "3.6"),
            ("miles per hour", "mph", "1.609344"),
            ("knots", "kn", "1.852"),
            ("feet per second", "ft/s", "1.09728"),
        ),
    ),
    "area": (
        "square meters",
        (
            ("square meters", "m²", "1"),
            ("square kilometers", "km²", "1000000"),
            ("square centimeters", "cm²", "0.0001"),
            ("hectares", "ha", "10000"),
            ("acres", "ac", "4046.8564224"),
            ("square feet", "sq ft", "0.09290304"),
            ("square miles", "sq mi", "2589988.110336"),
        ),
    ),
    "data": (
        "bytes",
        (
            ("bytes", "B", "1"),
            ("bits", "bit", "0.125"),
            ("kilobytes", "KB", "1000"),
            ("megabytes", "MB", "1000000"),
            ("gigabytes", "GB", "1000000000"),
            ("terabytes", "TB", "1000000000000"),
            ("megabits", "Mbit", "125000"),
            ("kibibytes", "KiB", "1024"),
            ("mebibytes", "MiB", "1048576"),
            ("gibibytes", "GiB", "1073741824"),
        ),
    ),
}
_BRITISH = {"meters": "metres", "liters": "litres"}
_SINGULAR = {"feet": "foot", "inches": "inch", "stone": "stone"}

_TEMPERATURES: dict[str, tuple[str, ...]] = {
    "Celsius": ("degrees Celsius", "Celsius", "°C"),
    "Fahrenheit": ("degrees Fahrenheit", "Fahrenheit", "°F"),
    "Kelvin": ("kelvin", "kelvins", "K"),
}
_TO_KELVIN = {
    "Celsius": lambda x: x + Fraction("273.15"),
    "Fahrenheit": lambda x: (x + Fraction("459.67")) / Fraction("1.8"),
    "Kelvin": lambda x: x,
}
_FROM_KELVIN = {
    "Celsius": lambda x: x - Fraction("273.15"),
    "Fahrenheit": lambda x: x * Fraction("1.8") - Fraction("459.67"),
    "Kelvin": lambda x: x,
}
_TEMPERATURE_CODE = {
    ("Celsius", "Fahrenheit"): "{x} * 9 / 5 + 32",
    ("Fahrenheit", "Celsius"): "({x} - 32) * 5 / 9",
    ("Celsius", "Kelvin"): "{x} + 273.15",
    ("Kelvin", "Celsius"): "{x} - 273.15",
    ("Fahrenheit", "Kelvin"): "({x} - 32) * 5 / 9 + 273.15",
    ("Kelvin", "Fahrenheit"): "({x} - 273.15) * 9 / 5 + 32",
}

UNIT_TEMPLATES = (
    "Convert {x} {u} to {v}.",
    "Change the unit of {x} {u} to {v}.",
    "What would {x} {u} be in {v}?",
    "Could I have {x} {u} in {v}?",
    "How many {v} do I get from {x} {u}?",
    "How many {v} make {x} {u}?",
    "Calculate the number of {v} in {x} {u}.",
    "Convert {x} {u} into {v}.",
    "How many {v} are {x} {u}?",
    "How many {v} are in {x} {u}?",
    "How many {v} are there in {x} {u}?",
    "How many {v} is {x} {u}?",
    "What is {x} {u} in {v}?",
    "What's {x} {u} in {v}?",
    "How much is {x} {u} in {v}?",
    "Express {x} {u} in {v}.",
    "Change {x} {u} to {v}.",
    "Change {x} {u} into {v}.",
    "Turn {x} {u} into {v}.",
    "Give me {x} {u} in {v}.",
    "Give {x} {u} in {v}, please.",
    "{x} {u} in {v}?",
    "{x} {u} to {v}",
    "{x} {u} = ? {v}",
    "{x} {u} is how many {v}?",
    "{x} {u} equals how many {v}?",
    "What do {x} {u} make in {v}?",
    "What do you get when you convert {x} {u} to {v}?",
    "What are {x} {u} converted to {v}?",
    "I have {x} {u}. How many {v} is that?",
    "I have {x} {u}. How much is that in {v}?",
    "I need {x} {u} in {v}.",
    "I need to convert {x} {u} to {v}.",
    "My value is {x} {u}. What is it in {v}?",
    "The value is {x} {u}. Convert it to {v}.",
    "The label says {x} {u}. How many {v} is that?",
    "It says {x} {u}, but I need {v}. How much is it?",
    "Calculate how many {v} are in {x} {u}.",
    "Calculate {x} {u} in {v}.",
    "Compute {x} {u} in {v}.",
    "Find how many {v} there are in {x} {u}.",
    "Find the number of {v} in {x} {u}.",
    "Tell me how many {v} {x} {u} are.",
    "Tell me {x} {u} in {v}.",
    "Work out {x} {u} in {v}.",
    "Write {x} {u} in {v}.",
    "Measured in {v}, how much is {x} {u}?",
    "In {v}, how much is {x} {u}?",
    "In {v}, what is {x} {u}?",
    "To how many {v} do {x} {u} correspond?",
    "What does {x} {u} correspond to in {v}?",
    "If something is {x} {u}, how many {v} is it?",
    "If I have {x} {u}, how many {v} do I have?",
    "From {u} to {v}: how much is {x}?",
    "Convert from {u} to {v}: {x}",
    "Do the unit conversion of {x} {u} to {v}.",
    "Translate {x} {u} into {v}.",
    "Show {x} {u} in {v}.",
)


def _amount(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.35:
        return decimal(rng, 1, 4)
    if roll < 0.42:
        return f"0.{rng.randint(1, 99):02d}".rstrip("0")
    return whole(rng, 1, 5)


def _pair(rng: random.Random, units: tuple[Unit, ...]) -> tuple[Unit, Unit]:
    """Two units of one quantity that are not absurdly far apart."""
    while True:
        source, target = rng.sample(units, 2)
        if 1e-4 < float(source[2]) / float(target[2]) < 1e7:
            return source, target


def _shown(rng: random.Random, unit: Unit, short: bool) -> str:
    if short:
        return unit[1]
    for american, british in _BRITISH.items():
        if american in unit[0] and rng.random() < 0.3:
            return unit[0].replace(american, british)
    return unit[0]


def _singular(plural: str) -> str:
    first, _, rest = plural.partition(" per ")
    *before, last = first.split()
    last = _SINGULAR.get(last, last.removesuffix("s"))
    return " ".join([*before, last]) + (f" per {rest}" if rest else "")


def _temperature(rng: random.Random, template: str) -> Example:
    source, target = rng.sample(tuple(_TEMPERATURES), 2)
    low, high = {"Celsius": (-60, 500), "Fahrenheit": (-76, 900), "Kelvin": (1, 900)}[source]
    x = str(rng.randint(low, high))
    if rng.random() < 0.25:
        x += f".{rng.randint(1, 9)}"
    value = _FROM_KELVIN[target](_TO_KELVIN[source](Fraction(x)))
    step = Step(
        f"Temperature: {source} to {target}.",
        f"final_answer(round({_TEMPERATURE_CODE[source, target].format(x=x)}, 6))",
    )
    style = rng.randrange(3)
    slots = {"x": x, "u": _TEMPERATURES[source][style], "v": _TEMPERATURES[target][style]}
    return finish(rng, "unit_conversion", template, slots, step, value)


def unit_conversion(rng: random.Random, phrasings: Phrasings) -> Example:
    """One amount from one unit to another of the same quantity."""
    template = phrasings.pick(rng, "unit_conversion", UNIT_TEMPLATES)
    quantity = rng.choice((*QUANTITIES, "length", "mass", "temperature", "temperature"))
    if quantity == "temperature":
        return _temperature(rng, template)
    base, units = QUANTITIES[quantity]
    source, target = _pair(rng, units)
    x = _amount(rng)
    short = rng.random() < 0.3
    one, other = _singular(source[0]), _singular(target[0])
    step = Step(
        f"Units of {quantity}. In {base}: 1 {one} = {source[2]}, 1 {other} = {target[2]}.",
        f"final_answer(round({x} * {source[2]} / {target[2]}, 6))",
    )
    value = Fraction(x) * Fraction(source[2]) / Fraction(target[2])
    slots = {
        "x": with_separators(x) if rng.random() < 0.1 else x,
        "u": _shown(rng, source, short),
        "v": _shown(rng, target, short),
    }
    return finish(rng, "unit_conversion", template, slots, step, value)


TEMPLATES: dict[str, Templates] = {"unit_conversion": UNIT_TEMPLATES}
FAMILIES: dict[str, Family] = {"unit_conversion": unit_conversion}
