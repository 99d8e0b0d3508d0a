"""A small world to run an example's code in: its files, notes and web, in this process.

The bundled model is trained on what the agent would show it, and that takes hundreds of
thousands of runs of code that we wrote ourselves; a process each would take hours. So the code
runs here, against the real tools, and gives the same text as the sandbox (a test compares the
two). Code written by a model is run here only in a process that can be thrown away.
"""

import ast
import contextlib
import io
import os
import re
import shutil
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.tiny.example import Example
from tools.calculate import Calculate
from tools.inspect_table import InspectTable
from tools.read_file import ReadFile
from tools.remember import Remember
from tools.search_history import SearchHistory
from tools.search_notes import SearchNotes
from tools.web_search import SearchResult, WebSearch

AGENT_FILE = "<agent>"
MESSAGE_CHARS = 500
MOST_NOTES = 5
_WORD = re.compile(r"\w+")
_COMMON = frozenset(
    re.findall(
        r"\S+",
        "a an the is are was were be of in on at to for from with and or my i me we our you your its"
        " it what what's which who when where how why do does did have has had will can about that",
    )
)


@dataclass(frozen=True)
class Ran:
    """What a step's code did. `answered` tells an answer of None from no answer."""

    printed: str
    error: str | None = None
    value: object = None
    answered: bool = False
    answer: Any = None


class _Answered(BaseException):
    """Raised by final_answer; not an Exception, so that the agent's own handlers let it pass."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer


class World:
    """The workspace and tools of one example; variables are kept between its steps.

    `folder` becomes the workspace: whatever lies in it is deleted.
    """

    def __init__(self, example: Example, folder: Path) -> None:
        self.folder = folder
        self.notes = dict(example.notes)
        self._web = example.web
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, data in example.files.items():
            (folder / name).write_bytes(data)
        self.names: dict[str, Any] = {"__name__": "__main__", **self._functions()}

    def run(self, code: str) -> Ran:
        """Run one step's code in the workspace."""
        try:
            body, last = _compiled(code)
        except (SyntaxError, ValueError) as error:
            return Ran("", error=syntax_error_text(error, code))
        printed = io.StringIO()
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(printed):
                exec(body, self.names)
                value = eval(last, self.names) if last is not None else None
            return Ran(printed.getvalue(), value=value)
        except _Answered as answered:
            return Ran(printed.getvalue(), answered=True, answer=answered.answer)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the agent's code raises anything
            return Ran(printed.getvalue(), error=error_text(error, code))
        finally:
            os.chdir(before)

    def _functions(self) -> dict[str, Callable[..., Any]]:
        tools = (
            Calculate(),
            InspectTable(self.folder),
            ReadFile(self.folder),
            Remember(self._remember),
            SearchNotes(self._search_notes),
            SearchHistory(self._search_notes),
            WebSearch(self._search_web),
        )
        return {tool.name: tool.forward for tool in tools} | {"final_answer": _final_answer}

    def _remember(self, text: str) -> None:
        self.notes[f"memory-{len(self.notes) + 1}.md"] = text

    def _search_notes(self, query: str) -> str:
        return search_notes(query, self.notes)

    def _search_web(self, query: str, most: int) -> list[SearchResult]:
        return [SearchResult(p.title, p.address, p.snippet) for p in self._web[:most]]


def search_notes(query: str, notes: dict[str, str]) -> str:
    """The notes' lines that share most words with `query`, one a note, as the agent reads them."""
    wanted = set(_words(query))
    found = []
    for number, (name, text) in enumerate(notes.items()):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        ranked = [(len(wanted & set(_words(line))), -at) for at, line in enumerate(lines)]
        score, at = max(ranked, default=(0, 0))
        if score:
            found.append((-score, number, f"{name}: {lines[-at]}"))
    if not found:
        return f"No notes match '{query}'."
    best = [line for _, _, line in sorted(found)][:MOST_NOTES]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(best, start=1))


def _words(text: str) -> Iterable[str]:
    return (w for w in _WORD.findall(text.lower()) if w not in _COMMON)


def _final_answer(answer: Any) -> None:
    raise _Answered(answer)


def _compiled(code: str) -> tuple[Any, Any]:
    """(statements, last expression or None), so that its value can be shown."""
    tree = ast.parse(code, AGENT_FILE)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        expression = tree.body.pop()
        assert isinstance(expression, ast.Expr)
        last = compile(ast.Expression(expression.value), AGENT_FILE, "eval")
    return compile(tree, AGENT_FILE, "exec"), last


def error_text(error: BaseException, code: str) -> str:
    """The text of a CodeError: a line for each frame in the agent's code, then the exception."""
    source = code.splitlines()
    frames = [
        f"line {f.lineno}: {source[f.lineno - 1].strip()}"
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename == AGENT_FILE and f.lineno and f.lineno <= len(source)
    ]
    message = str(error)[:MESSAGE_CHARS]
    kind = type(error).__name__
    return "\n".join([*frames, f"{kind}: {message}" if message else kind])


def syntax_error_text(error: Exception, code: str) -> str:
    """The same for code that can't be compiled."""
    if not isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error}"
    lines = code.splitlines()
    number = error.lineno or 1
    line = lines[number - 1].strip() if number <= len(lines) else ""
    return f"line {number}: {line}\n{type(error).__name__}: {error.msg}"
