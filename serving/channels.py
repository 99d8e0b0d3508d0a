"""Marks of thinking that only one family writes, where its server leaves them in the text. Pure.

gpt-oss writes messages in channels (OpenAI's harmony format): `<|channel|>analysis<|message|>…
<|end|>` is thinking, `final` and `commentary` are text, and one with a recipient (`to=…`) is a
tool call. Mistral's models write `[THINK]…[/THINK]`. These classes stand before the splitter of
such a family only: to all others the same characters are text. A mark that is quoted is only
talked about. Each character is looked at a bounded number of times, however the deltas are cut.
"""

import re
from re import Match, Pattern

from serving.blocks import Piece
from serving.markup import CLOSES_CALL, OPENS_CALL, WRAPS

_HEADER = re.compile(
    r"(?:<\|start\|>assistant(?P<role>[^<\n]{0,80}))?"
    r"(?:<\|channel\|>(?P<channel>\w{1,20})(?P<rest>[^<\n]{0,80}))?"
    r"(?:<\|constrain\|>[^<\n]{0,20})?<\|message\|>"
)
_HEADER_CHARS = 300  # more than the longest header has
_BEGUN = re.compile(r"<(?:\|[a-z]*\|?)?\Z|\[/?[A-Z]*\Z")
_TOKEN_CHARS = 11
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([\w.]+)")
_ENDS_REPLY = "\n<|end|>"  # as the splitter knows it: on a line of its own nothing is awaited


class Marks:
    """The marks of a stream, taken out of it; what is left is thinking or text."""

    tokens: Pattern[str]

    def __init__(self) -> None:
        self.thinking = False
        self._held, self._at = "", 0  # what may begin a mark, and the present position in it
        self._last = ""  # the character before that
        self._pieces: list[Piece] = []

    def feed(self, text: str) -> list[Piece]:
        """The pieces that `text`, the next delta, completes."""
        return self._take(text, final=False)

    def rest(self) -> list[Piece]:
        """What was held back as the possible beginning of a mark."""
        return self._take("", final=True)

    def end(self) -> list[Piece]:
        """The same at the reply's end."""
        return self.rest()

    def _take(self, text: str, *, final: bool) -> list[Piece]:
        self._held, self._at = self._held[self._at :] + text, 0
        while token := self.tokens.search(self._held, self._at):
            self._pass_on(token.start())
            end = self._mark(token, final)
            if end is None:
                break
            self._drop(end)
        else:
            self._pass_on(len(self._held) - (0 if final else self._begun()))
        pieces, self._pieces = self._pieces, []
        return pieces

    def _mark(self, token: Match[str], final: bool) -> int | None:
        """Act on the token at the present position; where its mark ends, None to wait."""
        raise NotImplementedError

    def _begun(self) -> int:
        """How many characters at the end may begin a token."""
        begun = _BEGUN.search(self._held, max(self._at, len(self._held) - _TOKEN_CHARS))
        return len(self._held) - begun.start() if begun else 0

    def _quoted(self, end: int, final: bool) -> bool | None:
        """Whether the mark up to `end` stands in quotes or brackets; None: not yet known."""
        closer = WRAPS.get(self._last)
        if closer is None:
            return False
        if end < len(self._held):
            return self._held[end] in (closer, "\\")
        return False if final else None

    def _pass_on(self, end: int) -> None:
        if end > self._at:
            self._say(self._held[self._at : end])
            self._drop(end)

    def _drop(self, end: int) -> None:
        self._last, self._at = self._held[end - 1], end

    def _say(self, text: str) -> None:
        self._pieces.append(Piece("thinking" if self.thinking else "text", text))


class Brackets(Marks):
    """Mistral's marks as the tags that the splitter knows; the opening one only at the start."""

    tokens = re.compile(r"\[/?THINK\]")

    def __init__(self) -> None:
        super().__init__()
        self._begins = True

    def _mark(self, token: Match[str], final: bool) -> int | None:
        quoted = self._quoted(token.end(), final)
        if quoted is None:
            return None
        closes = token.group() == "[/THINK]"
        if quoted or not (closes or self._begins):
            self._say(token.group())
        else:
            self._say("</think>" if closes else "<think>")
        return token.end()

    def _say(self, text: str) -> None:
        super()._say(text)
        self._begins = self._begins and text.isspace()


class Channels(Marks):
    """gpt-oss's messages, each in its channel."""

    tokens = re.compile(r"<\|(?:start|channel|end|call|return)\|>")

    def __init__(self) -> None:
        super().__init__()
        self._channel = ""  # of the present message, or empty
        self._call = ""  # what closes the tool call that is the present message
        self._ended = False  # a message has ended, and the next has not begun
        self._over = False

    def end(self) -> list[Piece]:
        pieces = self.rest()
        # The token that ends a call is one that stops the model: servers leave it out.
        return [*pieces, Piece("text", "}")] if self._call == CLOSES_CALL else pieces

    def _mark(self, token: Match[str], final: bool) -> int | None:
        if token.group() in ("<|start|>", "<|channel|>"):
            return self._header(token, final)
        quoted = self._quoted(token.end(), final)
        if quoted is None:
            return None
        if quoted:
            self._say(token.group())
        elif self._call:
            self._close_call()
        elif token.group() == "<|end|>" and self._channel not in ("", "final"):
            self._end_message()
        else:
            self.thinking = False
            self._say(token.group())  # the splitter knows which of them end a reply
        return token.end()

    def _header(self, token: Match[str], final: bool) -> int | None:
        found = _HEADER.match(self._held, self._at)
        if found is None:
            ahead = self._held[self._at : self._at + _HEADER_CHARS]
            grows = len(ahead) < _HEADER_CHARS and "\n" not in ahead
            if grows and not final:
                return None
            if self._ended and token.group() == "<|start|>":  # someone else's turn
                self._say(_ENDS_REPLY)
                self._over = True
            else:
                self._say(token.group())
            return token.end()
        quoted = self._quoted(found.end(), final)
        if quoted is None:
            return None
        if quoted:
            self._say(found.group())
        else:
            self._begin_message(found)
        return found.end()

    def _begin_message(self, header: Match[str]) -> None:
        self._channel, self._ended = header["channel"] or "final", False
        to = _RECIPIENT.search(f"{header['role'] or ''} {header['rest'] or ''}")
        self.thinking = self._channel == "analysis" and to is None
        if to is None:
            return
        if to[1] == "python":  # the model's own tool, which is given code as it stands
            self._say("\n```python\n")
            self._call = "\n```"
        else:
            self._say(f'{OPENS_CALL}{{"name": "{to[1]}", "arguments": ')
            self._call = CLOSES_CALL

    def _end_message(self) -> None:
        if not self.thinking:
            self._say("\n\n")
        self.thinking, self._channel, self._ended = False, "", True

    def _close_call(self) -> None:
        self._say(self._call if self._call != CLOSES_CALL else f"}}{CLOSES_CALL}")
        self._call, self._over = "", True

    def _say(self, text: str) -> None:
        if self._over:
            return
        if not text.isspace():
            self._ended = False
        super()._say(text)


MARKS: dict[str, type[Marks]] = {"channels": Channels, "brackets": Brackets}
"""By a family's `marks`."""
