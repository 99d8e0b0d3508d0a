"""read_file: the text of a file of the workspace, whatever its format."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from errors import ToolError
from tools import big_text
from tools.base import HearthTool
from tools.documents import convert, decode, is_text, transcript
from tools.formats.kinds import (
    ARCHIVES,
    DOCUMENTS,
    MEDIA,
    PICTURES,
    TABLE_ONLY,
    UNREADABLE,
    kind_of,
)
from tools.inputs import PART, QUESTION
from tools.members import load_file
from tools.passages import relevant
from tools.text import PAGE_CHARS, page, visible
from tools.workspace import File, opened

MAX_TEXT_BYTES = 20_000_000
PAGED_BYTES = 5_000_000
"""A text file larger than this is read part by part, never whole."""
NO_TRANSCRIPT = "what is said in it: not known; that needs the package faster-whisper"
_CONVERTED = (*DOCUMENTS, *PICTURES, *MEDIA, *ARCHIVES, *UNREADABLE)

Describe = Callable[[bytes, str, str], str]
"""(bytes of a picture, its kind such as `.png`, question or "") → what a model sees in it."""


class ReadFile(HearthTool):
    """Text files as they are; documents as Markdown; long ones in parts.

    `describe` asks a model with vision about a picture; `speech_model` names the faster-whisper
    model that hears recordings, where that package is installed.
    """

    name = "read_file"
    description = (
        "Returns the text of a file: text, code, pdf, docx, pptx, xlsx, html, zip, pictures, "
        "sound and more. Long text comes in parts; with a question, the passages about it. "
        'Example: print(read_file("report.pdf")) or print(read_file("report.pdf", part=2))'
    )
    inputs = {
        "path": {
            "type": "string",
            "description": "The file's name, such as report.pdf or data.zip/inner.txt.",
        },
        "question": QUESTION,
        "part": PART,
    }
    touches = frozenset({"files"})
    outside = True
    timeout_seconds = 700.0  # a long recording; a document has the converter's own, shorter limit

    def __init__(
        self,
        workspace: Path,
        page_chars: int = PAGE_CHARS,
        *,
        describe: Describe | None = None,
        speech_model: str = "base",
    ) -> None:
        super().__init__()
        self._workspace = workspace
        self._page_chars = page_chars
        self._describe = describe
        self._speech_model = speech_model
        self._last: tuple[tuple[str, int, str], str] | None = None

    def forward(self, path: str, question: str | None = None, part: int | None = 1) -> str:
        if isinstance(question, int):  # read_file("a.txt", 2)
            question, part = None, question
        question = (question or "").strip()
        long = None if question else self._part_of_long_text(path, part or 1)
        if long is not None:
            return long
        file = load_file(self._workspace, path)
        text = self._text(file, question)
        if not text.strip():
            return f"{file.name} holds no text."
        if question and (part or 1) == 1:
            return self._about(text, file.name, question)
        call = f"read_file({file.name!r}, part={{part}})"
        try:
            return page(text, part, call, self._page_chars)
        except ValueError as error:
            raise ToolError(str(error)) from None

    def _about(self, text: str, name: str, question: str) -> str:
        if len(text) <= self._page_chars:
            return text
        found = relevant(text, question, self._page_chars - 200)
        if not found:
            raise ToolError(
                f"No passage of {name} has a word of that question.",
                f"Ask in other words, or read its parts: read_file({name!r}, part=1).",
            )
        return f"{found}\n[passages about the question; all of it: read_file({name!r}, part=1)]"

    def _part_of_long_text(self, path: str, part: int) -> str | None:
        """A part of a text file too large to be read whole; None for any other file."""
        try:
            name, handle = opened(self._workspace, path)
        except ToolError:
            return None  # the usual way says what is wrong
        with handle:
            if os.fstat(handle.fileno()).st_size <= PAGED_BYTES:
                return None
            head = handle.read(8192)
            kind = kind_of(head, name)
            if kind in (*_CONVERTED, *TABLE_ONLY) or not is_text(head):
                return None
            handle.seek(0)
            return big_text.part_of(handle, name, part, self._page_chars)

    def _text(self, file: File, question: str) -> str:
        """The file's text; the last document is kept, so that its next part costs nothing."""
        last = self._last
        asked = question if self._describe is not None else ""
        key = (file.name, hash(file.data), asked)
        if last is None or last[0] != key:
            self._last = last = (key, self._text_of(file, question))
        return last[1]

    def _text_of(self, file: File, question: str) -> str:
        kind = kind_of(file.data, file.name)
        if not file.data:
            return ""
        if kind in TABLE_ONLY:
            raise ToolError(f"{file.name} is a table.", f"Use inspect_table({file.name!r}).")
        if kind in _CONVERTED:
            text = convert(file.data, file.name)
            if kind in PICTURES and self._describe is not None:
                seen = self._describe(file.data, kind, question)
                text += f"\nwhat a model sees in it:\n{visible(seen).strip()}"
            return f"{text}\n{self._heard(file)}" if kind in MEDIA else text
        if not is_text(file.data):
            raise ToolError(
                f"{file.name} is not text, and read_file has no reader for "
                f"{kind or 'a file without an ending'}.",
                "Open it in your code if you know how.",
            )
        if len(file.data) > MAX_TEXT_BYTES:
            raise ToolError(
                f"{file.name} has {len(file.data) / 1e6:.0f} MB of text;",
                "read it piece by piece in your code.",
            )
        return visible(decode(file.data))

    def _heard(self, file: File) -> str:
        if importlib.util.find_spec("faster_whisper") is None:
            return NO_TRANSCRIPT
        return transcript(file.data, file.name, self._speech_model)
