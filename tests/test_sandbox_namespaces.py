"""The tier `namespaces`: a file system, network and process table of its own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("namespaces are Linux's", allow_module_level=True)

from sandbox.confine import kernel
from tests import confined_work
from tests.confined import NOBODY, WHO, open_folder, run, start

TIER = "namespaces"
NOT_THERE = {"ENOENT", "ENOTDIR", "ENXIO", "EROFS", "EXDEV", "ENOSYS", "EBUSY", "ESRCH", "ETXTBSY"}


def _allowed() -> bool:
    """Whether this machine lets a process have a user namespace."""
    child = os.fork()
    if child == 0:
        os._exit(0 if kernel.libc().unshare(0x10000000 | 0x20000) == 0 else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    if not _allowed():
        pytest.skip("user namespaces are switched off here")
    confined_work.warm_up()


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", ["files", "folders", "descriptors", "libraries"])
def test_ordinary_things_work(name: str, who: str, place: Path) -> None:
    run(TIER, place / "work", getattr(confined_work, name), who=who)


@pytest.mark.parametrize("who", WHO)
def test_forbidden_things_fail(who: str, place: Path) -> None:
    work = place / "work"
    outside = confined_work.plant(place, work)
    found = run(TIER, work, lambda: confined_work.forbidden(outside), who=who)
    expected = NOT_THERE | {"EACCES", "EPERM"}
    assert {name: error for name, error in found.items() if error not in expected} == {}
    assert confined_work.untouched(outside)
    assert sorted(p.name for p in work.iterdir()) == ["mine", "planted", "planted-folder", "x"]


@pytest.mark.parametrize("who", WHO)
def test_what_it_sees(who: str, place: Path) -> None:
    (place / "outside").mkdir()

    def look() -> list[Any]:
        outside = ("/proc", "/home", "/root/.bashrc", "/etc/passwd", "../outside", "/boot")
        return [
            os.getpid() < 5,
            os.getuid(),
            str(Path.cwd()),
            [name for name in outside if os.path.exists(name)],  # noqa: PTH110 - no error counts
            confined_work.outcome(lambda: Path("/new").mkdir()) in ("EROFS", "EACCES"),
            confined_work.outcome(_remount),
            Path("/etc/localtime").exists() or not was_there,
        ]

    was_there = Path("/etc/localtime").exists()
    uid = os.geteuid() if who == WHO[0] else NOBODY
    seen = [True, uid, str(place / "work"), [], True, "EPERM", True]
    assert run(TIER, place / "work", look, who=who) == seen


def test_what_is_mounted_inside_a_readable_folder_is_for_reading_too(place: Path) -> None:
    """A bind takes mounts below along, each with flags of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    inner = place / "packages" / "inner"
    inner.mkdir(parents=True)
    (inner / "x").write_text("x")
    child = os.fork()
    if child == 0:  # in a file system of its own, so that the mount is nobody else's
        code = 1
        try:
            libc = kernel.libc()
            assert libc.unshare(0x20000) == 0
            assert libc.mount(None, b"/", None, 16384 | (1 << 18), None) == 0
            assert libc.mount(b"t", os.fsencode(inner), b"tmpfs", 0, None) == 0
            (inner / "y").write_text("y")

            def look() -> list[str]:
                new = inner / "new"
                return [*os.listdir(inner), confined_work.outcome(lambda: new.write_text("n"))]  # noqa: PTH208

            packages: dict[str, Any] = {"readable": (str(inner.parent),)}
            found = start(TIER, place / "work", look, **packages).wait()
            code = 0 if found.result == ["y", "EROFS"] else 3
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _remount() -> None:
    if kernel.libc().mount(None, b"/", None, 32 | 4096, None) != 0:
        raise kernel.failure("mount")
