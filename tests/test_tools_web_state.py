"""What the web tools keep on disk: for a while, within bounds, by many processes at once."""

import multiprocessing
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.web_state import MAX_ENTRY_BYTES, WebState


def test_a_value_is_kept_until_it_is_too_old(tmp_path: Path) -> None:
    clock = [1000.0]
    file = tmp_path / "deep" / "web.sqlite"
    state = WebState(file, now=lambda: clock[0])
    state.keep(b"value", 60, "page", "https://a.example", True)
    assert WebState(file, now=lambda: clock[0]).get("page", "https://a.example", True) == b"value"
    assert state.get("page", "https://a.example", False) is None
    clock[0] += 61
    assert state.get("page", "https://a.example", True) is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"a.example" not in file.read_bytes(), "what was asked for is not in the file as text"


def test_nothing_is_kept_where_nothing_may_be(tmp_path: Path) -> None:
    state = WebState(tmp_path / "web.sqlite")
    state.keep(b"x", 0, "a")
    state.keep(bytes(MAX_ENTRY_BYTES + 1), 60, "b")
    assert state.get("a") is None
    assert state.get("b") is None


def test_the_file_stays_small(tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite"
    state = WebState(file, max_bytes=1_000_000)
    for number in range(300):
        state.keep(bytes(20_000), 60 + number, number)
    assert state.get(299) is not None
    assert state.get(0) is None
    assert file.stat().st_size < 2_500_000, "at most 50 entries over its bound"


def test_turns_keep_their_distance(tmp_path: Path) -> None:
    clock = [1000.0]
    file = tmp_path / "web.sqlite"
    one, other = (WebState(file, now=lambda: clock[0]) for _ in range(2))
    assert [one.turn("s", 2.0, 5.0), other.turn("s", 2.0, 5.0)] == [0.0, 2.0]
    assert one.turn("s", 2.0, 5.0) == 4.0
    assert other.turn("s", 2.0, 5.0) is None, "nobody waits for longer"
    assert other.turn("t", 2.0, 5.0) == 0.0
    clock[0] = 500_000.0
    one.turn("s", 2.0, 5.0)
    clock[0] = 1000.0  # the clock was put back
    assert one.turn("s", 2.0, 5.0) == 0.0


def _work(file: Path) -> int:
    state = WebState(file)
    for number in range(40):
        state.keep(b"x" * 1000, 60, number)
        state.turn("s", 0.001, 100)
    return sum(state.get(number) is not None for number in range(40))


def test_many_processes_and_threads_at_once(tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_work, [file] * 3) == [40, 40, 40]
    state = WebState(file)
    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(lambda number: state.get(number % 40), range(200)))


def test_without_a_file_that_can_be_used_everything_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    state = WebState(tmp_path / "file" / "web.sqlite")
    state.keep(b"x", 60, "a")
    assert state.get("a") is None
    assert state.turn("s", 1.0, 1.0) == 0.0
    state.pause("s", 60, "why")
    assert state.paused("s") is None


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite"
    file.write_bytes(b"no database at all" * 1000)
    state = WebState(file)
    state.keep(b"x", 60, "a")
    state.keep(b"x", 60, "a")
    assert state.get("a") == b"x"


def test_what_can_not_be_written_costs_nothing_else(tmp_path: Path) -> None:
    state = WebState(tmp_path / "web.sqlite")
    state.keep(b"x", 60, "a")
    state.pause("s", float("nan"), "which SQLite takes for NULL")
    assert state.paused("s") is None and state.get("a") == b"x"


def test_a_lock_that_another_holds_costs_an_answer_not_the_call(tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite"
    state = WebState(file)
    state.keep(b"x", 60, "a")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        state._connection.execute("PRAGMA busy_timeout = 50")  # type: ignore[union-attr]
        assert state.get("a") is None
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert state.get("a") == b"x"
