"""The passages of a long text that a question is about, ranked by BM25.

The ranking is that of SQLite's full-text search, as memory/notes.py uses it: English words by
their stem, all words without accents. Writing without spaces, such as Chinese, is compared by
pairs of characters. A passage is also found by the heading it stands under.
"""

import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

PASSAGE_CHARS = 700
"""About the length of a passage: a paragraph, or a few rows of a table."""
GAP = "[…]"

_ENOUGH_CHARS = 250  # a shorter paragraph is joined with the next
_MOST_PASSAGES = 50_000
_MOST_WORDS = 40
_HEADING = re.compile(r"#{1,6} .*\S")
_TABLE_RULE = re.compile(r"\|[ :|-]+\|?")
_SENTENCE_END = re.compile(r"[.!?…]['\"”’)\]]* |[。！？]")
# Scripts that put no space between words: Thai to Khmer, kana, Chinese characters.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003134f]+"
)
# Words that are in every question and in no answer; in one text they may be rare, and would
# decide. None that another language uses as a word of its own (die, war, son, mit).
_STOP_WORDS_TEXT = """
    a about according all also an and any are as at be been by can could did do does each find for
    from give had has have how i if in into is it its many me much my of on or our page please say
    so tell than that the their them then there these they this those to was we were what when
    where which while who whom whose why will with would you your
    der das ein eine einer und oder ist sind wurde wer was wann wo wie welche welcher welches
    von zu für auf le les une du et est sont qui que quoi quand où comment combien quel quelle
    es quién qué cuándo dónde cómo cuál cuántos cuántas para
    """
_STOP_WORDS = frozenset(_STOP_WORDS_TEXT.split())


@dataclass(frozen=True)
class Passage:
    """A stretch of a text, the heading it stands under, and the head of the table it is cut from.

    `heading` and `table_head` are empty where the passage itself begins with them.
    """

    text: str
    heading: str = ""
    table_head: str = ""


def relevant(text: str, question: str, most_chars: int) -> str:
    """The passages of `text` that `question` is about, in their order, `[…]` for what is left out.

    At most `most_chars` characters. A text that is no longer comes whole; one in which no word
    of the question occurs gives "".
    """
    if len(text) <= most_chars:
        return text
    passages = split(text)
    order = rank(passages, question)
    # Whether the first or the last is shown decides about a […], so room for both is kept.
    room = most_chars - 2 * (len(GAP) + 1)
    chosen: list[int] = []
    for index in order:
        shown = _join(passages, sorted([*chosen, index]))
        if len(shown) <= room:
            chosen.append(index)
        elif not chosen:
            return f"{GAP}\n{shown[:room]}\n{GAP}"
        else:
            break
    if not chosen:
        return ""
    chosen.sort()
    start = f"{GAP}\n" if chosen[0] > 0 else ""
    end = f"\n{GAP}" if chosen[-1] < len(passages) - 1 else ""
    return f"{start}{_join(passages, chosen)}{end}"


def rank(passages: list[Passage], question: str) -> list[int]:
    """The places in `passages` of those that hold a word of `question`, best first."""
    words = _question_words(question)
    if not words or not passages:
        return []
    index = sqlite3.connect(":memory:")
    try:
        index.execute(
            "CREATE VIRTUAL TABLE passages USING fts5(heading, text, content = '', tokenize = "
            "\"porter unicode61 remove_diacritics 2 categories 'L* M* N* Co'\")"
        )
        index.executemany(
            "INSERT INTO passages (rowid, heading, text) VALUES (?, ?, ?)",
            (
                (at, _indexed(f"{p.heading} {p.table_head}"), _indexed(p.text))
                for at, p in enumerate(passages)
            ),
        )
        rows = index.execute(
            "SELECT rowid FROM passages WHERE passages MATCH ? "
            "ORDER BY bm25(passages, 0.5, 1.0), rowid",
            (" OR ".join(f'"{word}"' for word in words),),
        )
        return [row[0] for row in rows]
    finally:
        index.close()


def split(text: str) -> list[Passage]:
    """The passages of `text`: paragraphs, short ones joined, long ones and tables cut."""
    return [p for _, p in zip(range(_MOST_PASSAGES), _passages(text), strict=False)]


def _passages(text: str) -> Iterator[Passage]:
    heading = table_head = ""  # those that a passage which begins here has above it
    under = cut_from = ""
    lines: list[str] = []
    length = 0
    for line in _short_lines(text):
        is_heading = bool(_HEADING.fullmatch(line))
        in_table = line.startswith("|")
        ended = length + len(line) > PASSAGE_CHARS or (not line and length >= _ENOUGH_CHARS)
        if lines and (is_heading or ended):
            if any(lines):
                yield Passage("\n".join(lines).strip("\n"), under, cut_from)
            lines, length = [], 0
        if not lines:
            under = "" if is_heading else heading
            cut_from = table_head if in_table else ""
        if is_heading:
            heading = line[:200]
        if not in_table:
            table_head = ""
        elif not table_head and _TABLE_RULE.fullmatch(line) and lines:
            table_head = f"{lines[-1]}\n{line}" if len(line) + len(lines[-1]) < 400 else ""
        if line or lines:
            lines.append(line)
            length += len(line) + 1
    if any(lines):
        yield Passage("\n".join(lines).strip("\n"), under, cut_from)


def _short_lines(text: str) -> Iterator[str]:
    """The lines of `text` without spaces at their ends; a long one in pieces, by sentence."""
    for raw in text.splitlines():
        line = raw.rstrip()
        start = 0
        while len(line) - start > PASSAGE_CHARS:
            piece = line[start : start + PASSAGE_CHARS]
            ends = [m.end() for m in _SENTENCE_END.finditer(piece)]
            end = (ends[-1] if ends else piece.rfind(" ") + 1) or PASSAGE_CHARS
            yield piece[:end].rstrip()
            start += end
        yield line[start:]


def _join(passages: list[Passage], chosen: list[int]) -> str:
    parts: list[str] = []
    heading, last = "", -1
    for index in chosen:
        passage = passages[index]
        if parts and index != last + 1:
            parts.append(GAP)
        if index != last + 1 or not parts:
            if passage.heading and passage.heading != heading:
                parts.append(passage.heading)
            if passage.table_head:
                parts.append(passage.table_head)
        parts.append(passage.text)
        first = passage.text.partition("\n")[0]
        heading = passage.heading or (first if _HEADING.fullmatch(first) else "")
        last = index
    return "\n".join(parts)


def _question_words(question: str) -> list[str]:
    spaced = "".join(
        c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in question[:2_000]
    )
    words = dict.fromkeys(_pairs(spaced.lower()).split())
    telling = [word for word in words if word not in _STOP_WORDS] or list(words)
    return telling[:_MOST_WORDS]


def _indexed(text: str) -> str:
    """`text` as it is put into the index: characters without spaces alone and in pairs."""
    if text.isascii():
        return text
    text = text.encode("utf-8", "replace").decode()
    return _UNSPACED.sub(lambda run: f" {' '.join(run[0])} {_in_pairs(run[0])} ", text)


def _pairs(text: str) -> str:
    return _UNSPACED.sub(lambda run: f" {_in_pairs(run[0])} ", text)


def _in_pairs(run: str) -> str:
    return " ".join(run[at : at + 2] for at in range(max(1, len(run) - 1)))
