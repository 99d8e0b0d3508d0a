"""A file by its path, also one in an archive: `photos.zip/trip/boat.jpg`."""

from pathlib import Path, PurePosixPath

from errors import ToolError
from tools.documents import member
from tools.formats.kinds import ARCHIVES, kind_of
from tools.workspace import File, load

_DEPTH = 40  # folders above an archive that are looked through


def load_file(workspace: Path, path: str) -> File:
    """The file at `path` as `workspace.load` gives it, or a member of an archive at its beginning.

    Raises ToolError as `load` does, and for a member that isn't there, naming those that are.
    """
    try:
        return load(workspace, path)
    except ToolError as error:
        if error.seen_as is not FileNotFoundError:
            raise
        archive, inner = _archive_above(workspace, path)
        if archive is None:
            raise
        return File(f"{archive.name}/{inner}", member(archive.data, archive.name, inner))


def _archive_above(workspace: Path, path: str) -> tuple[File | None, str]:
    """The archive that the path leads into, and what follows in the path."""
    parts = PurePosixPath(path.strip()).parts
    for end in range(1, min(len(parts), _DEPTH)):
        try:
            file = load(workspace, str(PurePosixPath(*parts[:end])))
        except ToolError as error:
            if error.seen_as in (IsADirectoryError, PermissionError):  # on the way to it
                continue
            return None, ""
        if kind_of(file.data, file.name) not in ARCHIVES:
            return None, ""
        return file, "/".join(parts[end:])
    return None, ""
