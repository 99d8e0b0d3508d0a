"""Dates in words: read as people write them, and what there is to know of them.

Years before 1 and after 9999 are beyond Python's own dates; days are counted here by their Julian
day number, in the Gregorian calendar as if it had always been used (the proleptic one, as ISO 8601
and Python have it). For days before its start, 15 October 1582, the Julian date is said too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

_GREGORIAN_START = 2_299_161  # the Julian day number of 15 October 1582
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTH_NAMES = """
    January February March April May June July August September October November December
    """
_MONTHS = _MONTH_NAMES.split()
_MOST_YEARS = 100_000
_ISO = re.compile(r"([+-]?\d{1,6})-(\d{1,2})-(\d{1,2})")
_NUMBERS = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_BC = re.compile(r"\b(b\.?\s?c\.?(\s?e\.?)?)(?![a-z])", re.I)
_AD = re.compile(r"\b(a\.?d\.?|c\.?e\.?)(?![a-z])", re.I)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?\s*([ap]\.?m\.?)?", re.I)
_OFFSET = re.compile(r"(Z|UTC|GMT)?([+-]\d{1,2})(?::?(\d{2}))?$|(Z|UTC|GMT)$", re.I)
_ZONE = re.compile(r"\b[A-Za-z]+(?:/[A-Za-z_+\-0-9]+)+\b")
_WORD = re.compile(r"[A-Za-zÀ-ÿ]+")
_PIECE = re.compile(
    r"([+-]?\d+)\s*(working day|business day|workday|weekday|year|month|week|day|hour|minute)s?",
    re.I,
)


@dataclass(frozen=True)
class Moment:
    """A day by its year (0 is 1 BC), month and day; perhaps a time of day with its zone.

    `note` says how an ambiguous date was read.
    """

    year: int
    month: int
    day: int
    time: datetime | None = None
    note: str = ""

    @property
    def number(self) -> int:
        """The Julian day number, which counts days."""
        return _day_number(self.year, self.month, self.day)

    def __str__(self) -> str:
        if self.year < 1:
            return f"{self.day} {_MONTHS[self.month - 1]} {1 - self.year} BC"
        return f"{self.year:04d}-{self.month:02d}-{self.day:02d}"


def parse(text: str, now: datetime) -> Moment:
    """The date in `text`. Raises ValueError, in words, where there is none."""
    given = " ".join(text.split())
    if not given or len(given) > 100:
        raise ValueError("The date is missing." if not given else "The date is too long.")
    lower = given.lower()
    if lower in ("today", "now", "tomorrow", "yesterday"):
        moved = now + timedelta({"tomorrow": 1, "yesterday": -1}.get(lower, 0))
        return _of(moved, with_time=lower == "now")
    zone_name = _ZONE.search(given)
    rest = given.replace(zone_name[0], " ") if zone_name and "/" in zone_name[0] else given
    zone = _zone(zone_name[0]) if rest != given and zone_name else None
    clock = _CLOCK.search(rest)
    if clock:
        offset = _OFFSET.search(rest[clock.end() :].strip())
        zone = zone or (_offset(offset) if offset else None)
        rest = rest[: clock.start()].rstrip(" Tt,")
        rest = re.sub(r"\s+at$", "", rest)
    year, month, day, note = _day(rest.strip(" ,"), given)
    moment = Moment(year, month, day, None, note)
    if clock is None:
        return moment
    if not 1 <= year <= 9999:
        raise ValueError("A time of day needs a year from 1 to 9999.")
    return Moment(year, month, day, _time(moment, clock, zone, given), note)


def facts(moment: Moment) -> Iterator[str]:
    """Weekday, ISO week, day of the year, leap year; the Julian date where it was in use."""
    number = moment.number
    weekday = _DAYS[number % 7]
    leap = _is_leap(moment.year)
    year = f"{moment.year}" if moment.year > 0 else f"{1 - moment.year} BC"
    day_of_year = number - _day_number(moment.year, 1, 1) + 1
    yield f"{moment} is a {weekday}."
    if 1 <= moment.year <= 9999:
        iso = date(moment.year, moment.month, moment.day).isocalendar()
        yield f"ISO week: {iso.week} of {iso.year} ({iso.year}-W{iso.week:02d}-{iso.weekday})"
    yield (
        f"day {day_of_year} of {366 if leap else 365} of the year {year}, "
        f"{'a' if leap else 'not a'} leap year; quarter {(moment.month + 2) // 3}"
    )
    if number < _GREGORIAN_START:
        old_year, old_month, old_day = _julian(number)
        when = f"{old_day} {_MONTHS[old_month - 1]} {_year_words(old_year)}"
        meant = _julian_number(moment.year, moment.month, moment.day)
        yield (
            "note: this day counts in the Gregorian calendar carried back; in the Julian calendar, "
            f"which was in use then, it is {when}. If {moment} is meant as a Julian date, it is a "
            f"{_DAYS[meant % 7]}."
        )
    if moment.time is not None:
        zone = moment.time.tzname() or "no zone"
        yield f"time: {moment.time:%H:%M:%S} ({zone})"
        if moment.time.tzinfo is not None:
            yield f"in UTC: {moment.time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if moment.note:
        yield f"note: {moment.note}"


def between(start: Moment, end: Moment) -> Iterator[str]:
    """Days, weeks, months, years and working days from one to the other."""
    days = end.number - start.number
    yield f"from {start} to {end}: {days} days"
    first, last = (start, end) if days >= 0 else (end, start)
    weeks, rest = divmod(abs(days), 7)
    sign = "-" if days < 0 else ""
    yield f"= {sign}{_count(weeks, 'week')} and {_count(rest, 'day')}"
    months, left = _months_between(first, last)
    yield (
        f"= {sign}{_count(months // 12, 'year')}, {_count(months % 12, 'month')} and "
        f"{_count(left, 'day')} (completed years, as an age: {sign}{months // 12})"
    )
    yield (
        f"working days (Monday to Friday, the second date not counted, no holidays left out): "
        f"{sign}{_working_days(first.number, last.number)}"
    )
    if start.time is not None and end.time is not None:
        if (start.time.tzinfo is None) != (end.time.tzinfo is None):
            yield "note: only one of the two has a time zone, so hours can't be compared"
        else:
            seconds = int((end.time - start.time).total_seconds())
            minutes = abs(seconds) // 60
            sign = "-" if seconds < 0 else ""
            yield f"= {sign}{minutes // 60} hours and {minutes % 60} minutes by the clock"
    if end.note:
        yield f"note: {end.note}"


def added(moment: Moment, text: str) -> Iterator[str]:
    """The date after the time in `text` (`1 year 2 months`, `-10 working days`)."""
    pieces = list(_PIECE.finditer(text))
    left = _PIECE.sub(" ", text)
    if not pieces or re.sub(r"\band\b|[,+\s]", "", left):
        raise ValueError(
            f"'{text}' can't be added; write it like 2 months, 1 year 3 days, -10 working days."
        )
    year, month, day = moment.year, moment.month, moment.day
    sign = -1 if text.strip().startswith("-") else 1
    amounts: dict[str, int] = {}
    for piece in pieces:
        amount = int(piece[1])
        unit = piece[2].lower()
        # `-1 year 2 months` means both back; a sign of its own goes over that.
        amount = amount * sign if piece[1][0] not in "+-" else amount
        unit = "working day" if unit in ("business day", "workday", "weekday") else unit
        amounts[unit] = amounts.get(unit, 0) + amount
    if any(abs(amount) > 40_000_000 for amount in amounts.values()):
        raise ValueError("That is more time than can be added.")
    months = amounts.get("year", 0) * 12 + amounts.get("month", 0)
    year, month = divmod(year * 12 + month - 1 + months, 12)
    month += 1
    last = _days_in(year, month)
    note = f"note: the month has only {last} days" if day > last else ""
    number = _day_number(year, month, min(day, last))
    number += amounts.get("week", 0) * 7 + amounts.get("day", 0)
    number = _after_working_days(number, amounts.get("working day", 0))
    seconds = amounts.get("hour", 0) * 3600 + amounts.get("minute", 0) * 60
    result = Moment(*_gregorian(number))
    if abs(result.year) > _MOST_YEARS:
        raise ValueError("That is more time than can be added.")
    if seconds:
        yield _clock_added(moment, result, seconds, text)
    else:
        yield f"{moment} and {text.strip()}: {result}, a {_DAYS[number % 7]}"
    if note:
        yield note


def in_zone(moment: Moment, zone: str) -> str:
    """The moment's time in another zone. Raises ValueError where it has no time or zone."""
    if moment.time is None or moment.time.tzinfo is None:
        raise ValueError(
            "To show a time in another zone, give the date with its time and zone: "
            "2024-05-03 14:30 Europe/Berlin."
        )
    there = moment.time.astimezone(_zone(zone))
    return f"in {zone}: {there:%A %Y-%m-%d %H:%M:%S} ({there.tzname()}, UTC{there:%z})"


