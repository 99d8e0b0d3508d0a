"""Notes: found by meaning words, remembered without loss, odd files passed over."""

import logging
import multiprocessing
import os
import threading
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import ToolError
from memory.notes import NOT_APPROVED, PROPOSED, Notes, format_hits, remembered_line, search_texts

HOME = "# Wifi\nnetwork: Fritz\npassword: hunter2\n\n# Cat\n- Name: Tom\n"


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    (tmp_path / "home.md").write_text(HOME)
    (tmp_path / "people.txt").write_text("Anna's birthday is on 3 May.\nBob likes running.\n")
    return Notes(tmp_path, today=lambda: date(2026, 3, 4))


def found(notes: Notes, query: str, limit: int = 3) -> list[str]:
    return [f"{hit.name}:{hit.line} {hit.snippet}" for hit in notes.search(query, limit)]


def test_the_best_line_comes_first(notes: Notes) -> None:
    assert found(notes, "what is the wifi password?")[0] == "home.md:3 password: hunter2"
    assert found(notes, "When is Anna's birthday?") == ["people.txt:1 Anna's birthday is on 3 May."]
    assert found(notes, "cat") == ["home.md:6 Name: Tom"], "the heading leads to the line below"
    assert found(notes, "who runs?") == ["people.txt:2 Bob likes running."], "by stem"
    assert found(notes, "ANNA") == found(notes, "anna")


def test_scores_fall_and_the_limit_holds(notes: Notes) -> None:
    hits = notes.search("wifi password network", limit=2)
    assert len(hits) == 2
    assert hits[0].score >= hits[1].score > 0
    assert notes.search("wifi", limit=0) == []


@pytest.mark.parametrize("query", ["", "  ", "?!", "zebra", 'x" OR *', "NEAR(", "the of and"])
def test_nothing_found(notes: Notes, query: str) -> None:
    assert notes.search(query) == []


@given(st.text(max_size=80))
def test_no_query_breaks_the_search(query: str) -> None:
    assert isinstance(search_texts({"a.md": HOME}, query), list)


def test_the_text_that_the_agent_reads(notes: Notes) -> None:
    assert format_hits("wifi", notes.search("wifi")) == (
        "1. home.md: network: Fritz\n2. home.md: password: hunter2"
    )
    assert format_hits(" zebra ", []) == "No notes match 'zebra'."


def test_texts_in_memory_are_searched_alike(notes: Notes) -> None:
    texts = {file.name: file.read_text() for file in notes.folder.iterdir()}
    for query in ("wifi password", "anna", "likes", "name network"):
        assert search_texts(texts, query) == notes.search(query)


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "new")
    assert notes.search("anything") == []
    notes.propose("The bicycle is a Gazelle")
    assert notes.search("bicycle")[0].name == PROPOSED


def test_what_is_remembered_is_found_again(notes: Notes) -> None:
    assert notes.propose("  My sister's name\nis  Ida ") == "My sister's name is Ida"
    assert notes.propose("I am allergic to nuts") == "I am allergic to nuts"
    lines = (notes.folder / PROPOSED).read_text().splitlines()
    assert lines == [
        "- My sister's name is Ida (2026-03-04)",
        "- I am allergic to nuts (2026-03-04)",
    ]
    assert lines[0] == remembered_line("My sister's name is Ida", date(2026, 3, 4))
    assert found(notes, "sister") == ["proposed.md:1 My sister's name is Ida (2026-03-04)"]


def test_a_line_that_the_user_left_open_is_not_continued(notes: Notes) -> None:
    (notes.folder / PROPOSED).write_text("- by hand")
    notes.propose("new")
    assert (notes.folder / PROPOSED).read_text() == "- by hand\n- new (2026-03-04)\n"


@pytest.mark.parametrize(("text", "said"), [(" \n", "empty"), ("x" * 501, "501 characters")])
def test_what_is_not_remembered(notes: Notes, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        notes.propose(text)
    assert not (notes.folder / PROPOSED).exists()
    notes.propose("y" * 500)


def remember_many(folder: Path, who: int) -> None:
    notes = Notes(folder)
    for number in range(40):
        notes.propose(f"fact {number} of {who}")


def test_sessions_and_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=remember_many, args=(tmp_path, n)) for n in range(2)]
    threads = [threading.Thread(target=remember_many, args=(tmp_path, n)) for n in range(2, 5)]
    for worker in [*workers, *threads]:
        worker.start()
    for worker in [*workers, *threads]:
        worker.join(60)
    lines = (tmp_path / PROPOSED).read_text().splitlines()
    kept = {line[2:].rpartition(" (")[0] for line in lines}
    assert kept == {f"fact {number} of {who}" for number in range(40) for who in range(5)}
    assert len(lines) == 200


