"""Dates: days between two, days added and taken away, weekdays, weekends."""

from __future__ import annotations

import datetime
import random

from serving.tiny.example import Example, Step
from serving.tiny.families.common import finish
from serving.tiny.phrasings import Family, Phrasings, Templates

MONTHS = "January February March April May June July August September October November December"
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"

ARITHMETIC: dict[str, tuple[str, ...]] = {
    "between": (
        "How many days are there between {d} and {e}?",
        "How many days are there from {d} to {e}?",
        "How many days lie between {d} and {e}?",
        "How many days is it from {d} to {e}?",
        "How many days passed from {d} to {e}?",
        "Count the days between {d} and {e}.",
        "Count the days from {d} to {e}.",
        "What is the number of days between {d} and {e}?",
        "Find the number of days from {d} to {e}.",
        "Compute the difference in days between {d} and {e}.",
        "Calculate how many days are between {d} and {e}.",
        "What is the difference between {d} and {e} in days?",
        "A project runs from {d} to {e}. How many days is that?",
        "I was away from {d} to {e}. How many days was I away?",
        "How long is it from {d} to {e} in days?",
        "How long is the time between {d} and {e} in days?",
        "Tell me how many days separate {d} and {e}.",
        "How many days apart are {d} and {e}?",
        "{name} was born on {d}. How old in days is {name} on {e}?",
    ),
    "after": (
        "What date is {n} days after {d}?",
        "Which date is {n} days after {d}?",
        "What is the date {n} days after {d}?",
        "What date comes {n} days after {d}?",
        "Add {n} days to {d}.",
        "What date do I get if I add {n} days to {d}?",
        "Find the date {n} days after {d}.",
        "Calculate the date {n} days after {d}.",
        "What date is it {n} days from {d}?",
        "Starting on {d}, what is the date after {n} days?",
        "A task starts on {d} and takes {n} days. On which date does it end?",
        "The invoice of {d} is due in {n} days. What is the due date?",
        "If today is {d}, what date is it in {n} days?",
        "Today is {d}. What is the date in {n} days?",
        "I have {n} days from {d}. What date is the deadline?",
        "Compute {d} plus {n} days.",
        "What is {d} plus {n} days?",
    ),
    "before": (
        "What date is {n} days before {d}?",
        "Which date is {n} days before {d}?",
        "What is the date {n} days before {d}?",
        "What date comes {n} days before {d}?",
        "Subtract {n} days from {d}.",
        "What date do I get if I subtract {n} days from {d}?",
        "Find the date {n} days before {d}.",
        "Calculate the date {n} days before {d}.",
        "Today is {d}. What was the date {n} days ago?",
        "If today is {d}, what date was it {n} days ago?",
        "It ended on {d} after {n} days. On which date did it start?",
        "The deadline is {d}. What is the date {n} days earlier?",
        "Compute {d} minus {n} days.",
        "What is {d} minus {n} days?",
        "Go back {n} days from {d}: what date is it?",
    ),
    "weeks": (
        "What date is {n} weeks after {d}?",
        "Which date is {n} weeks after {d}?",
        "What is the date {n} weeks after {d}?",
        "Add {n} weeks to {d}.",
        "Find the date {n} weeks after {d}.",
        "Starting on {d}, what is the date after {n} weeks?",
        "If today is {d}, what date is it in {n} weeks?",
        "Today is {d}. What is the date in {n} weeks?",
        "A course starts on {d} and takes {n} weeks. On which date does it end?",
        "Compute {d} plus {n} weeks.",
        "What is {d} plus {n} weeks?",
    ),
    "day_of_year": (
        "What day of the year is {d}?",
        "Which day of the year is {d}?",
        "What day number of the year is {d}?",
        "Which day number in its year is {d}?",
        "Counting from January 1, which day of the year is {d}?",
        "Find the day of the year for {d}.",
        "Give the day of the year of {d}.",
        "Tell me which day of the year {d} is.",
    ),
}

