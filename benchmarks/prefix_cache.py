"""How much of an agent's prompts a real engine has in its prefix cache, step by step.

The agent runs whole: its prompts, its tools, its sandbox. Its replies are scripted, so that every
model's run has the same steps; the engine reads each prompt as it would for a reply of its own,
and says how many of its tokens it had. Used by benchmarks/serving.py and loop_agent.py.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.streams import Server
from serving.families import Family
from serving.model import ReplyDelta, plain_messages
from serving.scripted import ScriptedModel

_OWN_TOKENS = 16  # that the engine says itself: their blocks go into the cache too


@dataclass(frozen=True)
class Read:
    """One prompt as the engine read it. `common`: how many of its first tokens it has in common
    with one before, which is the most that could be in the cache; None where it can't be told."""

    tokens: int
    cached: int
    common: int | None

    @property
    def share(self) -> float:
        return self.cached / self.tokens


class Reader:
    """Has one engine read prompts after one another."""

    def __init__(self, server: Server) -> None:
        self.told = False
        """Whether the engine says how much it had."""
        self._server = server
        self._before: list[list[int]] = []

    def read(self, messages: Sequence[dict[str, str]]) -> Read:
        """The engine's own count for a chat of these messages."""
        chat = {"model": self._server.model, "messages": list(messages)}
        body = {**chat, "max_tokens": _OWN_TOKENS, "temperature": 0}
        with self._server.client() as http:
            reply = http.post(f"{self._server.base_url}/chat/completions", json=body)
            if reply.status_code != 200:
                raise SystemExit(f"{reply.status_code}: {reply.text[:500]}")
            rendered = http.post(f"{self._server.root}/tokenize", json=chat)
        usage = reply.json()["usage"]
        details = usage.get("prompt_tokens_details") or {}
        self.told = "cached_tokens" in details
        ids = rendered.json().get("tokens") if rendered.status_code == 200 else None
        common = None
        if isinstance(ids, list):
            common = max((_common(ids, earlier) for earlier in self._before), default=0)
            self._before.append(ids)
        return Read(usage["prompt_tokens"], details.get("cached_tokens") or 0, common)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    differing = (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    return next(differing, min(len(a), len(b)))


class ReadAloud(ScriptedModel):
    """A script for the agent, each of whose prompts the engine reads first; `reads` says how."""

    def __init__(self, replies: Sequence[str], family: Family, server: Server) -> None:
        super().__init__(list(replies), family)
        self.reads: list[Read] = []
        self._reader = Reader(server)

    def generate_stream(self, messages: Any, *args: Any, **more: Any) -> Iterator[ReplyDelta]:
        self.reads.append(self._reader.read(plain_messages(messages, self.family)))
        return super().generate_stream(messages, *args, **more)


def long_run(steps: int, thinking: int, rows: int = 10) -> list[str]:
    """The raw replies of a run: short code, some `rows` lines of output each, then the answer.

    `thinking`: words of thought in each.
    """
    made = [
        _step(
            n,
            thinking,
            f"rows{n} = [(i, i * {n}, (i * {n}) % 7) for i in range({n}, {n} + {rows})]\n"
            f"for row in rows{n}:\n    print('row', *row)",
        )
        for n in range(1, steps)
    ]
    return [*made, _step(steps, thinking, "final_answer(sum(row[1] for row in rows1))")]


def _step(number: int, thinking: int, code: str) -> str:
    words = " ".join(f"So with {number} I would look at value {n}." for n in range(thinking // 8))
    return f"{words}\n</think>\n\n```python\n{code}\n```"


def counters(server: Server) -> tuple[float, float] | None:
    """Tokens of prompts so far, and those of them that were in the cache, by vLLM's /metrics."""
    with server.client() as http:
        text = http.get(f"{server.root}/metrics").text
    found = []
    for name in ("prefix_cache_queries_total", "prefix_cache_hits_total"):
        values = re.findall(rf"^vllm:{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
        if not values:
            return None
        found.append(sum(map(float, values)))
    return found[0], found[1]


def shown(reads: Sequence[Read]) -> list[str]:
    """The steps after the first in words: what was in the cache, and what could have been."""
    later = list(reads)[1:]
    tokens, cached = sum(r.tokens for r in later), sum(r.cached for r in later)
    shares = [r.share for r in later]
    lines = [
        f"{len(reads)} prompts, the last of {reads[-1].tokens:,} tokens; of the steps after the "
        f"first {cached / tokens:.1%} in the cache ({min(shares):.1%} to {max(shares):.1%})"
    ]
    if all(r.common is not None for r in later):
        common = sum(r.common or 0 for r in later)
        lines.append(
            f"  {common / tokens:.1%} had been read before: whole blocks only cost "
            f"{(common - cached) / tokens:.1%} ({(common - cached) / len(later):.0f} tokens a step)"
        )
    read = sum(r.tokens - r.cached for r in reads)
    lines.append(f"  {read:,} tokens were read anew in all, of {sum(r.tokens for r in reads):,}")
    return lines