def _clock_added(moment: Moment, day: Moment, seconds: int, text: str) -> str:
    time = moment.time or datetime(day.year, day.month, day.day)
    moved = time.replace(year=day.year, month=day.month, day=day.day)
    delta = timedelta(seconds=seconds)
    if moved.tzinfo is None:
        return f"{moment} and {text.strip()}: {moved + delta:%A %Y-%m-%d %H:%M:%S}"
    # By the clock of the world, then back: a day of 23 hours counts as one.
    result = (moved.astimezone(UTC) + delta).astimezone(moved.tzinfo)
    return f"{moment} and {text.strip()}: {result:%A %Y-%m-%d %H:%M:%S} ({result.tzname()})"


def _of(moment: datetime, with_time: bool = False) -> Moment:
    time = moment.replace(microsecond=0) if with_time else None
    return Moment(moment.year, moment.month, moment.day, time)


def _day(text: str, given: str) -> tuple[int, int, int, str]:
    before_christ = bool(_BC.search(text))
    bare = _AD.sub(" ", _BC.sub(" ", text)).strip(" ,")
    note = ""
    if match := _ISO.fullmatch(bare):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    elif match := _NUMBERS.fullmatch(bare):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        month_first = second > 12 or (first <= 12 and match[2] == "/")
        month, day = (first, second) if month_first else (second, first)
        if first <= 12 and second <= 12 and first != second and match[2] != ".":
            other = f"{year:04d}-{day:02d}-{month:02d}"
            note = f"{bare} could also be {other}; write it like 2024-05-03"
    else:
        year, month, day = _in_words(bare, given)
    if before_christ:
        year = 1 - year
    if abs(year) > _MOST_YEARS or not 1 <= month <= 12 or not 1 <= day <= _days_in(year, month):
        raise ValueError(f"There is no such date: {given}.")
    return year, month, day, note


