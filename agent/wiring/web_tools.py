"""The tools that reach the web, and what they share: a cache, limits, what is forbidden."""

from smolagents import Tool

from agent.policy import Policy
from settings import Settings
from tools.archived_page import ArchivedPage
from tools.fetch import FetchFunction, Limits, fetch
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
    settings: Settings, policy: Policy, *, search: SearchFunction | None = None
) -> list[Tool]:
    """In the order the prompt lists them."""
    state = shared(settings.data_dir / "cache" / "web.sqlite")
    keep = settings.web_cache_hours * 3600
    denied = policy.domain_is_denied

    def getting(tool: str) -> FetchFunction:
        def asked_for(host: str) -> bool:
            return not denied(host) and policy.decide(tool, {"network"}, host).answer != "allow"

        limits = Limits(allow=settings.allowed_hosts, denied=denied, own_call=asked_for)
        return lambda ask: fetch(ask, limits)

    def pages(tool: str) -> Pages:
        return Pages(getting(tool), state, min(keep, KEEP_SECONDS))

    archive = ArchivedPage.name
    return [
        WebSearch(search or search_chain(settings, state)),
        VisitWebpage(pages=pages(VisitWebpage.name)),
        WikipediaSearch(Wikipedia(getting(WikipediaSearch.name), state, keep)),
        WikipediaPage(Wikipedia(getting(WikipediaPage.name), state, keep)),
        ArchivedPage(getting(archive), pages(archive), denied=denied),
        YoutubeTranscript(getting(YoutubeTranscript.name), state, keep),
    ]
