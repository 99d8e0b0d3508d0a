"""csv, workbooks, parquet, feather and json records → what `table.Table` says of them.

Of a very long table the first rows are looked at, and it is said.
"""

import csv
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from errors import ToolError
from tools.formats.kinds import BOOKS, ending
from tools.formats.office import check_archive
from tools.formats.table import COMMA, Table

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 200_000
"""Rows whose cells are looked at; beyond them rows are only counted."""
MAX_SHEETS = 20
_CHUNK_ROWS = 20_000
_DELIMITERS = ",;\t|"
_TITLE_ROWS = 20  # rows above the header that are looked through
_OPENPYXL_BYTES = 5_000_000  # larger workbooks are read by calamine, which is far faster


def table_text(
    data: bytes, name: str, kind: str, summary: bool | None = None, total_bytes: int = 0
) -> str:
    """The description of a table file. `total_bytes` where `data` is only its beginning."""
    if kind in BOOKS:
        return "\n\n".join(_sheets(data, name, kind, summary))
    if kind in (".parquet", ".feather"):
        return _columnar(data, name, kind, summary)
    if kind in (".json", ".jsonl", ".ndjson"):
        return _records(data, name, summary)
    return _delimited(data, name, summary, total_bytes)


def _delimited(data: bytes, name: str, summary: bool | None, total_bytes: int) -> str:
    import pandas as pd

    text, encoding = _decode(data, name)
    if total_bytes > len(data):
        text = text[: text.rfind("\n") + 1] or text
    tabs = ending(name) in (".tsv", ".tab")
    delimiter = "\t" if tabs else _delimiter(text)
    skipped = _rows_above_header(text, delimiter)
    table = Table(decimal_comma=delimiter not in ",")
    rows = ""
    try:
        # Through pandas, so that the names shown are those that the agent's own
        # pandas.read_csv will give, with blank and repeated headers renamed alike.
        chunks = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            dtype=str,
            keep_default_na=False,
            chunksize=_CHUNK_ROWS,
            skiprows=skipped,
        )
        for chunk in chunks:
            table.add(chunk)
            if table.rows >= MOST_ROWS:
                rows = _long(text, delimiter, skipped, table.rows, total_bytes / len(data))
                break
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise ToolError(f"{name} can't be read as a table: {str(error).strip()}") from None
    expected = "\t" if tabs else ","
    hints = [f'separated by "{delimiter}"'.replace("\t", "\\t")] if delimiter != expected else []
    hints += [f"encoding {encoding}"] if encoding != "utf-8" else []
    hints += [f"header in line {skipped + 1}"] if skipped else []
    options = {"skiprows": skipped} if skipped else {}
    return table.describe(
        name, hints, summary=summary, rows=rows, reading=_csv_call(name, delimiter, table, options)
    )


def _csv_call(name: str, delimiter: str, table: Table, options: dict[str, Any]) -> str:
    """The code that reads it, where separator and encoding in the first line don't suffice."""
    if COMMA in table.kinds:
        options["decimal"] = ","
        options |= {"thousands": "."} if table.thousands() else {}
    if not options:
        return ""
    if delimiter != ",":
        options = {"sep": delimiter, **options}
    return _call("read_csv", name, options)


def _call(function: str, name: str, options: dict[str, Any]) -> str:
    """The code of a call of pandas that needs options; empty where it needs none."""
    given = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return f"pd.{function}({name!r}, {given})" if given else ""


def _long(text: str, delimiter: str, skipped: int, looked_at: int, factor: float) -> str:
    lines = csv.reader(io.StringIO(text), delimiter=delimiter)
    count = sum(1 for row in lines if row) - 1 - skipped
    about = "about " if factor > 1 else ""
    if count <= looked_at and not about:
        return ""
    total = round(count * max(1.0, factor))
    return f"{about}{total} rows (types and summary from the first {looked_at})"


def _rows_above_header(text: str, delimiter: str) -> int:
    """How many lines stand above the header: a title and the like, one cell each."""
    lines = text[:20_000].splitlines()[:_TITLE_ROWS]
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return 0
    if len(rows) != len(lines):  # a cell goes over several lines
        return 0
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    width = Counter(n for n in filled if n).most_common(1)[0][0] if any(filled) else 0
    if width < 3 or filled[0] > 1:
        return 0
    return next((at for at, count in enumerate(filled) if count >= width - 1), 0)


def _sheets(data: bytes, name: str, kind: str, summary: bool | None) -> Iterator[str]:
    import pandas as pd

    if kind != ".xls":
        check_archive(data, name)
    small = kind in (".xlsx", ".xlsm") and len(data) <= _OPENPYXL_BYTES
    engine: Any = "openpyxl" if small else "calamine"
    try:
        book = pd.ExcelFile(io.BytesIO(data), engine=engine)
        titles = [str(title) for title in book.sheet_names]
        for title in titles[:MAX_SHEETS]:
            yield _sheet(book, name, title, kind, summary)
    except ToolError:
        raise
    except Exception as error:  # noqa: BLE001 - openpyxl raises whatever its XML led to
        said = "it is protected by a password" if "assword" in str(error) else str(error)
        raise ToolError(f"{name} can't be read as an Excel file: {said}") from None
    if len(titles) > MAX_SHEETS:
        yield f"{name} has {len(titles) - MAX_SHEETS} more sheets."


