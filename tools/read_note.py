"""read_note: a whole note of the user's."""

from collections.abc import Callable

from errors import ToolError
from tools.base import HearthTool
from tools.inputs import PART
from tools.text import PAGE_CHARS, page, visible


class ReadNote(HearthTool):
    """Hands the name to `read`, which returns the text or raises FileNotFoundError, ValueError."""

    name = "read_note"
    description = (
        "Returns a whole note of the user's, by the name that search_notes shows. Long notes come "
        'in parts. Example: print(read_note("home.md"))'
    )
    inputs = {
        "name": {"type": "string", "description": "The note's name, such as home.md."},
        "part": PART,
    }
    touches = frozenset({"memory"})

    def __init__(self, read: Callable[[str], str], page_chars: int = PAGE_CHARS) -> None:
        super().__init__()
        self._read = read
        self._page_chars = page_chars

    def forward(self, name: str, part: int | None = 1) -> str:
        note = str(name).strip()
        if not note:
            raise ToolError("name is empty;", "name a note that search_notes shows.")
        try:
            text = visible(self._read(note))
            if not text.strip():
                return f"{note} holds no text."
            return page(text, part, f"read_note({note!r}, part={{part}})", self._page_chars)
        except FileNotFoundError as error:
            raise ToolError(
                str(error), "Look with search_notes first.", seen_as=FileNotFoundError
            ) from None
        except ValueError as error:
            raise ToolError(str(error)) from None
