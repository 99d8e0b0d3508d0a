"""The tiers without a second process, and each mechanism alone, with real processes."""

import ctypes
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("the tiers are Linux's", allow_module_level=True)

from sandbox.confine import Confinement, landlock, readable
from tests import confined_work, elsewhere
from tests.confined import WHO, open_folder, run, start

OWN_USER = WHO[1]
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
TIERS = ["landlock"] if landlock.abi() else []


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    confined_work.warm_up()


def _refused(act: Callable[[], Any]) -> str:
    """The name of the error; empty if there is none."""
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except ValueError:  # a limit above the one that is there
        return "EPERM"
    return ""


# --- tiers without a second process -----------------------------------------------------------


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", ["files", "folders", "descriptors", "libraries"])
def test_ordinary_things_work_under_landlock(name: str, who: str, place: Path) -> None:
    if not TIERS:
        pytest.skip("this kernel has no Landlock")
    run("landlock", place / "work", getattr(confined_work, name), who=who)


@root
@pytest.mark.parametrize("name", ["files", "folders", "descriptors", "libraries"])
def test_ordinary_things_work_for_another_user(name: str, place: Path) -> None:
    run("uid", place / "work", getattr(confined_work, name), who=OWN_USER)


@pytest.mark.parametrize("who", WHO)
def test_forbidden_things_are_refused_by_landlock(who: str, place: Path) -> None:
    if not TIERS:
        pytest.skip("this kernel has no Landlock")
    work = place / "work"
    outside = confined_work.plant(place, work)
    found = run("landlock", work, lambda: confined_work.forbidden(outside), who=who)
    found.pop("link of proc")  # its own; that of another process: the next test
    absent = {"EACCES", "EPERM", "ENOENT", "ENXIO", "ENOSYS", "EXDEV", "EBUSY", "EEXIST", "EROFS"}
    assert {name: error for name, error in found.items() if error not in absent} == {}
    assert confined_work.untouched(outside)


@pytest.mark.parametrize("who", WHO)
def test_links_of_other_processes_are_refused(who: str, place: Path) -> None:
    if not TIERS:
        pytest.skip("this kernel has no Landlock")
    app = os.getpid()

    def work() -> list[str]:
        links = [f"/proc/{app}/cwd", f"/proc/{app}/exe", f"/proc/{app}/fd/0", "/proc/1/root"]
        return [_refused(lambda link=link: Path(link).readlink()) for link in links]

    assert set(run("landlock", place / "work", work, who=who)) <= {"EACCES", "EPERM"}


# --- what may be read -------------------------------------------------------------------------


def test_what_may_be_read_holds_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = readable.paths()
    assert Path(os.__file__).parent.resolve() in [each for p in found for each in (p, *_under(p))]
    forbidden = {Path(p) for p in ("/", "/usr", "/etc", "/home", "/root", "/proc", "/tmp", "/var")}
    forbidden |= {Path.home().resolve(), elsewhere.ROOT, Path("/sys"), Path("/dev")}
    assert forbidden.isdisjoint(found)
    libraries, other = tmp_path / "lib64", tmp_path / "mine"
    libraries.mkdir()
    other.mkdir()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{libraries}:{other}:/:.::{Path.home()}")
    assert set(readable.paths()) - set(found) == {libraries.resolve()}


def _under(folder: Path) -> list[Path]:
    return [path for path in (Path(os.__file__).parent.resolve(),) if folder in path.parents]


# --- one mechanism at a time, where a failure would harm nobody -------------------------------

ALONE = """
import errno, json, os, socket, sys, tempfile
from pathlib import Path
from sandbox.confine import landlock, rights, seccomp
os.chdir(tempfile.mkdtemp())
Path("outside").mkdir(); Path("outside/file").write_text("x"); Path("work").mkdir()
Path("more").mkdir(); Path("more/file").write_text("more"); os.chdir("work")
Path("a").mkdir(); Path("b").mkdir(); Path("a/file").write_text("x")
rights.drop(None)
{confine}
def tried(act):
    try: act()
    except OSError as error: return errno.errorcode[error.errno]
    return ""
def unix(): socket.socket(socket.AF_UNIX).bind("socket")
def empty(): os.close(os.open("../more/file", os.O_RDONLY | os.O_TRUNC))
print(json.dumps({{
    "read": tried(lambda: Path("../outside/file").read_text()),
    "passwd": tried(lambda: Path("/etc/passwd").read_text()),
    "more": tried(lambda: Path("../more/file").read_text()),
    "write more": tried(lambda: Path("../more/file").write_text("x")),
    "library": tried(lambda: open(os.__file__, "a")),
    "climb": tried(lambda: os.listdir("..")),
    "device only for ioctl": tried(lambda: os.open("/dev/tty", 3)),
    "full": tried(lambda: os.open("/dev/full", os.O_RDWR)),
    "rename": tried(lambda: os.rename("a/file", "b/file")),
    "rename out": tried(lambda: os.rename("b", "../b")),
    "rename in": tried(lambda: os.rename("../outside/file", "stolen")),
    "link in": tried(lambda: os.link("../outside/file", "stolen")),
    "link": tried(lambda: os.link("b/file", "a/second")),
    "symlink": tried(lambda: os.symlink("/", "root")),
    "fifo": tried(lambda: os.mkfifo("fifo")),
    "unix": tried(unix),
    "truncate outside": tried(lambda: os.truncate("../more/file", 0)),
    "empty by opening": tried(empty),
    "null": tried(lambda: Path("/dev/null").write_text("x")),
    "tcp": tried(lambda: socket.create_connection(("127.0.0.1", 1))),
}}))
"""


