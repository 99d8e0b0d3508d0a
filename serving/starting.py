"""Starts under way, as other processes see them: `python -m serving status`, a second app.

One small file per start in `data_dir/engines`, written while it goes on and removed at its end.
One whose process is gone tells nothing.
"""

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from serving.progress import Progress
from serving.state import Process

_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Start:
    """A start under way: of what, in which process, and how far."""

    title: str
    process: Process
    progress: Progress


class StartNote:
    """The file of one start; `write` as often as you like, `remove` at the end."""

    def __init__(self, folder: Path, title: str) -> None:
        self._path = folder / f"{os.getpid()}-{time.time_ns()}.starting"
        self._title, self._me = title, Process.of(os.getpid())
        self._what, self._written = "", 0.0

    def write(self, progress: Progress) -> None:
        """Note the progress, at most once a second. A file that can't be written is no matter."""
        now = time.monotonic()
        if progress.what == self._what and now - self._written < _EVERY_SECONDS:
            return
        self._what, self._written = progress.what, now
        fresh = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps(asdict(Start(self._title, self._me, progress))), "utf-8")
            fresh.replace(self._path)

    def remove(self) -> None:
        """The start has come to its end."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def starts_under_way(folder: Path) -> list[Start]:
    """The starts whose process still runs; the files of others are removed."""
    found = []
    for path in sorted(folder.glob("*.starting")) if folder.is_dir() else []:
        try:
            data = json.loads(path.read_text("utf-8"))
            start = Start(data["title"], Process(**data["process"]), Progress(**data["progress"]))
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if start.process.alive:
            found.append(start)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
    return found
