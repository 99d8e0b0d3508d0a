"""Which files this process may open, by Landlock: rules that the kernel keeps (landlock(7)).

The rules hold for the calling thread and what it starts, for good. They don't cover UDP, sockets
with a name in the file system (before ABI 9), nor chmod and the like: seccomp does.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from sandbox.confine import kernel, readable

ABI_TRUNCATE = 3  # from here on, shortening a file by name is watched over
_ABI_REFER, _ABI_NET, _ABI_IOCTL, _ABI_SCOPE, _ABI_UNIX = 2, 4, 5, 6, 9

# linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK = 1 << 6, 1 << 7, 1 << 8, 1 << 9
_MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = 1 << 10, 1 << 11, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV, _RESOLVE_UNIX = 1 << 13, 1 << 14, 1 << 15, 1 << 16
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_UNIX, _SCOPE_SIGNAL = 1, 2

_READ = _READ_FILE | _READ_DIR
_WORK = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
_WORK |= _REFER | _TRUNCATE
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_CREATE_VERSION, _RULE_PATH_BENEATH = 1, 1


def abi() -> int:
    """The version of Landlock that this kernel offers; 0 if there is none or it is off.

    Asks the system call: the list in /sys/kernel/security/lsm is often not mounted.
    """
    try:
        return kernel.syscall("Landlock", kernel.LANDLOCK_CREATE_RULESET, None, 0, _CREATE_VERSION)
    except OSError:
        return 0


def handled(version: int) -> tuple[int, int, int]:
    """The rights on files, on the network and the scopes that an ABI can take away."""
    files = _MAKE_SYM * 2 - 1
    for since, right in (
        (_ABI_REFER, _REFER),
        (ABI_TRUNCATE, _TRUNCATE),
        (_ABI_IOCTL, _IOCTL_DEV),
        (_ABI_UNIX, _RESOLVE_UNIX),
    ):
        files |= right if version >= since else 0
    network = _BIND_TCP | _CONNECT_TCP if version >= _ABI_NET else 0
    scopes = _SCOPE_ABSTRACT_UNIX | _SCOPE_SIGNAL if version >= _ABI_SCOPE else 0
    return files, network, scopes


def restrict(workspace: str, more: Iterable[str] = ()) -> int:
    """Leave this thread the workspace to read and write, Python and `more` to read.

    Returns the ABI that did it. Needs no_new_privs. Raises OSError where there is no Landlock,
    and if the workspace or one of `more` isn't there.
    """
    version = abi()
    if version < 1:
        raise OSError(errno.EOPNOTSUPP, "this kernel has no Landlock, or it is switched off")
    ruleset, files = _ruleset(version)
    try:
        _allow(ruleset, workspace, _WORK & files)
        for path in [*readable.paths(), *map(Path, more)]:
            _allow(ruleset, path, _READ & files)
        for device in filter(os.path.exists, readable.DEVICES_TO_READ):
            _allow(ruleset, device, _READ_FILE)
        for device in filter(os.path.exists, readable.DEVICES_TO_WRITE):
            _allow(ruleset, device, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & files)
        kernel.syscall("Landlock", kernel.LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _ruleset(version: int) -> tuple[int, int]:
    """A new, empty set of rules, and the rights on files that it takes away."""
    files, network, scopes = handled(version)
    attributes = struct.pack("=QQQ", files, network, scopes)
    # An older kernel wants the structure as short as it knows it, or the rest zero.
    size = 24 if scopes else 16 if network else 8
    buffer = ctypes.create_string_buffer(attributes[:size], size)
    number = kernel.LANDLOCK_CREATE_RULESET
    return kernel.syscall("Landlock", number, ctypes.byref(buffer), size, 0), files


def _allow(ruleset: int, path: str | Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_A_FILE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor), 12)
        number = kernel.LANDLOCK_ADD_RULE
        kernel.syscall("Landlock", number, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
