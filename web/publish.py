"""Artefacts on their way to the browser: copied out of the workspace, never served from it.

The agent's code can put links into its workspace, so the page serves copies that were
opened without following any. What is in a file is its maker's choice as well: it is served so
that no browser takes it for a page of ours.
"""

import uuid
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import ToolError
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
        except (OSError, ValueError, ToolError):
            return None

    def _copy(self, workspace: Path, name: str) -> Path:
        file = files.load(workspace, name, MAX_SHOWN_BYTES)
        target = self._folder / uuid.uuid4().hex / Path(file.name).name
        target.parent.mkdir(parents=True)
        target.write_bytes(file.data)
        return target


class FilesAreNoPages:
    """ASGI middleware: files are shown as what they are called, and never run in our origin.

    Without sniffing, so that text stays text; and should one be opened as a document, without
    scripts, forms, and without anything that it would load.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with headers added to the answers that are files."""

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
            await send(message)

        is_file = scope["type"] == "http" and "/file=" in scope["path"]
        await self._app(scope, receive, send_marked if is_file else send)
