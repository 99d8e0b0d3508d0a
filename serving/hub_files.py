"""The files of a Hugging Face model: which an engine needs, how many of their bytes are in the
hub's cache, and whether what lies there is what was published.

In the cache a file's bytes lie in `blobs`, under the name of their checksum (SHA-256 for large
files, git's SHA-1 for small ones), and `snapshots` links to them by the file's own name. So a
file can be checked without asking anyone.
"""

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from errors import EngineError
from serving.progress import size_text

_SMALL_FILES = frozenset({".json", ".txt", ".model", ".jinja", ".tiktoken"})
_BLOCK = 4 << 20
_MAKE_ROOM = "Make room, choose a smaller model, or set HF_HOME to a larger disk."


@dataclass(frozen=True)
class HubFile:
    """One file of a repository. `checksum` is the name of its blob, `size` its bytes."""

    name: str
    size: int
    checksum: str


def all_files(info: Any) -> tuple[HubFile, ...]:
    """The files of a repository, as `HfApi.model_info(files_metadata=True)` tells it."""
    return tuple(
        HubFile(s.rfilename, s.size or 0, str((s.lfs.sha256 if s.lfs else s.blob_id) or ""))
        for s in info.siblings or []
    )


def needed_files(info: Any) -> tuple[HubFile, ...]:
    """Of a repository, as `HfApi.model_info(files_metadata=True)` tells it, the files that a
    server loads: the weights and what lies beside them. Empty where there are no weights."""
    # original/, onnx/ and their like hold other formats
    files = [f for f in all_files(info) if "/" not in f.name]
    weights = weight_files([f.name for f in files])
    if not weights:
        return ()
    beside = {f.name for f in files if PurePosixPath(f.name).suffix in _SMALL_FILES}
    return tuple(f for f in files if f.name in weights or f.name in beside)


def weight_files(names: Iterable[str]) -> set[str]:
    """The names of the weights: .safetensors, else .bin; of two copies the one in parts."""
    names = set(names)
    for suffix in (".safetensors", ".bin"):
        found = {n for n in names if n.endswith(suffix)}
        if any(n.startswith("model") for n in found):
            # Mistral's own copy of the same weights, which neither engine reads
            found = {n for n in found if not n.startswith("consolidated")}
        if found:
            return found
    return set()


def hub_cache() -> Path:
    """The folder where Hugging Face keeps downloaded models."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def repo_folder(repo: str) -> Path:
    """A repository's folder in the cache."""
    return hub_cache() / ("models--" + repo.partition("@")[0].replace("/", "--"))


def in_hub_cache(repo: str) -> bool:
    """Whether weights of a repository are in the hub's cache; its config.json alone is no model."""
    files = repo_folder(repo).glob("snapshots/*/*")
    return any(p.suffix in (".safetensors", ".gguf", ".bin") and p.exists() for p in files)


def bytes_there(repo: str, files: Iterable[HubFile]) -> int:
    """How many bytes of `files` are in the cache by now, unfinished ones included."""
    blobs = repo_folder(repo) / "blobs"
    total = 0
    for file in files:
        whole = blobs / file.checksum
        if file.checksum and whole.exists():
            total += file.size
            continue
        begun = (_written(path) for path in blobs.glob(f"{file.checksum or '?'}.*incomplete"))
        total += min(file.size, max(begun, default=0))
    return total


def downloaded_bytes(repo: str) -> int:
    """All bytes of a repository in the cache by now: for an engine that downloads by itself."""
    return sum(map(_written, (repo_folder(repo) / "blobs").glob("*")))


def _written(path: Path) -> int:
    try:
        stat = path.stat()
    except OSError:
        return 0  # renamed meanwhile
    # They may be sparse.
    return min(stat.st_size, stat.st_blocks * 512)


def check_space(model_id: str, wanted: int) -> None:
    """Raise EngineError when the cache's disk has no room for `wanted` more bytes."""
    there, free = _free()
    if wanted > free:
        raise EngineError(
            f"{model_id} needs {size_text(wanted)}, but {there} has only {size_text(free)} left.",
            fix=_MAKE_ROOM,
        )


def full_disk(repo: str, files: Iterable[HubFile]) -> EngineError:
    """The error for a disk that became full while `files` were fetched."""
    there, free = _free()
    files = list(files)
    missing = sum(f.size for f in files) - bytes_there(repo, files)
    return EngineError(
        f"The disk became full while {repo} was downloaded: {size_text(missing)} of it are "
        f"missing, but {there} has only {size_text(free)} left.",
        fix=f"{_MAKE_ROOM} Whole files are kept.",
    )


def _free() -> tuple[Path, int]:
    """The cache's folder, or the first above it that exists, and its disk's free bytes."""
    cache = hub_cache()
    there = next(p for p in (cache, *cache.parents) if p.exists())
    return there, shutil.disk_usage(there).free


def drop_damaged(
    repo: str,
    files: Iterable[HubFile],
    *,
    read: Callable[[HubFile], bool],
    tell: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Delete from the cache those of `files` that are not as published; returns their names.

    The size is looked at in all that are there; those that `read` chooses are read and their
    checksums compared. `tell` hears how many bytes have been read.
    """
    folder, dropped, done = repo_folder(repo), [], 0
    for file in files:
        blob = folder / "blobs" / file.checksum
        if not file.checksum or not blob.is_file():
            continue
        sound = blob.stat().st_size == file.size
        if sound and read(file):
            sound = checksum(blob, file.checksum, partial(_tell_more, tell, done)) == file.checksum
            done += file.size
        if not sound:
            dropped.append(file.name)
            for link in folder.glob(f"snapshots/*/{file.name}"):
                link.unlink()
            blob.unlink()
    return dropped


def _tell_more(tell: Callable[[int], None], before: int, done: int) -> None:
    tell(before + done)


def checksum(path: Path, like: str, tell: Callable[[int], None] = lambda done: None) -> str:
    """The checksum of a file in the kind that `like` is: SHA-256, or git's SHA-1 of a blob."""
    if len(like) == 64:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    done = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            tell(done)
    return digest.hexdigest()


def remove_begun(repo: str, before: Iterable[Path] = ()) -> None:
    """Delete unfinished downloads but those in `before`: the hub's client goes on with none."""
    kept = set(before)
    for path in begun(repo):
        if path not in kept:
            with contextlib.suppress(OSError):
                path.unlink()


def begun(repo: str) -> list[Path]:
    """The unfinished downloads of a repository."""
    return list((repo_folder(repo) / "blobs").glob("*.incomplete"))
