"""Files opened by a broker: confinement for kernels without Landlock.

The worker's calls that open or change files stop in the kernel and are handed to its parent,
the keeper, which copies the path once, decides (`broker_files`), does the call itself and gives the
worker the descriptor. The path that was judged is the one that was used: nothing the worker
does to its memory meanwhile matters. Calls that read metadata only (stat, access, chdir) are
not brokered; they tell whether a file is there, how large and how old, and no more.

Where a signal arrives before the keeper has taken up a call, the call fails with EINTR and was
not done. Python's open tries again by itself; its rename, mkdir and the like don't.

The keeper runs with the worker's rights, never with more: it must read the worker's memory,
and what a mistake in here could open is then no more than what the worker's user could.
"""

import errno
import os
import socket
from collections.abc import Callable

from sandbox.confine import keeper, kernel, readable, rights, seccomp
from sandbox.confine.broker_files import Files, refused
from sandbox.confine.common import Confinement, give_up_rights
from sandbox.confine.notify import PATH_MAX, Call, Gone, Listener
from sandbox.confine.syscalls import numbers

_AT_FDCWD = -100
_AT_REMOVEDIR = 0x200
_CREAT_FLAGS = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
_DELETED = b" (deleted)"

# Every call that opens a file by its name, or makes, moves or removes a name. What the filter of
# system calls refuses anyhow doesn't get here: of two filters the stricter decides.
_REFUSED = ("link", "linkat", "symlink", "symlinkat", "mknod", "mknodat", "openat2", "open_tree")


def enter(c: Confinement) -> None:
    """Fork the worker and confine it; the calling process becomes its keeper and broker.

    Returns in the worker only. Raises OSError or ValueError, in either, where it can't.
    """
    folders = [*map(str, readable.paths()), *c.readable]
    give_up_rights(c, dumpable=True)  # the worker's memory must be open to the keeper
    parent = os.getpid()
    ours, theirs = socket.socketpair()
    worker = keeper.fork()
    if worker == 0:
        ours.close()
        rights.end_with_parent(parent)
        _hand_over(theirs)
        seccomp.install(truncate=True)
        return
    theirs.close()
    _, given, _, _ = socket.recv_fds(ours, 1, 1)

    def serve() -> None:
        if given:  # else the worker could not install its filter, and says so itself
            broker = Broker(Listener(given[0], worker), Files(c.workspace, folders))
            with ours:
                ours.send(b".")
            broker.serve()

    keeper.keep(worker, [*given, ours.fileno()], serve)


def _hand_over(keeper_end: socket.socket) -> None:
    """In the worker: from here on its file calls wait for the keeper."""
    listener = seccomp.listen((*_HANDLERS, *_REFUSED))
    try:
        socket.send_fds(keeper_end, [b"."], [listener])
        if not keeper_end.recv(1):
            raise OSError("the keeper has ended")
    finally:
        os.close(listener)  # who holds it decides
        keeper_end.close()


