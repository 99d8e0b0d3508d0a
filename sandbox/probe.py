"""The worker's side of the self-test: tries what must not work, and uses what must.

`sandbox.selftest` sends this file's text to a worker as the code of a step, so it runs as the
agent's code does, and nothing here may need anything of Hearth. Every attempt is made so that
it harms nobody where it succeeds.
"""

import contextlib
import ctypes
import errno
import os
import platform
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows has no sandbox
    resource = None  # type: ignore[assignment]

Plan = dict[str, Any]
_SECONDS = 2.0  # to wait for an answer on loopback; a refusal comes at once


def reads_secret(plan: Plan) -> str:
    return "read a file closed to others" if _text(plan["secret_file"]) == plan["secret"] else ""


def reads_open_file(plan: Plan) -> str:
    return "read a file open to all" if _text(plan["open_file"]) == plan["secret"] else ""


def lists_folder(plan: Plan) -> str:
    return "listed a folder closed to others" if _entries(plan["closed_folder"]) else ""


def lists_parent(plan: Plan) -> str:
    return "listed the workspace's parent" if _entries(plan["workspace"] + "/..") else ""


def lists_root(plan: Plan) -> str:
    return "listed the root folder" if _entries("/") else ""


def writes_outside(plan: Plan) -> str:
    Path(plan["closed_folder"], "written").write_text("x")
    return "wrote into a folder closed to others"


def writes_open_folder(plan: Plan) -> str:
    Path(plan["open_folder"], "written").write_text("x")
    return "wrote into a folder open to all"


def truncates(plan: Plan) -> str:
    os.truncate(plan["open_file"], 0)
    return "shortened a file outside"


def links(plan: Plan) -> str:
    Path(plan["workspace"], "link").symlink_to(plan["secret_file"])
    return "made a symbolic link"


def connects(plan: Plan) -> str:
    with socket.create_connection(("127.0.0.1", plan["tcp_port"]), timeout=_SECONDS):
        return "connected to a server on loopback"


def sends_datagram(plan: Plan) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"x", ("127.0.0.1", plan["udp_port"]))
    return "sent a datagram"


def connects_unix(plan: Plan) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(_SECONDS)
        stream.connect(plan["unix_socket"])
    return "connected to a socket in the file system"


def sends_unix(plan: Plan) -> str:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.sendto(b"x", plan["unix_datagrams"])
    return "sent a datagram to a socket in the file system"


def forks(plan: Plan) -> str:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "started a process"


def executes(plan: Plan) -> str:
    """A name that isn't there: a system that looks for it would run one that is."""
    name = plan["workspace"] + "/no-such-program"
    try:
        os.execv(name, [name])
    except OSError as error:
        return "" if error.errno == errno.EPERM else f"may execute programs ({error.strerror})"


def spawns(plan: Plan) -> str:
    child = os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "-c", ""], {})
    _, status = os.waitpid(child, 0)
    return "started a program" if status == 0 else ""


def signals(plan: Plan) -> str:
    """Signal 0 only asks whether it may; from process number 0 on, whole groups are meant."""
    reached = []
    for process in {plan["app"], os.getppid(), 0, -1}:
        with contextlib.suppress(OSError):
            os.kill(process, 0)
            reached.append(process)
    return "could have sent signals to other processes" if reached else ""


def reads_memory(plan: Plan) -> str:
    here = ctypes.create_string_buffer(len(plan["secret"]))
    local = (ctypes.c_size_t * 2)(ctypes.addressof(here), len(here))
    remote = (ctypes.c_size_t * 2)(plan["address"], len(here))
    ctypes.CDLL(None).process_vm_readv(plan["app"], local, 1, remote, 1, 0)
    return "read the app's memory" if here.value == plan["secret"].encode() else ""


def traces(plan: Plan) -> str:
    """PTRACE_SEIZE with an address that it doesn't take, so that it does nothing."""
    code = _call("ptrace", {"x86_64": 101, "aarch64": 117}, 0x4206, plan["app"], 1, 0)
    return "" if code in (errno.EPERM, errno.ENOSYS) else "may trace processes"


def reads_environment(plan: Plan) -> str:
    data = Path(f"/proc/{plan['app']}/environ").read_bytes()
    return "read the app's environment" if data else ""


def reads_limits(plan: Plan) -> str:
    resource.prlimit(plan["app"], resource.RLIMIT_CPU)
    return "reached the app's limits"


def raises_limits(plan: Plan) -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    return "raised a limit"


def changes_user(plan: Plan) -> str:
    mine = os.geteuid()
    os.seteuid(0 if mine else 1)
    os.seteuid(mine)
    return "changed its user"


