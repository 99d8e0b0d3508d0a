"""The prompt that opens a conversation: one file per layout in this folder, as data."""

import inspect
from collections.abc import Sequence
from pathlib import Path

from smolagents import Tool

FOLDER = Path(__file__).resolve().parent


def instructions(layout: str, tools: Sequence[Tool]) -> str:
    """The rendered prompt of a layout (`r1`, `instruct`, `tiny`); may be empty.

    The same tools in the same order give the same bytes, so that the engine's prefix cache
    keeps them. Raises FileNotFoundError for a layout without a file, and jinja2's
    UndefinedError for a name in it that isn't filled.
    """
    from jinja2 import Environment, StrictUndefined

    source = (FOLDER / f"{layout}.md").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, autoescape=False)
    listed = [
        {"signature": signature(tool), "description": " ".join(tool.description.split())}
        for tool in tools
        if tool.name != "final_answer"
    ]
    return environment.from_string(source).render(tools=listed).strip()


def signature(tool: Tool) -> str:
    """How the tool is called: `web_search(query, max_results=5)`."""
    defaults = inspect.signature(tool.forward).parameters
    parts = []
    for name in tool.inputs:
        default = defaults[name].default if name in defaults else inspect.Parameter.empty
        parts.append(name if default is inspect.Parameter.empty else f"{name}={default!r}")
    return f"{tool.name}({', '.join(parts)})"
