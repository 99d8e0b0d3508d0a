"""The filter of system calls as a program: what it says to each call, on both architectures."""

import errno
import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.confine import bpf, seccomp
from sandbox.confine.bpf import ALLOW, KILL_PROCESS, NOTIFY, Cases, Compare
from sandbox.confine.syscalls import numbers

PID = 4242
ARCHITECTURES = ("x86_64", "aarch64")

NEEDED = """
read write openat close mmap munmap mprotect brk futex rt_sigaction getrandom lseek fstat
newfstatat getdents64 mkdirat unlinkat ftruncate pipe2 epoll_create1 clock_nanosleep exit
exit_group rt_sigreturn wait4 setitimer getrusage sched_yield fsync setrlimit
"""
FORBIDDEN = """
execve execveat ptrace process_vm_readv process_vm_writev pidfd_open pidfd_getfd kcmp
pidfd_send_signal mount umount2 pivot_root chroot unshare setns open_tree move_mount fsopen
fsmount mount_setattr name_to_handle_at open_by_handle_at memfd_create memfd_secret userfaultfd
io_uring_setup io_uring_enter io_uring_register bpf perf_event_open keyctl add_key request_key
init_module finit_module delete_module kexec_load reboot swapon syslog acct setuid setresuid
setgid setgroups setfsuid capset seccomp landlock_restrict_self setpgid setsid tkill
rt_sigqueueinfo rt_tgsigqueueinfo sched_setaffinity sched_setscheduler setpriority ioprio_set
process_madvise process_mrelease symlinkat linkat mknodat shmget msgget semget mq_open
inotify_init1 fanotify_init splice vmsplice timer_create personality clock_settime settimeofday
adjtimex quotactl vhangup migrate_pages move_pages mbind
"""
SOCKETS = """
socket connect bind listen accept accept4 sendmsg recvmsg sendmmsg recvmmsg
"""
FAKED_CALLS = """
fchmod fchmodat fchmodat2 fchown fchownat setxattr lsetxattr fsetxattr removexattr
setxattrat
"""


def run(program: bytes, number: int, arguments: tuple[int, ...] = (), arch: int = 0) -> int:
    """A second reading of linux/filter.h: what the program returns for one call."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, arch, 0, *(a % 2**64 for a in padded))
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator, place = 0, 0
    while True:
        operation, yes, no, constant = code[place]
        place += 1
        if operation == 0x20:  # load a word
            accumulator = struct.unpack_from("=I", data, constant)[0]
        elif operation == 0x54:  # and
            accumulator &= constant
        elif operation == 0x15:  # equal?
            place += yes if accumulator == constant else no
        elif operation == 0x35:  # at least?
            place += yes if accumulator >= constant else no
        elif operation == 0x05:  # jump
            place += constant
        elif operation == 0x06:  # return
            return int(constant)
        else:
            raise AssertionError(f"unknown instruction {operation:#x}")


class Filter:
    """The worker's filter for one architecture."""

    def __init__(self, architecture: str, **options: bool) -> None:
        self.numbers = numbers(architecture)
        self.arch = bpf.AUDIT_ARCH[architecture]
        rules = seccomp.rules(PID, **options)
        self.program = seccomp.program(architecture, rules)

    def __call__(self, name: str, *arguments: int) -> int:
        return run(self.program, self.numbers[name], arguments, self.arch)


@pytest.fixture(params=ARCHITECTURES)
def verdict(request: pytest.FixtureRequest) -> Filter:
    return Filter(request.param)


def error(code: int) -> int:
    return 0x00050000 | code


FAKED = error(0)
EPERM, EACCES, ENOSYS = error(errno.EPERM), error(errno.EACCES), error(errno.ENOSYS)


def test_what_python_needs_is_allowed(verdict: Filter) -> None:
    for name in NEEDED.split():
        assert verdict(name) == ALLOW, name


@pytest.mark.parametrize(
    "name",
    FORBIDDEN.split(),
)
def test_what_could_leave_the_sandbox_is_refused(verdict: Filter, name: str) -> None:
    for argument in (0, 1, PID, 2**64 - 1):
        assert verdict(name, argument, argument, argument) == EPERM


def test_every_call_has_one_of_the_known_verdicts(verdict: Filter) -> None:
    known = {ALLOW, FAKED, EPERM, EACCES, ENOSYS, error(errno.ENOTSUP)}
    assert {verdict(name) for name in verdict.numbers} <= known


