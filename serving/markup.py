"""What the text of a reply is recognised by: tags, fences, quotes. Pure; used by serving.reply."""

import ast
import re
import warnings
from typing import Literal

Finish = Literal["code", "stop", "length", "repetition", "thinking_budget", "cancelled"]

PYTHON = frozenset(
    {"python", "py", "python3", "py3", "ipython", "ipython3", "pycon", "python-repl", "tool_code"}
)
NESTING = frozenset({"markdown", "md"})  # blocks that may show a python fence as an example
CALLS = frozenset({"json", "tool_call", "tool_calls", "tool", "tool_use"})
"""Languages of blocks that may hold a tool call written as JSON."""
LINE = 200  # a fence's line is no longer than this, in characters
INLINE = 300  # nor is `<code>` with its content on one line
GAP = 16  # spaces beside a tag that are looked past
WRAPS = {"'": "'", '"': '"', "`": "`", "*": "*", "(": ")", "[": "]", "{": "}", "“": "”", "（": "）"}
"""What stands before and after a tag that is only talked about."""
FENCE_LINE = re.compile(r"\n[ \t]{0,40}(?:```|~~~)")
_GOES_ON = ",.;:!?)，。；：、！？）"

TURN_STARTS = frozenset({"<｜Assistant｜>", "<｜begin▁of▁sentence｜>", "<|im_start|>"})
TURNS = TURN_STARTS | {
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end|>",
    "<|return|>",
}
"""Tokens of chat templates that end a reply; TURN_STARTS only where text stands before them."""
CALL_BEGINS, CALL_NAMED = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"
"""DeepSeek's own marks of a tool call; its tokenizer does not hide them."""

OPENS_CALL, CLOSES_CALL = "\n<tool_call>\n", "\n</tool_call>"
"""Around a tool call as JSON, where we write it ourselves."""

# No tag may hold what is markup itself: it would be seen before the tag has ended.
_TURN = r"<\|\w{1,24}\|>|<｜[^<>\n\"'`~#\\]{1,24}｜>"
_FENCES = r"`{3,64}|~{3,64}"
_CODE_CLOSE = r"(?i:</code>)"
# The keys that a tool call begins with, whoever's format it is.
_CALL_KEYS = r"(?:name|tool|tool_name|function|action|thoughts?|code|type|arguments|parameters)"
_OBJECT = rf"\{{[ \t\r\n]{{0,{GAP}}}\"{_CALL_KEYS}\""

# What models write around their thinking; each is closed by its own name only, since a model that
# is asked for `<reasoning>…</reasoning>` drafts these tags in its thinking.
_NAMES = ("think", "thinking", "thought", "reasoning")
_THINK = rf"(?i:< ?/? ?(?:{'|'.join(_NAMES)}) ?>)"

THINKING = re.compile(rf"{_THINK}|<｜(?:end▁of▁sentence|User)｜>")
PROSE = re.compile(
    rf"{_THINK}|(?i:<code\b[^<>\n`~]{{0,40}}>)|<tool_call>|{_OBJECT}|{_FENCES}|{_TURN}"
)
PLAIN = re.compile(rf"\"\"\"|'''|[\"'#]|{_FENCES}|{_CODE_CLOSE}|</think>|{_TURN}")
OTHER = re.compile(rf"{_FENCES}|</think>")
TOOL_CALL = re.compile(r"</tool_call>|</think>|<｜tool▁calls?▁end｜>")
OBJECT = re.compile(rf"\\[\s\S]|[\"{{}}]|{_FENCES}|</think>")
IN_STRING = {
    '"': re.compile(r"\\[\s\S]|[\"\n]"),
    "'": re.compile(r"\\[\s\S]|['\n]"),
    '"""': re.compile(rf"\\[\s\S]|\"\"\"|{_FENCES}|{_CODE_CLOSE}"),
    "'''": re.compile(rf"\\[\s\S]|'''|{_FENCES}|{_CODE_CLOSE}"),
    "#": re.compile(rf"\n|{_CODE_CLOSE}"),
}
"""What counts inside a Python string of each quote, and inside a comment."""

CODE_END = re.compile(rf"\n|{_CODE_CLOSE}")
HALF_CLOSED = re.compile(r"(?:`+|~+|</?[code]{0,4})\s*\Z")
_RUNS = frozenset("\"'`~")  # characters that mean more when several stand together
_TAG = 47  # the longest tag, in characters
_BEGINNINGS = (
    *("</code>", "<code", "<tool_call>", "</tool_call>"),
    *(f"<{slash}{name}>" for name in _NAMES for slash in ("", "/")),
)
_OBJECT_BEGUN = re.compile(rf"\{{[ \t\r\n]{{0,{GAP}}}(?:\"\w{{0,10}})?\Z")
_OBJECT_CHARS = 2 + GAP + 10
_CALL = re.compile(
    r"^[ \t]{0,40}(?:import \w|from [\w.]{1,80} import "
    r"|(?:\w[\w, ]{0,80}= ?)?[A-Za-z_][\w.]{0,80}\((?:.*\))?[ \t]{0,8}$)",
    re.MULTILINE,
)
_LANGUAGE = re.compile(r"[\s{.]{0,8}([\w+#-]+)")
_QUOTED = re.compile(r"[ \t]*>(?!>)")


