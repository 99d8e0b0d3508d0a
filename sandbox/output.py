"""Printed text: cleaned of what a terminal would obey, and kept within bounds.

`Cleaner` removes escape sequences and control characters as the text streams;
`HeadTail` keeps the first and the last of it and counts what lies between.
"""

import re
from collections import deque

_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])"
)
# Control characters except tab and newline, and the marks that turn the direction of text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_ESCAPE = 256


class Cleaner:
    """Cleans streamed text; an escape sequence may be split over two pieces."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """The clean text that is ready."""
        if not self._held and text.isprintable():
            return text
        text = self._held + text
        self._held = ""
        if text.endswith("\r"):
            text, self._held = text[:-1], "\r"
        text = _ESCAPE.sub("", text)
        start = text.rfind("\x1b", max(0, len(text) - _LONGEST_ESCAPE))
        if start >= 0:
            text, self._held = text[:start], text[start:] + self._held
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        return _CONTROL.sub("", text)

    def finish(self) -> str:
        """What was held back; call it once at the end."""
        held, self._held = self._held, ""
        return "\n" if held.endswith("\r") else ""


def clean(text: str) -> str:
    """One whole text, cleaned."""
    cleaner = Cleaner()
    return cleaner.feed(text) + cleaner.finish()


def gap_note(characters: int) -> str:
    """The line that stands for what was left out."""
    return f"\n[… {characters:,} characters left out …]\n"


class HeadTail:
    """Keeps the first two thirds and the last third of `limit` characters."""

    def __init__(self, limit: int) -> None:
        self._head_left = limit * 2 // 3
        self._tail_limit = limit - self._head_left
        self._tail: deque[str] = deque()
        self._tail_chars = 0
        self.left_out = 0

    def feed(self, text: str) -> str:
        """Take `text`; what still belongs to the head is returned, to be shown at once."""
        head = text[: self._head_left]
        self._head_left -= len(head)
        rest = text[len(head) :]
        if rest:
            self._keep(rest)
        return head

    def skip(self, characters: int) -> None:
        """Count characters that were left out elsewhere; the tail before them goes too."""
        if characters:
            self.left_out += characters + self._tail_chars
            self._tail.clear()
            self._tail_chars = 0

    def finish(self) -> tuple[int, str]:
        """How many characters were left out, and the tail that follows them."""
        return self.left_out, "".join(self._tail)

    def _keep(self, text: str) -> None:
        if len(text) > self._tail_limit:
            self.left_out += len(text) - self._tail_limit
            text = text[-self._tail_limit :]
        self._tail.append(text)
        self._tail_chars += len(text)
        while self._tail_chars > self._tail_limit:
            first = self._tail.popleft()
            over = self._tail_chars - self._tail_limit
            if len(first) > over:
                self._tail.appendleft(first[over:])
                first = first[:over]
            self._tail_chars -= len(first)
            self.left_out += len(first)
