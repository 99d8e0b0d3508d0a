"""date_info: as Python's own calendar where that reaches, and as the almanacs where it does not."""

import calendar
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import ToolError
from tools import dates
from tools.date_info import DateInfo

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=timezone(timedelta(hours=1)))
TOOL = DateInfo(lambda: NOW)


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-03",
        "2024-5-3",
        "3 May 2024",
        "May 3, 2024",
        "3rd of May 2024",
        "Fri, 3 May 2024",
        "2024 May 3",
        "3.5.2024",
        "03.05.2024",
        "2024-05-03 14:30",
        "3 may 2024 at 2:30 pm",
        "3 May 2024 AD",
    ],
)
def test_dates_as_people_write_them(text: str) -> None:
    assert TOOL(text).startswith("2024-05-03 is a Friday.")


def test_what_it_tells() -> None:
    assert TOOL("2024-12-30") == (
        "2024-12-30 is a Monday.\n"
        "ISO week: 1 of 2025 (2025-W01-1)\n"
        "day 365 of 366 of the year 2024, a leap year; quarter 4"
    )
    assert "could also be 2024-05-03" in TOOL("03/05/2024")
    assert TOOL("13/05/2024").startswith("2024-05-13")
    assert TOOL("today").startswith("2026-03-04 is a Wednesday.")
    assert TOOL("tomorrow").startswith("2026-03-05")


def test_ages_and_spans() -> None:
    text = TOOL("1990-02-28", until="today")
    assert "13153 days" in text
    assert "36 years, 0 months and 4 days (completed years, as an age: 36)" in text
    assert "as an age: 0" in TOOL("2024-02-29", until="2025-02-28")
    assert "as an age: 1" in TOOL("2024-02-29", until="2025-03-01")
    assert "-236 days" in TOOL("2024-12-25", until="2024-05-03")
    assert "no holidays left out): 5" in TOOL("2024-05-03", until="2024-05-10")


@pytest.mark.parametrize(
    ("start", "add", "end"),
    [
        ("2024-01-31", "1 month", "2024-02-29"),
        ("2024-03-31", "-1 month", "2024-02-29"),
        ("2024-02-29", "1 year", "2025-02-28"),
        ("2024-05-03", "10 working days", "2024-05-17"),
        ("2024-05-03", "-10 working days", "2024-04-19"),
        ("2024-05-04", "5 working days", "2024-05-10"),
        ("2024-05-05", "-1 working day", "2024-05-03"),
        ("2024-05-03", "1 year, 2 months and 3 days", "2025-07-06"),
        ("2024-05-03", "-1 year 2 months", "2023-03-03"),
        ("1 March 5 BC", "4 years", "1 March 1 BC"),
        ("1 January 1 BC", "1 year", "0001-01-01"),
    ],
)
def test_adding(start: str, add: str, end: str) -> None:
    assert f": {end}, a " in TOOL(start, add=add).splitlines()[-1 - (start[8:] in ("31", "29"))]


def test_time_zones() -> None:
    text = TOOL("2024-05-03 14:30 Europe/Berlin", zone="Asia/Tokyo")
    assert "in UTC: 2024-05-03 12:30:00" in text
    assert "in Asia/Tokyo: Friday 2024-05-03 21:30:00 (JST" in text
    assert "in UTC: 2024-05-03 12:30:00" in TOOL("2024-05-03T14:30:00+02:00")
    assert "03:30:00 (EDT)" in TOOL("2024-03-10 01:30 America/New_York", add="1 hour")
    hours = TOOL("2024-05-03T14:30+02:00", until="2024-05-04T14:30Z")
    assert "= 26 hours and 0 minutes" in hours
    assert "in UTC+2: Wednesday 2026-03-04 10:30:00" in TOOL("now", zone="UTC+2")
    assert "only one of the two" in TOOL("2024-05-03 14:30", until="2024-05-04 14:30 UTC")


@pytest.mark.parametrize(
    ("text", "weekday", "julian"),
    [
        ("1582-10-15", "Friday", ""),  # the first day of the Gregorian calendar
        ("1582-10-14", "Thursday", "4 October 1582"),
        ("1066-10-14", "Sunday", "8 October 1066"),  # Hastings was a Saturday, as a Julian date
        ("15 March 44 BC", "Friday", "17 March 44 BC"),
        ("-4713-11-24", "Monday", "1 January 4713 BC"),  # Julian day 0
    ],
)
def test_long_ago(text: str, weekday: str, julian: str) -> None:
    said = TOOL(text)
    assert f"is a {weekday}." in said.splitlines()[0]
    assert ("Julian calendar" in said) == bool(julian)
    assert julian in said
    if text == "1066-10-14":
        assert "as a Julian date, it is a Saturday" in said


@given(st.dates(), st.dates())
def test_python_agrees(first: date, second: date) -> None:
    one, two = (dates.Moment(d.year, d.month, d.day) for d in (first, second))
    assert two.number - one.number == (second - first).days
    assert dates._DAYS[one.number % 7] == calendar.day_name[first.weekday()]
    assert dates._gregorian(one.number) == (first.year, first.month, first.day)
    assert str(one) == first.isoformat()
    assert dates.parse(first.isoformat(), NOW) == one


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(-60, 60))
def test_working_days_one_by_one(start: date, amount: int) -> None:
    there = start
    left = abs(amount)
    while left:
        there += timedelta(1 if amount > 0 else -1)
        left -= there.weekday() < 5
    number = dates.parse(start.isoformat(), NOW).number
    assert dates._gregorian(dates._after_working_days(number, amount)) == (
        there.year,
        there.month,
        there.day,
    )


@given(st.text(max_size=60))
def test_nothing_breaks_it(text: str) -> None:
    for call in ({"date": text}, {"date": "today", "add": text}, {"date": "now", "zone": text}):
        try:
            TOOL(**call)
        except ToolError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"date": "foo"}, "'foo' is no date"),
        ({"date": ""}, "missing"),
        ({"date": "2023-02-29"}, "no such date"),
        ({"date": "May 2024"}, "no date"),
        ({"date": "2024-05-03 25:00"}, "no such time"),
        ({"date": "today", "add": "a while"}, "can't be added"),
        ({"date": "today", "add": "999999999 years"}, "more time"),
        ({"date": "today", "zone": "UTC"}, "time and zone"),
        ({"date": "now", "zone": "../../etc/passwd"}, "no time zone"),
        ({"date": "now", "zone": "Mars/Base"}, "no time zone"),
    ],
)
def test_what_is_no_date_is_said_in_words(call: dict[str, str], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        TOOL(**call)
