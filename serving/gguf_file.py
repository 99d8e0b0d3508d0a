"""What a GGUF file says of itself: its metadata, read from the head of the file. Pure.

The `gguf` package reads the same and every token of the vocabulary with it, which took 38
seconds for one of 152,000 tokens; here the long lists are only counted. The format is described
in ggml's docs/gguf.md, versions 2 and 3.
"""

import functools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS[12] = "d"
_STRING, _ARRAY = 8, 9
_MOST_STRING = 16 << 20  # bytes; chat templates have some ten thousand
_MOST_ENTRIES = 1 << 26  # of metadata, of tensors, of a list
_KEPT = 1024  # a list of numbers as long as that is kept: one for each layer


@dataclass(frozen=True)
class Gguf:
    """One file. `metadata` holds its values by key, a list that is too long as a `Listed`.

    `parameters` counts the weights, `weight_bytes` is what they take in the file.
    """

    path: Path
    metadata: dict[str, Any]
    parameters: int
    weight_bytes: int

    @property
    def architecture(self) -> str:
        """llama.cpp's name for the kind of model, such as `qwen2`."""
        return str(self.metadata.get("general.architecture", ""))

    def of_architecture(self, name: str) -> Any:
        """The value whose key begins with the architecture: `block_count`, `context_length`."""
        return self.metadata.get(f"{self.architecture}.{name}")

    @property
    def parts(self) -> int:
        """Of how many files it is one."""
        count = self.metadata.get("split.count")
        return count if isinstance(count, int) and count > 1 else 1


@dataclass(frozen=True)
class Listed:
    """A list that was counted and not read."""

    length: int


def read_gguf(path: Path) -> Gguf:
    """Read the head of a file, again only when the file has changed: it takes half a second.

    Raises ValueError, in words, for what is no whole GGUF file; OSError where it can't be read.
    """
    stat = path.stat()
    try:
        return _read(path, stat.st_size, stat.st_mtime_ns)
    except RecursionError:
        raise ValueError("its head is garbled (lists without end)") from None


@functools.lru_cache(maxsize=8)
def _read(path: Path, size: int, changed: int) -> Gguf:
    with path.open("rb") as file:
        magic = file.read(4)
        if magic != MAGIC:
            raise ValueError(_what_else(magic + file.read(4)))
        read = _Reader(file, size)
        version = read.number("I")
        if version not in (2, 3):
            raise ValueError(f"it is GGUF of version {version}; llama.cpp reads 2 and 3")
        tensors, entries = read.count(), read.count()
        metadata = {}
        for _ in range(entries):
            key = read.string()
            metadata[key] = read.value(read.number("I"))
        parameters, last = _tensors(read, tensors)
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError("its head is garbled (an alignment that can't be)")
        begin = -(-file.tell() // alignment) * alignment
    if tensors and begin + last >= size:
        raise ValueError("it is cut short; copy or download it again")
    return Gguf(path, metadata, parameters, max(0, size - begin))


def _what_else(start: bytes) -> str:
    if start == b"version ":
        return "it is a Git LFS pointer, not the file (run `git lfs pull`)"
    if start[:4] == b"ggjt" or start[:4] in (b"tjgg", b"fmgg", b"lmgg"):
        return "it is of the format before GGUF, which llama.cpp no longer reads"
    return "it does not begin like a GGUF file" if start else "it is empty"


def _tensors(read: "_Reader", count: int) -> tuple[int, int]:
    """How many weights there are, and where the last tensor begins among them."""
    parameters = last = 0
    for _ in range(count):
        read.string()
        size = 1
        for _ in range(read.number("I")):
            size *= read.number("Q")
        read.number("I")
        parameters += size
        last = max(last, read.number("Q"))
    return parameters, last


class _Reader:
    """Reads values in the order of the file, and none past its end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def number(self, kind: str) -> Any:
        form = f"<{kind}"
        return struct.unpack(form, self._bytes(struct.calcsize(form)))[0]

    def count(self) -> int:
        found: int = self.number("Q")
        if found > _MOST_ENTRIES:
            raise ValueError("its head is garbled, or it is made for big-endian machines")
        return found

    def string(self) -> str:
        length = self.number("Q")
        if length > _MOST_STRING:
            raise ValueError("its head is garbled (a text without end)")
        return self._bytes(length).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self._list(self.number("I"), self.count())
        raise ValueError(f"its head is garbled (a value of the type {kind})")

    def _list(self, kind: int, length: int) -> Any:
        if kind in _SCALARS and length <= _KEPT:
            return [self.number(_SCALARS[kind]) for _ in range(length)]
        if kind in _SCALARS:
            self._skip(length * struct.calcsize(f"<{_SCALARS[kind]}"))
        else:
            skip: Callable[[], Any] = self._skip_string
            if kind == _ARRAY:
                skip = lambda: self.value(_ARRAY)  # noqa: E731
            elif kind != _STRING:
                raise ValueError(f"its head is garbled (a list of the type {kind})")
            for _ in range(length):
                skip()
        return Listed(length)

    def _skip_string(self) -> None:
        self._skip(self.number("Q"))

    def _skip(self, count: int) -> None:
        if self._file.tell() + count > self._size:
            raise ValueError("it is cut short; copy or download it again")
        self._file.seek(count, 1)

    def _bytes(self, count: int) -> bytes:
        found = self._file.read(count)
        if len(found) < count:
            raise ValueError("it is cut short; copy or download it again")
        return found
