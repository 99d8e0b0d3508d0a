"""Files handed in with a task: odd names, links in the way, nothing half-made."""

import os
from pathlib import Path

import pytest

from agent.attachments import attach
from errors import InputError


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "w").mkdir()
    return tmp_path / "w"


def there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def made(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_namesakes_get_numbers(tmp_path: Path, workspace: Path) -> None:
    files = [made(tmp_path / folder / name) for folder, name in (("a", "x.csv"), ("b", "X.csv"))]
    assert attach(files, workspace) == ["x.csv", "X-2.csv"], "for disks that know no case"
    (workspace / "y.csv").mkdir()
    assert attach([made(tmp_path / "y.csv")], workspace) == ["y-2.csv"]
    assert there(workspace) == ["X-2.csv", "x.csv", "y-2.csv", "y.csv"]


def test_a_later_file_replaces_an_earlier_one(tmp_path: Path, workspace: Path) -> None:
    for text in ("old", "new"):
        assert attach([made(tmp_path / "x.csv", text)], workspace) == ["x.csv"]
    assert (workspace / "x.csv").read_text() == "new"
    assert attach([workspace / "x.csv"], workspace) == ["x.csv"], "it is there already"
    assert (workspace / "x.csv").read_text() == "new"


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path, workspace: Path) -> None:
    outside = made(tmp_path / "mine.txt", "mine")
    (workspace / "x.csv").symlink_to(outside)  # as the agent's code could have made it
    attach([made(tmp_path / "x.csv", "data")], workspace)
    assert outside.read_text() == "mine"
    assert (workspace / "x.csv").read_text() == "data" and not (workspace / "x.csv").is_symlink()


def test_a_name_that_would_break_the_prompt_is_mended(tmp_path: Path, workspace: Path) -> None:
    odd = made(tmp_path / "a\nFiles: b\udcff\u202e.csv")
    assert attach([odd], workspace) == ["a_Files: b__.csv"]


@pytest.mark.parametrize("bad", ["nothing.csv", "folder", "pipe"])
def test_all_or_none(tmp_path: Path, workspace: Path, bad: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it: to read it would wait for ever
    with pytest.raises(InputError, match=f"{bad} can't be read"):
        attach([made(tmp_path / "good.csv"), tmp_path / bad], workspace)
    assert there(workspace) == []


def test_a_workspace_that_is_gone_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file") as caught:
        attach([made(tmp_path / "good.csv")], tmp_path / "gone")
    assert "HEARTH_DATA_DIR" in caught.value.fix
