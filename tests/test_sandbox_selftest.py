"""The self-test: it passes where a tier holds, and rejects one of which a part is missing."""

import functools
import json
import os
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from sandbox import probe, selftest
from sandbox.confine import TIERS
from settings import Settings
from tests import elsewhere

linux = pytest.mark.skipif(sys.platform != "linux", reason="a tier of Linux")
ROOT = Path(__file__).resolve().parent.parent

# Runs the self-test of a tier whose workers lack a part; prints what the probe found.
FIND = """
import json
from sandbox import selftest, spawn
spawn._BOOT = spawn._BOOT.replace("from sandbox", {patch!r} + "; from sandbox", 1)
found = []
run = selftest._run
selftest._run = lambda *given: found.append(run(*given)) or found[-1]
reason = selftest._test({tier!r}, {own_user!r})
print(json.dumps([reason, found]))
"""
NO_FILTER = "import sandbox.confine.seccomp as s; s.install = lambda **o: None"
NO_LANDLOCK = "import sandbox.confine.landlock as l; l.restrict = lambda *o: 9"
OLD_LANDLOCK = "import sandbox.confine.landlock as l; l.abi = lambda: {abi}"

# What no process without rights may do, confined or not.
NEVER = {"raises_limits", "changes_user", "leaves_group", "holds_descriptors"}
FILES = {"reads_secret", "reads_open_file", "lists_folder", "lists_parent", "lists_root"}
FILES |= {"writes_outside", "writes_open_folder", "truncates"}


def found(patch: str, tier: str = "landlock", own_user: bool = False, **where: Any) -> set[str]:
    """What went wrong in the worker, by name; if anything did, the tier must be rejected."""
    code = FIND.format(patch=patch, tier=tier, own_user=own_user)
    reason, runs = elsewhere.run(code, **where)
    assert runs, reason
    assert bool(runs[0]) <= bool(reason), "something went wrong and nobody said so"
    return set(runs[0])


def test_the_strongest_tier_that_passes_is_chosen() -> None:
    verdict = selftest.choose()
    *others, (name, passed, reason) = verdict.tried
    assert (name, passed, reason) == (verdict.tier, True, "")
    assert all(not ok and why for _, ok, why in others)
    assert [tier for tier, _, _ in verdict.tried] == list(TIERS)[: len(verdict.tried)]
    assert verdict.tier != "unconfined"
    assert verdict.covers == TIERS[verdict.tier].covers
    assert selftest.choose() is verdict


def test_a_tier_that_is_wanted_is_tested_too() -> None:
    impossible = "landlock" if sys.platform == "darwin" else "seatbelt"
    with pytest.raises(selftest.NoTier, match="needs") as caught:
        selftest.choose(impossible)
    assert caught.value.tried == ((impossible, False, caught.value.tried[0][2]),)
    assert selftest.choose("unconfined").tier == "unconfined"
    with pytest.raises(selftest.SandboxError, match="Unknown tier of confinement 'jail'"):
        selftest.choose("jail")


