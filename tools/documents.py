"""Turns the bytes of a document into text, whatever its format."""

import codecs
import json

from tools.converter import shared
from tools.formats.kinds import DOCUMENTS, kind_of
from tools.text import visible

CONVERTED = (*DOCUMENTS, ".htm")
PAGE_SECONDS = 20.0
TRANSCRIPT_SECONDS = 600.0
TRANSCRIPT_BYTES = 8 << 30
_NO_CHARSETS = frozenset({"punycode", "idna", "unicode-escape", "raw-unicode-escape"})
"""Codecs of Python's that no page is written in; the first takes quadratic time."""


def is_text(data: bytes) -> bool:
    """Whether the bytes look like text in some encoding."""
    return data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" not in data[:8192]


def decode(data: bytes, charset: str | None = None) -> str:
    """The text in `data`: by its byte order mark, the charset named, UTF-8, or a guess."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    for name in (charset, "utf-8-sig"):
        try:
            if name and codecs.lookup(name).name not in _NO_CHARSETS:
                return data.decode(name)
        except (UnicodeError, LookupError):  # wrong, or a charset that nobody knows
            continue
    return _guess(data)


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:200_000]).best()
    name = best.encoding if best else "cp1252"
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def convert(data: bytes, name: str, charset: str | None = None) -> str:
    """The text of a document in any format of `tools/formats`, read in a process of its own.

    What it is goes by the content, then by the name's ending. Raises ToolError, in words, for a
    damaged or protected file and one that takes too much time or memory.
    """
    kind = kind_of(data, name)
    text = shared().run("document", data, name=name, kind=kind, charset=charset)
    return visible(text.decode("utf-8")).strip()


def page_to_markdown(
    html: str | bytes, address: str = "", *, charset: str | None = None, links: bool = False
) -> str:
    """The readable text of a web page as Markdown, under its title. Raises ToolError as above.

    `charset` is the one that its server names; `links` shows the addresses of its links.
    """
    if isinstance(html, str):
        html, charset = html.encode("utf-8", "replace"), "utf-8"
    name = address[:300] or "the page"
    text = shared().run(
        "page", html, name=name, seconds=PAGE_SECONDS, address=address, charset=charset, links=links
    )
    return visible(text.decode("utf-8")).strip()


def article_sections(html: str, name: str) -> list[tuple[int, str, str]]:
    """The sections of a Wikipedia article as (level, title, text). Raises ToolError as above."""
    text = shared().run("article", html.encode("utf-8", "replace"), name=name, seconds=PAGE_SECONDS)
    return [(level, title, visible(body)) for level, title, body in json.loads(text)]


def member(data: bytes, name: str, path: str) -> bytes:
    """The bytes of a file in an archive, or in an archive in it (`inner.zip/a.txt`).

    Raises ToolError, as FileNotFoundError where there is none of that name.
    """
    return shared().run("member", data, name=name, path=path)


def describe_table(
    data: bytes, name: str, kind: str, *, summary: bool | None = None, total_bytes: int = 0
) -> str:
    """Rows, columns, types and first rows of a table; `total_bytes` if `data` is its beginning."""
    text = shared().run(
        "table", data, name=name, kind=kind, summary=summary, total_bytes=total_bytes
    )
    return text.decode("utf-8")


def transcript(data: bytes, name: str, model: str) -> str:
    """What is said in a recording. Needs faster-whisper; the model comes from the Hub."""
    text = shared().run(
        "transcript",
        data,
        name=name,
        seconds=TRANSCRIPT_SECONDS,
        memory_bytes=TRANSCRIPT_BYTES,
        network=True,
        model=model,
    )
    return visible(text.decode("utf-8")).strip()