def test_calls_newer_than_the_list_do_not_exist(verdict: Filter) -> None:
    newest = max(verdict.numbers.values())
    for number in (newest + 1, newest + 100, 5000, 2**31, 2**32 - 1):
        assert run(verdict.program, number, arch=verdict.arch) == ENOSYS
    assert verdict("clone3") == verdict("openat2") == verdict("map_shadow_stack") == ENOSYS


def test_numbers_that_no_call_has_do_not_exist(verdict: Filter) -> None:
    holes = set(range(max(verdict.numbers.values()))) - set(verdict.numbers.values())
    assert holes and all(run(verdict.program, n, arch=verdict.arch) == ENOSYS for n in holes)


def test_other_architectures_end_the_process(verdict: Filter) -> None:
    for arch in (0x40000003, 0x40000028, 0xC000003E ^ 0xC00000B7 ^ verdict.arch, 0):
        assert run(verdict.program, verdict.numbers["read"], arch=arch) == KILL_PROCESS


def test_the_second_set_of_numbers_on_x86_does_not_exist() -> None:
    x86 = Filter("x86_64")
    for name in ("read", "openat", "execve", "ptrace"):
        assert run(x86.program, 0x40000000 | x86.numbers[name], arch=x86.arch) == ENOSYS


# What glibc and musl pass for a thread, and what fork, vfork and new namespaces would.
GLIBC_THREAD, MUSL_THREAD = 0x3D0F00, 0x7D0F00


def test_clone_makes_threads_only(verdict: Filter) -> None:
    assert verdict("clone", GLIBC_THREAD) == verdict("clone", MUSL_THREAD) == ALLOW
    sigchld, vfork = 17, 0x4111
    assert verdict("clone", sigchld) == verdict("clone", vfork) == EPERM
    for bit in range(32):
        flag = 1 << bit
        if flag & GLIBC_THREAD and verdict("clone", GLIBC_THREAD & ~flag) == ALLOW:
            # only where the identity of the new thread is written may be left out
            assert flag in (0x00080000, 0x00100000, 0x00200000)
        if not flag & GLIBC_THREAD and verdict("clone", GLIBC_THREAD | flag) == ALLOW:
            assert flag in (0x00400000, 0x01000000)  # one is ignored, the other as above
    new_namespaces = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    assert all(verdict("clone", GLIBC_THREAD | flag) == EPERM for flag in new_namespaces)


def test_fork_is_refused() -> None:
    x86 = Filter("x86_64")
    assert x86("fork") == x86("vfork") == EPERM


def test_signals_go_to_the_process_itself(verdict: Filter) -> None:
    for name in ("kill", "tgkill"):
        assert verdict(name, PID, 9, 9) == ALLOW
        for other in (0, 1, PID + 1, -1, -PID, 2**31 - 1):
            assert verdict(name, other, 9, 9) == EPERM
    # A process id is an int: the kernel doesn't look at the register's upper half.
    assert verdict("kill", 2**32 + PID) == ALLOW and verdict("kill", 2**32 + 1) == EPERM


def test_only_its_own_limits_are_reached(verdict: Filter) -> None:
    assert verdict("prlimit64", 0, 7) == verdict("prlimit64", PID, 7) == ALLOW
    assert verdict("prlimit64", 1, 7) == verdict("prlimit64", PID + 1, 7) == EPERM


def test_no_sockets_but_a_pair_for_itself(verdict: Filter) -> None:
    for name in SOCKETS.split():
        assert verdict(name, 1, 1, 0) == EACCES
    stream, datagram, packets, flags = 1, 2, 5, 0x80800
    assert verdict("socketpair", 1, stream, 0) == verdict("socketpair", 1, stream | flags) == ALLOW
    for family, kind, protocol in (
        (1, datagram, 0), (1, packets, 0), (1, stream | 0x100, 0), (2, stream, 0), (16, 3, 0),
        (1, stream, 6),
    ):  # fmt: skip
        assert verdict("socketpair", family, kind, protocol) == EACCES
    assert verdict("sendto", 3, 0x1000, 5, 0, 0, 0) == ALLOW
    for address in (1, 0x7FFF00000000, 2**63):
        assert verdict("sendto", 3, 0x1000, 5, 0, address, 16) == EACCES
    urgent, at_once = 1, 0x40
    for name in ("sendto", "recvfrom"):
        assert verdict(name, 3, 0x1000, 5, at_once, 0, 0) == ALLOW
        assert verdict(name, 3, 0x1000, 5, at_once | urgent, 0, 0) == EACCES


