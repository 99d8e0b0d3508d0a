"""Earlier conversations: each session's events in a file, and a line per run to search.

`<session>.jsonl` holds the events, one JSON object a line, without the pieces that streamed
(their whole stands in a later event). `<session>.md` holds `task → answer` lines, which are
searched as notes are.

A session's file is locked by whoever adds to it, until `close` or the end of the process, so
that a conversation that goes on elsewhere is not taken for one that broke off.
"""

import fcntl
import json
import os
import threading
import weakref
from io import FileIO
from pathlib import Path
from typing import Any

from errors import InputError
from memory.notes import Hit, Notes

_PIECES = {"thinking_delta", "text_delta", "output_delta"}


class History:
    """The conversations kept in `folder`. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._notes = Notes(folder)
        self._lock = threading.Lock()
        self._tasks: dict[str, str] = {}
        self._open: dict[str, FileIO] = {}
        weakref.finalize(self, _close_all, self._open)

    def append(self, session: str, event: dict[str, Any]) -> None:
        """Keep one event of a session. Raises OSError where the folder can't be written."""
        kind = event["type"]
        if kind in _PIECES:
            return
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            if session not in self._open:
                self._open[session] = _opened(self._path(session))
                _locked(self._open[session])
            _add(self._open[session], json.dumps(event, ensure_ascii=False))
            if kind in ("run_started", "run_resumed"):
                self._tasks[session] = event["task"]
            elif kind == "run_finished" and event["answer"] is not None:
                line = f"{self._tasks.pop(session, '')} → {event['answer']}"
                with _opened(self.folder / f"{session}.md") as file:
                    _add(file, "- " + " ".join(line.split()))

    def claim(self, session: str) -> None:
        """Keep others from going on with this session. Raises InputError where another does."""
        with self._lock:
            file = self._open.get(session) or _opened(self._path(session))
            if session not in self._open and not _locked(file):
                file.close()
                raise InputError(
                    f"The conversation {session} is at work in another process.",
                    fix="Wait for it to end, or stop it there.",
                )
            self._open[session] = file

    def busy(self, session: str) -> bool:
        """Whether someone is adding to this session at present."""
        with self._lock:
            if session in self._open:
                return True
            with self._path(session).open("rb", buffering=0) as file:
                return not _locked(file)

    def close(self, session: str) -> None:
        """Let go of a session's file. Closing twice is fine."""
        with self._lock:
            file = self._open.pop(session, None)
            if file is not None:
                file.close()

    def sessions(self) -> list[str]:
        """The names of the kept sessions, those added to last first."""
        files = sorted(self.folder.glob("*.jsonl"), key=lambda path: -path.stat().st_mtime_ns)
        return [path.stem for path in files]

    def events(self, session: str) -> list[dict[str, Any]]:
        """The kept events of a session, in order; a line cut off by a crash is left out."""
        kept = []
        # Not splitlines: JSON leaves the line ends that only Unicode knows as they are.
        for line in self._path(session).read_bytes().split(b"\n"):
            try:
                kept.append(json.loads(line))
            except ValueError:  # cut off, or the empty rest after the last line
                continue
        return kept

    def _path(self, session: str) -> Path:
        return self.folder / f"{session}.jsonl"

    def search(self, query: str, limit: int = 3) -> list[Hit]:
        """Runs whose task or answer matches, best first."""
        return self._notes.search(query, limit)


def _close_all(files: dict[str, FileIO]) -> None:
    for file in files.values():
        file.close()


def _opened(path: Path) -> FileIO:
    """The file, to be added to. A line that a crash has cut off is ended first."""
    file = path.open("a+b", buffering=0)
    try:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                _add(file, "")
    except BaseException:
        file.close()
        raise
    return file


def _locked(file: FileIO) -> bool:
    """Take the file's lock, held until it is closed; False where another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _add(file: FileIO, line: str) -> None:
    left = memoryview((line + "\n").encode("utf-8", "replace"))
    while left:
        left = left[file.write(left) :]
