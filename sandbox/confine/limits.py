"""Resource limits of the worker: memory, file size, open files, threads, processor time."""

import contextlib
import os
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows; the executor refuses there, with a sentence
    resource = None  # type: ignore[assignment]

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_OPEN_FILES = 256
MAX_THREADS = 256
RESERVE_BYTES = 64 * 1024 * 1024
CPU_MARGIN_SECONDS = 30
_OWN_TASKS = 8  # the main thread, the one that reads the wire, a keeper, with room to spare


def apply(
    *, memory_bytes: int, file_bytes: int, open_files: int, threads: int, own_user: bool
) -> None:
    """Limit this process for good; it can lower the limits further but never raise them.

    `own_user`: it has a user id of its own. Only then can threads be limited, since the kernel
    counts them per user. Raises OSError or ValueError where the system refuses.
    """
    _lower(resource.RLIMIT_CORE, 0, 0)
    _lower(resource.RLIMIT_FSIZE, file_bytes, file_bytes)
    _lower(resource.RLIMIT_NOFILE, open_files, open_files)
    if own_user:
        # A few more for what is not the code's: its own limit is met first, and said in words.
        _lower(resource.RLIMIT_NPROC, threads + _OWN_TASKS, threads + _OWN_TASKS)
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