class Block:
    """A code block that is open: `run` is its fence, or `<` for `<code>`."""

    def __init__(self, run: str = "", language: str = "") -> None:
        self.run, self.language = run, language
        self.empty = True  # nothing but white space so far
        self.quote = ""  # what the present position is inside of: a string's quote, or "#"
        self.depth = 0  # of braces, in a JSON object
        self.maybe: tuple[int, str] | None = None
        """Parts and content up to a fence inside a string, which may never have been closed."""
        self.size = 0  # characters of content
        self._chunks: list[str] = []

    def add(self, chunk: str) -> None:
        """Take in more of the content."""
        self._chunks.append(chunk)
        self.size += len(chunk)
        self.empty = self.empty and chunk.isspace()

    @property
    def content(self) -> str:
        """What stands in it so far."""
        return "".join(self._chunks)

    @property
    def is_python(self) -> bool:
        """Whether it is marked as Python."""
        return self.language in PYTHON

    @property
    def acts(self) -> bool:
        """Whether its content is to be run: Python that does something."""
        if self.is_python:
            return not only_comments(self.content)
        return not self.language and calls(self.content)


def undecided(text: str, start: int) -> int:
    """How many characters at the end of `text`, from `start` on, may begin something."""
    held = _begun_run(text, start)
    tail = text[start:] if len(text) - start <= _TAG else text[-_TAG:]
    if "<" in tail or "{" in tail:  # not so in most deltas, of which there are many
        held = max(held, _begun_tag(text, start), _begun_object(text, start))
    return held


def _begun_run(text: str, start: int) -> int:
    last = text[-1:]
    if last in _RUNS:
        return 2 if text.endswith(last * 2, start) else 1
    return 1 if last == "\\" else 0


def _begun_tag(text: str, start: int) -> int:
    opened = text.rfind("<", max(start, len(text) - _TAG))
    if opened < 0:
        return 0
    tail = text[opened:].lower()
    if ">" in tail or "\n" in tail:
        return 0
    begins = tail[1:2] in ("|", "｜") or tail.startswith("<code")
    squeezed = tail.replace(" ", "")
    return len(tail) if begins or any(tag.startswith(squeezed) for tag in _BEGINNINGS) else 0


def think_tag(token: str) -> tuple[str, bool] | None:
    """The name of a thinking tag and whether it closes; None for another token."""
    if token[1:2] in ("|", "｜"):
        return None
    name = token[1:-1].replace(" ", "").lower()
    closes = name.startswith("/")
    name = name.removeprefix("/")
    return (name, closes) if name in _NAMES else None


def _begun_object(text: str, start: int) -> int:
    opened = text.rfind("{", max(start, len(text) - _OBJECT_CHARS))
    return len(text) - opened if opened >= 0 and _OBJECT_BEGUN.match(text, opened) else 0


def goes_on(before: str, after: str) -> bool:
    """Whether a sentence goes on around a tag, which is then only talked about.

    `before` and `after` are the characters beside it on its line, spaces left out.
    """
    if not (before.isalpha() or before in (",", "，", "、")):
        return False
    return after in _GOES_ON or after.islower() or (after.isalpha() and not after.isascii())


def calls(text: str) -> bool:
    """Whether text that is not marked as Python looks like it: an import, or a call as a line."""
    return _CALL.search(text) is not None


def only_comments(text: str) -> bool:
    """Whether Python text does nothing: blank lines and comments, such as `# your code`."""
    return all(line.lstrip().startswith("#") for line in text.splitlines() if line.strip())


def parses(code: str) -> bool:
    """Whether it is Python without a syntax error."""
    try:
        with warnings.catch_warnings():  # about what merely looks odd in it
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def language(info: str) -> str:
    """The language that a fence's first line names, in lower case; `python:main.py` too."""
    named = _LANGUAGE.match(info)
    return named.group(1).lower() if named else info.strip().lower()


def source(content: str) -> str:
    """A block's content as Python source.

    The first line's indentation, as in a list, is taken off all, and the marks of a quotation
    (`> …`); of an interpreter's transcript (`>>> …`) the lines that were typed remain.
    """
    content = content.replace("\r\n", "\n")
    lines = content.split("\n")
    if content.strip() and all(_QUOTED.match(line) or not line.strip() for line in lines):
        lines = [_QUOTED.sub("", line, count=1) for line in lines]
        spaced = all(line.startswith(" ") or not line.strip() for line in lines)
        content = "\n".join(line[1:] if spaced else line for line in lines)
    content = content.strip("\n").rstrip()
    indent = content[: len(content) - len(content.lstrip(" \t"))]
    if indent:
        content = "\n".join(line.removeprefix(indent) for line in content.split("\n"))
    if content.startswith(">>> "):
        typed = (line.lstrip() for line in content.split("\n"))
        content = "\n".join(line[4:] for line in typed if line.startswith((">>> ", "... ")))
    return content


def normal_finish(finish_reason: str | None) -> Finish:
    """A server's word for the end of a reply as one of ours."""
    if finish_reason in ("cancelled", "repetition", "thinking_budget"):
        return finish_reason  # type: ignore[return-value]
    return "length" if finish_reason in ("length", "max_tokens") else "stop"
