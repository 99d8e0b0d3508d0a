"""The worker's side: say in the fewest words what went wrong in the agent's code.

    line 3: df.groupby("Region")
    KeyError: 'Region'

One `line` for each frame of the agent's own code, the outermost first, then the exception.
Frames of libraries and of the worker are left out.
"""

import difflib
import itertools
import linecache
import os
import re
import sys
import warnings
from collections.abc import Iterable
from io import TextIOBase
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from sandbox import packages

MAX_MESSAGE = 500
MAX_LINE = 200
MAX_FRAMES = 6
_MAX_NAMES = 12

_MODULE_FILE = re.compile(r" \((?:/.*|unknown location)\)$")  # of use to nobody here
_STEP_FILE = re.compile(r"<step (\d+)>")
_USUAL_NAMES = {
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "plt": "import matplotlib.pyplot as plt",
    "sp": "import sympy as sp",
    "sympy": "import sympy",
    "numpy": "import numpy",
    "pandas": "import pandas",
}


def step_file(step: int) -> str:
    """The file name that a step's code is compiled under."""
    return f"<step {step}>"


def keep_source(step: int, code: str) -> None:
    """Let tracebacks and `inspect` find the lines of a step."""
    lines = [line + "\n" for line in code.splitlines()]
    linecache.cache[step_file(step)] = (len(code), None, lines, step_file(step))


def describe(error: BaseException, step: int, known: Iterable[str] = ()) -> str:
    """The observation for an exception. `known` are the names the code could have meant."""
    if isinstance(error, SyntaxError) and _is_own(error.filename or ""):
        return _describe_syntax(error, step)
    lines = where(error.__traceback__, step)
    return "\n".join([*lines, headline(error, known)])


def _describe_syntax(error: SyntaxError, step: int) -> str:
    number = error.lineno or 1
    source = (error.text or linecache.getline(step_file(step), number)).strip()
    place = [f"line {number}: {source[:MAX_LINE]}"] if source else [f"line {number}"]
    said = f"{type(error).__name__}: {_cut(error.msg or '')}"
    return "\n".join([*place, said + _about_notebooks(source)])


def _about_notebooks(source: str) -> str:
    """What to write instead of a line that only a notebook understands."""
    if re.match(r"[!%]\s*(pip|conda|uv)\b", source):
        return (
            ". Packages can't be installed from the code: leave the line out and import what you "
            "need; if it is missing, the error says what is there instead."
        )
    if source.startswith("!"):
        return ". Commands of a shell can't be run; do it in Python."
    return ". This is not a notebook: leave the line out." if source.startswith("%") else ""


def where(trace: TracebackType | None, step: int) -> list[str]:
    """One line of text for each of the agent's own frames in a traceback."""
    lines = []
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if _is_own(name):
            lines.append(_place(name, trace.tb_lineno, step))
        trace = trace.tb_next
    lines = _without_repeats(lines)
    if len(lines) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        note = f"… {len(lines) - MAX_FRAMES} more calls …"
        lines = [*lines[:half], note, *lines[-half:]]
    return lines


def _without_repeats(lines: list[str]) -> list[str]:
    """A line once, however often it follows itself: comprehensions, recursion."""
    kept = []
    for line, group in itertools.groupby(lines):
        kept.append(line)
        count = len(list(group))
        if count > 2:
            kept.append(f"… the same line {count - 1} more times …")
    return kept


def in_an_import(error: BaseException) -> bool:
    """Whether a library was just being imported."""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_name == "<module>" and not _is_own(code.co_filename):
            return True
        trace = trace.tb_next
    return False


def headline(error: BaseException, known: Iterable[str] = ()) -> str:
    """`Type: message`, with the likely meant name where one was not found."""
    name = type(error).__name__
    if isinstance(error, SystemExit):
        return f"{name}: the code called exit(); nothing after it ran, variables were kept"
    try:
        message = str(error)
    except Exception as inner:  # noqa: BLE001 - the agent's own exception class
        message = f"(its text failed with {type(inner).__name__})"
    if isinstance(error, MemoryError) and not message:
        message = "the code needed more memory than the sandbox has"
    if isinstance(error, ImportError):
        message = _MODULE_FILE.sub("", message)
    suggestion = _suggestion(error, known)
    message = _cut(message.removesuffix(".") if suggestion else message) + suggestion
    return f"{name}: {message}" if message else name


