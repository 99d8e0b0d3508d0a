"""zip, tar, gz, bz2 and xz: what is in them, and single members. Nothing is unpacked to disk.

A member is looked up by the name that the listing shows; a name such as `../../etc/passwd` is a
text like any other here.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO, Any

from errors import ToolError
from tools.formats.kinds import ARCHIVES, kind_of

MOST_MEMBER_BYTES = 100_000_000
_LISTED = 300
_MOST_ENTRIES = 50_000
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
)
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def listing(data: bytes, name: str) -> str:
    """The members with their sizes; of a single packed file, what it is called."""
    kind = kind_of(data, name)
    try:
        entries = _entries(data, kind, name)
    except _DAMAGE as error:
        raise _damaged(name, error) from None
    if entries is None:
        return f"{name} holds one file.\nRead it with: read_file('{name}/{_inner_name(name)}')"
    if not entries:
        return f"{name} is an archive with nothing in it."
    lines = [f"- {entry} ({size} bytes)" for entry, size in entries[:_LISTED]]
    more = len(entries) - _LISTED
    lines += [f"and {more} more"] if more > 0 else []
    example = next((entry for entry, _ in entries if "'" not in entry), "member.txt")
    return "\n".join(
        [
            f"{name} is an archive of {len(entries)} files:",
            *lines,
            f"Read one with: read_file('{name}/{example}')",
        ]
    )


def member(data: bytes, name: str, path: str) -> bytes:
    """The bytes of a member of an archive, or of an archive in it (`inner.zip/a.txt`).

    Raises ToolError naming what is there, for a member over 100 MB, and a damaged archive.
    """
    kind = kind_of(data, name)
    try:
        entries = _entries(data, kind, name)
        if entries is None:
            inner = _inner_name(name)
            unpacked = _unpacked(data, kind, name)
            if path in (inner, ""):
                return unpacked
            rest = path.removeprefix(f"{inner}/")
            if rest != path and kind_of(unpacked, inner) in ARCHIVES:
                return member(unpacked, inner, rest)
            raise _no_member(name, path, [(inner, len(unpacked))])
        there = {str(PurePosixPath(entry)): entry for entry, _ in entries}  # `./a` is `a`
        if path in there:
            return _read(data, kind, name, there[path])
        # An archive in the archive: the longest beginning of the path that is a member.
        for at in sorted((n for n, c in enumerate(path) if c == "/"), reverse=True):
            if path[:at] in there:
                inner_data = _read(data, kind, name, there[path[:at]])
                return member(inner_data, f"{name}/{path[:at]}", path[at + 1 :])
    except _DAMAGE as error:
        raise _damaged(name, error) from None
    raise _no_member(name, path, entries)


def _entries(data: bytes, kind: str, name: str) -> list[tuple[str, int]] | None:
    """(name, size) of each file; None for a packed single file."""
    if kind == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = [(e.filename, e.file_size) for e in archive.infolist() if not e.is_dir()]
        return found[:_MOST_ENTRIES]
    if kind in _OPENERS and not _is_packed_tar(data, kind):
        return None
    if kind not in ARCHIVES:
        raise ToolError(f"{name} is not an archive that can be read.")
    files = []
    with _tar(data, kind) as tar:
        for entry in tar:
            if entry.isfile():
                files.append((entry.name, entry.size))
            if len(files) >= _MOST_ENTRIES:
                break
    return files


def _read(data: bytes, kind: str, name: str, path: str) -> bytes:
    if kind == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entry = archive.getinfo(path)
            if entry.flag_bits & 1:
                raise ToolError(
                    f"{path} in {name} is protected by a password.", "Ask for a copy without one."
                )
            with archive.open(entry) as stream:
                return _bounded(stream, f"{path} in {name}")
    with _tar(data, kind) as tar:
        inner = tar.extractfile(path)
        if inner is None:
            raise ToolError(f"{path} in {name} is no plain file.")
        return _bounded(inner, f"{path} in {name}")


def _tar(data: bytes, kind: str) -> tarfile.TarFile:
    mode: Any = f"r:{kind[1:]}" if kind in _OPENERS else "r:"
    return tarfile.open(fileobj=io.BytesIO(data), mode=mode)


def _is_packed_tar(data: bytes, kind: str) -> bool:
    with _OPENERS[kind](io.BytesIO(data)) as stream:
        return stream.read(512)[257:262] == b"ustar"


def _unpacked(data: bytes, kind: str, name: str) -> bytes:
    with _OPENERS[kind](io.BytesIO(data)) as stream:
        return _bounded(stream, name)


def _bounded(stream: IO[bytes], name: str) -> bytes:
    data = stream.read(MOST_MEMBER_BYTES + 1)
    if len(data) > MOST_MEMBER_BYTES:
        raise ToolError(f"{name} unpacks to more than {MOST_MEMBER_BYTES / 1e6:.0f} MB; refused.")
    return data


def _inner_name(name: str) -> str:
    return PurePosixPath(name).stem or "content"


def _no_member(name: str, path: str, entries: list[tuple[str, int]]) -> ToolError:
    listed = ", ".join(entry for entry, _ in entries[:20])
    more = f" and {len(entries) - 20} more" if len(entries) > 20 else ""
    return ToolError(
        f"No file '{path}' in {name}.", f"It holds: {listed}{more}", seen_as=FileNotFoundError
    )


def _damaged(name: str, error: Exception) -> ToolError:
    if "password" in str(error).lower() or "encrypted" in str(error).lower():
        return ToolError(f"{name} is protected by a password.", "Ask for a copy without one.")
    return ToolError(f"{name} is damaged: {str(error)[:200] or type(error).__name__}.")
