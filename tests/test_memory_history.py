"""History: what a session said can be read back and found again."""

from pathlib import Path

import pytest

from errors import InputError
from memory.history import History


def one_run(history: History, session: str, task: str, answer: str | None) -> None:
    history.append(session, {"type": "run_started", "task": task})
    history.append(session, {"type": "thinking_delta", "text": "hm"})
    history.append(session, {"type": "run_finished", "answer": answer})


def test_events_come_back_without_the_streamed_pieces(tmp_path: Path) -> None:
    history = History(tmp_path / "h")
    one_run(history, "s1", "add 2 and 3", "5")
    assert [e["type"] for e in History(tmp_path / "h").events("s1")] == [
        "run_started",
        "run_finished",
    ]


def test_any_text_comes_back_whole(tmp_path: Path) -> None:
    history = History(tmp_path)
    text = "one\u2028two\x85three\x1cfour\nfive\r\nsix → \u202e"
    one_run(history, "s1", text, text)
    assert [e.get("task") or e.get("answer") for e in history.events("s1")] == [text, text]


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    history = History(tmp_path)
    one_run(history, "s1", "add 2 and 3", "5")
    with (tmp_path / "s1.jsonl").open("a") as file:
        file.write('{"type": "run_sta')
    assert len(history.events("s1")) == 2
    one_run(History(tmp_path), "s1", "and 4", "9")
    assert [e["type"] for e in history.events("s1")] == ["run_started", "run_finished"] * 2


def test_a_session_belongs_to_whoever_adds_to_it(tmp_path: Path) -> None:
    first, second = History(tmp_path), History(tmp_path)
    one_run(first, "s1", "add 2 and 3", "5")
    one_run(first, "s2", "add 2 and 3", "5")
    assert first.sessions() == second.sessions() == ["s2", "s1"]
    assert first.busy("s1") and second.busy("s1")
    with pytest.raises(InputError, match="another process"):
        second.claim("s1")
    first.claim("s1")
    first.close("s1")
    first.close("s1")
    assert not second.busy("s1")
    second.claim("s1")
    assert first.busy("s1") and second.busy("s1")


def test_a_resumed_run_is_found_by_its_task(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append("s1", {"type": "run_resumed", "task": "How far is Oslo?"})
    history.append("s1", {"type": "run_finished", "answer": "463 km"})
    assert [hit.snippet for hit in history.search("Oslo")] == ["How far is Oslo? → 463 km"]


def test_search_finds_runs_of_all_sessions(tmp_path: Path) -> None:
    history = History(tmp_path)
    one_run(history, "s1", "How far is Oslo from\nBergen?", "463 km")
    one_run(history, "s2", "A poem about rain", None)
    one_run(history, "s3", "capital of Norway", "Oslo")
    hits = history.search("Bergen distance")
    assert [hit.snippet for hit in hits] == ["How far is Oslo from Bergen? → 463 km"]
    assert {hit.name for hit in history.search("Oslo")} == {"s1.md", "s3.md"}
    assert history.search("rain") == [], "a run without an answer has nothing to find"