@linux
@pytest.mark.parametrize("tier", ["landlock", "broker", "namespaces", "bubblewrap", "uid"])
@pytest.mark.parametrize("who", ["as root with its user", "as root", "without rights"])
def test_a_tier_holds_or_says_why_not(tier: str, who: str) -> None:
    """On a machine with all of them each passes; a reason here must be about the machine."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    where: dict[str, Any] = {"python_open": True}
    if who == "without rights":
        where = {"user": elsewhere.USER}
    if tier == "uid" and who != "as root with its user":
        pytest.skip("the tier is for root")
    own_user = who == "as root with its user"
    if tier == "bubblewrap" and own_user:
        pytest.skip("the tier keeps the app's user")
    impossible = f"from sandbox import selftest; import json; t = {tier!r}\n"
    impossible += "print(json.dumps(selftest.impossible(t) or "
    impossible += f"selftest._test(t, {own_user})))"
    reason = elsewhere.run(impossible, **where)
    if reason and ("Landlock" in reason or "not installed" in reason):
        pytest.skip(reason)
    assert reason == ""


@linux
@pytest.mark.parametrize("tier", ["landlock", "namespaces", "bubblewrap"])
def test_a_linked_environment_takes_no_tier_away(tier: str, tmp_path: Path) -> None:
    """People link one .venv from several checkouts."""
    (tmp_path / "linked").symlink_to(sys.prefix)
    code = "from sandbox import selftest; import sys; t = sys.argv[1]\n"
    code += "print(selftest.impossible(t) or selftest._test(t, False))"
    reasons = [
        subprocess.run(
            [python, "-B", "-c", code, tier], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for python in (tmp_path / "linked/bin/python", sys.executable)
    ]
    assert reasons[0] == reasons[1]


@linux
@pytest.mark.parametrize("abi", range(1, 8))
def test_landlock_holds_at_every_version(abi: int) -> None:
    """A newer kernel takes the rules of an older one; the filter has to make up for the rest."""
    from sandbox.confine import landlock

    if landlock.abi() < abi:
        pytest.skip(f"this kernel has Landlock {landlock.abi()}")
    assert found(OLD_LANDLOCK.format(abi=abi)) == set()


@linux
def test_landlock_alone_is_rejected() -> None:
    wrong = found(NO_FILTER)
    assert {"sends_datagram", "forks", "executes", "traces", "calls_kernel"} <= wrong
    assert wrong.isdisjoint(FILES)


@linux
def test_the_filter_alone_is_rejected() -> None:
    wrong = found(NO_LANDLOCK)
    assert wrong == FILES


@linux
def test_every_attempt_works_without_confinement() -> None:
    """Each would be seen: as the app's own user, and in a process that nothing confines."""
    patch = f"{NO_FILTER}; {NO_LANDLOCK}"
    everything = {attempt.__name__ for attempt in probe.FORBIDDEN} - NEVER
    assert found(patch, user=elsewhere.USER) == everything


@linux
def test_a_user_of_its_own_alone_is_rejected() -> None:
    wrong = found(NO_FILTER, tier="uid", own_user=True, python_open=True)
    assert {"connects", "sends_datagram", "forks", "calls_kernel"} <= wrong
    assert wrong.isdisjoint({"reads_secret", "lists_folder", "writes_outside", "reads_memory"})


def test_what_must_work_and_fails_is_found(tmp_path: Path) -> None:
    """Here because the limits leave no room; the rest of the confinement is as always."""
    with selftest._Bait(str(tmp_path)) as bait:
        c = selftest.choose().confinement(bait.workspace, file_bytes=0)
        failed = selftest._run(c, bait.plan(()))
    assert failed.keys() == {"keeps_files", "uses_temporary_files"}
    assert "File too large" in failed["keeps_files"]


def test_the_restricted_interpreter_is_tested_in_its_own_language() -> None:
    if selftest.impossible("restricted"):
        pytest.skip("pydantic-monty is not installed")
    verdict = selftest.choose("restricted")
    assert verdict.tried == (("restricted", True, ""),) and "in vain" in verdict.tested


def test_a_restricted_interpreter_that_reads_files_is_rejected(tmp_path: Path) -> None:
    """Shown with the full Python that it must not be."""
    with selftest._Bait(str(tmp_path)) as bait:
        plan = bait.plan(())
        step = functools.partial(_run_here, {})
        wrong = selftest._probe_restricted(step, plan)
        assert wrong.keys() == selftest._NOT_IN_LANGUAGE.keys()
        assert "a file was made in a closed folder" in list(bait.traces())
    assert selftest._probe_restricted(lambda code: (False, "no"), plan) == {
        "computes": "computes 'no'"
    }


def _run_here(names: dict[str, Any], code: str) -> tuple[bool, Any]:
    *lines, last = code.splitlines()
    try:
        exec("\n".join(lines), names)
        return True, eval(last, names) if "import" not in last else None
    except Exception as error:  # noqa: BLE001 - as a worker does
        return False, str(error)


