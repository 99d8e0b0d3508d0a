"""Is an answer right? Strict where a machine can be: an answer with a second number in it, or
a list in another order, is wrong.
"""

import ast
import io
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from evals.tasks import Expect

_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?(?!\w)"
)
_REFUSAL = re.compile(r"\b(?:stronger|larger|bigger) model\b", re.IGNORECASE)
_EITHER_CASE = {"yes", "no", "true", "false"}
_MARKS = "\"'`“”‘’"


@dataclass(frozen=True)
class Score:
    """Whether the answer is right, and if not, why, in a few words."""

    right: bool
    why: str = ""


def score(expect: Expect, answer: str | None, workspace: Path) -> Score:
    """Compares the text of an answer, and the files in `workspace`, with what was expected."""
    if answer is None:
        return Score(False, "no answer")
    return _SCORERS[expect.kind](expect, answer, workspace)


def _score_number(expect: Expect, answer: str, _: Path) -> Score:
    found = numbers(answer)
    if len(found) != 1:
        return Score(False, f"{len(found)} numbers in the answer, not 1")
    return _said(_close(found[0], expect.value, expect.tolerance), f"{found[0]}", expect.value)


def _score_text(expect: Expect, answer: str, _: Path) -> Score:
    wanted, got = plain(str(expect.value)), plain(answer)
    if wanted.casefold() in _EITHER_CASE:
        wanted, got = wanted.casefold(), got.casefold()
    # As a whole word: "no" is not in "unknown". A longer text must hold it as it stands.
    pattern = rf"(?<!\w){re.escape(wanted)}(?!\w)"
    return _said(bool(wanted) and bool(re.search(pattern, got)), got, wanted)


def _score_list(expect: Expect, answer: str, _: Path) -> Score:
    items = as_list(answer)
    if items is None:
        return Score(False, "the answer is no list")
    if len(items) != len(expect.value):
        return Score(False, f"{len(items)} items, not {len(expect.value)}")
    for at, (got, wanted) in enumerate(zip(items, expect.value, strict=True), start=1):
        if not _same(got, wanted, expect.tolerance):
            return Score(False, f"item {at} is {got!r}, not {wanted!r}")
    return Score(True)


def _score_file(expect: Expect, answer: str, workspace: Path) -> Score:
    path = workspace / str(expect.value)
    if not path.is_file():
        return Score(False, f"the file {expect.value} was not made")
    data = path.read_bytes()
    if not data:
        return Score(False, f"the file {expect.value} is empty")
    if path.suffix.lower() == ".png" and not _is_picture(data):
        return Score(False, f"{expect.value} is no PNG picture")
    return Score(True)


def _score_refusal(_: Expect, answer: str, __: Path) -> Score:
    return _said(bool(_REFUSAL.search(answer)), answer, "a hint at a stronger model")


_SCORERS: dict[str, Callable[[Expect, str, Path], Score]] = {
    "number": _score_number,
    "text": _score_text,
    "list": _score_list,
    "file": _score_file,
    "refusal": _score_refusal,
}


def numbers(text: str) -> list[Decimal]:
    """The numbers in a text: `$1,234.50` is one, the 3 in `B3` is none."""
    found = []
    for match in _NUMBER.findall(text.replace("−", "-")):
        try:
            found.append(Decimal(match.replace(",", "")))
        except InvalidOperation:
            continue
    return found


def plain(text: str) -> str:
    """Composed characters, single spaces, no quotation marks or full stop around it."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return text.strip(_MARKS).rstrip(".").strip(_MARKS)


def as_list(answer: str) -> list[Any] | None:
    """The list an answer's text stands for: Python's own writing, or items between commas."""
    text = answer.strip()
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        inner = text[1:-1] if text[:1] in "[(" and text[-1:] in ")]" else text
        separator = "\n" if "\n" in inner else ","
        items = [item.strip(" -*\t") for item in inner.split(separator)]
        return [item for item in items if item]
    if isinstance(value, (list, tuple)):
        return list(value)
    return None if isinstance(value, (set, frozenset, dict)) else [value]


def _same(got: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(got, (list, tuple))
            and len(got) == len(wanted)
            and all(_same(a, b, tolerance) for a, b in zip(got, wanted, strict=True))
        )
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
        return plain(str(got)) == plain(str(wanted))
    found = [] if isinstance(got, bool) else numbers(str(got))
    return len(found) == 1 and _close(found[0], wanted, tolerance)


def _close(got: Decimal, wanted: Any, tolerance: float) -> bool:
    """In decimals, so that integers of any length are compared to their last digit."""
    try:
        return abs(got - Decimal(str(wanted))) <= Decimal(str(tolerance))
    except ArithmeticError:  # 1e9999999 is a number too
        return False


def _said(right: bool, got: str, wanted: object) -> Score:
    return Score(True) if right else Score(False, f"{got[:100]!r}, not {str(wanted)[:100]!r}")


def _is_picture(data: bytes) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture.load()
            return picture.width > 1 and picture.height > 1
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
