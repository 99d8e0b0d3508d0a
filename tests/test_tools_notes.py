"""The tools of notes and memory hand on what they are given, in the words that agents know."""

import pytest

from errors import ToolError
from tools.read_note import ReadNote
from tools.remember import Remember
from tools.search_history import SearchHistory
from tools.search_notes import SearchNotes


def test_searches() -> None:
    assert SearchNotes(lambda query: f"asked {query}")(query="tea") == "asked tea"
    assert SearchHistory(lambda query: f"asked {query}")(query="tea") == "asked tea"


def test_what_is_remembered_is_only_proposed() -> None:
    kept: list[str] = []
    said = Remember(kept.append)(text=" I like\ntea ")
    assert said.startswith("Remembered: I like tea (proposed"), "and the bundled model's words stay"
    assert kept == ["I like tea"]


def test_a_note_comes_in_parts() -> None:
    read = ReadNote(lambda name: "".join(f"line {n} of it\n" for n in range(50)), page_chars=400)
    first = read(name="home.md")
    assert first.startswith("line 0 of it\n")
    assert first.endswith("[part 1 of 2; next: read_note('home.md', part=2)]")
    assert read(name="home.md", part=2).endswith("line 49 of it\n[part 2 of 2; the end]")
    with pytest.raises(ToolError, match="the parts go from 1 to 2"):
        read(name="home.md", part=3)


def test_a_note_that_can_not_be_read() -> None:
    def gone(name: str) -> str:
        raise FileNotFoundError(f"There is no note {name}.")

    with pytest.raises(ToolError, match=r"no note a\.md\. Look with search_notes") as error:
        ReadNote(gone)(name="a.md")
    assert error.value.seen_as is FileNotFoundError
