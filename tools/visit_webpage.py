"""visit_webpage: what a page of the web says, as Markdown."""

import logging
import re
from collections.abc import Collection
from pathlib import PurePosixPath

import httpx
from smolagents import Tool

from tools.documents import CONVERTED, convert, decode, is_text
from tools.fetch import MAX_BYTES, TIMEOUT_SECONDS, Fetched, Limits, fetch
from tools.text import PAGE_CHARS, one_line, page, visible

_SUFFIXES = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_HTML = ("text/html", "application/xhtml+xml", "")


class VisitWebpage(Tool):
    """Fetches public pages only; `allow` names hosts (`host` or `host:port`) of your own."""

    name = "visit_webpage"
    description = (
        "Returns the readable text of a web page or online document. Long text comes in parts. "
        'Example: print(visit_webpage("https://en.wikipedia.org/wiki/Mount_Kenya"))'
    )
    inputs = {
        "url": {"type": "string", "description": "The page's address, with https://."},
        "part": {
            "type": "integer",
            "description": "Which part of a long text; 1 if left out.",
            "nullable": True,
        },
    }
    output_type = "string"

    def __init__(
        self,
        allow: Collection[str] = (),
        *,
        page_chars: int = PAGE_CHARS,
        max_bytes: int = MAX_BYTES,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        super().__init__()
        hosts = frozenset(host.lower() for host in allow)
        self._limits = Limits(max_bytes, timeout_seconds, hosts)
        self._page_chars = page_chars

    def forward(self, url: str, part: int | None = 1) -> str:
        fetched = fetch(str(url), self._limits)
        text = _readable(fetched)
        if fetched.cut:
            text += "\n[The page goes on; it was cut here for its size.]"
        if not text.strip():
            return f"{fetched.address} holds no readable text."
        return page(text, part, f"visit_webpage({str(url)!r}, part={{part}})", self._page_chars)


def _readable(fetched: Fetched) -> str:
    suffix = _suffix(fetched)
    if suffix:
        if fetched.cut:
            raise ValueError(f"The document {fetched.address} is too large to read.")
        return convert(fetched.data, f"document{suffix}")
    if not is_text(fetched.data):
        kind = fetched.content_type or "no text"
        raise ValueError(f"{fetched.address} can't be read: it is {kind}.")
    text = decode(fetched.data, fetched.charset or _charset_in_page(fetched.data))
    if fetched.content_type in _HTML and "<" in text:
        return _markdown(text, fetched.address)
    return visible(text).strip()


def _suffix(fetched: Fetched) -> str:
    """The ending of a document's format; empty for pages and plain text."""
    if fetched.content_type in _SUFFIXES:
        return _SUFFIXES[fetched.content_type]
    suffix = PurePosixPath(httpx.URL(fetched.address).path).suffix.lower()
    binary = fetched.content_type in ("application/octet-stream", "")
    return suffix if binary and suffix in CONVERTED and "htm" not in suffix else ""


def _charset_in_page(data: bytes) -> str | None:
    """The charset that a page declares in its head."""
    found = re.search(rb"""<meta[^>]{0,200}charset=["']?([\w-]{2,40})""", data[:4096], re.I)
    return found[1].decode("ascii") if found else None


def _markdown(html: str, address: str) -> str:
    import trafilatura
    from trafilatura.metadata import extract_metadata

    # It logs as errors what is said here in other words.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    text = trafilatura.extract(
        html,
        url=address,
        output_format="markdown",
        include_tables=True,
        include_comments=False,
        include_formatting=True,
        favor_recall=True,
    )
    if not text:  # no article in it: a list, a form, a few lines
        text = convert(html.encode(), "page.html", charset="utf-8")
    described = extract_metadata(html, default_url=address)
    title = one_line(described.title or "", 200) if described else ""
    head = f"# {title}\n" if title and not (text or "").startswith(f"# {title}") else ""
    return f"{head}{visible(text or '').strip()}".strip()
