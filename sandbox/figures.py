"""The worker's side: matplotlib figures that the code leaves open become files.

As in a notebook, a figure belongs to the step that drew it: it is saved and closed at the
step's end. The library is never imported here.
"""

import os
import sys
from pathlib import Path

_IMAGES = (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".webp", ".gif")


def save_open(workspace: Path, since_ns: int) -> None:
    """Save the open figures as figure-1.png and so on, and close them.

    A step that wrote as many images itself (`since_ns`: when it began) has saved its figures.
    """
    pyplot = sys.modules.get("matplotlib.pyplot")
    numbers = pyplot.get_fignums() if pyplot is not None else []
    if pyplot is None or not numbers:
        return
    try:
        if _images_since(workspace, since_ns) < len(numbers):
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


def _images_since(workspace: Path, since_ns: int) -> int:
    count = 0
    folders = {str(workspace), str(Path.cwd())}
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.lower().endswith(_IMAGES) and entry.stat().st_mtime_ns >= since_ns:
                    count += 1
    return count
