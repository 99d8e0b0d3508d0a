"""Downloads a model's files into the hub's cache; run as a process of its own, which can be ended
at any moment: `python -m serving.fetch_files REPO REVISION [--check]`.

The hub's client fetches, and goes on where a connection was cut. Added: what has come is compared
with its published checksum, which that client does not do for files that come over plain HTTP, and
a damaged file is deleted and fetched again, once. `--check` compares what was there before too.
`--only=NAME`, as often as need be, fetches these files and no others.

What it has to tell are lines of its output that begin with `MARK`: JSON, read by serving/fetch.py.
"""

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any, NoReturn

from errors import EngineError, HearthError
from serving.fetch import MARK, ONLY
from serving.hub_files import (
    HubFile,
    all_files,
    begun,
    bytes_there,
    check_space,
    drop_damaged,
    full_disk,
    needed_files,
    remove_begun,
    repo_folder,
)
from serving.model_source import hub_error

_TRIES = 4  # at a network that fails; within a try the client goes on where it was
_WAIT_SECONDS = 3.0
_TELL_BYTES = 50_000_000


def main(arguments: Sequence[str]) -> int:
    """Fetch; exit code 0 when everything needed is there and sound, else 1 with the reason told."""
    repo, revision, check = arguments[0], arguments[1] or None, "--check" in arguments
    only = {word.removeprefix(ONLY) for word in arguments[2:] if word.startswith(ONLY)}
    before = begun(repo)

    def end(*_: object) -> NoReturn:
        remove_begun(repo, before)  # the client would, but not in the time that a kill leaves
        os._exit(1)

    signal.signal(signal.SIGTERM, end)
    try:
        fetch(repo, revision, check, only)
    except HearthError as error:
        _tell(error=error.message, fix=error.fix)
        return 1
    finally:
        remove_begun(repo, before)
    return 0


def fetch(repo: str, revision: str | None, check: bool, only: Set[str] = frozenset()) -> None:
    """Download what is missing, and check it; `only` these files, where some are named. Raises
    EngineError."""
    files = _listed(repo, revision, only)
    had = {f.name for f in files if _blob(repo, f).exists()}
    # All there by its size, and yet no model: then one of them is not what it should be.
    check = check or len(had) == len(files)
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        if done - told >= _TELL_BYTES:
            told = done
            _tell(checked=done)

    old = drop_damaged(repo, files, read=lambda f: check and f.name in had, tell=tell)
    if old:
        _tell(damaged=old)
    check_space(repo, sum(f.size for f in files) - bytes_there(repo, files))
    for last in (False, True):
        _download(repo, revision, files)
        told = 0
        total = sum(f.size for f in files if f.name not in had)
        _tell(checking=total)
        damaged = drop_damaged(repo, files, read=lambda f: f.name not in had, tell=tell)
        if not damaged:
            return
        if last:
            break
        _tell(damaged=damaged)
    raise EngineError(
        f"{damaged[0]} of {repo} arrived damaged twice: its checksum is not the published one.",
        fix="Try again later or from another network; a proxy or mirror may change files on the "
        "way (HF_ENDPOINT names the server).",
    )


def _listed(repo: str, revision: str | None, only: Set[str]) -> tuple[HubFile, ...]:
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub

    try:
        info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=15)
    except (hub.HTTPError, OSError) as error:
        raise hub_error(error, repo, "is not whole") from None
    if only:
        return tuple(f for f in all_files(info) if f.name in only)
    return needed_files(info)


def _download(repo: str, revision: str | None, files: Sequence[HubFile]) -> None:
    from huggingface_hub import errors as hub
    from huggingface_hub import snapshot_download

    names = [f.name for f in files]
    for tries_left in reversed(range(_TRIES)):
        try:
            snapshot_download(repo, revision=revision, allow_patterns=names, max_workers=4)
            return
        except Exception as error:  # noqa: BLE001 - many kinds, from two libraries of HTTP
            refused = isinstance(error, hub.GatedRepoError | hub.RepositoryNotFoundError)
            if _is_full(error):
                raise full_disk(repo, files) from None
            if refused or not tries_left:
                raise hub_error(error, repo, "is not whole") from None
            _tell(again=str(error).splitlines()[0][:200] if str(error) else type(error).__name__)
            time.sleep(_WAIT_SECONDS)


def _is_full(error: Exception) -> bool:
    """Whether there was no room, or no more of the user's share; Xet's client says it in words."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)


def _blob(repo: str, file: HubFile) -> Path:
    return repo_folder(repo) / "blobs" / (file.checksum or "?")


def _tell(**what: Any) -> None:
    sys.stdout.write(f"{MARK}{json.dumps(what)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
