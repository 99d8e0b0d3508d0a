"""What confined code does in the tests of the tiers: ordinary things, and forbidden ones.

Each function runs in the worker, with the workspace as its working folder. Its module imports
all that it uses: see `tests.confined`.
"""

# ruff: noqa: PTH100,PTH102,PTH103,PTH104,PTH105,PTH106,PTH107,PTH109,PTH115,PTH116,PTH123,PTH208,PTH211,SIM115
# The functions of os are what is tried here.

import csv
import ctypes
import ctypes.util
import encodings.cp437  # noqa: F401 - zipfile looks it up when it writes
import errno
import fcntl
import io
import json
import mmap
import os
import pathlib
import pickle
import shutil
import sqlite3
import stat
import tarfile
import tempfile
import threading
import zipfile
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import openpyxl  # noqa: F401
import pandas as pd

LIBC = ctypes.CDLL(None, use_errno=True)


def warm_up() -> None:
    """Whatever the libraries open when first used, before the forks."""
    with tempfile.TemporaryDirectory() as folder:
        frame = pd.DataFrame({"a": [1, 2]})
        frame.to_excel(Path(folder) / "a.xlsx", index=False)
        pd.read_excel(Path(folder) / "a.xlsx")
        pd.read_csv(io.StringIO("a\n1"))
        plt.plot([1, 2])
        plt.savefig(Path(folder) / "a.png")
        plt.close("all")
        with zipfile.ZipFile(Path(folder) / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x", "y")
        shutil.make_archive(str(Path(folder) / "b"), "gztar", folder, "a.png")
    json.dumps(zoneinfo.ZoneInfo("Europe/Paris").key)


def files() -> None:
    """Reading, writing, moving, removing, by every usual way."""
    Path("a.txt").write_text("one\n")
    with open("a.txt", "a") as stream:
        stream.write("two\n")
    assert Path("a.txt").read_text() == "one\ntwo\n"
    assert Path("a.txt").resolve() == Path.cwd() / "a.txt"
    with open("a.txt", "r+") as stream:
        stream.truncate(3)
    assert os.stat("a.txt").st_size == 3
    os.truncate("a.txt", 1)
    assert Path(os.getcwd(), "a.txt").read_bytes() == b"o"
    _raises(FileExistsError, lambda: open("a.txt", "x"))
    _raises(FileNotFoundError, lambda: open("none.txt"))
    _raises(IsADirectoryError, lambda: open("."))
    _raises(NotADirectoryError, lambda: open("a.txt/b"))
    _raises(NotADirectoryError, lambda: os.listdir("a.txt/"))
    os.makedirs("deep/er/est")
    os.makedirs("deep/er/est", exist_ok=True)
    os.makedirs(os.getcwd(), exist_ok=True)
    Path("deep/er").mkdir(parents=True, exist_ok=True)
    _raises(FileExistsError, lambda: os.mkdir("deep"))
    _raises(OSError, lambda: os.rmdir("deep"))
    os.rename("a.txt", "deep/b.txt")
    os.replace("deep/b.txt", os.path.abspath("deep/er/../c.txt"))
    shutil.copytree("deep", "copy")
    shutil.move("copy/c.txt", "c.txt")
    assert sorted(str(p) for p in Path().rglob("*")) == [
        "c.txt", "copy", "copy/er", "copy/er/est", "deep", "deep/c.txt", "deep/er", "deep/er/est",
    ]  # fmt: skip
    shutil.rmtree("copy")
    os.remove("c.txt")
    Path("missing").unlink(missing_ok=True)
    _raises(FileNotFoundError, lambda: os.remove("c.txt"))
    assert [(root, *rest) for root, *rest in os.walk("deep")] == [
        ("deep", ["er"], ["c.txt"]), ("deep/er", ["est"], []), ("deep/er/est", [], []),
    ]  # fmt: skip
    odd = os.fsdecode(b"line\nbreak \xff\x1b[31m")
    Path(odd).write_text("odd")
    assert odd in os.listdir() and Path(odd).read_text() == "odd"
    Path("f" * 255).touch()
    _raises_errno(errno.ENAMETOOLONG, lambda: open("f" * 256, "w"))
    _raises_errno(errno.ENAMETOOLONG, lambda: open("f/" * 3000))
    shutil.rmtree("deep")


def folders() -> None:
    """The working folder, and paths that begin at an open folder."""
    home = os.getcwd()
    os.makedirs("in/side")
    os.chdir("in")
    Path("x").write_text("x")
    assert os.getcwd() == home + "/in" and Path("../in/x").read_text() == "x"
    descriptor = os.open("side", os.O_RDONLY)
    os.close(os.open("y", os.O_CREAT | os.O_WRONLY, 0o640, dir_fd=descriptor))
    assert os.listdir(descriptor) == ["y"] and os.listdir("side") == ["y"]
    os.rename("y", "z", src_dir_fd=descriptor, dst_dir_fd=descriptor)
    os.mkdir("w", dir_fd=descriptor)
    os.rename("side", "moved")  # the descriptor goes along
    assert sorted(os.listdir(descriptor)) == ["w", "z"]
    os.unlink("z", dir_fd=descriptor)
    os.rmdir("w", dir_fd=descriptor)
    os.fchdir(descriptor)
    assert os.getcwd() == home + "/in/moved"
    os.rmdir("../moved")
    _raises(FileNotFoundError, lambda: open("new", "w"))
    _raises(FileNotFoundError, os.getcwd)
    os.chdir(home)
    _raises_errno(errno.EBADF, lambda: os.open("q", os.O_RDONLY, dir_fd=99))
    with open("in/x") as stream:
        _raises_errno(errno.ENOTDIR, lambda: os.open("q", 0, dir_fd=stream.fileno()))
    os.close(descriptor)
    assert [names for *_, names, _ in os.fwalk("in")] == [["x"]]
    shutil.rmtree("in")


def descriptors() -> None:
    """Modes, flags and what can be done with what was opened."""
    os.close(os.open("mode", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    assert stat.S_IMODE(os.stat("mode").st_mode) == 0o600
    os.mkdir("closed", 0o700)
    assert stat.S_IMODE(os.stat("closed").st_mode) == 0o700
    opened = os.open("mode", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    assert not os.get_inheritable(opened) and os.get_blocking(opened)
    assert fcntl.fcntl(opened, fcntl.F_GETFL) & os.O_APPEND
    os.write(opened, b"abc")
    fcntl.lockf(opened, fcntl.LOCK_EX)
    with mmap.mmap(opened, 3) as memory:
        assert memory[:] == b"abc"
    os.close(opened)
    opened = os.open("mode", os.O_RDONLY | os.O_NONBLOCK)
    assert not os.get_blocking(opened)
    os.close(opened)
    _raises_errno(errno.ENOTDIR, lambda: os.open("mode", os.O_RDONLY | os.O_DIRECTORY))
    with tempfile.TemporaryFile(dir=".") as stream:  # O_TMPFILE
        stream.write(b"x")
        assert os.fstat(stream.fileno()).st_nlink == 0
    with tempfile.NamedTemporaryFile(dir=".") as stream:
        assert Path(stream.name).exists()
    place = os.open("mode", os.O_PATH)
    assert os.fstat(place).st_size == 3
    os.close(place)
    Path("/dev/null").write_text("gone")
    assert len(Path("/dev/urandom").open("rb", 0).read(8)) == 8
    assert Path("/dev/zero").open("rb", 0).read(4) == bytes(4)
    taken = []
    try:
        while True:
            taken.append(os.open("mode", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE
    for descriptor in taken:
        os.close(descriptor)
    assert Path("mode").read_text() == "abc"


def libraries() -> None:
    """What the agent's code really uses."""
    frame = pd.DataFrame({"name": ["a", "b"], "value": [1.5, 2.5]})
    frame.to_csv("t.csv", index=False)
    assert pd.read_csv("t.csv").equals(frame)
    frame.to_excel("t.xlsx", index=False)
    assert pd.read_excel("t.xlsx").equals(frame)
    frame.to_pickle("t.pkl")
    assert pickle.loads(Path("t.pkl").read_bytes()).equals(frame)
    np.save("t.npy", np.arange(5))
    assert np.load("t.npy", mmap_mode="r").sum() == 10
    plt.plot([1, 2, 3])
    plt.title("€")
    plt.savefig("t.png")
    assert Path("t.png").read_bytes()[:4] == b"\x89PNG"
    with sqlite3.connect("t.db") as base:
        base.execute("pragma journal_mode=wal")
        base.execute("create table t (a)")
        base.executemany("insert into t values (?)", [(i,) for i in range(100)])
    base.close()
    assert sqlite3.connect("t.db").execute("select sum(a) from t").fetchone() == (4950,)
    with zipfile.ZipFile("t.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write("t.csv")
    zipfile.ZipFile("t.zip").extractall("unzipped")
    assert Path("unzipped/t.csv").read_text() == Path("t.csv").read_text()
    with tarfile.open("t.tar.gz", "w:gz") as tar:
        tar.add("unzipped")
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    shutil.unpack_archive("t.tar.gz", "untarred", **safely)
    assert Path("untarred/unzipped/t.csv").exists()
    with open("t.csv", newline="") as stream:
        assert list(csv.reader(stream))[1] == ["a", "1.5"]
    zoneinfo.ZoneInfo.clear_cache()
    assert str(zoneinfo.ZoneInfo("Asia/Tokyo")) == "Asia/Tokyo"
    assert os.cpu_count()
    threads = [threading.Thread(target=_many_files, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(p.name.startswith("many-") for p in Path().iterdir()) == 400


def _many_files(number: int) -> None:
    for each in range(50):
        Path(f"many-{number}-{each}").write_text(str(each))
        assert Path(f"many-{number}-{each}").read_text() == str(each)


def attempts(outside: Path) -> dict[str, Callable[[], Any]]:
    """What must fail, by name. `outside` holds secret.txt (every user may read it) and folder/."""
    secret, out = str(outside / "secret.txt"), str(outside)
    Path("mine").write_text("mine")
    Path("x").mkdir(exist_ok=True)
    home = os.getcwd()

    def from_there() -> None:
        os.chdir(out)
        try:
            open("secret.txt").read()
        finally:
            os.chdir(home)

    def openat2() -> None:
        how = (ctypes.c_uint64 * 3)(0, 0, 0)
        _check(LIBC.syscall(437, -100, secret.encode(), how, 24))

    return {
        "read": lambda: open(secret).read(),
        "read by C": lambda: _check(LIBC.open(secret.encode(), 0)),
        "read and write": lambda: open(secret, "r+"),
        "append": lambda: open(secret, "a"),
        "no access mode": lambda: os.open(secret, 3),
        "truncating read": lambda: os.open(secret, os.O_RDONLY | os.O_TRUNC),
        "create": lambda: open(out + "/new", "w").close() or os.remove(out + "/new"),
        "create in /tmp": lambda: open(f"/tmp/hearth-{os.getpid()}-x", "w"),
        "unnamed file": lambda: os.open(out, os.O_TMPFILE | os.O_RDWR, 0o600),
        "climb": lambda: open("../" * 30 + secret).read(),
        "climb inside": lambda: open(f"x/../../{outside.name}/secret.txt").read(),
        "from there": from_there,
        "folder": lambda: os.listdir(out),
        "root": lambda: os.listdir("/"),
        "passwd": lambda: open("/etc/passwd").read(),
        "by a link": lambda: open("planted").read(),
        "by a link, for writing": lambda: open("planted", "w"),
        "by a linked folder": lambda: open("planted-folder/secret.txt").read(),
        "list a linked folder": lambda: os.listdir("planted-folder"),
        "remove by a linked folder": lambda: os.remove("planted-folder/secret.txt"),
        "make by a linked folder": lambda: os.mkdir("planted-folder/new"),
        "symlink": lambda: os.symlink(secret, "soft"),
        "hard link": lambda: os.link(secret, "hard"),
        "hard link out": lambda: os.link("mine", out + "/hard"),
        "rename out": lambda: os.rename("mine", out + "/mine"),
        "rename in": lambda: os.rename(secret, "stolen"),
        "rename over": lambda: os.replace("mine", secret),
        "rename the workspace": lambda: os.rename(home, home + "-2"),
        "remove the workspace": lambda: os.rmdir(home),
        "remove": lambda: os.remove(secret),
        "remove folder": lambda: os.rmdir(out + "/folder"),
        "make folder": lambda: os.mkdir(out + "/new"),
        "truncate": lambda: os.truncate(secret, 0),
        "fifo": lambda: os.mkfifo("fifo"),
        "device": lambda: os.mknod("device", 0o600 | stat.S_IFCHR, os.makedev(1, 3)),
        "openat2": openat2,
        "proc": lambda: open("/proc/self/status").read(),
        "own memory": lambda: open("/proc/self/mem", "rb"),
        "environment of the first": lambda: open("/proc/1/environ").read(),
        "parent's files": lambda: os.listdir(f"/proc/{os.getppid()}/fd"),
        "root by proc": lambda: open(f"/proc/self/root{secret}").read(),
        "link of proc": lambda: os.readlink("/proc/self/root"),
        "sys": lambda: open("/sys/kernel/uevent_seqnum").read(),
        "memory": lambda: open("/dev/mem", "rb"),
        "terminal": lambda: open("/dev/tty"),
        "disk": lambda: open("/dev/vda", "rb"),
        "shared memory": lambda: open("/dev/shm/hearth-x", "w"),
        "Python's own": lambda: open(os.__file__, "a"),
        "beside Python": lambda: open(str(Path(os.__file__).parent / "hearth-x.py"), "w"),
        "signal the parent": lambda: os.kill(os.getppid() or 1, 0),
        "start": lambda: os.fork(),
    }


def forbidden(outside: Path) -> dict[str, str]:
    """The error's name for each attempt, or `done`."""
    return {name: outcome(attempt) for name, attempt in attempts(outside).items()}


def outcome(attempt: Callable[[], Any]) -> str:
    """`done`, or the name of the error number."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


def _check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _raises(kind: type[OSError], act: Callable[[], Any]) -> None:
    try:
        act()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


def _raises_errno(code: int, act: Callable[[], Any]) -> None:
    name = outcome(act)
    assert name == errno.errorcode[code], name


def plant(folder: Path, workspace: Path) -> Path:
    """The folder outside with its secret, and links in the workspace that lead there."""
    outside = folder / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "secret.txt").write_text("secret")
    (outside / "secret.txt").chmod(0o666)
    outside.chmod(0o777)
    (workspace / "planted").symlink_to(outside / "secret.txt")
    (workspace / "planted-folder").symlink_to(outside)
    return pathlib.Path(outside)


def untouched(outside: Path) -> bool:
    """Whether nothing outside has changed."""
    names = {path.name for path in outside.iterdir()}
    return names == {"secret.txt", "folder"} and (outside / "secret.txt").read_text() == "secret"
