"""The system calls that are left to the worker: a list of what it may do, nothing else.

What is not named here fails with EPERM, and a call that is newer than this list with ENOSYS, so
that programs fall back as on an older kernel. The filter stacks on others, such as Docker's
own: of several verdicts the strictest counts. It holds for this process, its threads and
children, for good.
"""

import ctypes
import errno
import os
from collections.abc import Collection

from sandbox.confine import bpf, kernel
from sandbox.confine.bpf import ALLOW, Cases, Compare, Rule, errno_action
from sandbox.confine.syscalls import numbers

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER = 1
_FLAG_NEW_LISTENER, _FLAG_WAIT_KILLABLE = 1 << 3, 1 << 5

_ALLOWED = """
read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range
stat fstat lstat newfstatat statx access faccessat faccessat2 getdents getdents64 getcwd
chdir fchdir mkdir mkdirat rmdir unlink unlinkat rename renameat readlink readlinkat statfs
fstatfs ftruncate fallocate fadvise64 readahead fsync fdatasync flock umask sendfile
copy_file_range dup dup2 dup3 pipe pipe2 poll ppoll select pselect6
epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime

mmap munmap mprotect mremap madvise msync brk
futex futex_waitv membarrier set_robust_list set_tid_address rseq restart_syscall exit exit_group
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack
pause alarm getitimer setitimer nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday
time times getrusage sysinfo uname getcpu getrandom wait4 waitid
getpid gettid getppid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid getresgid
getgroups capget getrlimit setrlimit getpriority
sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_getattr
sched_get_priority_max sched_get_priority_min sched_rr_get_interval get_mempolicy

shutdown getsockname getpeername getsockopt
"""

# Said to have worked, and not done: shutil, zipfile and tarfile go on, and nobody's file changes.
_FAKED = """
chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat
setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
"""

# Refused with an error by which programs know what to do instead.
_REFUSED = {
    errno.EACCES: "socket connect bind listen accept accept4 sendmsg recvmsg sendmmsg recvmmsg",
    errno.ENOTSUP: "getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr",
    errno.ENOSYS: """
        clone3 openat2 cachestat map_shadow_stack futex_wake futex_wait futex_requeue statmount
        listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal getxattrat listxattrat
        open_tree_attr file_getattr file_setattr listns""",
}

_DONE = errno_action(0)
_EPERM = errno_action(errno.EPERM)
_EACCES = errno_action(errno.EACCES)

# What a thread of the C library shares with its process, and what else it may ask for.
_CLONE_SHARES = 0x00000100 | 0x00000200 | 0x00000400 | 0x00000800 | 0x00010000 | 0x00040000
_CLONE_MAY = _CLONE_SHARES | 0x00080000 | 0x00100000 | 0x00200000 | 0x00400000 | 0x01000000

_FCNTL = (0, 1, 2, 3, 5, 6, 7, 9, 36, 37, 38, 1030, 1032, 1034)
_F_SETFL, _O_ASYNC = 4, 0x2000
_IOCTL = {
    "TCGETS": 0x5401,
    "TIOCGWINSZ": 0x5413,
    "FIONREAD": 0x541B,
    "FIONBIO": 0x5421,
    "FIONCLEX": 0x5450,
    "FIOCLEX": 0x5451,
}
_PRCTL = {
    "PR_GET_PDEATHSIG": 2,
    "PR_GET_DUMPABLE": 3,
    "PR_SET_NAME": 15,
    "PR_GET_NAME": 16,
    "PR_GET_SECCOMP": 21,
    "PR_CAPBSET_READ": 23,
    "PR_GET_NO_NEW_PRIVS": 39,
    "PR_SVE_GET_VL": 51,
    "PR_SET_VMA": 0x53564D41,  # gives memory a name
}
_ARCH_PRCTL = (0x1021, 0x1022, 0x1023)  # ask for the wide registers of matrix instructions
_TIMES = {"utime": 1, "utimes": 1, "futimesat": 2, "utimensat": 2}
_AF_UNIX, _SOCK_STREAM, _SOCK_FLAGS = 1, 1, 0x80800
_RENAME_WHITEOUT = 4
_O_TRUNC, _O_ACCMODE = 0o1000, 0o3
_MSG_OOB = 1
_SET_ID = 0o4000, 0o2000  # the bits of a mode by which a program runs as its owner, its group
_MAKES = 0o100, 0o20000000  # O_CREAT, O_TMPFILE without O_DIRECTORY


def rules(pid: int, *, truncate: bool = True) -> dict[str, Rule]:
    """What happens to each call by its name; a call that isn't there is refused with EPERM.

    `pid` is the process's own id, the only one that it may signal. `truncate=False` refuses to
    shorten files by name, for a Landlock that doesn't watch over it.
    """
    said: dict[str, Rule] = dict.fromkeys(_ALLOWED.split(), ALLOW)
    said |= dict.fromkeys(_FAKED.split(), _DONE)
    for code, names in _REFUSED.items():
        said |= dict.fromkeys(names.split(), errno_action(code))
    said |= _filtered(pid)
    said["open"], said["openat"] = _opening(1, truncate), _opening(2, truncate)
    said["truncate"] = ALLOW if truncate else _EPERM
    return said


