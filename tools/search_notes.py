"""search_notes: the user's own notes."""

from collections.abc import Callable

from errors import ToolError
from tools.base import HearthTool


class SearchNotes(HearthTool):
    """Hands the query to `search`, which returns the text that the agent reads."""

    name = "search_notes"
    description = (
        "Searches the user's own notes and what was remembered. Returns a numbered list of "
        'matching lines with the note\'s name. Example: print(search_notes("wifi password"))'
    )
    inputs = {"query": {"type": "string", "description": "What to look for, in a few words."}}
    touches = frozenset({"memory"})

    def __init__(self, search: Callable[[str], str]) -> None:
        super().__init__()
        self._search = search

    def forward(self, query: str) -> str:
        if not str(query).strip():
            raise ToolError("query is empty;", "say what to look for.")
        return self._search(str(query))