WEEKDAY: dict[str, tuple[str, ...]] = {
    "of": (
        "What day of the week is {d}?",
        "What day of the week was {d}?",
        "Which weekday is {d}?",
        "Which weekday was {d}?",
        "What weekday is {d}?",
        "On which day of the week does {d} fall?",
        "On which weekday does {d} fall?",
        "What weekday did {d} fall on?",
        "Tell me the weekday of {d}.",
        "Tell me the day of the week for {d}.",
        "Find the weekday of {d}.",
        "Find the day of the week of {d}.",
        "Give me the weekday for {d}.",
        "Which day of the week is {d}?",
        "{name} was born on {d}. What day of the week was that?",
        "My birthday is on {d}. Which weekday is it?",
        "The meeting is on {d}. What day of the week is that?",
        "Is {d} a Monday, a Tuesday or what weekday?",
        "Determine the day of the week of {d}.",
        "I was born on {d}. Which weekday was it?",
    ),
    "after": (
        "What day of the week is {n} days after {d}?",
        "Which weekday is {n} days after {d}?",
        "What weekday is it {n} days after {d}?",
        "Add {n} days to {d}. What day of the week is it?",
        "If today is {d}, which weekday is it in {n} days?",
        "Today is {d}. What day of the week is it in {n} days?",
        "Find the weekday {n} days after {d}.",
        "Find the day of the week {n} days after {d}.",
        "Tell me the weekday {n} days after {d}.",
        "On which weekday does the date {n} days after {d} fall?",
    ),
    "before": (
        "What day of the week was {n} days before {d}?",
        "What weekday is {n} days before {d}?",
        "Go back {n} days from {d}: which weekday is it?",
        "What day of the week is {n} days before {d}?",
        "Which weekday was {n} days before {d}?",
        "What weekday was it {n} days before {d}?",
        "Subtract {n} days from {d}. What day of the week is it?",
        "If today is {d}, which weekday was it {n} days ago?",
        "Today is {d}. What day of the week was it {n} days ago?",
        "Find the weekday {n} days before {d}.",
        "Find the day of the week {n} days before {d}.",
        "Tell me the weekday {n} days before {d}.",
    ),
    "named": (
        "If today is {w}, what day is it in {n} days?",
        "If today is {w}, which weekday is it in {n} days?",
        "Today is {w}. What day of the week is it in {n} days?",
        "Today is {w}. Which day will it be in {n} days?",
        "It is {w} today. What weekday is it in {n} days?",
        "It is {w} today. Which day is it after {n} days?",
        "Which day of the week comes {n} days after a {w}?",
        "What weekday is {n} days after {w}?",
        "What day is {n} days after {w}?",
        "Starting on a {w}, what day of the week is it after {n} days?",
        "Suppose it is {w}. What day will it be {n} days from now?",
    ),
    "weekend": (
        "Is {d} on a weekend?",
        "Is {d} a Saturday or Sunday?",
        "Does the date {d} fall on a weekend?",
        "Is {d} at the weekend?",
        "Does {d} fall on a weekend?",
        "Is {d} a weekend day?",
        "Was {d} on a weekend?",
        "Check whether {d} is on a weekend.",
        "Check if {d} falls on a weekend.",
        "Tell me if {d} is a weekend day.",
        "Tell me whether {d} is on a weekend.",
        "Is the date {d} on a weekend?",
    ),
}


def _draw(rng: random.Random) -> datetime.date:
    year = rng.randint(1950, 2035) if rng.random() < 0.8 else rng.randint(1850, 2199)
    return datetime.date(year, 1, 1) + datetime.timedelta(rng.randrange(365))


