"""The client: a smolagents Model over the OpenAI streaming protocol.

Reads the thinking wherever the server puts it: in `reasoning` (vLLM), in
`reasoning_content` (transformers serve, DeepSeek, older vLLM), or as `<think>` in the text.
No stop strings are sent; the connection is closed at the end of the first code block, which
ends the work on the server too. Written on httpx, not on the openai client: that one takes
keys and addresses from the environment by itself, and hides whether a stream really ended.

Before the first token, a connection that fails is tried again for a short while and a busy
server (429, 502, 503, 504) until the deadline, waiting as its Retry-After says. After the
first token nothing is repeated: the error carries the reply so far.
"""

import asyncio
import json
import queue
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import httpx
import stamina
from smolagents.monitoring import TokenUsage

from errors import Cancelled, HearthError, InputError, ModelError
from serving import faults
from serving.families import Family
from serving.faults import Fault, Server
from serving.loop import LoopThread
from serving.model import (
    Message,
    PlainMessage,
    ReplyDelta,
    StreamingModel,
    delta_of,
    estimated_usage,
    plain_messages,
    refuse_unused,
)
from serving.ports import LOOPBACK
from serving.reply import Reply, ReplySplitter

__all__ = ["ChatModel", "ReplyDelta"]

CONNECT_SECONDS = 10.0
_POLL_SECONDS = 0.1  # how often a waiting stream looks at `cancel`
_USAGE_SECONDS = 1.0  # how long a finished reply's token count is waited for

Put = Callable[[ReplyDelta | BaseException], None]


