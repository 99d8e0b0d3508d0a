"""Tools of an MCP server, as the agent's code calls them."""

import base64
import binascii
import itertools
import json
import keyword
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from errors import ToolError
from tools.base import HearthTool, Touch
from tools.mcp_client import McpConnection
from tools.text import one_line

DESCRIPTION_CHARS = 240
MAX_TOOLS = 100
MAX_FILE_BYTES = 20_000_000
_ARGUMENT_CHARS = 100
_SUFFIXES = {
    "image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp",
    "audio/wav": ".wav", "audio/mpeg": ".mp3", "application/pdf": ".pdf", "text/csv": ".csv",
}  # fmt: skip
_OURS = {"self", "sanitize_inputs_outputs"}
"""Arguments that smolagents' own call of a tool has."""
_TYPES = {"string", "boolean", "integer", "number", "array", "object", "null"}

Keep = Callable[[str, bytes], str]
"""(a name, bytes) → the name under which the session's folder has them now."""


class McpTool(HearthTool):
    """One tool of a server. Its result is text, or the data that the server gives with it.

    `keep` puts pictures and the like into the session's folder.
    """

    output_type = "any"
    outside = True
    most_chars = 100_000
    skip_forward_signature_validation = True  # its arguments are the server's
    name: str
    description: str
    inputs: ClassVar[dict[str, Any]]

    def __init__(self, connection: McpConnection, tool: Any, name: str, keep: Keep) -> None:
        self.name = name
        self._connection, self._tool, self._keep = connection, tool.name, keep
        self.group = connection.name  # type: ignore[misc]
        said = one_line(str(tool.description or ""), DESCRIPTION_CHARS) or "says nothing of itself."
        self.description = f"(server {connection.name}) {said}"
        self.inputs, self._own_names = _inputs(tool.inputSchema)  # type: ignore[misc]
        looks = getattr(tool.annotations, "readOnlyHint", None) is True
        touches: set[Touch] = {"network"} if looks else {"network", "changes"}
        self.touches = frozenset(touches)  # type: ignore[misc]
        # The connection's own limit comes first, and is said in other words.
        self.timeout_seconds = connection.server.timeout_seconds + 45.0  # type: ignore[misc]
        self._host = urlsplit(connection.server.url).hostname or ""
        super().__init__()

    def domain(self, arguments: Mapping[str, Any]) -> str:
        return self._host

    def forward(self, **arguments: Any) -> Any:
        given = {
            self._own_names.get(name, name): value
            for name, value in arguments.items()
            if value is not None
        }
        return self._value(self._connection.call(self._tool, given))

    def _value(self, result: Any) -> Any:
        parts = [self._part(content) for content in result.content or []]
        text = "\n".join(part for part in parts if part)
        if result.isError:
            raise ToolError(
                f"{self.name} failed: {one_line(text, 500) or 'it does not say why'}.",
                "Mend the arguments, or go on without it.",
                seen_as=RuntimeError,
            )
        data = result.structuredContent
        if data is not None:
            return data["result"] if list(data) == ["result"] else data
        return text or "(nothing)"

    def _part(self, content: Any) -> str:
        """One part of a result, as text; what is none is put into the session's folder."""
        if content.type == "text":
            return str(content.text)
        if content.type in ("image", "audio"):
            return self._file(content.data, content.mimeType)
        if content.type == "resource_link":
            return f"{one_line(content.name, 200)}: {one_line(str(content.uri), 2000)}"
        inside = content.resource
        text = getattr(inside, "text", None)
        return str(text) if text is not None else self._file(inside.blob, inside.mimeType)

    def _file(self, data: str, kind: str | None) -> str:
        kind = one_line(str(kind or ""), 60)
        if len(data) > MAX_FILE_BYTES * 4 // 3:
            return f"[{kind or 'a file'} of {len(data) * 3 // 4 / 1e6:.0f} MB: too large to keep]"
        try:
            raw = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            return f"[{kind or 'a file'}: damaged]"
        name = self._keep(f"{self.name}{_SUFFIXES.get(kind, '.bin')}", raw)
        return f"[saved as {name}: {kind or 'a file'}, {len(raw):,} bytes]"


def mcp_tools(
    connection: McpConnection, offered: Sequence[Any], keep: Keep, taken: Collection[str]
) -> list[McpTool]:
    """The tools that a server has `offered`, under names that are none of `taken`."""
    found: list[McpTool] = []
    names = set(taken)
    for tool in offered[:MAX_TOOLS]:
        name = free_name(connection.name, str(tool.name), names)
        names.add(name)
        found.append(McpTool(connection, tool, name, keep))
    return found


def free_name(server: str, tool: str, taken: Collection[str]) -> str:
    """A Python name for a server's tool: the server's name comes first, so that none of ours,
    and no other server's, can be passed off."""
    plain = re.sub(r"_+", "_", re.sub(r"\W", "_", tool, flags=re.ASCII)).strip("_").lower()[:50]
    name = plain if plain.startswith(f"{server}_") else f"{server}_{plain or 'tool'}"
    numbers = itertools.count(2)
    free = name
    while free in taken:
        free = f"{name}_{next(numbers)}"
    return free


def _inputs(schema: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The arguments of a JSON schema as smolagents has them, and the server's names of those
    that can't be names in Python. Whatever is odd about the schema, the tool can be called."""
    schema = schema if isinstance(schema, dict) else {}
    properties = schema.get("properties")
    required = schema.get("required")
    required = required if isinstance(required, list) else []
    inputs: dict[str, Any] = {}
    own: dict[str, str] = {}
    for key, about in properties.items() if isinstance(properties, dict) else ():
        name = re.sub(r"\W", "_", str(key), flags=re.ASCII) or "_"
        name = f"_{name}" if name[0].isdigit() else name
        while keyword.iskeyword(name) or name in inputs or name in _OURS:
            name += "_"
        about = about if isinstance(about, dict) else {}
        said = one_line(str(about.get("description") or ""), _ARGUMENT_CHARS)
        inputs[name] = {"type": _type(about, schema), "description": said or "see above"}
        if key not in required:
            inputs[name]["nullable"] = True
        if name != key:
            own[name] = key
    # What must be given comes first, as Python has it.
    order = sorted(inputs, key=lambda name: bool(inputs[name].get("nullable")))
    return {name: inputs[name] for name in order}, own


def _type(about: dict[str, Any], schema: dict[str, Any]) -> str:
    """The one plain type of an argument; `any` where it has several, or none that is known."""
    reference = about.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        defined = schema.get("$defs")
        inner = defined.get(reference[8:]) if isinstance(defined, dict) else None
        about = inner if isinstance(inner, dict) else {}
    either = about.get("anyOf")
    options = either if isinstance(either, list) else [about]
    kinds = {json.dumps(o.get("type")) for o in options if isinstance(o, dict)} - {'"null"'}
    kind = json.loads(kinds.pop()) if len(kinds) == 1 else None
    return kind if isinstance(kind, str) and kind in _TYPES - {"null"} else "any"
