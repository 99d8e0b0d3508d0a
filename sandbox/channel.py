"""The worker's side of the wire: what it sends, how printed text leaves, who waits for a tool.

An interrupt (SIGINT) must not fall between the bytes of a frame, so everything that sends
runs under `Guard`, where the interrupt waits until the frame is out.
"""

import io
import itertools
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from sandbox import wire
from sandbox.output import HeadTail

_LINE_CHARS = 4096
_get_ident = threading.get_ident  # the code may replace what the modules hold


class Guard:
    """A lock under which an interrupt of the main thread is put off."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._main = _get_ident()
        self._depth = 0
        self._put_off = False

    def __enter__(self) -> None:
        if _get_ident() == self._main:
            self._depth += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if _get_ident() == self._main:
            self._depth -= 1
            if self._put_off and not self._depth:
                self._put_off = False
                raise KeyboardInterrupt

    def interrupt(self) -> None:
        """Called by the signal handler: raise now, or when the guard is left."""
        if self._depth:
            self._put_off = True
        else:
            raise KeyboardInterrupt

    def forget(self) -> None:
        """Drop an interrupt that came too late."""
        self._put_off = False


class Channel:
    """Frames to the app, in order, from any thread."""

    def __init__(self, descriptor: int, output_chars: int) -> None:
        self.guard = Guard()
        self.nonce = ""
        self.forked = False
        self._descriptor = descriptor
        self._outbox: deque[bytes] = deque()
        self._sending = False
        self._output_chars = output_chars
        self._printed = HeadTail(output_chars)
        self._line: list[str] = []
        self._line_chars = 0
        self._write = os.write

    def send(self, *fields: wire.Field) -> None:
        """Send one message; when this returns it is in the pipe."""
        data = wire.frame(*fields)
        with self.guard:
            self._outbox.append(data)
            if self._sending:  # called from a __del__ in the midst of a send: goes out after it
                return
            self._sending = True
            try:
                while self._outbox:
                    self._write_all(memoryview(self._outbox.popleft()))
            finally:
                self._sending = False

    def _write_all(self, data: memoryview) -> None:
        try:
            while data:
                data = data[self._write(self._descriptor, data) :]
        except OSError:  # the app has gone, or the code closed the descriptor
            os._exit(74)

    def open_step(self, nonce: str) -> None:
        """From now on printed text and calls belong to this step."""
        with self.guard:
            self._printed = HeadTail(self._output_chars)
            self._line, self._line_chars = [], 0
            self.nonce = nonce

    def close_step(self, *fields: wire.Field) -> None:
        """Send what is left of the printed text and the last message of the step."""
        with self.guard:
            self.flush()
            left_out, tail = self._printed.finish()
            nonce, self.nonce = self.nonce, ""
            if tail or left_out:
                self.send("tail", nonce, left_out, tail)
            self.send("done", nonce, *fields)

    def print(self, text: str) -> None:
        """Take printed text; lines go out whole, and nothing after the end of a step."""
        if self.forked:
            os.write(1, text.encode("utf-8", "replace"))
            return
        with self.guard:
            if not self.nonce:
                return
            self._line.append(text)
            self._line_chars += len(text)
            if "\n" in text or self._line_chars > _LINE_CHARS:
                self.flush()

    def flush(self) -> None:
        """Send the text that waits for the end of its line."""
        with self.guard:
            if not self._line or not self.nonce or self.forked:
                return
            text = wire.clean_text("".join(self._line))
            self._line, self._line_chars = [], 0
            head = self._printed.feed(text)
            if head:
                self.send("out", self.nonce, head)

    def after_fork(self) -> None:
        """In a child of the worker: it has no place on the wire."""
        self.forked = True
        self.guard = Guard()


class Printed(io.TextIOBase):
    """sys.stdout and sys.stderr: one object for the life of the worker.

    Swapping the object while a thread prints to it crashed the interpreter; and both sharing
    one channel keeps their order.
    """

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, channel: Channel, descriptor: int) -> None:
        self._channel = channel
        self._descriptor = descriptor
        self.buffer = _PrintedBytes(self)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._channel.print(str.__str__(text))
        return len(text)

    def flush(self) -> None:
        self._channel.flush()

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_: Any) -> None:
        """Nothing: it is UTF-8, by lines."""

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        """Nothing: the code can't close what the next step prints to."""


class _PrintedBytes(io.RawIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, text: Printed) -> None:
        self._text = text

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "replace"))
        return len(raw)

    def flush(self) -> None:
        self._text.flush()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing, as above."""


_BUILTIN_ERRORS = {
    error.__name__: error
    for error in (
        ArithmeticError, AttributeError, ConnectionError, FileExistsError, FileNotFoundError,
        IndexError, IsADirectoryError, KeyError, LookupError, NotADirectoryError,
        NotImplementedError, OSError, OverflowError, PermissionError, RuntimeError,
        TimeoutError, TypeError, UnicodeError, ValueError, ZeroDivisionError,
    )
}  # fmt: skip
MIRRORED_ERRORS = frozenset(_BUILTIN_ERRORS)


class Calls:
    """The calls of tools that wait for their results, by number."""

    def __init__(self, channel: Channel, max_calls: int) -> None:
        self._channel = channel
        self._max_calls = max_calls
        self._waiting: dict[int, queue.SimpleQueue[tuple[bool, Any]]] = {}
        self._numbers = itertools.count(1)
        self._made = 0
        self.accepting = False

    def begin_step(self) -> None:
        """Accept calls, from none made."""
        self._made = 0
        self.accepting = True

    def end_step(self) -> None:
        """Refuse calls; threads that still wait for one get an error."""
        self.accepting = False
        ended = (False, ["RuntimeError", "the step ended before the tool answered"])
        for slot in list(self._waiting.values()):
            slot.put(ended)

    def result(self, number: int, ok: bool, value: Any) -> None:
        """Hand a result to whoever waits for it; nobody may wait any more."""
        slot = self._waiting.get(number)
        if slot is not None:
            slot.put((ok, value))

    def call(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], plain: Callable
    ) -> Any:
        """Call a tool of the app and wait for its result, which may be an exception."""
        if self._channel.forked:
            raise RuntimeError(f"{name} can't be called from another process; use threads")
        if not self.accepting:
            raise RuntimeError(f"{name} was called after its step had ended")
        if self._made >= self._max_calls:
            raise RuntimeError(f"{name}: at most {self._max_calls} tool calls in one step")
        self._made += 1
        body = _arguments(name, args, kwargs, plain)
        number = next(self._numbers)
        slot: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
        self._waiting[number] = slot
        try:
            self._channel.flush()
            self._channel.send("call", self._channel.nonce, number, name, body)
            ok, value = slot.get()
        finally:
            self._waiting.pop(number, None)
        if ok:
            return value
        kind, text = value
        raise _BUILTIN_ERRORS.get(kind, RuntimeError)(text)


def _arguments(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], plain: Callable) -> bytes:
    try:
        return wire.pack([plain(list(args)), plain(dict(kwargs))])
    except wire.TooLarge as error:
        raise ValueError(f"{name}: the arguments are too large: {error}") from None
    except (wire.WireError, TypeError) as error:
        raise TypeError(f"{name}: {error}; pass text, numbers, lists or dictionaries") from None
