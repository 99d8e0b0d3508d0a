"""The user's notes: a folder of files, searched by BM25, and one for what the agent proposes.

Every line of a note is a document of SQLite's full-text search, together with the note's
name and the heading it stands under, so that a search for "wifi" finds the line below the
heading "Wifi". The index lives in memory and is rebuilt when a file changes.

What the agent proposes to remember stands in `proposed.md` until the user moves the line to
another note (`remembered.md`, say), which approves it, or deletes it. A search finds it and says
which it is.
"""

import logging
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from errors import ModelMistake

log = logging.getLogger(__name__)

REMEMBERED = "remembered.md"
PROPOSED = "proposed.md"
"""What the agent proposes to remember: the user moves a line to another note, or deletes it."""
NOT_APPROVED = "(proposed by the agent, not approved by the user)"
DOCUMENT_SUFFIXES = (".pdf", ".docx", ".pptx", ".odt", ".epub", ".html", ".rtf")
MOST_DOCUMENT_BYTES = 20_000_000
MOST_DOCUMENTS = 200
MAX_REMEMBERED_CHARS = 500
MAX_FILE_BYTES = 5_000_000
MAX_FILES = 5_000
SNIPPET_CHARS = 300
DEFAULT_LIMIT = 3

_SUFFIXES = (".txt", ".md")
_WORD = re.compile(r"\w+")
_HEADING = re.compile(r"#{1,6}\s+(.*)")
_BULLET = re.compile(r"^[-*+•] ")
_LOCK_SECONDS = 10.0
# Words that are in every question and in no answer; BM25 alone would let them decide in a small
# folder, where they may be rare.
_STOP_WORDS = frozenset(
    _WORD.findall(
        """
    a an and are as at be by can did do does for from had has have how i in is it its me
    my of on or our s say so that the their there this to was we were what when where
    which who why will with you your
    """
    )
)


@dataclass(frozen=True)
class Hit:
    """A line that matches: the note's name, the line's number from 1, its text, its score.

    Scores are BM25, higher is better, and only comparable within one search.
    """

    name: str
    line: int
    snippet: str
    score: float