def test_changes_are_seen_at_once(notes: Notes) -> None:
    file = notes.folder / "people.txt"
    assert notes.search("anna")
    file.write_text("Clara plays chess.\n")
    assert not notes.search("anna")
    assert found(notes, "chess") == ["people.txt:1 Clara plays chess."]
    file.unlink()
    assert not notes.search("chess")


def test_odd_files_are_passed_over_with_a_notice(
    notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    folder = notes.folder
    (folder / "picture.txt").write_bytes(b"\x89PNG\x00\x00anna")
    (folder / "huge.txt").write_text("anna " * 1_100_000)
    (folder / "gone.md").symlink_to(folder / "nowhere.md")
    os.mkfifo(folder / "pipe.txt")
    (folder / "old.txt").write_bytes("Müsli mögen alle".encode("cp1252"))
    (folder / "program.py").write_text("anna")
    (folder / ".obsidian").mkdir()
    (folder / ".obsidian" / "x.md").write_text("anna")
    (folder / "trips").mkdir()
    (folder / "trips" / "norway.md").write_text("The ferry leaves at nine.")
    with caplog.at_level(logging.WARNING):
        assert found(notes, "anna") == ["people.txt:1 Anna's birthday is on 3 May."]
    assert set(notes.skipped) == {"picture.txt", "huge.txt", "gone.md", "pipe.txt"}
    assert "picture.txt is passed over: not text" in caplog.text
    assert found(notes, "Müsli") == ["old.txt:1 Müsli mögen alle"]
    assert found(notes, "ferry") == ["trips/norway.md:1 The ferry leaves at nine."]
    caplog.clear()
    (folder / "new.md").write_text("anna too")
    notes.search("anna")
    assert not caplog.text, "each is said once"


def test_a_long_line_is_shown_around_the_word(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word " * 500 + "the treasure lies here " + "word " * 500)
    snippet = Notes(tmp_path).search("treasure")[0].snippet
    assert "the treasure lies here" in snippet
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert len(snippet) <= 302


def test_many_threads_share_one_index(notes: Notes) -> None:
    wrong: list[object] = []

    def look() -> None:
        for _ in range(30):
            try:
                if notes.search("wifi password")[0].snippet != "password: hunter2":
                    wrong.append("other line")
            except Exception as error:  # noqa: BLE001 - a thread's error would be lost
                wrong.append(error)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(20):
        (notes.folder / "other.md").write_text(f"note {number}")
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_proposal_is_called_one_until_the_user_moves_it(notes: Notes) -> None:
    notes.propose("The bicycle is a Gazelle")
    assert format_hits("bicycle", notes.search("bicycle")) == (
        f"1. proposed.md: The bicycle is a Gazelle (2026-03-04) {NOT_APPROVED}"
    )
    notes.propose("The lock is 42")
    assert notes.read(PROPOSED).splitlines() == [
        f"- The bicycle is a Gazelle (2026-03-04) {NOT_APPROVED}",
        f"- The lock is 42 (2026-03-04) {NOT_APPROVED}",
    ]
    (notes.folder / PROPOSED).rename(notes.folder / "remembered.md")
    assert format_hits("bicycle", notes.search("bicycle")) == (
        "1. remembered.md: The bicycle is a Gazelle (2026-03-04)"
    )


def test_a_note_is_read_whole(notes: Notes) -> None:
    assert notes.read("home.md") == HOME
    for name in ("../secret.md", "/etc/passwd", "nothing.md", ""):
        with pytest.raises(FileNotFoundError, match=r"home\.md, people\.txt"):
            notes.read(name)


def test_documents_are_notes_where_something_converts_them(tmp_path: Path) -> None:
    calls = []

    def convert(data: bytes, name: str) -> str:
        calls.append(name)
        if b"bad" in data:
            raise ToolError("It is damaged.")
        return data.decode().upper()

    (tmp_path / "lease.pdf").write_bytes(b"the rent is 900 euros")
    (tmp_path / "bad.docx").write_bytes(b"bad")
    assert Notes(tmp_path).search("rent") == []
    notes = Notes(tmp_path, convert=convert)
    assert found(notes, "rent") == ["lease.pdf:1 THE RENT IS 900 EUROS"]
    assert notes.skipped == {"bad.docx": "It is damaged."}
    (tmp_path / "new.md").write_text("something else")
    assert found(notes, "something") == ["new.md:1 something else"]
    assert sorted(calls) == ["bad.docx", "lease.pdf"], "each is converted once"
    assert notes.read("lease.pdf") == "THE RENT IS 900 EUROS"
    with pytest.raises(ValueError, match="damaged"):
        notes.read("bad.docx")