def test_files_keep_their_owner_mode_and_times(verdict: Filter) -> None:
    for name in FAKED_CALLS.split():
        assert verdict(name) == FAKED
    assert verdict("getxattr") == verdict("flistxattr") == error(errno.ENOTSUP)


def test_times_are_kept_and_touch_makes_files(verdict: Filter) -> None:
    path, times, here = 0x7F0000001000, 0x7F0000002000, -100
    assert verdict("utimensat", here, path, times, 0) == FAKED
    assert verdict("utimensat", 3, 0, times, 0) == verdict("utimensat", 3, 0, 0, 0) == FAKED
    assert verdict("utimensat", here, path, 0, 0) == EPERM  # now: pathlib goes on to make it
    if "utimes" in verdict.numbers:
        assert verdict("utimes", path, times) == verdict("utime", path, times) == FAKED
        assert verdict("utimes", path, 0) == verdict("utime", path, 0) == EPERM


def test_opening_files(verdict: Filter) -> None:
    read, write, both, truncate, create = 0, 1, 2, 0o1000, 0o100
    for flags in (read, write | create | truncate, both, read | 0o2000000):
        assert verdict("openat", -100, 0x1000, flags, 0o600) == ALLOW
    assert verdict("openat", -100, 0x1000, 3, 0) == EACCES  # neither to read nor to write
    assert verdict("openat", -100, 0x1000, 3 | truncate, 0) == EACCES
    assert verdict("openat", -100, 0x1000, read | truncate) == ALLOW
    for made in (create, 0o20200000):  # a new name, a file without one
        for bit in (0o4000, 0o2000):  # set-user-id, set-group-id
            assert verdict("openat", -100, 0x1000, write | made, bit | 0o755) == EACCES
    assert verdict("openat", -100, 0x1000, read, 0o7777) == ALLOW  # no mode: nothing is made
    if "open" in verdict.numbers:
        assert verdict("open", 0x1000, write | create, 0o4755) == EACCES
        assert verdict("creat", 0x1000, 0o4755) == verdict("creat", 0x1000, 0o2755) == EACCES
        assert verdict("creat", 0x1000, 0o755) == ALLOW


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_landlock_without_truncation_is_helped(architecture: str) -> None:
    helped, usual = Filter(architecture, truncate=False), Filter(architecture)
    assert usual("truncate") == ALLOW and helped("truncate") == EPERM
    assert helped("ftruncate") == ALLOW
    assert helped("openat", -100, 0x1000, 0o1000) == EACCES
    assert helped("openat", -100, 0x1000, 0o1101) == ALLOW  # to write: Landlock sees that


def test_descriptors_and_terminals(verdict: Filter) -> None:
    duplicate, get_flags, set_flags, record_lock, duplicate_closing = 0, 3, 4, 6, 1030
    for command in (duplicate, get_flags, set_flags, record_lock, duplicate_closing, 37):
        assert verdict("fcntl", 0, command, 0o4000) == ALLOW
    set_owner, set_signal, lease, notify, pipe_size, add_seals, set_owner_ex = (
        8, 10, 1024, 1026, 1031, 1033, 15,
    )  # fmt: skip
    for command in (set_owner, set_signal, lease, notify, pipe_size, add_seals, set_owner_ex):
        assert verdict("fcntl", 0, command, 1) == EPERM
    assert verdict("fcntl", 0, set_flags, 0x2000) == EPERM  # signals to whoever owns it
    is_terminal, width, push_character, steal, ptmx = 0x5401, 0x5413, 0x5412, 0x540E, 0x80045430
    assert verdict("ioctl", 0, is_terminal) == verdict("ioctl", 0, width) == ALLOW
    for command in (push_character, steal, ptmx, 0xC0502100, 0x40049409):
        assert verdict("ioctl", 0, command) == EPERM


def test_the_process_keeps_its_own_settings(verdict: Filter) -> None:
    assert verdict("prctl", 15) == verdict("prctl", 0x53564D41) == ALLOW
    for option in (1, 4, 8, 22, 24, 26, 28, 36, 38, 47, 0x59616D61):  # 0x59616D61: who may trace
        assert verdict("prctl", option) == EPERM


