"""Replies streamed at once from one server, timed: what benchmarks/serving.py measures with."""

import asyncio
import json
import statistics
import time
import uuid
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx

# Sentences that a model of any size can go on from; a number first, so that no two begin alike.
_FILLER = "The ship left the harbour at dawn and the wind was light from the west. "


@dataclass(frozen=True)
class Server:
    """One server under test. `base_url` ends in /v1; `is_vllm` by what it says of its models."""

    base_url: str
    key: str
    model: str
    is_vllm: bool

    @property
    def root(self) -> str:
        """The address without /v1, where vLLM has /metrics and /tokenize."""
        return self.base_url.removesuffix("/v1")

    def client(self) -> httpx.Client:
        return httpx.Client(headers=self.headers, trust_env=False, timeout=600)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}


@dataclass(frozen=True)
class Stream:
    """One reply: seconds on one clock, and the server's own counts of tokens."""

    asked: float
    first: float
    last: float
    tokens: int
    prompt_tokens: int

    @property
    def speed(self) -> float:
        """Tokens a second from the first to the last."""
        return (self.tokens - 1) / max(self.last - self.first, 1e-9)


@dataclass(frozen=True)
class Round:
    """So many streams at once."""

    streams: list[Stream]

    @property
    def first_token(self) -> float:
        """Seconds until the first token: the median stream."""
        return statistics.median(stream.first - stream.asked for stream in self.streams)

    @property
    def one(self) -> float:
        """Tokens a second of one stream, once it has begun: the median stream."""
        return statistics.median(stream.speed for stream in self.streams)

    @property
    def all(self) -> float:
        """Tokens a second of all together, from the first question to the last token."""
        ended = max(s.last for s in self.streams) - min(s.asked for s in self.streams)
        return sum(stream.tokens for stream in self.streams) / ended

    @property
    def in_turn(self) -> bool:
        """Whether no two overlapped: the server takes one request at a time."""
        by_time = sorted(self.streams, key=lambda stream: stream.first)
        return len(by_time) > 1 and all(b.first >= a.last for a, b in pairwise(by_time))


def prompt(words: int) -> list[dict[str, str]]:
    """A prompt of about that many words, whose beginning no other has."""
    text = f"{uuid.uuid4().hex} {_FILLER * max(words // 15, 1)}"
    return [{"role": "user", "content": f"{text}\nTell what happened to the ship, in full."}]


def ask(server: Server, count: int, *, tokens: int, words: int) -> Round:
    """`count` replies of `tokens` each (fewer where the model ends by itself), all at once."""
    return asyncio.run(_ask(server, count, tokens, words))


async def _ask(server: Server, count: int, tokens: int, words: int) -> Round:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        headers=server.headers, trust_env=False, timeout=600, limits=limits
    ) as http:
        await http.get(f"{server.base_url}/models")  # the first connection is not what is timed
        body = {
            "model": server.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": tokens,
            "temperature": 0,
            **({"ignore_eos": True} if server.is_vllm else {}),
        }
        asked = [{**body, "messages": prompt(words)} for _ in range(count)]
        return Round(list(await asyncio.gather(*(_one(http, server, body) for body in asked))))


async def _one(http: httpx.AsyncClient, server: Server, body: dict[str, Any]) -> Stream:
    asked, first, last, deltas = time.perf_counter(), 0.0, 0.0, 0
    usage: dict[str, Any] = {}
    url = f"{server.base_url}/chat/completions"
    async with http.stream("POST", url, json=body) as reply:
        if reply.status_code != 200:
            raise SystemExit(f"{reply.status_code}: {(await reply.aread())[:500]!r}")
        async for line in reply.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            delta = (chunk.get("choices") or [{}])[0].get("delta") or {}
            if any(delta.get(kind) for kind in ("content", "reasoning", "reasoning_content")):
                last = time.perf_counter()
                first, deltas = first or last, deltas + 1
    if not deltas:
        raise SystemExit(f"{server.base_url} streamed an empty reply.")
    tokens = int(usage.get("completion_tokens") or deltas)
    return Stream(asked, first, last, tokens, int(usage.get("prompt_tokens") or 0))
