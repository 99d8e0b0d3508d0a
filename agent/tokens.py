"""How many tokens a prompt has: the engine's own count, or an estimate that learns from it."""

from collections.abc import Callable, Sequence
from typing import Any

from smolagents.models import ChatMessage

_LETTERS = 3.5
"""Characters a token in English and code; digits and other scripts are counted singly, as the
vocabularies of Qwen and DeepSeek cut them at worst."""
_LEAST, _MOST = 0.3, 3.0  # what is believed of a calibration
_TEMPLATE_TOKENS = 6  # a chat template's own tokens around one message
_CACHED = 4096  # counts that are kept


class TokenCounter:
    """Counts prompts for one model.

    A model object may have `count_tokens(text) -> int | None`, the engine's own tokenizer; where
    it is missing or gives None, characters are counted by their kind, times `rate`, which
    `learn` sets.
    """

    def __init__(self, model: Any) -> None:
        self._ask: Callable[[str], int | None] | None = getattr(model, "count_tokens", None)
        self._known: dict[str, int] = {}
        self.rate = 1.0

    @property
    def exact(self) -> bool:
        """Whether the engine itself counts."""
        return self._ask is not None

    def count(self, messages: Sequence[ChatMessage]) -> int:
        """The tokens of a prompt. Each message is asked about once, since they don't change."""
        return sum(self._count(text_of(message)) + _TEMPLATE_TOKENS for message in messages)

    def estimate(self, messages: Sequence[ChatMessage]) -> int:
        """The same without asking the engine, for prompts that are only considered."""
        weight = sum(likely_tokens(text_of(message)) for message in messages)
        return round(weight * self.rate) + _TEMPLATE_TOKENS * len(messages)

    def learn(self, messages: Sequence[ChatMessage], tokens: int) -> None:
        """Take the server's count of a prompt that was sent (`usage.prompt_tokens`)."""
        counted = tokens - _TEMPLATE_TOKENS * len(messages)
        weight = sum(likely_tokens(text_of(message)) for message in messages)
        if counted > 0 and weight > 0:
            self.rate = min(max(counted / weight, _LEAST), _MOST)

    def _count(self, text: str) -> int:
        if self._ask is not None:
            known = self._known.get(text)
            if known is None:
                known = self._ask(text)
            if known is not None:
                if len(self._known) >= _CACHED:
                    self._known.clear()
                self._known[text] = known
                return known
            self._ask = None  # this engine does not count
        return round(likely_tokens(text) * self.rate)


def likely_tokens(text: str) -> float:
    """The tokens that the text is likely to have at most."""
    others = len(text) - len(text.encode("ascii", "ignore"))
    digits = sum(map(text.count, "0123456789"))
    return others + digits + (len(text) - others - digits) / _LETTERS


def text_of(message: ChatMessage) -> str:
    """The text of a message of ours."""
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or [])
