"""visit_webpage: what a page of the web says, as Markdown."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from tools.addresses import host_of
from tools.base import HearthTool, Touch
from tools.fetch import MAX_BYTES, TIMEOUT_SECONDS, Limits, fetch
from tools.inputs import PART, QUESTION
from tools.pages import Pages, shown
from tools.text import PAGE_CHARS


class VisitWebpage(HearthTool):
    """Fetches public pages only; `allow` names hosts (`host` or `host:port`) of your own.

    `pages`, where given, does it instead, with limits of its own.
    """

    name = "visit_webpage"
    description = (
        "Returns the text of a web page or online document; with a question, the passages about "
        "it. Long text comes in parts. Example: "
        'print(visit_webpage("https://en.wikipedia.org/wiki/Mount_Kenya", question="height"))'
    )
    inputs = {
        "url": {"type": "string", "description": "The page's address, with https://."},
        "question": QUESTION,
        "part": PART,
        "links": {
            "type": "boolean",
            "description": "Whether to show the addresses that its links lead to.",
            "nullable": True,
        },
    }
    touches: ClassVar[frozenset[Touch]] = frozenset({"network"})
    outside: ClassVar[bool] = True

    def __init__(
        self,
        allow: Collection[str] = (),
        *,
        pages: Pages | None = None,
        page_chars: int = PAGE_CHARS,
        max_bytes: int = MAX_BYTES,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        super().__init__()
        limits = Limits(max_bytes, timeout_seconds, frozenset(host.lower() for host in allow))
        self._pages = pages or Pages(lambda ask: fetch(ask, limits))
        self._page_chars = page_chars

    def domain(self, arguments: Mapping[str, Any]) -> str:
        return host_of(arguments.get("url", ""))

    def forward(
        self,
        url: str,
        question: str | None = None,
        part: int | None = 1,
        links: bool | None = False,
    ) -> str:
        found = self._pages.read(str(url).strip(), bool(links))
        more = ", links=True" if links else ""
        call = f"visit_webpage({str(url)!r}, part={{part}}{more})"
        return shown(found, question, part, call, self._page_chars)
