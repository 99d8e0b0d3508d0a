"""What is said of a table: its size, its columns and their types, its first rows, a summary."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tools.text import cut, visible

if TYPE_CHECKING:
    import pandas as pd

FIRST_ROWS = 3
MAX_COLUMNS = 60
CELL_CHARS = 80
SUMMARY_FROM_ROWS = 100
"""A table with more rows than this gets a summary unasked; a smaller one is soon computed."""
COMMA = "number with decimal comma"
_MOST_DISTINCT = 50_000

_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+")
_TIME = r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?"
_DATE = re.compile(rf"\d{{4}}-\d{{1,2}}-\d{{1,2}}({_TIME})?")
_OTHER_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{4}|\d{4}/\d{1,2}/\d{1,2}")
_BOOLEANS = {"true", "false"}
_EMPTY = {"", "na", "n/a", "nan", "null", "none"}


class Table:
    """Gathers rows, types and the first rows of a table that comes in pieces of text cells.

    `decimal_comma`: whether `3,14` is a number, as in files whose cells a semicolon separates.
    """

    def __init__(self, decimal_comma: bool = False) -> None:
        self.rows = 0
        self.columns: list[str] = []
        self.kinds: list[str] = []
        self.first: list[list[str]] = []
        self._comma = decimal_comma
        self._counts: list[Counter[str]] = []

    def add(self, chunk: "pd.DataFrame") -> None:
        """More rows; all their cells are text, or None where there is none."""
        if type(chunk.index).__name__ != "RangeIndex":  # rows with more cells than the header
            names = [f"(no name {n})" for n in range(1, chunk.index.nlevels + 1)]
            chunk = chunk.reset_index(names=names)
        if not self.columns:
            self.columns = [str(column) for column in chunk.columns]
            self.kinds = [""] * len(self.columns)
            self._counts = [Counter() for _ in self.columns[:MAX_COLUMNS]]
        self.rows += len(chunk)
        missing_rows = FIRST_ROWS - len(self.first)
        self.first += chunk.head(max(0, missing_rows)).fillna("").values.tolist()
        for at in range(len(self.columns)):
            cells = chunk.iloc[:, at]
            if self.kinds[at] != "text":
                self.kinds[at] = _joined([self.kinds[at], *self._kinds(cells.dropna())])
            if at < MAX_COLUMNS and len(self._counts[at]) <= _MOST_DISTINCT:
                self._counts[at].update(str(cell).strip() for cell in cells.fillna(""))

    def describe(
        self,
        name: str,
        hints: list[str],
        *,
        summary: bool | None = None,
        rows: str = "",
        reading: str = "",
    ) -> str:
        """The text that the agent reads. `rows` is said in place of the rows that were counted,
        `reading` is the code that reads the table where the plain call would not."""
        size = f"{rows or _count(self.rows, 'row')}, {_count(len(self.columns), 'column')}"
        if self.columns and all(_kind(column) in ("integer", "number") for column in self.columns):
            hints = [*hints, "perhaps without a header"]
        columns = [
            f"{clean(column)} ({kind or 'empty'})"
            for column, kind in zip(self.columns, self.kinds, strict=True)
        ]
        more = len(columns) - MAX_COLUMNS
        if more > 0:
            columns = [*columns[:MAX_COLUMNS], f"and {more} more"]
        lines = [f"{name}: {', '.join([size, *hints])}", ", ".join(columns)]
        if self.first:
            shown = io.StringIO()
            writer = csv.writer(shown, lineterminator="\n")
            for row in [self.columns, *self.first]:
                writer.writerow([clean(cell) for cell in row[:MAX_COLUMNS]])
            lines += ["first rows:", shown.getvalue().rstrip("\n")]
        if summary or (summary is None and self.rows > SUMMARY_FROM_ROWS):
            lines += ["summary:", *self._summary()]
        if reading:
            lines.append(f"read it with: {reading}")
        return "\n".join(lines)

    def thousands(self) -> bool:
        """Whether a number with a decimal comma has points between its thousands."""
        there = zip(self.kinds, self._counts, strict=False)
        return any(kind == COMMA and any("." in cell for cell in counts) for kind, counts in there)

    def _summary(self) -> Iterable[str]:
        for name, kind, counts in zip(self.columns, self.kinds, self._counts, strict=False):
            missing = sum(n for cell, n in counts.items() if cell.lower() in _EMPTY)
            there = {cell: n for cell, n in counts.items() if cell.lower() not in _EMPTY}
            many = "more than " if len(counts) > _MOST_DISTINCT else ""
            said = [f"{missing} missing", f"{many}{len(there)} distinct"]
            if many:
                said = [f"{many}{_MOST_DISTINCT} distinct"]
            if kind in ("integer", "number", COMMA):
                said.append(_numbers(there, kind))
            elif kind == "date" and all(_DATE.fullmatch(cell) for cell in there):
                said.append(f"from {min(there)} to {max(there)}")
            elif there and max(there.values()) > 1:
                cell, count = max(there.items(), key=lambda item: item[1])
                said.append(f"most often {clean(cell)} ({count})")
            yield f"{clean(name)}: {', '.join(said)}"

    def _kinds(self, cells: Iterable[str]) -> set[str]:
        return {_kind(cell, self._comma) for cell in set(cells)}


def _numbers(counts: dict[str, int], kind: str) -> str:
    if kind == COMMA:
        values = {float(c.replace(".", "").replace(",", ".")): n for c, n in counts.items()}
    else:
        values = {float(c): n for c, n in counts.items()}
    if not values:
        return "no numbers"
    mean = sum(value * n for value, n in values.items()) / sum(values.values())
    return f"min {_plain(min(values))}, mean {_plain(mean)}, max {_plain(max(values))}"


def _plain(value: float) -> str:
    return str(int(value)) if value == value // 1 and abs(value) < 1e15 else f"{value:.6g}"


def _kind(cell: str, decimal_comma: bool = False) -> str:
    """integer, number, date, true/false or text; "" for a cell that holds nothing."""
    cell = cell.strip()
    if cell.lower() in _EMPTY:
        return ""
    if _INTEGER.fullmatch(cell):
        return "integer"
    if decimal_comma and _COMMA_NUMBER.fullmatch(cell):
        return COMMA
    if _NUMBER.fullmatch(cell):
        return "number"
    if _DATE.fullmatch(cell) or _OTHER_DATE.fullmatch(cell):
        return "date"
    return "true/false" if cell.lower() in _BOOLEANS else "text"


def _joined(kinds: list[str]) -> str:
    there = {kind for kind in kinds if kind}
    if there == {"integer", "number"}:
        return "number"
    if COMMA in there and there <= {"integer", "number", COMMA}:
        return COMMA
    return there.pop() if len(there) == 1 else ("text" if there else "")


def clean(cell: object) -> str:
    """A cell as it is shown: on one line and cut."""
    return cut(visible(str(cell)).replace("\n", " ").replace("\t", " "), CELL_CHARS)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
