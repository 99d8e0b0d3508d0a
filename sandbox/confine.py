"""What the sandbox keeps in, and what it does not.

At the level `process`, the only one so far, the agent's code runs in a process of its own
with the user's rights.

Covered:
- it can't touch the app's memory by accident, nor end or block the app; the app can stop it
  at any time, whatever it does;
- memory (the code gets a MemoryError), size of one file, open files, processor time per
  step, printed output, calls of tools per step, size of a message: each has a limit;
- no environment variable of the app, so no token or key in one, reaches it;
- it can't gain rights through set-uid programs (no_new_privs, Linux);
- it ends when the app ends, killed or not.

NOT covered:
- FILES: it reads and writes whatever the user may, token files, keys and the app's own
  database among them;
- NETWORK: it can reach any address, loopback and the local network too;
- PROCESSES: it can start programs, signal and (Linux, where ptrace is allowed) inspect other
  processes of the same user, the app among them; a program that it starts and detaches can
  outlive it when the app is killed;
- DISK: the number of files and their total size are not limited;
- kernel faults and side channels.

So this level guards against mistakes, not against an attacker. A task that reads untrusted
pages or files can be turned against you; run such tasks on a machine with nothing to lose.

A stronger level is one more row in `LEVELS` and one more branch in `confine`; the worker
calls it once, before any of the agent's code, with a single thread running.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

try:
    import resource
except ImportError:  # Windows; the executor refuses there, with a sentence
    resource = None  # type: ignore[assignment]

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_OPEN_FILES = 256
RESERVE_BYTES = 64 * 1024 * 1024
CPU_MARGIN_SECONDS = 30

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER = 1, 38, 36


class Level(NamedTuple):
    """A level of confinement in words, for the status page."""

    name: str
    covers: tuple[str, ...]
    leaves_open: tuple[str, ...]


LEVELS = {
    "process": Level(
        "process",
        (
            "a process of its own: the app's memory is out of reach, and the app can stop it",
            "limits on memory, file size, open files, processor time, output and tool calls",
            "no environment variable of the app (tokens, keys) is handed on",
            "no gain of rights through set-uid programs (Linux)",
            "ends with the app, also when the app is killed",
        ),
        (
            "files: reads and writes whatever the user may, keys and token files included",
            "network: reaches any address, loopback and the local network included",
            "processes: starts programs; signals and may inspect the user's other processes",
            "disk: the total size and number of files are not limited",
        ),
    )
}


def confine(level: str, *, memory_bytes: int, parent: int) -> None:
    """Confine this process for good, before any of the agent's code runs.

    `parent` is the process that must outlive it. Raises ValueError for an unknown level and
    OSError where the system refuses; then no code may run.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown level of confinement {level!r}; known: {', '.join(LEVELS)}")
    _limit_resources(memory_bytes)
    if sys.platform == "linux":
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        # Fires when the *thread* that started this process ends: the app starts workers from
        # one thread that lives as long as the app.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # What the code starts and detaches falls to the worker, where the app finds it.
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        with contextlib.suppress(OSError):  # when memory runs out: this process, not the app
            Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getppid() != parent:
        raise OSError("the app ended while the sandbox was starting")


def _limit_resources(memory_bytes: int) -> None:
    _lower(resource.RLIMIT_CORE, 0, 0)
    _lower(resource.RLIMIT_FSIZE, MAX_FILE_BYTES, MAX_FILE_BYTES)
    _lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES, MAX_OPEN_FILES)
    try:
        _lower(resource.RLIMIT_AS, memory_bytes, memory_bytes + RESERVE_BYTES)
    except (ValueError, OSError):
        if sys.platform == "linux":
            raise  # macOS does not keep this limit; elsewhere it must hold


def _lower(which: int, soft: int, hard: int) -> None:
    """Set a limit, never above the one already there."""
    _, ceiling = resource.getrlimit(which)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))


def _prctl(option: int, value: int) -> None:
    import ctypes  # only the worker pays for it

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def begin_step(seconds: float) -> None:
    """Bound the processor time of a step, for when nobody is left to watch the clock."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cores = os.cpu_count() or 1
    bound = int(used.ru_utime + used.ru_stime + seconds * cores) + CPU_MARGIN_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or bound <= hard:
        resource.setrlimit(resource.RLIMIT_CPU, (bound, hard))


def hold_reserve(held: bool) -> None:
    """Keep back the last of the memory while the code runs; free it to report a MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard <= RESERVE_BYTES:
        return
    with contextlib.suppress(ValueError, OSError):
        wanted = hard - RESERVE_BYTES if held else hard
        if wanted != soft:
            resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def environment(workspace_folder: Path) -> dict[str, str]:
    """The worker's whole environment; `workspace_folder` holds its home and caches.

    Nothing is copied but what Python and the numeric libraries need to start and to show
    text and time; a secret in a variable of the app is not handed on.
    """
    kept = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    env |= {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
    env |= {"MPLBACKEND": "Agg", "MALLOC_ARENA_MAX": "4"}
    env |= {
        "HOME": str(workspace_folder / "home"),
        "TMPDIR": str(workspace_folder / "tmp"),
        "MPLCONFIGDIR": str(workspace_folder / "matplotlib"),
    }
    return env
