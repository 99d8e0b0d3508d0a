"""date_info: what plain Python makes hard about dates, in one call."""

from collections.abc import Callable
from datetime import datetime

from errors import ToolError
from tools import dates
from tools.base import HearthTool

_STEPS = "Write it like 2024-05-03, 3 May 2024, 44 BC March 15, or today."


class DateInfo(HearthTool):
    """Weekdays, calendar weeks, spans, ages, time zones; `now` gives the present, with its zone."""

    name = "date_info"
    description = (
        "Tells a date's weekday, ISO week, day of the year; with until= the days, weeks, months, "
        'working days and years (age) between; with add= ("2 months", "-10 working days") the new '
        'date; with zone= the time there. Example: print(date_info("1990-02-28", until="today"))'
    )
    inputs = {
        "date": {
            "type": "string",
            "description": "Such as 2024-05-03, 3 May 2024, 44 BC March 15, today, or with a time "
            "and zone: 2024-05-03 14:30 Europe/Berlin.",
        },
        "until": {"type": "string", "description": "A second date.", "nullable": True},
        "add": {
            "type": "string",
            "description": "Time to add: 2 months, 1 year 3 days, -10 working days.",
            "nullable": True,
        },
        "zone": {
            "type": "string",
            "description": "A time zone to show the time in, such as Asia/Tokyo.",
            "nullable": True,
        },
    }

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        super().__init__()
        self._now = now or (lambda: datetime.now().astimezone())

    def forward(
        self,
        date: str,
        until: str | None = None,
        add: str | None = None,
        zone: str | None = None,
    ) -> str:
        now = self._now()
        try:
            moment = dates.parse(str(date), now)
            lines = list(dates.facts(moment))
            if until:
                lines += dates.between(moment, dates.parse(str(until), now))
            if add:
                lines += dates.added(moment, str(add))
            if zone:
                lines.append(dates.in_zone(moment, str(zone)))
        except ValueError as error:
            raise ToolError(str(error), "" if add or zone else _STEPS) from None
        return "\n".join(lines)
