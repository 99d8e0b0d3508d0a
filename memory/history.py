"""Earlier conversations: each session's events in a file, and a line per run to search.

`<session>.jsonl` holds the events, one JSON object a line, without the pieces that streamed
(their whole stands in a later event). `<session>.md` holds `task → answer` lines, which are
searched as notes are.
"""

import json
import threading
from pathlib import Path
from typing import Any

from memory.notes import Hit, Notes

_PIECES = {"thinking_delta", "text_delta", "output_delta"}


class History:
    """The conversations kept in `folder`. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._notes = Notes(folder)
        self._lock = threading.Lock()
        self._tasks: dict[str, str] = {}

    def append(self, session: str, event: dict[str, Any]) -> None:
        """Keep one event of a session. Raises OSError where the folder can't be written."""
        kind = event["type"]
        if kind in _PIECES:
            return
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            _add(self.folder / f"{session}.jsonl", json.dumps(event, ensure_ascii=False))
            if kind == "run_started":
                self._tasks[session] = event["task"]
            elif kind == "run_finished" and event["answer"] is not None:
                line = f"{self._tasks.pop(session, '')} → {event['answer']}"
                _add(self.folder / f"{session}.md", "- " + " ".join(line.split()))

    def events(self, session: str) -> list[dict[str, Any]]:
        """The kept events of a session, in order; a line cut off by a crash is left out."""
        kept = []
        # Not splitlines: JSON leaves the line ends that only Unicode knows as they are.
        for line in (self.folder / f"{session}.jsonl").read_text(encoding="utf-8").split("\n"):
            try:
                kept.append(json.loads(line))
            except ValueError:  # cut off, or the empty rest after the last line
                break
        return kept

    def search(self, query: str, limit: int = 3) -> list[Hit]:
        """Runs whose task or answer matches, best first."""
        return self._notes.search(query, limit)


def _add(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8", errors="replace") as file:
        file.write(line + "\n")
