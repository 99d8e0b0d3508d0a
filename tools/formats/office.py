"""docx, pptx, odt, odp, epub, rtf and Outlook messages → text."""

import io
import logging
import zipfile
from collections.abc import Iterator
from typing import Any

from errors import ToolError
from tools.formats.seen import seen

MOST_UNZIPPED_BYTES = 1_000_000_000


def check_archive(data: bytes, name: str) -> None:
    """Refuses an Office file (a zip) that would unpack to far more than it holds."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        raise ToolError(f"{name} is damaged, or not what its name says.") from None
    if any(entry.flag_bits & 1 for entry in entries):
        raise ToolError(f"{name} is protected by a password.", "Ask for a copy without one.")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > min(MOST_UNZIPPED_BYTES, 200 * len(data) + 50_000_000):
        raise ToolError(f"{name} unpacks to {unpacked / 1e6:.0f} MB; that is refused.")


def by_markitdown(data: bytes, name: str, kind: str, charset: str | None = None) -> str:
    """docx, pptx, html, epub and msg as Markdown."""
    from markitdown import FileConversionException, MarkItDown, StreamInfo

    data = seen(data, kind, charset)
    if kind == ".html":
        charset = "utf-8"
    logging.disable(logging.CRITICAL)  # nobody reads this process's log
    # Without plug-ins, and from bytes: markitdown never opens a path or an address here.
    info = StreamInfo(extension=kind, filename=f"document{kind}", charset=charset)
    try:
        converter = MarkItDown(enable_plugins=False)
        return converter.convert_stream(io.BytesIO(data), stream_info=info).markdown
    except FileConversionException as error:
        raise _cause(error, name, kind) from None


def _cause(error: Any, name: str, kind: str) -> Exception:
    """What lies behind a failure of markitdown's, whose own text tells the number of its tries."""
    from markitdown import MissingDependencyException

    causes = [tried.exc_info[1] for tried in error.attempts or [] if tried.exc_info]
    if not any(isinstance(cause, MissingDependencyException) for cause in causes):
        return causes[-1] if causes else error
    package = {".msg": "olefile"}.get(kind, f"markitdown[{kind[1:]}]")
    return ToolError(
        f"{name} can't be read: a package is missing.", f"The user can install it: {package}."
    )


def open_document(data: bytes, name: str) -> str:
    """The paragraphs, headings and tables of an odt or odp file."""
    from defusedxml.ElementTree import fromstring

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        root = fromstring(archive.read("content.xml"))
    body = next((e for e in root.iter() if _local(e) == "body"), None)
    if body is None:
        raise ToolError(f"{name} is damaged, or not what its name says.")
    return "\n".join(_blocks(body))


def _blocks(element: Any) -> Iterator[str]:
    for child in element:
        match _local(child):
            case "h":
                level = next((int(v) for k, v in child.items() if k.endswith("outline-level")), 1)
                yield f"{'#' * min(level, 6)} {_inline(child)}"
            case "p":
                yield _inline(child)
            case "table-row":
                yield f"| {' | '.join(' '.join(_blocks(cell)) for cell in child)} |"
            case _:
                yield from _blocks(child)


def _inline(element: Any) -> str:
    parts = [element.text or ""]
    for child in element:
        inner = {"tab": "\t", "line-break": "\n", "s": " "}.get(_local(child))
        parts += [inner if inner is not None else _inline(child), child.tail or ""]
    return "".join(parts)


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def rich_text(data: bytes, name: str) -> str:
    """The text of an rtf file."""
    from striprtf.striprtf import rtf_to_text

    del name
    return rtf_to_text(data.decode("latin-1"), encoding="cp1252", errors="replace")