def test_renaming_makes_no_device(verdict: Filter) -> None:
    assert verdict("renameat2", -100, 1, -100, 2, 0) == ALLOW
    assert verdict("renameat2", -100, 1, -100, 2, 2) == ALLOW  # exchange
    assert verdict("renameat2", -100, 1, -100, 2, 4) == EPERM  # leave a whiteout


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_calls_can_be_handed_to_a_broker(architecture: str) -> None:
    program = seccomp.handing_over(architecture, ("open", "openat", "truncate", "symlinkat"))
    known, arch = numbers(architecture), bpf.AUDIT_ARCH[architecture]
    handed = [name for name in known if run(program, known[name], (3, 3, 3), arch) == NOTIFY]
    assert handed == [n for n in known if n in ("open", "openat", "truncate", "symlinkat")]
    assert run(program, known["linkat"], (), arch) == run(program, 5000, (), arch) == ALLOW


def test_the_filter_leaves_less_than_half_of_the_calls(verdict: Filter) -> None:
    """As the tiers' sentences say; those that depend on an argument are counted as left."""
    rules = seccomp.rules(PID)
    left = [n for n in verdict.numbers if rules.get(n) == ALLOW or isinstance(rules.get(n), Cases)]
    assert len(left) < len(verdict.numbers) / 2


def test_long_jumps_and_wide_masks() -> None:
    """More rules than a jump of eight bits can cross, each with a test of all 64 bits."""
    rules: dict[int, bpf.Rule] = {
        n: Cases((((Compare(2, n << 40 | n, 2**64 - 1),), ALLOW),), bpf.errno_action(n % 100))
        for n in range(400)
    }
    program = bpf.assemble(
        rules, architecture="x86_64", known=frozenset(range(500)), default=KILL_PROCESS, unknown=0
    )
    arch = bpf.AUDIT_ARCH["x86_64"]
    for n in (0, 1, 255, 256, 257, 299, 300, 399):
        assert run(program, n, (0, 0, n << 40 | n), arch) == ALLOW
        assert run(program, n, (0, 0, (n + 1) << 40 | n), arch) == bpf.errno_action(n % 100)
        assert run(program, n, (0, 0, n << 40 | n + 1), arch) == bpf.errno_action(n % 100)
    assert run(program, 450, (), arch) == KILL_PROCESS and run(program, 500, (), arch) == 0


def test_a_filter_that_is_too_long_is_an_error() -> None:
    rules: dict[int, bpf.Rule] = {
        n: Cases((((Compare(0, n),), ALLOW),), bpf.errno_action(1)) for n in range(2000)
    }
    with pytest.raises(ValueError, match="the kernel takes 4096"):
        bpf.assemble(rules, architecture="x86_64", known=frozenset(rules), default=ALLOW, unknown=0)


def headers(source: str, prefix: str = "__NR_") -> Iterator[tuple[str, int]]:
    """The numbers in one of the system's own headers, as the C preprocessor sees them."""
    done = subprocess.run(
        ["cc", "-E", "-dM", "-xc", "-"], input=source, capture_output=True, text=True, check=True
    )
    defined = dict(re.findall(r"^#define (__NR\w*) (\w+)$", done.stdout, re.MULTILINE))
    for name, value in defined.items():
        while value in defined:
            value = defined[value]
        if name.startswith(prefix) and value.isdigit():
            yield name.removeprefix(prefix), int(value)


@pytest.mark.parametrize(
    ("architecture", "header", "before"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", ""),
        (
            "aarch64",
            "/usr/include/asm-generic/unistd.h",
            "#define __ARCH_WANT_RENAMEAT\n#define __ARCH_WANT_NEW_STAT\n"
            "#define __ARCH_WANT_SET_GET_RLIMIT\n#define __ARCH_WANT_SYS_CLONE3\n"
            "#define __ARCH_WANT_MEMFD_SECRET\n",
        ),
    ],
)
def test_the_numbers_are_those_of_the_system(architecture: str, header: str, before: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed")
    theirs = dict(headers(f"{before}#include <{header}>"))
    assert len(theirs) > 300
    ours = numbers(architecture)
    assert {name: number for name, number in ours.items() if name in theirs} == {
        name: number for name, number in theirs.items() if name in ours
    }
    newest = max(ours.values())
    # The kernel calls the two probes itself; the other two are marks, not calls.
    others = {"uretprobe", "uprobe", "syscalls", "arch_specific_syscall"}
    missing = {name for name, number in theirs.items() if number <= newest} - ours.keys()
    assert missing <= others


def test_no_name_is_misspelt() -> None:
    known = numbers("x86_64").keys() | numbers("aarch64").keys()
    assert set(seccomp.rules(PID)) <= known
