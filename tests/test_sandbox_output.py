"""Printed text: cleaned however it is cut, bounded however much there is."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.output import Cleaner, HeadTail, clean, gap_note


def test_escapes_and_controls_go() -> None:
    assert clean("\x1b[1;31mred\x1b[0m") == "red"
    assert clean("\x1b]8;;https://x\x1b\\link\x1b]8;;\x07") == "link"
    assert clean("a\x00b\x07c\x7fd\x9be\u202ef\u2066g") == "abcdefg"
    assert clean("tab\tline\nünïcode 🙂 \u200d") == "tab\tline\nünïcode 🙂 \u200d"
    assert clean("10%\r20%\r\nnext\r") == "10%\n20%\nnext\n"


def test_a_lone_escape_holds_nothing_back_for_ever() -> None:
    cleaner = Cleaner()
    text = cleaner.feed("\x1b]0;" + "x" * 1000) + cleaner.feed("y" * 1000) + cleaner.feed("z")
    assert text.endswith("z") and "\x1b" not in text


_PIECES = ["a", "\n", "\r", "\r\n", "\x1b", "\x1b[", "31", "m", "\x1b[0m", "é", "\x00", "\x1b]0;"]
_PIECES += ["\x07", "\\", "P", "x" * 100, "1" * 60, " "]
_pieces = st.lists(st.sampled_from(_PIECES))


@given(_pieces)
def test_cleaning_in_pieces_is_cleaning_whole(pieces: list[str]) -> None:
    cleaner = Cleaner()
    streamed = "".join(cleaner.feed(piece) for piece in pieces) + cleaner.finish()
    assert streamed == clean("".join(pieces))


@given(st.integers(3, 50), st.lists(st.text("abc", max_size=30)))
def test_head_and_tail(limit: int, pieces: list[str]) -> None:
    whole = "".join(pieces)
    kept = HeadTail(limit)
    head = "".join(kept.feed(piece) for piece in pieces)
    left_out, tail = kept.finish()
    if len(whole) <= limit:
        assert (head + tail, left_out) == (whole, 0)
    else:
        assert whole.startswith(head) and whole.endswith(tail)
        assert len(head) + len(tail) == limit
        assert left_out == len(whole) - limit


def test_what_was_left_out_elsewhere_counts() -> None:
    kept = HeadTail(9)
    assert kept.feed("abcdefgh") == "abcdef"
    kept.skip(100)
    assert kept.feed("xyz") == ""
    assert kept.finish() == (102, "xyz")
    assert gap_note(12345) == "\n[… 12,345 characters left out …]\n"
