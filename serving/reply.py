r"""What a model streams, split as it comes into thinking, text, and the code that acts.

`ReplySplitter` is pure (no clock, no network) and linear: each character is looked at a
bounded number of times, however the server cuts its deltas. Its rules:

- Thinking ends at `</think>`, whether `<think>` was written, or the chat template wrote it
  (`opens_thinking`), or the server sent the thinking in a field of its own
  (`feed_reasoning`). A quoted tag (`"</think>"`) is only talked about. A later `</think>`
  makes all before it thinking. Nothing inside the thinking is ever code or an answer.
- The first complete code block after the thinking acts and ends the reply: a fence marked
  python or py, `<code>…</code>`, or an unmarked fence whose content calls something. Blocks
  in other languages are text. Inside Python, a fence in a string does not close the block.
- A block left open when the model ended by itself counts as complete; one cut by the token
  limit or by the user does not.
- A token of the chat template after the thinking ends the reply: what follows is invented.
"""

from collections.abc import Callable
from dataclasses import dataclass
from re import Match, Pattern
from typing import Literal, NamedTuple

from serving import markup
from serving.answers import find_answer
from serving.markup import LINE, PYTHON, Block, Finish, language, normal_finish

Kind = Literal["thinking", "text"]


class Piece(NamedTuple):
    """A run of streamed text; `kind` is `thinking` or `text`."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Reply:
    """A whole reply.

    `thinking` and `text` are stripped of white space at both ends; `text` ends with the code
    block, if there is one. `code` is what to run, `answer` what the text states as its answer
    when there is no code. `finish` says why the reply ended: `code` (a code block), `stop` (the
    model ended by itself), `length` (the token limit) or `cancelled`.
    """

    thinking: str
    text: str
    code: str | None
    answer: str | None
    finish: Finish


class ReplySplitter:
    """Splits one reply. `opens_thinking`: the chat template has already written `<think>`."""

    def __init__(self, opens_thinking: bool) -> None:
        self.done = False
        """True once the first code block has closed (or the model began another turn)."""
        self._mode: Callable[[], bool] = self._in_thinking if opens_thinking else self._in_prose
        self._buffer, self._at = "", 0
        self._final = False
        self._pieces: list[Piece] = []
        self._parts: list[Piece] = []  # everything kept, in order
        self._thought = 0  # all parts before this one are thinking, whatever they looked like
        self._has_text = False
        self._reasoning = False  # the server sends the thinking in a field of its own
        self._line = ""  # the beginning of the current line, at most LINE characters
        self._last = ""  # the character before the current position
        self._block = Block()  # the one that is open, or was
        self._found: str | None = None

    def feed(self, text: str) -> list[Piece]:
        """The pieces that `text`, the next delta, completes. Empty once `done`."""
        if self.done:
            return []
        if self._reasoning and self._mode == self._in_thinking and text:
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

    def finish(self, finish_reason: str | None = None) -> Reply:
        """The reply, whole. `finish_reason` is the server's word, or `cancelled`.

        What was held back as the possible beginning of a tag is then in `rest()`.
        """
        finish = normal_finish(finish_reason)
        if not self.done:
            self._final = True
            self._run()
        if not self.done:
            self._emit(len(self._buffer))
            self._end_open_block(natural=finish == "stop")
        texts: list[str] = []
        thoughts: list[str] = []
        for index, part in enumerate(self._parts):
            thinking = part.kind == "thinking" or index < self._thought
            (thoughts if thinking else texts).append(part.text)
        text = "".join(texts).strip()
        if self._found is not None:
            finish = "code"
        elif self.done:
            finish = "stop"
        answer = None if finish in ("code", "cancelled") else find_answer(text, finish == "length")
        return Reply("".join(thoughts).strip(), text, self._found, answer, finish)

    def rest(self) -> list[Piece]:
        """The pieces that `finish` completed."""
        return self._taken()

    # The scanner: each mode handles what stands at `_at` and returns False to ask for more text.

    def _run(self) -> None:
        while self._at < len(self._buffer) and not self.done and self._mode():
            pass

    def _taken(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _emit(self, end: int) -> None:
        """Pass on the text up to `end` as what the present mode holds it for."""
        if end <= self._at:
            return
        chunk = self._buffer[self._at : end]
        self._skip(end)
        piece = Piece("thinking" if self._mode == self._in_thinking else "text", chunk)
        self._pieces.append(piece)
        self._parts.append(piece)
        if piece.kind == "text":
            newline = chunk.rfind("\n")
            self._line = (chunk[newline + 1 :] if newline >= 0 else self._line + chunk)[:LINE]
            self._block.add(chunk)
            self._has_text = self._has_text or not chunk.isspace()

    def _skip(self, end: int) -> None:
        self._last = self._buffer[end - 1]
        self._at = end

    def _seek(self, pattern: Pattern[str]) -> Match[str] | None:
        """Emit up to the next match and return it; None when more text is needed."""
        match = pattern.search(self._buffer, self._at)
        held = 0 if match or self._final else markup.undecided(self._buffer, self._at)
        self._emit(match.start() if match else len(self._buffer) - held)
        return match

    def _mentioned(self, end: int) -> bool | None:
        """Whether the tag from here to `end` is quoted; None when the next character is needed."""
        if self._last not in markup.QUOTES or not self._last:
            return False
        if end < len(self._buffer):
            return self._buffer[end] in (self._last, "\\")
        return False if self._final else None

    def _rest_of_line(self, start: int) -> str | None:
        """The text from `start` to the line's end, without it; None when more is needed.

        A line longer than a fence's line can be comes back as it is so far.
        """
        newline = self._buffer.find("\n", start, start + LINE)
        if newline >= 0:
            return self._buffer[start:newline]
        if self._final or len(self._buffer) - start >= LINE:
            return self._buffer[start : start + LINE]
        return None

    def _in_thinking(self) -> bool:
        match = self._seek(markup.THINK_TAG)
        if match is None:
            return False
        mentioned = self._mentioned(match.end())
        if mentioned is None:
            return False
        if mentioned:
            self._emit(match.end())
        elif match.group() == "<think>":
            self._skip(match.end())
        else:
            self._close_thinking(match.end())
        return True

    def _close_thinking(self, end: int) -> None:
        self._skip(end)
        self._thought = len(self._parts)
        self._has_text, self._line = False, ""
        self._mode = self._in_prose

    def _in_prose(self) -> bool:
        match = self._seek(markup.PROSE)
        if match is None:
            return False
        token = match.group()
        if token[0] in "`~":
            return self._fence(token)
        if token[:5].lower() == "<code":
            return self._code_tag(match.end())
        mentioned = self._mentioned(match.end())
        if mentioned is None:
            return False
        if mentioned:
            self._emit(match.end())
        elif token == "<think>":
            self._skip(match.end())
            self._mode = self._in_thinking
        elif token == "</think>":
            self._close_thinking(match.end())
        else:
            self._turn(token)
        return True

    def _turn(self, token: str) -> None:
        if token not in markup.TURNS:
            self._emit(self._at + len(token))
        elif token in markup.TURN_STARTS and not self._has_text:
            self._skip(self._at + len(token))
        else:
            self._end_open_block(natural=True)
            self.done = True

    def _fence(self, run: str) -> bool:
        start = self._at + len(run)
        rest = self._rest_of_line(start)
        if rest is None:
            return False
        blank = not self._line.strip()
        opens = blank or rest.strip().lower() in PYTHON
        if run[0] in rest:  # opened and closed on one line, or no fence at all
            inner = rest.partition(run)[0].strip().partition(" ")[2].strip()
            self._emit(start)
            if run in rest and language(rest) in PYTHON and markup.calls(inner):
                self._emit(start + rest.index(run) + len(run))
                self._act(inner)
        elif len(rest) >= LINE or not opens:
            self._emit(start)
        else:
            self._open_block(run, rest, len(self._line) if blank else 0)
        return True

    def _open_block(self, run: str, rest: str, indent: int) -> None:
        """Begin the block whose opening line goes on with `rest` after its `run`."""
        self._emit(min(self._at + len(run) + len(rest) + 1, len(self._buffer)))
        self._block = Block(run, language(rest), indent)
        self._mode = self._in_python if self._block.is_python else self._in_other

    def _code_tag(self, end: int) -> bool:
        """`<code>` opens a block at a line's beginning or end, or around a call on one line."""
        opens, indent = not self._line.strip(), len(self._line)
        if not opens and self._last not in markup.QUOTES:
            ahead = self._buffer[end : end + markup.INLINE]
            stop = markup.CODE_END.search(ahead)
            if stop is not None:
                inner = ahead[: stop.start()].strip()
                opens, indent = markup.calls(inner) or (stop.group() == "\n" and not inner), 0
            elif not self._final and len(ahead) < markup.INLINE:
                return False
        self._emit(end)
        if opens:
            self._block = Block("<", "python", indent)
            self._mode = self._in_python
        return True

    def _in_python(self) -> bool:
        if self._block.quote:
            return self._in_quote()
        match = self._seek(markup.PLAIN)
        if match is None:
            return False
        token = match.group()
        left = len(self._buffer) - self._at
        may_grow = token in "'\"" and left < 3 and self._buffer.endswith(token * left)
        if may_grow and not self._final:
            return False  # to a triple quote
        if token[0] in "\"'#":
            self._block.quote = token
            self._emit(match.end())
        elif token[0] in "`~":
            return self._fence_in_plain(token)
        elif token.lower() == "</code>":
            self._close_block(match.end())
        elif token == "</think>":
            self._close_thinking(match.end())
        else:
            self._turn(token)
        return True

    def _fence_in_plain(self, run: str) -> bool:
        """Outside strings, backticks are no Python: they close the block or open it again."""
        block, size = self._block, len(run)
        if run[0] == "`" and block.run[0] == "`" and not block.empty:
            if size >= len(block.run):
                self._close_block(self._at + len(block.run))
                return True
            if not self._final and self._at + size == len(self._buffer):
                return False
            self._emit(self._at + size)
            return True
        rest = self._rest_of_line(self._at + size)
        if rest is None:
            return False
        alone = not self._line.strip() and not rest.strip()
        opener = run[0] == "`" and rest.strip().lower() in PYTHON and len(rest) < LINE
        if block.empty and opener:
            self._open_block(run, rest, block.indent)
        elif (alone or run[0] == "`") and (block.run == "<" or run.startswith(block.run)):
            self._close_block(self._at + size)
        else:
            self._emit(self._at + size)
        return True

    def _in_quote(self) -> bool:
        block = self._block
        match = self._seek(markup.IN_STRING[block.quote])
        if match is None:
            return False
        token = match.group()
        if token[0] in "`~":
            return self._fence_in_string(token)
        if token.lower() == "</code>":
            if block.run == "<" and block.quote == "#":
                self._close_block(match.end())
            else:
                self._maybe_close(match.end(), closes=block.run == "<")
        else:
            if token in (block.quote, "\n"):
                block.quote = ""
            self._emit(match.end())
        return True

    def _fence_in_string(self, run: str) -> bool:
        """A fence inside a string that was perhaps never closed."""
        rest = self._rest_of_line(self._at + len(run))
        if rest is None:
            return False
        ours = run.startswith(self._block.run) and not self._line.strip()
        if ours and self._block.maybe and language(rest) in PYTHON:
            self._end_open_block(natural=False)
        else:
            self._maybe_close(self._at + len(run), closes=ours and not rest.strip())
        return True

    def _maybe_close(self, end: int, *, closes: bool) -> None:
        """Remember the first place in a string where the block would close."""
        content = self._block.content if closes and not self._block.maybe else ""
        self._emit(end)
        if closes and not self._block.maybe:
            self._block.maybe = len(self._parts), content

    def _in_other(self) -> bool:
        """A block in another language, or in none: it ends at a line that is only its fence."""
        match = self._seek(markup.OTHER)
        if match is None:
            return False
        token = match.group()
        rest = self._rest_of_line(match.end())
        if rest is None:
            return False
        starts, alone = not self._line.strip(), not rest.strip()
        ours = starts and token.startswith(self._block.run)
        if token == "</think>" and starts and alone:
            self._close_thinking(match.end())
        elif ours and alone:
            self._close_block(match.end())
        elif ours and language(rest) in PYTHON and self._block.language not in markup.NESTING:
            self._mode = self._in_prose  # the block before was never closed
        else:
            self._emit(match.end())
        return True

    def _close_block(self, end: int) -> None:
        acts, content = self._block.acts, self._block.content
        self._emit(end)
        if acts:
            self._act(content)
        self._mode = self._in_prose

    def _act(self, content: str) -> None:
        self._found = markup.source(content, self._block.indent)
        self.done = True

    def _end_open_block(self, natural: bool) -> None:
        """The reply ended inside a block; `natural`: by the model itself."""
        if self._mode not in (self._in_python, self._in_other):
            return
        if self._block.maybe:
            parts, content = self._block.maybe
            del self._parts[parts:]
            self._act(content)
        elif natural and self._block.acts:
            content = markup.HALF_CLOSED.sub("", self._block.content)
            if content.strip():
                self._act(content)
