"""What crosses between the app and the sandbox: frames of plain data, and nothing else.

A frame is four bytes (length, big-endian) and a MessagePack array: the kind of message,
then its flat fields. Values (a tool's arguments, a result, an answer) travel inside as
bytes of their own, written by `pack`. There is no pickle and no eval on this wire; a type
outside the closed table is an error on the side that sends it, an unknown tag on the side
that reads it.

Types: None, bool, int of any size, float (nan and inf too), str, bytes, list, tuple, dict
with any plain keys, set, frozenset, complex, date, datetime, time, timedelta, Decimal; a
path travels as text. Text with lone surrogates, which no file or database takes, arrives
with U+FFFD in their place.

Both sides are hostile to each other's sizes: a length above `MAX_FRAME` is refused when its
header is read, and a large value is counted before it is built (`MAX_ITEMS`), since a few
bytes of MessagePack can ask for a hundred times their size in objects. Keys that were made to
have one hash are refused: a dictionary of n such keys takes time in the square of n.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import PurePath
from typing import Any

import msgspec

MAX_FRAME = 16 * 1024 * 1024
MAX_DEPTH = 64
_MAX_NESTED = 1_000  # of brackets, tags included; Python's own limit on building is about that
MAX_ITEMS = 1_000_000
_UNCOUNTED = 1024 * 1024  # values shorter than this are built without being counted first
_MAX_ALIKE = 100  # keys of one dictionary or set with the same hash

_header = struct.Struct(">I")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()

# A tagged value is a map with one integer key; plain maps have only text keys.
_TUPLE, _SET, _FROZENSET, _DICT, _BIGINT, _DECIMAL, _COMPLEX = range(1, 8)
_DATETIME, _DATE, _TIME, _TIMEDELTA = range(8, 12)


class WireError(Exception):
    """The bytes are not what the protocol allows, or a value has no place on the wire."""


class TooLarge(WireError):
    """A frame above `MAX_FRAME`, or a value of more than `MAX_ITEMS` items."""


Field = None | bool | int | float | str | bytes
_FIELDS = frozenset((type(None), bool, int, float, str, bytes))


def frame(*fields: Field) -> bytes:
    """The bytes of one message. Raises TooLarge above `MAX_FRAME`."""
    body = _encoder.encode(fields)
    if len(body) > MAX_FRAME:
        raise TooLarge(f"a message of {len(body):,} bytes; at most {MAX_FRAME:,} can be sent")
    return _header.pack(len(body)) + body


class Frames:
    """Cuts a stream of bytes into messages; holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[list[Any]]:
        """Yield the messages that `data` completes. Raises WireError on the first bad one."""
        self._buffer += data
        while len(self._buffer) >= _header.size:
            (length,) = _header.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise TooLarge(f"a frame header announces {length:,} bytes")
            end = _header.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_header.size : end])
            del self._buffer[:end]
            yield _message(body)

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._buffer)


def _message(body: bytes) -> list[Any]:
    _check_count(body)
    _check_keys(body)
    try:
        message = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a message: {error}") from None
    if type(message) is not list or not message or type(message[0]) is not str:
        raise WireError("a message without a kind")
    if any(type(field) not in _FIELDS for field in message):
        raise WireError("a message with a field that is not flat")
    return message


def pack(value: Any) -> bytes:
    """The bytes of one plain value. Raises WireError where it isn't plain, TooLarge by size."""
    body = _encoder.encode(_lower(value, 0))
    if len(body) > MAX_FRAME - 1024:
        raise TooLarge(f"a value of {len(body):,} bytes; at most {MAX_FRAME:,} can be sent")
    _check_count(body)
    return body