def leaves_group(plan: Plan) -> str:
    os.setpgid(0, 0)  # a leader of its session can't anyhow
    return "left its process group"


def calls_kernel(plan: Plan) -> str:
    """Calls that nothing here needs; with such arguments they do nothing where they work."""
    reached = [
        name
        for name, numbers in {
            "io_uring_setup": {"x86_64": 425, "aarch64": 425},
            "bpf": {"x86_64": 321, "aarch64": 280},
            "userfaultfd": {"x86_64": 323, "aarch64": 282},
            "keyctl": {"x86_64": 250, "aarch64": 219},
            "mount": {"x86_64": 165, "aarch64": 40},
            "unshare": {"x86_64": 272, "aarch64": 97},
        }.items()
        if _call(name, numbers, -1, 0, 0, 0) not in (errno.EPERM, errno.ENOSYS)
    ]
    return f"reached the system calls {', '.join(reached)}" if reached else ""


def holds_descriptors(plan: Plan) -> str:
    held = []
    for number in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        try:
            os.fstat(number)
        except OSError:
            continue
        held.append(number)
    return f"holds {len(held)} open descriptors" if len(held) > plan["descriptors"] else ""


def keeps_files(plan: Plan) -> str:
    folder = Path(plan["workspace"], "folder")
    folder.mkdir()
    first, second = folder / "one.txt", folder / "two.txt"
    first.touch()
    first.write_text("words")
    with first.open("a") as file:
        file.write(" more")
        file.truncate(7)
    shutil.copy2(first, folder / "copy.txt")
    first.rename(second)
    (folder / "copy.txt").unlink()
    found = second.read_text()
    second.unlink()
    folder.rmdir()
    return "" if found == "words m" else f"a file holds {found!r}"


def reads_given_file(plan: Plan) -> str:
    return "" if _text(plan["given_file"]) == plan["secret"] else "the app's file differs"


def uses_temporary_files(plan: Plan) -> str:
    with tempfile.TemporaryFile() as file:
        return "" if file.write(b"x") == 1 else "a temporary file takes nothing"


def uses_threads(plan: Plan) -> str:
    done: list[int] = []
    thread = threading.Thread(target=done.append, args=(1,))
    thread.start()
    thread.join(10)
    return "" if done else "a thread didn't run"


def uses_socket_pair(plan: Plan) -> str:
    """Every asyncio event loop makes one."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.send(b"x")
        return "" if theirs.recv(1) == b"x" else "a pair of sockets doesn't work"


def signals_itself(plan: Plan) -> str:
    os.kill(os.getpid(), 0)
    signal.raise_signal(signal.SIGCONT)
    return ""


def uses_library(plan: Plan) -> str:
    if not plan["numpy"]:
        return ""
    import numpy

    total = float(numpy.dot(numpy.ones(8), numpy.ones(8)))
    return "" if total == 8.0 else f"numpy computes {total}"


Attempt = Callable[[Plan], str]
FORBIDDEN: tuple[Attempt, ...] = (
    reads_secret, reads_open_file, lists_folder, lists_parent, lists_root, writes_outside,
    writes_open_folder, truncates, links, connects, sends_datagram, connects_unix, sends_unix,
    forks, executes, spawns, signals, reads_memory, traces, reads_environment, reads_limits,
    raises_limits, changes_user, leaves_group, calls_kernel, holds_descriptors,
)  # fmt: skip
NEEDED: tuple[Attempt, ...] = (
    keeps_files, reads_given_file, uses_temporary_files, uses_threads, uses_socket_pair,
    signals_itself, uses_library,
)  # fmt: skip


def attempt_all(plan: Plan) -> dict[str, str]:
    """What was possible and mustn't be, what failed and must work; by name, in words."""
    found = {}
    for attempt in FORBIDDEN:
        if attempt.__name__ in plan["passed_over"]:
            continue
        try:
            found[attempt.__name__] = attempt(plan)
        except (OSError, ValueError):
            continue  # refused, as it should be
    for use in NEEDED:
        try:
            found[use.__name__] = use(plan)
        except Exception as error:  # noqa: BLE001 - whatever it is, it doesn't work
            found[use.__name__] = f"{type(error).__name__}: {error}"
    return {name: words for name, words in found.items() if words}


def _entries(folder: str) -> list[Path]:
    return list(Path(folder).iterdir())


def _text(path: str) -> str:
    return Path(path).read_text()


def _call(name: str, numbers: dict[str, int], *arguments: int) -> int:
    """The error of a system call, 0 if it worked, EPERM where it doesn't exist."""
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    if sys.platform != "linux" or machine not in numbers:
        return errno.EPERM
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(value) for value in (numbers[machine], *arguments)]
    return 0 if libc.syscall(*words) >= 0 else ctypes.get_errno()
