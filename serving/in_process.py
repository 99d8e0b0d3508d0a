"""An engine in this very process, spoken to as if it were a server.

ZeroGPU allows no server. So that the client stays the one that all engines have (thinking told
apart and bounded, loops noticed, cancelling), its requests go to `InProcess`, a transport of
httpx, which answers them as an OpenAI-compatible server would: the model's list, a rendered
prompt, a stream of chunks, and refusals in the words that the client adapts to.
"""

import asyncio
import contextvars
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from errors import HearthError, ModelError
from serving.first_reply import garbage_in

Piece = tuple[str, int, str]
_LOOKED_AT = 2000  # characters of the first replies


@dataclass
class Pace:
    """How long a call takes: what it does before the first token, and tokens a second as they
    were measured, or `tokens_a_second` at first, which is an estimate on the safe side."""

    most_seconds: float
    tokens_a_second: float
    begin_seconds: float = 6.0
    prompt_a_second: float = 1000.0
    _SAFE = 0.8

    def fits(self, prompt: int) -> int:
        """How many tokens a call can generate at most."""
        left = self.most_seconds - self.begin_seconds - prompt / self.prompt_a_second
        return max(1, int(left * self.tokens_a_second * self._SAFE))

    def seconds(self, prompt: int, tokens: int) -> int:
        """What a call is to ask for: its quota is taken for that, so no more than it needs."""
        generating = tokens / (self.tokens_a_second * self._SAFE)
        wanted = self.begin_seconds + prompt / self.prompt_a_second + generating
        return int(min(self.most_seconds, wanted)) or 1

    def learn(self, tokens: int, seconds: float) -> None:
        """Take in what a call did after its first token."""
        if tokens >= 16 and seconds > 0:
            self.tokens_a_second = (self.tokens_a_second + tokens / seconds) / 2


@dataclass(frozen=True)
class Engine:
    """What computes. `stream(prompt, tokens, seconds, temperature, top_p)` yields pieces;
    `explain` makes a HearthError of what it raises."""

    model_id: str
    context: int
    render: Callable[[list[dict[str, str]], dict[str, Any]], str]
    count: Callable[[str], int]
    stream: Callable[[str, int, int, float, float], Iterator[Piece]]
    explain: Callable[[Exception], HearthError]
    pace: Pace


class InProcess(httpx.AsyncBaseTransport):
    """The transport. Several clients may use one at once, each on its own event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sound = False  # whether a reply was seen that says something

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        path, engine = request.url.path, self._engine
        if path == "/v1/models":
            entry = {"id": engine.model_id, "owned_by": "hearth", "max_model_len": engine.context}
            return httpx.Response(200, json={"object": "list", "data": [entry]})
        try:
            body = json.loads(await request.aread())
            if path == "/apply-template":
                return httpx.Response(200, json={"prompt": await self._prompt(body)})
            if path == "/v1/chat/completions":
                return await self._reply(await self._prompt(body), body)
            if path == "/v1/completions":
                return await self._reply(body["prompt"], body)
        except HearthError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a template raises, it is the request's
            return _refused(400, str(error)[:300] or type(error).__name__)
        return _refused(404, f"there is no {path}")

    async def _prompt(self, body: dict[str, Any]) -> str:
        template = body.get("chat_template_kwargs") or {}
        return await asyncio.to_thread(self._engine.render, body["messages"], template)

    async def _reply(self, prompt: str, body: dict[str, Any]) -> httpx.Response:
        engine = self._engine
        wanted = int(body.get("max_tokens") or 1024)
        has = await asyncio.to_thread(engine.count, prompt)
        if has + wanted > engine.context:
            return _refused(
                400,
                f"This model's maximum context length is {engine.context} tokens. You asked for "
                f"{wanted} output tokens and your prompt has {has} input tokens.",
            )
        most = engine.pace.fits(has)
        if wanted > most:
            return _refused(400, f"This engine supports at most {most} completion tokens.")
        call = (prompt, wanted, engine.pace.seconds(has, wanted))
        sampling = (float(body.get("temperature", 1.0)), float(body.get("top_p", 1.0)))
        stream = _Stream(self, lambda: engine.stream(*call, *sampling), has)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)

    def take(self, text: str) -> None:
        """Look at what is said, until one reply was sound. Raises ModelError for garbage."""
        if self._sound:
            return
        found = garbage_in(text)
        if found:
            raise ModelError(
                f"The model is not sound: it says one thing over and over ({found!r}).",
                fix="Try another checkpoint of the model: damaged files and a wrong chat template "
                "show like this.",
            )
        self._sound = len(text) > _LOOKED_AT

    def ended(self, tokens: int, seconds: float) -> None:
        """A reply came to its end."""
        self._sound = True
        self._engine.pace.learn(tokens, seconds)

    def explained(self, error: Exception) -> HearthError:
        """The error for what the engine raised."""
        return error if isinstance(error, HearthError) else self._engine.explain(error)


class _Stream(httpx.AsyncByteStream):
    """The chunks of one reply. The generator runs in a thread, and ends when this is closed."""

    def __init__(
        self, owner: InProcess, begin: Callable[[], Iterator[Piece]], prompt_tokens: int
    ) -> None:
        self._owner, self._begin, self._prompt_tokens = owner, begin, prompt_tokens
        self._over = threading.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()

        def put(item: Piece | Exception | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(pieces.put_nowait, item)

        context = contextvars.copy_context()  # whose visitor's request it is, for ZeroGPU's quota
        threading.Thread(target=context.run, args=(self._run, put), daemon=True).start()
        said, first, began = "", 0, time.monotonic()
        while (item := await pieces.get()) is not None:
            if isinstance(item, Exception):
                raise self._owner.explained(item) from None
            text, tokens, finish = item
            said += text
            if not first:
                first, began = tokens, time.monotonic()
            self._owner.take(said)
            yield _chunk(text, finish, self._prompt_tokens, tokens)
            if finish:
                self._owner.ended(tokens - first, time.monotonic() - began)
        yield b"data: [DONE]\n\n"

    async def aclose(self) -> None:
        self._over.set()

    def _run(self, put: Callable[[Piece | Exception | None], None]) -> None:
        try:
            generator = self._begin()
            try:
                for piece in generator:
                    if self._over.is_set():
                        break
                    put(piece)
            finally:
                close = getattr(generator, "close", None)
                if close is not None:
                    close()
        except Exception as error:  # noqa: BLE001 - raised again where the reply is read
            put(error)
        put(None)


def _chunk(text: str, finish: str, prompt: int, tokens: int) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "text": text, "finish_reason": finish or None}
    usage = {"prompt_tokens": prompt, "completion_tokens": tokens}
    return b"data: " + json.dumps({"choices": [choice], "usage": usage}).encode() + b"\n\n"


def _refused(status: int, message: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message, "code": status}})
