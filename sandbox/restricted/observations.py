"""What the model reads when its code fails in the restricted interpreter.

The same form as elsewhere: `line 3: the line`, then `Type: message`. Where the interpreter lacks
something, the text says what this machine offers and what to do instead.
"""

import ast
import builtins
import difflib
import itertools
import re
from collections.abc import Iterable
from typing import Any

from sandbox import report
from sandbox.restricted.engine import Failed

HERE = "this machine offers only the restricted interpreter"
MODULES = (
    "asyncio", "base64", "binascii", "bisect", "collections", "copy", "csv", "dataclasses",
    "datetime", "decimal", "functools", "hashlib", "itertools", "json", "math", "pathlib",
    "random", "re", "sys", "time", "tomllib", "typing", "unicodedata",
)  # fmt: skip
NO_FILES = (
    f"files can't be used here: {HERE}, which has none; read with the tools, such as "
    "read_file(path), and return results with print or final_answer"
)
BEFORE = "Variables are as they were before this step."

_INSTEAD = {
    "numpy": "lists, math and sum()",
    "pandas": "lists of dictionaries, csv and collections",
    "statistics": "sum(), len(), sorted() and math",
    "string": "the characters written out",
    "enum": "plain constants",
    "sympy": "the tool calculate(expression)",
    "requests": "the tools, such as visit_webpage(url)",
}
_UNSUPPORTED = re.compile(r"The monty syntax parser does not yet support (?:the )?(.*)")
_NO_ATTRIBUTE = re.compile(r"'(\w+)' object has no attribute '(\w+)'")
_NO_NAME = re.compile(r"name '(\w+)' is not defined")
_MAX_FRAMES = 6


def no_module(name: str, tools: Iterable[str]) -> str:
    """The message of a ModuleNotFoundError."""
    top = name.partition(".")[0]
    if top in tools:
        return f"{top} is already there: use it without importing it"
    instead = f"; instead: {_INSTEAD[top]}" if top in _INSTEAD else ""
    return (
        f"{top} can't be used here: {HERE}, without libraries; what can be imported: "
        f"{', '.join(MODULES)}{instead}"
    )


def describe(failed: Failed, step: int, steps: dict[str, int], known: Iterable[str]) -> str:
    """The observation. `steps`: which step a file name of the interpreter's stands for."""
    lines = [_place(frame, step, steps) for frame in failed.frames]
    kept = _without_repeats(lines)
    if len(kept) > _MAX_FRAMES:
        half = _MAX_FRAMES // 2
        note = f"… {len(kept) - _MAX_FRAMES} more calls …"
        kept = [*kept[:half], note, *kept[-half:]]
    text = _headline(failed.error, known)
    return "\n".join([*kept, f"{text}. {BEFORE}" if failed.lost else text])


def _headline(error: BaseException, known: Iterable[str]) -> str:
    unsupported = _UNSUPPORTED.match(str(error))
    if isinstance(error, NotImplementedError) and unsupported:
        what = unsupported[1].rstrip(".")
        return f"NotImplementedError: {HERE}, which doesn't know {what}; write it without"
    if isinstance(error, MemoryError):
        return "MemoryError: the code needed more memory than the sandbox has"
    if isinstance(error, NameError) and (found := _NO_NAME.match(str(error))):
        return f"NameError: {error}{_about_name(found[1], known)}"
    if isinstance(error, AttributeError) and (found := _NO_ATTRIBUTE.match(str(error))):
        return f"AttributeError: {error}{_near(found[2], dir(getattr(builtins, found[1], None)))}"
    return report.headline(error)


def _near(name: str, candidates: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, [*candidates], n=1, cutoff=0.7)
    return f". Did you mean: '{close[0]}'?" if close and close[0] != name else ""


def _about_name(name: str, known: Iterable[str]) -> str:
    usual = {"np": "numpy", "pd": "pandas", "plt": "matplotlib", "sp": "sympy"}
    if name in usual:
        return f"; {no_module(usual[name], ())}"
    if name in MODULES:
        return f". Did you forget 'import {name}'?"
    if hasattr(builtins, name):
        return f": {HERE}, which doesn't know it"
    return _near(name, known)


def _place(frame: Any, step: int, steps: dict[str, int]) -> str:
    place = f"line {frame.line}"
    where = steps.get(frame.filename, step)
    if where != step:
        place = f"step {where}, {place}"
    lines = (frame.source_line or "").strip().splitlines()
    return f"{place}: {lines[0][: report.MAX_LINE]}" if lines else place


def _without_repeats(lines: list[str]) -> list[str]:
    kept = []
    for line, group in itertools.groupby(lines):
        kept.append(line)
        count = len(list(group))
        if count > 2:
            kept.append(f"… the same line {count - 1} more times …")
    return kept


def assigned(tree: ast.AST) -> set[str]:
    """The names that code gives a value, as far as that can be seen."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
    return found
