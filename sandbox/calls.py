"""The app's side of tool calls: bind the arguments, run the tool in a thread, hand back data."""

import contextvars
import inspect
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from errors import Denied, ToolError
from sandbox import wire
from sandbox.channel import MIRRORED_ERRORS
from sandbox.redact import redact

MAX_CALLS = 200
MAX_PARALLEL = 16
PREVIEW_CHARS = 2_000
_MAX_RECORDED = 2 * MAX_CALLS  # an honest worker stops at MAX_CALLS by itself

_NO_DEFAULT = inspect.Parameter.empty
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "text"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "True or False"),
    "array": ((list, tuple, set, frozenset), "a list"),
    "object": ((dict,), "a dictionary"),
}


@dataclass(frozen=True)
class Parameter:
    """One argument of a tool. `types` are names of the schema; `default` may be `_NO_DEFAULT`."""

    name: str
    types: tuple[str, ...]
    nullable: bool
    default: Any

    @property
    def required(self) -> bool:
        return self.default is _NO_DEFAULT and not self.nullable

    def shown(self) -> str:
        if self.required:
            return self.name
        return f"{self.name}={None if self.default is _NO_DEFAULT else self.default!r}"


class BoundTool:
    """A tool with the signature that its `inputs` describe."""

    def __init__(self, name: str, tool: Any) -> None:
        self.name = name
        self._tool = tool
        self._setup = threading.Lock()
        inputs = getattr(tool, "inputs", None) or {}
        defaults = _defaults(tool)
        self.parameters = [
            _parameter(name, schema, defaults.get(name, _NO_DEFAULT))
            for name, schema in inputs.items()
        ]
        self.timeout_seconds: float | None = getattr(tool, "timeout_seconds", None)
        self.signature = f"{name}({', '.join(p.shown() for p in self.parameters)})"
        description = getattr(tool, "description", "") or ""
        self.doc = f"{self.signature}\n\n{description}".strip()

    def bind(self, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name. Raises TypeError with the signature if they don't fit."""
        by_name = {p.name: p for p in self.parameters}
        if len(args) > len(by_name):
            raise self._misfit(f"takes {len(by_name)} arguments, {len(args)} given")
        given = dict(zip(by_name, args, strict=False))
        for name, value in kwargs.items():
            if name not in by_name:
                raise self._misfit(f"unknown argument {name!r}")
            if name in given:
                raise self._misfit(f"argument {name!r} given twice")
            given[name] = value
        for parameter in self.parameters:
            if parameter.required and parameter.name not in given:
                raise self._misfit(f"missing argument {parameter.name!r}")
        bound = {name: self._fit(by_name[name], value) for name, value in given.items()}
        return {name: value for name, value in bound.items() if value is not _NO_DEFAULT}

    def _fit(self, parameter: Parameter, value: Any) -> Any:
        """The value in the type that the schema asks for; `_NO_DEFAULT` leaves it out."""
        if value is None:
            # smolagents calls everything that has a default nullable: None means the default.
            if parameter.default not in (_NO_DEFAULT, None):
                return _NO_DEFAULT
            if parameter.nullable or "null" in parameter.types:
                return None
        known = [_TYPES[name] for name in parameter.types if name in _TYPES]
        if len(known) < len(parameter.types):  # any, image, …: nothing to check
            return value
        for types, _ in known:
            if isinstance(value, types) and (type(value) is not bool or bool in types):
                return value
        if "integer" in parameter.types and type(value) is float and value.is_integer():
            return int(value)
        wanted = " or ".join(words for _, words in known)
        raise self._misfit(f"{parameter.name!r} must be {wanted}, not {type(value).__name__}")

    def _misfit(self, text: str) -> TypeError:
        return TypeError(f"{self.signature}: {text}")

    def admit(self, arguments: dict[str, Any]) -> None:
        """Wait until the call may be made, for as long as a user may think about it.

        Whatever it raises is what comes of the call.
        """
        admit = getattr(self._tool, "admit", None)
        if admit is not None:
            admit(arguments)

    def __call__(self, arguments: dict[str, Any]) -> Any:
        """Run the tool in this thread."""
        with self._setup:  # two threads of the code may make the first call together
            if getattr(self._tool, "is_initialized", True) is False:
                self._tool.setup()
        return self._tool(**arguments)


def _parameter(name: str, schema: dict[str, Any], default: Any) -> Parameter:
    types = schema.get("type", "any")
    names = (types,) if isinstance(types, str) else tuple(types)
    nullable = bool(schema.get("nullable")) or default is None
    return Parameter(name, names, nullable, default)


def _defaults(tool: Any) -> dict[str, Any]:
    forward = getattr(tool, "forward", None)
    if forward is None:
        return {}
    try:
        parameters = inspect.signature(forward).parameters
    except (TypeError, ValueError):
        return {}
    return {name: p.default for name, p in parameters.items()}


@dataclass
class _Call:
    number: int
    tool: str
    arguments: dict[str, Any]
    began: float
    context: contextvars.Context
    bound: BoundTool | None = None
    limit: float = math.inf  # seconds
    over: bool = False  # its step has ended

    @property
    def deadline(self) -> float:
        """When (time.monotonic) it is out of time: never, while the user is asked."""
        return self.began + self.limit


Record = dict[str, Any]
Reply = tuple[int, bool, bytes]  # number, ok, packed value


class StepCalls:
    """The calls of one step. Everything but `_run` happens in the thread that runs the step.

    `wake` is called from a tool's thread when its result is there.
    """

    def __init__(
        self,
        tools: dict[str, BoundTool],
        wake: Callable[[], None],
        report: Callable[[Record], None] | None,
        *,
        timeout_seconds: float,
    ) -> None:
        self._tools = tools
        self._wake = wake
        self._timeout = timeout_seconds
        self._report = report or (lambda record: None)
        self._running: dict[int, _Call] = {}
        self._waiting: deque[_Call] = deque()
        self._results: queue.SimpleQueue[tuple[int, bool, Any]] = queue.SimpleQueue()
        self._made = 0
        self._numbers: set[int] = set()

    @property
    def in_flight(self) -> bool:
        return bool(self._running or self._waiting)

    def begin(self, number: int, name: str, body: bytes) -> Reply | None:
        """Start a call, or give the reply that refuses it. Raises WireError if it is no call."""
        arguments = wire.unpack(body)
        if type(arguments) is not list or [type(part) for part in arguments] != [list, dict]:
            raise wire.WireError("arguments that are not a list and a dictionary")
        args, kwargs = arguments
        if any(type(key) is not str for key in kwargs):
            raise wire.WireError("an argument whose name is no text")
        self._made += 1
        if number in self._numbers or self._made > _MAX_RECORDED:
            # Or a result could pass for that of another call, and refusals fill the record.
            refused = ["RuntimeError", "a call with the number of another, or one too many"]
            return number, False, wire.pack(refused)
        self._numbers.add(number)
        call = _Call(number, name[:100], {}, time.monotonic(), contextvars.copy_context())
        call.bound = self._tools.get(name)
        try:
            if call.bound is None:
                raise RuntimeError(f"there is no tool {name[:100]!r}")
            if self._made > MAX_CALLS:
                raise RuntimeError(f"{name}: at most {MAX_CALLS} tool calls in one step")
            call.arguments = call.bound.bind(args, kwargs)
        except (RuntimeError, TypeError) as error:
            call.arguments = {**{str(i): v for i, v in enumerate(args, 1)}, **kwargs}
            self._start_record(call)
            return self._end(call, False, error)
        self._start_record(call)
        self._waiting.append(call)
        self._start_waiting()
        return None

    def finished(self) -> list[Reply]:
        """The replies of the calls that have come back or run out of time."""
        replies = []
        while not self._results.empty():
            number, ok, value = self._results.get()
            call = self._running.pop(number, None)
            if call is not None:
                replies.append(self._end(call, ok, value))
        now = time.monotonic()
        for call in [c for c in self._running.values() if now >= c.deadline]:
            del self._running[call.number]  # its thread is abandoned
            late = TimeoutError(
                f"{call.tool} took longer than {call.limit:g} s. Ask for less, or go on without it."
            )
            replies.append(self._end(call, False, late, "timeout"))
        self._start_waiting()
        return replies

    def next_deadline(self) -> float | None:
        """When (time.monotonic) the first running call is out of time."""
        return min((call.deadline for call in self._running.values()), default=None)

    def abandon(self) -> None:
        """The step is over: nobody waits for these calls any more."""
        ended = RuntimeError("the step ended before the tool answered")
        for call in [*self._running.values(), *self._waiting]:
            call.over = True
            self._end(call, False, ended, "cut off")
        self._running.clear()
        self._waiting.clear()

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < MAX_PARALLEL:
            call = self._waiting.popleft()
            call.began = math.inf
            self._running[call.number] = call
            name = f"tool-{call.tool}"
            threading.Thread(target=self._run, args=(call,), name=name, daemon=True).start()

    def _run(self, call: _Call) -> None:
        bound = call.bound
        assert bound is not None
        try:
            call.context.run(bound.admit, call.arguments)
            if call.over:  # a yes that comes too late must not do what nobody hears of
                return
            call.limit = bound.timeout_seconds or self._timeout
            call.began = time.monotonic()
            self._wake()  # from here on it has a deadline
            result = (call.number, True, call.context.run(bound, call.arguments))
        except BaseException as error:  # noqa: BLE001 - a tool's fault is an exception in the agent's code
            result = (call.number, False, error)
        self._results.put(result)
        self._wake()

    def _start_record(self, call: _Call) -> None:
        self._report(
            {
                "phase": "start",
                "call": call.number,
                "tool": call.tool,
                "arguments": _json_able(call.arguments),
            }
        )

    def _end(self, call: _Call, ok: bool, value: Any, outcome: str = "error") -> Reply:
        body, shown = b"", ""
        outcome = "ok" if ok else "denied" if isinstance(value, Denied) else outcome
        if ok:
            try:
                body, shown = _result(value)
            except Exception as error:  # noqa: BLE001 - the result's own methods may fail
                ok, outcome = False, "error"
                value = RuntimeError(f"{call.tool} failed: its result can't be used: {error}")
        if not ok:
            kind, shown = _as_error(call.tool, value)
            body = wire.pack([kind, shown])
        self._report(
            {
                "phase": "end",
                "call": call.number,
                "tool": call.tool,
                "ok": ok,
                "result": wire.clean_text(shown[:PREVIEW_CHARS]),
                "seconds": max(0.0, time.monotonic() - call.began),
                "size": len(shown),
                "outcome": outcome,
            }
        )
        return call.number, ok, body


def _result(value: Any) -> tuple[bytes, str]:
    """A tool's result for the wire and for the record; its text, where it isn't plain data."""
    try:
        body = wire.pack(value)
    except wire.TooLarge:
        raise
    except wire.WireError:
        value = str(value)
        body = wire.pack(value)
    return body, _shown(value)


def _shown(value: Any) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python will print
        return f"<{type(value).__name__}>"


def _as_error(tool: str, error: BaseException) -> tuple[str, str]:
    """Type and text of the exception that the agent's code gets."""
    kind = type(error).__name__
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = redact(text[: 2 * PREVIEW_CHARS])[:PREVIEW_CHARS]
    if isinstance(error, ToolError):
        return error.seen_as.__name__, text or f"{tool} failed"
    own = type(error).__module__ == "builtins" and kind in MIRRORED_ERRORS
    if own and kind != "RuntimeError":
        return kind, text or f"{tool} failed"
    if own and text.startswith(tool):
        return kind, text
    return "RuntimeError", f"{tool} failed: {text or kind}"


def _json_able(value: Any) -> Any:
    """A bounded copy for the record of events."""
    if isinstance(value, str):
        return wire.clean_text(value[:PREVIEW_CHARS])
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, dict):
        return {_shown(k)[:200]: _json_able(v) for k, v in list(value.items())[:100]}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json_able(item) for item in list(value)[:100]]
    return _shown(value)[:PREVIEW_CHARS]
