"""search_history: what was said in earlier conversations."""

from collections.abc import Callable

from errors import ToolError
from tools.base import HearthTool


class SearchHistory(HearthTool):
    """Hands the query to `search`, which returns the text that the agent reads."""

    name = "search_history"
    description = (
        "Searches earlier conversations with the user. Returns a numbered list of matching "
        'passages. Example: print(search_history("holiday in Norway"))'
    )
    inputs = {"query": {"type": "string", "description": "What to look for, in a few words."}}
    touches = frozenset({"memory"})
    outside = True  # an answer of then may repeat what a page said

    def __init__(self, search: Callable[[str], str]) -> None:
        super().__init__()
        self._search = search

    def forward(self, query: str) -> str:
        if not str(query).strip():
            raise ToolError("query is empty;", "say what to look for.")
        return self._search(str(query))
