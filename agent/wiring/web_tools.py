"""The tools that reach the web, and what they share: a cache, limits, what is forbidden."""

from collections.abc import Callable

from smolagents import Tool

from settings import Settings
from tools.archived_page import ArchivedPage
from tools.fetch import Ask, Fetched, Limits, fetch
from tools.mediawiki import Wikipedia
from tools.pages import KEEP_SECONDS, Pages
from tools.search_chain import search_chain
from tools.visit_webpage import VisitWebpage
from tools.web_search import SearchFunction, WebSearch
from tools.web_state import shared
from tools.wikipedia_page import WikipediaPage
from tools.wikipedia_search import WikipediaSearch
from tools.youtube_transcript import YoutubeTranscript


def web_tools(
    settings: Settings,
    *,
    search: SearchFunction | None = None,
    denied: Callable[[str], bool] = lambda host: False,
) -> list[Tool]:
    """In the order the prompt lists them. `denied`: hosts that nothing may be fetched from."""
    state = shared(settings.data_dir / "cache" / "web.sqlite")
    keep = settings.web_cache_hours * 3600
    limits = Limits(allow=settings.allowed_hosts, denied=denied)

    def get(ask: Ask) -> Fetched:
        return fetch(ask, limits)

    pages = Pages(get, state, min(keep, KEEP_SECONDS))
    wikipedia = Wikipedia(get, state, keep)
    return [
        WebSearch(search or search_chain(settings, state)),
        VisitWebpage(pages=pages),
        WikipediaSearch(wikipedia),
        WikipediaPage(wikipedia),
        ArchivedPage(get, pages, denied=denied),
        YoutubeTranscript(get, state, keep),
    ]
