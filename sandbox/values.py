"""The worker's side: turn what the code made into plain data.

Numbers of numpy and SymPy become Python numbers, small arrays and columns become lists,
tables become text, and anything else its bounded repr. The libraries are never imported
here: a value of theirs can only be there when they are loaded already.
"""

import reprlib
import sys
from collections import deque
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any

MAX_DEPTH = 20
MAX_ARRAY = 1_000
_MAX_BITS = 14_000  # about 4,200 digits; the app could not print more
MAX_ITEMS = 100_000
MAX_TEXT = 4_000
MAX_SHOWN = 100_000  # characters of all the reprs and tables within one value
TABLE_ROWS = 10
TABLE_COLUMNS = 20

_PLAIN = (type(None), bool, int, float, str, bytes, complex, date, datetime, time, timedelta)
_PLAIN_TYPES = frozenset((*_PLAIN, Decimal))
_SHORT = _PLAIN_TYPES - {int}
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()), range, deque)


class NotPlain(TypeError):
    """A value that has no plain form and may not be shown as text instead."""


def plain(value: Any, *, as_text: bool, table_rows: int = TABLE_ROWS) -> Any:
    """`value` as plain data. What has no plain form becomes its repr if `as_text` (a value
    shown to the model), and raises NotPlain if not (an argument of a tool). A table becomes
    text of at most `table_rows` rows."""
    left = [MAX_ITEMS, MAX_SHOWN]

    def counted(text: str) -> str:
        left[1] -= len(text)
        if left[1] < 0:
            raise _TooMuch
        return text

    def turn(item: Any, depth: int) -> Any:
        kind = type(item)
        if kind in _PLAIN_TYPES:
            return item if kind is not int or item.bit_length() < _MAX_BITS else str(item)
        left[0] -= 1
        if depth > MAX_DEPTH or left[0] < 0:
            raise _TooMuch
        if kind in (list, tuple, set, frozenset):
            return _container(kind, item, depth, turn)
        if isinstance(item, dict):
            return {key_of(k, depth): turn(v, depth + 1) for k, v in dict.items(item)}
        if _is_table(item):
            return counted(table_text(item, table_rows))
        found = _known(item)
        if found is not item:
            return turn(found, depth)
        if as_text:
            return counted(show(item))
        raise NotPlain(f"{kind.__name__} is not plain data")

    def key_of(key: Any, depth: int) -> Any:
        turned = turn(key, depth + 1)
        try:
            hash(turned)
        except TypeError:
            return show(key)
        return turned

    try:
        return turn(value, 0)
    except _TooMuch:
        if as_text:
            return show(value)
        raise NotPlain(
            f"the data is too large or too deep: at most {MAX_ITEMS:,} containers, "
            f"{MAX_DEPTH} levels"
        ) from None


class _TooMuch(Exception):
    pass


def _container(kind: type, items: Iterable[Any], depth: int, turn: Callable[..., Any]) -> Any:
    turned = [item if type(item) in _SHORT else turn(item, depth + 1) for item in items]
    if kind in (set, frozenset):
        try:
            return kind(turned)
        except TypeError:
            return turned
    return kind(turned)


def _known(item: Any) -> Any:
    """A plainer form of a value whose type is known; the value itself if it isn't."""
    if isinstance(item, Enum):
        return item.value if isinstance(item, (int, str)) else str(item)
    for base, turn in _BASES:
        if isinstance(item, base):
            return turn(item)
    for name, turn_library in _LIBRARIES.items():
        if name in sys.modules and type(item).__module__.split(".")[0] in _MODULES[name]:
            return turn_library(item)
    return item


# Subclasses of plain types lose what they add; a named tuple is a tuple on the wire.
_BASES: list[tuple[type | tuple[type, ...], Callable[[Any], Any]]] = [
    (bool, bool),
    (int, lambda v: int.__int__(v)),
    (str, lambda v: str.__str__(v)),
    (bytes, lambda v: bytes.__getitem__(v, slice(None))),
    ((bytearray, memoryview), bytes),
    (tuple, lambda v: tuple(tuple.__iter__(v))),
    (list, lambda v: list(list.__iter__(v))),
    (set, set),
    (frozenset, frozenset),
    (_VIEWS, list),
    ((Fraction, PurePath), str),
]


