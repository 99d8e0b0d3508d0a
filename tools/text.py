"""What several tools do to text before an agent reads it."""

import re
import unicodedata

from errors import ToolError

PAGE_CHARS = 8_000
"""Most characters that a tool returns at once: about 2,000 tokens."""

_SPACES = re.compile(r"\s+")
_KEPT_CONTROLS = "\n\t"


def one_line(text: str, limit: int = 400) -> str:
    """`text` on one line, without control characters, cut at a word to `limit` characters."""
    return cut(_SPACES.sub(" ", visible(text)).strip(), limit)


def visible(text: str) -> str:
    """`text` without control and invisible format characters; newlines and tabs stay.

    What comes from outside may carry terminal escapes, or instructions in characters that
    nobody sees (Unicode tags, bidirectional overrides).
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.isprintable():
        return text
    return "".join(c for c in text if c in _KEPT_CONTROLS or not _is_invisible(c))


def _is_invisible(char: str) -> bool:
    # Joiners (U+200C, U+200D) belong to real words and emoji; the rest of Cf is hidden text.
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") and char not in "\u200c\u200d"


def cut(text: str, limit: int) -> str:
    """`text`, or its first `limit` characters up to a space, and an ellipsis."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    at_space = head.rfind(" ")
    return (head[:at_space] if at_space > limit // 2 else head).rstrip() + "…"


def page(text: str, part: int | None, call: str, limit: int = PAGE_CHARS) -> str:
    """Part `part` (from 1) of a long `text`, split at ends of lines; short text comes whole.

    `call` shows how the next part is asked for, with `{part}` in it. Raises ToolError when
    there is no such part.
    """
    pages = _pages(text, limit)
    number = 1 if part is None else part
    if not 1 <= number <= len(pages):
        raise ToolError(
            f"There is no part {number}; the parts go from 1 to {len(pages)}.",
            "Ask for one of them.",
        )
    shown = pages[number - 1]
    if len(pages) == 1:
        return shown
    # Not str.format: the call may hold braces of its own.
    again = call.replace("{part}", str(number + 1))
    more = f"; next: {again}" if number < len(pages) else "; the end"
    return f"{shown.rstrip()}\n[part {number} of {len(pages)}{more}]"


def _pages(text: str, limit: int) -> list[str]:
    pages = []
    start = 0
    while len(text) - start > limit:
        end = text.rfind("\n", start + limit // 2, start + limit) + 1
        end = end or text.rfind(" ", start + limit // 2, start + limit) + 1
        end = end or start + limit
        pages.append(text[start:end])
        start = end
    return [*pages, text[start:]]
