"""The engines' log files: one a start, the last few kept."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

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
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def tail(path: Path, lines: int) -> str:
    """The last lines of a log; of a progress bar, only its last state."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _READ_BYTES))
        text = file.read().decode("utf-8", "replace")
    rows = [row.rpartition("\r")[2].rstrip() for row in text.rstrip().split("\n")]
    return "\n".join(rows[-lines:])
