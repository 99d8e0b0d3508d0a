"""What one reply costs: each of its requests is in the ledger before it is sent."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from serving.ledger import Ledger, LimitReached, has_limits
from serving.link import open_gate
from serving.model import Message, ReplyDelta
from settings.of_route import EndpointSettings

_LETTERS = 3  # characters a token, at worst


class Bill:
    """The requests of one endpoint's replies, one reply at a time.

    `gate` is what the client calls before each request (serving/link.py); it raises LimitReached
    where there is no room for one.
    """

    def __init__(self, ledger: Ledger, endpoint: str, limits: EndpointSettings) -> None:
        self._ledger, self._endpoint, self._limits = ledger, endpoint, limits
        self._numbers: list[int] = []
        self._input = self._most = self._heard = 0
        self._counted: tuple[int, int] | None = None

    def begin(self, messages: Sequence[Message], max_tokens: int) -> None:
        """A reply to `messages` is about to be asked for."""
        self._numbers, self._heard, self._counted = [], 0, None
        self._input = -(-sum(map(_characters, messages)) // _LETTERS)
        self._most = max_tokens

    def gate(self) -> Callable[[], None]:
        """A request is about to be sent; what comes back notes that it costs nothing."""
        try:
            number = self._ledger.begin(self._endpoint, self._limits, self._input, self._most)
        except LimitReached:
            if has_limits(self._limits):
                raise
            return open_gate()  # the book can't be written, and nothing depends on it
        self._numbers.append(number)
        return partial(self._not_served, number)

    def hear(self, delta: ReplyDelta) -> None:
        """A delta came."""
        self._heard += len(delta.content or "") + len(delta.reasoning or "")
        if delta.token_usage is not None:
            self._counted = delta.token_usage.input_tokens, delta.token_usage.output_tokens

    def end(self, *, failed: bool = False) -> None:
        """The reply is over, or broke off: the book is set right.

        Where nothing of it was heard its most stays, as a provider may have thought unseen; or
        nothing does, if the server itself `failed`.
        """
        heard = bool(self._counted or self._heard)
        sent, received = self._counted or (self._input, -(-self._heard // _LETTERS))
        if failed and not heard:
            sent = 0
        for number in self._numbers if heard or failed else ():
            last = number == self._numbers[-1]
            self._ledger.end(number, self._limits, sent, received if last else 0)
        self._numbers = []

    def _not_served(self, number: int) -> None:
        self._numbers.remove(number)
        self._ledger.end(number, self._limits, 0, 0)


def _characters(message: Message) -> int:
    content: Any = message["content"] if isinstance(message, Mapping) else message.content
    if isinstance(content, str):
        return len(content)
    return sum(len(str(part.get("text", ""))) for part in content or ())
