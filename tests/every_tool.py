"""Every tool of `tools/`: how tests build it, and a call of it that works on loopback alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from smolagents import Tool

from tests.archive_sites import (
    CLOSEST,
    VIDEO,
    archive_pages,
    player,
    reply,
    through,
    track,
    youtube_pages,
)
from tests.trap_site import Site, text
from tests.wikipedia_site import api, wikipedia
from tools.archived_page import ArchivedPage
from tools.calculate import Calculate
from tools.convert_units import ConvertUnits
from tools.date_info import DateInfo
from tools.inspect_table import InspectTable
from tools.pages import Pages
from tools.read_file import ReadFile
from tools.read_note import ReadNote
from tools.remember import Remember
from tools.search_history import SearchHistory
from tools.search_notes import SearchNotes
from tools.visit_webpage import VisitWebpage
from tools.web_search import SearchResult, WebSearch
from tools.wikipedia_page import WikipediaPage
from tools.wikipedia_search import WikipediaSearch
from tools.youtube_transcript import YoutubeTranscript

TABLE = "a,b\n1,x\n"
Build = Callable[[Path, Site], Tool]
"""(a workspace that holds `t.csv`, the site of `web`) → the tool."""


def web() -> Site:
    """All that the tools of the web ask, on loopback."""
    return Site(
        {
            "/page": text("<p>A page.</p>"),
            "/en/w/api.php": api,
            **archive_pages(reply(CLOSEST)),
            **youtube_pages(reply(player(track("en", "English")))),
        }
    )


# name → (how it is built, the arguments of a call that works)
TOOLS: dict[str, tuple[Build, dict[str, Any]]] = {
    "web_search": (
        lambda *_: WebSearch(lambda query, most: [SearchResult("T", "https://a.example")]),
        {"query": "x"},
    ),
    "visit_webpage": (
        lambda _, site: VisitWebpage(pages=Pages(through(site))),
        {"url": "https://www.youtube.com/page"},
    ),
    "wikipedia_search": (lambda _, site: WikipediaSearch(wikipedia(site)), {"query": "kenya"}),
    "wikipedia_page": (lambda _, site: WikipediaPage(wikipedia(site)), {"title": "Mount Kenya"}),
    "archived_page": (
        lambda _, site: ArchivedPage(through(site), Pages(through(site))),
        {"url": "https://example.com/news"},
    ),
    "youtube_transcript": (lambda _, site: YoutubeTranscript(through(site)), {"url": VIDEO}),
    "read_file": (lambda workspace, _: ReadFile(workspace), {"path": "t.csv"}),
    "inspect_table": (lambda workspace, _: InspectTable(workspace), {"path": "t.csv"}),
    "calculate": (lambda *_: Calculate(), {"expression": "1 + 1"}),
    "convert_units": (lambda *_: ConvertUnits(), {"value": 1, "from_unit": "m", "to_unit": "cm"}),
    "date_info": (lambda *_: DateInfo(), {"date": "2024-05-03"}),
    "search_notes": (lambda *_: SearchNotes(lambda query: "1. a.md: x"), {"query": "x"}),
    "read_note": (lambda *_: ReadNote(lambda name: "text"), {"name": "a.md"}),
    "search_history": (lambda *_: SearchHistory(lambda query: "1. a.md: x"), {"query": "x"}),
    "remember": (lambda *_: Remember(lambda text: text), {"text": "x"}),
}
