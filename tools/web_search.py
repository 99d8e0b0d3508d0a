"""web_search: what the web says, through whichever search engines are set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from errors import ToolError
from tools.base import HearthTool, Touch
from tools.text import one_line

MAX_RESULTS = 10
SNIPPET_CHARS = 400
DATE_CHARS = 40


@dataclass(frozen=True)
class SearchResult:
    """One result of a search engine; `date`, where it says one, of the page's last change."""

    title: str
    address: str
    snippet: str = ""
    date: str = ""


SearchFunction = Callable[[str, int], list[SearchResult]]
"""(query, most results) -> results, best first. Raises ToolError or ConnectionError, in words."""


class WebSearch(HearthTool):
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
    touches: ClassVar[frozenset[Touch]] = frozenset({"network"})
    outside: ClassVar[bool] = True

    def __init__(self, search: SearchFunction) -> None:
        super().__init__()
        self._search = search

    def forward(self, query: str, max_results: int | None = 5) -> str:
        query = one_line(str(query))
        if not query:
            raise ToolError("query is empty.", "Say what to look for, in a few words.")
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
        # Without a date it is the text that the bundled model has learnt to read.
        said = (one_line(result.date, DATE_CHARS), one_line(result.snippet, SNIPPET_CHARS))
        if any(said):
            lines.append(f"   {': '.join(filter(None, said))}")
    return "\n".join(lines)