def _filtered(pid: int) -> dict[str, Rule]:
    """The calls that depend on an argument."""
    mine = (Compare(0, pid),)
    # Urgent data on pairs of sockets: nothing needs it, and it had faults in the kernel.
    no_urgent = Compare(3, 0, _MSG_OOB)
    thread = Compare(0, _CLONE_SHARES, _CLONE_SHARES | (0xFFFFFFFF & ~_CLONE_MAY))
    pair = (
        Compare(0, _AF_UNIX),
        Compare(1, _SOCK_STREAM, 0xFFFFFFFF & ~_SOCK_FLAGS),
        Compare(2, 0),
    )
    fcntl = tuple(((Compare(1, command),), ALLOW) for command in _FCNTL)
    set_flags = ((Compare(1, _F_SETFL), Compare(2, 0, _O_ASYNC)), ALLOW)
    said: dict[str, Rule] = {name: _set_times(times) for name, times in _TIMES.items()}
    return said | {
        "clone": Cases((((thread,), ALLOW),), _EPERM),
        "kill": Cases(((mine, ALLOW),), _EPERM),
        "tgkill": Cases(((mine, ALLOW),), _EPERM),
        "prlimit64": Cases((((Compare(0, 0),), ALLOW), (mine, ALLOW)), _EPERM),
        "socketpair": Cases(((pair, ALLOW),), _EACCES),
        "sendto": Cases((((no_urgent, Compare(4, 0, 2**64 - 1)), ALLOW),), _EACCES),
        "recvfrom": Cases((((no_urgent,), ALLOW),), _EACCES),
        "creat": Cases(tuple(((Compare(1, bit, bit),), _EACCES) for bit in _SET_ID), ALLOW),
        "fcntl": Cases((*fcntl, set_flags), _EPERM),
        "ioctl": _one_of(1, _IOCTL.values()),
        "prctl": _one_of(0, _PRCTL.values()),
        "arch_prctl": _one_of(0, _ARCH_PRCTL),
        "renameat2": Cases((((Compare(4, 0, _RENAME_WHITEOUT),), ALLOW),), _EPERM),
    }


def _set_times(times: int) -> Cases:
    """The calls that set a file's times; `times` is the place of that argument.

    Faked too, except for the present time on a path: pathlib's touch() asks for that first, and
    makes the file only if it was refused.
    """
    nothing = 0, 2**64 - 1
    descriptor = (((Compare(1, *nothing),), _DONE),) if times == 2 else ()
    return Cases((*descriptor, ((Compare(times, *nothing),), _EPERM)), _DONE)


def _one_of(argument: int, values: Collection[int]) -> Cases:
    return Cases(tuple(((Compare(argument, value),), ALLOW) for value in values), _EPERM)


def _opening(flags: int, truncate: bool) -> Cases:
    """open and openat; `flags` is the place of that argument.

    The access mode 3 asks for neither reading nor writing, so that no rule on files would see
    it, and is good for ioctl only. Opened for reading, a file can still be emptied on the way:
    a Landlock that doesn't watch over truncation doesn't see that either. No file is made that
    would run with its owner's rights: the mode is not changed later (chmod is faked).
    """
    cases: list[tuple[tuple[Compare, ...], int]] = [
        ((Compare(flags, _O_ACCMODE, _O_ACCMODE),), _EACCES)
    ]
    for made in _MAKES:
        for bit in _SET_ID:
            cases.append(((Compare(flags, made, made), Compare(flags + 1, bit, bit)), _EACCES))
    if not truncate:
        cases.append(((Compare(flags, _O_TRUNC, _O_TRUNC | _O_ACCMODE),), _EACCES))
    return Cases(tuple(cases), ALLOW)


def program(architecture: str, said: dict[str, Rule]) -> bytes:
    """The rules as the kernel's program; names that the architecture lacks are left out."""
    known = numbers(architecture)
    return bpf.assemble(
        {known[name]: rule for name, rule in said.items() if name in known},
        architecture=architecture,
        known=frozenset(known.values()),
        default=_EPERM,
        unknown=errno_action(errno.ENOSYS),
    )


def install(*, truncate: bool = True) -> None:
    """Put this process under the filter, for good.

    Needs no_new_privs. Raises OSError, also where there is no table for the processor.
    """
    load(program(kernel.architecture(), rules(os.getpid(), truncate=truncate)), 0)


def handing_over(architecture: str, names: Collection[str]) -> bytes:
    """A filter that hands the named calls to the holder of its listener and allows all others;
    to be installed before the real one, of which the stricter verdicts count."""
    known = numbers(architecture)
    return bpf.assemble(
        {known[name]: bpf.NOTIFY for name in names if name in known},
        architecture=architecture,
        known=frozenset(known.values()),
        default=ALLOW,
        unknown=ALLOW,
    )


def listen(names: Collection[str]) -> int:
    """Let the named calls of this process wait for whoever holds the descriptor returned.

    It must leave this process before any of the agent's code runs. Raises OSError.
    """
    code = handing_over(kernel.architecture(), names)
    try:  # Linux 5.19: a signal doesn't interrupt a call that is being answered
        return load(code, _FLAG_NEW_LISTENER | _FLAG_WAIT_KILLABLE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return load(code, _FLAG_NEW_LISTENER)


def load(code: bytes, flags: int) -> int:
    """seccomp(2) with the program. Raises OSError."""

    class SockFprog(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    wanted = SockFprog(len(code) // 8, code)
    number = _SECCOMP[kernel.architecture()]
    return kernel.syscall("seccomp", number, _SET_MODE_FILTER, flags, ctypes.byref(wanted))
