"""The prompts, as data: one file per layout in this folder, and what of it is shown how.

`<layout>.md` opens a conversation. `<layout>_file.md` and `<layout>_search.md` show a file and
search results; a layout without them has those of `file.md` and `search.md`. R1's are the
marks that DeepSeek's README gives for it, which it was trained on.
"""

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smolagents import Tool

FOLDER = Path(__file__).resolve().parent
# Marks of the layouts, which a file or page could hold to pass for the end of itself.
_MARKS = re.compile(
    r"\[(file name|file content begin|file content end|webpage \d+ (?:begin|end))\]"
)


def instructions(layout: str, tools: Sequence[Tool]) -> str:
    """The rendered prompt of a layout (`r1`, `instruct`, `tiny`); may be empty.

    The same tools in the same order give the same bytes, so that the engine's prefix cache
    keeps them. Raises FileNotFoundError for a layout without a file, and jinja2's
    UndefinedError for a name in it that isn't filled.
    """
    listed = [
        {"signature": signature(tool), "description": " ".join(tool.description.split())}
        for tool in tools
        if tool.name != "final_answer"
    ]
    return _rendered(layout, tools=listed)


def file_text(layout: str, name: str, content: str) -> str:
    """A file as a model of the layout reads it best; it goes before the task."""
    return _rendered(_own(layout, "file"), name=name, content=_unmarked(content).strip("\n"))


def search_text(layout: str, results: Sequence[str]) -> str:
    """Search results, best first, as a model of the layout reads them best."""
    return _rendered(_own(layout, "search"), results=[_unmarked(text).strip() for text in results])


def signature(tool: Tool) -> str:
    """How the tool is called: `web_search(query, max_results=5)`."""
    defaults = inspect.signature(tool.forward).parameters
    parts = []
    for name in tool.inputs:
        default = defaults[name].default if name in defaults else inspect.Parameter.empty
        parts.append(name if default is inspect.Parameter.empty else f"{name}={default!r}")
    return f"{tool.name}({', '.join(parts)})"


def _own(layout: str, part: str) -> str:
    own = f"{layout}_{part}"
    return own if (FOLDER / f"{own}.md").is_file() else part


def _unmarked(text: str) -> str:
    return _MARKS.sub(r"(\1)", text)


def _rendered(template: str, /, **values: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    source = (FOLDER / f"{template}.md").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, autoescape=False)
    return environment.from_string(source).render(values).strip()
