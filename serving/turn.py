"""One reply, from as many requests as it takes. Runs on the model's own event loop.

A request that fails is asked again, and where the server can render a prompt the reply goes
on where it broke off. A reply that thinks for too long, in circles, or without end is cut; then
the thinking is closed in the model's place and the same reply goes on after it, or, where
the server can't do that, a last request shows the model its last thoughts and asks it to act.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import httpx
import stamina
from smolagents.monitoring import TokenUsage

from serving import faults, thinking
from serving.draft import Draft, Request
from serving.families import Family
from serving.faults import Fault, Server
from serving.link import Capabilities, Link
from serving.model import PlainMessage, ReplyDelta, estimated_usage
from serving.reply import Forced, Reply
from serving.request import BUDGET_FIELD, Fields
from serving.retries import Again
from serving.sse import Events, ServerSaid, read_chunk

Put = Callable[[ReplyDelta | BaseException], None]

_USAGE_SECONDS = 1.0  # how long a finished reply's token count is waited for
_CLOSINGS = 2  # how often the thinking of one reply is closed
_LEAST_TOKENS = 1024  # room for the action after thinking that took all there was
_NOT_THERE = frozenset({403, 404, 405, 501})  # a proxy that lets only chats through
_LEAST_ROOM = 256  # tokens: with less room for a reply the prompt is too long
_TRIES_WHEN_EMPTY = 2


@dataclass(frozen=True)
class Limits:
    """Of one reply: tokens in all and of thinking (None: no limit), and how many seconds a
    stream that has begun may be silent, and how many it may take to begin (None: any).
    """

    max_tokens: int
    thinking_tokens: int | None
    stall_seconds: float
    silent_seconds: float | None = None


class Turn:
    """One reply to `messages`. Deltas, the reply in the last of them, go to `put`.

    `check` raises a HearthError when the server is gone for good.
    """

    def __init__(
        self,
        link: Link,
        server: Server,
        fields: Fields,
        family: Family,
        messages: list[PlainMessage],
        put: Put,
        limits: Limits,
        check: Callable[[], None],
    ) -> None:
        self._link, self._server, self._fields = link, server, fields
        self._family, self._messages, self._put = family, messages, put
        self._limits, self._check = limits, check
        self.answered = False  # with the status 200
        self._can = Capabilities()
        self._prompt_tokens: int | None = None
        self._output_tokens = 0  # of earlier requests
        self._closings = self._tries = 0
        self._max_tokens = limits.max_tokens
        self._restart()

    def _restart(self) -> None:
        """Nothing has come yet, or what came is void."""
        self._draft = Draft(self._family, self._budget, self._put)
        # Where the next request begins: anew, after thinking that was closed, after a break.
        self._at: Literal["start", "closed", "broken"] = "start"
        self._nudged = False

    @property
    def _budget(self) -> int | None:
        """Tokens of thinking: a quarter of the room for the reply is left to act."""
        wanted, room = self._limits.thinking_tokens, self._max_tokens
        if wanted is not None and self._link.context_tokens is not None:
            prompt = estimated_usage(self._messages, 0).input_tokens
            room = min(room, max(self._link.context_tokens - prompt, room // 4))
        return None if wanted is None else min(wanted, room * 3 // 4)

    async def run(self, again: Again) -> None:
        """Ask until there is a reply. Raises Fault for what outlasts all trying."""
        while True:
            async for trial in stamina.retry_context(
                on=again, attempts=None, timeout=None, wait_max=5.0, wait_jitter=0.5
            ):
                with trial:
                    await self._ask()
            again.answered()
            if not self._goes_on():
                break
        reply = self._draft.end()
        self._count(Request())
        usage = estimated_usage(self._messages, self._output_tokens)
        if self._prompt_tokens:
            usage = TokenUsage(self._prompt_tokens, usage.output_tokens)
        self._put(ReplyDelta(reply=reply, token_usage=usage))

    def partial(self) -> Reply | None:
        """What has come so far; None before the first token."""
        return self._draft.partial()

    def _goes_on(self) -> bool:
        """Whether another request is needed for an action or an answer; prepares it."""
        why = self._draft.lacks()
        if why is None:
            return False
        if why == "empty":
            self._tries += 1
            if self._tries >= _TRIES_WHEN_EMPTY:
                return False
            self._begin_anew()
            return True
        if self._closings >= _CLOSINGS:
            return False
        self._closings += 1
        self._draft.close_thinking(why)
        self._at = "closed"
        return True

    def _begin_anew(self) -> None:
        if self._draft.heard:
            self._put(ReplyDelta(anew=True))
        self._count(Request())
        self._restart()

    def _count(self, following: Request) -> None:
        """Add up the tokens of the request that has ended."""
        ended, self._draft.request = self._draft.request, following
        self._prompt_tokens = self._prompt_tokens or ended.prompt_tokens
        self._output_tokens += ended.tokens

    # A request

    async def _ask(self) -> None:
        try:
            self._can = await self._link.capabilities()
            path, body = await self._request()
            self._count(Request())
            self._draft.finish = None
            async with self._stream(path, body) as response:
                if response.status_code != httpx.codes.OK:
                    text = faults.error_text((await response.aread()).decode("utf-8", "replace"))
                    if path == "/completions" and response.status_code in _NOT_THERE:
                        self._link.known = replace(self._can, renders="no")
                        raise Fault(self._server.said(text), "adapted")
                    raise await self._refusal(response, text, body)
                self.answered = True
                await self._read(response)
        except httpx.TransportError as error:
            if self._draft.finish is None:  # else the reply was whole already
                raise self._cut_off(error) from None
        finally:
            if self._draft.finish is None and self._draft.request.heard:
                self._at = "broken"

    @contextlib.asynccontextmanager
    async def _stream(self, path: str, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        """The answer to a request, once it begins."""
        silent = self._limits.silent_seconds
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(silent):
                    stream = self._link.stream(path, body)
                    response = await stack.enter_async_context(stream)
            except TimeoutError:
                assert silent is not None
                raise self._server.silent(silent) from None
            yield response

    async def _request(self) -> tuple[str, dict[str, Any]]:
        """Path and body of the next request."""
        prompt = None
        if self._at != "start" and self._family.thinking != "field" and not self._nudged:
            seen = self._fields.template
            prompt = await self._link.rendered(self._messages, seen, self._draft.raw)
        if prompt is not None:
            self._draft.go_on()
            most = self._max_tokens
            left = max(most - self._draft.watch.tokens, min(_LEAST_TOKENS, most))
            return "/completions", self._fields.completion(prompt, left, self._can)
        if self._at == "closed" and self._draft.forced is not None:
            return "/chat/completions", self._nudge(self._draft.forced)
        if self._at == "broken":
            self._begin_anew()
        self._draft.watch.budget = self._budget  # the context's length may be known only now
        return "/chat/completions", self._chat(self._messages, self._budget)

    def _nudge(self, why: Forced) -> dict[str, Any]:
        """The request that has the model act on its last thoughts."""
        self._nudged = True
        budget = None if self._budget is None else self._budget // 4
        turns = thinking.nudge(why, self._draft.thoughts)
        self._draft.begin_again(budget)
        return self._chat([*self._messages, *turns], budget, **self._family.quick)

    def _chat(
        self, messages: list[PlainMessage], budget: int | None, **extra: Any
    ) -> dict[str, Any]:
        if budget is not None and self._can.thinking_budget and self._fields.takes(BUDGET_FIELD):
            self._draft.watch.leave_to_server(budget)
        return self._fields.chat(messages, self._max_tokens, self._can, budget, **extra)

    # What comes

    async def _read(self, response: httpx.Response) -> None:
        kind = response.headers.get("content-type", "")
        if "html" in kind:  # some web page, and no server of models
            raise Fault(self._server.unknown_model(None))
        if "json" in kind:  # a server that does not stream
            await response.aread()
            self._take(response.text)
            self._draft.finish = self._draft.finish or "stop"
            return
        try:
            async with asyncio.timeout(self._limits.silent_seconds) as timer:
                await self._read_events(response, timer)
        except TimeoutError:
            # A finished reply is not kept waiting for a server that doesn't end the stream.
            if self._draft.finish is None and not self._draft.request.heard:
                raise self._server.silent(self._limits.silent_seconds or 0) from None
            if self._draft.finish is None:
                raise self._broke(f"nothing came for {self._limits.stall_seconds:g} s") from None

    async def _read_events(self, response: httpx.Response, timer: asyncio.Timeout) -> None:
        events, clock, draft = Events(), asyncio.get_running_loop().time, self._draft
        waits, since = 0.0, 0.0
        async for block in response.aiter_bytes():
            try:
                found = events.feed(block)
            except ValueError as error:
                raise self._broke(str(error)) from None
            if any(self._take(data) for data in found):
                return
            wait = _USAGE_SECONDS if draft.finish else self._limits.stall_seconds
            # Not for each of many deltas: it may end a twentieth too early.
            if (draft.request.heard or draft.finish) and (
                wait != waits or clock() - since > wait / 20
            ):
                waits, since = wait, clock()
                timer.reschedule(since + wait)
        if not any(self._take(data) for data in events.end()) and draft.finish is None:
            raise self._broke("the stream ended early")

    def _take(self, data: str) -> bool:
        """Take in one event; True when nothing more of the stream is wanted."""
        if data == "[DONE]":
            self._draft.finish = self._draft.finish or "stop"
            return True
        try:
            chunk = read_chunk(data)
        except ServerSaid as said:
            raise self._server.failed(faults.error_text(str(said)), self.partial()) from None
        except ValueError:
            if self._draft.finish is not None:
                return True
            raise self._broke(f"its stream can't be read: {data[:80]!r}") from None
        try:
            return self._draft.take(chunk)
        except ValueError as error:
            raise self._broke(str(error)) from None

    # What goes wrong

    def _cut_off(self, error: httpx.TransportError) -> Fault:
        if self._draft.request.heard:
            return self._broke(str(error) or type(error).__name__)
        self._check()
        return self._server.unreachable(error)

    def _broke(self, why: str) -> Fault:
        return self._server.broken_off(why, self.partial(), mid=self._draft.request.heard > 0)

    async def _refusal(self, response: httpx.Response, text: str, body: dict[str, Any]) -> Fault:
        status = response.status_code
        fault = self._server.refused(status, response.headers, text)
        if self._fields.adapt(status, text, body):
            return Fault(fault.error, "adapted")
        room = faults.room_for_reply(text) if status in (400, 422) else None
        if room is not None and _LEAST_ROOM <= room < self._max_tokens:
            self._max_tokens = room
            return Fault(fault.error, "adapted")
        if faults.is_about_model(status, text):
            models = await self._link.models()
            ids = None if models is None else [str(model["id"]) for model in models]
            if status == 404 or (ids is not None and self._link.model_id not in ids):
                return Fault(self._server.unknown_model(ids))
        return fault
