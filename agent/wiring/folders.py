"""The folder that everything is kept in: whether it can be written."""

import shutil
import tempfile
from pathlib import Path

from errors import InputError

MIN_FREE_BYTES = 50_000_000


def check_data_dir(folder: Path) -> None:
    """A full disk or a folder that can't be written is said before anything starts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise unwritable(folder, error) from None
    if free < MIN_FREE_BYTES:
        raise unwritable(folder, "its disk is full")


def unwritable(folder: Path, why: OSError | str) -> InputError:
    return InputError(
        f"The folder {folder} can't be written: {getattr(why, 'strerror', None) or why}.",
        fix="Set HEARTH_DATA_DIR to a folder that you may write to, on a disk with free space.",
    )
