"""Parts of a text file that is too large to be read whole: each part reads only itself."""

import io
import os

from errors import ToolError
from tools.documents import decode
from tools.text import visible

_LOOKED_FOR = 1_000  # bytes in which the end of a line is looked for


def part_of(handle: io.BufferedReader, name: str, part: int, part_bytes: int) -> str:
    """Part `part` (from 1) of the file; all parts together are the file.

    Parts end at ends of lines where lines are not very long. Raises ToolError where there is no
    such part.
    """
    size = os.fstat(handle.fileno()).st_size
    count = -(-size // part_bytes)
    if not 1 <= part <= count:
        raise ToolError(f"There is no part {part};", f"the parts go from 1 to {count}.")
    wide = handle.read(2) in (b"\xff\xfe", b"\xfe\xff")
    start = _boundary(handle, (part - 1) * part_bytes, size, wide)
    end = _boundary(handle, part * part_bytes, size, wide)
    handle.seek(start)
    data = handle.read(end - start)
    if wide and start:
        handle.seek(0)
        data = handle.read(2) + data
    more = f"next: read_file({name!r}, part={part + 1})" if part < count else "the end"
    text = visible(decode(data)).rstrip("\n")
    return f"{text}\n[part {part} of {count}; {more}]"


def _boundary(handle: io.BufferedReader, at: int, size: int, wide: bool) -> int:
    """Where the part that begins about here begins: after the next end of a line, if it is near."""
    if at <= 0 or at >= size:
        return min(max(at, 0), size)
    at -= at % 2  # UTF-16 has two bytes a character
    handle.seek(at)
    ahead = handle.read(_LOOKED_FOR)
    if wide:
        found = next((n for n in range(0, len(ahead) - 1, 2) if ahead[n : n + 2] in _WIDE_ENDS), -1)
        return at + found + 2 if found >= 0 else at
    found = ahead.find(b"\n")
    if found >= 0:
        return at + found + 1
    # Not within a character of UTF-8.
    return at + next((n for n, byte in enumerate(ahead[:4]) if byte & 0xC0 != 0x80), 0)


_WIDE_ENDS = (b"\n\0", b"\0\n")
