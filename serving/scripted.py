"""A model that says what it is told to: for demos, docs and tests."""

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from errors import Cancelled, ModelError
from serving.families import FAMILIES, Family
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
from serving.reply import ReplySplitter

_CHUNK = 8  # characters of one delta


class ScriptedModel(StreamingModel):
    """Gives `replies` in order, each streamed through the same splitter as a real model's.

    A reply is the raw text of a model of `family`, thinking and tags included; a pair
    `(text, finish_reason)` ends otherwise than by itself, with `length` for instance.
    `history` is the list of message lists it was sent, as a server would have received them.
    `delay_seconds` passes before each delta of a few characters.

        ScriptedModel(["Add them.</think>\\n```python\\nfinal_answer(1 + 2)\\n```"])

    Raises ModelError when the replies are used up.
    """

    def __init__(
        self,
        replies: Sequence[str | tuple[str, str]],
        family: Family = FAMILIES["instruct"],
        *,
        delay_seconds: float = 0.0,
    ) -> None:
        super().__init__("scripted", family)
        self.history: list[list[PlainMessage]] = []
        self._replies = list(replies)
        self._delay = delay_seconds
        self._lock = threading.Lock()

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
        """Stream the next reply; see `StreamingModel.generate_stream`."""
        refuse_unused(response_format, tools_to_call_from, **kwargs)
        plain = plain_messages(messages, self.family)
        with self._lock:
            number = len(self.history)
            if number >= len(self._replies):
                raise ModelError(
                    f"The script has only {len(self._replies)} replies and is asked for one more.",
                    fix="Give ScriptedModel more replies.",
                )
            self.history.append(plain)
        reply = self._replies[number]
        text, finish_reason = (reply, "stop") if isinstance(reply, str) else reply
        return self._play(text, finish_reason, plain, cancel)

    def _play(
        self,
        text: str,
        finish_reason: str,
        sent: list[PlainMessage],
        cancel: threading.Event | None,
    ) -> Iterator[ReplyDelta]:
        splitter = ReplySplitter(self.family.opens_thinking, self.family.marks)
        said = 0
        for start in range(0, len(text), _CHUNK):
            self._pause(cancel)
            chunk = text[start : start + _CHUNK]
            said += len(chunk)
            yield from map(delta_of, splitter.feed(chunk))
            if splitter.done:
                break
        self._pause(cancel)
        reply = splitter.finish(finish_reason)
        yield from map(delta_of, splitter.rest())
        yield ReplyDelta(reply=reply, token_usage=estimated_usage(sent, tokens=-(-said // 4)))

    def _pause(self, cancel: threading.Event | None) -> None:
        if cancel is None:
            time.sleep(self._delay)
        elif cancel.wait(self._delay):
            raise Cancelled
