"""A reply while it comes in: what was heard of it so far, and what it still lacks. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from serving.blocks import Piece
from serving.families import Family
from serving.markup import CLOSES_CALL, OPENS_CALL
from serving.model import ReplyDelta, delta_of
from serving.reply import Forced, Reply, ReplySplitter
from serving.sse import Chunk
from serving.thinking import CLOSING, Watch

_CUTS: dict[str, Forced] = {"repetition": "repetition", "thinking_budget": "thinking_budget"}
_AS_STOP = {"tool_calls": "stop", "function_call": "stop", "eos": "stop", "end_turn": "stop"}
_GAVE_UP = ("abort", "error")  # vLLM's words for a request that it ended itself


@dataclass
class Request:
    """What has come of one request."""

    heard: int = 0  # deltas with text
    bytes: int = 0
    counted: int | None = None  # tokens, in the server's words
    prompt_tokens: int | None = None

    @property
    def tokens(self) -> int:
        """The server's count, or about one a delta, or four bytes a token where that is more."""
        return max(self.heard, self.bytes // 4) if self.counted is None else self.counted


class Draft:
    """One reply, of one request or of several that go on after one another.

    Its deltas go to `put` as they come. `request` is what came of the latest request, `finish`
    why that ended, None while it hasn't; `forced` says why the thinking was closed, if it was.
    """

    def __init__(
        self, family: Family, budget: int | None, put: Callable[[ReplyDelta], None]
    ) -> None:
        self.watch = Watch(budget)
        self.request = Request()
        self.finish: str | None = None
        self.forced: Forced | None = None
        self.thoughts = ""
        """The thinking before it was closed, without the loop it ended in."""
        self.heard = False
        self._splitter = ReplySplitter(family.opens_thinking, family.marks)
        self._opener = "" if family.opens_thinking else "<think>\n"
        self._opens = family.opens_thinking
        self._put = put
        self._thoughts: list[str] = []
        self._reasoning: list[str] = []  # as it came in the field
        self._content: list[str] = []  # as it came, or was put there
        self._calls: dict[int, list[str]] = {}

    def take(self, chunk: Chunk) -> bool:
        """Take in a chunk; True when nothing more of the stream is wanted.

        Raises ValueError when the server says that it has given up.
        """
        if chunk.usage is not None:
            self.request.prompt_tokens, self.request.counted = chunk.usage
        for index, name, arguments in chunk.calls:
            call = self._calls.setdefault(index, ["", ""])
            call[0], call[1] = call[0] + name, call[1] + arguments
        cut: Forced | None = None
        if chunk.reasoning:
            self._hear(self._reasoning, chunk.reasoning)
            cut = self._pass_on(self._splitter.feed_reasoning(chunk.reasoning))
        if chunk.content:
            self._hear(self._content, chunk.content)
            cut = self._pass_on(self._splitter.feed(chunk.content)) or cut
        if chunk.finish in _GAVE_UP:
            raise ValueError("it gave up")
        if chunk.finish:
            self.finish = _AS_STOP.get(chunk.finish, chunk.finish)
        if self._splitter.done:
            self.finish = "stop"
        elif cut:
            self.finish = cut
        return self._splitter.done or cut is not None

    def lacks(self) -> Forced | Literal["empty"] | None:
        """The stream has ended: why the reply is no reply yet, None when it is one."""
        splitter = self._splitter
        self._pass_on(splitter.settle())
        if self._calls or (splitter.done and splitter.said):
            return None
        cut = _CUTS.get(self.finish or "")
        if cut is not None:
            return cut if splitter.thinking or not splitter.said else None
        if self.finish != "stop" or splitter.said or (splitter.closed and splitter.thinking):
            return None
        return "unclosed" if self._thoughts else "empty"

    def close_thinking(self, why: Forced) -> None:
        """Close the thinking in the model's place."""
        self.thoughts = self.watch.before_loop("".join(self._thoughts)).strip()
        opener = "<think>\n" if self.raw.lstrip().startswith("<think>") else ""
        self._pass_on(self._splitter.close_thinking(why, CLOSING))
        self._content = [f"{opener}{self.thoughts}{CLOSING}</think>\n\n"]
        self._reasoning.clear()
        self.forced, self.finish = why, None

    def go_on(self) -> None:
        """The next request's deltas go on where the last ones ended."""
        self._splitter.go_on()

    def begin_again(self, budget: int | None) -> None:
        """The next request's deltas are another reply, which goes on after what is there."""
        self._splitter.begin_again(self._opens)
        self.watch.again(budget)

    @property
    def raw(self) -> str:
        """The reply so far as the model wrote it, after what its template wrote."""
        content = "".join(self._content)
        if not self._reasoning:
            return content
        closer = f"\n</think>\n\n{content}" if content else ""
        return self._opener + "".join(self._reasoning) + closer

    def partial(self) -> Reply | None:
        """What has come so far; None before the first token."""
        return self._splitter.so_far() if self.heard else None

    def end(self) -> Reply:
        """The reply, after the last deltas are put."""
        for number in sorted(self._calls):
            self._pass_on(self._splitter.feed(_tool_call(*self._calls[number])))
        reply = self._splitter.finish(self.finish)
        self._pass_on(self._splitter.rest())
        return reply

    def _hear(self, kept: list[str], text: str) -> None:
        kept.append(text)
        self.heard = True
        self.request.heard += 1
        self.request.bytes += len(text.encode("utf-8", "replace"))

    def _pass_on(self, pieces: list[Piece]) -> Forced | None:
        """Put the pieces; why the reply must be cut after them, or None."""
        cut: Forced | None = None
        for piece in pieces:
            if piece.kind == "thinking":
                self._thoughts.append(piece.text)
            self._put(delta_of(piece))
            cut = self.watch.take(piece.kind, piece.text) or cut
        return cut


def _tool_call(name: str, arguments: str) -> str:
    """A call that the server has parsed, in the words the splitter knows."""
    call = f'{{"name": "{name}", "arguments": {arguments or "{}"}}}'
    return f"{OPENS_CALL}{call}{CLOSES_CALL}"
