"""The wire: what it carries comes back the same, what it doesn't is refused cheaply."""

import math
import pickle
import tracemalloc
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import wire

_text = st.text(st.characters(exclude_categories=["Cs"]))
_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text | st.binary()
    | st.dates() | st.datetimes() | st.times() | st.timedeltas()
    | st.complex_numbers(allow_nan=False) | st.decimals(allow_nan=False)
)  # fmt: skip
_keys = st.integers() | _text | st.booleans() | st.tuples(st.integers(), _text)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(_text, inner)
        | st.dictionaries(_keys, inner)
        | st.sets(_keys)
        | st.frozensets(_keys)
    ),
    max_leaves=20,
)


def _same(a: object, b: object) -> bool:
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))  # type: ignore[arg-type]
    if isinstance(a, dict):
        return _same(list(a.items()), list(b.items()))  # type: ignore[attr-defined]
    return a == b


@given(_values)
def test_values_come_back(value: object) -> None:
    assert _same(wire.unpack(wire.pack(value)), value)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_value_or_refused(body: bytes) -> None:
    try:
        wire.unpack(body)
    except wire.WireError:
        return


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_random_bytes_are_messages_or_refused(data: bytes, cuts: list[int]) -> None:
    frames = wire.Frames()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    try:
        for start, end in pairwise(places):
            for message in frames.feed(data[start:end]):
                assert type(message[0]) is str
    except wire.WireError:
        return


def test_odd_numbers_and_paths() -> None:
    assert math.isnan(wire.unpack(wire.pack(math.nan)))
    assert wire.unpack(wire.pack([math.inf, -math.inf, 10**400])) == [math.inf, -math.inf, 10**400]
    assert wire.unpack(wire.pack(Path("a/b"))) == "a/b"
    assert wire.unpack(wire.pack("x\ud800y")) == "x\ufffdy"
    assert wire.unpack(wire.pack({"\ud83d\ude42": 1})) == {"🙂": 1}


@pytest.mark.parametrize("value", [object(), len, type("S", (str,), {})("x"), {1: print}, range(3)])
def test_what_is_not_plain_is_refused(value: object) -> None:
    with pytest.raises(wire.WireError, match="is not plain data"):
        wire.pack(value)


def test_cycles_are_refused() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(wire.WireError, match="nested deeper"):
        wire.pack(cycle)


def test_frames_in_pieces() -> None:
    data = wire.frame("out", "nonce", "text") + wire.frame("done", None, 1, b"\x00")
    frames = wire.Frames()
    got = [message for i in range(len(data)) for message in frames.feed(data[i : i + 1])]
    assert got == [["out", "nonce", "text"], ["done", None, 1, b"\x00"]]
    assert frames.pending == 0


def test_a_header_beyond_the_cap_is_refused_at_once() -> None:
    with pytest.raises(wire.TooLarge, match="4,294,967,295"):
        list(wire.Frames().feed(b"\xff\xff\xff\xff"))
    with pytest.raises(wire.TooLarge):
        wire.frame("out", "x" * wire.MAX_FRAME)
    with pytest.raises(wire.TooLarge):
        wire.pack(b"x" * wire.MAX_FRAME)


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x90",
        b"\x91\x01",
        b"\x81\xa1a\x01",
        msgspec.msgpack.encode(["out", ["nested"]]),
        msgspec.msgpack.encode(["out", {"a": 1}]),
        b"\x91\xa1a\x00",
        b"\x91" * 2_000_000,
        b"\xdd\xff\xff\xff\xff",
        pickle.dumps(["out"]),
    ],
    ids=range(10),
)
def test_bad_messages_are_refused(body: bytes) -> None:
    with pytest.raises(wire.WireError):
        list(wire.Frames().feed(_framed(body)))