def _suggestion(error: BaseException, known: Iterable[str]) -> str:
    try:
        if type(error) is NameError and error.name:
            return _suggest_name(error.name, known)
        if isinstance(error, ImportError):
            return packages.explain(error, known)
        if isinstance(error, (FileNotFoundError, PermissionError)) and error.filename is not None:
            return _about_a_file(os.fsdecode(error.filename), isinstance(error, PermissionError))
        if type(error) is AttributeError and error.name and error.obj is not None:
            public = [name for name in dir(error.obj) if not name.startswith("_")]
            return _did_you_mean(error.name, public)
    except Exception:  # noqa: BLE001 - names and attributes are the agent's: a suggestion is not worth a fault
        return ""
    return ""


def _about_a_file(path: str, refused: bool) -> str:
    """Which file may have been meant; all that the code may use lies in the present folder."""
    here = Path.cwd()
    if refused:
        whole = os.path.normpath(here / path)
        inside = whole.startswith((_workspace + os.sep, str(here) + os.sep))
        return "" if inside else ". Only files in the current folder can be read and written."
    with os.scandir() as entries:
        names = [e.name for e in itertools.islice(entries, 200) if not e.name.startswith(".")]
    base = Path(path).name
    if base in names:
        return f". Did you mean: '{base}'?"
    near = _did_you_mean(base, names)
    if near or not names:
        return near
    more = ", …" if len(names) > _MAX_NAMES else ""
    return f". Here are: {', '.join(sorted(names)[:_MAX_NAMES])}{more}"


def _suggest_name(name: str, known: Iterable[str]) -> str:
    if name in _USUAL_NAMES:
        return f". Did you forget '{_USUAL_NAMES[name]}'?"
    near = _did_you_mean(name, known)
    if not near and name in sys.stdlib_module_names:
        return f". Did you forget 'import {name}'?"
    return near


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    candidates = [text for text in known if type(text) is str][:2000]
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.7)
    return f". Did you mean: '{near[0]}'?" if near and near[0] != name else ""


def _is_own(filename: str) -> bool:
    if _STEP_FILE.fullmatch(filename):
        return True
    if not _workspace or filename.startswith(_hidden + os.sep):
        return False
    return filename.startswith(_workspace + os.sep)


_workspace = _hidden = ""


def set_workspace(folder: str, hidden: str) -> None:
    """Modules that the agent wrote in its workspace count as its own code, but not what
    lies in the `hidden` folder there."""
    global _workspace, _hidden
    _workspace, _hidden = folder, hidden


def _place(filename: str, number: int, step: int) -> str:
    source = linecache.getline(filename, number).strip()[:MAX_LINE]
    match = _STEP_FILE.fullmatch(filename)
    if match is None:
        label = f"{os.path.relpath(filename, _workspace)}, line {number}"
    elif int(match[1]) != step:
        label = f"step {match[1]}, line {number}"
    else:
        label = f"line {number}"
    return f"{label}: {source}" if source else label


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


# Warnings about the sandbox itself: it shows no windows, and it has a thread of its own.
_OUR_DOING = ("FigureCanvasAgg is non-interactive", "is multi-threaded, use of fork()")


class Warnings:
    """Shows each warning once, on one line, without the path of the file it came from."""

    def __init__(self, stream: TextIOBase) -> None:
        self._stream = stream
        self._shown: set[tuple[str, str]] = set()

    def install(self) -> None:
        """Make this the way warnings are shown."""
        warnings.showwarning = self._show

    def _show(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        lines = str(message).strip().splitlines()
        key = (category.__name__, lines[0][:300] if lines else "")
        if key in self._shown or any(text in key[1] for text in _OUR_DOING):
            return
        if len(self._shown) < 1000:
            self._shown.add(key)
        (file or self._stream).write(f"{key[0]}: {key[1]}\n")


def unraisable(stream: TextIOBase, step: int, args: Any) -> None:
    """A `sys.unraisablehook`: an exception in a place that can't raise it, such as `__del__`."""
    if args.exc_value is not None:
        stream.write(f"Ignored: {headline(args.exc_value)}\n")


def thread_failed(stream: TextIOBase, step: int, args: Any) -> None:
    """A `threading.excepthook`: an exception that ended a thread of the agent's."""
    if args.exc_type is SystemExit:
        return
    name = args.thread.name if args.thread else "a thread"
    lines = [*where(args.exc_traceback, step), headline(args.exc_value)]
    stream.write(f"In {name}:\n" + "\n".join(lines) + "\n")
