"""Set-up and the Makefile, without a network: pip is a list of what it was asked for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import setup

ROOT = Path(__file__).resolve().parent.parent
MINE = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Machine:
    """A checkout in a folder, with a pip that notes its calls and fails where it is told to."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.patch = root, patch
        self.calls: list[tuple[str, ...]] = []
        self.made = 0
        self.broken = ""
        (root / "requirements.txt").write_text("torch==2.13.0\nhttpx==0.28.1\n")
        (root / "requirements-dev.txt").write_text("pytest==9.2.0\n")
        venv = root / ".venv"
        for name, value in (
            ("ROOT", root),
            ("VENV", venv),
            ("STAMP", venv / ".hearth-setup.json"),
            ("pip", self.pip),
            ("create_venv", self.create_venv),
            ("has_nvidia_gpu", lambda: False),
            ("brings_cuda", lambda version: True),
            ("install_system_packages", lambda: None),
            ("install_chromium", lambda: None),
            ("install_engines", lambda: None),
        ):
            patch.setattr(setup, name, value)
        patch.setattr(setup.platform, "system", lambda: "Linux")

    def pip(self, *arguments: str, quiet: bool = False) -> bool:
        self.calls.append(arguments)
        if self.broken and self.broken in " ".join(arguments):
            if quiet:
                return False
            raise setup.SetupError("pip could not install the packages.")
        return True

    def create_venv(self) -> None:
        self.made += 1
        shutil.rmtree(setup.VENV, ignore_errors=True)
        (setup.VENV / "bin").mkdir(parents=True)
        (setup.VENV / "bin" / "python").symlink_to(sys.executable)

    def run(self, *arguments: str) -> int:
        self.calls.clear()
        self.patch.setattr(sys, "argv", ["setup.py", *arguments])
        return setup.main()

    def installed(self) -> list[str]:
        return [Path(call[-1]).name for call in self.calls if "-r" in call]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_second_time_changes_nothing(machine: Machine) -> None:
    assert machine.run() == 0 and machine.installed() == ["requirements.txt"]
    assert machine.run() == 0 and machine.calls == []
    assert machine.run("--test") == 0 and machine.installed() == ["requirements-dev.txt"]
    assert machine.run("--test") == machine.run() == 0 and machine.calls == []
    (machine.root / "requirements.txt").write_text("torch==2.13.0\nhttpx==0.29\n")
    assert machine.run() == 0 and machine.installed() == ["requirements.txt"]
    assert machine.made == 1


def test_what_was_interrupted_begins_again(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.broken = "requirements.txt"
    assert machine.run() == 1
    assert "Set-up failed. pip could not" in capsys.readouterr().err
    machine.broken = ""
    assert machine.run() == 0 and machine.made == 2


def test_a_venv_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    machine.run()
    (setup.VENV / "bin" / "python").unlink()
    assert machine.run() == 0 and machine.made == 2


def test_a_venv_that_works_is_kept_unless_another_python_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.run()
    monkeypatch.setattr(setup, "present_python", lambda: "3.99")
    stamp = setup.STAMP.read_text()
    assert f'"{MINE}"' in stamp
    setup.STAMP.write_text(stamp.replace(f'"{MINE}"', '"3.99"'))
    assert machine.run() == 0 and machine.made == 1
    assert machine.run("--this-python") == 0 and machine.made == 2
    assert f'"{MINE}"' in setup.STAMP.read_text()


def test_torch_without_cuda_where_there_is_no_gpu(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.run()
    assert machine.calls[0][:2] == ("install", "torch==2.13.0+cpu")
    (setup.VENV / "lib/python3.11/site-packages/torch-2.13.0+cpu.dist-info").mkdir(parents=True)
    machine.run("--test")
    assert machine.installed() == ["requirements-dev.txt"] and len(machine.calls) == 1, (
        "it is there"
    )
    for name, value in (("has_nvidia_gpu", True), ("brings_cuda", False)):
        with monkeypatch.context() as patch:
            patch.setattr(setup, name, lambda *_, value=value: value)
            setup.STAMP.unlink()
            machine.run()
            assert len(machine.calls) == 1, "requirements.txt brings the right one"
    machine.broken = "+cpu"
    setup.STAMP.unlink()
    assert machine.run() == 0 and "no CPU build can be had" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("there", "installed"),
    [
        ("chromium runc bwrap setpriv", []),
        ("chromium setpriv", ["runc", "bubblewrap"]),
        ("", ["chromium", "fonts-dejavu-core", "runc", "bubblewrap", "util-linux"]),
    ],
)
def test_only_the_programs_that_are_missing_are_installed(
    there: str, installed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = {*there.split(), "apt-get"}
    asked: list[list[str]] = []
    monkeypatch.setattr(setup.shutil, "which", lambda name, **_: name if name in known else None)
    monkeypatch.setattr(setup.platform, "system", lambda: "Linux")
    monkeypatch.setattr(setup.os, "geteuid", lambda: 0)
    monkeypatch.setattr(setup, "ASKED_FOR", tmp_path / "asked")
    monkeypatch.setattr(setup.subprocess, "run", lambda command, **_: asked.append(command))
    setup.install_system_packages()
    assert [command[-1] for command in asked if "install" in command] == installed
    assert not installed or asked[0] == ["apt-get", "update"]
    asked.clear()
    setup.install_system_packages()
    assert asked == [], "what could not be had is not asked for each time"
    (tmp_path / "asked").unlink(missing_ok=True)
    monkeypatch.setattr(setup.platform, "system", lambda: "Darwin")
    setup.install_system_packages()
    assert asked == []


def test_a_mac_is_not_asked_for_cuda(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.platform, "system", lambda: "Darwin")
    machine.run()
    assert machine.installed() == ["requirements.txt"] and len(machine.calls) == 1


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile with a set-up that has nothing to do and a Python that shows what it gets."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup.py").write_text("")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\ncat\n')
    python.chmod(0o755)
    return tmp_path


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "-s", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    "task",
    [
        "What is 17% of 2480, plus 3 squared?",
        'it\'s "quoted" `so` \\ and # so',
        "5 $ and $HOME, $(HOME) and $$",
        "unbalanced $(3 + 4 and ${",
        "$(shell touch pwned)",
        "two\nlines, 日本語",
    ],
)
def test_any_task_reaches_the_agent_as_it_is(checkout: Path, task: str) -> None:
    done = make(checkout, "ask", f"TASK={task}", 'ARGS=--file "a b.csv"')
    assert done.stdout.split("\n", 1) == ["-m agent --file a b.csv", task], done.stderr
    assert not (checkout / "pwned").exists()


@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_a_python_that_does_not_fit_is_said(checkout: Path, python: str) -> None:
    done = make(checkout, "run", f"PYTHON={python}")
    assert done.returncode != 0 and "Hearth needs Python 3.11" in done.stdout
