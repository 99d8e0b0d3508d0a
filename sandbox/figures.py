"""The worker's side: what the code draws becomes files, whether it saves them or not.

As in a notebook, a figure belongs to the step that drew it: matplotlib's open figures are saved
and closed at the step's end, and so is a picture (matplotlib, plotly, PIL) that the code shows
or leaves as its last value. The libraries are never imported here.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox import after_import

_PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".webp", ".gif")
_PAGES = (".html", ".json")  # plotly's
MAX_SHOWN = 20

Images = dict[str, tuple[int, int, int]]

_shown: list[Any] = []


def images(workspace: Path) -> Images:
    """The pictures in the workspace and the present folder, by path: time (ns), size, inode."""
    found: Images = {}
    for folder in (str(workspace), "."):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.lower().endswith(_PICTURES + _PAGES):
                    seen = entry.stat(follow_symlinks=False)
                    found[os.path.realpath(entry.path)] = (
                        seen.st_mtime_ns,
                        seen.st_size,
                        seen.st_ino,
                    )
    return found


def save(workspace: Path, before: Images, value: Any) -> Any:
    """Save what the step drew and did not save itself; returns what its last value is shown as.

    `before` is what `images` said when the step began: a step that wrote as many pictures as it
    drew has saved them. A value that is nothing but a picture is shown as the file's name.
    """
    pyplot = sys.modules.get("matplotlib.pyplot")
    numbers = pyplot.get_fignums() if pyplot is not None else []
    drawn: list[Any] = [pyplot.figure(number) for number in numbers] if pyplot is not None else []
    drawn += [picture for picture in _shown if not _is_in(picture, drawn)]
    if _is_picture(value) and not _is_in(value, drawn):
        drawn.append(value)
    try:
        saved = len(drawn) <= _written(workspace, before, drawn) if drawn else True
        names = [] if saved else [_write(workspace, picture) for picture in drawn]
    finally:
        close_open()
    if value is None or _is_picture(value) or _is_drawing(value):
        return f"Saved: {', '.join(names)}" if names else None
    return value


def _written(workspace: Path, before: Images, drawn: Sequence[Any]) -> int:
    """How many pictures the step saved itself."""
    endings = _PICTURES + _PAGES if any(_is_plotly(picture) for picture in drawn) else _PICTURES
    fresh = images(workspace).items() - before.items()
    return sum(name.lower().endswith(endings) for name, _ in fresh)


def close_open() -> None:
    """Drop the open figures, at the end of a step or where it failed: it will be drawn again."""
    _shown.clear()
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


def _is_picture(value: Any) -> bool:
    """A whole figure or image, of whichever library."""
    for module, name in (
        ("matplotlib.figure", "Figure"),
        ("plotly.basedatatypes", "BaseFigure"),
        ("PIL.Image", "Image"),
    ):
        if issubclass(type(value), getattr(sys.modules.get(module), name, ())):
            return True
    return False


def _is_drawing(value: Any) -> bool:
    """A part of a matplotlib figure, or a collection of parts: what its functions return."""
    artist = getattr(sys.modules.get("matplotlib.artist"), "Artist", ())
    if issubclass(type(value), artist) or str(type(value).__module__).startswith("matplotlib."):
        return True
    array = getattr(sys.modules.get("numpy"), "ndarray", ())
    if issubclass(type(value), array) and value.dtype.hasobject:
        value = value.ravel().tolist()
    if type(value) not in (list, tuple) or not 0 < len(value) <= 1000:
        return False
    return all(issubclass(type(item), artist) for item in value)


def _is_in(picture: Any, pictures: Sequence[Any]) -> bool:
    return any(picture is other for other in pictures)


def _write(workspace: Path, picture: Any) -> str:
    """Save one picture under the next free name; returns the name."""
    if _is_plotly(picture):
        path = _free_name(workspace, "figure", "html")
        picture.write_html(str(path), include_plotlyjs=True)  # it must show without a network
    elif _is_from(picture, "PIL.Image"):
        path = _free_name(workspace, "image", "png")
        savable = picture.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")
        (picture if savable else picture.convert("RGB")).save(path)
    else:
        path = _free_name(workspace, "figure", "png")
        picture.savefig(path, bbox_inches="tight")
    return path.name


def _is_plotly(picture: Any) -> bool:
    return _is_from(picture, "plotly.basedatatypes")


def _is_from(picture: Any, module: str) -> bool:
    return any(base.__module__ == module for base in type(picture).__mro__)


def _free_name(workspace: Path, stem: str, ending: str) -> Path:
    number = 1
    while any((workspace / f"{stem}-{number}.{end}").exists() for end in {ending, "png"}):
        number += 1
    return workspace / f"{stem}-{number}.{ending}"


# -- what a library would show on a screen ----------------------------------------------------


def _show(picture: Any, *_: Any, **__: Any) -> None:
    """Keep a picture for the step's end; there is no screen."""
    if not _is_in(picture, _shown) and len(_shown) < MAX_SHOWN:
        _shown.append(picture)


def watch() -> None:
    """From now on `show()` keeps its picture; called once, before any of the agent's code."""
    for name in ("plotly.io._renderers", "PIL.ImageShow"):
        after_import.change(name, _catch)
    if "show" in vars(sys.modules.get("plotly.io", sys)):  # taken from there already
        _catch(sys.modules["plotly.io"])


def _catch(module: Any) -> None:
    module.show = _show