def _in_words(text: str, given: str) -> tuple[int, int, int]:
    """`3 May 2024`, `May 3rd, 2024`, `2024 May 3`, a weekday before it allowed."""
    months = [
        number
        for word in _WORD.findall(text)
        if len(word) >= 3
        for number, name in enumerate(_MONTHS, 1)
        if name.lower().startswith(word.lower()) or (word.lower() == "sept" and number == 9)
    ]
    numbers = [n for n in re.findall(r"\d+", text) if len(n) <= 6]
    if len(months) != 1 or len(numbers) != 2:
        raise ValueError(f"'{given}' is no date.")
    first, second = numbers
    # The year is the one that can't be a day, or the second of two.
    year, day = (first, second) if len(first) > 2 or int(first) > 31 else (second, first)
    return int(year), months[0], int(day)


def _time(moment: Moment, clock: re.Match[str], zone: tzinfo | None, given: str) -> datetime:
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    if clock[4]:
        if not 1 <= hour <= 12:
            raise ValueError(f"There is no such time: {given}.")
        hour = hour % 12 + (12 if clock[4].lower().startswith("p") else 0)
    try:
        return datetime(moment.year, moment.month, moment.day, hour, minute, second, tzinfo=zone)
    except ValueError:
        raise ValueError(f"There is no such time: {given}.") from None


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    text = name.strip().replace(" ", "_")
    if offset := _OFFSET.fullmatch(text):
        return _offset(offset)
    try:
        if not re.fullmatch(r"[A-Za-z0-9_+\-/]{1,60}", text):
            raise ValueError
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"There is no time zone '{name}'; name one such as Europe/Berlin or UTC+2."
        ) from None


