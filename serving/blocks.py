"""The half of the splitter that knows code blocks: where they open and close. Pure.

`BlockScanner` holds the stream's buffer and what has been kept of it; each mode is a method
that handles what stands at the present position and returns False to ask for more text.
"""

from collections.abc import Callable
from re import Match, Pattern
from typing import Literal, NamedTuple

from serving import markup
from serving.actions import call_from_json
from serving.answers import find_answer
from serving.markup import CALLS, LINE, PYTHON, Block, language

Kind = Literal["thinking", "text"]
_OBJECT_CHARS = 20_000  # a JSON tool call is no longer than this


class Piece(NamedTuple):
    """A run of streamed text; `kind` is `thinking` or `text`."""

    kind: Kind
    text: str


class BlockScanner:
    """The buffer and the modes inside blocks; `serving.reply` adds those outside them."""

    _in_thinking: Callable[[], bool]
    _in_prose: Callable[[], bool]

    def __init__(self) -> None:
        self.done = False
        """True once the first code block has closed (or the model began another turn)."""
        self._mode: Callable[[], bool]
        self._buffer, self._at = "", 0
        self._final = False
        self._pieces: list[Piece] = []
        self._parts: list[Piece] = []  # everything kept, in order
        self._thought = 0  # all parts before this one are thinking, whatever they looked like
        self._closer: int | None = None  # the same, once text follows the closing tag there
        self._has_text = False
        self._line = ""  # the beginning of the current line, at most LINE characters
        self._last = ""  # the character before the current position
        self._before = ""  # the last one on this line that is no space
        self._block = Block()  # the one that is open, if `_open`
        self._open = False
        self._found: str | None = None

    def _run(self) -> None:
        while self._at < len(self._buffer) and not self.done and self._mode():
            pass

    def _emit(self, end: int) -> None:
        """Pass on the text up to `end` as what the present mode holds it for."""
        if end <= self._at:
            return
        chunk = self._buffer[self._at : end]
        self._skip(end)
        piece = Piece("thinking" if self._mode == self._in_thinking else "text", chunk)
        if piece.kind == "text":
            newline = chunk.rfind("\n")
            self._line = (chunk[newline + 1 :] if newline >= 0 else self._line + chunk)[:LINE]
            if self._open:
                self._block.add(chunk)
            if not chunk.isspace():
                self._has_text = True
                if self._closer is not None:
                    self._thought, self._closer = self._closer, None
        self._pieces.append(piece)
        self._parts.append(piece)

    def _skip(self, end: int) -> None:
        line = self._buffer[self._at : end].rstrip(" \t")
        if line:
            self._before = "" if line[-1] == "\n" else line[-1]
        self._last = self._buffer[end - 1]
        self._at = end

    def _seek(self, pattern: Pattern[str]) -> Match[str] | None:
        """Emit up to the next match and return it; None when more text is needed."""
        match = pattern.search(self._buffer, self._at)
        held = 0 if match or self._final else markup.undecided(self._buffer, self._at)
        self._emit(match.start() if match else len(self._buffer) - held)
        return match

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

    def _close_thinking(self, end: int) -> None:
        """A closing tag: all before it is thinking, if anything comes after it."""
        self._skip(end)
        self._closer, self._open = len(self._parts), False
        self._has_text, self._line = False, ""
        self._mode = self._in_prose

    def _turn(self, token: str) -> None:
        """A token of a chat template."""
        if token not in markup.TURNS:
            self._emit(self._at + len(token))
        elif token in markup.TURN_STARTS and not self._has_text:
            self._skip(self._at + len(token))
        else:
            self._end_open_block(natural=True)
            self.done = True

    # Opening

    def _fence(self, run: str) -> bool:
        start = self._at + len(run)
        rest = self._rest_of_line(start)
        if rest is None:
            return False
        opens = not self._line.strip() or rest.strip().lower() in PYTHON
        if run[0] in rest:  # opened and closed on one line, or no fence at all
            inner = rest.partition(run)[0].strip().partition(" ")[2].strip()
            self._emit(start)
            if run in rest and language(rest) in PYTHON and markup.calls(inner):
                self._emit(start + rest.index(run) + len(run))
                self._act(inner)
        elif len(rest) >= LINE or not opens:
            self._emit(start)
        else:
            self._open_fence(run, rest)
        return True

    def _open_fence(self, run: str, rest: str) -> None:
        """Begin the block whose opening line goes on with `rest` after its `run`."""
        self._emit(min(self._at + len(run) + len(rest) + 1, len(self._buffer)))
        block = Block(run, language(rest))
        self._begin(block, self._in_python if block.is_python else self._in_other)

    def _begin(self, block: Block, mode: Callable[[], bool]) -> None:
        self._block, self._open, self._mode = block, True, mode

    def _code_tag(self, end: int) -> bool:
        """`<code>` opens a block at a line's beginning or end, or around a call on one line."""
        opens = not self._line.strip()
        if not opens and self._last not in markup.WRAPS:
            ahead = self._buffer[end : end + markup.INLINE]
            stop = markup.CODE_END.search(ahead)
            if stop is not None:
                inner = ahead[: stop.start()].strip()
                opens = markup.calls(inner) or (stop.group() == "\n" and not inner)
            elif not self._final and len(ahead) < markup.INLINE:
                return False
        self._emit(end)
        if opens:
            self._begin(Block("<", "python"), self._in_python)
        return True

    def _object(self) -> None:
        """A brace before what a tool call begins with: a call if it stands on a line of its own."""
        if self._line.strip():
            self._emit(self._at + 1)
        else:
            self._begin(Block("{", "json"), self._in_object)

    # Inside

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
            self._open_fence(run, rest)
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
            self._mode, self._open = self._in_prose, False  # the block before was never closed
        else:
            self._emit(match.end())
        return True

    def _in_tool_call(self) -> bool:
        """Between `<tool_call>` and `</tool_call>`."""
        match = self._seek(markup.TOOL_CALL)
        if match is None:
            return False
        if match.group() == "</think>":
            self._close_thinking(match.end())
        else:
            self._close_block(match.end())
        return True

    def _in_object(self) -> bool:
        """A JSON object; it is left where it can be none: at a fence, a tag, after too much."""
        match = self._seek(markup.OBJECT)
        if match is None:
            return False
        token, block = match.group(), self._block
        fence = token[0] in "`~" and not self._line.strip()
        if fence or token == "</think>" or block.size > _OBJECT_CHARS:
            self._mode, self._open = self._in_prose, False
            return True
        if token == '"':
            block.quote = "" if block.quote else token
        elif token in "{}" and not block.quote:
            block.depth += 1 if token == "{" else -1
            if not block.depth:
                self._close_block(match.end())
                return True
        self._emit(match.end())
        return True

    # Closing

    def _close_block(self, end: int) -> None:
        block = self._block
        if block.run[0] in "{<" and not block.is_python:
            self._emit(end if block.run == "{" else self._at)  # the content with its last brace
        code = self._action(block)
        self._emit(end)
        if code is not None:
            self._act(code)
        self._mode, self._open = self._in_prose, False

    def _action(self, block: Block) -> str | None:
        """What a block asks to run."""
        if block.acts:
            return markup.source(block.content)
        if block.language in CALLS or not block.language:
            return call_from_json(block.content)
        return None

    def _act(self, code: str) -> None:
        self._found = code
        self.done = True

    def _end_open_block(self, natural: bool) -> None:
        """The reply ended inside a block; `natural`: by the model itself."""
        block = self._block
        if not self._open:
            return
        if block.maybe:
            parts, content = block.maybe
            del self._parts[parts:]
            self._act(markup.source(content))
        elif natural and block.acts:
            code = markup.source(markup.HALF_CLOSED.sub("", block.content))
            # A block that was forgotten, with prose and an answer after it, is no code.
            if code and (markup.parses(code) or find_answer(code) is None):
                self._act(code)
        elif natural:
            code_or_none = self._action(block)
            if code_or_none is not None:
                self._act(code_or_none)
