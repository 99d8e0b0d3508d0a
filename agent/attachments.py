"""Files handed in with a task: copied into the workspace, all of them or none."""

import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO

from errors import InputError


def attach(files: Sequence[Path], workspace: Path) -> list[str]:
    """Copy the files into the workspace; returns their names there, each another one.

    A file of an earlier task with the same name is replaced. Raises InputError for what is no
    readable file and for a full disk; then nothing has changed.
    """
    copies: list[tuple[Path, str]] = []
    try:
        for file in files:
            name = _free_name(file, workspace, {name.casefold() for _, name in copies})
            copies.append((_copy(file, workspace), name))
        for copy, name in copies:
            # Renamed, not written: the agent's code may have put a link at this name.
            copy.replace(workspace / name)
    except OSError as error:
        raise InputError(
            f"The files can't be put into {workspace}: {error.strerror or error}.",
            fix="Make room there, or set HEARTH_DATA_DIR to another disk.",
        ) from None
    finally:
        for copy, _ in copies:
            copy.unlink(missing_ok=True)
    return [name for _, name in copies]


def _free_name(file: Path, workspace: Path, taken: Collection[str]) -> str:
    # A line end in a name would be one in the prompt, and a broken byte can't be sent at all.
    plain = "".join(c if c.isprintable() else "_" for c in file.name)
    name, number = plain, 1
    while name.casefold() in taken or (workspace / name).is_dir():
        number += 1
        name = f"{Path(plain).stem}-{number}{Path(plain).suffix}"
    return name


def _copy(file: Path, workspace: Path) -> Path:
    """A copy under a name of its own; removed again when it can't be finished."""
    with open_plain(file) as source:
        handle, copy = tempfile.mkstemp(dir=workspace, prefix=".attached-")
        try:
            with os.fdopen(handle, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except BaseException:
            Path(copy).unlink(missing_ok=True)
            raise
    return Path(copy)


def open_plain(file: Path, *, follow: bool = True) -> BinaryIO:
    """The open file; without `follow` no link is taken for one.

    Raises InputError for what is no plain file or can't be read.
    """
    fix = "Check the path and that you may read it."
    try:
        # Not blocking: to open a pipe that nobody writes to would wait for ever.
        links = 0 if follow else os.O_NOFOLLOW
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | links)
    except OSError as error:
        raise InputError(f"The file {file} can't be read: {error.strerror}.", fix=fix) from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        what = "a folder" if stat.S_ISDIR(mode) else "no plain file"
        raise InputError(f"The file {file} can't be read: it is {what}.", fix=fix)
    return os.fdopen(handle, "rb")
