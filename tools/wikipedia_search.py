"""wikipedia_search: what Wikipedia says, through the MediaWiki API."""

from typing import Any

import httpx
from smolagents import Tool

from tools.text import cut, one_line, visible

ADDRESS = "https://en.wikipedia.org/w/api.php"
USER_AGENT = "Hearth/0.1 (a personal agent, run by its user) python-httpx"
"""Wikimedia asks clients to name themselves: https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy"""

ARTICLES = 3
_SUMMARY_CHARS = 2_500
_OTHER_CHARS = 500


class WikipediaSearch(Tool):
    """Finds articles and returns their introductions: the first at length."""

    name = "wikipedia_search"
    description = (
        "Searches Wikipedia. Returns the best articles: title, address, and introduction. "
        'Example: print(wikipedia_search("Mount Kenya"))'
    )
    inputs = {"query": {"type": "string", "description": "What to look for, in a few words."}}
    output_type = "string"

    def __init__(
        self,
        address: str = ADDRESS,
        *,
        user_agent: str = USER_AGENT,
        timeout_seconds: float = 15.0,
    ) -> None:
        super().__init__()
        self._address = address
        self._user_agent = user_agent
        self._timeout = timeout_seconds

    def forward(self, query: str) -> str:
        query = one_line(str(query), 290)  # the API takes 300 characters
        if not query:
            raise ValueError("query is empty; say what to look for.")
        articles = _articles(self._ask(query))
        if not articles:
            return f"No results for '{query}'."
        lines = []
        for number, article in enumerate(articles[:ARTICLES], start=1):
            limit = _SUMMARY_CHARS if number == 1 else _OTHER_CHARS
            summary = cut(visible(str(article.get("extract") or "")).strip(), limit)
            lines.append(f"{number}. {one_line(str(article['title']), 200)}")
            lines.append(f"   {one_line(str(article.get('fullurl') or ''), 2000)}")
            lines += [f"   {line.strip()}" for line in summary.splitlines() if line.strip()]
        return "\n".join(lines)

    def _ask(self, query: str) -> httpx.Response:
        parameters: dict[str, str | int] = {
            "action": "query",
            "format": "json",
            "formatversion": 2,
            "generator": "search",
            "gsrsearch": query,
            "gsrlimit": ARTICLES,
            "prop": "extracts|info",
            "inprop": "url",
            "exintro": 1,
            "explaintext": 1,
            "exlimit": ARTICLES,
            "redirects": 1,
        }
        try:
            return httpx.get(
                self._address,
                params=parameters,
                headers={"User-Agent": self._user_agent},
                timeout=self._timeout,
                follow_redirects=True,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = one_line(str(error), 200) or type(error).__name__
            raise ConnectionError(f"Wikipedia can't be reached: {reason}.") from error


def _articles(reply: httpx.Response) -> list[dict[str, Any]]:
    """The articles in the reply, best first."""
    if reply.status_code == 429:
        raise ConnectionError("Wikipedia asks for a pause (429); try again later.")
    if reply.status_code != 200:
        raise ConnectionError(f"Wikipedia answered {reply.status_code}.")
    try:
        body = reply.json()
        if "error" in body:
            raise ConnectionError(f"Wikipedia refused: {body['error'].get('info', 'no reason')}.")
        pages = body.get("query", {}).get("pages", [])
        return sorted((p for p in pages if "title" in p), key=lambda p: p.get("index", 0))
    except (ValueError, AttributeError, TypeError):
        raise ConnectionError("Wikipedia's answer is not in its format.") from None
