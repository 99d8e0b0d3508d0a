"""Packages on approval and the sandbox's tier, from the code that asks to the user who sees it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.build import Hearth
from agent.events import (
    Event,
    PackageInstall,
    PackageWanted,
    RunStarted,
    StepFinished,
    event_from_dict,
    event_to_dict,
)
from agent.packages import PackageDesk, pending
from agent.running import Runner
from errors import PackageError, SandboxError
from sandbox.confine import TIERS
from sandbox.executor import SandboxExecutor
from serving.scripted import ScriptedModel
from settings import Settings, load_settings
from tests.command_line import on_terminal, run
from tests.fake_openai import FakeOpenAI, Turn
from tests.wheels import make_wheel, use_folder

TRIES = "```python\nimport seaborn\nfinal_answer(seaborn.PALETTE)\n```"
GIVES_UP = "```python\nfinal_answer('without it')\n```"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = use_folder(tmp_path / "index", monkeypatch)
    make_wheel(folder, "seaborn", {"seaborn/__init__.py": "PALETTE = 'deep'\n"}, requires="numpy")
    return folder


class FakeInstaller:
    """Offers what it is told to, and installs or fails."""

    def __init__(self, what: str, fault: str = "") -> None:
        self.what, self.fault = what, fault
        self.installed: list[str] = []

    def offer(self, module: str) -> tuple[str, str]:
        return (self.what, f"the-{module}") if self.what else ("", "")

    def install(
        self, name: str, *, on_progress: Callable[[str], None], stopped: Callable[[], bool]
    ) -> str:
        on_progress(f"Looking for {name} …")
        if self.fault:
            raise PackageError(self.fault)
        self.installed.append(name)
        return f"{name} 1.0 (0.1 MB)"


def desk(what: str, fault: str = "") -> tuple[PackageDesk, FakeInstaller, list[Event]]:
    installer, events = FakeInstaller(what, fault), []
    made = PackageDesk(installer)
    made.attach(events.append, lambda: 3, lambda: False)
    return made, installer, events


def test_the_user_is_asked_once() -> None:
    made, installer, events = desk("ask")
    said = "The user is asked whether the-x may be installed. Go on without it."
    assert [made.missing("x"), made.missing("x")] == [said, said]
    assert events == [PackageWanted(3, "x", "the-x")] and installer.installed == []
    made.install("the-x")
    assert [e.status for e in events[1:]] == ["progress", "installed"]  # type: ignore[union-attr]
    assert desk("")[0].missing("x") == ""
    assert [event_from_dict(event_to_dict(event)) for event in events] == events


def test_what_is_allowed_beforehand_is_installed_at_once() -> None:
    made, installer, _ = desk("install")
    assert made.missing("x") == "the-x was installed just now. Run the code again."
    assert installer.installed == ["the-x"]
    made, _, events = desk("install", fault="the disk is full.")
    assert made.missing("x") == "the disk is full. Go on without it."
    assert events[-1] == PackageInstall("the-x", "failed", "the disk is full.")


def test_what_is_still_wanted() -> None:
    wanted = [PackageWanted(1, "a", "a"), PackageWanted(1, "b", "b")]
    assert pending(wanted) == ["a", "b"]
    on_its_way = [*wanted, PackageInstall("a", "progress", "…")]
    assert pending(on_its_way) == ["b"]
    assert pending([*on_its_way, PackageInstall("a", "failed", "…")]) == ["a", "b"]
    done = [*on_its_way, PackageInstall("a", "installed", "…")]
    assert pending([*done, PackageInstall("other", "failed", "…")]) == ["b"]


def hearth(tmp_path: Path, **given: Any) -> Hearth:
    return Hearth(load_settings(tmp_path, data_dir=tmp_path / "d", **given))


def test_a_click_and_the_next_run_has_it(tmp_path: Path, index: Path) -> None:
    made = hearth(tmp_path)
    model = ScriptedModel([TRIES, GIVES_UP, TRIES])
    session = made.new_session(model=model)
    events = list(session.run("plot it"))
    assert events[0].sandbox == made.verdict.tier != "unconfined"  # type: ignore[union-attr]
    assert PackageWanted(1, "seaborn", "seaborn") in events
    observation = next(e.observation for e in events if isinstance(e, StepFinished))
    assert "Instead: matplotlib draws the same plots." in observation
    assert "The user is asked whether seaborn may be installed" in observation
    assert "The user is asked" in model.history[1][-1]["content"], "the model reads it"
    assert pending(session.events) == ["seaborn"] and session.packages is not None
    session.packages.install("seaborn")
    assert pending(session.events) == []
    assert list(session.run("again"))[-1].answer == "deep"  # type: ignore[union-attr]
    folder = tmp_path / "d" / "packages" / session.name
    assert (folder / "seaborn").is_dir()
    session.close()
    assert not folder.exists()


def test_the_code_can_not_change_what_is_installed(tmp_path: Path, index: Path) -> None:
    writes = (
        "```python\nimport seaborn, pathlib\nplace = pathlib.Path(seaborn.__file__)\n"
        "try:\n    place.write_text('1')\n    said = 'written'\n"
        "except OSError:\n    said = 'kept'\n"
        "final_answer(said)\n```"
    )
    session = hearth(tmp_path).new_session(model=ScriptedModel([writes]))
    assert session.packages is not None
    session.packages.install("seaborn")
    assert list(session.run("go"))[-1].answer == "kept"  # type: ignore[union-attr]
    session.close()


def test_allowed_by_name_beforehand(tmp_path: Path, index: Path) -> None:
    model = ScriptedModel([TRIES, TRIES])
    session = hearth(tmp_path, sandbox_install="polars, seaborn").new_session(model=model)
    events = list(session.run("plot it"))
    assert "seaborn was installed just now. Run the code again." in str(model.history[1])
    assert events[-1].answer == "deep"  # type: ignore[union-attr]
    assert not [e for e in events if isinstance(e, PackageWanted)]
    session.close()


def test_never(tmp_path: Path) -> None:
    model = ScriptedModel([TRIES, GIVES_UP])
    session = hearth(tmp_path, sandbox_install="never").new_session(model=model)
    events = list(session.run("plot it"))
    assert not [e for e in events if isinstance(e, PackageWanted)]
    assert "Instead: matplotlib" in str(model.history[1]) and "asked" not in str(model.history[1])
    session.close()


def test_imports_can_be_narrowed(tmp_path: Path) -> None:
    model = ScriptedModel(["```python\nimport sympy\n```", GIVES_UP])
    session = hearth(tmp_path, sandbox_imports="numpy, pandas").new_session(model=model)
    list(session.run("go"))
    assert "sympy may not be imported here. Here are: numpy, pandas and" in str(model.history[1])
    session.close()


def test_every_tier_can_be_set_and_no_other(tmp_path: Path) -> None:
    names = Settings.model_fields["sandbox"].annotation.__args__  # type: ignore[union-attr]
    assert names == ("auto", *TIERS)
    made = hearth(tmp_path, sandbox="unconfined")
    assert made.verdict.tier == "unconfined"
    session = made.new_session(model=ScriptedModel([GIVES_UP]))
    started = next(iter(session.run("go")))
    assert isinstance(started, RunStarted) and started.sandbox == "unconfined"
    session.close()
    impossible = "landlock" if sys.platform == "darwin" else "seatbelt"
    with FakeOpenAI([]) as server:
        refused = hearth(tmp_path, sandbox=impossible, endpoint_url=server.url)
        with pytest.raises(SandboxError, match="can't be confined here"):
            refused.start()
        assert not refused.ready()


def test_the_command_line_says_the_tier(tmp_path: Path) -> None:
    with FakeOpenAI([Turn(GIVES_UP)]) as server:
        code, out, err = run(["go"], tmp_path, server.url)
        assert code == 0 and "The sandbox is off" not in err
        assert any(f", sandbox {tier}" in out for tier in TIERS if tier != "unconfined")
        code, out, err = run(["go", "--sandbox", "unconfined"], tmp_path, server.url)
    assert code == 0 and ", sandbox unconfined" in out
    assert "The sandbox is off: the agent's code can read and change all of your files" in err


def test_the_command_line_installs_beforehand(tmp_path: Path, index: Path) -> None:
    with FakeOpenAI([Turn(TRIES)]) as server:
        code, out, err = run(["go", "--allow-package", "seaborn"], tmp_path, server.url)
        assert code == 0 and "Answer: deep" in out
        assert "Installed: seaborn 1.0" in err
        code, out, err = run(["go", "--allow-package", "no-such"], tmp_path, server.url)
    assert code == 2 and out == "" and "no-such could not be installed" in err


def test_the_command_line_says_how_to_allow_it(tmp_path: Path) -> None:
    with FakeOpenAI([Turn(TRIES), Turn(GIVES_UP)]) as server:
        code, out, err = run(["go"], tmp_path, server.url)
    assert code == 0 and "The code asks for seaborn, which isn't installed." in out
    assert "--allow-package seaborn" in err


def test_on_a_terminal_it_asks_and_runs_again(tmp_path: Path, index: Path) -> None:
    with FakeOpenAI([Turn(TRIES), Turn(GIVES_UP), Turn(TRIES)]) as server:
        code, out = on_terminal(["go"], tmp_path, server.url, ("run the task again?", "y"))
    assert code == 0
    assert "Answer: without it" in out and "Answer: deep" in out


def test_a_step_that_draws_can_be_repeated(tmp_path: Path) -> None:
    executor = SandboxExecutor(tmp_path / "w")
    runner = Runner(executor, tmp_path / "w", most_chars=2000)
    runner.send_tools({})
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])"
    ran = runner.run(1, code)
    assert "Saved: figure-1.png" in ran.observation
    assert ran.checkpoint is not None and ran.checkpoint.replayable
    runner.forget()
    assert runner.repeat(code, ran.checkpoint), "though the second picture has another name"
    executor.cleanup()
