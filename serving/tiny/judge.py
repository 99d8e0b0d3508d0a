"""Is an answer right? Compares what `final_answer` was given with an example's `Expect`."""

import datetime
import re
from pathlib import Path
from typing import Any

from serving.tiny.example import Expect

_NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?")
_REFUSING = re.compile(r"bundled model", re.IGNORECASE)


def is_right(expect: Expect, answer: Any, workspace: Path) -> bool:
    """Whether `answer` satisfies `expect`; `workspace` is where a made file has to lie."""
    if expect.kind == "number":
        return _number_right(expect, answer)
    if expect.kind == "list":
        return _list_right(expect, answer)
    if expect.kind == "file":
        made = workspace / str(expect.value)
        return made.is_file() and made.stat().st_size > 0
    text = _text(answer)
    if expect.kind == "refusal":
        return bool(_REFUSING.search(text))
    return _folded(str(expect.value)) in _folded(text)


def _number_right(expect: Expect, answer: Any) -> bool:
    number = _number(answer)
    if number is None:
        return False
    if isinstance(number, int) and isinstance(expect.value, int):
        return abs(number - expect.value) <= expect.tolerance
    return abs(float(number) - float(expect.value)) <= expect.tolerance


def _number(answer: Any) -> int | float | None:
    """The answer as a number; a text counts when it holds exactly one."""
    if isinstance(answer, bool) or answer is None:
        return None
    if isinstance(answer, int | float):
        return answer
    found = _NUMBER.findall(str(answer))
    if len(found) != 1:
        return None
    text = found[0].replace(",", "")
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


def _list_right(expect: Expect, answer: Any) -> bool:
    if isinstance(answer, str) or not hasattr(answer, "__iter__"):
        return False
    given = list(answer)
    if len(given) != len(expect.value):
        return False
    return all(_same(a, b, expect.tolerance) for a, b in zip(given, expect.value, strict=True))


def _same(given: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(wanted, list | tuple):
        return _list_right(Expect("list", list(wanted), tolerance), given)
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        number = _number(given)
        return number is not None and abs(number - wanted) <= tolerance
    return _folded(_text(given)) == _folded(_text(wanted))


def _text(value: Any) -> str:
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    return str(value)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
