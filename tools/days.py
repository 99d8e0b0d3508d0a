"""Dates as agents write them in a call."""

import calendar
import datetime
import re

from errors import ToolError

_DATE = re.compile(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?")


def end_of(date: str) -> str:
    """The last day of a day, month or year (`2015-06-30`, `2015-06`, `2015`), as YYYY-MM-DD.

    Raises ToolError for anything else.
    """
    found = _DATE.fullmatch(str(date).strip())
    try:
        if not found:
            raise ValueError
        year, month = int(found[1]), int(found[2] or 12)
        day = int(found[3]) if found[3] else calendar.monthrange(year, month)[1]
        return datetime.date(year, month, day).isoformat()
    except (ValueError, calendar.IllegalMonthError):
        raise ToolError(f"{str(date)[:40]!r} is no date.", "Write it as 2015-06-30.") from None
