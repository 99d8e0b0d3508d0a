"""Looks after what the kernel's own limits don't bound: memory of a whole group of processes,
threads, and what lies in the workspace.

A walk through a workspace takes time, so it happens only when the file system has grown, and
now and then besides, never for more than a tenth of the time.
"""

import contextlib
import os
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from sandbox import files
from sandbox.files import Contents, Quota

SECONDS = 0.1  # between two looks while a step runs
MAX_THREADS = 512  # the worker itself refuses to start half as many
_WALK_SECONDS = 2.0
_SMALL_BYTES = 50_000_000
_SMALL_FILES = 5_000
_FREE_BYTES = 500_000_000
_MAX_PROCESSES = 64
_SLACK_BYTES = 320 * 1024 * 1024


@dataclass(frozen=True)
class Breach:
    """A limit that was broken. `said`: as in `the code …`; `disk`: the workspace is too full;
    `at_once`: too far to ask the code to stop."""

    said: str
    disk: bool = False
    at_once: bool = True


class Watch:
    """Watches one worker and its workspace."""

    def __init__(self, pid: int, root: Path, *, memory_bytes: int) -> None:
        self._pid = pid
        self._root = root
        # What it shares with others, and pages of files that it has yet to touch, are not its.
        self._memory = memory_bytes + _resident(pid) + _SLACK_BYTES
        self._began = self._walked = _disk(root)
        self._next_walk = 0.0
        self.quota = Quota()

    def begin(self, quota: Quota) -> None:
        """A step begins, in a workspace that was found within its quota."""
        self.quota = quota
        self._began = self._walked = _disk(self._root)
        self._next_walk = time.monotonic() + _WALK_SECONDS

    def look(self) -> Breach | None:
        """The first limit that is broken now."""
        return self._processes() or self._workspace()

    def _processes(self) -> Breach | None:
        pids = group(self._pid)
        if sum(map(_resident, pids)) > self._memory:
            return Breach("needed more memory than the sandbox has")
        if len(pids) >= _MAX_PROCESSES or sum(map(_threads, pids)) > MAX_THREADS:
            return Breach(f"started more than {MAX_THREADS} threads or {_MAX_PROCESSES} processes")
        return None

    def _workspace(self) -> Breach | None:
        now = time.monotonic()
        used = _disk(self._root)
        since_walk = [a - b for a, b in zip(used, self._walked, strict=True)]
        if since_walk[0] < _SMALL_BYTES and since_walk[1] < _SMALL_FILES and now < self._next_walk:
            return None
        self._walked = used
        found = files.contents(self._root, self.quota)
        found.bytes += self.nameless()
        self._next_walk = time.monotonic() + max(_WALK_SECONDS, 10 * (time.monotonic() - now))
        return breach_of(found, self.quota) or self._full_disk(used[0] - self._began[0])

    def nameless(self) -> int:
        """Bytes on disk in files that are open but have no name any more, where that shows."""
        return sum(map(_nameless, group(self._pid)))

    def _full_disk(self, grown: int) -> Breach | None:
        """The last line, for what the walk can't see: files that are open but have no name."""
        if grown <= self.quota.max_bytes or _free(self._root) >= _FREE_BYTES:
            return None
        return Breach("filled the disk")


def breach_of(found: Contents, quota: Quota) -> Breach | None:
    """The limit that the contents of a workspace break, if any."""
    excess = found.excess(quota)
    if not excess:
        return None
    return Breach(f"left {excess} in the workspace", disk=True, at_once=False)


def _disk(root: Path) -> tuple[int, int]:
    """Bytes and files on the whole file system; others write there too."""
    try:
        seen = os.statvfs(root)
    except OSError:
        return 0, 0
    return (seen.f_blocks - seen.f_bfree) * seen.f_frsize, seen.f_files - seen.f_ffree


def _free(root: Path) -> int:
    try:
        seen = os.statvfs(root)
    except OSError:
        return _FREE_BYTES
    return seen.f_bavail * seen.f_frsize


def _nameless(pid: int) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - numbers
            with contextlib.suppress(OSError):
                seen = os.stat(f"/proc/{pid}/fd/{name}")  # noqa: PTH116 - numbers
                if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 0:
                    total += seen.st_blocks * 512
    return total


def group(pid: int) -> list[int]:
    """The process and those that it started, as far as they haven't got away."""
    if sys.platform != "linux":
        with contextlib.suppress(psutil.Error):
            return [pid, *(each.pid for each in psutil.Process(pid).children(recursive=True))]
    found = [pid]
    for process in found:
        if len(found) >= _MAX_PROCESSES:
            break
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{process}/task")[:_MAX_PROCESSES]:  # noqa: PTH208 - numbers
                listed = Path(f"/proc/{process}/task/{task}/children").read_text()
                found += map(int, listed.split())
    return found


def _resident(pid: int) -> int:
    """Bytes of a process in memory, those that it shares included; 0 for one that has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _threads(pid: int) -> int:
    try:
        return int(psutil.Process(pid).num_threads())
    except psutil.Error:
        return 0
