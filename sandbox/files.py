"""A folder on disk, whatever the agent's code left in it: walked, measured, cleared.

The code chooses the names, the depth and the number, and may still be running. So nothing here
recurses, every folder is opened from the descriptor of the one above it without following a
link, no path is ever put together for the system (it could be longer than PATH_MAX), and every
walk has an end.
"""

import contextlib
import itertools
import os
import secrets
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HIDDEN = ".sandbox"  # the worker's own folder in the workspace: home, temporary files, caches
OWN_FOLDERS = ("home", "tmp", "matplotlib")
_MAX_GIVEN_DEPTH = 200
_CHUNK = 5_000
_PASSES = 1_000  # of _CHUNK entries each; only a live worker can make it more
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Quota:
    """What a workspace may hold: bytes on disk, files and folders, levels of folders; beside the
    user's own files, `given_bytes` and `given_files`."""

    max_bytes: int = 1_000_000_000
    max_files: int = 50_000
    max_depth: int = 64
    given_bytes: int = 0
    given_files: int = 0


Seen = tuple[int, int, int]  # modification time (ns), size, inode


@dataclass
class Contents:
    """What a walk found. `files`: by relative name, modification time (ns), size, inode;
    `links`: the same of symbolic links; `linked`: the files that have a second name. `whole` is
    False if it broke off at the quota."""

    files: dict[str, Seen] = field(default_factory=dict)
    links: dict[str, Seen] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)
    bytes: int = 0
    entries: int = 0
    depth: int = 0
    whole: bool = True

    def excess(self, quota: Quota) -> str:
        """Which limit is broken, in words; empty if none is."""
        if self.bytes > quota.max_bytes + quota.given_bytes:
            return f"more than {quota.max_bytes / 1e6:,.0f} MB"
        if self.entries > quota.max_files + quota.given_files:
            return f"more than {quota.max_files:,} files and folders"
        if self.depth > quota.max_depth:
            return f"folders nested more than {quota.max_depth} deep"
        return ""


def walk(
    root: Path, max_depth: int, enter: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, "os.DirEntry[str]", int, int]]:
    """Everything below `root`: the prefix of its name, the entry, its depth (from 1), and the
    descriptor of its folder. Folders below `max_depth`, or whose name `enter` refuses, are not
    opened. What can't be read is left out."""
    waiting = [(0, "", "")]
    opened: list[int] = []  # the folders from the root to the present one
    try:
        while waiting:
            depth, name, prefix = waiting.pop()
            while len(opened) > depth:
                os.close(opened.pop())
            folder = _open_root(root) if depth == 0 else open_folder(name, opened[-1])
            if folder < 0:
                continue
            opened.append(folder)
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    yield prefix, entry, depth + 1, folder
                    if depth < max_depth and _is_folder(entry):
                        inner = prefix + entry.name
                        if enter(inner):
                            waiting.append((depth + 1, entry.name, inner + "/"))
    finally:
        for folder in opened:
            os.close(folder)


def contents(root: Path, quota: Quota) -> Contents:
    """What the workspace holds; the walk ends where it breaks the quota."""
    found = Contents()
    for prefix, entry, depth, _ in walk(root, quota.max_depth):
        try:
            seen = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        found.entries += 1
        found.bytes += getattr(seen, "st_blocks", 0) * 512
        found.depth = max(found.depth, depth)
        name = prefix + entry.name
        if stat.S_ISREG(seen.st_mode):
            found.files[name] = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
            if seen.st_nlink > 1:
                found.linked.add(name)
        elif stat.S_ISLNK(seen.st_mode):
            found.links[name] = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
        elif stat.S_ISDIR(seen.st_mode):
            found.folders.add(name)
        if found.excess(quota):
            found.whole = False
            break
    return found


def names_now(root: Path, known: Mapping[str, Seen]) -> list[str]:
    """Under which names the `known` files and links are now, one for each that is still there.

    Known by their inode. One that is larger than it was doesn't count: the number may have gone
    to another file.
    """
    sizes = {inode: size for _, size, inode in known.values()}
    found: dict[int, str] = {}
    for prefix, entry, _, _ in walk(root, _MAX_GIVEN_DEPTH):
        with contextlib.suppress(OSError):
            if entry.inode() not in sizes:
                continue
            seen = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(seen.st_mode) or seen.st_size > sizes[seen.st_ino]:
                continue
            if seen.st_ino not in found or prefix + entry.name in known:
                found[seen.st_ino] = prefix + entry.name
    return list(found.values())


def give(root: Path, uid: int) -> None:
    """Make what lies in the workspace belong to another user, as far as it has no second name.

    Linux only. Code may run in the workspace meanwhile.
    """
    with contextlib.suppress(OSError):
        if root.stat().st_uid != uid:
            os.chown(root, uid, uid)
    for _, entry, _, folder in walk(root, _MAX_GIVEN_DEPTH):
        with contextlib.suppress(OSError):
            if entry.stat(follow_symlinks=False).st_uid != uid:
                _give_entry(entry.name, folder, uid)


