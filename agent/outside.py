"""What others wrote, where the model reads it: harmless, and marked as theirs.

Two things are done to it, both where the model's messages are made, so that the code has the
values as they are. Marks that a chat template would read are broken, and characters that
nobody sees are dropped (`harmless`). And the lines of a step's output that stand in what a tool
returned from outside, or in an attached file, are put between marks that say whose they are
(`OutsideTexts.framed`), which such text can't hold itself.

The marks tell the model what it reads. They keep nobody out: what the code may do is decided by the
sandbox and by `agent.gate`, whatever the model believes.
"""

import re
from collections.abc import Callable
from typing import Any

from agent.prompts import unmarked

# What chat templates mark turns, thinking and calls with. In text from outside it must stay text,
# or a page could open a turn of its own: servers read these marks wherever they stand.
_TEMPLATE_MARKS = re.compile(
    r"<(?=｜[^｜<>\n]{1,40}｜>"  # DeepSeek
    r"|\|[\w./-]{1,40}\|>"  # ChatML, Llama 3, GPT-OSS, GLM, Phi, Cohere
    r"|/?(?:think|thinking|seed:think|reasoning|tool_call|tool_response|tools)>"
    r"|/?(?:start|end)_of_(?:turn|image)>|(?:bos|eos|pad|unk|sop|eop)>"  # Gemma, GLM
    r"|/?s>|</?SYS>>)"  # Llama 2, Mistral
    r"|\[(?=/?(?:INST|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT|THINK|ARGS|CALL_ID"
    r"|g?MASK)\])"
    r"|◁(?=/?think▷)"  # Kimi
)
# Characters that nobody sees and a model reads: tags, fillers, variation selectors in numbers.
# Joiners and the two selectors of emoji belong to words and pictures.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
MOST_CHARS = 2_000_000
"""Most characters of outside text that a session keeps to know it again."""
MIN_LINE = 16
"""A line must be as long as this to be told from one that the code made up itself."""
_CHUNK = 32
_GAP = 3  # lines between two known ones that belong to them

Frame = Callable[[str, str], str]
"""(source, text) → the text as the model's family reads it best, between marks."""


def harmless(text: str) -> str:
    """The text without what nobody sees, with chat templates' marks broken by a space."""
    if not text.isascii():
        text = _HIDDEN.sub("", text)
    return _TEMPLATE_MARKS.sub(lambda mark: mark.group() + " ", text)


class OutsideTexts:
    """What a session has taken in from outside, and where it shows in what the code prints.

    With no `frame` nothing is kept and nothing is marked.
    """

    def __init__(self, frame: Frame | None = None) -> None:
        self._frame = frame
        self._texts: dict[tuple[str, str], None] = {}  # in the order they came
        self._chars = 0

    def add(self, source: str, value: Any) -> None:
        """Take in what a tool returned, or the text of a file."""
        if self._frame is None:
            return
        known = source, _as_seen("\n".join(_texts(value)))[:MOST_CHARS]
        if len(known[1]) < MIN_LINE or known in self._texts:
            return
        self._texts[known] = None
        self._chars += len(known[1])
        while self._chars > MOST_CHARS:
            oldest = next(iter(self._texts))
            del self._texts[oldest]
            self._chars -= len(oldest[1])

    def clear(self) -> None:
        """Forget all: the code's variables are gone."""
        self._texts.clear()
        self._chars = 0

    def framed(self, output: str) -> str:
        """The output, what is known from outside in it put between marks."""
        if self._frame is None or not self._texts or not output:
            return output
        lines = unmarked(output).split("\n")
        sources = [self._source(line) for line in lines]
        parts: list[str] = []
        place = 0
        while place < len(lines):
            if not sources[place]:
                parts.append(lines[place])
                place += 1
                continue
            end = _end_of_block(sources, place)
            parts.append(self._frame(sources[place], "\n".join(lines[place:end])))
            place = end
        return "\n".join(parts)

    def _source(self, line: str) -> str:
        """Where a line comes from; empty where that is not known."""
        line = line.strip()
        if len(line) < MIN_LINE:
            return ""
        pieces = [line]
        if len(line) >= 2 * _CHUNK:  # part of it may be the code's own, or quoted otherwise
            pieces += [line[at : at + _CHUNK] for at in range(0, len(line) - _CHUNK + 1, _CHUNK)]
        for source, text in self._texts:
            if any(piece in text for piece in pieces):
                return source
        return ""


def _end_of_block(sources: list[str], start: int) -> int:
    """The end of the lines that belong together: of one source, short ones in between."""
    last = start
    for place in range(start + 1, len(sources)):
        if sources[place] == sources[start]:
            last = place
        elif sources[place] or place - last > _GAP:
            break
    return last + 1


def _as_seen(text: str) -> str:
    """The text as it stands in an observation."""
    return unmarked(harmless(text))


def _texts(value: Any, depth: int = 20) -> list[str]:
    if isinstance(value, str):
        return [value]
    if depth and isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _texts(part, depth - 1)]
    if depth and isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part, depth - 1)]
    return []