class Broker:
    """Answers the file calls of one process, until it has ended."""

    def __init__(self, listener: Listener, files: Files) -> None:
        self._listener = listener
        self._files = files
        known = numbers(kernel.architecture())
        self._handlers = {
            known[name]: handler for name, handler in _HANDLERS.items() if name in known
        }

    def serve(self) -> None:
        """Answer every call; returns when no process is left under the filter."""
        listener, handlers = self._listener, self._handlers
        while listener.wait():
            call = listener.receive()
            if call is None:
                continue
            try:
                try:
                    handlers.get(call.number, Broker._refuse)(self, call)
                except OSError as error:
                    listener.answer(call, error=error.errno or errno.EACCES)
                except (ValueError, OverflowError):
                    listener.answer(call, error=errno.EINVAL)
            except Gone:
                continue

    def _refuse(self, call: Call) -> None:
        """Symbolic links, and whatever else a filter sends here."""
        self._listener.answer(call, error=errno.EACCES)

    def _open(self, call: Call, folder: int | None, path: int) -> None:
        name, (flags, mode) = self._path(call, folder, path), call.arguments[path + 1 : path + 3]
        self._give(call, name, flags, mode)

    def _create(self, call: Call) -> None:
        self._give(call, self._path(call, None, 0), _CREAT_FLAGS, call.arguments[1])

    def _give(self, call: Call, path: bytes, flags: int, mode: int) -> None:
        self._listener.check(call)
        descriptor = self._files.open(path, flags, mode)
        try:
            self._listener.give(call, descriptor, close_on_exec=bool(flags & os.O_CLOEXEC))
        finally:
            os.close(descriptor)

    def _make_folder(self, call: Call, folder: int | None, path: int) -> None:
        name = self._path(call, folder, path)
        self._do(call, lambda: self._files.make_folder(name, call.arguments[path + 1]))

    def _remove(self, call: Call, folder_at: int | None, path: int, *, folder: bool) -> None:
        name = self._path(call, folder_at, path)
        self._do(call, lambda: self._files.remove(name, folder=folder))

    def _rename(
        self, call: Call, old: tuple[int | None, int], new: tuple[int | None, int], flags: int
    ) -> None:
        names = self._path(call, *old), self._path(call, *new)
        self._do(call, lambda: self._files.rename(*names, flags))

    def _truncate(self, call: Call) -> None:
        name, length = self._path(call, None, 0), call.arguments[1]
        if length >= 2**63:
            raise refused(errno.EINVAL)
        self._do(call, lambda: self._files.truncate(name, length))

    def _read_link(self, call: Call, folder: int | None, path: int) -> None:
        name = self._path(call, folder, path)
        size = _int(call.arguments[path + 2])
        if size <= 0:
            raise refused(errno.EINVAL)
        text = self._files.read_link(name)[:size]
        self._listener.check(call)
        self._listener.write(call.arguments[path + 1], text)
        self._listener.answer(call, len(text))

    def _do(self, call: Call, act: Callable[[], None]) -> None:
        self._listener.check(call)
        act()
        self._listener.answer(call)

    def _path(self, call: Call, folder: int | None, path: int) -> bytes:
        """The absolute path that two arguments name. Raises OSError."""
        name = self._listener.read_path(call.arguments[path])
        if name.startswith(b"/"):
            return name
        if not name:
            raise refused(errno.ENOENT)
        base = self._base(
            call.thread, _AT_FDCWD if folder is None else _int(call.arguments[folder])
        )
        whole = base + b"/" + name
        if len(whole) >= PATH_MAX:
            raise refused(errno.ENAMETOOLONG)
        return whole

    @staticmethod
    def _base(thread: int, descriptor: int) -> bytes:
        """Where a relative path begins: the working folder, or an open folder."""
        if descriptor == _AT_FDCWD:
            place = f"/proc/{thread}/cwd"
        elif descriptor < 0:
            raise refused(errno.EBADF)
        else:
            place = f"/proc/{thread}/fd/{descriptor}"
        try:
            base = os.readlink(os.fsencode(place))  # noqa: PTH115 - bytes, and no detour
        except FileNotFoundError:
            raise refused(errno.EBADF) from None
        if not base.startswith(b"/"):
            raise refused(errno.ENOTDIR)
        if base.endswith(_DELETED) and os.stat(place).st_nlink == 0:  # noqa: PTH116
            raise refused(errno.ENOENT)
        return base


# The place of the folder's descriptor among the arguments, if there is one; then the path's.
_HANDLERS: dict[str, Callable[[Broker, Call], None]] = {
    "open": lambda b, c: b._open(c, None, 0),
    "openat": lambda b, c: b._open(c, 0, 1),
    "creat": Broker._create,
    "mkdir": lambda b, c: b._make_folder(c, None, 0),
    "mkdirat": lambda b, c: b._make_folder(c, 0, 1),
    "rmdir": lambda b, c: b._remove(c, None, 0, folder=True),
    "unlink": lambda b, c: b._remove(c, None, 0, folder=False),
    "unlinkat": lambda b, c: b._remove(c, 0, 1, folder=bool(_int(c.arguments[2]) & _AT_REMOVEDIR)),
    "rename": lambda b, c: b._rename(c, (None, 0), (None, 1), 0),
    "renameat": lambda b, c: b._rename(c, (0, 1), (2, 3), 0),
    "renameat2": lambda b, c: b._rename(c, (0, 1), (2, 3), _int(c.arguments[4])),
    "truncate": Broker._truncate,
    "readlink": lambda b, c: b._read_link(c, None, 0),
    "readlinkat": lambda b, c: b._read_link(c, 0, 1),
}


def _int(argument: int) -> int:
    """A C int, of which the kernel looks at the lower half only."""
    return (argument & 0xFFFFFFFF) - ((argument & 0x80000000) << 1)
