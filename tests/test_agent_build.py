"""The wiring: a Hearth starts, stops and starts again, and says what it can't do."""

from pathlib import Path

import pytest

from agent.build import Hearth
from agent.events import RunFinished, event_from_dict
from agent.session import Session
from errors import InputError
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from settings import load_settings
from tests.fake_openai import FakeOpenAI, Turn

ANSWER = "```python\nfinal_answer(6 * 7)\n```"


def test_it_starts_stops_and_starts_again(tmp_path: Path) -> None:
    with FakeOpenAI([Turn(ANSWER)]) as server:
        hearth = Hearth(load_settings(tmp_path, data_dir=tmp_path / "d", endpoint_url=server.url))
        for _ in range(2):
            with pytest.raises(InputError, match="not running"):
                hearth.new_session()
            assert not hearth.ready()
            with hearth:
                assert hearth.start().ready(), "a second start does nothing"
                session = hearth.new_session()
                finished = list(session.run("six times seven"))[-1]
                session.close()
            assert isinstance(finished, RunFinished) and finished.answer == "42"
        kept = hearth.history.events(session.name)
        assert [event_from_dict(event) for event in kept][-1] == finished, "kept as it was shown"


def test_a_scripted_model_needs_no_engine(tmp_path: Path) -> None:
    hearth = Hearth(load_settings(tmp_path, data_dir=tmp_path / "d"))
    model = ScriptedModel([f"Easy.\n</think>\n\n{ANSWER}"], FAMILIES["tiny"])
    session = hearth.new_session(model=model, workspace=tmp_path / "w")
    assert list(session.run("six times seven"))[-1].answer == "42"  # type: ignore[union-attr]
    session.close()


@pytest.mark.parametrize("name", ["d", "d/workspaces"])
def test_a_folder_that_can_not_be_written_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("a file in its place")
    hearth = Hearth(load_settings(tmp_path, data_dir=tmp_path / "d", endpoint_url="http://x"))
    with pytest.raises(InputError, match=r"can't be written: (File exists|Not a d)") as caught:
        hearth.new_session(model=ScriptedModel([], FAMILIES["tiny"]))
    assert "HEARTH_DATA_DIR" in caught.value.fix
    if name == "d":
        with pytest.raises(InputError, match="can't be written"):
            hearth.start()


def test_a_full_disk_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.wiring.folders.MIN_FREE_BYTES", 1 << 62)
    with pytest.raises(InputError, match="disk is full"):
        Hearth(load_settings(tmp_path, data_dir=tmp_path / "d")).start()
    assert list((tmp_path / "d").iterdir()) == [], "nothing is left behind"


def broken_off(hearth: Hearth, *replies: str) -> Session:
    """A session whose model has no more to say."""
    session = hearth.new_session(model=ScriptedModel(replies, FAMILIES["tiny"]))
    assert list(session.run("six times seven"))[-1].status == "failed"  # type: ignore[union-attr]
    session.close()
    return session


def test_a_run_that_broke_off_is_listed_and_resumed(tmp_path: Path) -> None:
    hearth = Hearth(load_settings(tmp_path, data_dir=tmp_path / "d"))
    assert hearth.unfinished() == {}
    old = broken_off(hearth, "Hm.\n</think>\n```python\nx = 6\nopen('a.txt', 'w').close()\n```")
    broken_off(hearth)
    later = Hearth(hearth.settings)
    assert list(later.unfinished())[1] == old.name, "the last one first"
    run = later.unfinished()[old.name].run
    last = ScriptedModel([f"Easy.\n</think>\n\n{ANSWER.replace('6', 'x')}"], FAMILIES["tiny"])
    session = later.reopen(run[:6], model=last)
    with pytest.raises(InputError, match="No run"):
        hearth.reopen(run)
    events = list(session.resume())
    session.close()
    assert isinstance(events[-1], RunFinished) and events[-1].answer == "42"
    assert (session.name, session.workspace) == (old.name, old.workspace)
    assert later.history.events(old.name)[-1]["answer"] == "42", "kept where it was begun"
    assert list(later.unfinished()) != [old.name]
    with pytest.raises(InputError, match="No run is 'nothing'") as caught:
        hearth.reopen("nothing")
    assert next(iter(later.unfinished().values())).run in caught.value.fix
    with pytest.raises(InputError, match="No run"):
        later.reopen("")
