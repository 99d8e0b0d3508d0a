"""An event loop on a thread of its own, for a synchronous caller that must be able to let go."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from errors import ModelError


class Call:
    """A coroutine that runs on the loop's thread; `done` once it has ended in whatever way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
        self.done = threading.Event()
        self._loop = loop
        self._work = work
        self._task: asyncio.Task[None] | None = None
        loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        self._task = self._loop.create_task(self._work)
        self._task.add_done_callback(lambda _: self.done.set())

    def cancel(self, wait_seconds: float = 1.0) -> None:
        """End it, and wait until its connection is closed, at most `wait_seconds`."""
        if self.done.is_set():
            return
        with contextlib.suppress(RuntimeError):  # the loop was closed, and all that ran on it
            self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())
            self.done.wait(wait_seconds)


class LoopThread:
    """An event loop on a daemon thread, started by the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closers: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._closed = False

    def call(self, work: Coroutine[Any, Any, None]) -> Call:
        """Run `work` on the loop. Raises ModelError after `close`."""
        with self._lock:
            if self._closed:
                work.close()
                raise ModelError("The model's client is closed.", fix="Make a new ChatModel.")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name=self._name, daemon=True
                )
                self._thread.start()
            return Call(self._loop, work)

    def on_close(self, closer: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have `closer` run on the loop when it ends."""
        self._closers.append(closer)

    def close(self) -> None:
        """Cancel what runs and end the thread; waits for it, except on the thread itself."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(lambda: loop.create_task(self._wind_up(loop)))
        if thread is not threading.current_thread():
            thread.join(timeout=5)
            if not thread.is_alive():
                loop.close()

    async def _wind_up(self, loop: asyncio.AbstractEventLoop) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for closer in self._closers:
            await closer()
        loop.stop()
