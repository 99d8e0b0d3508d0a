"""inspect_table: the columns, types and first rows of a table."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

from smolagents import Tool

from tools.text import cut, visible
from tools.workspace import File, check_archive, load

if TYPE_CHECKING:
    import pandas as pd

FIRST_ROWS = 3
MAX_COLUMNS = 60
MAX_SHEETS = 20
CELL_CHARS = 80
_CHUNK_ROWS = 20_000
_DELIMITERS = ",;\t|"

_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_TIME = r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?"
_DATE = re.compile(rf"\d{{4}}-\d{{1,2}}-\d{{1,2}}({_TIME})?")
_OTHER_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{4}|\d{4}/\d{1,2}/\d{1,2}")
_BOOLEANS = {"true", "false"}
_EMPTY = {"", "na", "n/a", "nan", "null", "none"}


class InspectTable(Tool):
    """Looks at a csv, tsv or xlsx file of the workspace."""

    name = "inspect_table"
    description = (
        "Shows a table file (csv, tsv, xlsx): number of rows, the name and type of each column, "
        'and the first rows. Use it before computing. Example: print(inspect_table("sales.csv"))'
    )
    inputs = {"path": {"type": "string", "description": "The file's name, such as sales.csv."}}
    output_type = "string"

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._workspace = workspace

    def forward(self, path: str) -> str:
        file = load(self._workspace, path)
        if not file.data.strip():
            return f"{file.name}: empty, no rows, no columns"
        if file.suffix in (".xlsx", ".xlsm"):
            return "\n\n".join(_sheets(file))
        if file.suffix in (".csv", ".tsv", ".tab", ".txt"):
            return _delimited(file)
        raise ValueError(
            f"inspect_table reads csv, tsv and xlsx, not '{file.suffix or file.name}'. "
            f"Try read_file({file.name!r})."
        )


def _delimited(file: File) -> str:
    import pandas as pd

    text, encoding = _decode(file)
    delimiter = "\t" if file.suffix in (".tsv", ".tab") else _delimiter(text)
    try:
        # Through pandas, so that the names shown are those that the agent's own
        # pandas.read_csv will give, with blank and repeated headers renamed alike.
        chunks = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            dtype=str,
            keep_default_na=False,
            chunksize=_CHUNK_ROWS,
        )
        table = _Table()
        for chunk in chunks:
            table.add(chunk)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise ValueError(f"{file.name} can't be read as a table: {str(error).strip()}") from None
    expected = "\t" if file.suffix in (".tsv", ".tab") else ","
    hints = [f'separated by "{delimiter}"'.replace("\t", "\\t")] if delimiter != expected else []
    hints += [f"encoding {encoding}"] if encoding != "utf-8" else []
    return table.describe(file.name, hints)


def _sheets(file: File) -> Iterator[str]:
    import pandas as pd

    check_archive(file.data, file.name)
    try:
        book = pd.read_excel(
            io.BytesIO(file.data), sheet_name=None, dtype=object, engine="openpyxl"
        )
    except Exception as error:  # noqa: BLE001 - openpyxl raises whatever its XML led to
        raise ValueError(f"{file.name} can't be read as an Excel file: {error}") from None
    for sheet, frame in list(book.items())[:MAX_SHEETS]:
        name = f"{file.name}, sheet {sheet}"
        if not len(frame.columns):
            yield f"{name}: empty, no rows, no columns"
            continue
        table = _Table()
        table.add(frame.map(_cell_text))
        yield table.describe(name, [])
    if len(book) > MAX_SHEETS:
        yield f"{file.name} has {len(book) - MAX_SHEETS} more sheets."


class _Table:
    """Gathers rows, types and the first rows of a table that comes in pieces of text cells."""

    def __init__(self) -> None:
        self.rows = 0
        self.columns: list[str] = []
        self.kinds: list[str] = []
        self.first: list[list[str]] = []

    def add(self, chunk: "pd.DataFrame") -> None:
        if type(chunk.index).__name__ != "RangeIndex":  # rows with more cells than the header
            chunk = chunk.reset_index(names=[f"(no name {n})" for n in _numbers(chunk.index)])
        if not self.columns:
            self.columns = [str(column) for column in chunk.columns]
            self.kinds = [""] * len(self.columns)
        self.rows += len(chunk)
        missing_rows = FIRST_ROWS - len(self.first)
        self.first += chunk.head(max(0, missing_rows)).fillna("").values.tolist()
        for at in range(len(self.columns)):
            if self.kinds[at] != "text":
                cells = chunk.iloc[:, at].dropna()
                self.kinds[at] = _joined([self.kinds[at], *_kinds(cells)])

    def describe(self, name: str, hints: list[str]) -> str:
        size = f"{_count(self.rows, 'row')}, {_count(len(self.columns), 'column')}"
        if self.columns and all(_kind(column) in ("integer", "number") for column in self.columns):
            hints = [*hints, "perhaps without a header"]
        columns = [
            f"{_clean(column)} ({kind or 'empty'})"
            for column, kind in zip(self.columns, self.kinds, strict=True)
        ]
        more = len(columns) - MAX_COLUMNS
        if more > 0:
            columns = [*columns[:MAX_COLUMNS], f"and {more} more"]
        lines = [f"{name}: {', '.join([size, *hints])}", ", ".join(columns)]
        if self.first:
            rows = io.StringIO()
            writer = csv.writer(rows, lineterminator="\n")
            for row in [self.columns, *self.first]:
                writer.writerow([_clean(cell) for cell in row[:MAX_COLUMNS]])
            lines += ["first rows:", rows.getvalue().rstrip("\n")]
        return "\n".join(lines)


def _numbers(index: "pd.Index") -> range:
    return range(1, index.nlevels + 1)


def _kinds(cells: Iterable[str]) -> set[str]:
    return {_kind(cell) for cell in set(cells)}


def _kind(cell: str) -> str:
    """integer, number, date, true/false or text; "" for a cell that holds nothing."""
    cell = cell.strip()
    if cell.lower() in _EMPTY:
        return ""
    if _INTEGER.fullmatch(cell):
        return "integer"
    if _NUMBER.fullmatch(cell):
        return "number"
    if _DATE.fullmatch(cell) or _OTHER_DATE.fullmatch(cell):
        return "date"
    return "true/false" if cell.lower() in _BOOLEANS else "text"


def _joined(kinds: list[str]) -> str:
    there = {kind for kind in kinds if kind}
    if there == {"integer", "number"}:
        return "number"
    return there.pop() if len(there) == 1 else ("text" if there else "")


def _cell_text(value: object) -> str:
    """A cell of an Excel sheet as the text that a csv file would hold."""
    if value is None or value != value:  # NaN and NaT differ from themselves
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else str(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _clean(cell: object) -> str:
    return cut(visible(str(cell)).replace("\n", " ").replace("\t", " "), CELL_CHARS)


def _decode(file: File) -> tuple[str, str]:
    data = file.data
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), "utf-16"
    if b"\0" in data[:4096]:
        raise ValueError(f"{file.name} is not a text file, so not a csv table.")
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "cp1252"


def _delimiter(text: str) -> str:
    """The delimiter that cuts nearly all first lines into equally many cells, and the most."""
    head = text[:20_000]
    if len(text) > len(head):
        head = head[: head.rfind("\n") + 1] or head
    best, best_cells = ",", 1
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row][:50]
        except csv.Error:
            continue
        widths = Counter(len(row) for row in rows)
        cells, lines = max(widths.items(), key=lambda item: item[1], default=(1, 0))
        if lines >= 0.8 * len(rows) and cells > best_cells:
            best, best_cells = delimiter, cells
    return best


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
