"""An address → what its page or document says, for the tools that read the web."""

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import httpx

from errors import ToolError
from tools.documents import CONVERTED, convert, decode, is_text, page_to_markdown
from tools.fetch import Ask, Fetched, FetchFunction
from tools.passages import relevant
from tools.text import PAGE_CHARS, page, visible
from tools.web_state import WebState

KEEP_SECONDS = 900.0
"""For how long a page is kept, so that its next part and the next question cost nothing."""

_SUFFIXES = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_HTML = ("text/html", "application/xhtml+xml", "")
_LOOKS_LIKE_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|article|main|div|p|h1)\b", re.I)


@dataclass(frozen=True)
class Text:
    """What an address says, and where it was after redirects. `cut`: why it is not whole."""

    address: str
    text: str
    cut: str = ""


class Pages:
    """Fetches and converts; what was read a moment ago is not fetched again."""

    def __init__(
        self, fetch: FetchFunction, state: WebState | None = None, keep_seconds: float = 0.0
    ) -> None:
        self._fetch = fetch
        self._state = state or WebState()
        self._keep = keep_seconds

    def read(self, address: str, links: bool = False) -> Text:
        """The text at an address. Raises ToolError."""
        key = ("page", address, links)
        if kept := self._state.get(*key):
            return Text(**json.loads(kept))
        fetched = self._fetch(Ask(address))
        found = Text(fetched.address, _readable(fetched, links), fetched.cut)
        self._state.keep(json.dumps(found.__dict__).encode(), self._keep, *key)
        return found


def shown(
    found: Text, question: str | None, part: int | None, call: str, most_chars: int = PAGE_CHARS
) -> str:
    """The part of a text that was asked for, or its passages about a question.

    `call` shows how the next part is asked for, with `{part}` in it.
    """
    text = found.text
    if found.cut:
        text += f"\n[It goes on; it was cut here {found.cut}.]"
    if not text.strip():
        return f"{found.address} holds no readable text."
    question = (question or "").strip()
    if not question or len(text) <= most_chars or (part or 1) != 1:
        return page(text, part, call, most_chars)
    if passages := relevant(text, question, most_chars):
        head = f"[what it says about the question; all of it: {call.replace('{part}', '1')}]"
        return f"{head}\n{passages}"
    note = "[No passage has a word of the question; this is the beginning.]"
    return f"{note}\n{page(text, 1, call, most_chars)}"


def _readable(fetched: Fetched, links: bool) -> str:
    suffix = _suffix(fetched)
    if suffix:
        if fetched.cut:
            raise ToolError(
                f"The document {fetched.address} can't be read: it was cut {fetched.cut}.",
                "Look for another copy of it.",
            )
        return convert(fetched.data, f"document{suffix}")
    if not is_text(fetched.data):
        kind = fetched.content_type or "no text"
        raise ToolError(
            f"{fetched.address} can't be read: it is {kind}.", "Look for a page that describes it."
        )
    if fetched.content_type in _HTML and _LOOKS_LIKE_HTML.search(fetched.data[:100_000]):
        return page_to_markdown(fetched.data, fetched.address, charset=fetched.charset, links=links)
    return visible(decode(fetched.data, fetched.charset)).strip()


def _suffix(fetched: Fetched) -> str:
    """The ending of a document's format; empty for pages and plain text."""
    if fetched.data.startswith(b"%PDF-"):
        return ".pdf"
    if fetched.content_type in _SUFFIXES:
        return _SUFFIXES[fetched.content_type]
    suffix = PurePosixPath(httpx.URL(fetched.address).path).suffix.lower()
    binary = fetched.content_type in ("application/octet-stream", "")
    return suffix if binary and suffix in CONVERTED and "htm" not in suffix else ""