@dataclass
class Notes:
    """A folder of notes. It need not exist yet. Safe to use from several threads."""

    folder: Path
    today: Callable[[], date] = date.today
    convert: Callable[[bytes, str], str] | None = None
    """Makes text of a document (bytes, name); without it only .txt and .md are notes."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Files that the last search passed over, and why."""
    _index: sqlite3.Connection | None = field(default=None, repr=False)
    _stamp: object = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _converted: dict[str, tuple[object, str, str]] = field(default_factory=dict, repr=False)
    """Documents by name: their stamp, text, and why there is none; each is converted once."""

    def search(self, query: str, limit: int = DEFAULT_LIMIT) -> list[Hit]:
        """The lines that match `query` best, best first, at most `limit`."""
        with self._lock:
            return _best_lines(self._current_index(), query, limit)

    def read(self, name: str) -> str:
        """The text of the note of that name, as searches show it: also with proposals called so.

        Raises FileNotFoundError naming those that are there, ValueError for one that can't be
        read.
        """
        with self._lock:
            files, _ = _list_files(self.folder, self._suffixes())
            for there, path, stat in files:
                if there == name:
                    text, reason = self._text(there, path, stat)
                    if reason:
                        raise ValueError(f"{name} can't be read: {reason}.")
                    return _called_proposals(text) if name == PROPOSED else text
        listed = ", ".join(there for there, _, _ in files[:20])
        more = f" and {len(files) - 20} more" if len(files) > 20 else ""
        raise FileNotFoundError(f"There is no note '{name}'. Notes: {listed or 'none'}{more}")

    def propose(self, text: str) -> str:
        """Adds `- text (YYYY-MM-DD)` to proposed.md; returns the text as it was kept.

        Several processes may do so at once. Raises ValueError for an empty text and one over
        500 characters, OSError where the folder can't be written.
        """
        kept = " ".join(text.split())
        if not kept:
            raise ValueError("There is nothing to remember: the text is empty.")
        if len(kept) > MAX_REMEMBERED_CHARS:
            raise ValueError(
                f"The text has {len(kept)} characters; remember at most {MAX_REMEMBERED_CHARS}."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / f".{PROPOSED}.lock", timeout=_LOCK_SECONDS):
                _append(self.folder / PROPOSED, remembered_line(kept, self.today()) + "\n")
        except Timeout:
            raise OSError("Another session holds the notes; try again in a moment.") from None
        return kept

    def _current_index(self) -> sqlite3.Connection:
        files, skipped = _list_files(self.folder, self._suffixes())
        stamp = [(name, stat.st_mtime_ns, stat.st_size) for name, _, stat in files]
        if self._index is None or stamp != self._stamp:
            if self._index is not None:
                self._index.close()
            self._index = _new_index(self._read_all(files, skipped))
            for name, reason in skipped.items():
                if self.skipped.get(name) != reason:
                    log.warning("notes: %s is passed over: %s", name, reason)
            self.skipped, self._stamp = skipped, stamp
        return self._index

    def _read_all(
        self, files: list["_FoundFile"], skipped: dict[str, str]
    ) -> Iterator[tuple[str, str]]:
        """(name, text) of each file that can be used; the others are added to `skipped`."""
        there = {name for name, _, _ in files}
        self._converted = {n: kept for n, kept in self._converted.items() if n in there}
        for name, path, stat in files:
            text, reason = self._text(name, path, stat)
            if reason:
                skipped[name] = reason
            else:
                yield name, text

    def _text(self, name: str, path: Path, stat: os.stat_result) -> tuple[str, str]:
        """The note's text and, if it can't be used, why."""
        if self.convert is None or not name.lower().endswith(DOCUMENT_SUFFIXES):
            return _read(path, stat)
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = self._converted.get(name)
        if known is not None and known[0] == stamp:
            return known[1:]
        if len(self._converted) >= MOST_DOCUMENTS:
            return "", f"only {MOST_DOCUMENTS} documents are searched"
        text, reason = _converted(path, stat, name, self.convert)
        self._converted[name] = (stamp, text, reason)
        return text, reason

    def _suffixes(self) -> tuple[str, ...]:
        return _SUFFIXES if self.convert is None else (*_SUFFIXES, *DOCUMENT_SUFFIXES)


def remembered_line(text: str, day: date) -> str:
    """The line of remembered.md that holds `text`."""
    return f"- {text} ({day.isoformat()})"


def search_texts(texts: Mapping[str, str], query: str, limit: int = DEFAULT_LIMIT) -> list[Hit]:
    """What `Notes.search` finds in a folder that holds these notes, name to text."""
    index = _new_index(sorted(texts.items()))
    try:
        return _best_lines(index, query, limit)
    finally:
        index.close()


def format_hits(query: str, hits: list[Hit]) -> str:
    """The hits as the agent reads them: `1. name.md: the line`."""
    if not hits:
        return f"No notes match '{' '.join(query.split())}'."
    return "\n".join(
        f"{n}. {hit.name}: {hit.snippet}{f' {NOT_APPROVED}' if hit.name == PROPOSED else ''}"
        for n, hit in enumerate(hits, start=1)
    )


def _called_proposals(text: str) -> str:
    return "\n".join(f"{line} {NOT_APPROVED}" if line.strip() else "" for line in text.splitlines())


_FoundFile = tuple[str, Path, os.stat_result]


def _list_files(folder: Path, suffixes: tuple[str, ...]) -> tuple[list[_FoundFile], dict[str, str]]:
    found: list[_FoundFile] = []
    skipped: dict[str, str] = {}
    for name, path in _walk(folder, suffixes):
        if len(found) == MAX_FILES:
            skipped[name] = f"only the first {MAX_FILES} notes are searched"
            break
        try:
            found.append((name, path, path.stat()))
        except OSError as error:
            skipped[name] = f"can't be read ({error.strerror})"
    return found, skipped


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and file.lower().endswith(suffixes):
                path = Path(parent) / file
                yield path.relative_to(folder).as_posix(), path


