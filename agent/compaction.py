"""The room a conversation has: counted before each request, made in one large step when short.

Between two such steps the prompt only grows at its end. The oldest observations go first,
then the oldest steps become a line each, and only then is what remains cut; the task, the
instructions and the last steps stay. One large step rather than many small ones, since each
makes the engine read the conversation anew: its prefix cache ends at the first changed byte.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smolagents.agents import ActionStep
from smolagents.memory import MemoryStep
from smolagents.models import ChatMessage

from agent import context
from agent.context import Shape
from agent.tokens import TokenCounter, text_of

KEPT_STEPS = 2
"""The last steps, which stay whole as long as anything else can go."""
_GOALS = (0.6, 0.8, 0.95)  # shares of the room that a compaction aims at, the first that can be had
_CUTS = (2000, 800, 300)  # characters of the last observations, when nothing else is left
_MARGIN = 64  # tokens between what we count and what the server does
_GUESSED = 0.9  # the share of the room that may be filled by an estimate
_SURE = 0.33  # an estimate below this share needs no closer look
_TOLD = re.compile(
    r"(?:context (?:length|window|size)\D{0,40}|max_model_len\D{0,12}|up to |limit (?:is|of) )"
    r"(\d{3,8})",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Compaction:
    """What was done to make room: a change of shape, or None, and shorter replies, or 0.

    `reply_tokens` is the new bound of a reply; the counts are those of the prompt.
    """

    shape: Shape | None
    tokens_before: int
    tokens_after: int
    reply_tokens: int = 0


class Window:
    """What of a conversation a model is sent. `shape` is how it is sent at present.

    The model object's `family.context_tokens` and `max_tokens` give the room, or what its
    `context_limit()` says, or what the server said in a refusal. A context that holds less than
    twice the longest reply has `max_tokens` (and `thinking_tokens`) lowered on the model.
    """

    def __init__(self, model: Any, instructions: str, *, remembers_turns: bool) -> None:
        self.shape = Shape()
        self.counter = TokenCounter(model)
        self._model = model
        self.instructions = instructions
        self._remembers_turns = remembers_turns
        family = getattr(model, "family", None)
        self._context_tokens: int = getattr(family, "context_tokens", None) or 32_768
        self._heard = False  # whether the server has answered: only then is it asked anything
        self._asked = False

    def messages(
        self, steps: Sequence[MemoryStep], asked: str = "", shape: Shape | None = None
    ) -> list[ChatMessage]:
        """The prompt in the present shape, or in another one."""
        return context.messages(
            self.instructions,
            steps,
            remembers_turns=self._remembers_turns,
            shape=self.shape if shape is None else shape,
            asked=asked,
        )

    @property
    def room(self) -> int:
        """The tokens that a prompt may have, beside the reply's."""
        reply = getattr(self._model, "max_tokens", None) or 0
        return max(self._context_tokens - reply - _MARGIN, self._context_tokens // 4)

    def fit(self, steps: Sequence[MemoryStep], asked: str = "") -> Compaction | None:
        """Make room if the next prompt needs it; None if it fits, or can't be made to."""
        reply = self._ask_for_limit()
        messages = self.messages(steps, asked)
        tokens = self.counter.estimate(messages)
        if self._heard and tokens > self.room * _SURE:
            tokens = self.counter.count(messages)
        fits = tokens <= self.room * (1 if self.counter.exact else _GUESSED)
        made = None if fits else self._compact(steps, asked, tokens, self.room)
        return _with_reply(made, reply, tokens)

    def refused(self, steps: Sequence[MemoryStep], asked: str, why: str) -> Compaction | None:
        """Make room after the server found the prompt too long; None if no more can go."""
        tokens = self.counter.estimate(self.messages(steps, asked))
        told = _TOLD.search(why)
        if told and int(told[1]) < self._context_tokens:
            self._context_tokens = int(told[1])
        reply = self._bound_reply()
        # The server is right: whatever we counted, the next prompt has to be much shorter.
        room = self.room if reply else min(self.room, tokens * 3 // 4)
        made = self._compact(steps, asked, tokens, room) if tokens > room else None
        return _with_reply(made, reply, tokens)

    def learn(self, sent: Sequence[ChatMessage], tokens: int) -> None:
        """Take the token count that came with a reply; a client's own guess teaches nothing."""
        self._heard = True
        guess = -(-sum(len(text_of(message)) for message in sent) // 4)
        if abs(tokens - guess) > len(sent):
            self.counter.learn(sent, tokens)

    def _ask_for_limit(self) -> int:
        """Once, and of a server that is there: while it is not, the question would hang.

        The new length of a reply, 0 if it stays.
        """
        ask = getattr(self._model, "context_limit", None)
        if ask is None or self._asked or not self._heard:
            return 0
        self._asked = True
        self._context_tokens = min(ask() or self._context_tokens, self._context_tokens)
        return self._bound_reply()

    def _bound_reply(self) -> int:
        """Half of the context is the most for a reply; its new length, 0 if it stays."""
        most = self._context_tokens // 2
        if (getattr(self._model, "max_tokens", None) or 0) <= most:
            return 0
        self._model.max_tokens = most
        thinking = getattr(self._model, "thinking_tokens", None)
        if thinking is not None:
            self._model.thinking_tokens = min(thinking, most * 3 // 4)
        return most

    def _compact(
        self, steps: Sequence[MemoryStep], asked: str, tokens: int, room: int
    ) -> Compaction | None:
        now = self.counter.estimate(self.messages(steps, asked))
        scale = tokens / max(now, 1)  # candidates are estimated, the engine isn't asked of each

        def size(shape: Shape) -> float:
            return self.counter.estimate(self.messages(steps, asked, shape)) * scale

        gentle = [(shape, size(shape)) for shape in self._older_shortened(steps)]
        harsh = [(shape, size(shape)) for shape in self._all_shortened(steps, gentle)]
        tries = [(gentle, goal) for goal in _GOALS] + [(harsh, _GOALS[-1])]
        fits = (shape for some, goal in tries for shape, n in some if n <= room * goal)
        smallest = min([*gentle, *harsh], key=lambda one: one[1], default=(None, 0))[0]
        best = next(fits, smallest)
        if best is None:
            return None
        after = self.counter.count(self.messages(steps, asked, best))
        if after >= tokens:
            return None
        self.shape = best
        return Compaction(best, tokens, after)

    def _older_shortened(self, steps: Sequence[MemoryStep]) -> Iterator[Shape]:
        """Shapes that send less of all but the last steps, the gentlest first."""
        trimmed, summarised, most = self.shape.trimmed, self.shape.summarised, self.shape.most_chars
        older = [place + 1 for place in self._done(steps)[:-KEPT_STEPS]]
        for place in older:
            if place > trimmed:
                trimmed = place
                yield Shape(trimmed, summarised, most)
        for place in older:
            if place > summarised:
                summarised = place
                yield Shape(trimmed, summarised, most)

    def _all_shortened(
        self, steps: Sequence[MemoryStep], before: Sequence[tuple[Shape, float]]
    ) -> Iterator[Shape]:
        """Shapes that send less of the last steps too."""
        last = before[-1][0] if before else self.shape
        for most in _CUTS:
            if not last.most_chars or most < last.most_chars:
                last = replace(last, most_chars=most)
                yield last
        for place in self._done(steps)[-KEPT_STEPS:-1]:
            if place + 1 > last.summarised:
                last = replace(last, summarised=place + 1)
                yield last

    def _done(self, steps: Sequence[MemoryStep]) -> list[int]:
        """The places of the steps that are sent."""
        begin = 0 if self._remembers_turns else context.last_task(steps)
        return [n for n in range(begin, len(steps)) if isinstance(steps[n], ActionStep)]


def _with_reply(made: Compaction | None, reply: int, tokens: int) -> Compaction | None:
    if not reply:
        return made
    return replace(made or Compaction(None, tokens, tokens), reply_tokens=reply)