def _give_entry(name: str, folder: int, uid: int) -> None:
    """Checked and changed through one descriptor: the name may lead elsewhere in between."""
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        seen = os.fstat(held)
        if seen.st_nlink == 1 or stat.S_ISDIR(seen.st_mode):
            os.chown(f"/proc/self/fd/{held}", uid, uid)  # of a link: the link itself
    finally:
        os.close(held)


def clear(root: Path, keep: Collection[str] = ()) -> None:
    """Remove everything but the files and folders named in `keep`, and the folders they are in.

    What can't be removed stays. The root itself stays.
    """
    kept = set(keep)
    for name in keep:
        while name := name.rpartition("/")[0]:
            kept.add(name)
    top = _open_root(root)
    if top < 0:
        return
    try:
        waiting = [""]
        while waiting:
            prefix = waiting.pop()
            folder = _open_below(top, prefix)
            if folder < 0:
                continue
            try:
                for name, is_folder in _entries(folder):
                    if prefix + name not in kept:
                        _remove_at(folder, name, top)
                    elif is_folder:
                        waiting.append(f"{prefix}{name}/")
            finally:
                os.close(folder)
    finally:
        os.close(top)


def remove(folder: Path) -> None:
    """Remove a folder and all that is in it, as far as possible; it need not be there."""
    clear(folder)
    with contextlib.suppress(OSError):
        folder.rmdir()


def own_folders() -> list[str]:
    """The names of the worker's own folders, which stay when a workspace is cleared."""
    return [f"{HIDDEN}/{name}" for name in OWN_FOLDERS]


def open_folder(name: str, parent: int) -> int:
    """A descriptor of a folder in another, never by a link; -1 if that can't be."""
    for _ in range(2):
        try:
            return os.open(name, _FOLDER, dir_fd=parent)
        except PermissionError:  # mkdir(mode=0): made so that nobody looks into it
            if not _make_accessible(name, parent):
                return -1
        except OSError:
            return -1
    return -1


def _open_root(root: Path) -> int:
    try:
        return os.open(root, _FOLDER)
    except OSError:
        return -1


def _open_below(top: int, prefix: str) -> int:
    """A descriptor of the folder `prefix` (empty, or with a slash at its end) below `top`."""
    folder = os.dup(top)
    for name in prefix.split("/")[:-1]:
        inner = open_folder(name, folder)
        os.close(folder)
        if inner < 0:
            return -1
        folder = inner
    return folder


def _make_accessible(name: str, parent: int) -> bool:
    try:
        if sys.platform != "linux":
            os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
            return True
        # Linux changes the mode of a name only through links; a descriptor can't be swapped.
        folder = os.open(name, os.O_PATH | _FOLDER, dir_fd=parent)
        try:
            Path(f"/proc/self/fd/{folder}").chmod(0o700)
        finally:
            os.close(folder)
    except OSError:
        return False
    return True


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _entries(folder: int) -> list[tuple[str, bool]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [(entry.name, _is_folder(entry)) for entry in entries]
    return []


def _remove_at(parent: int, name: str, top: int) -> None:
    """Remove one file, or one folder with all that is in it.

    A tree is taken apart by moving the folders in it up to `top`, one after another: that needs
    two descriptors however deep it is.
    """
    if _unlinked(name, parent):
        return
    moved = _move(name, parent, top)
    waiting = [moved] if moved else []
    while waiting:
        name = waiting.pop()
        folder = open_folder(name, top)
        if folder < 0:
            continue
        try:
            with contextlib.suppress(OSError):
                os.fchmod(folder, 0o700)
            for inner in _unlink_files(folder):
                if moved := _move(inner, folder, top):
                    waiting.append(moved)
        finally:
            os.close(folder)
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=top)


def _unlink_files(folder: int) -> Iterator[str]:
    """Unlink what is no folder, and yield the folders; the caller moves them away."""
    for _ in range(_PASSES):
        with os.scandir(folder) as entries:
            chunk = [entry.name for entry in itertools.islice(entries, _CHUNK)]
        done = 0
        for name in chunk:
            if _unlinked(name, folder):
                done += 1
            else:
                yield name
        if len(chunk) < _CHUNK or not done:
            return


def _unlinked(name: str, folder: int) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _move(name: str, folder: int, top: int) -> str:
    """Give a folder a new name in `top`; empty if it stays where it is."""
    moved = f".removed-{secrets.token_hex(8)}"
    for _ in range(2):
        try:
            os.rename(name, moved, src_dir_fd=folder, dst_dir_fd=top)
            return moved
        except PermissionError:  # moving a folder changes it, so it must be writable
            if not _make_accessible(name, folder):
                return ""
        except OSError:
            return ""
    return ""
