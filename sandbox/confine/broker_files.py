"""Which files a brokered process may have: the workspace, and folders to read.

Every function takes the absolute path that the process asked for and does the call itself, on
descriptors of its own. A path into the workspace is opened beneath the workspace's descriptor,
through no symbolic link (openat2(2)); any other path is first opened as a bare location
(O_PATH: nothing is read, run or waited for), then judged by where it really led. So what is
judged and what is opened are the same thing, whatever happens to names in between.

Paths are bytes: a name need not be text.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from sandbox.confine import kernel

_BENEATH, _NO_SYMLINKS, _NO_MAGIC_LINKS = 0x08, 0x04, 0x02
_RESOLVE = _BENEATH | _NO_SYMLINKS | _NO_MAGIC_LINKS
_OPENAT2, _RENAMEAT2 = 437, {"x86_64": 316, "aarch64": 276}
_PROC_MAGIC = 0x9FA0
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_how = struct.Struct("=QQQ")

O_PATH, O_TMPFILE = os.O_PATH, os.O_TMPFILE
_CREATES = os.O_CREAT | (O_TMPFILE & ~os.O_DIRECTORY)
_FLAGS = (
    os.O_ACCMODE | os.O_CREAT | os.O_EXCL | os.O_NOCTTY | os.O_TRUNC | os.O_APPEND
    | os.O_NONBLOCK | os.O_DSYNC | os.O_SYNC | os.O_DIRECT | os.O_DIRECTORY | os.O_NOFOLLOW
    | os.O_NOATIME | os.O_CLOEXEC | O_TMPFILE
)  # fmt: skip
_OF_A_PLACE = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# By name and number: a file of that name elsewhere, or another device of that name, is not it.
DEVICES = {b"/dev/null": (1, 3), b"/dev/zero": (1, 5), b"/dev/random": (1, 8)}
DEVICES |= {b"/dev/urandom": (1, 9)}


def refused(code: int = errno.EACCES) -> OSError:
    """The error of a call that is not allowed."""
    return OSError(code, os.strerror(code))


def _real(path: str | Path) -> Path | None:
    """Where the path leads, or None if it isn't there or is closed to this user."""
    try:
        return Path(path).resolve(strict=True)
    except (OSError, RuntimeError):
        return None


def _place_of(descriptor: int) -> bytes:
    """The path of what is open, as the kernel knows it."""
    return os.readlink(b"/proc/self/fd/%d" % descriptor)  # noqa: PTH115 - bytes


def _is_harmless_device(real: bytes, found: os.stat_result) -> bool:
    numbers = (os.major(found.st_rdev), os.minor(found.st_rdev))
    return stat.S_ISCHR(found.st_mode) and DEVICES.get(real) == numbers