class ChatModel(StreamingModel):
    """A model behind an OpenAI-compatible server.

    `base_url` ends where `/chat/completions` begins, usually with `/v1`. `api_key` may be empty; it
    appears in no message, repr or log. `timeout_seconds` bounds one reply, waiting included.
    `patience_seconds`: how long connections that fail are tried again, for an engine that
    restarts; `check` is called each time, on the model's own thread, and raises a HearthError
    when it is gone for good. `temperature`, `top_p` and `max_tokens` replace the family's.
    Several threads may stream at once. The first request starts a thread of the model's own;
    `close` ends it.

    The token usage is the server's where it sends one. A reply that ends with a code block is
    closed before that: then the deltas are counted as output tokens (servers send about one
    a delta), and a quarter of the characters sent as input tokens.
    """

    def __init__(
        self,
        base_url: str,
        model_id: str,
        api_key: str,
        family: Family,
        *,
        timeout_seconds: float,
        patience_seconds: float = 3.0,
        check: Callable[[], None] = lambda: None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
    ) -> None:
        super().__init__(model_id, family)
        if not base_url.startswith(("http://", "https://")):
            raise InputError(
                f"{base_url!r} is no address of a server.",
                fix="It starts with http:// or https://.",
            )
        self.base_url = base_url.rstrip("/")
        self.timeout_seconds = timeout_seconds
        self.patience_seconds = patience_seconds
        self._check = check
        self.max_tokens = max_tokens or family.max_tokens
        self._key = api_key
        self._server = Server(faults.shown_address(self.base_url), model_id, bool(api_key))
        chosen = {"temperature": temperature, "top_p": top_p}
        self._sampling: dict[str, float] = {
            name: value
            for name, value in (
                ("temperature", family.temperature if temperature is None else temperature),
                ("top_p", family.top_p if top_p is None else top_p),
            )
            if value is not None
        }
        self._droppable = [name for name in self._sampling if chosen[name] is None]
        self._not_taken: set[str] = set()  # fields that this server has refused
        self._loop = LoopThread(f"chat {model_id}")
        self._client: httpx.AsyncClient | None = None
        weakref.finalize(self, self._loop.close)

    def __repr__(self) -> str:
        return f"ChatModel({self._server.address!r}, {self.model_id!r}, {self.family.name!r})"

    def generate_stream(
        self,
        messages: Sequence[Message],
        stop_sequences: list[str] | None = None,
        response_format: dict[str, Any] | None = None,
        tools_to_call_from: list[Any] | None = None,
        *,
        cancel: threading.Event | None = None,
        **kwargs: Any,
    ) -> Iterator[ReplyDelta]:
        """Stream one reply; see `StreamingModel.generate_stream`.

        Leaving the iterator early closes the connection.
        """
        refuse_unused(response_format, tools_to_call_from, **kwargs)
        return self._consume(plain_messages(messages, self.family), cancel)

    def close(self) -> None:
        """Close the connections and end the thread. Streams under way raise Cancelled."""
        self._loop.close()

    def _consume(
        self, messages: list[PlainMessage], cancel: threading.Event | None
    ) -> Iterator[ReplyDelta]:
        items: queue.SimpleQueue[ReplyDelta | BaseException] = queue.SimpleQueue()
        call = self._loop.call(self._produce(messages, items.put))
        try:
            while True:
                if cancel is not None and cancel.is_set():
                    raise Cancelled
                try:
                    item = items.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    if call.done.is_set() and items.empty():
                        raise Cancelled("The model's client was closed.") from None
                    continue
                if isinstance(item, BaseException):
                    raise item
                yield item
                if item.reply is not None:
                    return
        finally:
            call.cancel()

    # All below runs on the model's own thread.

    async def _produce(self, messages: list[PlainMessage], put: Put) -> None:
        """One reply from request to last delta; a fault is put where the delta would be."""
        attempt = _Attempt(self.family, put)
        again = _Again(self.timeout_seconds, self.patience_seconds)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                async for trial in stamina.retry_context(
                    on=again, attempts=None, timeout=None, wait_max=5.0, wait_jitter=0.5
                ):
                    with trial:
                        attempt = _Attempt(self.family, put)
                        await self._ask(messages, attempt)
            attempt.end(messages)
        except TimeoutError:
            late = self._server.too_slow(self.timeout_seconds, attempt.partial())
            why = again.last.error if again.last and not attempt.answered else late
            put(_without(self._key, why))
        except Fault as fault:
            put(_without(self._key, fault.error))
        except HearthError as error:
            put(error)
        except Exception as error:  # noqa: BLE001 - the reader waits on another thread
            put(error)

    async def _ask(self, messages: list[PlainMessage], attempt: "_Attempt") -> None:
        body = self._body(messages)
        try:
            async with self._http().stream(
                "POST", f"{self.base_url}/chat/completions", json=body, headers=self._headers()
            ) as response:
                if response.status_code != httpx.codes.OK:
                    text = faults.error_text((await response.aread()).decode("utf-8", "replace"))
                    raise await self._refusal(response, text, body)
                attempt.answered = True
                await self._read(response, attempt)
        except httpx.TransportError as error:
            raise self._broken(error, attempt) from None

    def _broken(self, error: httpx.TransportError, attempt: "_Attempt") -> Fault:
        if attempt.heard:
            return self._server.broken_off(str(error) or type(error).__name__, attempt.partial())
        self._check()
        return self._server.unreachable(error)

    async def _read(self, response: httpx.Response, attempt: "_Attempt") -> None:
        kind = response.headers.get("content-type", "")
        if "html" in kind:  # some web page, and no server of models
            raise Fault(self._server.unknown_model(None))
        if "json" in kind:  # a server that does not stream
            await response.aread()
            self._take(response.text, attempt)
            return
        async with aclosing(_payloads(response)) as stream:
            while not attempt.splitter.done:
                # A finished reply is not kept waiting for a server that doesn't end the stream.
                limit = _USAGE_SECONDS if attempt.finish_reason else None
                try:
                    data = await asyncio.wait_for(anext(stream), limit)
                except (StopAsyncIteration, TimeoutError):
                    break
                if data == "[DONE]":
                    attempt.finish_reason = attempt.finish_reason or "stop"
                    break
                self._take(data, attempt)
        if not attempt.splitter.done and attempt.finish_reason is None:
            raise self._server.broken_off("the stream ended early", attempt.partial())

    def _take(self, data: str, attempt: "_Attempt") -> None:
        try:
            chunk = json.loads(data)
            if not isinstance(chunk, dict):
                raise TypeError(data)
            if chunk.get("error"):
                raise Fault(self._server.said(faults.error_text(data), attempt.partial()))
            attempt.take(chunk)
        except (ValueError, TypeError, AttributeError, KeyError):
            # transformers serve writes its error message into the JSON without quoting it.
            if data.startswith('{"error"'):
                text = data.removeprefix('{"error":').strip(' "}')
                raise Fault(self._server.said(text[:300], attempt.partial())) from None
            why = f"its stream can't be read: {data[:80]!r}"
            raise self._server.broken_off(why, attempt.partial()) from None

    async def _refusal(self, response: httpx.Response, text: str, body: dict[str, Any]) -> Fault:
        status = response.status_code
        changeable = [f for f in ("stream_options", "max_tokens", *self._droppable) if f in body]
        field = faults.field_not_taken(status, text, changeable)
        fault = self._server.refused(status, response.headers, text)
        if field:
            self._not_taken.add(field)
            return Fault(fault.error, "adapted")
        if faults.is_about_model(status, text):
            models = await self._models()
            if status == 404 or (models is not None and self.model_id not in models):
                return Fault(self._server.unknown_model(models))
        return fault

    async def _models(self) -> list[str] | None:
        """The models that the server says it has; None where it does not say."""
        try:
            response = await self._http().get(
                f"{self.base_url}/models", headers=self._headers(), timeout=5.0
            )
            return [str(model["id"]) for model in response.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    def _body(self, messages: list[PlainMessage]) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "model": self.model_id,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": self.max_tokens,
            **self._sampling,
        }
        body = {name: value for name, value in fields.items() if name not in self._not_taken}
        if "max_tokens" in self._not_taken:  # the newer OpenAI models' name for it
            body["max_completion_tokens"] = self.max_tokens
        return body

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            parts = urlsplit(self.base_url)
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(None, connect=min(CONNECT_SECONDS, self.timeout_seconds)),
                verify=parts.scheme == "https",
                trust_env=parts.hostname not in LOOPBACK,
            )
            self._loop.on_close(self._client.aclose)
        return self._client


