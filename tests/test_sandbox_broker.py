"""The tier `broker`: files opened by a second process, with real processes and no Landlock."""

import ctypes
import errno
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("seccomp is Linux's", allow_module_level=True)

from sandbox.confine import broker, kernel, syscalls
from tests import confined_work
from tests.confined import WHO, open_folder, run

TIER = "broker"
LIBC = confined_work.LIBC


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    confined_work.warm_up()


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", ["files", "folders", "descriptors", "libraries"])
def test_ordinary_things_work(name: str, who: str, place: Path) -> None:
    run(TIER, place / "work", getattr(confined_work, name), who=who)


@pytest.mark.parametrize("who", WHO)
def test_forbidden_things_are_refused(who: str, place: Path) -> None:
    work = place / "work"
    outside = confined_work.plant(place, work)
    found = run(TIER, work, lambda: confined_work.forbidden(outside), who=who)
    absent = {"memory", "disk", "shared memory", "terminal"}  # not there in every container
    wrong = {name: error for name, error in found.items() if not _is_refusal(name, error, absent)}
    assert not wrong
    assert confined_work.untouched(outside)
    assert sorted(path.name for path in work.iterdir()) == [
        "mine",
        "planted",
        "planted-folder",
        "x",
    ]


def _is_refusal(name: str, error: str, absent: set[str]) -> bool:
    expected = {"EACCES", "EPERM"} | ({"ENOENT", "ENXIO"} if name in absent else set())
    expected |= {
        "make folder": set(),
        "openat2": {"ENOSYS"},
        "rename the workspace": {"EBUSY"},
        "remove the workspace": {"EBUSY"},
    }.get(name, set())
    return error in expected


def test_the_same_things_succeed_without_confinement(place: Path) -> None:
    """So that an attempt that could never succeed is noticed."""
    harmless = {
        "read", "read by C", "append", "create", "unnamed file", "climb", "climb inside",
        "from there", "folder", "root", "passwd", "by a link", "list a linked folder", "symlink",
        "hard link", "hard link out", "rename out", "make folder", "proc", "own memory",
        "root by proc", "link of proc", "openat2", "fifo",
    }  # fmt: skip
    work = place / "work"
    outside = confined_work.plant(place, work)

    def attempt() -> dict[str, str]:
        tried = confined_work.attempts(outside)
        return {name: confined_work.outcome(tried[name]) for name in sorted(harmless)}

    assert set(run("unconfined", work, attempt).values()) == {"done"}


def test_a_path_that_changes_during_the_call_opens_nothing_else(place: Path) -> None:
    work = place / "work"
    outside = confined_work.plant(place, work)
    good = b"./" + b"x" * len(str(outside / "secret.txt"))
    bad = b"/" * (len(good) - len(str(outside / "secret.txt"))) + os.fsencode(
        outside / "secret.txt"
    )
    (work / os.fsdecode(good[2:])).write_text("mine")
    work.joinpath(os.fsdecode(good[2:])).chmod(0o666)

    def race() -> dict[str, int]:
        buffer = ctypes.create_string_buffer(good, len(good) + 1)
        address, ended, seen = ctypes.addressof(buffer), threading.Event(), {"mine": 0, "no": 0}

        def flip() -> None:
            while not ended.is_set():
                ctypes.memmove(address, bad, len(bad))
                ctypes.memmove(address, good, len(good))

        flipping = threading.Thread(target=flip)
        flipping.start()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            descriptor = LIBC.openat(-100, buffer, os.O_RDONLY)
            if descriptor < 0:
                seen["no"] += 1
                continue
            seen[os.read(descriptor, 10).decode()] += 1  # KeyError for any other text
            os.close(descriptor)
        ended.set()
        flipping.join()
        return seen

    seen = run(TIER, work, race)
    assert seen["mine"] and seen["no"]  # it was a race


def test_a_name_that_becomes_a_link_during_the_call_leads_nowhere(place: Path) -> None:
    work = place / "work"
    outside = confined_work.plant(place, work)
    (work / "folder").mkdir()
    (work / "folder" / "secret.txt").write_text("mine")
    (work / "link").symlink_to(outside)
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():  # someone who may, exchanging a folder and a link
            (work / "folder").rename(work / "kept")
            (work / "link").rename(work / "folder")
            (work / "folder").rename(work / "link")
            (work / "kept").rename(work / "folder")

    def look() -> list[str]:
        found, until = set(), time.monotonic() + 1.5
        while time.monotonic() < until:
            try:
                found.add(Path("folder/secret.txt").read_text())
            except OSError as error:
                found.add(errno.errorcode[error.errno or 0])
            confined_work.outcome(Path("folder/made").mkdir)
            confined_work.outcome(lambda: os.truncate("folder/secret.txt", 4))
        return sorted(found)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        found = run(TIER, work, look)
    finally:
        ended.set()
        swapping.join()
    assert "mine" in found and "secret" not in found
    assert confined_work.untouched(outside)


