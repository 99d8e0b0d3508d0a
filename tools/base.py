"""What every tool of Hearth declares beside smolagents' own: what it touches, its limits."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from smolagents import Tool

Touch = Literal["network", "files", "memory", "money", "changes"]
"""`changes`: something elsewhere, such as a mail that is sent or a page that is edited."""


class HearthTool(Tool):
    """A tool that says what it touches. Failures are errors.ToolError.

    `touches`: what a call reaches beyond the process; a session's policy goes by it.
    `outside`: whether what it returns was written by others than the user, such as a web page.
    `group`: where a tool comes from that is none of ours, such as the name of its MCP server.
    `timeout_seconds` and `most_chars` bound one call and what it returns.
    """

    output_type = "string"
    touches: ClassVar[frozenset[Touch]] = frozenset()
    outside: ClassVar[bool] = False
    group: ClassVar[str] = ""
    timeout_seconds: ClassVar[float] = 60.0
    most_chars: ClassVar[int] = 12_000

    def domain(self, arguments: Mapping[str, Any]) -> str:
        """The host that a call with these arguments reaches, where it goes by the arguments."""
        return ""
