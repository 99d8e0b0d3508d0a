"""The same checks with fewer rights than this process has, each place in a process of its own.

user            another user, no capability, no_new_privs
root            this user, with a Python that every user may run: the tiers that give code a
                user id of its own need that
container       what Docker gives a container's root: its seccomp profile, 14 capabilities;
                and user 1000 with the same profile, no capability and no_new_privs, as hosted
                Spaces run. Both also without Landlock, as on Colab.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.confine import TIERS
from tests import executor_conformance
from tests.containers import bundle
from tests.containers.room import ROOT, UID, Room, reachable, room, without_rights
from tests.executor_checks import confinement

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Linux only"),
    pytest.mark.timeout(900),
]
_SECONDS = 800
_FILE, _SUITE = "tests/test_sandbox_confinement.py", "tests/test_sandbox_conformance.py"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are closed."""
    made = Path(tempfile.mkdtemp(prefix="hearth-room-"))
    made.chmod(0o755)
    (made / "results").mkdir()
    (made / "results").chmod(0o777)
    yield made
    shutil.rmtree(made, ignore_errors=True)


Run = Callable[[list[str]], "subprocess.CompletedProcess[str]"]


def go_through(
    run: Run,
    python: Path,
    tiers: list[str],
    folder: Path,
    *,
    whole: str = "",
    suite: str = "",
    results: str = "",
) -> None:
    """The first tier is what is chosen there, and all of them pass.

    whole: the tier that goes through every item, where the place makes a difference to the app's
    side too; the others go through what the kernel refuses. suite: the tier that goes through
    the executor's suite too.
    results: the folder `results` as it is called there.
    """
    status = run([str(python), "-B", "-m", "sandbox", "status", "--json"])
    assert status.returncode == 0, status.stdout + status.stderr
    assert json.loads(status.stdout)["tier"] == tiers[0], status.stdout
    asked = [
        f"{_FILE}::test_confined[{tier}-{confinement.name(check)}]"
        for tier in tiers
        for check in confinement.CHECKS
        if tier == whole or confinement.item(check) in confinement.BY_THE_KERNEL
    ]
    if suite:
        asked += [
            f"{_SUITE}::test_conforms[{suite}-{c.__name__}]" for c in executor_conformance.CHECKS
        ]
    report = f"--junit-xml={results or folder / 'results'}/out.xml"
    options = ["-q", "-p", "no:cacheprovider", "--tb=short", "--no-header", report]
    done = run([str(python), "-B", "-m", "pytest", *options, *asked])
    assert (folder / "results" / "out.xml").exists(), (done.stdout + done.stderr)[-3000:]
    verdict(folder / "results" / "out.xml", len(asked))


def verdict(report: Path, asked: int) -> None:
    """Every check was made, and passed."""
    passed, wrong = 0, []
    for case in ET.parse(report).getroot().iter("testcase"):
        problem = next((each for each in case if each.tag in ("failure", "error", "skipped")), None)
        if problem is None:
            passed += 1
        else:
            wrong.append(f"{case.attrib['name']}: {problem.tag} {(problem.text or '')[-700:]}")
    assert not wrong, f"{len(wrong)} of {passed + len(wrong)}:\n" + "\n".join(wrong)
    assert passed == asked


def possible(*wanted: str, namespaces: bool = False) -> list[str]:
    """Of the tiers wanted those that this kernel has, found out without the sandbox's own code."""
    libc = ctypes.CDLL(None, use_errno=True)
    has = {
        "landlock": libc.syscall(444, None, 0, 1) >= 1,  # landlock_create_ruleset: the version
        "broker": tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (5, 14),
        "namespaces": namespaces,
    }
    return [tier for tier in TIERS if tier in wanted and has.get(tier, True)]


def may_make_namespaces() -> bool:
    """Whether a user without rights may."""
    asked = ["unshare", "--user", "--map-current-user", "--mount", "--pid", "--fork", "true"]
    try:
        return without_rights(asked, cwd=Path("/"), variables={}, seconds=20).returncode == 0
    except OSError:
        return False


def variables(folder: str, place: Room) -> dict[str, str]:
    return {"HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", **place.variables}


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_as_a_user_without_rights(folder: Path) -> None:
    place = room(folder)
    home = folder / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, UID, UID)
    known = variables(str(home), place)
    tiers = possible(
        "landlock", "broker", "namespaces", "restricted", namespaces=may_make_namespaces()
    )

    def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
        return without_rights(command, cwd=place.checkout, variables=known, seconds=_SECONDS)

    go_through(run, place.python, tiers, folder, whole=tiers[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs an administrator's rights")
def test_as_root_with_user_ids_to_give_away(folder: Path) -> None:
    place = room(folder)
    home = folder / "home"
    home.mkdir(mode=0o755)
    known = {"PATH": os.environ["PATH"], **variables(str(home), place)}
    tiers = possible("landlock", "broker", "namespaces", "uid", namespaces=may_make_namespaces())

    def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=place.checkout,
            env=known,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )

    go_through(run, place.python, tiers, folder, whole="uid", suite="uid")


@pytest.mark.parametrize(
    ("uid", "landlock", "wanted"),
    [
        (0, True, ["landlock", "uid", "restricted"]),
        (UID, True, ["landlock", "restricted"]),
        (0, False, ["broker"]),
        (UID, False, ["broker"]),
    ],
    ids=["root", "user", "root-without-landlock", "user-without-landlock"],
)
def test_in_a_container(uid: int, landlock: bool, wanted: list[str], folder: Path) -> None:
    reason = bundle.why_not()
    tiers = possible(*wanted)
    if reason or tiers != wanted:
        pytest.skip(reason or f"this kernel has {tiers} of {wanted}")
    # A container has its files where everybody may read them.
    known = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT]

    def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
        return bundle.run(
            folder / f"bundle-{uuid.uuid4().hex[:8]}",
            command,
            uid=uid,
            readable=known,
            variables={"TMPDIR": "/tmp", "LANG": "C.UTF-8"},
            cwd=str(ROOT),
            results=folder / "results",
            seconds=_SECONDS,
            landlock=landlock,
        )

    suite = "" if landlock or uid == 0 else tiers[0]
    go_through(
        run, Path(sys.executable), tiers, folder, whole=suite, suite=suite, results="/results"
    )


def test_a_place_that_others_can_not_enter_is_told_from_one_they_can(folder: Path) -> None:
    assert reachable(folder)
    (folder / "closed").mkdir(mode=0o700)
    (folder / "closed" / "inside").mkdir(mode=0o755)
    assert not reachable(folder / "closed" / "inside") and not reachable(folder / "closed")