class _Again:
    """stamina's hook: whether to ask again after an error, and after how many seconds."""

    def __init__(self, timeout_seconds: float, patience_seconds: float) -> None:
        self.last: Fault | None = None
        self._deadline = time.monotonic() + timeout_seconds
        self._patience_seconds = patience_seconds
        self._first_break: float | None = None

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, Fault) or error.error.partial is not None:
            return False
        self.last = error
        now = time.monotonic()
        if error.again == "adapted":
            return 0.0
        if error.again == "connection":
            # From the first break: the request may have waited for its turn for long before it.
            self._first_break = self._first_break or now
            return now - self._first_break < self._patience_seconds
        if error.again != "busy" or now + (error.wait or 0) >= self._deadline:
            return False
        return error.wait or True  # a wait of 0 would ask without end and without pause


class _Attempt:
    """One request's reply as it comes in."""

    def __init__(self, family: Family, put: Put) -> None:
        self.splitter = ReplySplitter(family.opens_thinking)
        self.finish_reason: str | None = None
        self.answered = False  # with the status 200
        self.heard = 0  # deltas with text
        self._usage: TokenUsage | None = None
        self._put = put

    def take(self, chunk: dict[str, Any]) -> None:
        usage = chunk.get("usage")
        if usage:
            self._usage = TokenUsage(
                int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
            )
        for choice in (chunk.get("choices") or [])[:1]:
            delta = choice.get("delta") or choice.get("message") or {}
            reasoning = delta.get("reasoning") or delta.get("reasoning_content") or ""
            content = delta.get("content") or ""
            self.heard += bool(reasoning) + bool(content)
            for piece in (*self.splitter.feed_reasoning(reasoning), *self.splitter.feed(content)):
                self._put(delta_of(piece))
            self.finish_reason = choice.get("finish_reason") or self.finish_reason

    def end(self, sent: list[PlainMessage]) -> None:
        """Put the last deltas."""
        reply = self.splitter.finish(self.finish_reason)
        for piece in self.splitter.rest():
            self._put(delta_of(piece))
        usage = self._usage or estimated_usage(sent, tokens=self.heard)
        self._put(ReplyDelta(reply=reply, token_usage=usage))

    def partial(self) -> Reply | None:
        """What has come so far; None before the first token."""
        return self.splitter.finish("cancelled") if self.heard else None


async def _payloads(response: httpx.Response) -> AsyncGenerator[str, None]:
    """The data of each server-sent event.

    Lines are split as bytes: httpx's own aiter_lines also splits at characters such as U+2028,
    which may stand unescaped in JSON.
    """
    pending, data = b"", list[bytes]()
    async for block in response.aiter_bytes():
        *lines, pending = (pending + block).split(b"\n")
        for line in (raw.rstrip(b"\r") for raw in lines):
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data).decode("utf-8", "replace")
                data = []
    if pending.startswith(b"data:"):
        data.append(pending[5:].strip())
    if data:
        yield b"\n".join(data).decode("utf-8", "replace")


def _without(key: str, error: ModelError) -> ModelError:
    """The error with the key taken out of the server's words."""
    if key and key in error.message:
        error.message = error.message.replace(key, "…")
        error.args = (error.message,)
    return error