class Files:
    """The files of one sandbox.

    `workspace` is the folder to read and write, `readable` are files and folders to read; what
    of these isn't there is passed over. Raises OSError where openat2 is missing.
    """

    def __init__(self, workspace: str | Path, readable: Iterable[str | Path]) -> None:
        self._workspace = os.fsencode(Path(workspace).resolve(strict=True))
        self._roots = tuple({os.fsencode(real) for real in map(_real, readable) if real})
        self._folder_roots = tuple(root + b"/" for root in self._roots)
        self._home = os.open(self._workspace, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.close(self._open_beneath(b".", os.O_RDONLY | os.O_DIRECTORY, 0))

    def open(self, path: bytes, flags: int, mode: int) -> int:
        """Open a file as open(2) would; the descriptor is ours. Raises OSError.

        For O_PATH it is one to read with: another can't be given to the worker.
        """
        flags &= _OF_A_PLACE if flags & O_PATH else _FLAGS
        relative = self._inside(path)
        if relative is not None:
            try:
                return self._open_file(relative, flags, mode)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EXDEV) or flags & os.O_NOFOLLOW:
                    raise
        return self._open_elsewhere(path, flags, mode)

    def make_folder(self, path: bytes, mode: int) -> None:
        """mkdir(2)."""
        if self._inside(path) in (None, b"."):
            raise refused(errno.EEXIST if os.path.lexists(path) else errno.EACCES)
        self._at_parent(path, lambda parent, name: os.mkdir(name, mode & 0o7777, dir_fd=parent))

    def remove(self, path: bytes, *, folder: bool) -> None:
        """rmdir(2) or unlink(2)."""
        act = os.rmdir if folder else os.unlink
        self._at_parent(path, lambda parent, name: act(name, dir_fd=parent))

    def rename(self, old: bytes, new: bytes, flags: int) -> None:
        """renameat2(2), both names in the workspace."""
        if flags & ~(_RENAME_NOREPLACE | _RENAME_EXCHANGE):
            raise refused(errno.EINVAL)
        number = _RENAMEAT2[kernel.architecture()]

        def move(old_parent: int, old_name: bytes, new_parent: int, new_name: bytes) -> None:
            kernel.syscall("renameat2", number, old_parent, old_name, new_parent, new_name, flags)

        self._at_parent(old, lambda *a: self._at_parent(new, lambda *b: move(*a, *b), new=True))

    def truncate(self, path: bytes, length: int) -> None:
        """truncate(2)."""
        descriptor = self.open(path, os.O_WRONLY | os.O_CLOEXEC, 0)
        try:
            os.ftruncate(descriptor, length)
        finally:
            os.close(descriptor)

    def read_link(self, path: bytes) -> bytes:
        """readlink(2): the text of any link but those of /proc, which tell of processes."""
        descriptor = os.open(path, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            filesystem = (ctypes.c_long * 32)()  # struct statfs; its first field is the type
            if kernel.libc().fstatfs(descriptor, filesystem) != 0 or filesystem[0] == _PROC_MAGIC:
                raise refused()
            if not stat.S_ISLNK(os.fstat(descriptor).st_mode):
                raise refused(errno.EINVAL)
            return os.readlink(b"", dir_fd=descriptor)
        finally:
            os.close(descriptor)

    def _inside(self, path: bytes) -> bytes | None:
        """The path relative to the workspace, or None if it leads elsewhere."""
        if b"/." in path or b"//" in path:
            slash = b"/" if path.endswith((b"/", b"/.")) else b""
            path = os.path.normpath(path) + slash
        home = self._workspace
        if path == home:
            return b"."
        if not path.startswith(home + b"/"):
            return None
        return path[len(home) + 1 :] or b"."

    def _open_file(self, relative: bytes, flags: int, mode: int) -> int:
        """Open beneath the workspace; a file or a folder, and never wait for it."""
        waits = not flags & os.O_NONBLOCK
        descriptor = self._open_beneath(relative, flags | os.O_NONBLOCK, mode)
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            os.close(descriptor)
            raise refused()
        if waits:
            os.set_blocking(descriptor, True)
        return descriptor

    def _open_beneath(self, relative: bytes, flags: int, mode: int) -> int:
        how = _how.pack(flags | os.O_CLOEXEC, mode & 0o777 if flags & _CREATES else 0, _RESOLVE)
        while True:
            try:
                return kernel.syscall("openat2", _OPENAT2, self._home, relative, how, len(how))
            except BlockingIOError:  # a name on the way was moved just then: look again
                continue

    def _open_elsewhere(self, path: bytes, flags: int, mode: int) -> int:
        """Open what isn't in the workspace by its name: a readable file, a harmless device."""
        try:
            place = os.open(path, O_PATH | os.O_CLOEXEC | (flags & os.O_NOFOLLOW))
        except FileNotFoundError:
            if not flags & _CREATES:
                raise
            folder, _, name = path.rpartition(b"/")
            return self._open_file(self._by_links(folder or b"/") + b"/" + name, flags, mode)
        try:
            real = _place_of(place)
            relative = self._inside(real)
            if relative is not None:  # by way of a link that the user made
                return self._open_file(relative, flags, mode)
            found = os.fstat(place)
            if stat.S_ISLNK(found.st_mode):
                raise refused(errno.ELOOP)
            if _is_harmless_device(real, found):
                return self._open_again(place, flags & ~(os.O_CREAT | os.O_TRUNC | os.O_EXCL))
            if not self._is_readable(real, found.st_mode) or flags & (
                os.O_WRONLY | os.O_RDWR | os.O_TRUNC | _CREATES
            ):
                raise refused()
            return self._open_again(place, flags)
        finally:
            os.close(place)

    @staticmethod
    def _open_again(place: int, flags: int) -> int:
        """Open the very thing that `place` stands for."""
        flags = flags & ~os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(b"/proc/self/fd/%d" % place, flags)

    def _is_readable(self, real: bytes, mode: int) -> bool:
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return False
        return real in self._roots or real.startswith(self._folder_roots)

    def _at_parent(
        self, path: bytes, act: Callable[[int, bytes], None], *, new: bool = False
    ) -> None:
        """Call `act` with a descriptor of the path's folder, in the workspace, and the name."""
        relative = self._inside(path)
        if relative is None:
            if not new:
                os.lstat(path)  # what isn't there is said not to be there
            raise refused()
        if relative.strip(b"/") in (b"", b"."):
            raise refused(errno.EBUSY)
        folder, slash, name = relative.rstrip(b"/").rpartition(b"/")
        name += relative[len(folder + slash + name) :]  # a slash at the end asks for a folder
        try:
            parent = self._open_beneath(folder or b".", O_PATH | os.O_DIRECTORY, 0)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EXDEV):
                raise
            linked = self._by_links(self._workspace + b"/" + folder)
            parent = self._open_beneath(linked, O_PATH | os.O_DIRECTORY, 0)
        try:
            act(parent, name)
        finally:
            os.close(parent)

    def _by_links(self, path: bytes) -> bytes:
        """Where in the workspace a folder is that is reached by way of links of the user's."""
        place = os.open(path, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            relative = self._inside(_place_of(place))
        finally:
            os.close(place)
        if relative is None:
            raise refused()
        return relative
