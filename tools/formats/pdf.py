"""pdf → text, page by page, with its ruled tables."""

import contextlib
import csv
import io
import logging
import time
from typing import Any

from errors import ToolError
from tools.formats import ocr

MOST_PAGES = 2_000
_TABLE_PAGES = 30
_TABLE_SECONDS = 12.0
_OCR_SECONDS = 25.0
_FEW_LINES = 6  # drawn lines and boxes; fewer make no table


def pdf_text(data: bytes, name: str) -> str:
    """The text of each page under a line `[page 3]`, and its tables as CSV below it."""
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(data)
        count = len(document)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise ToolError(
                f"{name} is protected by a password.", "Ask for a copy without one."
            ) from None
        raise ToolError(f"{name} can't be read: the pdf is damaged ({error}).") from None
    started = time.monotonic()
    pages, ruled, pictures = [], [], []
    for number in range(min(count, MOST_PAGES)):
        try:
            page = document[number]
            pages.append(_page_text(page))
            kinds = [item.type for item in page.get_objects(max_depth=2)]
        except pdfium.PdfiumError:
            pages.append("(this page is damaged)" if len(pages) == number else pages.pop())
            continue
        if kinds.count(pdfium.raw.FPDF_PAGEOBJ_PATH) >= _FEW_LINES and pages[-1]:
            ruled.append(number)
        if not pages[-1] and kinds.count(pdfium.raw.FPDF_PAGEOBJ_IMAGE):
            pictures.append(number)
    _recognise(document, pages, pictures, started)
    for number, tables in _tables(data, ruled):
        pages[number] += "".join(f"\ntable:\n{table}" for table in tables)
    if count == 1:
        return pages[0]
    marked = [f"[page {n}]\n{text}" for n, text in enumerate(pages, 1)] if any(pages) else []
    if count > MOST_PAGES:
        marked.append(f"[{count - MOST_PAGES} more pages are left out]")
    return "\n\n".join(marked)


def _page_text(page: Any) -> str:
    text = page.get_textpage().get_text_bounded()
    # \ufffe is how pdfium writes the hyphen at the end of a line within a word.
    text = text.replace("\r\n", "\n").replace("\ufffe\n", "").replace("\ufffe", "")
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def _recognise(document: Any, pages: list[str], pictures: list[int], started: float) -> None:
    """Text of the pages that are pictures, where a program for it is installed."""
    if not pictures:
        return
    if not ocr.available():
        for number in pictures:
            pages[number] = f"(this page is a picture; {ocr.MISSING})"
        return
    for number in pictures:
        if time.monotonic() - started > _OCR_SECONDS:
            pages[number] = "(this page is a picture that there was no time to read)"
            continue
        picture = document[number].render(scale=2.5).to_pil()
        pages[number] = ocr.text_in(picture)


def _tables(data: bytes, numbers: list[int]) -> list[tuple[int, list[str]]]:
    """(page, its ruled tables as CSV). pdfplumber is slow, so only pages with lines are asked."""
    if not numbers:
        return []
    import pdfplumber

    logging.getLogger("pdfminer").setLevel(logging.CRITICAL)
    found: list[tuple[int, list[str]]] = []
    deadline = time.monotonic() + _TABLE_SECONDS
    with contextlib.suppress(Exception), pdfplumber.open(io.BytesIO(data)) as document:
        for number in numbers[:_TABLE_PAGES]:
            if time.monotonic() > deadline:
                break
            page = document.pages[number]
            tables = [_csv(rows) for rows in page.extract_tables() if _is_table(rows)]
            found.append((number, tables))
            page.close()
    return found


def _is_table(rows: list[list[str | None]]) -> bool:
    filled = sum(bool(cell and cell.strip()) for row in rows for cell in row)
    return len(rows) > 1 and len(rows[0]) > 1 and filled * 2 >= len(rows) * len(rows[0])


def _csv(rows: list[list[str | None]]) -> str:
    out = io.StringIO()
    cells = [[" ".join((cell or "").split()) for cell in row] for row in rows]
    csv.writer(out, lineterminator="\n").writerows(cells)
    return out.getvalue().rstrip("\n")