def _new_index(texts: Iterable[tuple[str, str]]) -> sqlite3.Connection:
    index = sqlite3.connect(":memory:", check_same_thread=False)  # guarded by the Notes' lock
    index.execute(
        "CREATE VIRTUAL TABLE lines USING fts5(name, line UNINDEXED, heading, text, "
        "tokenize = 'porter unicode61 remove_diacritics 2')"
    )
    for name, text in texts:
        index.executemany(
            "INSERT INTO lines VALUES (?, ?, ?, ?)",
            ((name, number, heading, line) for number, heading, line in _lines(text)),
        )
    return index


def _best_lines(index: sqlite3.Connection, query: str, limit: int) -> list[Hit]:
    words = _query_words(query)
    if not words or limit < 1:
        return []
    rows = index.execute(
        "SELECT name, line, text, -bm25(lines, 0.7, 0, 0.7, 1.0) AS score FROM lines "
        "WHERE lines MATCH ? ORDER BY score DESC, name, CAST(line AS INTEGER) LIMIT ?",
        (" OR ".join(f'"{word}"' for word in words), limit),
    ).fetchall()
    return [Hit(name, int(line), _snippet(text, words), score) for name, line, text, score in rows]


def _read(path: Path, stat: os.stat_result) -> tuple[str, str]:
    """The note's text and, if it can't be used, why."""
    if stat.st_size > MAX_FILE_BYTES:
        return "", f"larger than {MAX_FILE_BYTES // 1_000_000} MB"
    if not path.is_file():
        return "", "not a plain file"
    try:
        data = path.read_bytes()
    except OSError as error:
        return "", f"can't be read ({error.strerror})"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), ""
    if b"\0" in data:
        return "", "not text"
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), ""


def _converted(
    path: Path, stat: os.stat_result, name: str, convert: Callable[[bytes, str], str]
) -> tuple[str, str]:
    if stat.st_size > MOST_DOCUMENT_BYTES:
        return "", f"larger than {MOST_DOCUMENT_BYTES // 1_000_000} MB"
    if not path.is_file():
        return "", "not a plain file"
    try:
        return convert(path.read_bytes(), name), ""
    except OSError as error:
        return "", f"can't be read ({error.strerror})"
    except (ModelMistake, RuntimeError) as error:
        return "", " ".join(str(error).split())[:200]


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """(number, the heading above, line) of each line that says something.

    A heading with text below it is no line of its own: that text carries it.
    """
    heading, heading_line, used = "", 0, True
    for number, raw in enumerate(text.splitlines(), start=1):
        line = " ".join(raw.split())
        if match := _HEADING.fullmatch(line):
            if not used:
                yield heading_line, "", heading
            heading, heading_line, used = match[1], number, False
        elif _WORD.search(line):
            yield number, heading, _BULLET.sub("", line)
            used = True
    if not used:
        yield heading_line, "", heading


def _query_words(query: str) -> list[str]:
    words = list(dict.fromkeys(_WORD.findall(query.lower())))[:40]
    return [word for word in words if word not in _STOP_WORDS] or words


def _snippet(line: str, words: list[str]) -> str:
    """The line, or of a long one the stretch around the first word that was looked for."""
    if len(line) <= SNIPPET_CHARS:
        return line
    lower = line.lower()
    places = [at for word in words if (at := lower.find(word)) >= 0]
    start = max(0, min(places, default=0) - SNIPPET_CHARS // 4)
    start = line.find(" ", start) + 1 if start else 0
    piece = line[start : start + SNIPPET_CHARS].rstrip()
    end = "…" if start + SNIPPET_CHARS < len(line) else ""
    return ("…" if start else "") + piece + end


def _append(path: Path, entry: str) -> None:
    """Adds one line, or, when the disk is full, nothing."""
    with path.open("ab+") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            entry = entry if file.read(1) == b"\n" else "\n" + entry
        try:
            file.write(entry.encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise
