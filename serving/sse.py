"""A stream of server-sent events, and what a chunk of a reply in it says. Pure.

Forgiving wherever that is safe: servers differ in line ends, leave out the blank line
between events, send comments, null where a list should be, or parts instead of text.
"""

import json
from dataclasses import dataclass
from typing import Any

_LINE_BYTES = 8 << 20  # no line of a stream is longer


class ServerSaid(Exception):
    """An error object in the place of a chunk; its text is the object as it came."""


@dataclass(frozen=True)
class Chunk:
    """What one event holds. `calls` are parts of tool calls: index, name, arguments."""

    reasoning: str = ""
    content: str = ""
    finish: str | None = None
    usage: tuple[int, int] | None = None
    calls: tuple[tuple[int, str, str], ...] = ()


class Events:
    """Cuts bytes, as they come, into the data of events.

    Lines are split as bytes: str.splitlines would also split at characters such as U+2028,
    which may stand unescaped in JSON.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._data: list[bytes] = []

    def feed(self, block: bytes) -> list[str]:
        """The events that `block` completes. Raises ValueError for a line without end."""
        text = self._pending + block
        half = b""
        if b"\r" in text:  # a line may end with it alone; the last one may be half of a line's end
            half = b"\r" if text.endswith(b"\r") else b""
            text = text.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = text.split(b"\n")
        self._pending = lines.pop() + half
        if len(self._pending) > _LINE_BYTES:
            raise ValueError("a line without end")
        found: list[str] = []
        for line in lines:
            found += self._line(line.removeprefix(b"\xef\xbb\xbf"))
        return found

    def end(self) -> list[str]:
        """The events that were left when the stream ended."""
        found = [*self._line(self._pending.rstrip(b"\r")), *self._line(b"")]
        self._pending = b""
        return found

    def _line(self, line: bytes) -> list[str]:
        if line.startswith(b"data:"):
            value = line[5:].strip()
            # All of one line: the usual case, for which no blank line need be waited for.
            if not self._data and (value == b"[DONE]" or (value[:1], value[-1:]) == (b"{", b"}")):
                return [value.decode("utf-8", "replace")]
            self._data.append(value)
        elif not line and self._data:
            data, self._data = b"\n".join(self._data), []
            return [data.decode("utf-8", "replace")]
        return []


def read_chunk(data: str) -> Chunk:
    """What the data of an event says, of a chat or a plain completion, streamed or whole.

    Raises ServerSaid for an error object and ValueError for what can't be read.
    """
    try:
        value = json.loads(data)
        if not isinstance(value, dict):
            raise TypeError("no object")
        if value.get("error"):
            raise ServerSaid(data)
        if value.get("object") == "error":  # older vLLM
            raise ServerSaid(data)
        return _chunk(value)
    except (TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(str(error)) from None
    except ValueError:
        # transformers serve writes its error message into the JSON without quoting it.
        if data.startswith('{"error"'):
            raise ServerSaid(data.removeprefix('{"error":').strip(' "}')) from None
        raise


def _chunk(value: dict[str, Any]) -> Chunk:
    usage = value.get("usage")
    counted = None
    if usage:
        counted = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    choices = value.get("choices") or []
    if not choices:
        return Chunk(usage=counted)
    choice = choices[0]
    delta = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
    reasoning = delta.get("reasoning") or delta.get("reasoning_content") or delta.get("thinking")
    calls = tuple(_call(number, call) for number, call in enumerate(delta.get("tool_calls") or ()))
    finish = choice.get("finish_reason")
    return Chunk(
        _text(reasoning),
        _text(delta.get("content")),
        str(finish) if finish else None,
        counted,
        calls,
    )


def _text(value: Any) -> str:
    """Text as it stands, or the text of its parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value)
    if value is None:
        return ""
    raise TypeError(f"no text: {type(value).__name__}")


def _call(number: int, call: dict[str, Any]) -> tuple[int, str, str]:
    function = call.get("function") or {}
    index = call.get("index")
    arguments = function.get("arguments") or ""
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments)
    return number if index is None else int(index), str(function.get("name") or ""), arguments
