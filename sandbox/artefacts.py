"""What a step left in the workspace: its new and changed files.

The code in the sandbox chooses the names, the depth and the number, so the walk is
iterative and bounded, follows no link, opens no file, and passes over whatever is no
regular file.
"""

import os
from pathlib import Path

HIDDEN = ".sandbox"  # the worker's own folder in the workspace: home, temporary files, caches
_PASSED_OVER = {HIDDEN, "__pycache__", ".ipynb_checkpoints"}
MAX_FILES = 10_000
MAX_DEPTH = 32

Snapshot = dict[str, tuple[int, int, int]]


def snapshot(workspace: Path) -> Snapshot:
    """The workspace's files by relative name: modification time (ns), size (bytes), inode.

    At most `MAX_FILES` files, folders to a depth of `MAX_DEPTH`. Names that are not
    printable text are left out: nobody could ask for them.
    """
    found: Snapshot = {}
    folders = [("", 0)]
    entries_left = MAX_FILES * 2
    while folders and len(found) < MAX_FILES and entries_left > 0:
        prefix, depth = folders.pop()
        try:
            entries = os.scandir(workspace / prefix)
        except OSError:
            continue
        with entries:
            for entry in entries:
                entries_left -= 1
                if entries_left <= 0 or len(found) >= MAX_FILES:
                    break
                _note(entry, prefix, depth, found, folders)
    return found


def _note(
    entry: "os.DirEntry[str]",
    prefix: str,
    depth: int,
    found: Snapshot,
    folders: list[tuple[str, int]],
) -> None:
    if entry.name in _PASSED_OVER or not entry.name.isprintable():
        return
    name = prefix + entry.name
    try:
        if entry.is_dir(follow_symlinks=False):
            if depth < MAX_DEPTH:
                folders.append((name + "/", depth + 1))
        elif entry.is_file(follow_symlinks=False):
            seen = entry.stat(follow_symlinks=False)
            found[name] = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
    except OSError:
        return


def changed(workspace: Path, before: Snapshot, after: Snapshot) -> list[Path]:
    """The files that are new in `after` or differ from `before`, oldest first."""
    names = [name for name, state in after.items() if before.get(name) != state]
    names.sort(key=lambda name: (after[name][0], name))
    return [workspace / name for name in names]
