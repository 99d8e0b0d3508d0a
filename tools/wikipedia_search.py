"""wikipedia_search: what Wikipedia says, through the MediaWiki API."""

from collections.abc import Mapping
from typing import Any, ClassVar

from errors import ToolError
from tools.base import HearthTool, Touch
from tools.fetch import Limits, fetch
from tools.inputs import LANGUAGE
from tools.mediawiki import Wikipedia, misfit
from tools.text import cut, one_line, visible

ARTICLES = 3
_SUMMARY_CHARS = 2_500
_OTHER_CHARS = 500


class WikipediaSearch(HearthTool):
    """Finds articles and returns their introductions: the first at length."""

    name = "wikipedia_search"
    description = (
        "Searches Wikipedia. Returns the best articles: title, address, and introduction. "
        'Example: print(wikipedia_search("Mount Kenya"))'
    )
    inputs = {
        "query": {"type": "string", "description": "What to look for, in a few words."},
        "language": LANGUAGE,
    }
    touches: ClassVar[frozenset[Touch]] = frozenset({"network"})
    outside: ClassVar[bool] = True

    def __init__(self, wikipedia: Wikipedia | None = None) -> None:
        super().__init__()
        self._wikipedia = wikipedia or Wikipedia(lambda ask: fetch(ask, Limits()))

    def domain(self, arguments: Mapping[str, Any]) -> str:
        return f"{str(arguments.get('language') or 'en').lower()}.wikipedia.org"

    def forward(self, query: str, language: str | None = "en") -> str:
        query = one_line(str(query), 290)  # the API takes 300 characters
        if not query:
            raise ToolError("query is empty.", "Say what to look for, in a few words.")
        body = self._wikipedia.ask(
            language,
            action="query",
            generator="search",
            gsrsearch=query,
            gsrlimit=ARTICLES,
            prop="extracts|info",
            inprop="url",
            exintro=1,
            explaintext=1,
            exlimit=ARTICLES,
            redirects=1,
        )
        articles = _articles(body)
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


def _articles(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The articles in an answer, best first."""
    try:
        pages = body.get("query", {}).get("pages", [])
        return sorted((p for p in pages if "title" in p), key=lambda p: p.get("index", 0))
    except (AttributeError, TypeError):
        raise misfit() from None
