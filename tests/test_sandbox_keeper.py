"""The tiers in which a second process keeps the worker: neither outlives the other."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

if sys.platform != "linux":
    pytest.skip("the tiers are Linux's", allow_module_level=True)

from tests.confined import WHO, gone, open_folder, start


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(params=["broker", "namespaces"])
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _end_by(number: int) -> Callable[[], None]:
    def end() -> None:
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        time.sleep(30)

    return end


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (lambda: None, 0),
        (lambda: os._exit(3), 3),
        (lambda: sys.exit(4), 1),
        (os.abort, -signal.SIGABRT),
        (lambda: ctypes.string_at(0), -signal.SIGSEGV),
        (_end_by(signal.SIGTERM), -signal.SIGTERM),
        (_end_by(signal.SIGXCPU), -signal.SIGXCPU),
        (_end_by(signal.SIGKILL), -signal.SIGKILL),
    ],
)
def test_the_keeper_ends_as_the_worker_did(
    work: Callable[[], Any], code: int, tier: str, place: Path
) -> None:
    assert start(tier, place / "work", work, send=False).wait().code == code


def _wait_for_signal() -> None:
    os.write(3, b".")
    time.sleep(60)


@pytest.mark.parametrize("who", WHO)
def test_neither_outlives_the_other(who: str, tier: str, place: Path) -> None:
    for victim in (0, -1):  # the keeper; the worker, which was started last
        process = start(tier, place / "work", _wait_for_signal, who=who)
        process.first()
        pids = process.processes()
        assert len(pids) > 1
        os.kill(pids[victim], signal.SIGKILL)
        assert process.wait().code == -signal.SIGKILL
        assert gone(pids)


def test_it_ends_with_the_process_that_started_it(tier: str, place: Path) -> None:
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        process = start(tier, place / "work", _wait_for_signal)
        process.first()
        os.write(writer, " ".join(map(str, process.processes())).encode())
        os._exit(0)
    os.close(writer)
    pids = [int(word) for word in os.read(reader, 1000).split()]
    os.close(reader)
    os.waitpid(parent, 0)
    assert len(pids) > 1 and gone(pids)


def test_interrupts_of_the_group_reach_the_worker_only(tier: str, place: Path) -> None:
    def work() -> str:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for _ in range(3):
            try:
                os.write(3, b".")
                time.sleep(60)
            except KeyboardInterrupt:
                Path("still").write_text("here")
        return Path("still").read_text()

    process = start(tier, place / "work", work)
    for _ in range(3):
        process.first()
        os.killpg(process.leader, signal.SIGINT)
    ended = process.wait()
    assert (ended.result, ended.code) == ("here", 0)


def test_the_keeper_holds_nothing_of_the_worker_s(tier: str, place: Path) -> None:
    """The app sees the worker's pipes close when the worker ends or closes them."""
    if os.geteuid() != 0:
        pytest.skip("only root can count another's descriptors")
    process = start(tier, place / "work", _wait_for_signal)
    process.first()
    opened = psutil.Process(process.leader).num_fds()
    assert opened <= 8
    for pid in process.processes():
        os.kill(pid, signal.SIGKILL)
    process.wait()