def unpack(body: bytes) -> Any:
    """The value that `pack` wrote. Raises WireError for anything else."""
    if type(body) is not bytes:
        raise WireError("a value that is not bytes")
    _check_count(body)
    _check_keys(body)
    try:
        return _raise_value(_decoder.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a value: {error}") from None


def clean_text(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


_AS_IT_IS = (type(None), bool, float, bytes)


def _lower(value: Any, depth: int) -> Any:
    """The value in MessagePack's own types, the others tagged."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if kind is str:
        return clean_text(value)
    if kind is int:
        return value if -(2**63) <= value < 2**64 else {_BIGINT: hex(value)}
    if depth > MAX_DEPTH:
        raise WireError(f"data nested deeper than {MAX_DEPTH} levels")
    if kind is list:
        return [_lower(item, depth + 1) for item in value]
    if kind is dict:
        return _lower_dict(value, depth)
    lower = _LOWER.get(kind)
    if lower is not None:
        tag, plain = lower
        return {tag: _lower(plain(value), depth + 1)}
    if isinstance(value, PurePath):
        return clean_text(str(value))
    if kind in (bytearray, memoryview):
        return bytes(value)
    raise WireError(f"{kind.__name__} is not plain data")


def _lower_dict(value: dict[Any, Any], depth: int) -> dict[Any, Any]:
    if all(type(key) is str for key in value):
        return {clean_text(key): _lower(item, depth + 1) for key, item in value.items()}
    flat = [part for pair in value.items() for part in pair]
    return {_DICT: [_lower(part, depth + 1) for part in flat]}


_LOWER: dict[type, tuple[int, Callable[[Any], Any]]] = {
    tuple: (_TUPLE, list),
    set: (_SET, list),
    frozenset: (_FROZENSET, list),
    datetime: (_DATETIME, datetime.isoformat),
    date: (_DATE, date.isoformat),
    time: (_TIME, time.isoformat),
    timedelta: (_TIMEDELTA, lambda v: [v.days, v.seconds, v.microseconds]),
    Decimal: (_DECIMAL, str),
    complex: (_COMPLEX, lambda v: [v.real, v.imag]),
}


def _pairs(flat: list[Any]) -> dict[Any, Any]:
    if len(flat) % 2:
        raise ValueError("a key without a value")
    return dict(zip(_hashed(flat[::2]), flat[1::2], strict=True))


def _hashed(keys: list[Any]) -> list[Any]:
    """The keys, unless very many of them have the same hash. Raises ValueError, TypeError."""
    if len(keys) > _MAX_ALIKE and max(Counter(map(hash, keys)).values()) > _MAX_ALIKE:
        raise ValueError("too many keys with the same hash")
    return keys


_RAISE: dict[int, tuple[type, Callable[[Any], Any]]] = {
    _TUPLE: (list, tuple),
    _SET: (list, lambda items: set(_hashed(items))),
    _FROZENSET: (list, lambda items: frozenset(_hashed(items))),
    _DICT: (list, _pairs),
    _BIGINT: (str, lambda text: int(text, 16)),
    _DATETIME: (str, datetime.fromisoformat),
    _DATE: (str, date.fromisoformat),
    _TIME: (str, time.fromisoformat),
    _TIMEDELTA: (list, lambda parts: timedelta(*parts)),
    _DECIMAL: (str, Decimal),
    _COMPLEX: (list, lambda parts: complex(*parts)),
}


def _raise_value(value: Any) -> Any:
    kind = type(value)
    if kind in (type(None), bool, int, float, str, bytes):
        return value
    if kind is list:
        return [_raise_value(item) for item in value]
    if kind is not dict:
        raise WireError(f"{kind.__name__} is not on the wire's list")
    if all(type(key) is str for key in value):
        return {key: _raise_value(item) for key, item in value.items()}
    if len(value) != 1:
        raise WireError("a tagged value has one tag")
    ((tag, inner),) = value.items()
    if type(tag) is not int or tag not in _RAISE:
        raise WireError(f"unknown tag {str(tag)[:20]}")
    expected, build = _RAISE[tag]
    if type(inner) is not expected:
        raise WireError(f"tag {tag} with a {type(inner).__name__}")
    try:
        return build(_raise_value(inner))
    except (ValueError, TypeError, OverflowError, InvalidOperation) as error:
        raise WireError(f"tag {tag}: {str(error)[:200]}") from None


def _check_count(body: bytes) -> None:
    """Refuse a large value of very many items, by reading its headers only."""
    if len(body) <= _UNCOUNTED:
        return
    position = items = 0
    while position < len(body):
        items += 1
        if items > MAX_ITEMS:
            raise TooLarge(f"a value of more than {MAX_ITEMS:,} items")
        position += _width(body, position)


def _check_keys(body: bytes) -> None:
    """Refuse lists as keys, by reading headers only: they would become tuples, whose hashes
    can be chosen, before anything could look at them. Maps of a few keys do no harm."""
    if b"\xde" not in body and b"\xdf" not in body:
        return
    inside: list[list[int]] = []  # of every list and map: what is left of it, 1 for a map
    position = 0
    while position < len(body):
        while inside and not inside[-1][0]:
            inside.pop()
        count, is_map = _header_at(body, position)
        if inside:
            left, in_map = inside[-1]
            if in_map and left % 2 == 0 and count >= 0 and not is_map:
                raise WireError("a list as a key")
            inside[-1][0] -= 1
        if count > 0:
            inside.append([count * 2 if is_map else count, is_map])
        if len(inside) > _MAX_NESTED:
            raise WireError("data nested too deep")
        position += _width(body, position)


def _header_at(body: bytes, position: int) -> tuple[int, bool]:
    """How many items a list or pairs a map has that begins here, -1 for anything else; and
    whether it is a map."""
    first = body[position]
    if 0x80 <= first < 0xA0:
        return first & 0x0F, first < 0x90
    if 0xDC <= first <= 0xDF:
        size = 4 if first & 1 else 2
        return int.from_bytes(body[position + 1 : position + 1 + size], "big"), first >= 0xDE
    return -1, False


_FIXED = {0xC0: 1, 0xC2: 1, 0xC3: 1, 0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}
_FIXED |= {0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9, 0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5}
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}  # bytes of the length field


def _width(body: bytes, position: int) -> int:
    """Bytes of the token at `position`; of a list or map only its header."""
    first = body[position]
    if first < 0xA0 or first >= 0xE0:  # small numbers, headers of small maps and lists
        return 1
    if first < 0xC0:
        return 1 + (first & 0x1F)
    if first in _FIXED:
        return _FIXED[first]
    size = _SIZED.get(first)
    if size is None:
        raise WireError("an extension type")
    return 1 + size + int.from_bytes(body[position + 1 : position + 1 + size], "big")
