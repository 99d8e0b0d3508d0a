"""The client: a smolagents Model over the OpenAI streaming protocol.

Reads the thinking wherever the server puts it: in `reasoning` (vLLM), in
`reasoning_content` (transformers serve, DeepSeek, older vLLM), or as `<think>` in the text.
No stop strings are sent; the connection is closed at the end of the first code block, which
ends the work on the server too. Written on httpx, not on the openai client: that one takes
keys and addresses from the environment by itself, and hides whether a stream really ended.

A connection that fails is tried again for a short while, a busy server (429, 502, 503, 504)
until the deadline, waiting as its Retry-After says, and one that fails on the request (500, an
error in the stream) a few times. A reply that breaks off goes on where it was, on a server that
can render a prompt, and begins anew on others. What outlasts all this is a ModelError that
carries the reply so far. `serving.turn` does it, and keeps the thinking within its budget.
"""

import asyncio
import queue
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

import httpx

from errors import Cancelled, HearthError, InputError, ModelError
from serving import faults
from serving.families import Family
from serving.faults import Fault, Names, Server
from serving.link import Gate, Link, Quirks, open_gate
from serving.loop import LoopThread
from serving.model import (
    Message,
    PlainMessage,
    ReplyDelta,
    StreamingModel,
    plain_messages,
    refuse_unused,
)
from serving.request import Fields
from serving.retries import Again, GivesUp
from serving.turn import Limits, Put, Turn

__all__ = ["ChatModel", "ReplyDelta"]

STALL_SECONDS = 120.0
_POLL_SECONDS = 0.1  # how often a waiting stream looks at `cancel`
_ASIDE_SECONDS = 20.0  # for a question beside a reply

T = TypeVar("T")


class ChatModel(StreamingModel):
    """A model behind an OpenAI-compatible server.

    `base_url` ends where `/chat/completions` begins, usually with `/v1`. `api_key` may be empty; it
    appears in no message, repr or log. `timeout_seconds` bounds one reply, waiting included.
    `patience_seconds`: how long connections that fail are tried again, for an engine that
    restarts; `check` is called each time, on the model's own thread, and raises a HearthError
    when it is gone for good. `temperature`, `top_p`, `max_tokens` and `thinking_tokens` (at most
    three quarters of them are thought) replace the family's. `stall_seconds`: how long a
    stream that has begun may be silent; `gives_up` says when else a server is given up on before
    the deadline. `quirks` are known of the server, `names` what its settings are called, and
    `gate` is called before each request for a reply (serving/link.py); `transport`
    carries requests to an engine in this process. Several threads may stream at once. The first
    request starts a thread of the model's own; `close` ends it.

    The token usage is the server's where it sends one. A reply that ends with a code block is
    closed before most servers do: then the deltas are counted as output tokens (servers send
    about one a delta), and a quarter of the characters sent as input tokens. Where one reply
    took several requests, input tokens are those of the first.
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
        thinking_tokens: int | None = None,
        stall_seconds: float = STALL_SECONDS,
        gives_up: GivesUp = GivesUp(),
        quirks: Quirks = Quirks(),
        names: Names = Names(),
        gate: Gate = open_gate,
        transport: httpx.AsyncBaseTransport | None = None,
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
        self.stall_seconds = stall_seconds
        self.gives_up = gives_up
        self._check = check
        self.max_tokens = max_tokens or family.max_tokens
        self.thinking_tokens = (
            family.thinking_tokens if thinking_tokens is None else thinking_tokens
        )
        self._key = api_key
        self._server = Server(faults.shown_address(self.base_url), model_id, bool(api_key), names)
        chosen = {"temperature": temperature, "top_p": top_p}
        self._fields = Fields(model_id, family, chosen, quirks.lacks)
        self._link = Link(
            self.base_url,
            api_key,
            model_id,
            timeout_seconds,
            plain=quirks.plain,
            gate=gate,
            transport=transport,
        )
        self._loop = LoopThread(f"chat {model_id}")
        self._loop.on_close(self._link.aclose)
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

    def count_tokens(self, text: str) -> int | None:
        """How many tokens `text` is, by the server's own tokenizer; None where it can't say."""
        return self._aside(lambda: self._link.count(text))

    def context_limit(self) -> int | None:
        """The tokens of context that the server says it has; None where it doesn't."""
        self._aside(self._link.capabilities)
        return self._link.context_tokens

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

    def _aside(self, question: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """The answer to a question of the server's thread, None if it takes too long."""
        answers: queue.SimpleQueue[T] = queue.SimpleQueue()

        async def ask() -> None:
            answers.put(await question())

        call = self._loop.call(ask())
        if not call.done.wait(_ASIDE_SECONDS):
            call.cancel()
        return None if answers.empty() else answers.get()

    # All below runs on the model's own thread.

    async def _produce(self, messages: list[PlainMessage], put: Put) -> None:
        """One reply from request to last delta; a fault is put where the delta would be."""
        turn = Turn(
            self._link,
            self._server,
            self._fields,
            self.family,
            messages,
            put,
            Limits(
                self.max_tokens,
                self.thinking_tokens,
                self.stall_seconds,
                self.gives_up.silent_seconds,
            ),
            self._check,
        )
        again = Again(self.timeout_seconds, self.patience_seconds, self.gives_up)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await turn.run(again)
        except TimeoutError:
            late = self._server.too_slow(self.timeout_seconds, turn.partial())
            put(self._shown(again.last.error if again.last and not turn.answered else late, turn))
        except Fault as fault:
            put(self._shown(fault.error, turn))
        except HearthError as error:
            put(error)
        except Exception as error:  # noqa: BLE001 - the reader waits on another thread
            put(error)

    def _shown(self, error: ModelError, turn: Turn) -> ModelError:
        """The error with the reply so far, and with the key taken out of the server's words."""
        error.partial = error.partial or turn.partial()
        return _without(self._key, error)


def _without(key: str, error: ModelError) -> ModelError:
    """The error with the key taken out of the server's words."""
    for text in filter(None, (key, repr(key)[1:-1])):
        error.message = error.message.replace(text, "…")
    error.args = (error.message,)
    return error
