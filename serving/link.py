"""The HTTP side of the client: one server's address, key, and what it can do beyond the
OpenAI protocol. Runs on the model's own event loop.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from serving.ports import LOOPBACK

CONNECT_SECONDS = 10.0
_ASIDE_SECONDS = 8.0  # for what is asked beside a reply: models, tokens, a rendered prompt
_MUTE_SECONDS = 10.0  # how long a server that said nothing of its models is not asked again
_DEAD_SECONDS = 3600.0  # the read timeout of last resort; replies have their own deadlines


@dataclass(frozen=True)
class Capabilities:
    """What a server offers beyond the OpenAI protocol.

    `thinking_budget`: the request field `thinking_token_budget` (vLLM, where it runs with a
    reasoning parser or config; it refuses the field otherwise). `repetition`: the field
    `repetition_detection` (vLLM). `counts_always`: the token count comes with every chunk, so
    that it is known when a stream is closed early (vLLM). `renders`: how a conversation
    becomes the text the model sees, so that a reply can be continued in its middle: as token
    ids by `/tokenize` (vLLM), as text by `/apply-template` (llama.cpp, and our transformers
    server), or not at all. To continue through the chat endpoint (`continue_final_message`)
    would not do: R1's chat template cuts an assistant's message at `</think>`.
    """

    thinking_budget: bool = False
    repetition: bool = False
    counts_always: bool = False
    renders: Literal["tokens", "text", "no"] = "no"


NOTHING = Capabilities()
BY_OWNER = {
    "vllm": Capabilities(
        thinking_budget=True, repetition=True, counts_always=True, renders="tokens"
    ),
    "llamacpp": Capabilities(renders="text"),
    "hearth": Capabilities(renders="text"),
}
"""By what a server's /v1/models says in `owned_by`."""


@dataclass(frozen=True)
class Quirks:
    """What is known of a server before it is asked, so that nothing is asked in vain.

    `lacks`: fields of a request that it does not take. `plain`: it has nothing beyond the OpenAI
    protocol, so its list of models is not looked at.
    """

    lacks: tuple[str, ...] = ()
    plain: bool = False


Gate = Callable[[], Callable[[], None]]
"""Called before each request for a reply, which it may refuse with a HearthError. What it returns
is called if the server has not served the request."""


def open_gate() -> Callable[[], None]:
    """The gate that refuses nothing."""
    return lambda: None


class Link:
    """The connection to one server. `base_url` ends where `/chat/completions` begins.

    `gate` is called before each request for a reply.
    `transport` carries the requests, to an engine in this process; else the network does.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        model_id: str,
        timeout_seconds: float,
        *,
        plain: bool = False,
        gate: Gate = open_gate,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        self._transport = transport
        self.model_id = model_id
        self._root = base_url.removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout_seconds
        self._client: httpx.AsyncClient | None = None
        self._gate = gate
        self.known: Capabilities | None = NOTHING if plain else None
        self._ask_again = 0.0
        self.context_tokens: int | None = None
        """What the server says that the model's context holds, once it was asked."""

    @contextlib.asynccontextmanager
    async def stream(self, path: str, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        """A POST whose answer is read as it comes."""
        not_served = self._gate()
        url = f"{self.base_url}{path}"
        try:
            async with self._http().stream("POST", url, json=body, headers=self._headers) as answer:
                if answer.status_code != httpx.codes.OK:
                    not_served()
                yield answer
        except (httpx.ConnectError, httpx.ConnectTimeout):
            not_served()
            raise

    async def models(self) -> list[dict[str, Any]] | None:
        """What the server says about its models; None where it does not say."""
        try:
            response = await self._http().get(
                f"{self.base_url}/models", headers=self._headers, timeout=_ASIDE_SECONDS
            )
            listed = response.json()["data"]
            return [model for model in listed if isinstance(model, dict) and "id" in model]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    async def capabilities(self) -> Capabilities:
        """What the server can do, asked once; nothing while it does not answer."""
        if self.known is None:
            if time.monotonic() < self._ask_again:
                return NOTHING
            models = await self.models()
            if models is None:
                self._ask_again = time.monotonic() + _MUTE_SECONDS
                return NOTHING
            ours = next((m for m in models if m["id"] == self.model_id), None) or {}
            owner = str(ours.get("owned_by") or "").lower()
            self.known = BY_OWNER.get(owner, NOTHING)
            length = ours.get("max_model_len") or (ours.get("meta") or {}).get("n_ctx")
            self.context_tokens = length if isinstance(length, int) else None
        return self.known

    async def rendered(
        self, messages: list[dict[str, str]], extra: dict[str, Any], reply: str
    ) -> str | list[int] | None:
        """The prompt for /completions that goes on after `reply`, the beginning of an answer to
        `messages`: text or token ids. `extra`: the fields of a chat request that the template
        sees. None where the server can't say. Raises httpx.TransportError.
        """
        how = (await self.capabilities()).renders
        chat = {"model": self.model_id, "messages": messages, **extra}
        if how == "text":
            prompt = (await self._aside("/apply-template", chat)).get("prompt")
            return prompt + reply if isinstance(prompt, str) else None
        if how == "tokens":
            before = (await self._aside("/tokenize", chat)).get("tokens")
            said = {"model": self.model_id, "prompt": reply, "add_special_tokens": False}
            after = (await self._aside("/tokenize", said)).get("tokens")
            if isinstance(before, list) and isinstance(after, list):
                return [*before, *after]
        return None

    async def count(self, text: str) -> int | None:
        """How many tokens `text` is to the server's own tokenizer; None where it can't say."""
        if (await self.capabilities()).renders != "tokens":
            return None
        asked = {"model": self.model_id, "prompt": text, "add_special_tokens": False}
        try:
            count = (await self._aside("/tokenize", asked)).get("count")
        except httpx.TransportError:
            return None
        return count if isinstance(count, int) else None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _aside(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a question beside a reply; empty where there is none."""
        response = await self._http().post(
            f"{self._root}{path}", json=body, headers=self._headers, timeout=_ASIDE_SECONDS
        )
        try:
            value = response.json() if response.status_code == httpx.codes.OK else {}
        except ValueError:
            value = {}
        return value if isinstance(value, dict) else {}

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            parts = urlsplit(self.base_url)
            connect = min(CONNECT_SECONDS, self._timeout)
            self._client = httpx.AsyncClient(
                transport=self._transport,
                timeout=httpx.Timeout(_DEAD_SECONDS, connect=connect, pool=None),
                verify=parts.scheme == "https",
                trust_env=parts.hostname not in LOOPBACK,
            )
        return self._client
