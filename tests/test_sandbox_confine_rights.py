"""Rights, limits and owners of a confined process, with real processes."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("the tiers are Linux's", allow_module_level=True)

from sandbox.confine import landlock, limits, rights
from tests import confined_work, elsewhere
from tests.confined import NOBODY, WHO, gone, open_folder, run, start

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


# --- rights -----------------------------------------------------------------------------------


def _tell_and_wait() -> None:
    os.write(3, b".")
    time.sleep(60)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("tier", [*TIERS, "uid"])
def test_no_right_is_left(tier: str, who: str, place: Path) -> None:
    if tier == "uid" and who != OWN_USER:
        pytest.skip("the tier has a user of its own")
    process = start(tier, place / "work", _tell_and_wait, who=who)
    try:
        process.first()
        status = _status(process.leader)
        empty = "0" * 16
        kinds = ["CapInh", "CapPrm", "CapEff", "CapAmb"]
        kinds += ["CapBnd"] if os.geteuid() == 0 and who != WHO[2] else []
        assert {kind: status[kind] for kind in kinds} == dict.fromkeys(kinds, empty)
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        user = os.geteuid() if who == WHO[0] else NOBODY
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(user)}
        if who != WHO[0]:
            assert status["Groups"] == ""
        assert Path(f"/proc/{process.leader}/oom_score_adj").read_text().strip() == "1000"
        if who != WHO[0]:  # not to be looked into by others of its user
            assert Path(f"/proc/{process.leader}/mem").stat().st_uid == 0
    finally:
        os.kill(process.leader, signal.SIGKILL)
        process.wait()


def test_the_environment_holds_no_secret(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    environment = limits.environment(place / "own")
    assert "hf_secret" not in environment.values() and "HF_TOKEN" not in environment
    assert environment["HOME"] == str(place / "own" / "home")
    assert environment["OPENBLAS_CORETYPE"] == "Haswell"


@pytest.mark.parametrize("who", WHO)
def test_it_ends_with_whoever_started_it(who: str, place: Path) -> None:
    """The kernel clears the signal when the user changes: it must be asked for after that."""
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            process = start(TIERS[0] if TIERS else "uid", place / "work", _tell_and_wait, who=who)
            process.first()
            os.write(writer, str(process.leader).encode())
            time.sleep(60)
        finally:
            os._exit(1)
    leader = int(os.read(reader, 20))
    os.kill(between, signal.SIGKILL)
    os.waitpid(between, 0)
    assert gone([leader])
    for descriptor in (reader, writer):
        os.close(descriptor)


def test_it_does_not_start_for_somebody_else(place: Path) -> None:
    ended = start("unconfined", place / "work", lambda: None, parent=1).wait()
    assert ended.code == 78
    assert ended.text == (
        "the sandbox can't be confined: the app ended while the sandbox was starting\n"
    )


@pytest.mark.parametrize(
    ("tier", "said"),
    [
        ("jail", "unknown tier 'jail'; known: landlock, broker"),
        ("uid", "needs a user id of its own"),
        ("seatbelt", "Seatbelt"),
    ],
)
def test_a_tier_that_cannot_be_entered_runs_nothing(tier: str, said: str, place: Path) -> None:
    ended = start(tier, place / "work", lambda: os.write(3, b"ran")).wait()
    assert (ended.code, ended.result) == (78, None) and said in ended.text


def test_a_missing_workspace_runs_nothing(place: Path) -> None:
    if not TIERS:
        pytest.skip("this kernel has no Landlock")
    missing = [sys.executable, "-c", CONFINE.format(workspace=str(place / "none"), before="")]
    done = subprocess.run(missing, capture_output=True, text=True, cwd=elsewhere.ROOT)
    assert done.returncode == 78 and "none" in done.stderr and done.stdout == ""


CONFINE = """
import os, threading, time
from sandbox.confine import Confinement, supervise
{before}
supervise(Confinement("landlock", {workspace!r}), lambda: print("ran", flush=True))
"""


def test_a_second_thread_is_an_error(place: Path) -> None:
    """Landlock would bind only the thread that asks for it."""
    before = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    code = CONFINE.format(workspace=str(place), before=before)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=elsewhere.ROOT
    )
    assert done.returncode == 78 and "2 threads are running" in done.stderr and not done.stdout


# --- limits -----------------------------------------------------------------------------------


def test_memory_files_and_descriptors_are_limited(place: Path) -> None:
    def work() -> list[str]:
        found = []
        try:
            bytearray(3 * 1024**3)
        except MemoryError:
            found.append("memory")
        found.append(_refused(lambda: Path("big").write_bytes(bytes(200_000))))
        found.append(_refused(lambda: os.truncate("big", 10**12)))
        opened = []

        def open_many() -> None:
            while True:
                opened.append(os.open(".", os.O_RDONLY))

        found.append(_refused(open_many))
        for number in opened:
            os.close(number)
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
            hard = resource.getrlimit(kind)[1]
            found.append(_refused(lambda k=kind, h=hard: resource.setrlimit(k, (h, h + 1))))
        return found

    memory = 2 * 1024**3 + _address_space()
    found = run(
        "unconfined", place / "work", work, memory_bytes=memory, file_bytes=100_000, open_files=64
    )
    assert found == ["memory", "EFBIG", "EFBIG", "EMFILE", "EPERM", "EPERM", "EPERM"]


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@root
def test_threads_are_limited_for_a_user_of_its_own(place: Path) -> None:
    def work() -> int:
        threads = []
        try:
            for _ in range(50):
                threads.append(threading.Thread(target=time.sleep, args=(1,), daemon=True))
                threads[-1].start()
        except RuntimeError:  # can't start new thread
            return len(threads)
        return 50

    # The kernel counts all that this user runs, here also what other tests run as it.
    assert 1 < run("uid", place / "work", work, who=OWN_USER, threads=10) <= 10 + 8


def test_the_reserve_is_held_and_given_back(place: Path) -> None:
    def work() -> list[int]:
        seen = []
        for held in (True, False, True):
            limits.hold_reserve(held)
            seen.append(resource.getrlimit(resource.RLIMIT_AS)[0])
        return seen

    memory = 2 * 1024**3 + _address_space()
    held, free, again = run("unconfined", place / "work", work, memory_bytes=memory)
    assert (held, free, again) == (memory, memory + limits.RESERVE_BYTES, memory)


def test_processor_time_of_a_step_is_bounded(place: Path) -> None:
    def work() -> list[int]:
        limits.begin_step(10)
        first = resource.getrlimit(resource.RLIMIT_CPU)[0]
        limits.begin_step(100)
        return [first, resource.getrlimit(resource.RLIMIT_CPU)[0]]

    first, second = run("unconfined", place / "work", work)
    cores = os.cpu_count() or 1
    least = 10 * cores + limits.CPU_MARGIN_SECONDS
    assert least <= first < least + 600 and second - first >= 90 * cores - 1


# --- who owns the workspace -------------------------------------------------------------------


@root
def test_a_workspace_becomes_the_workers(place: Path) -> None:
    work, outside = place / "work", place / "outside"
    (work / "deep" / "er").mkdir(parents=True)
    outside.write_text("x")
    (work / "deep" / "file").write_text("x")
    (work / "link").symlink_to(outside)
    (work / "second name").hardlink_to(outside)
    os.mkfifo(work / "pipe")
    rights.give_all(work, NOBODY)
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    owners = {path.name: path.lstat().st_uid for path in [work, *work.rglob("*")]}
    assert owners.pop("second name") == 0 and outside.stat().st_uid == 0
    assert set(owners.values()) == {NOBODY} and len(owners) == 6
    late = work / "late"
    late.write_text("x")
    rights.give(late, None)
    assert late.stat().st_uid == 0
    rights.give(late, NOBODY)
    assert late.stat().st_uid == NOBODY


@root
def test_each_workspace_gets_a_user_of_its_own(place: Path) -> None:
    users = set()
    for number in range(4):
        folder = place / f"session-{number}"
        folder.mkdir()
        user = rights.private_user(folder, [])
        os.chown(folder, user, user)
        users.add(user)
        assert rights.private_user(folder, []) == user  # it keeps the one that it had
    assert len(users) == 4 and users <= set(rights.USER_IDS)


@root
def test_sessions_that_start_together_get_different_users(place: Path) -> None:
    folders = [place / f"session-{number}" for number in range(100)]
    assert len({rights.private_user(folder, []) for folder in folders}) == 100


@root
def test_no_user_of_its_own_behind_a_closed_folder(place: Path) -> None:
    closed = place / "closed"
    (closed / "in" / "work").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(OSError, match=f"{closed} to be open to other users"):
        rights.private_user(closed / "in" / "work", [])
    with pytest.raises(OSError, match=f"{closed} to be open to other users"):
        rights.private_user(place / "work", [closed / "in"])
    secret = place / "python"
    secret.touch(mode=0o600)
    with pytest.raises(OSError, match=f"{secret} to be open to other users"):
        rights.private_user(place / "work", [secret])


@root
def test_no_user_of_its_own_where_files_keep_their_owner(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:  # as NFS with root_squash does
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(OSError, match="can't be given to another user"):
        rights.private_user(place, [])


def test_without_root_there_is_no_other_user(place: Path) -> None:
    code = (
        "import json; from pathlib import Path; from sandbox.confine import rights\n"
        f"try: rights.private_user(Path({str(place)!r}), [])\n"
        "except OSError as error: print(json.dumps(str(error)))"
    )
    user = elsewhere.USER if os.geteuid() == 0 else None
    assert elsewhere.run(code, user=user) == ("only root can give a worker a user id of its own")
