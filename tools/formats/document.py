"""A document of any kind → its text."""

from collections.abc import Callable

from errors import ToolError
from tools.formats import archive, books, media, office, pdf, structured
from tools.formats.kinds import ARCHIVES, BOOKS, DOCUMENTS, MEDIA, PICTURES, UNREADABLE

_ZIPPED = (".xlsx", ".xlsm", ".xlsb", ".ods", ".docx", ".pptx", ".epub", ".odt", ".odp")


def document_text(data: bytes, name: str, kind: str, charset: str | None = None) -> str:
    """The text of a file of that kind (an ending from `kinds.kind_of`)."""
    if kind in UNREADABLE:
        raise ToolError(f"{name} can't be read: it is {UNREADABLE[kind]}.")
    if kind in _ZIPPED:
        office.check_archive(data, name)
    if kind in BOOKS:
        return books.book_text(data, name, kind)
    if kind in PICTURES:
        return media.picture_text(data, name)
    if kind in MEDIA:
        return media.media_text(data, name)
    if kind in ARCHIVES:
        return archive.listing(data, name)
    own = _OWN.get(kind)
    if own is not None:
        return own(data, name)
    if kind in DOCUMENTS:
        return office.by_markitdown(data, name, kind, charset)
    raise ToolError(f"There is no reader for {kind or 'a file without an ending'}.")


_OWN: dict[str, Callable[[bytes, str], str]] = {
    ".pdf": pdf.pdf_text,
    ".odt": office.open_document,
    ".odp": office.open_document,
    ".rtf": office.rich_text,
    ".eml": structured.letter,
    ".ipynb": structured.notebook,
    ".pdb": structured.protein,
    ".sqlite": structured.database,
}