def test_readable_folders_are_for_reading(place: Path) -> None:
    packages = place / "packages"
    packages.mkdir()
    (packages / "own_package.py").write_text("VALUE = 5")

    def use() -> Any:
        sys.path.append(str(packages))
        import own_package  # type: ignore[import-not-found]

        return [own_package.VALUE, confined_work.outcome((packages / "x").mkdir)]

    options: dict[str, Any] = {"readable": (str(packages),)}
    assert run(TIER, place / "work", use, **options) == [5, "EACCES"]


def test_addresses_that_are_none(place: Path) -> None:
    def ask() -> list[int]:
        found = []
        for address in (0, 1, 2**47, 2**64 - 1):
            ctypes.set_errno(0)
            assert LIBC.open(ctypes.c_void_p(address), 0) == -1
            found.append(ctypes.get_errno())
        return found

    assert run(TIER, place / "work", ask) == [errno.EFAULT] * 4


def test_what_a_signal_interrupts_was_not_done(place: Path) -> None:
    """Or mkdir, tried again, would say that the folder is there."""

    def again(act: Callable[[], Any]) -> None:
        while True:
            try:
                return act()
            except InterruptedError:
                continue

    def work() -> int:
        caught = []
        signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        until, number = time.monotonic() + 1, 0
        while time.monotonic() < until:
            number += 1
            old, new = Path(f"f{number}"), Path(f"g{number}")
            again(old.mkdir)
            (old / "x").write_text("x")  # open tries again by itself
            again(lambda old=old, new=new: old.rename(new))
            again((new / "x").unlink)
            again(new.rmdir)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return len(caught)

    assert run(TIER, place / "work", work) > 10


def test_the_limit_on_a_file_holds_for_the_keeper(place: Path) -> None:
    def work() -> list[str]:
        Path("a").write_text("")
        small = confined_work.outcome(lambda: os.truncate("a", 1000))
        return [small, confined_work.outcome(lambda: os.truncate("a", 10**6))]

    assert run(TIER, place / "work", work, file_bytes=5000) == ["done", "EFBIG"]


def test_what_is_readable_need_not_be_there(place: Path) -> None:
    options: dict[str, Any] = {"readable": ("/no/such/folder",)}
    assert run(TIER, place / "work", lambda: 1, **options) == 1


def test_links_that_the_user_made_within_the_workspace_are_followed(place: Path) -> None:
    work = place / "work"
    (work / "real").mkdir()
    (work / "real" / "x").write_text("x")
    (work / "folder").symlink_to("real")
    (work / "file").symlink_to(work / "real" / "x")

    def use() -> list[Any]:
        Path("file").write_text("y")
        Path("folder/made").mkdir()
        Path("folder/new").write_text("new")
        Path("folder/new").rename("real/moved")
        texts = [Path("folder/x").read_text(), Path("folder/moved").read_text()]
        shown = [str(Path("file").readlink()), os.path.realpath("folder/x")]
        refused = confined_work.outcome(lambda: os.open("file", os.O_RDONLY | os.O_NOFOLLOW))
        return [*texts, *shown, refused]

    shown = [str(work / "real" / "x"), str(work / "real" / "x")]
    assert run(TIER, work, use) == ["y", "new", *shown, "ELOOP"]


def test_a_pipe_with_a_name_is_neither_opened_nor_waited_for(place: Path) -> None:
    os.mkfifo(place / "work" / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place / "work" / "socket"))

    def attempt() -> list[str]:
        modes = (os.O_RDONLY, os.O_RDWR, os.O_RDONLY | os.O_NONBLOCK, os.O_PATH)
        found = [confined_work.outcome(lambda m=m: os.open("pipe", m)) for m in modes]
        return [*found, confined_work.outcome(lambda: os.open("socket", os.O_RDWR))]

    assert run(TIER, place / "work", attempt) == [*["EACCES"] * 4, "ENXIO"]


def test_odd_arguments_end_in_errors(place: Path) -> None:
    """Whatever the calls are given, the keeper goes on and nothing happens outside."""
    work = place / "work"
    outside = confined_work.plant(place, work)
    (work / "planted").unlink()
    numbers = syscalls.numbers(kernel.architecture())
    names = [n for n in (*broker._HANDLERS, *broker._REFUSED) if n in numbers]

    def throw() -> int:
        chance = random.Random(1)
        inside, out = b"some/name", os.fsencode(outside / "secret.txt")
        texts = [
            inside,
            out,
            b"",
            b".",
            b"..",
            b"/",
            b"x" * 5000,
            b"\xff/\xfe",
            b"planted-folder/y",
        ]
        buffers = [ctypes.create_string_buffer(text) for text in texts]
        numeric = [0, 1, 3, 99, 0o777, 0o100, 0o2000000, 2**31, 2**32 - 100, 2**63, 2**64 - 1]
        made = 0
        for _ in range(20_000):
            arguments = [
                ctypes.addressof(chance.choice(buffers))
                if chance.random() < 0.5
                else chance.choice([*numeric, chance.getrandbits(64)])
                for _ in range(6)
            ]
            words = [ctypes.c_ulong(argument) for argument in arguments]
            if LIBC.syscall(ctypes.c_long(numbers[chance.choice(names)]), *words) >= 0:
                made += 1
        return made

    assert run(TIER, work, throw, open_files=4000) > 0
    assert confined_work.untouched(outside)
