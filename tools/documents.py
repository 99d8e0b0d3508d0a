"""Turns the bytes of a document into text, whatever its format."""

import codecs
import io
from pathlib import PurePosixPath

from tools.text import visible
from tools.workspace import check_archive

OFFICE = (".docx", ".pptx", ".xlsx")
CONVERTED = (*OFFICE, ".pdf", ".html", ".htm")
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
    """A pdf, docx, pptx, xlsx or html document as Markdown. Raises ValueError, in words."""
    from markitdown import MarkItDown, StreamInfo

    suffix = PurePosixPath(name).suffix.lower()
    if suffix in OFFICE:
        check_archive(data, name)
    try:
        # Without plug-ins, and from bytes: markitdown never opens a path or an address here.
        converter = MarkItDown(enable_plugins=False)
        info = StreamInfo(extension=suffix, filename=name, charset=charset)
        text = converter.convert_stream(io.BytesIO(data), stream_info=info).markdown
    except Exception as error:  # each format's library has errors of its own
        raise ValueError(f"{name} can't be read: {_first_line(error)}") from error
    if text.startswith("%PDF-"):  # a damaged pdf without binary parts is passed on as plain text
        raise ValueError(f"{name} can't be read: the pdf is damaged.")
    return visible(text).strip()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
