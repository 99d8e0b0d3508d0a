"""A file system, network and process table of its own: confinement by Linux namespaces.

What a worker doesn't see it can't open: its root holds the workspace, what it may read, and
nothing else; its network has no interface that is up; its process table begins with itself. The
filter of system calls comes on top. Where user namespaces may be had (no container's filter and
no AppArmor profile in the way) this needs no rights and no program; `bubblewrap` is the same by
a program that may have them where others may not. See namespaces(7), user_namespaces(7) and
pivot_root(2).
"""

import contextlib
import ctypes
import dataclasses
import os
import re
import shutil
import signal
import sys
from pathlib import Path

from sandbox.confine import keeper, kernel, readable, rights, seccomp
from sandbox.confine.common import Confinement, give_up_rights

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER = 0x20000, 0x4000000, 0x8000000, 0x10000000
_NEWPID, _NEWNET = 0x20000000, 0x40000000

_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
# What a mount has of these it must keep. By the numbers of statvfs(3), then those of mount(2).
_KEPT = {1: 1, 2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_OLD = "/.old"
_MARK = "/.bubblewrap"


def enter(c: Confinement) -> None:
    """Fork the worker into namespaces of its own; the calling process becomes its keeper.

    Returns in the worker only. Raises OSError or ValueError, in either, where it can't.
    """
    folders = [str(path.resolve()) for path in (*readable.paths(), *map(Path, c.readable))]
    if c.uid is not None or os.geteuid() != 0:
        give_up_rights(c, dumpable=True)  # the files of /proc that it writes next must be its own
    _unshare()
    _build_root(c.workspace, folders)
    give_up_rights(dataclasses.replace(c, uid=None))
    first = _fork_first()
    worker = keeper.fork()
    if worker:
        keeper.keep(worker, [], lambda: None, also=[first])
    rights.end_with_parent(0)  # the keeper is outside, where this process sees nobody
    seccomp.install(truncate=True)


def _unshare() -> None:
    """Enter the namespaces, with the same user; only children are in the process table's."""
    uid, gid = os.geteuid(), os.getegid()
    wanted = _NEWUSER | _NEWNS | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS
    if kernel.libc().unshare(wanted) != 0:
        raise kernel.failure("namespaces of its own")
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{uid} {uid} 1")
    (own / "gid_map").write_text(f"{gid} {gid} 1")
    with contextlib.suppress(OSError):  # when memory runs out: this process, not the app
        (own / "oom_score_adj").write_text("1000")


def _build_root(workspace: str, folders: list[str]) -> None:
    """Make a new root of the workspace, the folders to read and four devices."""
    links = _links()
    usual = os.umask(0o666)  # what is made here can be passed through, not listed
    _mount(None, "/", None, _REC | _PRIVATE)
    # The new root needs a folder to be mounted on; the workspace is one that is there.
    _mount("sandbox", workspace, "tmpfs", _NOSUID | _NODEV, "size=1m,nr_inodes=8k,mode=111")
    Path(workspace + _OLD).mkdir()
    pivot = os.fsencode(workspace)
    number = _PIVOT_ROOT[kernel.architecture()]
    kernel.syscall("pivot_root", number, pivot, pivot + os.fsencode(_OLD))
    os.chdir("/")
    for path in sorted({workspace, *folders}, key=lambda path: path.count("/")):
        _show(path, writable=path == workspace)
    for device in (*readable.DEVICES_TO_READ, *readable.DEVICES_TO_WRITE):
        _show(device, writable=device in readable.DEVICES_TO_WRITE)
    for name, target in links.items():
        if not os.path.lexists(name):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).symlink_to(target)
    if kernel.libc().umount2(os.fsencode(_OLD), _DETACH) != 0:
        raise kernel.failure("unmounting the old root")
    Path(_OLD).rmdir()
    _mount(None, "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)
    os.umask(usual)
    os.chdir(workspace)


def _links() -> dict[str, str]:
    """Names by which the folders to read are known beside their real ones."""
    names = {*sys.path, sys.prefix, sys.base_prefix, *readable.NAMED}
    names |= {str(path) for path in Path("/").iterdir() if path.is_symlink()}
    real = {name: os.path.realpath(name) for name in names if name.startswith("/")}
    return {name: path for name, path in real.items() if name != path and _is_there(path)}


def _is_there(path: str) -> bool:
    """False also for what is closed to this user."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises then


def _show(path: str, *, writable: bool) -> None:
    """Let a file or folder of the old root appear under its own name."""
    source, place = Path(_OLD + path), Path(path)
    if not _is_there(str(source)):
        return
    if not _is_there(path):
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            place.mkdir()
        else:
            place.touch()
    _mount(str(source), path, None, _BIND | _REC)
    for mounted in _mounts_under(path):
        found = os.statvfs(mounted).f_flag
        flags = sum(flag for held, flag in _KEPT.items() if found & held)
        # The four devices are what their mounts are for.
        flags |= _NOSUID | (0 if writable else _RDONLY) | (0 if place.is_char_device() else _NODEV)
        _mount(None, mounted, None, _REMOUNT | _BIND | flags)


def _mounts_under(path: str) -> list[str]:
    """The mount at `path` and those inside it; a bind takes them along, but not its flags."""
    found = [path]
    with contextlib.suppress(OSError):  # no /proc was mounted
        for line in Path(_OLD + "/proc/self/mountinfo").read_text().splitlines():
            place = re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split(" ")[4])
            if place.startswith(path + "/"):
                found.append(place)
    return found


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    data = None if options is None else os.fsencode(options)
    if kernel.libc().mount(*words, ctypes.c_ulong(flags), data) != 0:
        raise kernel.failure(f"mounting {target}")


def _fork_first() -> int:
    """The first process of the process table. The kernel ends all others with it."""
    ready, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        if not os.read(ready, 1):
            raise OSError("the first process of the process table has ended")
        os.close(ready)
        return child
    try:
        os.close(ready)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        rights.end_with_parent(0)
        os.write(tell, b".")  # fails if the parent, which can't be seen from here, ended before
        os.closerange(0, os.sysconf("SC_OPEN_MAX"))
        while True:
            signal.pause()
    finally:
        os._exit(1)


def bubblewrap(c: Confinement, started: list[str], code: Path) -> list[str]:
    """`started` as bubblewrap runs it, in namespaces; `code` is where our own code is.

    For where a profile (AppArmor) allows namespaces to bubblewrap alone. The process confines
    itself further with `enter_bubblewrap`. A worker that dies by a signal ends bubblewrap with
    128 and the signal's number, as a shell does. Raises OSError where it isn't installed.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise OSError("bubblewrap is not installed (the program bwrap)")
    wrapped = [program, "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    wrapped += ["--dir", _MARK]
    for path in sorted({*map(str, readable.paths()), *c.readable}):
        wrapped += ["--ro-bind-try", path, path]
    # Python itself and our own code are needed to start; neither is a secret.
    python, prefix = os.path.realpath(sys.executable), os.path.realpath(sys.prefix)
    for path in (python, f"{prefix}/pyvenv.cfg", str(code / "sandbox")):
        wrapped += ["--ro-bind-try", path, path]
    wrapped += ["--bind", c.workspace, c.workspace]
    folder, name = os.path.split(sys.executable)
    executable = f"{os.path.realpath(folder)}/{name}"
    links = _links() | ({executable: python} if executable != python else {})
    for name, target in sorted(links.items()):
        if links.keys().isdisjoint(map(str, Path(name).parents)):  # else it is there by its parent
            wrapped += ["--symlink", target, name]
    for device in (*readable.DEVICES_TO_READ, *readable.DEVICES_TO_WRITE):
        wrapped += ["--dev-bind-try", device, device]
    wrapped += ["--remount-ro", "/", "--chdir", c.workspace, "--", *started]
    # The app interrupts the whole process group and means the worker, not bubblewrap.
    return ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", *wrapped]


def enter_bubblewrap(c: Confinement) -> None:
    """Confine a process that `bubblewrap` started. Raises OSError or ValueError."""
    if not Path(_MARK).is_dir():
        raise OSError("bubblewrap did not start this process")
    if c.uid is not None:
        raise ValueError("bubblewrap keeps the user of the app")
    give_up_rights(dataclasses.replace(c, parent=0))  # its parent is bubblewrap
    seccomp.install(truncate=True)
