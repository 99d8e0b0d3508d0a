"""One session of Monty, the restricted interpreter, in a process of its own (pydantic-monty).

The interpreter runs in a child process: a crash of it ends that child and nothing else. What
its code asks of the outside suspends it; the host answers. After every step its state is kept
as bytes, which only such a child ever reads again: where a step had to be killed, the next one
finds the variables as they were before it.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Protocol

import pydantic_monty as monty

MAX_HEAP_BYTES = 512 * 1024 * 1024
_SLOW_SECONDS = 0.3
_NEVER = 10**9

# Exceptions that its code can know; another arrives as the nearest of its bases.
_KNOWN_ERRORS = (
    BaseException, Exception, SystemExit, KeyboardInterrupt, ArithmeticError, OverflowError,
    ZeroDivisionError, LookupError, IndexError, KeyError, RuntimeError, NotImplementedError,
    RecursionError, AttributeError, NameError, ValueError, ImportError, ModuleNotFoundError,
    OSError, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError,
    PermissionError, AssertionError, MemoryError, StopIteration, TimeoutError, TypeError,
)  # fmt: skip


class Host(Protocol):
    """What the code can reach outside of its interpreter."""

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function `name` that the code lacks itself; may raise anything."""

    def look_up(self, name: str) -> Callable[..., Any] | None:
        """The function of that name, to be passed around; None if there is none."""

    def ask(self, name: str, args: tuple[Any, ...]) -> Any:
        """A call to the operating system, such as `open`, `import` or `system.sleep`."""

    def printed(self, text: str) -> None:
        """Take printed text."""


class Failed(Exception):
    """The code failed: `error` is what it raised, `frames` its own lines, outermost first.

    `lost`: the variables are as they were before the step.
    """

    def __init__(self, error: BaseException, frames: list[monty.Frame], *, lost: bool) -> None:
        super().__init__(str(error))
        self.error, self.frames, self.lost = error, frames, lost


class Crashed(Exception):
    """The child has ended, killed or not; `Engine.restore` starts another."""


class Engine:
    """Runs code, keeping its variables. `kill` may be called from any thread."""

    def __init__(self, *, memory_bytes: int, seconds: float) -> None:
        """`seconds` bounds a step for when nobody watches the clock any more."""
        self._limits = monty.ResourceLimits(
            max_memory=min(memory_bytes // 2, MAX_HEAP_BYTES),
            max_feed_duration_secs=seconds,
            max_suspensions=_NEVER,  # the app counts calls
            max_total_sleep_secs=None,
        )
        self._stack = contextlib.ExitStack()
        self._kept: bytes | None = None
        self._keeps = True
        self._child = 0
        self._open()

    def _open(self) -> None:
        # The child ignores interrupts of the process group: they mean the host, which kills it.
        usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            pool = monty.Monty(min_processes=1, max_processes=1)
            self._stack.enter_context(pool)
            session = pool.checkout(limits=self._limits)
            self._session = self._stack.enter_context(session)
        finally:
            signal.signal(signal.SIGINT, usual)
        self._child = self._session.worker_pid or 0

    def run(self, code: str, values: dict[str, Any], host: Host) -> Any:
        """The value of the last expression, the variables in `values` set beforehand.

        Raises Failed and Crashed.
        """
        try:
            snapshot: Any = self._session.feed_start(
                code, inputs=values, print_callback=lambda _, text: host.printed(text)
            )
            while not isinstance(snapshot, monty.MontyComplete):
                snapshot = self._answer(snapshot, host)
            return snapshot.output
        except monty.MontyCrashedError:
            self._child = 0
            raise Crashed from None
        except monty.MontyError as error:
            raise self._failed(error) from None

    def _answer(self, snapshot: Any, host: Host) -> Any:
        """Answer what the code asked; the next snapshot."""
        if isinstance(snapshot, monty.NameLookupSnapshot):
            function = host.look_up(snapshot.variable_name)
            return snapshot.resume() if function is None else snapshot.resume(value=function)
        if isinstance(snapshot, monty.FutureSnapshot):
            stuck = RuntimeError("it waits for what nobody will do")
            return snapshot.resume(
                {each: {"exception": stuck} for each in snapshot.pending_call_ids}
            )
        try:
            if snapshot.is_os_function:
                value = host.ask(snapshot.function_name, snapshot.args)
            else:
                value = host.call(snapshot.function_name, snapshot.args, snapshot.kwargs)
        except BaseException as error:  # noqa: BLE001 - whatever the host raises is the code's
            return snapshot.resume({"exception": _known(error)})
        try:
            return snapshot.resume({"return_value": value})
        except monty.MontyConversionError as error:
            return snapshot.resume({"exception": TypeError(str(error))})

    def _failed(self, error: monty.MontyError) -> Failed:
        raised = error.exception()
        frames = error.traceback() if hasattr(error, "traceback") else []
        # Both limits stop the interpreter in the midst of things.
        lost = isinstance(raised, MemoryError) or "time limit exceeded" in str(raised)
        return Failed(raised, frames, lost=lost)

    def keep(self) -> None:
        """Keep the variables as they are now, to `restore` them. Raises Crashed.

        Where that takes long (very many variables) it is given up, and a killed step is the end
        of them.
        """
        if not self._keeps:
            return
        began = time.monotonic()
        try:
            self._kept = self._session.dump()
        except monty.MontyError:
            raise Crashed from None
        if time.monotonic() - began > _SLOW_SECONDS:
            self._keeps, self._kept = False, None

    def restore(self) -> bool:
        """Start again with the variables as last kept; False if they could not be kept."""
        self.close()
        self._open()
        if self._kept is not None:
            self._session.load_session(self._kept)
        return self._keeps

    def kill(self) -> None:
        """End the child; what runs raises Crashed."""
        child = self._child
        if child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def close(self) -> None:
        """End the child and the pool that it came from."""
        self.kill()
        self._child = 0
        with contextlib.suppress(monty.MontyError):
            self._stack.close()


def _known(error: BaseException) -> BaseException:
    """The exception as one that the interpreter knows."""
    kind = next(kind for kind in type(error).__mro__ if kind in _KNOWN_ERRORS)
    text = str(error.args[0]) if error.args and kind is KeyError else str(error)
    return error if kind is type(error) else kind(text)


def plain(value: Any) -> Any:
    """A value of the code, with instances of its own classes as their attributes' dictionary."""
    if isinstance(value, monty.MontyClassProxy):
        return {key: plain(item) for key, item in value.attributes.items()}
    if isinstance(value, (monty.MontyStdTypeProxy, monty.MontyClassTypeProxy)):
        return f"<{getattr(value, 'kind', 'class')} {value.name}>"
    if isinstance(value, PurePath):
        return str(value)
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        items = [plain(item) for item in value]
        try:
            return kind(items)
        except TypeError:  # an instance in a set
            return items
    if kind is dict:
        return {key if _is_key(key) else str(key): plain(item) for key, item in value.items()}
    return value


def _is_key(key: Any) -> bool:
    return not isinstance(key, monty.MontyClassProxy)
