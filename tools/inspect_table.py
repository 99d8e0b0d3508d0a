"""inspect_table: the columns, types and first rows of a table."""

from pathlib import Path

from errors import ToolError
from tools.base import HearthTool
from tools.documents import describe_table
from tools.formats.kinds import BOOKS, TABLE_ONLY, UNREADABLE, kind_of
from tools.members import load_file
from tools.workspace import File, load, size_of

HEAD_BYTES = 60_000_000
"""Of a larger text file, only so much is looked at."""
_TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat", ".json", ".jsonl", ".ndjson")


class InspectTable(HearthTool):
    """Looks at a table file of the workspace, in the converter's process."""

    name = "inspect_table"
    description = (
        "Shows a table file (csv, tsv, xlsx, xls, ods, parquet, json): number of rows, the name "
        "and type of each column, the first rows, and with summary=True each column's range. Use "
        'it before computing. Example: print(inspect_table("sales.csv"))'
    )
    inputs = {
        "path": {"type": "string", "description": "The file's name, such as sales.csv."},
        "summary": {
            "type": "boolean",
            "description": "Whether to add each column's missing and distinct values, min, mean, "
            "max; of long tables it comes unasked.",
            "nullable": True,
        },
    }
    touches = frozenset({"files"})
    outside = True
    timeout_seconds = 180.0
    most_chars = 16_000

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._workspace = workspace

    def forward(self, path: str, summary: bool | None = None) -> str:
        total = size_of(self._workspace, path)
        if total > HEAD_BYTES and str(path).lower().endswith(_TEXT[:5]):
            file = load(self._workspace, path, HEAD_BYTES, head=True)
        else:
            file, total = load_file(self._workspace, path), 0
        text = _described(file, summary, total)
        if len(text) > self.most_chars:
            text = (
                f"{text[: self.most_chars - 60].rsplit(chr(10), 1)[0]}\n[cut here for its length]"
            )
        return text


def _described(file: File, summary: bool | None, total: int) -> str:
    if not file.data.strip():
        return f"{file.name}: empty, no rows, no columns"
    kind = kind_of(file.data, file.name)
    if kind in UNREADABLE:
        raise ToolError(f"{file.name} can't be read: it is {UNREADABLE[kind]}.")
    if kind not in (*BOOKS, *TABLE_ONLY, *_TEXT):
        raise ToolError(
            f"inspect_table reads csv, tsv, xlsx, xls, ods, parquet and json, not "
            f"'{kind or file.name}'.",
            f"Try read_file({file.name!r}).",
        )
    return describe_table(file.data, file.name, kind, summary=summary, total_bytes=total)
