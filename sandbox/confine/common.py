"""What to confine and how, as plain data; and the part of it that all tiers share."""

import dataclasses
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.confine import kernel, limits, rights


@dataclass(frozen=True)
class Confinement:
    """How to confine one worker; plain data, so that it crosses to another process as JSON.

    tier: a name of `TIERS`. workspace: the folder that it may write. readable: more folders that
    it may read. uid: a user id of its own (see `rights.private_user`), None to keep the app's;
    the workspace then becomes that user's.
    parent: the process that must outlive the one that calls `supervise`; 0 for whoever it is.
    """

    tier: str
    workspace: str
    readable: tuple[str, ...] = ()
    memory_bytes: int = 4 * 1024**3
    file_bytes: int = limits.MAX_FILE_BYTES
    open_files: int = limits.MAX_OPEN_FILES
    threads: int = limits.MAX_THREADS
    uid: int | None = None
    parent: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {**dataclasses.asdict(self), "readable": list(self.readable)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Confinement":
        """From `to_dict`. Raises TypeError for unknown or missing fields."""
        return cls(**{**data, "readable": tuple(data.get("readable", ()))})


def give_up_rights(c: Confinement, *, dumpable: bool = False) -> None:
    """The part that all tiers share: one thread, limits, user id, capabilities, parent.

    Raises OSError or ValueError where the system refuses.
    """
    _check_single_thread()
    if c.uid is not None:
        rights.give_all(Path(c.workspace), c.uid)
    limits.apply(
        memory_bytes=c.memory_bytes,
        file_bytes=c.file_bytes,
        open_files=c.open_files,
        threads=c.threads,
        own_user=c.uid is not None,
    )
    parent = c.parent or os.getppid()
    if sys.platform == "linux":
        if c.tier == "unconfined":
            # What the code starts and detaches falls to the worker, where the app finds it.
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        rights.drop(c.uid, dumpable=dumpable or c.tier == "unconfined")
        rights.end_with_parent(parent)
    elif os.getppid() != parent:
        raise OSError("the app ended while the sandbox was starting")


def _check_single_thread() -> None:
    try:
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - no Path objects needed
    except OSError:  # no /proc, as on macOS
        return
    if threads != 1:
        raise OSError(f"{threads} threads are running; confinement would bind only one of them")
