"""System calls handed to another process to decide: seccomp's user notifications.

A filter with the action USER_NOTIF stops a system call and gives it to whoever holds the
filter's listener. The holder answers with a number, an error, or a descriptor of its own that
the kernel puts into the caller (seccomp_unotify(2)). Descriptor and answer are one step since
Linux 5.14, which is the oldest kernel this works on.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import struct
from typing import NamedTuple

from sandbox.confine import kernel

PATH_MAX = 4096

_RECV, _SEND, _ID_VALID, _ADDFD, _SET_FLAGS = (
    0xC0502100,
    0xC0182101,
    0x40082102,
    0x40182103,
    0x40082104,
)
_ADDFD_SEND = 2
_SYNC_WAKE_UP = 1  # the caller runs on at once, on the same processor (Linux 6.6)
_GET_NOTIF_SIZES = 3
_SECCOMP = {"x86_64": 317, "aarch64": 277}

# id, pid, flags; then struct seccomp_data: number, architecture, instruction, six arguments
_notification = struct.Struct("=QIIiIQ6Q")
_response = struct.Struct("=QqiI")
_added = struct.Struct("=QIIII")
_id = struct.Struct("=Q")


class Call(NamedTuple):
    """A stopped system call: who made it, its number, its arguments as the kernel saw them."""

    id: int
    thread: int
    number: int
    arguments: tuple[int, ...]


class Gone(Exception):
    """The call is not waiting any more: its thread was killed or interrupted."""


class Listener:
    """The deciding end of a filter, and the memory of the process that it holds."""

    def __init__(self, descriptor: int, process: int) -> None:
        self.descriptor = descriptor
        self._check_sizes()
        # The memory belongs to the address space, not to the number: if the process ends and
        # its number is taken by another, reading here gives nothing.
        self._memory = os.open(f"/proc/{process}/mem", os.O_RDWR | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._buffer = bytearray(_notification.size)
        with contextlib.suppress(OSError):  # an older kernel: only slower
            fcntl.ioctl(descriptor, _SET_FLAGS, _SYNC_WAKE_UP)

    @staticmethod
    def _check_sizes() -> None:
        sizes = (ctypes.c_uint16 * 3)()
        kernel.syscall("seccomp", _SECCOMP[kernel.architecture()], _GET_NOTIF_SIZES, 0, sizes)
        if sizes[0] != _notification.size or sizes[1] != _response.size:
            raise OSError(errno.ENOSYS, "seccomp notifications of an unknown form")

    def wait(self) -> bool:
        """Sleep until a call waits; False when every process under the filter has ended."""
        while not (ready := self._poll.poll()):
            pass
        return bool(ready[0][1] & select.POLLIN)

    def receive(self) -> Call | None:
        """The next call, or None if it went away in between."""
        self._buffer[:] = bytes(_notification.size)  # the kernel wants zeros
        try:
            fcntl.ioctl(self.descriptor, _RECV, self._buffer, True)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                return None
            raise
        identity, thread, _, number, _, _, *arguments = _notification.unpack(self._buffer)
        return Call(identity, thread, number, tuple(arguments))

    def read_path(self, address: int) -> bytes:
        """The zero-ended text at an address of the caller, copied once. Raises OSError."""
        text = b""
        while len(text) < PATH_MAX:
            part = PATH_MAX - address % PATH_MAX  # never over the edge of a page in one read
            try:
                data = os.pread(self._memory, part, address)
            except (OSError, OverflowError):
                data = b""
            if not data:
                raise OSError(errno.EFAULT, "bad address")
            end = data.find(b"\0")
            if end >= 0:
                text += data[:end]
                break
            text += data
            address += len(data)
        if len(text) >= PATH_MAX:
            raise OSError(errno.ENAMETOOLONG, "path too long")
        return text

    def write(self, address: int, data: bytes) -> None:
        """Copy bytes into the caller's memory. Raises OSError."""
        try:
            if os.pwrite(self._memory, data, address) == len(data):
                return
        except (OSError, OverflowError):
            pass
        raise OSError(errno.EFAULT, "bad address")

    def check(self, call: Call) -> None:
        """Raise Gone unless the call still waits: then what was read of its thread was its."""
        try:
            fcntl.ioctl(self.descriptor, _ID_VALID, _id.pack(call.id))
        except OSError:
            raise Gone from None

    def answer(self, call: Call, value: int = 0, error: int = 0) -> None:
        """End the call with a value, or with an error number."""
        self._send(_SEND, _response.pack(call.id, value, -error, 0))

    def give(self, call: Call, descriptor: int, *, close_on_exec: bool) -> None:
        """End the call with a copy of a descriptor of ours. Raises OSError (EMFILE …)."""
        flags = os.O_CLOEXEC if close_on_exec else 0
        self._send(_ADDFD, _added.pack(call.id, _ADDFD_SEND, descriptor, 0, flags))

    def _send(self, request: int, data: bytes) -> None:
        while True:
            try:
                fcntl.ioctl(self.descriptor, request, data)
                return
            except InterruptedError:
                continue
            except FileNotFoundError:
                raise Gone from None
