"""A connection to one MCP server, over the official SDK.

smolagents' `ToolCollection.from_mcp` is not used for it: it waits half a minute for a server that
failed at once, gives up all tools for one with an odd schema, waits for ever for a server that
died, passes over a result's error mark, and lets the server write to the user's terminal.
"""

import asyncio
import contextlib
import io
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as LateError
from contextlib import asynccontextmanager
from typing import IO, Any

import httpx

from errors import SettingsError, ToolError
from settings.of_servers import McpServer
from tools.text import one_line

CONNECT_SECONDS = 30.0
_PING_SECONDS = 3.0
_LOOK_SECONDS = 0.05
_TRIM_SECONDS = 10.0
_MOST_PAGES = 20  # of a server's list of tools


class McpConnection:
    """Tools of one server. It is connected at the first need, and again after the server died.

    Calls may come from many threads at once. `close` ends the server, if it was started here;
    a later call begins anew.
    """

    def __init__(self, name: str, server: McpServer) -> None:
        self.name = name
        self.server = server
        self._lock = threading.RLock()
        self._link: _Link | None = None
        self._doubtful = False  # a call was not answered in time

    def tools(self) -> list[Any]:
        """The server's tools, as the SDK describes them. Raises ConnectionError, in words."""
        link = self._connected()
        try:
            found = link.ask(_listed(link.session), CONNECT_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises, it is the server's fault
            self._drop(link)
            raise ConnectionError(
                f"The MCP server {self.name} does not list its tools: {_words(error)}."
            ) from None
        wanted = self.server.tools
        if missing := sorted({*wanted} - {tool.name for tool in found}):
            raise ConnectionError(f"The MCP server {self.name} has no tool {', '.join(missing)}.")
        return [tool for tool in found if not wanted or tool.name in wanted]

    def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """Call a tool; returns the SDK's CallToolResult. Raises ToolError.

        A call that broke off is not made again: nobody knows what it did.
        """
        try:
            link = self._connected()
        except ConnectionError as error:
            raise ToolError(str(error), "Go on without it.", seen_as=ConnectionError) from None
        seconds = self.server.timeout_seconds
        try:
            return link.ask(link.session.call_tool(tool, arguments), seconds)
        except LateError:
            self._doubtful = True
            raise ToolError(
                f"The server {self.name} did not answer within {seconds:g} s.",
                "Ask for less, or go on without it.",
                seen_as=TimeoutError,
            ) from None
        except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever the SDK raises
            if not link.is_over(error):
                raise ToolError(
                    f"The server {self.name} refuses the call: {_words(error)}.",
                    "Mend the arguments, or go on without it.",
                ) from None
            self._drop(link)
            raise ToolError(
                f"The server {self.name} ended during the call; what it did is not known.",
                "The next call starts it again.",
                seen_as=ConnectionError,
            ) from None

    def close(self) -> None:
        """End the connection, and the server that was started for it."""
        with self._lock:
            if self._link is not None:
                self._drop(self._link)

    def _connected(self) -> "_Link":
        with self._lock:
            if self._link is not None and not self._is_well(self._link):
                self._drop(self._link)
            if self._link is None:
                self._link = _Link(self.name, self.server)
                self._doubtful = False
            return self._link

    def _is_well(self, link: "_Link") -> bool:
        if self._doubtful and link.alive:
            try:
                link.ask(link.session.send_ping(), _PING_SECONDS)
            except (Exception, CancelledError):  # noqa: BLE001 - whatever the SDK raises
                return False
            self._doubtful = False
        return link.alive

    def _drop(self, link: "_Link") -> None:
        with self._lock:
            if self._link is link:
                self._link = None
        link.end()


class _Link:
    """One connection as long as it lives: a loop in a thread of its own, and a session in it.

    Raises ConnectionError, in words, where it can't be made.
    """

    def __init__(self, name: str, server: McpServer) -> None:
        self.session: Any = None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._last_words = ""
        _require_the_sdk()  # before there is a thread in which nobody would hear of it
        self._server = server
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"mcp-{name}", daemon=True)
        self._thread.start()
        until = time.monotonic() + CONNECT_SECONDS
        while not self._ready.wait(_LOOK_SECONDS):
            if not self.alive or time.monotonic() > until:
                late = f"no answer within {CONNECT_SECONDS:g} s"
                why = late if self.alive else _words(self._fault or ConnectionError())
                self.end()
                said = f" Its last words: {self._last_words}" if self._last_words else ""
                raise ConnectionError(f"The MCP server {name} can't be reached: {why}.{said}")

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def ask(self, asked: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """The result of a coroutine of the session, from any thread.

        Raises concurrent.futures.TimeoutError after `seconds`, and ConnectionError once the
        connection has ended.
        """
        until = time.monotonic() + seconds
        try:
            future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        except RuntimeError:  # the loop is closed
            asked.close()
            raise ConnectionError("the server has ended") from None
        while True:
            try:
                return future.result(_LOOK_SECONDS)
            except LateError:
                if future.done():
                    raise
                if not self.alive:
                    raise ConnectionError("the server has ended") from None
                if time.monotonic() > until:
                    future.cancel()
                    raise

    def is_over(self, error: BaseException) -> bool:
        """Whether an error means that the connection is lost, rather than the call refused."""
        from mcp import McpError

        if not self.alive:
            return True
        if isinstance(error, RuntimeError | ValueError):  # a result that breaks its own schema
            return False
        if not isinstance(error, McpError):
            return True
        return any(word in str(error).lower() for word in ("closed", "terminated"))

    def end(self) -> None:
        """Close the connection; a server that won't end is not waited for for long."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            if self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)

    def _run(self) -> None:
        # What the server writes beside the protocol: looked at only when it can't be started.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
            task = self._task = self._loop.create_task(self._live(log))
            try:
                self._loop.run_until_complete(task)
            except BaseException as error:  # noqa: BLE001 - told above; a thread would print it
                self._fault = error
            log.seek(max(0, log.seek(0, io.SEEK_END) - 2000))
            lines = log.read().strip().splitlines()
            self._last_words = one_line(lines[-1], 300) if lines else ""
        self._loop.close()

    async def _live(self, log: IO[str]) -> None:
        from mcp import ClientSession

        async with _streams(self._server, log) as (read, write), ClientSession(read, write) as made:
            await made.initialize()
            self.session = made
            self._ready.set()
            while True:  # until it is cancelled
                await asyncio.sleep(_TRIM_SECONDS)
                os.ftruncate(log.fileno(), 0)  # or a server that says much would fill the disk


async def _listed(session: Any) -> list[Any]:
    """All the tools of a server, page by page."""
    from mcp.types import PaginatedRequestParams

    found, cursor = [], None
    for _ in range(_MOST_PAGES):
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
        found += page.tools
        cursor = page.nextCursor
        if not cursor:
            break
    return found


@asynccontextmanager
async def _streams(server: McpServer, log: IO[str]) -> AsyncIterator[tuple[Any, Any]]:
    """What is read from the server, and what is written to it."""
    from mcp import StdioServerParameters
    from mcp.client.sse import sse_client
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    headers = {name: value.get_secret_value() for name, value in server.headers.items()}
    if server.command:
        parameters = StdioServerParameters(
            command=server.command,
            args=server.args,
            # Besides PATH, HOME and the like, which the SDK adds, and nothing of ours.
            env={name: value.get_secret_value() for name, value in server.env.items()},
            cwd=server.cwd,
        )
        async with stdio_client(parameters, errlog=log) as (read, write):  # type: ignore[arg-type]
            yield read, write
    elif server.transport == "sse":
        async with sse_client(server.url, headers=headers) as (read, write):
            yield read, write
    else:
        async with (
            create_mcp_http_client(headers) as client,
            streamable_http_client(server.url, http_client=client) as (read, write, _),
        ):
            yield read, write


def _require_the_sdk() -> None:
    try:
        import mcp  # noqa: F401
    except ImportError:
        raise SettingsError(
            "Setting mcp: the package that talks to MCP servers isn't installed.",
            fix="pip install 'mcp<2'",
        ) from None


def _words(error: BaseException) -> str:
    """The innermost fault of a group, in one line, without its full stop."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, httpx.HTTPStatusError):  # its text has the whole address, keys and all
        return f"it answers {error.response.status_code}"
    if isinstance(error, FileNotFoundError):
        return f"there is no program {error.filename}"
    return one_line(str(error), 300).rstrip(".") or type(error).__name__
