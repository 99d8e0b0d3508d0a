"""A small world to run an example's code in: its files, notes and web, in this process.

The bundled model is trained on what the agent would show it, and that takes hundreds of
thousands of runs of code that we wrote ourselves; a process each would take hours. So the code
runs here, against the real tools, and gives the same text as the sandbox (a test compares the
two). Code written by a model is run here only in a process that can be thrown away.
"""

import ast
import builtins
import contextlib
import datetime
import functools
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import ToolError
from memory.notes import PROPOSED, format_hits, remembered_line, search_texts
from sandbox import report
from serving.tiny.example import Example
from tools.calculate import Calculate
from tools.inspect_table import InspectTable
from tools.read_file import ReadFile
from tools.remember import Remember
from tools.search_history import SearchHistory
from tools.search_notes import SearchNotes
from tools.web_search import SearchResult, WebSearch


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
        self._step = 0
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, data in example.files.items():
            (folder / name).write_bytes(data)
        self.names: dict[str, Any] = {"__name__": "__main__", **self._functions()}

    def run(self, code: str) -> Ran:
        """Run one step's code in the workspace."""
        self._step += 1
        report.keep_source(self._step, code)
        printed = io.StringIO()
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(printed):
                body, last = _compiled(code, self._step)
                exec(body, self.names)
                value = eval(last, self.names) if last is not None else None
            return Ran(printed.getvalue(), value=value)
        except _Answered as answered:
            return Ran(printed.getvalue(), answered=True, answer=answered.answer)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the agent's code raises anything
            return Ran(printed.getvalue(), error=self._described(error))
        finally:
            os.chdir(before)

    def _described(self, error: BaseException) -> str:
        return report.describe(error, self._step, [*self.names, *vars(builtins)])

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
        functions = {tool.name: _as_code_sees_it(tool.forward) for tool in tools}
        return functions | {"final_answer": _final_answer}

    def _remember(self, text: str) -> None:
        line = remembered_line(text, datetime.date.today())
        self.notes[PROPOSED] = self.notes.get(PROPOSED, "") + line + "\n"

    def _search_notes(self, query: str) -> str:
        return format_hits(query, search_texts(self.notes, query))

    def _search_web(self, query: str, most: int) -> list[SearchResult]:
        return [SearchResult(p.title, p.address, p.snippet) for p in self._web[:most]]


def _as_code_sees_it(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The tool's function with the errors that the sandbox turns a ToolError into."""

    @functools.wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return forward(*args, **kwargs)
        except ToolError as error:
            raise error.seen_as(str(error)) from None

    return call


def _final_answer(answer: Any) -> None:
    raise _Answered(answer)


def _compiled(code: str, step: int) -> tuple[Any, Any]:
    """(statements, last expression or None), so that its value can be shown."""
    name = report.step_file(step)
    tree = ast.parse(code, name)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        expression = tree.body.pop()
        assert isinstance(expression, ast.Expr)
        last = compile(ast.Expression(expression.value), name, "eval")
    return compile(tree, name, "exec"), last
