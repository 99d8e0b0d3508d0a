"""archived_page: a page as it once was, from the Internet Archive's Wayback Machine.

Its interfaces: https://archive.org/help/wayback_api.php and
https://github.com/internetarchive/wayback/tree/master/wayback-cdx-server
"""

import json
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from errors import ToolError
from tools.addresses import host_of, web_address
from tools.base import HearthTool, Touch
from tools.days import end_of
from tools.fetch import Ask, Fetched, FetchFunction, forbidden
from tools.inputs import DATE, PART, QUESTION
from tools.pages import Pages, Text, shown
from tools.text import PAGE_CHARS, one_line

AVAILABLE = "https://archive.org/wayback/available"
INDEX = "https://web.archive.org/cdx/search/cdx"
COPIES = "https://web.archive.org/web"

_GO_ON = "Use web_search for another source, or go on without it."


class ArchivedPage(HearthTool):
    """Asks for the copy nearest to a date, and reads it as its site had sent it."""

    name = "archived_page"
    description = (
        "Returns the text of an old copy of a web page (Wayback Machine): the latest, or the last "
        "one up to a date. For pages that are gone or have changed. Example: "
        'print(archived_page("https://example.com/news", date="2015-06-30"))'
    )
    inputs = {
        "url": {"type": "string", "description": "The page's own address, with https://."},
        "date": DATE,
        "question": QUESTION,
        "part": PART,
    }
    touches: ClassVar[frozenset[Touch]] = frozenset({"network"})
    outside: ClassVar[bool] = True

    def __init__(
        self,
        fetch: FetchFunction,
        pages: Pages,
        *,
        denied: Callable[[str], bool] = lambda host: False,
        page_chars: int = PAGE_CHARS,
    ) -> None:
        super().__init__()
        self._fetch = fetch
        self._pages = pages
        self._denied = denied
        self._page_chars = page_chars

    def domain(self, arguments: Mapping[str, Any]) -> str:
        return "web.archive.org"

    def forward(
        self,
        url: str,
        date: str | None = None,
        question: str | None = None,
        part: int | None = 1,
    ) -> str:
        address = str(web_address(str(url)))
        if self._denied(host_of(address)):
            raise forbidden(host_of(address))
        day = end_of(date) if date else ""
        stamp, original = self._copy(address, day)
        # `id_`: as the site sent it, without the archive's own bar and links.
        found = self._pages.read(f"{COPIES}/{stamp}id_/{original}")
        made = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"
        later = ", the first after the date" if day and made > day else ""
        head = f"[copy of {one_line(original, 500)} from {made}{later}]"
        more = f", date={date!r}" if date else ""
        call = f"archived_page({str(url)!r}{more}, part={{part}})"
        text = Text(found.address, f"{head}\n{found.text}" if found.text else "", found.cut)
        return shown(text, question, part, call, self._page_chars)

    def _copy(self, address: str, day: str) -> tuple[str, str]:
        """Time stamp and address of the copy to show. Raises ToolError where there is none."""
        faults: list[ToolError] = []
        nearest = None
        for look in (self._nearest, self._last):
            try:
                found = look(address, day)
            except ToolError as fault:
                faults.append(fault)
                continue
            if found and (not day or found[0][:8] <= day.replace("-", "")):
                return found
            nearest = nearest or found
        if nearest:
            return nearest
        if faults:
            raise faults[-1]
        raise ToolError(
            f"The Wayback Machine has no copy of {address}{f' up to {day}' if day else ''}.",
            f"Try its site's front page. {_GO_ON}",
        )

    def _nearest(self, address: str, day: str) -> tuple[str, str] | None:
        """The copy that the archive calls the closest, which may be a later one."""
        asked = {"url": address, **({"timestamp": f"{day.replace('-', '')}235959"} if day else {})}
        body = self._json(f"{AVAILABLE}?{urllib.parse.urlencode(asked)}")
        snapshots = body.get("archived_snapshots") if isinstance(body, dict) else None
        closest = snapshots.get("closest") if isinstance(snapshots, dict) else None
        if not isinstance(closest, dict) or not closest.get("available"):
            return None
        # http://web.archive.org/web/20150630120000/https://example.com/
        original = str(closest.get("url", "")).partition("/web/")[2].partition("/")[2]
        return _copy_of(closest.get("timestamp"), original)

    def _last(self, address: str, day: str) -> tuple[str, str] | None:
        """The last whole copy up to a day, by the archive's index."""
        asked = {
            "url": address,
            "output": "json",
            "fl": "timestamp,original",
            "filter": "statuscode:200",
            "limit": "-1",
            **({"to": day.replace("-", "")} if day else {}),
        }
        rows = self._json(f"{INDEX}?{urllib.parse.urlencode(asked)}")
        if not isinstance(rows, list) or len(rows) < 2 or len(rows[-1]) < 2:
            return None
        return _copy_of(rows[-1][0], rows[-1][1])

    def _json(self, address: str) -> Any:
        reply: Fetched = self._fetch(Ask(address, any_status=True))
        if reply.status == 429:
            raise _fault("asks for a pause (429)")
        if reply.status == 403 and b"AccessControl" in reply.data:
            raise _fault("does not show this site")
        if reply.status != 200:
            raise _fault(f"answered {reply.status}")
        try:
            return json.loads(reply.data or b"[]")
        except ValueError:
            raise _fault("sent an answer that is not in its format") from None


def _copy_of(stamp: object, original: object) -> tuple[str, str] | None:
    stamp, original = str(stamp), str(original)
    return (stamp, original) if len(stamp) == 14 and stamp.isdigit() and original else None


def _fault(what: str) -> ToolError:
    return ToolError(f"The Wayback Machine {what}.", _GO_ON, seen_as=ConnectionError)
