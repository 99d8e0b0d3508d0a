"""Attached text files that the task itself shows, in the layout the model's family reads best.

A model that sees a short text can answer from it at once, and one that sees the first rows
of a table knows its columns. Whatever is longer stays in the workspace, for code to read. The
text is made once, when the task is accepted, and kept with it, so that the prompt's bytes stay
the same however the file changes later.
"""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from agent.attachments import open_plain
from agent.outside import Frame, harmless
from agent.tokens import likely_tokens

_PROSE = frozenset({".txt", ".md", ".markdown", ".rst", ".log", ".srt", ".vtt", ".tex", ".eml"})
_CODE = frozenset({".py", ".js", ".ts", ".sh", ".sql", ".html", ".htm", ".ini", ".toml", ".cfg"})
_DATA = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xml", ".yaml", ".yml"})
_WHOLE_ROWS = 20  # lines of data that are shown whole; of more only the first rows
_ROWS = 6
_LINE_CHARS = 400
_HEAD_BYTES = 1 << 16
_COUNTED_BYTES = 1 << 26  # lines are counted so far into a file
_LEAST_TOKENS = 60  # with less left, a file is only named


@dataclass(frozen=True)
class Shown:
    """What the model is shown before the task, and which of the files that leaves nothing of to
    read. Data is never among these, however short: it is to be computed with, not looked at.
    """

    text: str = ""
    read: list[str] = field(default_factory=list)


def show(files: Sequence[tuple[Path, str]], frame: Frame | None, most_tokens: int) -> Shown:
    """The files, each with its name in the workspace, as `frame` shows what others wrote.

    All together have about `most_tokens`. Files that are no text, or for which no room is left,
    are only named by the task; with no frame all are.
    """
    left = float(most_tokens)
    parts: list[str] = []
    read: list[str] = []
    for path, name in files:
        kind = Path(name).suffix.lower()
        if frame is None or left < _LEAST_TOKENS or kind not in _PROSE | _CODE | _DATA:
            continue
        with open_plain(path) as file:
            content, whole = _beginning(file, left, is_data=kind in _DATA)
        if not content.strip():
            continue
        part = frame(f"file {name}", harmless(content))
        left -= likely_tokens(part)
        parts.append(part)
        if whole and kind not in _DATA:
            read.append(name)
    return Shown("\n\n".join(parts), read)


def _beginning(file: BinaryIO, tokens: float, *, is_data: bool) -> tuple[str, bool]:
    """The text of the file as far as it is shown, and whether that is all; empty for no text."""
    head = file.read(_HEAD_BYTES)
    ends = len(head) < _HEAD_BYTES
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=ends)
    except UnicodeDecodeError:
        return "", False
    if "\0" in text:
        return "", False
    lines = text.splitlines()
    most_rows = _WHOLE_ROWS if not is_data or (ends and len(lines) <= _WHOLE_ROWS) else _ROWS
    kept, room = [], tokens - _LEAST_TOKENS / 2
    for line in lines[:most_rows] if is_data else lines:
        short = line if len(line) <= _LINE_CHARS or not is_data else f"{line[:_LINE_CHARS]} …"
        room -= likely_tokens(short) + 1
        if room < 0:
            break
        kept.append(short)
    if ends and kept == lines:
        return "\n".join(kept), True
    if not kept and not is_data and lines:  # one long line
        kept = [lines[0][: max(int(tokens), _LEAST_TOKENS)]]
        return f"{kept[0]}\n[… the file goes on: read the rest with code …]", False
    more = "" if not kept else _more(len(lines) - len(kept), file, ends=ends)
    return "\n".join([*kept, *([more] if more else [])]), False


def _more(lines: int, file: BinaryIO, *, ends: bool) -> str:
    """What is said of the lines that are not shown."""
    counted = 0
    while not ends and counted < _COUNTED_BYTES:
        block = file.read(1 << 20)
        if not block:
            ends = True
        lines += block.count(b"\n")
        counted += len(block)
    if not ends:
        return "[… the file goes on: read the rest with code …]"
    if lines <= 0:
        return "[… long lines are cut: read them with code …]"
    return f"[… {lines:,} more {'line' if lines == 1 else 'lines'}: read the rest with code …]"
