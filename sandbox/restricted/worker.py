"""The worker of the restricted tier: runs steps in Monty and speaks with the app.

Started as `sandbox.worker` is, with the same configuration and messages. The main thread runs
the steps; one thread reads the wire, one waits for signals: an interrupt kills the interpreter,
the end of the app everything.
"""

import ast
import contextlib
import functools
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from sandbox import report, values, wire
from sandbox.channel import Calls, Channel
from sandbox.restricted import observations
from sandbox.restricted.engine import Crashed, Engine, Failed, plain

_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_MAX_VALUE = 64 * 1024
_ORPHAN_SECONDS = 30  # beyond the limit of a step, for when the app has gone
_MAX_DIGITS = 200_000  # printing more takes seconds
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STATE_LOST = 75  # exit status: the app says that the variables are gone


class RestrictedWorker:
    """Runs steps, one after the other; the `Host` of its engine."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._channel = Channel(config["writer"], config["output_chars"])
        self._calls = Calls(self._channel, config["max_calls"])
        self._inbox: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._engine: Engine | None = None
        self._tools: dict[str, Callable[..., Any]] = {}
        self._variables: dict[str, Any] = {}
        self._known: set[str] = set()
        self._steps: dict[str, int] = {}
        self._answered = False
        self._lock = threading.Lock()
        self._running = False
        self._interrupted = threading.Event()

    def serve(self, when_ready: Callable[[], None]) -> NoReturn:
        """Read and run until the app closes the wire."""
        sys.set_int_max_str_digits(_MAX_DIGITS)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # for the thread that waits for them
        _say_when_the_app_ends()
        for work in (self._listen, self._wait_for_signals):
            threading.Thread(target=work, daemon=True).start()
        self._channel.send("ready", os.getpid())
        when_ready()
        while True:
            kind, *fields = self._inbox.get()
            if kind == "step":
                self._run_step(*fields)
            elif kind == "tools":
                self._take_tools(wire.unpack(fields[0]))
            elif kind == "variables":
                self._variables.update(wire.unpack(fields[0]))

    def _listen(self) -> None:
        frames = wire.Frames()
        try:
            while data := os.read(self._config["reader"], 1 << 18):
                for message in frames.feed(data):
                    if message[0] != "result":
                        self._inbox.put(message)
                    elif message[1] == self._channel.nonce:
                        self._calls.result(message[2], message[3], wire.unpack(message[4]))
        finally:
            _end_all()

    def _wait_for_signals(self) -> None:
        while signal.sigwait(_SIGNALS) == signal.SIGINT:
            with self._lock:  # never between two steps
                if self._running:
                    self._interrupted.set()
                    self._calls.end_step()
                    if self._engine is not None:
                        self._engine.kill()
        _end_all()

    def _take_tools(self, described: list[list[str]]) -> None:
        self._tools = {name: self._stub(name) for name, _ in described}
        self._tools["final_answer"] = self._stub("final_answer")

    @staticmethod
    def _stub(name: str) -> Callable[..., Any]:
        """What stands for a tool in the interpreter, which reads its name only."""

        def tool(*_: Any, **__: Any) -> None: ...

        tool.__name__ = tool.__qualname__ = name
        return tool

    def _run_step(self, nonce: str, step: int, seconds: float, code: str) -> None:
        self._answered = False
        status, text, body = "ok", "", None
        self._channel.open_step(nonce)
        self._calls.begin_step()
        try:
            body = self._evaluate(code, step, seconds)
        except (SyntaxError, ValueError) as error:  # ValueError: a null byte, before Python 3.12
            status, text = "error", report.describe(error, step)
        except Failed as failed:
            status, text = "error", self._describe(failed, step)
            if failed.lost:
                self._restore()
        except (Crashed, RecursionError, MemoryError) as error:
            status, text = "error", self._describe_crash(error)
            self._restore()
        with self._lock:
            self._running = False
        self._calls.end_step()
        if self._answered:
            status, text = "ok", ""
        self._channel.close_step(status, wire.clean_text(text), self._interrupted.is_set(), body)

    def _evaluate(self, code: str, step: int, seconds: float) -> bytes:
        report.keep_source(step, code)
        name = report.step_file(step)
        compile(code, name, "exec", _FLAGS, dont_inherit=True)  # Python says best what is none
        tree = compile(code, name, "exec", _FLAGS | ast.PyCF_ONLY_AST, dont_inherit=True)
        self._known |= observations.assigned(tree)
        if self._engine is None:
            self._engine = Engine(
                memory_bytes=self._config["confinement"]["memory_bytes"],
                seconds=seconds + _ORPHAN_SECONDS,
            )
            self._engine.keep()
        given = {**self._variables, **self._tools}
        with self._lock:
            self._interrupted.clear()
            self._running = True
        try:
            value = self._engine.run(code, given, self)
        except Failed as failed:
            if failed.frames:
                self._steps.setdefault(failed.frames[0].filename, step)
            if not failed.lost:
                self._keep()
            raise
        self._keep()
        return _packed(value)

    def _describe(self, failed: Failed, step: int) -> str:
        if isinstance(failed.error, SystemExit) and not self._answered:
            return "SystemExit: the code called exit(); nothing after it ran, variables were kept"
        known = [*self._known, *self._tools]
        return observations.describe(failed, step, self._steps, known)

    def _describe_crash(self, error: BaseException) -> str:
        if self._interrupted.is_set():
            return ""
        if isinstance(error, Crashed):
            return f"RuntimeError: the interpreter crashed. {observations.BEFORE}"
        return f"{type(error).__name__}: the code is too deep or too large"

    def _keep(self) -> None:
        assert self._engine is not None
        self._engine.keep()
        self._variables = {}  # they are the code's own now

    def _restore(self) -> None:
        assert self._engine is not None
        if not self._engine.restore():
            self._channel.flush()
            os._exit(_STATE_LOST)

    # What the code can reach

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "final_answer":
            self._answer(args, kwargs)
        if name in self._tools:
            args, kwargs = plain(args), plain(kwargs)
            strictly = functools.partial(values.plain, as_text=False)
            return self._calls.call(name, args, kwargs, strictly)
        if name == "input":
            raise RuntimeError(
                "input() can't be used: nobody can type here; take the values from the task"
            )
        if name in ("exit", "quit"):
            raise SystemExit
        raise NameError(f"name '{name}' is not defined")

    def _answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NoReturn:
        given = [*args, *kwargs.values()]
        if len(given) != 1 or set(kwargs) - {"answer"}:
            raise TypeError(f"final_answer(answer): takes one answer, {len(given)} given")
        if not self._answered:  # the first counts: a bare except may lead to another
            try:
                body = wire.pack(_shown(given[0]))
            except wire.TooLarge as error:
                raise ValueError(f"final_answer: {error}; answer with less") from None
            self._channel.flush()
            self._channel.send("final", self._channel.nonce, body)
            self._answered = True
        raise SystemExit

    def look_up(self, name: str) -> Callable[..., Any] | None:
        return self._tools.get(name)

    def ask(self, name: str, args: tuple[Any, ...]) -> Any:
        if name == "import":
            raise ModuleNotFoundError(observations.no_module(str(args[0]), self._tools))
        if name.endswith("sleep"):
            self._interrupted.wait(max(0.0, float(args[0])))
            return None
        if name in ("os.environ", "os.getenv"):
            return {} if name == "os.environ" else args[1]
        raise PermissionError(observations.NO_FILES)

    def printed(self, text: str) -> None:
        self._channel.print(text)


def _say_when_the_app_ends() -> None:
    """Be told instead of being killed: the interpreter has to be ended too."""
    if sys.platform == "linux":
        from sandbox.confine import kernel

        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_all() -> NoReturn:
    """End this process and its interpreter, which are one process group."""
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(74)


def _shown(value: Any) -> Any:
    try:
        return values.plain(plain(value), as_text=True)
    except Exception:  # noqa: BLE001 - the value is the code's
        return values.show(value)


def _packed(value: Any) -> bytes:
    try:
        body = wire.pack(_shown(value))
        if len(body) <= _MAX_VALUE:
            return body
    except wire.WireError:
        pass
    return wire.pack(values.show(value))