def alone(confine: str, **where: Any) -> dict[str, str]:
    told: dict[str, str] = elsewhere.run(ALONE.format(confine=confine), **where)
    return told


def test_landlock_alone_keeps_files() -> None:
    if not TIERS:
        pytest.skip("this kernel has no Landlock")
    found = alone('landlock.restrict(os.getcwd(), [os.path.abspath("../more")])')
    allowed = {"more", "rename", "link", "null"}
    assert {name for name, error in found.items() if not error} == allowed | {
        # neither to read nor to write: no rule sees that, so the filter refuses it
        "device only for ioctl"
    } - ({"device only for ioctl"} if found["device only for ioctl"] == "ENXIO" else set())
    assert found["read"] == found["passwd"] == found["library"] == found["climb"] == "EACCES"
    tcp = "EACCES" if landlock.abi() >= 4 else "ECONNREFUSED"
    assert found["tcp"] == tcp


def test_an_old_landlock_needs_the_filter_for_truncation() -> None:
    """Shown on a newer kernel by taking only the rights that the old version knows."""
    if not TIERS:
        pytest.skip("this kernel has no Landlock")
    old = 'landlock.abi = lambda: 2; landlock.restrict(os.getcwd(), [os.path.abspath("../more")])'
    found = alone(old)
    assert found["truncate outside"] == found["empty by opening"] == ""
    found = alone(f"{old}; seccomp.install(truncate=False)")
    assert (found["truncate outside"], found["empty by opening"]) == ("EPERM", "EACCES")


def test_the_filter_alone_keeps_no_files_but_makes_no_links_or_sockets() -> None:
    found = alone("seccomp.install()")
    assert found["read"] == found["passwd"] == ""
    refused = {name: error for name, error in found.items() if error}
    assert refused == {
        "device only for ioctl": "EACCES",
        "link in": "EPERM",
        "link": "EPERM",
        "symlink": "EPERM",
        "fifo": "EPERM",
        "unix": "EACCES",
        "tcp": "EACCES",
    }


# --- the filter in a real process -------------------------------------------------------------


def test_the_filter_in_force(place: Path) -> None:
    def work() -> dict[str, Any]:
        libc = ctypes.CDLL(None, use_errno=True)

        def call(number: int, *arguments: int) -> str:
            result = libc.syscall(*(ctypes.c_long(n) for n in (number, *arguments)))
            return "" if result >= 0 else errno.errorcode[ctypes.get_errno()]

        Path("file").touch()
        before = Path("file").stat()
        Path("file").chmod(0o777)
        os.chown("file", 1, 1)
        os.utime("file", (0, 0))
        after = Path("file").stat()
        kept = (before.st_mode, before.st_uid, before.st_mtime) == (
            after.st_mode,
            after.st_uid,
            after.st_mtime,
        )
        pair = socket.socketpair()
        return {
            "kept": kept,
            "fork": _refused(os.fork),
            "kill": _refused(lambda: os.kill(os.getppid(), 0)),
            "group": _refused(lambda: os.kill(0, 0)),
            "session": _refused(os.setsid),
            "exec": _refused(lambda: os.execv("/bin/true", ["true"])),
            "socket": _refused(socket.socket),
            "datagrams": _refused(lambda: socket.socketpair(type=socket.SOCK_DGRAM)),
            "message": _refused(lambda: pair[0].sendmsg([b"x"])),
            "memfd": _refused(lambda: os.memfd_create("x")),
            "clone3": call(435, 0, 0),
            "newer": call(5000),
            "second numbers": call(0x40000000 + 39) if os.uname().machine == "x86_64" else "ENOSYS",
            "ptrace": call({"x86_64": 101, "aarch64": 117}[os.uname().machine], 0),
            "another filter": call({"x86_64": 317, "aarch64": 277}[os.uname().machine], 1, 0, 0),
        }

    tier = TIERS[0] if TIERS else "uid"
    found = run(tier, place / "work", work, who=WHO[0] if TIERS else OWN_USER)
    assert found == {
        "kept": True,
        "fork": "EPERM",
        "kill": "EPERM",
        "group": "EPERM",
        "session": "EPERM",
        "exec": "EPERM",
        "socket": "EACCES",
        "datagrams": "EACCES",
        "message": "EACCES",
        "memfd": "EPERM",
        "clone3": "ENOSYS",
        "newer": "ENOSYS",
        "second numbers": "ENOSYS",
        "ptrace": "EPERM",
        "another filter": "EPERM",
    }


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="another architecture's way in")
def test_calls_of_another_architecture_end_the_process(place: Path) -> None:
    """getpid by the 32-bit way in: mov eax, 20; int 0x80; ret."""

    def work() -> int:
        import mmap

        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())

    assert run("unconfined", place / "work", work) > 0
    if not TIERS:
        pytest.skip("this kernel has no Landlock")
    assert start("landlock", place / "work", work).wait().code == -signal.SIGSYS


def test_plain_data() -> None:
    c = Confinement("landlock", "/work", ("/packages",), uid=5, threads=7)
    assert Confinement.from_dict(json.loads(json.dumps(c.to_dict()))) == c
    with pytest.raises(TypeError):
        Confinement.from_dict({"tier": "landlock", "workspace": "/", "more": 1})
