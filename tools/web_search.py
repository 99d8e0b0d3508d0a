"""web_search: what the web says, through whichever search engine is set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from smolagents import Tool

from settings import Settings
from tools.text import one_line

MAX_RESULTS = 10
SNIPPET_CHARS = 400
TIMEOUT_SECONDS = 15.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class SearchResult:
    """One result of a search engine."""

    title: str
    address: str
    snippet: str = ""


SearchFunction = Callable[[str, int], list[SearchResult]]
"""(query, most results) -> results, best first. Raises ConnectionError, in words."""


class WebSearch(Tool):
    """Asks a search function and numbers what it finds."""

    name = "web_search"
    description = (
        "Searches the web. Returns a numbered list: title, address, and a few sentences of each "
        'result. Example: print(web_search("height of Mount Kenya"))'
    )
    inputs = {
        "query": {"type": "string", "description": "What to look for, in a few words."},
        "max_results": {
            "type": "integer",
            "description": f"How many results, 1 to {MAX_RESULTS}; 5 if left out.",
            "nullable": True,
        },
    }
    output_type = "string"

    def __init__(self, search: SearchFunction) -> None:
        super().__init__()
        self._search = search

    def forward(self, query: str, max_results: int | None = 5) -> str:
        query = one_line(str(query))
        if not query:
            raise ValueError("query is empty; say what to look for.")
        wanted = 5 if max_results is None else max(1, min(int(max_results), MAX_RESULTS))
        return format_results(query, self._search(query, wanted)[:wanted])


def format_results(query: str, results: list[SearchResult]) -> str:
    """The results as the agent reads them."""
    if not results:
        return f"No results for '{query}'."
    lines = []
    for number, result in enumerate(results, start=1):
        lines.append(f"{number}. {one_line(result.title, 200) or '(no title)'}")
        lines.append(f"   {one_line(result.address, 2000)}")
        if snippet := one_line(result.snippet, SNIPPET_CHARS):
            lines.append(f"   {snippet}")
    return "\n".join(lines)


def search_backend(settings: Settings) -> SearchFunction:
    """The search function that the settings name."""
    if settings.search_backend == "searxng":
        return SearxngSearch(settings.searxng_url)
    return DdgsSearch()


class DdgsSearch:
    """Several public search engines without a key, through the ddgs package."""

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = int(timeout_seconds)

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException, RatelimitException

        try:
            rows = DDGS(timeout=self._timeout).text(query, max_results=max_results)
        except RatelimitException:
            raise ConnectionError("The web search asks for a pause; try again later.") from None
        except DDGSException as error:
            if "No results found" in str(error):  # the package has no exception of its own for it
                return []
            raise _unreachable("ddgs", error) from error
        found = [
            SearchResult(row.get("title", ""), row.get("href", ""), row.get("body", ""))
            for row in rows
        ]
        return [result for result in found if result.address]


class SearxngSearch:
    """A SearXNG server of your own, through its JSON API.

    The server must list `json` under `search.formats` in its settings.yml.
    """

    def __init__(self, address: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._address = address.rstrip("/") + "/search"
        self._timeout = timeout_seconds

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        try:
            reply = httpx.get(
                self._address,
                params={"q": query, "format": "json"},
                timeout=self._timeout,
                follow_redirects=True,
                # A proxy from the environment never stands before a server on this machine.
                trust_env=httpx.URL(self._address).host not in _LOOPBACK,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable("SearXNG", error) from error
        return _searxng_rows(reply)[:max_results]


def _searxng_rows(reply: httpx.Response) -> list[SearchResult]:
    if reply.status_code == 403:
        raise ConnectionError(
            "The SearXNG server refuses JSON (403): its settings.yml must list json under "
            "search.formats."
        )
    if reply.status_code == 429:
        raise ConnectionError("The web search asks for a pause (429); try again later.")
    if reply.status_code != 200:
        raise ConnectionError(f"The SearXNG server answered {reply.status_code}.")
    try:
        rows = reply.json()["results"]
        return [_searxng_result(row) for row in rows if row.get("url")]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConnectionError("The SearXNG server's answer is not its JSON format.") from None


def _searxng_result(row: dict[str, Any]) -> SearchResult:
    return SearchResult(str(row.get("title") or ""), str(row["url"]), str(row.get("content") or ""))


def _unreachable(where: str, error: Exception) -> ConnectionError:
    reason = one_line(str(error), 200) or type(error).__name__
    return ConnectionError(
        f"The web search ({where}) can't be reached: {reason}. "
        "Is there a network? Go on without it, or say that you couldn't search."
    )
