"""A file that a tool puts into the session's folder."""

import itertools
import os
from pathlib import Path

from errors import ToolError

_MOST_ALIKE = 200


def keep_file(workspace: Path, name: str, data: bytes) -> str:
    """Write `data` under `name`, or `name-2` and so on where that is taken; returns the name.

    Nothing that is there is overwritten, and no link is followed: the agent's code may have put
    one there. Raises ToolError where it can't be written.
    """
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in itertools.islice(itertools.count(1), _MOST_ALIKE):
        free = f"{stem}-{number}{suffix}" if number > 1 else name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            handle = os.open(workspace.resolve() / free, flags, 0o644)
        except FileExistsError:
            continue
        except OSError as error:
            raise ToolError(f"{name} can't be kept: {error.strerror}.") from None
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        return free
    raise ToolError(f"There are too many files called {name}.", "Remove some.")
