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

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from serving.answers import find_answer

Finish = Literal["code", "stop", "length", "cancelled"]
Kind = Literal["thinking", "text"]

_PYTHON = frozenset({"python", "py", "python3", "ipython", "tool_code"})
_NESTING = frozenset({"markdown", "md"})  # blocks that may show a python fence as an example
_LINE = 200  # a fence's line is no longer than this, in characters
_INLINE = 2000  # nor is `<code>` with its content on one line
_QUOTES = "'\"`"
_TURN_STARTS = frozenset({"<｜Assistant｜>", "<｜begin▁of▁sentence｜>", "<|im_start|>"})
_TURNS = _TURN_STARTS | {
    "<｜end▁of▁sentence｜>", "<｜User｜>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>",
    "<|start_header_id|>", "<|end|>", "<|return|>",
}  # fmt: skip

_THINK_TAG = re.compile(r"</?think>")
_PROSE = re.compile(
    r"</?think>|<code\b[^<>\n]{0,40}>|`{3,}|~{3,}|<\|\w{1,24}\|>|<｜[^<>\n]{1,24}｜>", re.IGNORECASE
)
_PLAIN = re.compile(
    r"\"\"\"|'''|[\"'#]|`{3,}|~{3,}|</code>|</think>|<\|\w{1,24}\|>|<｜[^<>\n]{1,24}｜>"
)
_OTHER = re.compile(r"`{3,}|~{3,}|</think>")
_IN_STRING = {
    '"': re.compile(r"\\[\s\S]|[\"\n]"),
    "'": re.compile(r"\\[\s\S]|['\n]"),
    '"""': re.compile(r"\\[\s\S]|\"\"\"|`{3,}|~{3,}|</code>"),
    "'''": re.compile(r"\\[\s\S]|'''|`{3,}|~{3,}|</code>"),
    "#": re.compile(r"\n|</code>"),
}
# What the end of a buffer may be the beginning of.
_TAIL = re.compile(r"\\$|[\"']{1,2}$|`+$|~+$|<[^<>\n]{0,46}$")
_TAGS = ("<think>", "</think>", "</code>")
_CALL = re.compile(
    r"^[ \t]*(?:import \w|from [\w.]+ import |(?:[\w, ]+ ?= ?)?(?!Answer\b)[A-Za-z_][\w.]*\(.*\)\s*$)",
    re.MULTILINE,
)


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
        self._reasoning = False  # the server sends the thinking in a field of its own
        self._line = ""  # the beginning of the current line, at most _LINE characters
        self._last = ""  # the character before the current position
        self._open_block("", "", 0)
        self._found: str | None = None

    def feed(self, text: str) -> list[Piece]:
        """The pieces that `text`, the next delta, completes. Empty once `done`."""
        if self.done:
            return []
        if self._reasoning and self._mode == self._in_thinking and text:
            self._mode = self._in_prose
        self._buffer = self._buffer[self._at :] + text
        self._at = 0
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
        finish = _normal(finish_reason)
        if not self.done:
            self._final = True
            self._run()
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
            self._line = (chunk[newline + 1 :] if newline >= 0 else self._line + chunk)[:_LINE]
            self._block.append(chunk)

    def _skip(self, end: int) -> None:
        self._last = self._buffer[end - 1]
        self._at = end

    def _seek(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Emit up to the next match and return it; None when more text is needed."""
        match = pattern.search(self._buffer, self._at)
        end = match.start() if match else len(self._buffer) - self._undecided()
        self._emit(end)
        return match

    def _undecided(self) -> int:
        """How many characters at the buffer's end may be the beginning of something."""
        if self._final:
            return 0
        tail = _TAIL.search(self._buffer, max(self._at, len(self._buffer) - 64))
        if tail is None:
            return 0
        text = tail.group()
        if text[0] != "<" or text[:2] in ("<|", "<｜") or text[:5].lower() == "<code":
            return len(text)
        return len(text) if any(tag.startswith(text.lower()) for tag in (*_TAGS, "<code")) else 0

    def _mentioned(self, end: int) -> bool | None:
        """Whether the tag from here to `end` is quoted; None when the next character is needed."""
        if self._last not in _QUOTES or not self._last:
            return False
        if end < len(self._buffer):
            return self._buffer[end] in (self._last, "\\")
        return False if self._final else None

    def _rest_of_line(self, start: int) -> str | None:
        """The text from `start` to the line's end, without it; None when more is needed.

        A line longer than a fence's line can be comes back as it is so far.
        """
        newline = self._buffer.find("\n", start, start + _LINE)
        if newline >= 0:
            return self._buffer[start:newline]
        if self._final or len(self._buffer) - start >= _LINE:
            return self._buffer[start : start + _LINE]
        return None

    def _in_thinking(self) -> bool:
        match = self._seek(_THINK_TAG)
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
        self._line = ""
        self._mode = self._in_prose

    def _in_prose(self) -> bool:
        match = self._seek(_PROSE)
        if match is None:
            return False
        token = match.group()
        if token[0] in "`~":
            return self._fence(token)
        mentioned = self._mentioned(match.end())
        if mentioned is None:
            return False
        if mentioned:
            self._emit(match.end())
        elif token[:5].lower() == "<code":
            return self._code_tag(match.end())
        elif token.lower() == "<think>":
            self._skip(match.end())
            self._mode = self._in_thinking
        elif token.lower() == "</think>":
            self._close_thinking(match.end())
        else:
            self._turn(token)
        return True

    def _turn(self, token: str) -> None:
        if token not in _TURNS:
            self._emit(self._at + len(token))
        elif token in _TURN_STARTS and not self._has_text():
            self._skip(self._at + len(token))
        else:
            self._end_open_block(natural=True)
            self.done = True

    def _has_text(self) -> bool:
        return any(p.kind == "text" and p.text.strip() for p in self._parts[self._thought :])

    def _fence(self, run: str) -> bool:
        rest = self._rest_of_line(self._at + len(run))
        if rest is None:
            return False
        language = _language(rest)
        start = self._at + len(run)
        blank = not self._line.strip()
        if run[0] in rest:  # opened and closed on one line, or not a fence
            inner = rest.split(run)[0].removeprefix(rest.split()[0]) if rest.split() else ""
            if language in _PYTHON and run in rest and _CALL.search(inner.strip()):
                self._emit(start + rest.index(run) + len(run))
                self._act(inner.strip())
            else:
                self._emit(start)
            return True
        if len(rest) >= _LINE or not (blank or rest.strip().lower() in _PYTHON):
            self._emit(start)
            return True
        indent = len(self._line) if blank else 0
        self._emit(min(start + len(rest) + 1, len(self._buffer)))
        self._open_block(run, language, indent)
        self._mode = self._in_python if language in _PYTHON else self._in_other
        return True

    def _code_tag(self, end: int) -> bool:
        """`<code>` opens a block at a line's beginning or end, or around a call on one line."""
        indent = len(self._line)
        opens = not self._line.strip()
        if not opens:
            close = self._buffer.lower().find("</code>", end, end + _INLINE)
            newline = self._buffer.find("\n", end, end + _INLINE)
            if close < 0 and newline < 0 and not self._final and len(self._buffer) - end < _INLINE:
                return False
            stop = min((at for at in (close, newline) if at >= 0), default=end)
            inner = self._buffer[end:stop].strip()
            opens, indent = bool(_CALL.search(inner)) or (stop == newline and not inner), 0
        self._emit(end)
        if opens:
            self._open_block("<", "python", indent)
            self._mode = self._in_python
        return True

    def _open_block(self, run: str, language: str, indent: int) -> None:
        self._fence_run, self._language, self._indent = run, language, indent
        self._block: list[str] = []
        self._quote = ""  # what the current position is inside of: a string's quote, or "#"
        self._maybe: tuple[int, str] | None = None  # where an unclosed string hides a fence

    def _in_python(self) -> bool:
        if self._quote:
            return self._in_quote()
        match = self._seek(_PLAIN)
        if match is None:
            return False
        token = match.group()
        if (
            token[0] in "\"'"
            and not self._final
            and self._buffer[match.start() :] == token * (len(self._buffer) - match.start())
            and len(self._buffer) - match.start() < 3
        ):
            return False  # may become a triple quote
        if token[0] in "\"'#":
            self._quote = token
            self._emit(match.end())
        elif token[0] in "`~":
            return self._fence_in_plain(token)
        elif token == "</code>":
            self._close_block(match.end())
        elif token == "</think>":
            self._close_thinking(match.end())
        else:
            self._turn(token)
        return True

    def _fence_in_plain(self, run: str) -> bool:
        """Outside strings, backticks are no Python: they close the block or open it again."""
        empty = not "".join(self._block).strip()
        wanted = self._fence_run
        if run[0] == "~" or empty or wanted == "<":
            rest = self._rest_of_line(self._at + len(run))
            if rest is None:
                return False
            if empty and run[0] == "`" and _language(rest) in _PYTHON:
                self._emit(min(self._at + len(run) + len(rest) + 1, len(self._buffer)))
                self._open_block(run, "python", self._indent)
                return True
            if run[0] == "~" and (self._line.strip() or rest.strip()):
                run = ""
        closes = bool(run) and (wanted == "<" or (run[0] == wanted[0] and len(run) >= len(wanted)))
        if closes:
            self._close_block(self._at + len(run))
        else:
            self._emit(self._at + max(len(run), 1))
        return True

    def _in_quote(self) -> bool:
        match = self._seek(_IN_STRING[self._quote])
        if match is None:
            return False
        token = match.group()
        if token == "</code>" and self._quote == "#" and self._fence_run == "<":
            self._quote = ""
            self._close_block(match.end())
        elif token[0] in "`~" or token == "</code>":
            return self._fence_in_string(token)
        else:
            if token in (self._quote, "\n"):
                self._quote = ""
            self._emit(match.end())
        return True

    def _fence_in_string(self, token: str) -> bool:
        """A closing line inside a string that was perhaps never closed: remember it."""
        end = self._at + len(token)
        if token == "</code>":
            closes = self._fence_run == "<" and self._quote != "#"
        elif token[0] != self._fence_run[0] or len(token) < len(self._fence_run):
            closes = False
        else:
            rest = self._rest_of_line(end)
            if rest is None:
                return False
            closes = not self._line.strip() and not rest.strip()
            if self._maybe and not self._line.strip() and _language(rest) in _PYTHON:
                self._end_open_block(natural=False)
                return True
        before = "".join(self._block) if closes and self._maybe is None else ""
        self._emit(end)
        if closes and self._maybe is None:
            self._maybe = len(self._parts), before
        return True

    def _in_other(self) -> bool:
        """A block in another language, or in none: it ends at a line that is only its fence."""
        match = self._seek(_OTHER)
        if match is None:
            return False
        token = match.group()
        if token == "</think>" and self._line.strip():
            self._emit(match.end())
            return True
        rest = self._rest_of_line(match.end())
        if rest is None:
            return False
        wanted = self._fence_run
        same = token[0] == wanted[0] and len(token) >= len(wanted) and not self._line.strip()
        if token == "</think>" and not rest.strip():
            self._close_thinking(match.end())
        elif same and not rest.strip():
            self._close_other(match.end())
        elif same and _language(rest) in _PYTHON and self._language not in _NESTING:
            self._mode = self._in_prose  # the block before was never closed
        else:
            self._emit(match.end())
        return True

    def _close_other(self, end: int) -> None:
        content = "".join(self._block)
        self._emit(end)
        if not self._language and _CALL.search(content):
            self._act(content)
        self._mode = self._in_prose

    def _close_block(self, end: int) -> None:
        content = "".join(self._block)
        self._emit(end)
        if content.strip():
            self._act(content)
        self._mode = self._in_prose

    def _act(self, content: str) -> None:
        self._found = _source(content, self._indent)
        self.done = True

    def _end_open_block(self, natural: bool) -> None:
        """The reply ended inside a block; `natural`: by the model itself."""
        if self._mode == self._in_python and self._maybe:
            parts, content = self._maybe
            del self._parts[parts:]
            self._act(content)
        elif self._mode == self._in_python and natural:
            content = re.sub(r"(?:\n[ \t]*[`~]+|`+|</?[code]{0,4})\s*$", "", "".join(self._block))
            if content.strip():
                self._act(content)
        elif self._mode == self._in_other and natural and not self._language:
            content = "".join(self._block)
            if _CALL.search(content):
                self._act(content)


def _normal(finish_reason: str | None) -> Finish:
    if finish_reason == "cancelled":
        return "cancelled"
    # vLLM ends a loop it has noticed with "repetition": cut, as by the limit.
    return "length" if finish_reason in ("length", "max_tokens", "repetition") else "stop"


def _language(info: str) -> str:
    words = info.strip().strip("{}.").split()
    return words[0].lower() if words else ""


def _source(content: str, indent: int) -> str:
    content = content.replace("\r\n", "\n")
    if indent:
        content = textwrap.dedent(content)
    return content.strip("\n").rstrip()
