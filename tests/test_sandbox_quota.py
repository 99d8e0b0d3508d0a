"""The workspace's quota: what breaks it is found and removed, what is the user's stays."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import errors
from agent.session import Session
from sandbox import files, spawn, watch
from sandbox.cell import Cell
from sandbox.executor import SandboxExecutor
from sandbox.files import Quota
from sandbox.workspace import Workspace
from serving.families import FAMILIES
from serving.scripted import ScriptedModel

SMALL = Quota(max_bytes=20_000_000, max_files=300, max_depth=10)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., SandboxExecutor]]:
    made: list[SandboxExecutor] = []

    def build(**options: Any) -> SandboxExecutor:
        options = {"quota": SMALL, "confine": "unconfined", **options}
        executor = SandboxExecutor(tmp_path / f"workspace-{len(made)}", **options)
        executor.workspace.mkdir()
        made.append(executor)
        return executor

    yield build
    for executor in made:
        executor.cleanup()


def _limit(executor: SandboxExecutor, code: str) -> str:
    with pytest.raises(errors.CodeError) as caught:
        executor(code)
    assert caught.value.kind == "limit", str(caught.value)
    return str(caught.value)


def _names(executor: SandboxExecutor) -> list[str]:
    return sorted(path.name for path in executor.workspace.iterdir())


def test_a_full_workspace_is_stopped_and_brought_back(make: Any) -> None:
    executor = make()
    (executor.workspace / "sales.csv").write_text("a,b\n")
    executor("kept = 1\nopen('mine.txt', 'w').write('x')")
    code = "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'wb').write(bytes(1_000_000))"
    assert _limit(executor, code).startswith(
        "The code left more than 20 MB in the workspace and was stopped at line "
    )
    assert _names(executor) == [".sandbox", "mine.txt", "sales.csv"]
    assert executor("kept, open('sales.csv').read()").output == (1, "a,b\n")


def test_a_step_that_was_faster_than_the_watch_is_found_at_its_end(make: Any) -> None:
    executor = make()
    text = _limit(executor, "kept = 1\nfor n in range(400):\n    open(str(n), 'w').close()")
    assert text == (
        "The code left more than 300 files and folders in the workspace. What it wrote was "
        "removed. Variables were kept."
    )
    assert executor.artefacts == [] and _names(executor) == [".sandbox"]
    assert executor("kept").output == 1
    text = _limit(executor, "import os\nfor _ in range(50):\n    os.mkdir('d')\n    os.chdir('d')")
    assert text.startswith("The code left folders nested more than 10 deep in the workspace.")
    assert executor("os.getcwd()").output == str(executor.workspace.resolve())


def test_an_answer_counts_although_the_workspace_had_to_be_cleared(make: Any) -> None:
    executor = make()
    executor.send_tools({})
    code = "for n in range(400):\n    open(str(n), 'w').close()\nfinal_answer(5)"
    assert executor(code).output == 5
    assert _names(executor) == [".sandbox"]


def test_the_users_files_do_not_count_and_stay(make: Any) -> None:
    executor = make()
    (executor.workspace / "large.bin").write_bytes(bytes(30_000_000))
    (executor.workspace / "folder").mkdir()
    for n in range(400):
        (executor.workspace / "folder" / str(n)).touch()
    assert executor("open('own.txt', 'w').write('x')").output == 1
    (executor.workspace / "later.bin").write_bytes(bytes(30_000_000))
    executor.keep(["later.bin", "no such file"])
    executor("open('own.txt', 'w').write('y')")
    # What grows is a file that was there, so bringing back the step's beginning isn't enough.
    text = _limit(executor, "with open('own.txt', 'wb') as f:\n    f.write(bytes(60_000_000))")
    assert "The workspace was cleared, but for the files that were attached." in text
    assert _names(executor) == [".sandbox", "folder", "large.bin", "later.bin"]
    assert len(list((executor.workspace / "folder").iterdir())) == 400


def test_what_a_session_attaches_is_the_users(make: Any, tmp_path: Path) -> None:
    steps = (
        "open('own.txt', 'w').write('x')\nfinal_answer(1)",
        "with open('own.txt', 'wb') as f:\n    f.write(bytes(60_000_000))",
        "import os\nfinal_answer(sorted(os.listdir()))",
    )
    replies = [f"Think.\n</think>\n\n```python\n{code}\n```" for code in steps]
    executor = make()
    session = Session(ScriptedModel(replies, FAMILIES["tiny"]), executor, [], executor.workspace)
    source = tmp_path / "attached.bin"
    source.write_bytes(bytes(30_000_000))
    list(session.run("first"))
    *_, finished = session.run("second", [source])
    assert finished.status == "answered" and finished.answer == "['.sandbox', 'attached.bin']"
    session.close()


def test_a_thread_that_goes_on_writing_ends_the_process(make: Any) -> None:
    executor = make()
    code = (
        "import threading, time\ndef fill():\n    for n in range(10**6):\n"
        "        open(f'f{n}', 'w').close()\n"
        "threading.Thread(target=fill).start()\ntime.sleep(60)"
    )
    text = _limit(executor, code)
    if "Variables were kept" in text:  # it was caught between two files
        text = _limit(executor, "time.sleep(60)")
    assert "Variables are gone, files in the workspace are kept." in text
    left = _names(executor)
    assert len(left) <= 301
    assert executor("1").output == 1 and _names(executor) == left


def test_what_is_written_between_two_steps_counts(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cell, "tend", lambda self: None)  # or that may be the first to see it
    executor = make()
    code = (
        "import threading, time\ndef fill():\n    time.sleep(0.2)\n    for n in range(500):\n"
        "        open(f'late-{n}', 'w').close()\n"
        "threading.Thread(target=fill).start()\nopen('mine.txt', 'w').close()"
    )
    executor(code)
    while not (executor.workspace / "late-499").exists():
        time.sleep(0.05)
    text = _limit(executor, "ran = True")
    assert text == (
        "Between two steps the Python process left more than 300 files and folders in the "
        "workspace, and was ended. What it wrote was removed. Variables are gone, files in the "
        "workspace are kept. This code was not run."
    )
    assert _names(executor) == [".sandbox", "mine.txt"]
    assert executor("1").output == 1


def test_files_without_a_name_count_where_they_show(make: Any) -> None:
    executor = make()
    code = (
        "import os, time\nopened = []\nfor n in range(10):\n    f = open('f', 'wb')\n"
        "    os.remove('f')\n    f.write(bytes(10_000_000))\n    f.flush()\n"
        "    opened.append(f)\ntime.sleep(20)"
    )
    text = _limit(executor, code)
    assert "more than 20 MB" in text and "Variables are gone" in text


def test_a_step_that_only_holds_large_files_is_no_breach(make: Any) -> None:
    executor = make(quota=Quota(max_bytes=60_000_000))
    code = "open('a', 'wb').write(bytes(55_000_000))\nimport time\ntime.sleep(0.5)"
    executor(code)
    assert executor("import os\nos.path.getsize('a')").output == 55_000_000


def test_a_nearly_full_disk_ends_a_step_that_wrote_much(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_FREE_BYTES", 2**62)  # this disk is not nearly full
    executor = make(quota=Quota(max_bytes=60_000_000))
    code = "n = 0\nwhile n < 500:\n    open('a', 'wb').write(bytes(1_000_000))\n    n += 1"
    executor(code)  # writes much, and leaves little
    monkeypatch.setattr(watch, "_disk", _growing())
    assert "filled the disk" in _limit(executor, "import time\ntime.sleep(20)")


def _growing() -> Callable[[Path], tuple[int, int]]:
    used = [0]

    def disk(root: Path) -> tuple[int, int]:
        used[0] += 60_000_001
        return used[0], 0

    return disk


def test_a_workspace_of_its_own_is_removed(make: Any) -> None:
    executor = SandboxExecutor(confine="unconfined")
    folder = executor.workspace
    executor("import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').close()")
    assert [str(path.relative_to(folder)) for path in executor.artefacts] == ["a/b/c"]
    executor.cleanup()
    assert not folder.exists()


def test_a_folder_of_too_many_files_is_no_workspace(tmp_path: Path) -> None:
    place = Workspace(tmp_path, SMALL)
    deep = tmp_path
    for _ in range(210):
        deep = deep / "d"
        deep.mkdir()
    with pytest.raises(errors.SandboxError, match="holds folders nested more than 200 deep"):
        place.make()


# The functions below the quota


@pytest.fixture
def litter(tmp_path: Path) -> Path:
    """A folder as hostile code could leave it."""
    root = tmp_path / "litter"
    root.mkdir()
    home = Path.cwd()
    os.chdir(root)
    try:
        for _ in range(3000):
            Path("d").mkdir()
            os.chdir("d")
        Path("deepest").write_text("x")
    finally:
        os.chdir(home)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("x")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    for name in (b"new\nline", b"\x1b[31m", b"bad\xff\xfe", b"n" * 255, b"-rf", b" "):
        (root / os.fsdecode(name)).write_text("x")
    (root / "kept" / "deep").mkdir(parents=True)
    (root / "kept" / "deep" / "a").write_text("x" * 10_000)
    (root / "kept" / "b").write_text("x")
    (root / "closed").mkdir()
    (root / "closed" / "c").write_text("x")
    (root / "closed").chmod(0)
    return root


def _open_descriptors() -> int:
    return psutil.Process().num_fds()


def test_hostile_folders_are_measured_without_harm(litter: Path) -> None:
    before = _open_descriptors()
    found = files.contents(litter, Quota(max_depth=64))
    assert not found.whole and found.depth == 65
    assert found.excess(Quota()) == "folders nested more than 64 deep"
    files.clear(litter / "d")
    found = files.contents(litter, Quota())
    assert found.whole and {"kept/deep/a", "kept/b", "closed/c", "new\nline"} <= set(found.files)
    assert not any("precious" in name for name in found.files)
    assert "link" not in found.files and "pipe" not in found.files
    assert found.bytes >= 10_000 and _open_descriptors() == before


def test_hostile_folders_are_cleared_without_harm(litter: Path, tmp_path: Path) -> None:
    before = _open_descriptors()
    files.clear(litter, ["kept/deep/a", "no/such/file"])
    left = [str(path.relative_to(litter)) for path in sorted(litter.rglob("*"))]
    assert left == ["kept", "kept/deep", "kept/deep/a"]
    files.remove(litter)
    assert not litter.exists() and _open_descriptors() == before
    assert (tmp_path / "outside" / "precious").exists()
    files.remove(litter)  # it need not be there


def test_very_many_files_are_walked_to_the_limit_and_removed(tmp_path: Path) -> None:
    for n in range(12_000):
        (tmp_path / f"{n}").touch()
    found = files.contents(tmp_path, Quota(max_files=5_000))
    assert not found.whole and found.entries == 5_001
    files.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_workspace_is_given_to_another_user(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    root = tmp_path / "w"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "file").write_text("x")
    outside = tmp_path / "outside"
    outside.write_text("x")
    (root / "link").symlink_to(outside)
    (root / "hard").hardlink_to(outside)
    files.give(root, 60999)
    assert {p: os.lstat(p).st_uid for p in (root, root / "folder", root / "folder" / "file")} == {
        root: 60999, root / "folder": 60999, root / "folder" / "file": 60999
    }  # fmt: skip
    assert outside.stat().st_uid == 0


def test_a_linked_file_put_in_place_of_another_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    root, outside = tmp_path / "w", tmp_path / "outside"
    root.mkdir()
    outside.write_text("x")
    (root / "file").write_text("x")
    real = os.open

    def swapped_first(path: Any, *rest: Any, **options: Any) -> int:
        if path == "file":  # after the walk saw the file, before anything is changed
            (root / "hard").hardlink_to(outside)
            (root / "hard").rename(root / "file")
        return real(path, *rest, **options)

    monkeypatch.setattr(os, "open", swapped_first)
    files.give(root, 60999)
    assert (root / "file").samefile(outside) and outside.stat().st_uid == 0


def test_the_users_files_and_links_stay_whatever_their_names_are_now(tmp_path: Path) -> None:
    root, outside = tmp_path / "w", tmp_path / "outside"
    root.mkdir()
    outside.write_text("x")
    (root / "data.csv").write_text("precious")
    (root / "link").symlink_to(outside)
    place = Workspace(root, SMALL)
    place.make()
    before = place.look()
    (root / "sub").mkdir()
    (root / "data.csv").rename(root / "sub" / "renamed.csv")
    for n in range(400):
        (root / f"copy-{n}").hardlink_to(root / "sub" / "renamed.csv")
    assert place.look().excess(place.quota)
    assert place.restore(before) == "What it wrote was removed."
    kept = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path.read_text() for path in kept] == ["precious"]  # under one of its names
    assert (root / "link").is_symlink() and outside.exists()
    for n in range(400):  # there before the next step: all that is not the user's goes
        (root / f"more-{n}").write_text("x")
    assert place.restore(place.look()).startswith("The workspace was cleared")
    left = sorted(path for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
    assert left == sorted([*kept, root / "link"])


@pytest.mark.parametrize("linked", [".sandbox", ".sandbox/home", ".sandbox/matplotlib"])
def test_a_link_in_place_of_the_workers_folder_leads_nowhere(tmp_path: Path, linked: str) -> None:
    root, outside = tmp_path / "w", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    spawn.prepare_folder(root / ".sandbox")
    spawn.prepare_folder(root / ".sandbox")  # what is there already is no error
    assert {path.name for path in (root / ".sandbox").iterdir()} == set(files.OWN_FOLDERS)
    files.remove(root / linked)
    (root / linked).symlink_to(outside)
    before = _open_descriptors()
    with pytest.raises(OSError, match="not a folder"):
        spawn.prepare_folder(root / ".sandbox")
    assert list(outside.iterdir()) == [] and _open_descriptors() == before
