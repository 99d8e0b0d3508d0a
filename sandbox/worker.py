"""The process in which the agent's code runs. Started by the executor, never imported by it.

It is real CPython: one namespace, `__main__`, that lives from step to step. The main thread
runs the steps; one thread reads the wire, and ends the process when the app has gone.

The code shares this interpreter, so it can break whatever is here. What an honest program
breaks by accident (a builtin, a tool's name, sys.stdout, a signal handler) is put back before
each step; what a hostile one breaks ends at worst in a restart.
"""

import _thread
import ast
import builtins
import contextlib
import functools
import io
import json
import mmap
import os
import queue
import signal
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from sandbox import after_import, confine, figures, packages, refusals, report, values, wire
from sandbox.channel import Calls, Channel, Printed
from sandbox.files import HIDDEN

_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_CO_COROUTINE = 0x80
_MAX_VALUE = 64 * 1024  # what a model would read of a last value; answers may be larger
_ANSWER_ROWS = 100
_SPARE_BYTES = 4 * 1024 * 1024
_MAX_DIGITS = 200_000  # printing more takes seconds that no interrupt can end


class FinalAnswer(BaseException):
    """Ends the step in which `final_answer` was called. Raising it means nothing by itself."""


class Worker:
    """Runs steps, one after the other."""

    def __init__(self, config: dict[str, Any], modules: list[types.ModuleType]) -> None:
        self._config = config
        self._modules = modules
        self._workspace = Path(config["confinement"]["workspace"])
        self._channel = Channel(config["writer"], config["output_chars"])
        self._calls = Calls(self._channel, config["max_calls"])
        self._inbox: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._stdout = Printed(self._channel, 1)
        self._stderr = Printed(self._channel, 2)
        self._stdin = sys.stdin
        self._warnings = report.Warnings(self._stderr)
        self._main = types.ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        builtins.input = _no_input
        self._imports = packages.Imports(
            config["imports"], config["packages"], str(self._workspace)
        )
        self._restore_builtins = functools.partial(vars(builtins).update, dict(vars(builtins)))
        self._tools: dict[str, Callable[..., Any]] = {}
        self._loop: Any = None
        self._step = 0
        self._running = False
        self._interrupted = False
        self._answered = False
        self._spare: mmap.mmap | None = None

    def serve(self, when_ready: Callable[[], None]) -> NoReturn:
        """Read and run until the app closes the wire."""
        report.set_workspace(str(self._workspace), str(self._workspace / HIDDEN))
        sys.set_int_max_str_digits(_MAX_DIGITS)
        figures.watch()
        refusals.put_in_place()
        if self._config["confinement"]["tier"] != "unconfined":
            refusals.adapt_libraries()
        os.register_at_fork(after_in_child=self._after_fork)
        threading.Thread(target=self._listen, name="wire", daemon=True).start()
        _bound_threads(self._config["confinement"]["threads"])
        signal.signal(signal.SIGINT, self._on_interrupt)
        self._channel.send("ready", os.getpid())
        when_ready()
        while True:
            kind, *fields = self._inbox.get()
            if kind == "step":
                self._run_step(*fields)
            elif kind == "tools":
                self._take_tools(wire.unpack(fields[0]))
            elif kind == "variables":
                self._main.__dict__.update(wire.unpack(fields[0]))

    def _listen(self) -> None:
        """The reading thread: results to their callers, everything else to the main thread."""
        frames, read = wire.Frames(), os.read
        try:
            while data := read(self._config["reader"], 1 << 18):
                for message in frames.feed(data):
                    if message[0] == "result":
                        self._take_result(*message[1:])
                    else:
                        self._inbox.put(message)
        finally:
            # The app has gone, or this thread can't go on; either way nothing is left to do.
            with contextlib.suppress(OSError):  # confined, it may end itself only
                os.killpg(0, signal.SIGKILL)
            os._exit(74)

    def _take_result(self, nonce: str, number: int, ok: bool, body: bytes) -> None:
        if nonce == self._channel.nonce:
            self._calls.result(number, ok, wire.unpack(body))

    def _take_tools(self, described: list[list[str]]) -> None:
        for name in self._tools:
            self._main.__dict__.pop(name, None)
        self._tools = {name: self._stub(name, doc) for name, doc in described}
        self._tools["final_answer"] = self._final_answer_function()

    def _stub(self, name: str, doc: str) -> Callable[..., Any]:
        strictly = functools.partial(values.plain, as_text=False)

        def tool(*args: Any, **kwargs: Any) -> Any:
            return self._calls.call(name, args, kwargs, strictly)

        tool.__name__ = tool.__qualname__ = name
        tool.__doc__ = doc
        return tool

    def _final_answer_function(self) -> Callable[..., Any]:
        def final_answer(*args: Any, **kwargs: Any) -> None:
            """Give the answer to the task and end the step."""
            given = [*args, *kwargs.values()]
            if len(given) != 1 or set(kwargs) - {"answer"}:
                raise TypeError(f"final_answer(answer): takes one answer, {len(given)} given")
            if self._channel.forked or not self._calls.accepting:
                raise RuntimeError("final_answer was called outside of a running step")
            if not self._answered:  # the first counts: a bare except may lead to another
                self._send_answer(given[0])
            raise FinalAnswer

        return final_answer

    def _send_answer(self, value: Any) -> None:
        try:
            body = wire.pack(_plain_or_shown(value, table_rows=_ANSWER_ROWS))
        except wire.TooLarge as error:
            raise ValueError(
                f"final_answer: {error}; save it to a file and answer with the file's name"
            ) from None
        self._channel.flush()
        self._channel.send("final", self._channel.nonce, body)
        self._answered = True

    def _run_step(self, nonce: str, step: int, seconds: float, code: str) -> None:
        self._prepare(step)
        confine.begin_step(seconds)
        images = figures.images(self._workspace)
        status, text, body = "ok", "", None
        self._channel.open_step(nonce)
        self._calls.begin_step()
        try:
            self._running = True
            value = figures.save(self._workspace, images, self._evaluate(code, step))
            body = _packed_value(value)
            self._running = False
        except BaseException as error:  # noqa: BLE001 - whatever the agent's code raises is its observation
            self._running = False
            self._spare = None  # with no memory left, even raising the limit needs some
            self._restore_builtins()
            confine.hold_reserve(False)
            if self._interrupted and report.in_an_import(error):
                # Libraries in C can't be imported again after half an import: start afresh.
                self._channel.flush()
                os._exit(75)
            if not self._answered:
                status, text = "error", self._describe(error)
                self._report_missing(error)
            self._after_error()
        self._running = False
        _flush_files(self._main.__dict__)
        if self._channel.forked:  # a child made with os.fork has come to the end of the step
            os._exit(0)
        self._calls.end_step()
        self._channel.guard.forget()
        self._channel.close_step(status, text, self._interrupted, body)

    def _describe(self, error: BaseException) -> str:
        """Never raises: an exception's text, type and traceback are the agent's."""
        try:
            if self._interrupted and isinstance(error, KeyboardInterrupt):
                return "\n".join(report.where(error.__traceback__, self._step)[-1:])
            known = [*self._main.__dict__, *vars(builtins)]
            return wire.clean_text(report.describe(error, self._step, known))
        except Exception:  # noqa: BLE001
            return f"{type(error).__name__}: (the error can't be shown)"

    def _report_missing(self, error: BaseException) -> None:
        """Tell the app which package the code would have needed."""
        try:
            name = packages.missing(error)
        except Exception:  # noqa: BLE001 - the exception's attributes are the agent's
            return
        if name and not self._channel.forked:
            self._channel.send("wanted", self._channel.nonce, wire.clean_text(name[:100]))

    @staticmethod
    def _after_error() -> None:
        try:
            figures.close_open()
        except Exception:  # noqa: BLE001 - the library is in the agent's hands; a figure more is no harm
            return

    def _evaluate(self, code: str, step: int) -> Any:
        """Run the code; the value of its last line, if that is an expression."""
        report.keep_source(step, code)
        name = report.step_file(step)
        tree = compile(code, name, "exec", _FLAGS | ast.PyCF_ONLY_AST, dont_inherit=True)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        try:
            self._run(compile(tree, name, "exec", _FLAGS, dont_inherit=True))
            if last is None:
                return None
            expression = ast.Expression(last.value)
            value = self._run(compile(expression, name, "eval", _FLAGS, dont_inherit=True))
            if value is not None:
                vars(builtins)["_"] = value  # as at Python's own prompt
            return value
        finally:
            self._restore_builtins()

    def _run(self, code: types.CodeType) -> Any:
        confine.hold_reserve(True)  # not before: the step that frees memory must compile
        result = eval(code, self._main.__dict__)
        if not code.co_flags & _CO_COROUTINE:
            return result
        import asyncio  # only for code that awaits

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        task = self._loop.create_task(result)
        try:
            return self._loop.run_until_complete(task)
        finally:
            task.cancel()

    def _prepare(self, step: int) -> None:
        """Put back what a step may have broken."""
        self._restore_builtins()
        self._step, self._answered, self._interrupted = step, False, False
        self._channel.guard.forget()
        sys.modules["__main__"] = self._main
        self._main.__dict__.update(self._tools)
        self._main.__dict__["__builtins__"] = builtins
        sys.stdout = sys.__stdout__ = self._stdout  # type: ignore[assignment,misc]
        sys.stderr = sys.__stderr__ = self._stderr  # type: ignore[assignment,misc]
        sys.stdin = self._stdin
        sys.settrace(None)
        sys.setprofile(None)
        sys.excepthook = sys.__excepthook__
        threading.excepthook = self._thread_failed
        sys.unraisablehook = functools.partial(report.unraisable, self._stderr, step)
        self._warnings.install()
        signal.signal(signal.SIGINT, self._on_interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        self._prepare_paths()
        self._spare = self._spare or mmap.mmap(-1, _SPARE_BYTES, flags=mmap.MAP_PRIVATE)

    def _prepare_paths(self) -> None:
        """The workspace is last on the path, so that no file there hides a library."""
        self._imports.put_on_path()
        folder = str(self._workspace)
        sys.path[:] = [entry for entry in sys.path if entry != folder] + [folder]
        sys.path_importer_cache.pop(folder, None)  # a module written in the last step is found
        try:
            Path.cwd()
        except OSError:  # the code removed the folder it was in
            self._workspace.mkdir(parents=True, exist_ok=True)
            os.chdir(folder)

    def _on_interrupt(self, *_: object) -> None:
        if self._running and not self._channel.forked:
            self._interrupted = True
            self._channel.guard.interrupt()
        elif self._channel.forked:
            raise KeyboardInterrupt

    def _thread_failed(self, args: Any) -> None:
        if args.exc_type is not FinalAnswer:
            report.thread_failed(self._stderr, self._step, args)

    def _after_fork(self) -> None:
        self._channel.after_fork()
        for descriptor in (self._config["reader"], self._config["writer"]):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _bound_threads(most: int) -> None:
    """Refuse in words to have more than `most` threads; the app ends what gets past this."""

    def bounded(start: Callable[..., Any]) -> Callable[..., Any]:
        def start_thread(*args: Any, **kwargs: Any) -> Any:
            if _thread._count() >= most:
                raise RuntimeError(f"can't start a thread: {most} are running already")
            return start(*args, **kwargs)

        return start_thread

    for name in ("_start_new_thread", "_start_joinable_thread"):  # until Python 3.12, and since
        if hasattr(threading, name):
            setattr(threading, name, bounded(getattr(threading, name)))


def _flush_files(namespace: dict[str, Any]) -> None:
    """Write out what waits in files that the code left open: the app lists them now."""
    for value in list(namespace.values()):
        if type(value) in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
            with contextlib.suppress(OSError, ValueError):
                value.flush()


def _no_input(prompt: object = "", /) -> str:
    raise RuntimeError("input() can't be used: nobody can type here; take the values from the task")


def _plain_or_shown(value: Any, table_rows: int = values.TABLE_ROWS) -> Any:
    try:
        return values.plain(value, as_text=True, table_rows=table_rows)
    except Exception:  # noqa: BLE001 - a value's own methods failed
        return values.show(value)


def _packed_value(value: Any) -> bytes:
    try:
        body = wire.pack(_plain_or_shown(value))
        if len(body) <= _MAX_VALUE:
            return body
    except wire.WireError:
        pass
    return wire.pack(values.show(value))


def start(config: dict[str, Any], when_ready: Callable[[], None] = lambda: None) -> NoReturn:
    """Confine this process and serve; called with a single thread running. `when_ready` is
    called before the first step, confined."""
    confinement = confine.Confinement.from_dict(config["confinement"])
    confine.supervise(confinement, functools.partial(_serve, config, when_ready))


def _serve(config: dict[str, Any], when_ready: Callable[[], None]) -> None:
    if config["confinement"]["tier"] == "restricted":
        from sandbox.restricted.worker import RestrictedWorker  # with an interpreter of its own

        RestrictedWorker(config).serve(when_ready)
    # The agent's code has no use for them. Taking them apart would only copy what is shared.
    ours = [sys.modules.pop(name) for name in after_import.loaded("sandbox")]
    worker = Worker(config, ours)
    worker.serve(when_ready)


def main() -> None:
    """Start as a process of its own; the one argument is the configuration, as JSON."""
    config = json.loads(sys.argv[1])
    sys.argv = [""]
    start(config)
