"""Keeps the agent's code from the user's files, network and processes.

A worker process gives up its rights for good before it runs any of the agent's code. How, is
the tier: see `TIERS`. The app chooses the tier with `sandbox.selftest.choose`, makes a
`Confinement`, and starts a process that calls `supervise`; that process either confines itself
and becomes the worker, or forks the worker and keeps it.

    limits      memory, files, threads, processor time
    rights      user id, capabilities, end with the parent
    paths       what the worker may read
    landlock    files, by the kernel's own rules
    seccomp     the system calls that remain
    tiers       all this in words
"""

import dataclasses
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sandbox.confine import kernel, landlock, limits, rights, seccomp
from sandbox.confine.limits import RESERVE_BYTES, begin_step, environment, hold_reserve
from sandbox.confine.tiers import TIERS, Tier

__all__ = [
    "LEVELS",
    "RESERVE_BYTES",
    "TIERS",
    "Confinement",
    "Tier",
    "begin_step",
    "confine",
    "enter",
    "environment",
    "hold_reserve",
    "supervise",
]

CANT_CONFINE = 78  # exit status: EX_CONFIG of sysexits.h


@dataclass(frozen=True)
class Confinement:
    """How to confine one worker; plain data, so that it crosses to another process as JSON.

    tier: a name of `TIERS`. workspace: the folder that it may write. readable: more folders that
    it may read. uid: a user id of its own (see `rights.private_user`), None to keep the app's.
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


def enter(c: Confinement) -> None:
    """Confine this process for good, before any of the agent's code runs in it.

    With a single thread: Landlock binds the calling thread only. Not for the tiers in which
    another process keeps the worker (broker, namespaces): their modules compose the same parts.
    Raises OSError or ValueError where it can't; then no code may run here.
    """
    if c.tier not in TIERS:
        raise ValueError(f"unknown tier {c.tier!r}; known: {', '.join(TIERS)}")
    if c.tier not in ("landlock", "uid", "unconfined"):
        raise ValueError(f"the tier {c.tier} is not entered this way")
    if c.tier == "uid" and c.uid is None:
        raise ValueError("the tier uid needs a user id of its own")
    give_up_rights(c)
    if c.tier == "unconfined":
        return
    truncate = True
    if c.tier == "landlock":
        truncate = landlock.restrict(c.workspace, c.readable) >= landlock.ABI_TRUNCATE
    seccomp.install(truncate=truncate)


def give_up_rights(c: Confinement, *, dumpable: bool = False) -> None:
    """The part that all tiers share: one thread, limits, user id, capabilities, parent.

    Raises OSError or ValueError where the system refuses.
    """
    _check_single_thread()
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


def supervise(c: Confinement, run_worker: Callable[[], None]) -> NoReturn:
    """Be the process of a sandbox: confine, run the worker, end as the worker ended.

    The caller made it the leader of its own process group. Never returns: exits with 0 after
    `run_worker`, with 1 and a traceback if that raised, with CANT_CONFINE and a sentence on
    standard error if the confinement failed.
    """
    try:
        enter(c)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the sandbox can't be confined: {error}\n")
        sys.stderr.flush()
        os._exit(CANT_CONFINE)
    try:
        run_worker()
    except BaseException:  # noqa: BLE001 - the outer edge of the process
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _check_single_thread() -> None:
    try:
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - no Path objects needed
    except OSError:  # no /proc, as on macOS
        return
    if threads != 1:
        raise OSError(f"{threads} threads are running; confinement would bind only one of them")


# The old name of the tier `unconfined`, until the executor has moved over.
LEVELS = {"process": TIERS["unconfined"]._replace(name="process")}


def confine(level: str, *, memory_bytes: int, parent: int) -> None:
    """`enter` for the old level. Raises ValueError for an unknown one, and OSError."""
    if level not in LEVELS:
        raise ValueError(f"unknown level of confinement {level!r}; known: {', '.join(LEVELS)}")
    enter(Confinement("unconfined", str(Path.cwd()), memory_bytes=memory_bytes, parent=parent))
