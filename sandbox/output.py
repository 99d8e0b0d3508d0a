"""Printed text: cleaned of what a terminal would obey, and kept within bounds.

`Cleaner` removes escape sequences and control characters as the text streams;
`HeadTail` keeps the first and the last of it and counts what lies between.
"""

import re
from collections import deque

_LONGEST = 256  # characters of an escape sequence; what goes on longer is none
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]{0,99}[ -/]{0,9}[@-~]"  # colours, cursor
    r"|[\]PX^_][^\x07\x1b]{0,250}(?:\x07|\x1b\\)"  # titles, links
    r"|[ -/]{0,9}[0-OQ-WYZ\\`-~])"  # everything short
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?")
# Control characters except tab and newline, and the marks that turn the direction of text.
_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


class Cleaner:
    """Cleans streamed text; the same text comes out however it is cut into pieces."""

    def __init__(self) -> None:
        self._held = ""  # the beginning of an escape sequence
        self._return = False  # a carriage return that a newline may follow

    def feed(self, text: str) -> str:
        """The clean text that is ready."""
        if not self._held and not self._return and text.isprintable():
            return text
        return self._returns(_CONTROL.sub("", self._escapes(self._held + text)))

    def finish(self) -> str:
        """The end of the text that was held back; call it once."""
        self._held = ""
        return "\n" if self._return else ""

    def _escapes(self, text: str) -> str:
        """The text without its escape sequences; one that may go on is held back."""
        self._held = ""
        parts = []
        position = 0
        while (start := text.find("\x1b", position)) >= 0:
            parts.append(text[position:start])
            found = _ESCAPE.match(text, start)
            if found:
                position = found.end()
            elif len(text) - start < _LONGEST and _UNFINISHED.fullmatch(text, start):
                self._held = text[start:]
                return "".join(parts)
            else:
                position = start + 1
        return "".join([*parts, text[position:]])

    def _returns(self, text: str) -> str:
        """A carriage return starts a new line, here where nothing can be overwritten."""
        if self._return and text:
            text = "\r" + text
            self._return = False
        if text.endswith("\r"):
            text, self._return = text[:-1], True
        return text.replace("\r\n", "\n").replace("\r", "\n")


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