@pytest.mark.parametrize(
    "body",
    [
        msgspec.msgpack.encode({99: 1}),
        msgspec.msgpack.encode({1: 5}),
        msgspec.msgpack.encode({1: [], 2: []}),
        msgspec.msgpack.encode({"a": 1, 1: []}),
        msgspec.msgpack.encode({2: [[1]]}),
        msgspec.msgpack.encode({4: [1]}),
        msgspec.msgpack.encode({5: "zz"}),
        msgspec.msgpack.encode({6: "no number"}),
        msgspec.msgpack.encode({8: "never"}),
        msgspec.msgpack.encode({11: [10**12, 0, 0]}),
        msgspec.msgpack.encode({True: 1}),
        b"\xd6\xff\x00\x00\x00\x01",
        b"\xc7\x01\x05a",
        b"\x91" * 2_000_000,
        pickle.dumps({"a": 1}),
    ],
    ids=range(15),
)
def test_bad_values_are_refused(body: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.unpack(body)


@pytest.mark.parametrize("item", [b"\x80", b"\xcb" + b"\x00" * 8], ids=["maps", "numbers"])
def test_many_small_items_are_counted_before_they_are_built(item: bytes) -> None:
    count = wire.MAX_ITEMS + 100_000
    body = b"\xdd" + count.to_bytes(4, "big") + item * count
    tracemalloc.start()
    try:
        with pytest.raises(wire.TooLarge, match="more than"):
            wire.unpack(body)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_large_text_is_one_item() -> None:
    text = "漢字\x80" * 2_000_000
    assert wire.unpack(wire.pack({"text": [text]})) == {"text": [text]}


# Python's hash of an integer is its remainder by this prime, of a tuple a mixture of its items'.
_PRIME, _WORD = 2**61 - 1, 2**64
_P1, _P2, _P5 = 11400714785074694791, 14029467366897019727, 2870177450012600261


def _turned(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) % _WORD


def _pairs_with_one_hash(count: int) -> list[tuple[int, int]]:
    """Pairs of numbers whose tuples have the same hash (CPython's Objects/tupleobject.c)."""
    wanted = _turned(123456789 * pow(_P1, -1, _WORD) % _WORD, 33)
    found: list[tuple[int, int]] = []
    first = 0
    while len(found) < count:
        first += 1
        begun = _turned((_P5 + first * _P2) % _WORD, 31) * _P1 % _WORD
        second = (wanted - begun) * pow(_P2, -1, _WORD) % _WORD
        if second < _PRIME:
            found.append((first, second))
    return found


def test_keys_made_to_have_one_hash_are_refused() -> None:
    """4,000 such take the app half a second, 40,000 a minute in which nothing else runs."""
    tagged = [{5: hex(_PRIME * number)} for number in range(1, 4001)]
    flat: list[object] = [part for key in tagged for part in (key, None)]
    for value in ({2: tagged}, {3: tagged}, {4: flat}):
        with pytest.raises(wire.WireError, match="the same hash"):
            wire.unpack(msgspec.msgpack.encode(value))
    pairs = _pairs_with_one_hash(4000)
    assert len(set(map(hash, pairs[:50]))) == 1
    body = msgspec.msgpack.encode(dict.fromkeys(pairs[:2]) | {number: 0 for number in range(20)})
    assert len(body) < 200  # the decoder alone would make tuples of them
    few = msgspec.msgpack.encode({"a": [{"b": [1] * 20}] * 300, **{str(n): [] for n in range(300)}})
    assert wire.unpack(few)["299"] == []
    many = b"\xdf" + len(pairs).to_bytes(4, "big")
    many += b"".join(msgspec.msgpack.encode(pair) + b"\xc0" for pair in pairs)
    for refused in (body, many, b"\x91" + many):
        with pytest.raises(wire.WireError, match="a list as a key"):
            wire.unpack(refused)
        with pytest.raises(wire.WireError, match="a list as a key"):
            list(wire.Frames().feed(_framed(refused)))


def test_many_ordinary_keys_are_taken() -> None:
    keys = [*range(-3000, 3000), *(0.5 * n for n in range(1, 6000, 2)), *map(str, range(3000))]
    keys += [(n, str(n)) for n in range(3000)]
    assert wire.unpack(wire.pack(set(keys))) == set(keys)
    assert wire.unpack(wire.pack(dict.fromkeys(keys, 1))) == dict.fromkeys(keys, 1)