def test_what_reaches_the_app_is_seen(tmp_path: Path) -> None:
    """Whatever the probe says."""
    import socket

    with selftest._Bait(str(tmp_path)) as bait:
        plan = bait.plan(())
        assert list(bait.traces()) == []
        socket.create_connection(("127.0.0.1", plan["tcp_port"])).close()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
            unix.sendto(b"x", plan["unix_datagrams"])
        Path(plan["secret_file"]).chmod(0o644)
        Path(plan["closed_folder"], "more").touch()
        assert list(bait.traces()) == [
            "something came to the tcp socket",
            "something came to the datagram socket",
            "the file secret was changed",
            "a file was made in a closed folder",
        ]


def test_without_landlock_the_broker_is_chosen() -> None:
    code = """
import json
from sandbox.confine import landlock
landlock.abi = lambda: 0
from sandbox import selftest
verdict = selftest.choose()
print(json.dumps([verdict.tier, [[tier, passed] for tier, passed, _ in verdict.tried]]))
"""
    if sys.platform != "linux" or selftest.try_tier("broker").tried[0][2]:
        pytest.skip("there is no broker here")
    assert elsewhere.run(code) == ["broker", [["landlock", False], ["broker", True]]]


def test_when_nothing_holds_nothing_is_chosen() -> None:
    code = """
import json
from sandbox import selftest
selftest.impossible = lambda tier: f"no {tier} today"
try:
    selftest.choose()
except selftest.NoTier as error:
    print(json.dumps([error.message, len(error.tried)]))
"""
    message, tried = elsewhere.run(code)
    assert tried == len(TIERS) - 1 and "unconfined:" not in message
    assert "landlock: no landlock today; broker: no broker today" in message


def test_the_setting_knows_the_tiers() -> None:
    allowed = typing.get_args(Settings.model_fields["sandbox"].annotation)
    assert allowed == ("auto", *TIERS)


def status(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sandbox", "status", *options]
    return subprocess.run(command, capture_output=True, cwd=ROOT, text=True)


def test_status_says_how_it_was_tested_and_what_is_open() -> None:
    done = status()
    verdict = selftest.choose()
    assert done.returncode == 0 and done.stderr == ""
    assert f"tier: {verdict.tier} " in done.stdout and "self-test: " in done.stdout
    for line in (*verdict.covers, *verdict.leaves_open):
        assert line in done.stdout
    assert "NOT covered" in done.stdout and "attacker" not in done.stdout


def test_status_for_programs() -> None:
    told = json.loads(status("--json").stdout)
    assert told["tier"] == selftest.choose().tier and told["isolates"] is True
    assert told["tried"][-1] == {"tier": told["tier"], "passed": True, "reason": ""}
    assert told["covers"] and told["leaves_open"]


def test_status_of_one_tier() -> None:
    done = status("--tier", "unconfined")
    assert done.returncode == 0 and "guards against mistakes, not against" in done.stdout
    impossible = "landlock" if sys.platform == "darwin" else "seatbelt"
    done = status("--tier", impossible)
    assert done.returncode == 1 and "can't be confined here" in done.stdout
    told = status("--json", "--tier", impossible)
    assert told.returncode == 1 and json.loads(told.stdout)["tried"][0]["passed"] is False


def test_a_test_that_ran_out_of_time_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "_verdicts", {})
    monkeypatch.setattr(selftest, "_passed", set())
    monkeypatch.setattr(selftest, "impossible", lambda tier: "")
    monkeypatch.setattr(selftest, "_own_user_possible", lambda tier: False)
    reasons = {"landlock": "its worker gave no result within 20 s"}
    monkeypatch.setattr(selftest, "_attempt", lambda tier, own: reasons.get(tier, ""))
    assert selftest.choose().tier == list(selftest.TIERS)[1]
    reasons.clear()
    assert selftest.choose().tier == next(iter(selftest.TIERS))
    reasons["landlock"] = "reads_secret"
    assert selftest.choose().tier == next(iter(selftest.TIERS))  # a pass is remembered
