"""The tools as the sandbox gets them: each call is recorded, and can be answered from a record."""

import builtins
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from errors import ToolError

MAX_KEPT_CHARS = 256_000
"""Most characters of JSON that the calls of one step may have to be kept whole."""

Call = dict[str, Any]


class Recorder:
    """Stands between the sandbox and the tools.

    `begin` opens a step; its calls then collect in `calls`. With recorded calls handed to
    `begin`, no tool is called: each call takes the next record of the same tool and arguments,
    and `missed` says that there was none.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.missed = False
        self._records: list[Call] | None = None

    def begin(self, records: Sequence[Call] | None = None) -> None:
        """Open a step, with the recorded calls to answer from, if it is a repetition."""
        self.calls, self.missed = [], False
        self._records = None if records is None else list(records)

    def wrap(self, tools: Mapping[str, Any]) -> dict[str, Any]:
        """The same tools, recorded."""
        return {name: _Recorded(name, tool, self) for name, tool in tools.items()}

    def whole(self) -> tuple[list[Call], str]:
        """The step's calls, to be kept; or none, and why they can't be."""
        for call in self.calls:
            if "error" not in call and "value" not in call:
                return [], f"a call of {call['tool']} did not come back, or not with plain data"
        if sum(len(json.dumps(call)) for call in self.calls) > MAX_KEPT_CHARS:
            return [], "what its tools returned is too large to be kept"
        return list(self.calls), ""

    def admit(self, name: str, admit: Callable[[Any], None], arguments: dict[str, Any]) -> None:
        """Ask whether a call may be made; a no is what came of it. A repetition asks nobody."""
        if self._records is not None:
            return
        calls = self.calls  # those of its own step, also if that ends meanwhile
        try:
            admit(arguments)
        except Exception as error:
            calls.append({"tool": name, "arguments": _shown(arguments), "error": _as_seen(error)})
            raise

    def call(self, name: str, call: Callable[[], Any], arguments: dict[str, Any]) -> Any:
        """Make a call, or answer it from the record."""
        made: Call = {"tool": name, "arguments": _shown(arguments)}
        if self._records is not None:
            return self._answer(made)
        self.calls.append(made)
        try:
            value = call()
        except Exception as error:
            made["error"] = _as_seen(error)
            raise
        if _is_plain(value):
            made["value"] = value
        return value

    def _answer(self, made: Call) -> Any:
        assert self._records is not None
        for number, record in enumerate(self._records):
            if record["tool"] == made["tool"] and record["arguments"] == made["arguments"]:
                del self._records[number]
                if "error" not in record:
                    return record["value"]
                kind, text = record["error"]
                raise getattr(builtins, kind, RuntimeError)(text)
        self.missed = True
        raise RuntimeError(f"{made['tool']} was not called so before")


class _Recorded:
    """One tool; everything but the call is the tool's own."""

    def __init__(self, name: str, tool: Any, recorder: Recorder) -> None:
        self._name, self._tool, self._recorder = name, tool, recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tool, name)

    def admit(self, arguments: dict[str, Any]) -> None:
        admit = getattr(self._tool, "admit", None)
        if admit is not None:
            self._recorder.admit(self._name, admit, arguments)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = {**{str(number): value for number, value in enumerate(args)}, **kwargs}
        return self._recorder.call(self._name, lambda: self._tool(*args, **kwargs), given)


def _as_seen(error: Exception) -> list[str]:
    """Type and text of the exception that the code sees."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    kind = error.seen_as if isinstance(error, ToolError) else type(error)
    own = kind.__name__ if kind.__module__ == "builtins" else ""
    return [own, str(text) or kind.__name__]


def _shown(arguments: dict[str, Any]) -> Any:
    return arguments if _is_plain(arguments) else repr(arguments)


def _is_plain(value: Any) -> bool:
    """Whether JSON gives the value back as it is."""
    try:
        return _same(json.loads(json.dumps(value, allow_nan=False)), value)
    except (TypeError, ValueError, RecursionError):
        return False


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: to JSON a tuple is a list, and True is 1 to Python."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
