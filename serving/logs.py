"""The engines' log files: one a start, the last few kept.

The guard writes them (serving/guard_process.py): a full one becomes the older part, `….log.1`.
"""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from serving.guard_process import OLDER

KEPT = 5
_READ_BYTES = 64 * 1024


def new_log(folder: Path, first_lines: Iterable[str] = ()) -> Path:
    """Make a log in `folder`, readable by the user alone, and delete all but the newest few.

    Raises OSError with the file's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000_000 // 1000:06d}"
    path = folder / f"engine-{stamp}.log"
    path.touch(mode=0o600)
    path.write_text("".join(f"# {line}\n" for line in first_lines), "utf-8")
    for old in sorted(folder.glob("engine-*.log"))[:-KEPT]:
        for part in (old, older_part(old)):
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return path


def older_part(path: Path) -> Path:
    """Where the beginning of a log is that became too long."""
    return path.with_name(path.name + OLDER)


def tail(path: Path, lines: int) -> str:
    """The last lines of a log; of a progress bar, only its last state."""
    data = _end(path, _READ_BYTES)
    older = older_part(path)
    if len(data) < _READ_BYTES and older.exists():
        data = _end(older, _READ_BYTES - len(data)) + data
    text = data.decode("utf-8", "replace")
    rows = [row.rpartition("\r")[2].rstrip() for row in text.rstrip().split("\n")]
    return "\n".join(rows[-lines:])


def _end(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - most))
        return file.read()
