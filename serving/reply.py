r"""What a model streams, split as it comes into thinking, text, and the code that acts.

`ReplySplitter` is pure (no clock, no network) and linear: each character is looked at a
bounded number of times, however the server cuts its deltas. Its rules:

- Thinking ends at `</think>`, whether `<think>` was written, or the chat template wrote it
  (`opens_thinking`), or the server sent the thinking in a field of its own
  (`feed_reasoning`). A tag that is quoted, or that a sentence goes on around, is only talked
  about. A later `</think>` makes all before it thinking, if anything comes after it. Nothing
  inside the thinking is ever code or an answer.
- The first complete code block after the thinking acts and ends the reply: a fence marked
  python or py, `<code>…</code>`, an unmarked fence whose content calls something, or a tool
  call written as JSON, which becomes the Python that does the same. Blocks in other languages
  and blocks of comments are text. Inside Python, a fence in a string does not close the block.
- A block left open when the model ended by itself counts as complete; one cut by the token
  limit or by the user does not.
- Without any block, a reply that is nothing but Python, or a line `final_answer(…)`, acts.
- A token of the chat template ends the reply: what follows is invented.
- Marks that one family alone writes are taken out before all this: `serving.channels`.
"""

import copy
from dataclasses import dataclass, replace
from typing import Literal

from serving import markup
from serving.actions import bare_code
from serving.answers import find_answer
from serving.blocks import BlockScanner, Kind, Piece
from serving.channels import MARKS
from serving.markup import Block, Finish, normal_finish

__all__ = ["Kind", "Piece", "Reason", "Reply", "ReplySplitter"]

Part = Literal["thinking", "text", "code"]
Forced = Literal["thinking_budget", "repetition", "unclosed"]
Reason = Literal[
    "thinking_budget", "length", "repetition", "unclosed", "empty", "prose", "cancelled"
]


@dataclass(frozen=True)
class Reply:
    """A whole reply.

    `thinking` and `text` are stripped of white space at both ends; `text` ends with the code
    block, if there is one. `code` is what to run, `answer` what the text states as its answer
    when there is no code (so it is stated, not computed). `finish` says why the reply ended:
    `code` (a code block), `stop` (the model ended by itself), `length` (the token limit),
    `repetition` (it went round in circles and was cut), `thinking_budget` (the thinking was
    cut and nothing came of it) or `cancelled`. `ended_in` is what a reply without code was in
    the middle of. `forced` says why the client closed the thinking in the model's place, if
    it did.
    """

    thinking: str
    text: str
    code: str | None
    answer: str | None
    finish: Finish
    ended_in: Part = "text"
    forced: Forced | None = None

    @property
    def reason(self) -> Reason | None:
        """Why there is neither code nor an answer; None when there is one of them.

        `thinking_budget`, `length`, `repetition`: cut, see `ended_in`; `unclosed`: it ended by
        itself while still thinking; `empty`: nothing after the thinking; `prose`: text only.
        """
        if self.code is not None or self.answer is not None:
            return None
        if self.finish != "stop" and self.finish != "code":
            return self.finish
        if self.ended_in == "thinking" and self.thinking:
            return self.forced or "unclosed"
        return "prose" if self.text else self.forced or "empty"


