"""The few calls into the kernel that Python has no function for (Linux), through ctypes."""

import ctypes
import functools
import os
import platform
import sys

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_SECUREBITS = 1, 4, 24, 28
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47

# Numbers that agree on every architecture: all system calls added since Linux 5.0 (424 and up).
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446


@functools.cache
def libc() -> ctypes.CDLL:
    """The C library, with errno kept."""
    return ctypes.CDLL(None, use_errno=True)


def architecture() -> str:
    """`x86_64` or `aarch64`. Raises OSError elsewhere, and for a 32-bit interpreter."""
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    if sys.platform != "linux" or machine not in ("x86_64", "aarch64") or sys.maxsize < 2**32:
        bits = ctypes.sizeof(ctypes.c_void_p) * 8
        raise OSError(f"no filter of system calls for {sys.platform} on {machine}, {bits} bits")
    return machine


def syscall(name: str, number: int, *arguments: object) -> int:
    """Call the kernel; raises OSError that names the call."""
    call = libc().syscall
    call.restype = ctypes.c_long
    result = int(call(ctypes.c_long(number), *map(_word, arguments)))
    if result < 0:
        raise failure(name)
    return result


def prctl(option: int, *arguments: int) -> int:
    """prctl(2); raises OSError. Absent arguments are 0, as the newer options demand."""
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(libc().prctl(ctypes.c_int(option), *padded))
    if result < 0:
        raise failure(f"prctl({option})")
    return result


def failure(name: str) -> OSError:
    """The C library's last error as an exception."""
    code = ctypes.get_errno()
    return OSError(code, f"{name}: {os.strerror(code)}")


def _word(value: object) -> object:
    return ctypes.c_ulong(value) if isinstance(value, int) else value
