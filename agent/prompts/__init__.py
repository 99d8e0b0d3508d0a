"""The prompts, as data: one file per layout in this folder, and what of it is shown how.

`<layout>.md` opens a conversation. `<layout>_file.md` and `<layout>_search.md` show a file and
what comes from the web; a layout without them has `outside.md` for both. R1's are the marks that
DeepSeek's README gives for it, which it was trained on.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smolagents import Tool

from agent.selection import choose

UNFRAMED = frozenset({"tiny"})  # its training knows no marks
_BRACKETS = re.compile(r"[\[\]\n]")
FOLDER = Path(__file__).resolve().parent
# Marks of the layouts, which a file or page could hold to pass for the end of itself.
_MARKS = re.compile(
    r"\[(file name|file content (?:begin|end)|webpage \d+ (?:begin|end)"
    r"|from [^\]\n]{1,120}: (?:begin|end))\]"
)


def instructions(layout: str, tools: Sequence[Tool], task: str = "") -> str:
    """The rendered prompt of a layout (`r1`, `instruct`, `tiny`); may be empty.

    Where the tools are too many, those are listed that `task` is about. The same tools in the same
    order, and the same task, give the same bytes, so that the engine's prefix cache keeps them.
    Raises FileNotFoundError for a layout without a file, and jinja2's UndefinedError for a name in
    it that isn't filled.
    """
    known = [tool for tool in tools if tool.name != "final_answer"]
    entries = [(t.name, f"{signature(t)}: {_one_line(t.description)}") for t in known]
    choice = choose(entries, task)
    return _rendered(layout, tools=choice.listed, others=choice.named, unnamed=choice.unnamed)


def framer(layout: str) -> Callable[[str, str], str] | None:
    """How a model of the layout is shown what others wrote; None for one that was trained without.

    It takes the source, `file NAME` or a tool's name, and the text.
    """
    return None if layout in UNFRAMED else partial(outside_text, layout)


def outside_text(layout: str, source: str, text: str) -> str:
    """A text that others wrote, between marks that it can't hold itself."""
    source = " ".join(_BRACKETS.sub(" ", source).split())[:100]
    kind, _, name = source.partition(" ")
    text = unmarked(text).strip("\n")
    own = f"{layout}_{'file' if kind == 'file' and name else 'search'}"
    template = own if (FOLDER / f"{own}.md").is_file() else "outside"
    return _rendered(template, source=source, name=name, text=text)


def unmarked(text: str) -> str:
    """The text without marks of ours, so that it can't pass for the end of another."""
    return _MARKS.sub(r"(\1)", text)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def signature(tool: Tool) -> str:
    """How the tool is called: `web_search(query, max_results=5)`."""
    defaults = inspect.signature(tool.forward).parameters
    parts = []
    for name, about in tool.inputs.items():
        unset = None if about.get("nullable") else inspect.Parameter.empty
        default = defaults[name].default if name in defaults else unset
        parts.append(name if default is inspect.Parameter.empty else f"{name}={default!r}")
    return f"{tool.name}({', '.join(parts)})"


def _rendered(template: str, /, **values: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    source = (FOLDER / f"{template}.md").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, autoescape=False)
    return environment.from_string(source).render(values).strip()