def _written(rng: random.Random, day: datetime.date, style: int) -> str:
    """The date as people write it; the formats that mix up day and month are left out."""
    month = MONTHS.split()[day.month - 1]
    if style <= 2:
        return day.isoformat()
    if style <= 4:
        return f"{month} {day.day}, {day.year}"
    if style == 5:
        return f"{day.day} {month} {day.year}"
    if style == 6:
        return f"{month[:3]} {day.day}, {day.year}"
    if style == 7:
        return f"{day.day} {month[:3]} {day.year}"
    last = day.day % 10 if day.day not in (11, 12, 13) else 0
    ending = {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
    return f"{month} {day.day}{ending}, {day.year}"


def _code(day: datetime.date) -> str:
    return f"date({day.year}, {day.month}, {day.day})"


def _span(rng: random.Random) -> int:
    return rng.randint(2, rng.choice((30, 120, 999, 9999)))


def _name(rng: random.Random) -> str:
    return rng.choice(("Anna", "Ben", "Carla", "David", "Emma", "Hugo", "Maria", "Omar", "Tom"))


def date_arithmetic(rng: random.Random, phrasings: Phrasings) -> Example:
    """Days between two dates, a date so many days or weeks away, the day of the year."""
    name = "date_arithmetic"
    kind, template = phrasings.pick_kind(rng, name, ARITHMETIC)
    day, style = _draw(rng), rng.randrange(9)
    slots = {"d": _written(rng, day, style), "name": _name(rng)}
    if kind == "day_of_year":
        code = f"from datetime import date\nfinal_answer({_code(day)}.timetuple().tm_yday)"
        step = Step(f"Dates: the day of the year of {day}.", code)
        first = datetime.date(day.year, 1, 1)
        return finish(rng, name, template, slots, step, (day - first).days + 1)
    if kind == "between":
        days = _span(rng)
        other = day + datetime.timedelta(days)
        code = f"from datetime import date\nfinal_answer(({_code(other)} - {_code(day)}).days)"
        slots["e"] = _written(rng, other, style)
        step = Step(f"Dates: days from {day} to {other}.", code)
        return finish(rng, name, template, slots, step, days)
    n = rng.randint(2, rng.choice((12, 120))) if kind == "weeks" else _span(rng)
    unit, sign = ("weeks" if kind == "weeks" else "days"), ("-" if kind == "before" else "+")
    code = (
        "from datetime import date, timedelta\n"
        f"final_answer(str({_code(day)} {sign} timedelta({unit}={n})))"
    )
    distance = (n * 7 if kind == "weeks" else n) * (-1 if kind == "before" else 1)
    value = datetime.date.fromordinal(day.toordinal() + distance).isoformat()
    words = "before" if kind == "before" else "after"
    step = Step(f"Dates: {n} {unit} {words} {day}.", code)
    return finish(rng, name, template, slots | {"n": str(n)}, step, value)


def _weekday(day: datetime.date) -> str:
    """By Zeller's congruence (Gregorian), apart from the code's strftime."""
    month, year = (day.month, day.year) if day.month > 2 else (day.month + 12, day.year - 1)
    century, short = divmod(year, 100)
    h = (day.day + 13 * (month + 1) // 5 + short + short // 4 + century // 4 + 5 * century) % 7
    return WEEKDAYS.split()[(h + 5) % 7]


def _named_weekday(rng: random.Random, template: str) -> Example:
    start, n = rng.choice(WEEKDAYS.split()), rng.randint(2, rng.choice((60, 1000, 9999)))
    code = (
        "import calendar\ndays = list(calendar.day_name)\n"
        f'final_answer(days[(days.index("{start}") + {n}) % 7])'
    )
    value = start
    for _ in range(n % 7):
        value = WEEKDAYS.split()[(WEEKDAYS.split().index(value) + 1) % 7]
    step = Step(f"Weekdays: {n} days after {start}.", code)
    return finish(rng, "weekdays", template, {"w": start, "n": str(n)}, step, value)


def weekdays(rng: random.Random, phrasings: Phrasings) -> Example:
    """The weekday of a date, of one so many days away, and whether it is on a weekend."""
    name = "weekdays"
    kind, template = phrasings.pick_kind(rng, name, WEEKDAY)
    if kind == "named":
        return _named_weekday(rng, template)
    day, n = _draw(rng), _span(rng)
    slots = {"d": _written(rng, day, rng.randrange(9)), "n": str(n), "name": _name(rng)}
    if kind == "weekend":
        code = f'final_answer("yes" if {_code(day)}.weekday() >= 5 else "no")'
        step = Step(f"Weekdays: is {day} on a weekend?", f"from datetime import date\n{code}")
        value = "yes" if _weekday(day) in ("Saturday", "Sunday") else "no"
        return finish(rng, name, template, slots, step, value)
    if kind == "of":
        code = f'from datetime import date\nfinal_answer({_code(day)}.strftime("%A"))'
        step = Step(f"Weekdays: the weekday of {day}.", code)
        return finish(rng, name, template, slots, step, _weekday(day))
    sign, distance = ("-", -n) if kind == "before" else ("+", n)
    code = (
        "from datetime import date, timedelta\n"
        f'final_answer(({_code(day)} {sign} timedelta(days={n})).strftime("%A"))'
    )
    value = _weekday(datetime.date.fromordinal(day.toordinal() + distance))
    step = Step(f"Weekdays: the weekday {n} days {kind} {day}.", code)
    return finish(rng, name, template, slots, step, value)


TEMPLATES: dict[str, Templates] = {"date_arithmetic": ARITHMETIC, "weekdays": WEEKDAY}
FAMILIES: dict[str, Family] = {"date_arithmetic": date_arithmetic, "weekdays": weekdays}
