"""What the worker may do by virtue of who it is: user id, capabilities, signals from its parent.

Linux only. The order in `drop` matters: changing the user clears
the signal on the parent's end and the capabilities needed for the steps before it.
"""

import contextlib
import ctypes
import os
import random
import signal
import stat
import struct
import tempfile
from pathlib import Path

from sandbox import files
from sandbox.confine import kernel

# Ids that systemd's table of user ids (systemd.io/UIDS-GIDS) leaves to nobody: below 65536, so
# that they exist in a rootless container too, and outside of the ranges of people, services
# (DynamicUser begins at 61184) and containers.
USER_IDS = range(60706, 61184)

# What this app gave to sessions that may not own a file yet.
_given_out: set[int] = set()

_PR_CAP_AMBIENT_CLEAR_ALL = 4
# NOROOT and NO_CAP_AMBIENT_RAISE on, NO_SETUID_FIXUP and KEEP_CAPS off, all of them locked: user 0
# stays without capabilities whatever it runs (capabilities(7)).
_SECUREBITS = 0b0000_0001 | 0b0000_0010 | 0b0000_1000 | 0b0010_0000 | 0b0100_0000 | 0b1000_0000
_CAPABILITY_VERSION_3 = 0x20080522


def drop(uid: int | None, *, dumpable: bool = False) -> None:
    """Give up every right for good: user id (with `uid`, as root), capabilities, gaining new ones.

    `dumpable`: processes of the same user may look into this one, as a broker has to.
    Raises OSError where the system refuses.
    """
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else its own files in /proc belong to root
    with contextlib.suppress(OSError):  # when memory runs out: this process, not the app
        Path("/proc/self/oom_score_adj").write_text("1000")
    _drop_bounding_set()
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    with contextlib.suppress(OSError):  # Linux before 4.3
        kernel.prctl(kernel.PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _clear_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, int(dumpable))


def end_with_parent(parent: int) -> None:
    """Be killed when the parent ends. Raises OSError if it isn't `parent` any more.

    The signal comes when the *thread* that started this process ends. Call it after `drop`:
    a change of the user id clears it.
    """
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise OSError("the app ended while the sandbox was starting")


def _drop_bounding_set() -> None:
    """Needs CAP_SETPCAP; without it there is nothing that could be gained either."""
    if not _effective() & (1 << 8):
        return
    with contextlib.suppress(OSError):  # not everywhere; the empty bounding set does the same
        kernel.prctl(kernel.PR_SET_SECUREBITS, _SECUREBITS)
    for capability in range(64):
        try:
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
        except OSError:
            if capability == 0:
                raise
            return  # past the last one that this kernel knows


def _effective() -> int:
    header, data = struct.pack("=II", _CAPABILITY_VERSION_3, 0), ctypes.create_string_buffer(24)
    if kernel.libc().capget(ctypes.create_string_buffer(header), data) != 0:
        raise kernel.failure("capget")
    low, _, _, high, _, _ = struct.unpack("=6I", data.raw)
    return int(low | high << 32)


def _clear_capabilities() -> None:
    header, data = struct.pack("=II", _CAPABILITY_VERSION_3, 0), bytes(24)
    if kernel.libc().capset(ctypes.create_string_buffer(header), data) != 0:
        raise kernel.failure("capset")


def give(path: Path, uid: int | None) -> None:
    """Make the file or folder at `path`, itself no link, belong to a worker with its own user id.

    For what the app puts into the workspace after the session began. Without a user id of its
    own (None) the worker is the app's user and nothing has to change. Raises OSError.
    """
    if uid is not None:
        os.chown(path, uid, uid, follow_symlinks=False)


def give_all(folder: Path, uid: int) -> None:
    """`give` for the folder, which is closed to others from here on, and everything in it.

    No link is followed, and a file with a second name, which may lie elsewhere, is left alone;
    so is what can't be changed. Another worker may run in the folder meanwhile. Raises OSError
    for the folder itself.
    """
    give(folder, uid)
    folder.chmod(0o700)
    files.give(folder, uid)


def private_user(workspace: Path, needed: list[Path]) -> int:
    """A user id for the session of `workspace`.

    A workspace keeps the id that it had; another gets one that nobody has: no name, no process,
    no neighbour of the workspace. Raises OSError, in words, where there can't be one: not as
    root with the capabilities for it, on a file system that keeps its owners, or where a folder
    on the way to the workspace or to the `needed` files is closed to other users.
    """
    if os.geteuid() != 0 or not _may_change_user():
        raise OSError("only root can give a worker a user id of its own")
    for path in (workspace.resolve().parent, *needed):
        closed = _closed(path)
        if closed:
            raise OSError(f"a user id of its own needs {closed} to be open to other users")
    owner = workspace.stat().st_uid if workspace.exists() else 0
    if owner in USER_IDS:
        return owner
    taken = _users_with_processes() | _owners_beside(workspace)
    free = [uid for uid in USER_IDS if uid not in taken and _is_mapped(uid) and not _named(uid)]
    if not free:
        raise OSError("no user id is free")
    if _given_out.issuperset(free):
        _given_out.clear()  # each was used, and its session has ended
    uid = random.SystemRandom().choice([uid for uid in free if uid not in _given_out])
    _check_can_give(workspace if workspace.exists() else workspace.parent, uid)
    _given_out.add(uid)
    return uid


def _check_can_give(folder: Path, uid: int) -> None:
    """Not every file system lets root give files away: NFS with root_squash, many by FUSE."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            os.fchown(probe.fileno(), uid, uid)
    except OSError as error:
        raise OSError(
            f"files in {folder} can't be given to another user ({error.strerror})"
        ) from None


def _may_change_user() -> bool:
    """CAP_CHOWN, CAP_SETGID, CAP_SETUID: Docker gives them to root, a dropped one has none."""
    return _effective() & 0b1100_0001 == 0b1100_0001


def _closed(path: Path) -> Path | None:
    """What keeps another user from the file or folder: itself, or a folder above it."""
    for name in {path.absolute(), path.resolve()}:
        for folder in reversed(name.parents):
            if not folder.stat().st_mode & 0o001:
                return folder
    mode = path.stat().st_mode
    wanted = 0o001 if stat.S_ISDIR(mode) else 0o004
    return None if mode & wanted else path


def _users_with_processes() -> set[int]:
    users = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            users.add(entry.stat().st_uid)
    return users


def _owners_beside(workspace: Path) -> set[int]:
    """Who owns the other workspaces: their files must stay closed to this one."""
    owners = set()
    with contextlib.suppress(OSError), os.scandir(workspace.parent) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                owners.add(entry.stat(follow_symlinks=False).st_uid)
    return owners


def _is_mapped(uid: int) -> bool:
    """Whether the id exists in this container (user_namespaces(7))."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return True
    spans = [tuple(map(int, line.split())) for line in lines]
    return any(inside <= uid < inside + length for inside, _, length in spans)


def _named(uid: int) -> bool:
    import pwd  # not there on Windows, where the app says that it needs another system

    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