def _sheet(book: "pd.ExcelFile", name: str, title: str, kind: str, summary: bool | None) -> str:
    shown = f"{name}, sheet {title}"
    frame = book.parse(title, dtype=object, nrows=MOST_ROWS)
    if not len(frame.columns):
        return f"{shown}: empty, no rows, no columns"
    hints: list[str] = []
    options: dict[str, Any] = {} if title == book.sheet_names[0] else {"sheet_name": title}
    unnamed = sum(str(column).startswith("Unnamed: ") for column in frame.columns)
    if unnamed >= 2 and unnamed >= len(frame.columns) - 1:  # a title above the header
        header = _header_row(frame)
        if header:
            frame = book.parse(title, dtype=object, nrows=MOST_ROWS, header=header)
            hints = [f"header in row {header + 1}"]
            options |= {"sheet_name": title, "header": header}
    if kind == ".ods":  # for which pandas alone would want another package
        options["engine"] = "calamine"
    reading = _call("read_excel", name, options)
    table = Table()
    table.add(frame.map(_cell_text))
    rows = ""
    if table.rows >= MOST_ROWS:
        rows = f"more than {MOST_ROWS} rows (types and summary from these)"
    return table.describe(shown, hints, summary=summary, rows=rows, reading=reading)


def _header_row(frame: "pd.DataFrame") -> int:
    """The row of the sheet, from 0, that looks like a header below a title; 0 for none."""
    filled = frame.head(_TITLE_ROWS).notna().sum(axis=1).tolist()
    width = Counter(n for n in filled if n).most_common(1)
    if not width or width[0][0] < 2:
        return 0
    return next((at + 1 for at, count in enumerate(filled) if count >= width[0][0]), 0)


def _columnar(data: bytes, name: str, kind: str, summary: bool | None) -> str:
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet

    try:
        if kind == ".parquet":
            file = pyarrow.parquet.ParquetFile(pa.BufferReader(data))
            total = file.metadata.num_rows
            batches = file.iter_batches(batch_size=_CHUNK_ROWS)
        else:
            whole = pyarrow.feather.read_table(pa.BufferReader(data))
            total, batches = whole.num_rows, iter(whole.to_batches(_CHUNK_ROWS))
        table = Table()
        for batch in itertools.islice(batches, MOST_ROWS // _CHUNK_ROWS):
            table.add(batch.to_pandas().astype(object).map(_cell_text))
    except pa.ArrowException as error:
        raise ToolError(f"{name} can't be read as a table: {str(error)[:200]}") from None
    rows = f"{total} rows (types and summary from the first {table.rows})"
    return table.describe(name, [], summary=summary, rows=rows if total > table.rows else "")


def _records(data: bytes, name: str, summary: bool | None) -> str:
    import pandas as pd

    text, _ = _decode(data, name)
    records = _json_records(text, name)
    table = Table()
    for start in range(0, min(len(records), MOST_ROWS), _CHUNK_ROWS):
        frame = pd.DataFrame(records[start : start + _CHUNK_ROWS], dtype=object)
        table.add(frame.map(_cell_text))
    rows = f"{len(records)} rows (types and summary from the first {table.rows})"
    long = len(records) > table.rows
    return table.describe(name, [], summary=summary, rows=rows if long else "")


def _json_records(text: str, name: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        try:  # an object a line
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise ToolError(f"{name} can't be read as JSON: {error}") from None
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        if lists and len(lists) == len(found) and all(len(x) == len(lists[0]) for x in lists):
            return [dict(zip(found, row, strict=True)) for row in zip(*lists, strict=True)]
        # The records of a reply, such as {"count": 2, "items": [{…}, {…}]}.
        found = max((x for x in lists if x and isinstance(x[0], dict)), key=len, default=[found])
    if not isinstance(found, list) or not found or not all(isinstance(r, dict) for r in found):
        raise ToolError(f"{name} holds no table of records.", f"Try read_file({name!r}).")
    columns = dict.fromkeys(key for record in found for key in record)
    return [{column: record.get(column) for column in columns} for record in found]


def _cell_text(value: object) -> str:
    """A cell as the text that a csv file would hold."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    if value is None or value != value:  # NaN and NaT differ from themselves
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else str(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _decode(data: bytes, name: str) -> tuple[str, str]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), "utf-16"
    if b"\0" in data[:4096]:
        raise ToolError(f"{name} is not a text file, so not a csv table.")
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError as error:
        if error.start > len(data) - 4:  # a file's beginning may end within a character
            return data[: error.start].decode("utf-8-sig"), "utf-8"
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
