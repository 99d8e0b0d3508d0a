"""The worker's side: matplotlib figures that the code leaves open become files.

As in a notebook, a figure belongs to the step that drew it: it is saved and closed at the
step's end. The library is never imported here.
"""

import contextlib
import os
import sys
from pathlib import Path

_IMAGES = (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".webp", ".gif")

Images = dict[str, tuple[int, int, int]]


def images(workspace: Path) -> Images:
    """The images in the workspace and the present folder, by path: time (ns), size, inode."""
    found: Images = {}
    for folder in (str(workspace), "."):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.lower().endswith(_IMAGES):
                    seen = entry.stat(follow_symlinks=False)
                    found[os.path.realpath(entry.path)] = (
                        seen.st_mtime_ns,
                        seen.st_size,
                        seen.st_ino,
                    )
    return found


def save_open(workspace: Path, before: Images) -> None:
    """Save the open figures as figure-1.png and so on, and close them.

    A step that wrote as many images itself has saved its figures; `before` is what `images`
    said when it began.
    """
    pyplot = sys.modules.get("matplotlib.pyplot")
    numbers = pyplot.get_fignums() if pyplot is not None else []
    if pyplot is None or not numbers:
        return
    try:
        written = images(workspace).items() - before.items()
        if len(written) < len(numbers):
            for number in numbers:
                pyplot.figure(number).savefig(_free_name(workspace), bbox_inches="tight")
    finally:
        pyplot.close("all")


def close_open() -> None:
    """Drop the open figures of a step that failed; it will be drawn again."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


def _free_name(workspace: Path) -> Path:
    number = 1
    while (workspace / f"figure-{number}.png").exists():
        number += 1
    return workspace / f"figure-{number}.png"