class ReplySplitter(BlockScanner):
    """Splits one reply. `opens_thinking`: the chat template has already written `<think>`.

    `marks`: those of `serving.channels` that the model writes, or none.
    """

    def __init__(self, opens_thinking: bool, marks: str = "") -> None:
        super().__init__()
        self._marks = MARKS[marks]() if marks else None
        self._mode = self._in_thinking if opens_thinking else self._in_prose
        self._opener = "think"  # the tag that opened the thinking, so that closes it
        self._reasoning = False  # the last delta was thinking in a field of its own
        self._mentions: list[int] = []  # parts after a closing tag that was taken for a mention
        self._looked_at, self._fenced = 0, False  # parts searched for fences; whether one is open
        self._forced: Forced | None = None

    @property
    def thinking(self) -> bool:
        """Whether the thinking is still going on."""
        in_channel = self._marks is not None and self._marks.thinking
        return self._mode == self._in_thinking or in_channel

    @property
    def said(self) -> bool:
        """Whether there is text after the thinking."""
        return self._has_text and not self.thinking

    @property
    def closed(self) -> bool:
        """Whether the thinking has ended, as far as can be known before `finish`."""
        return not self.thinking or bool(self._mentions)

    def feed(self, text: str) -> list[Piece]:
        """The pieces that `text`, the next delta, completes. Empty once `done`."""
        return self._feed(text) if self._marks is None else self._sorted(self._marks.feed(text))

    def _sorted(self, parts: list[Piece]) -> list[Piece]:
        """The pieces of a stream whose marks were taken out."""
        feeds = {"thinking": self.feed_reasoning, "text": self._feed}
        return [piece for part in parts for piece in feeds[part.kind](part.text)]

    def _feed(self, text: str) -> list[Piece]:
        if self.done:
            return []
        if self._reasoning and text:
            self._reasoning = False
            if self._mode == self._in_thinking:
                self._mode = self._in_prose
        self._buffer, self._at = self._buffer[self._at :] + text, 0
        self._run()
        return self._taken()

    def feed_reasoning(self, text: str) -> list[Piece]:
        """The same for a delta of the server's reasoning field: thinking, tags and all."""
        if self.done or not text:
            return []
        self._reasoning = True
        self._parts.append(Piece("thinking", text))
        return [Piece("thinking", text)]

    def close_thinking(self, why: Forced, words: str = "") -> list[Piece]:
        """End the thinking in the model's place, with `words` as its last; the text goes on."""
        self._forced = why
        self.done = False
        self._forget_marks()
        self._emit(len(self._buffer))
        if words:
            self._mode = self._in_thinking
            self._buffer, self._at = words, 0
            self._emit(len(words))
        self._close_thinking(len(self._buffer))
        self._mentions.clear()
        return self._taken()

    def begin_again(self, opens_thinking: bool) -> None:
        """The next delta begins another reply, which goes on after what is there."""
        self._opener = "think"
        self._mode = self._in_thinking if opens_thinking else self._in_prose
        self._forget_marks()

    def _forget_marks(self) -> None:
        if self._marks is not None:
            self._marks = type(self._marks)()

    def go_on(self) -> None:
        """The next delta goes on where the last one ended, thinking and text in one."""
        self._reasoning = False

    def settle(self) -> list[Piece]:
        """The server has ended its stream: the pieces that were held back."""
        held = [] if self._marks is None else self._sorted(self._marks.rest())
        self._final = True
        self._run()
        self._final = False
        return held + self._taken()

    def finish(self, finish_reason: str | None = None) -> Reply:
        """The reply, whole. `finish_reason` is the server's word, or one of `Finish`.

        What was held back as the possible beginning of a tag is then in `rest()`.
        """
        finish = normal_finish(finish_reason)
        if self._marks is not None:
            self._pieces = self._sorted(self._marks.end())
        if not self.done:
            self._final = True
            self._run()
        if not self.done:
            self._emit(len(self._buffer))
            self._end_open_block(natural=finish == "stop")
        if finish == "stop" and self.thinking and self._mentions:
            return self._closed_after_all()
        thinking, text = self._kept()
        code = self._found
        if code is None and finish == "stop":
            code = bare_code(text)
        if code is not None:
            finish = "code"
        elif self.done:
            finish = "stop"
        ended: Part = "thinking" if self.thinking else "text"
        if self._open and code is None:
            ended = "code"
        answer = None
        if finish not in ("code", "cancelled"):
            answer = find_answer(text, cut=finish != "stop")
        return Reply(thinking, text, code, answer, finish, ended, self._forced)

    def so_far(self) -> Reply:
        """The reply as far as it has come; the splitter stays as it is."""
        return copy.deepcopy(self).finish("cancelled")

    def rest(self) -> list[Piece]:
        """The pieces that `finish` completed."""
        return self._taken()

    def _taken(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _kept(self) -> tuple[str, str]:
        """Thinking and text so far."""
        texts: list[str] = []
        thoughts: list[str] = []
        for index, part in enumerate(self._parts):
            thinking = part.kind == "thinking" or index < self._thought
            (thoughts if thinking else texts).append(part.text)
        return "".join(thoughts).strip(), "".join(texts).strip()

    def _closed_after_all(self) -> Reply:
        """No other closing tag came, so the first one that looked like a mention was it."""
        first = self._mentions[0]
        after = ReplySplitter(opens_thinking=False)
        after.feed("".join(part.text for part in self._parts[first:]))
        reply = after.finish("stop")
        thinking = "".join(part.text for part in self._parts[: first - 1]).strip()
        thinking = "\n".join(part for part in (thinking, reply.thinking) if part)
        return replace(reply, thinking=thinking, forced=self._forced)

    # The modes outside blocks

    def _wrapped(self, end: int) -> bool | None:
        """Whether the tag from here to `end` stands in quotes or brackets; None: not yet known."""
        closer = markup.WRAPS.get(self._last)
        if closer is None:
            return False
        if end < len(self._buffer):
            return self._buffer[end] in (closer, "\\")
        return False if self._final else None

    def _mentioned(self, end: int) -> bool | None:
        """Whether the tag from here to `end` is only talked about: quoted, or a sentence goes
        on around it. None when more text is needed to know.
        """
        if not self._last or self._last == "\n":
            return False
        if self._last in markup.WRAPS:
            return self._wrapped(end)
        after = self._buffer[end : end + markup.GAP].lstrip(" \t")
        if not after and end + markup.GAP > len(self._buffer) and not self._final:
            return None if self._before.isalpha() or self._before in ",，、" else False
        return bool(after) and after[0] != "\n" and markup.goes_on(self._before, after[0])

    def _in_draft(self) -> bool:
        """Whether the thinking is inside a fence here, in the middle of a line of code."""
        new = "".join(part.text for part in self._parts[self._looked_at :])
        lines = markup.FENCE_LINE.findall(new if self._looked_at else "\n" + new)
        self._looked_at = len(self._parts)
        self._fenced ^= len(lines) % 2 == 1
        return self._fenced and bool(self._before)

    def _in_thinking(self) -> bool:
        match = self._seek(markup.THINKING)
        if match is None:
            return False
        tag, wrapped = markup.think_tag(match.group()), self._wrapped(match.end())
        mentioned = self._mentioned(match.end())
        if mentioned is None or wrapped is None:
            return False
        if tag is None:
            self._turn_in_thinking(match.end(), wrapped)
            return True
        name, closes = tag
        if name != self._opener:
            self._emit(match.end())
        elif closes and not mentioned and not self._in_draft():
            self._close_thinking(match.end())
        elif closes or wrapped:
            self._emit(match.end())
            if closes and not wrapped:
                self._mentions.append(len(self._parts))
        else:
            self._skip(match.end())
        return True

    def _turn_in_thinking(self, end: int, quoted: bool) -> None:
        """The model ended its turn while it was still thinking; what follows is invented."""
        if quoted:
            self._emit(end)
        else:
            self._buffer = self._buffer[: self._at]
            self.done = True

    def _in_prose(self) -> bool:
        match = self._seek(markup.PROSE)
        if match is None:
            return False
        token = match.group()
        if token[0] in "`~":
            return self._fence(token)
        if token[0] == "{":
            self._object()
            return True
        if token[:5].lower() == "<code":
            return self._code_tag(match.end())
        if token == markup.CALL_BEGINS and self._last not in markup.WRAPS:
            self._call_tag(match.end())
            return True
        mentioned = self._mentioned(match.end())
        if mentioned is None:
            return False
        tag = markup.think_tag(token)
        if mentioned:
            self._emit(match.end())
        elif tag is not None:
            self._think_tag(match.end(), *tag)
        elif token == "<tool_call>":
            self._call_tag(match.end())
        else:
            self._turn(token)
        return True

    def _think_tag(self, end: int, name: str, closes: bool) -> None:
        """A thinking tag outside the thinking, which it opens, or closes where nothing had."""
        if not closes:
            self._skip(end)
            self._opener, self._mode = name, self._in_thinking
        elif name == "think":
            self._close_thinking(end)
        else:
            self._emit(end)

    def _call_tag(self, end: int) -> None:
        self._emit(end)
        self._begin(Block("<", "tool_call"), self._in_tool_call)
