"""Keeps the agent's code from the user's files, network and processes.

A worker process gives up its rights for good before it runs any of the agent's code. How, is
the tier: see `TIERS`. The app chooses the tier with `sandbox.selftest.choose`, makes a
`Confinement`, and starts a process that calls `supervise`; that process either confines itself
and becomes the worker, or forks the worker and keeps it.

    limits      memory, files, threads, processor time
    rights      user id, capabilities, end with the parent
    readable    what the worker may read
    landlock    files, by the kernel's own rules
    broker      files, opened by a second process
    namespaces  a file system, network and process table of its own
    seatbelt    macOS's profiles
    seccomp     the system calls that remain
    tiers       all this in words
"""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from sandbox.confine import seatbelt
from sandbox.confine.common import Confinement, give_up_rights
from sandbox.confine.limits import RESERVE_BYTES, begin_step, environment, hold_reserve
from sandbox.confine.tiers import TIERS, Tier

if sys.platform == "linux":  # with calls and flags that only Linux has
    from sandbox.confine import broker, landlock, namespaces, seccomp

__all__ = [
    "RESERVE_BYTES",
    "TIERS",
    "Confinement",
    "Tier",
    "begin_step",
    "command",
    "enter",
    "environment",
    "hold_reserve",
    "is_wrapped",
    "supervise",
]

CANT_CONFINE = 78  # exit status: EX_CONFIG of sysexits.h


def enter(c: Confinement) -> None:
    """Confine this process for good, before any of the agent's code runs in it.

    With a single thread: Landlock binds the calling thread only. In the tiers with a second
    process (broker, namespaces) the calling process becomes the keeper, and this returns in the
    worker, its child. Raises OSError or ValueError where it can't; then no code may run here.
    """
    if c.tier not in TIERS:
        raise ValueError(f"unknown tier {c.tier!r}; known: {', '.join(TIERS)}")
    if c.tier not in _ENTER:
        raise ValueError(f"the tier {c.tier} can't be entered on {sys.platform}")
    if c.tier == "uid" and c.uid is None:
        raise ValueError("the tier uid needs a user id of its own")
    _ENTER[c.tier](c)


def _enter_landlock(c: Confinement) -> None:
    give_up_rights(c)
    watched = landlock.restrict(c.workspace, c.readable) >= landlock.ABI_TRUNCATE
    seccomp.install(truncate=watched)


def _enter_uid(c: Confinement) -> None:
    give_up_rights(c)
    seccomp.install()


_ENTER: dict[str, Callable[[Confinement], None]] = {
    "seatbelt": seatbelt.enter,
    "restricted": give_up_rights,  # what confines the code is its interpreter
    "unconfined": give_up_rights,
}
if sys.platform == "linux":
    _ENTER |= {
        "landlock": _enter_landlock,
        "broker": broker.enter,
        "namespaces": namespaces.enter,
        "bubblewrap": namespaces.enter_bubblewrap,
        "uid": _enter_uid,
    }

# The tiers that a program of the system starts: no fork of the template can be in them.
_WRAP: dict[str, Callable[[Confinement, list[str], Path], list[str]]] = {
    "seatbelt": seatbelt.command
}
if sys.platform == "linux":
    _WRAP["bubblewrap"] = namespaces.bubblewrap


def is_wrapped(tier: str) -> bool:
    """Whether a worker of the tier has to be started as a new program, by `command`."""
    return tier in _WRAP


def command(c: Confinement, started: list[str], code: Path) -> list[str]:
    """The command `started` as the tier wants it; `code` is the folder of our own code.

    Raises OSError where the tier's program is missing, ValueError for a path it can't name.
    """
    return _WRAP[c.tier](c, started, code) if c.tier in _WRAP else started


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
