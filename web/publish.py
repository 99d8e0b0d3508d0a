"""Artefacts on their way to the browser: copied out of the workspace, never served from it.

The agent's code can put links into its workspace, so the page serves copies that were
opened without following any.
"""

import uuid
from pathlib import Path

from tools import workspace as files

MAX_SHOWN_BYTES = 50_000_000


class Publisher:
    """Copies artefacts into `folder`, which the page may serve; one copy per state of a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copies: dict[tuple[Path, str, int], Path] = {}

    def __call__(self, workspace: Path, name: str) -> Path | None:
        """The copy of a workspace file, or None where it can't be shown."""
        try:
            changed = (workspace / name).lstat().st_mtime_ns
            key = (workspace, name, changed)
            if key not in self._copies:
                self._copies[key] = self._copy(workspace, name)
            return self._copies[key]
        except (OSError, ValueError):
            return None

    def _copy(self, workspace: Path, name: str) -> Path:
        file = files.load(workspace, name, MAX_SHOWN_BYTES)
        target = self._folder / uuid.uuid4().hex / Path(file.name).name
        target.parent.mkdir(parents=True)
        target.write_bytes(file.data)
        return target
