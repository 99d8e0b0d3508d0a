"""The session's files, opened so that no path leads out of the workspace.

The agent's code can write to the workspace while a tool reads it, so a check of the path
followed by a plain `open` could be outrun by a link put there in between. Here the path is
resolved once and then walked folder by folder, refusing links.
"""

import errno
import io
import itertools
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from errors import ToolError

MAX_FILE_BYTES = 100_000_000
_LISTED = 20
_MAX_NAMES, _MAX_ENTRIES, _MAX_DEPTH = 1_000, 20_000, 32


@dataclass(frozen=True)
class File:
    """A file of the workspace, read whole: its path in the workspace and its bytes."""

    name: str
    data: bytes

    @property
    def suffix(self) -> str:
        """The ending in lower case, with its dot: `.csv`."""
        return Path(self.name).suffix.lower()


def load(
    workspace: Path, path: str, max_bytes: int = MAX_FILE_BYTES, *, head: bool = False
) -> File:
    """The file at `path` (relative to the workspace, or absolute inside it).

    Raises ToolError, seen as FileNotFoundError (it lists the files that are there),
    IsADirectoryError, PermissionError for whatever lies outside, and ValueError for a file over
    `max_bytes`; with `head`, of such a file the first `max_bytes` are given.
    """
    name, handle = opened(workspace, path)
    with handle:
        size = os.fstat(handle.fileno()).st_size
        if size > max_bytes and not head:
            raise ToolError(
                f"{path} has {size / 1e6:.0f} MB, more than the {max_bytes / 1e6:.0f} MB "
                "that this tool reads;",
                "open it in your code and read it piece by piece.",
            )
        return File(name, handle.read(max_bytes))


def opened(workspace: Path, path: str) -> tuple[str, io.BufferedReader]:
    """The path in the workspace, and the file open for reading. Raises ToolError as `load`."""
    root = workspace.resolve()
    parts = _parts_inside(root, path)
    return "/".join(parts), _open(root, parts, path)


def size_of(workspace: Path, path: str) -> int:
    """The file's size in bytes; 0 where it can't be opened."""
    try:
        _, handle = opened(workspace, path)
    except ToolError:
        return 0
    with handle:
        return os.fstat(handle.fileno()).st_size


def names(workspace: Path) -> list[str]:
    """The files of the workspace, as paths relative to it, sorted; hidden ones left out.

    The code chooses how many there are and how deep: folders are taken one after the other, and
    neither many nor very deep ones are looked at (`os.walk` would call itself for each level).
    """
    root = workspace.resolve()
    found: list[str] = []
    folders = [("", 0)]
    left = _MAX_ENTRIES
    while folders and left > 0 and len(found) <= _MAX_NAMES:
        prefix, depth = folders.pop()
        inner = []
        try:
            folder = _folder_at(root, prefix.split("/")[:-1])
        except OSError:
            continue
        try:
            with os.scandir(folder) as entries:
                for entry in itertools.islice(entries, left):
                    left -= 1
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if depth < _MAX_DEPTH:
                            inner.append((f"{prefix}{entry.name}/", depth + 1))
                    elif entry.is_file():
                        found.append(prefix + entry.name)
        except OSError:
            continue
        finally:
            os.close(folder)
        folders += sorted(inner, reverse=True)
    return sorted(found)


def missing(workspace: Path, path: str) -> ToolError:
    """The error for a file that isn't there: it names those that are."""
    there = names(workspace)
    what = f"No file '{path}'."
    if not there:
        return ToolError(what, "There are no files here.", seen_as=FileNotFoundError)
    listed = ", ".join(there[:_LISTED])
    more = f" and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
    return ToolError(what, f"Files here: {listed}{more}", seen_as=FileNotFoundError)


def _parts_inside(root: Path, path: str) -> tuple[str, ...]:
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise ToolError("path must be the name of a file,", "such as 'sales.csv'.")
    try:
        resolved = (root / path.strip()).resolve()
    except (OSError, RuntimeError):  # a loop of links
        raise ToolError(
            f"{path} can't be followed.", "Name another file.", seen_as=PermissionError
        ) from None
    if not resolved.is_relative_to(root):
        raise ToolError(
            f"{path} lies outside the workspace;",
            "only its files can be read.",
            seen_as=PermissionError,
        )
    if resolved == root:
        raise _folder(path)
    return resolved.relative_to(root).parts


def _folder_at(root: Path, parts: Sequence[str]) -> int:
    """A descriptor of the folder, reached without following a link. Raises OSError."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            inner = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
    except BaseException:
        os.close(folder)
        raise
    return folder


def _open(root: Path, parts: tuple[str, ...], path: str) -> io.BufferedReader:
    try:
        folder = _folder_at(root, parts[:-1])
        try:
            # O_NONBLOCK: a pipe put there must not hold the app.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(parts[-1], flags, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _in_words(error, root, path) from None
    seen = os.fstat(descriptor)
    mode = seen.st_mode
    if seen.st_nlink > 1 and stat.S_ISREG(mode):
        # The other name may be that of a file which is none of the workspace's.
        os.close(descriptor)
        raise ToolError(
            f"{path} is a hard link;", "make a copy of it and read that.", seen_as=PermissionError
        )
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise _folder(path)
        raise ToolError(
            f"{path} is not a plain file.", "Name another one.", seen_as=PermissionError
        )
    return os.fdopen(descriptor, "rb")


def _folder(path: str) -> ToolError:
    return ToolError(f"{path} is a folder.", "Name one of its files.", seen_as=IsADirectoryError)


def _in_words(error: OSError, root: Path, path: str) -> ToolError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return missing(root, path)
    said = os.strerror(error.errno or 0)
    return ToolError(
        f"{path} can't be opened: {said}.", "Name another file.", seen_as=PermissionError
    )
