"""Workbooks → text: each sheet as a Markdown table, with formulas and the colours of cells.

Small xlsx files are read with their styles (openpyxl); large ones, and the other formats, by
values alone (calamine).
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from errors import ToolError

MOST_ROWS = 20_000
MOST_SHEETS = 50
_STYLED_BYTES = 40_000_000  # of unpacked XML; more takes too long with styles
_MOST_COLOUR_RANGES = 400
_NAMES = {
    "FF0000": "red",
    "00FF00": "green",
    "0000FF": "blue",
    "FFFF00": "yellow",
    "FFA500": "orange",
    "FFC000": "orange",
    "92D050": "light green",
    "00B050": "green",
    "00B0F0": "light blue",
    "0070C0": "blue",
    "7030A0": "purple",
    "800080": "purple",
    "FF00FF": "magenta",
    "00FFFF": "cyan",
    "FFFFFF": "white",
    "000000": "black",
    "808080": "grey",
}


def book_text(data: bytes, name: str, kind: str) -> str:
    """Every sheet: its name and size, its cells as a Markdown table, its cells with a colour."""
    if kind in (".xlsx", ".xlsm") and _unpacked_bytes(data) <= _STYLED_BYTES:
        sheets = list(_styled(data, name))
    else:
        sheets = list(_values(data, name))
    return "\n\n".join(sheets)


def _unpacked_bytes(data: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _styled(data: bytes, name: str) -> Iterator[str]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    except Exception as error:  # noqa: BLE001 - openpyxl raises whatever its XML led to
        raise ToolError(f"{name} can't be read as an Excel file: {error}") from None
    formulas: Any = None
    computed = _has_formulas(data)
    for sheet in book.worksheets[:MOST_SHEETS]:
        rows = list(sheet.iter_rows(max_row=min(sheet.max_row, MOST_ROWS)))
        if formulas is None and computed and _has_gaps(rows):
            formulas = openpyxl.load_workbook(io.BytesIO(data))
        texts = [[_cell(cell.value) for cell in row] for row in rows]
        if formulas is not None:
            _put_formulas(texts, formulas[sheet.title])
        hidden = ", hidden" if sheet.sheet_state != "visible" else ""
        yield _sheet(sheet.title + hidden, sheet.max_row, texts, _colours(rows))


def _has_formulas(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = [n for n in archive.namelist() if n.startswith("xl/worksheets/")]
        return any(b"<f" in archive.read(sheet) for sheet in sheets)


def _has_gaps(rows: list[Any]) -> bool:
    """Whether a cell has no value: it may be a formula that no program has computed yet."""
    return any(cell.value is None for row in rows for cell in row)


def _put_formulas(texts: list[list[str]], sheet: Any) -> None:
    for row in sheet.iter_rows(max_row=len(texts)):
        for cell in row:
            at = (cell.row - 1, cell.column - 1)
            inside = at[0] < len(texts) and at[1] < len(texts[at[0]])
            if cell.data_type == "f" and inside and not texts[at[0]][at[1]]:
                texts[at[0]][at[1]] = str(getattr(cell.value, "text", cell.value))


def _colours(rows: list[Any]) -> str:
    """`FF0000 (red): A1:B2, C4` for each colour that cells are filled with."""
    found: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        for cell in row:
            colour = _fill(cell)
            if colour:
                found.setdefault(colour, []).append((cell.row, cell.column))
    lines = []
    left = _MOST_COLOUR_RANGES
    for colour, cells in found.items():
        ranges = list(_ranges(cells))
        shown = ", ".join(ranges[:left])
        more = f" and {len(ranges) - left} more ranges" if len(ranges) > left else ""
        left = max(0, left - len(ranges))
        named = f" ({_NAMES[colour]})" if colour in _NAMES else ""
        lines.append(f"- {colour}{named}: {shown}{more}")
    return "\n".join(["cells filled with a colour (RGB):", *lines]) if lines else ""


def _fill(cell: Any) -> str:
    if not cell.has_style or cell.fill is None or cell.fill.fill_type != "solid":
        return ""
    colour = cell.fill.fgColor
    if colour.type == "rgb" and isinstance(colour.rgb, str):
        return colour.rgb[-6:].upper()
    if colour.type == "indexed":
        from openpyxl.styles.colors import COLOR_INDEX

        known = 0 <= colour.indexed < len(COLOR_INDEX)
        return COLOR_INDEX[colour.indexed][-6:] if known else ""
    if colour.type == "theme":
        return f"theme colour {colour.theme}" + (f", tint {colour.tint:.2f}" if colour.tint else "")
    return ""


def _ranges(cells: list[tuple[int, int]]) -> Iterator[str]:
    """Runs of cells in a row as `B2:D2`, equal runs in rows below each other as `B2:D5`."""
    from openpyxl.utils import get_column_letter as letter

    runs: list[list[int]] = []  # first row, last row, first column, last column
    for row, column in cells:
        if runs and runs[-1][1] == row and runs[-1][3] == column - 1 and runs[-1][0] == row:
            runs[-1][3] = column
        else:
            runs.append([row, row, column, column])
    blocks: dict[tuple[int, int], list[int]] = {}
    done: list[list[int]] = []
    for run in runs:
        above = blocks.get((run[2], run[3]))
        if above is not None and above[1] == run[0] - 1:
            above[1] = run[1]
        else:
            blocks[(run[2], run[3])] = run
            done.append(run)
    for first, last, left, right in done:
        start, end = f"{letter(left)}{first}", f"{letter(right)}{last}"
        yield start if start == end else f"{start}:{end}"


def _values(data: bytes, name: str) -> Iterator[str]:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for title in book.sheet_names[:MOST_SHEETS]:
            sheet = book.get_sheet_by_name(title)
            rows = sheet.to_python(skip_empty_area=False, nrows=MOST_ROWS)
            texts = [[_cell(value) for value in row] for row in rows]
            yield _sheet(title, sheet.total_height, texts, "")
    except PasswordError:
        raise ToolError(f"{name} is protected by a password.", "Save it without one.") from None
    except CalamineError as error:
        raise ToolError(f"{name} can't be read as a workbook: {error}") from None


def _sheet(title: str, height: int, texts: list[list[str]], colours: str) -> str:
    while texts and not any(texts[-1]):
        texts.pop()
    width = max((n for row in texts for n, text in enumerate(row, 1) if text), default=0)
    if not width:
        return "\n".join(filter(None, [f"## {title} (empty)", colours]))
    more = []
    if height > MOST_ROWS:
        more = [f"[{height - MOST_ROWS} more rows; read them with pandas in your code]"]
    table = _markdown([row[:width] + [""] * (width - len(row)) for row in texts])
    return "\n".join(filter(None, [f"## {title}", *table, *more, colours]))


def _markdown(rows: list[list[str]]) -> Iterable[str]:
    yield _line(rows[0])
    yield _line(["---"] * len(rows[0]))
    yield from (_line(row) for row in rows[1:])


def _line(cells: list[str]) -> str:
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _cell(value: object) -> str:
    from datetime import datetime, time

    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return " ".join(str(value).split())
