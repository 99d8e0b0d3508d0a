"""read_file: the text of a file of the workspace."""

from pathlib import Path

from smolagents import Tool

from tools.documents import CONVERTED, convert, decode, is_text
from tools.text import PAGE_CHARS, page, visible
from tools.workspace import File, load

MAX_TEXT_BYTES = 20_000_000


class ReadFile(Tool):
    """Text files as they are; documents as Markdown; long ones in parts."""

    name = "read_file"
    description = (
        "Returns the text of a file: txt, md, csv, json, code, pdf, docx, pptx, xlsx, html. Long "
        'text comes in parts. Example: print(read_file("report.pdf")) or '
        'print(read_file("report.pdf", part=2))'
    )
    inputs = {
        "path": {"type": "string", "description": "The file's name, such as report.pdf."},
        "part": {
            "type": "integer",
            "description": "Which part of a long text; 1 if left out.",
            "nullable": True,
        },
    }
    output_type = "string"

    def __init__(self, workspace: Path, page_chars: int = PAGE_CHARS) -> None:
        super().__init__()
        self._workspace = workspace
        self._page_chars = page_chars
        self._last: tuple[File, str] | None = None

    def forward(self, path: str, part: int | None = 1) -> str:
        file = load(self._workspace, path)
        text = self._text(file)
        if not text.strip():
            return f"{file.name} holds no text."
        return page(text, part, f"read_file({file.name!r}, part={{part}})", self._page_chars)

    def _text(self, file: File) -> str:
        """The file's text; the last document is kept, so that its next part costs nothing."""
        last = self._last
        if last is not None and last[0] == file:
            return last[1]
        text = _text_of(file)
        self._last = (file, text)
        return text


def _text_of(file: File) -> str:
    if file.suffix in CONVERTED and file.data:
        return convert(file.data, file.name)
    if not is_text(file.data):
        raise ValueError(
            f"{file.name} is not text, and read_file has no reader for "
            f"{file.suffix or 'a file without an ending'}. Open it in your code if you know how."
        )
    if len(file.data) > MAX_TEXT_BYTES:
        raise ValueError(
            f"{file.name} has {len(file.data) / 1e6:.0f} MB of text; read it piece by piece in "
            "your code."
        )
    return visible(decode(file.data))