def _from_numpy(item: Any) -> Any:
    numpy = sys.modules["numpy"]
    if isinstance(item, numpy.generic | numpy.ndarray) and item.dtype.kind in "mM":
        item = item.astype(str)  # nanoseconds would become bare integers
    if isinstance(item, numpy.generic):
        value = item.item()
        return value if type(value) in _PLAIN_TYPES else str(item)
    if isinstance(item, numpy.ndarray):
        if item.size <= MAX_ARRAY:
            return item.tolist()
        return f"{_cut(str(item))}\narray of shape {item.shape}, {item.dtype}"
    return item


def _from_pandas(item: Any) -> Any:
    pandas = sys.modules["pandas"]
    if item is pandas.NaT or item is pandas.NA:
        return None
    if isinstance(item, pandas.Timestamp):
        return item.to_pydatetime(warn=False)
    if isinstance(item, pandas.Timedelta):
        return item.to_pytimedelta()
    if isinstance(item, pandas.Series):
        return _from_series(item, pandas)
    if isinstance(item, pandas.Index):
        return item.tolist() if len(item) <= MAX_ARRAY else str(item)
    if hasattr(item, "tolist") and hasattr(item, "__len__") and len(item) <= MAX_ARRAY:
        return list(item.tolist())
    return item


def _from_series(series: Any, pandas: Any) -> Any:
    """Labels that say something make a dictionary; row numbers make a list."""
    if len(series) > MAX_ARRAY:
        return str(series)
    labels = series.index
    if pandas.api.types.is_integer_dtype(labels.dtype) or not labels.is_unique:
        return series.tolist()
    return dict(zip(labels.tolist(), series.tolist(), strict=True))


def _is_table(item: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return isinstance(item, getattr(pandas, "DataFrame", ()))


def table_text(frame: Any, rows: int) -> str:
    """The first rows of a DataFrame; where that is not all, its size and its columns' types."""
    text = frame.head(rows).to_string(
        max_cols=TABLE_COLUMNS, max_colwidth=60, show_dimensions=False
    )
    limit = MAX_TEXT * max(1, rows // TABLE_ROWS)
    if len(frame) <= rows and frame.shape[1] <= TABLE_COLUMNS:
        return _cut(text, limit)
    typed = [f"{_cut(str(n), 40)} {t}" for n, t in frame.dtypes.head(TABLE_COLUMNS).items()]
    typed += ["…"] if frame.shape[1] > TABLE_COLUMNS else []
    size = f"{len(frame):,} rows × {frame.shape[1]:,} columns"
    return f"{_cut(text, limit)}\n[{size}: {', '.join(typed)}]"


def _from_sympy(item: Any) -> Any:
    if getattr(item, "is_Boolean", False):
        return bool(item) if item.is_Atom and not item.is_Symbol else str(item)
    if getattr(item, "is_Integer", False):
        return int(item)
    if getattr(item, "is_Number", False) and getattr(item, "is_finite", False):
        return float(item)
    if hasattr(item, "tolist") and hasattr(item, "shape"):
        return item.tolist()
    return str(item)


_LIBRARIES = {"numpy": _from_numpy, "pandas": _from_pandas, "sympy": _from_sympy}
_MODULES = {"numpy": ("numpy",), "pandas": ("pandas",), "sympy": ("sympy", "mpmath")}


_SIZED = (list, tuple, dict, set, frozenset, str, bytes, bytearray)
_brief = reprlib.Repr()
_brief.maxlist = _brief.maxtuple = _brief.maxset = _brief.maxdict = _brief.maxfrozenset = 50
_brief.maxstring = MAX_TEXT


def show(value: Any) -> str:
    """The repr of a value, bounded; never raises an ordinary exception."""
    try:
        if isinstance(value, _SIZED) and len(value) > MAX_ARRAY:
            unit = {str: "characters", bytes: "bytes"}.get(type(value), "items")
            return f"{_cut(_brief.repr(value))}\n[{len(value):,} {unit}]"
        text = repr(value)
        return _cut(text) if type(text) is str else f"<{type(value).__name__}>"
    except Exception as error:  # noqa: BLE001 - the repr is the agent's code: whatever it does, say so
        return f"<{type(value).__name__}; its repr failed with {type(error).__name__}>"


def _cut(text: str, limit: int = MAX_TEXT) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text):,} characters in all)"
