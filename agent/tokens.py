"""How many tokens a prompt has: the engine's own count, or an estimate that learns from it."""

from collections.abc import Callable, Sequence
from typing import Any

from smolagents.models import ChatMessage

# UTF-8 bytes a token, before anything is known: code and English have 3 to 4 in the vocabularies of
# Qwen and Llama, Chinese about 3. Low, so that a guess makes room rather too early than too late.
FIRST_GUESS = 3.0
_LEAST, _MOST = 1.0, 8.0  # what is believed of a calibration
_TEMPLATE_TOKENS = 6  # a chat template's own tokens around one message
_CACHED = 4096  # counts that are kept


class TokenCounter:
    """Counts prompts for one model.

    A model object may have `count_tokens(text) -> int | None`, the engine's own tokenizer; where
    it is missing or gives None, bytes are counted, at a rate that `learn` sets.
    """

    def __init__(self, model: Any) -> None:
        self._ask: Callable[[str], int | None] | None = getattr(model, "count_tokens", None)
        self._known: dict[str, int] = {}
        self.bytes_per_token = FIRST_GUESS

    @property
    def exact(self) -> bool:
        """Whether the engine itself counts."""
        return self._ask is not None

    def count(self, messages: Sequence[ChatMessage]) -> int:
        """The tokens of a prompt. Each message is asked about once, since they don't change."""
        return sum(self._count(text_of(message)) + _TEMPLATE_TOKENS for message in messages)

    def estimate(self, messages: Sequence[ChatMessage]) -> int:
        """The same without asking the engine, for prompts that are only considered."""
        return sum(
            round(len(text_of(message).encode()) / self.bytes_per_token) + _TEMPLATE_TOKENS
            for message in messages
        )

    def learn(self, messages: Sequence[ChatMessage], tokens: int) -> None:
        """Take the server's count of a prompt that was sent (`usage.prompt_tokens`)."""
        texts = [text_of(message) for message in messages]
        counted = tokens - _TEMPLATE_TOKENS * len(texts)
        size = sum(len(text.encode()) for text in texts)
        if counted > 0 and size > 0:
            self.bytes_per_token = min(max(size / counted, _LEAST), _MOST)

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
        return round(len(text.encode()) / self.bytes_per_token)


def text_of(message: ChatMessage) -> str:
    """The text of a message of ours."""
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or [])