def _offset(match: re.Match[str]) -> tzinfo:
    if not match[2]:
        return UTC
    hours = int(match[2])
    minutes = int(match[3] or 0) * (-1 if match[2].startswith("-") else 1)
    if abs(hours) > 15 or abs(minutes) > 59:
        raise ValueError(f"There is no time zone '{match[0]}'.")
    return timezone(timedelta(hours=hours, minutes=minutes))


def _months_between(first: Moment, last: Moment) -> tuple[int, int]:
    """Whole months, and the days that are left; the 31st is reached at a shorter month's end
    only on the day after, as with ages."""
    months = (last.year - first.year) * 12 + last.month - first.month
    if last.day < first.day:
        months -= 1
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    start = _day_number(year, month + 1, min(first.day, _days_in(year, month + 1)))
    return months, last.number - start


def _working_days(start: int, end: int) -> int:
    weeks, rest = divmod(end - start, 7)
    return weeks * 5 + sum((start + n) % 7 < 5 for n in range(rest))


def _after_working_days(number: int, amount: int) -> int:
    weeks, rest = divmod(abs(amount), 5)
    step = 1 if amount > 0 else -1
    number += step * weeks * 7
    if amount and rest == 0 and number % 7 >= 5:  # from a weekend: the last working day reached
        rest, number = 5, number - step * 7
    while rest:
        number += step
        rest -= number % 7 < 5
    return number


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_in(year: int, month: int) -> int:
    if month == 2:
        return 29 if _is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _day_number(year: int, month: int, day: int) -> int:
    """The Julian day number of a Gregorian date (Richards, Explanatory Supplement to the
    Astronomical Almanac, 3rd edition, 15.11); its rest by 7 is 0 on Mondays."""
    shift = (14 - month) // 12
    years, months = year + 4800 - shift, month + 12 * shift - 3
    leap_days = years // 4 - years // 100 + years // 400
    return day + (153 * months + 2) // 5 + 365 * years + leap_days - 32045


def _julian_number(year: int, month: int, day: int) -> int:
    shift = (14 - month) // 12
    years, months = year + 4800 - shift, month + 12 * shift - 3
    return day + (153 * months + 2) // 5 + 365 * years + years // 4 - 32083


def _gregorian(number: int) -> tuple[int, int, int]:
    shifted = number + 32044
    centuries = (4 * shifted + 3) // 146097
    rest = shifted - 146097 * centuries // 4
    return _from_rest(rest, 100 * centuries)


def _julian(number: int) -> tuple[int, int, int]:
    return _from_rest(number + 32082, 0)


def _from_rest(rest: int, years: int) -> tuple[int, int, int]:
    quarter = (4 * rest + 3) // 1461
    days = rest - 1461 * quarter // 4
    months = (5 * days + 2) // 153
    day = days - (153 * months + 2) // 5 + 1
    return years + quarter - 4800 + months // 10, months + 3 - 12 * (months // 10), day


def _year_words(year: int) -> str:
    return str(year) if year > 0 else f"{1 - year} BC"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
