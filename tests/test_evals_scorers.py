"""The scorers: right answers in every dress, wrong ones in none."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evals.scorers import as_list, numbers, score
from evals.tasks import KINDS, Expect


def right(kind: str, value: Any, answer: str | None, tolerance: float = 1e-6) -> bool:
    return score(Expect(kind, value, tolerance), answer, Path("nowhere")).right


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_wrong(kind: str) -> None:
    assert not right(kind, "x", None)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (430.6, "430.6"),
        (430.6, "430.60"),
        (430.6, "It is 430.6."),
        (430.6, "$430.6"),
        (1234567, "1,234,567"),
        (-5, "−5"),
        (0.5, ".5"),
        (2000, "2e3"),
        (3.0, "3"),
        (12, "12 apples"),
        (10**40 + 1, str(10**40 + 1)),
    ],
)
def test_numbers_right(value: float, answer: str) -> None:
    assert right("number", value, answer)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (430.6, "430.5"),
        (430.6, "17% of 2480 is 430.6"),
        (430.6, ""),
        (430.6, "four hundred"),
        (3, "B3"),
        (10**40 + 1, str(10**40)),
        (10**40 + 1, "1e40"),
        (4, "1e9999999999"),
        (2024, "2024-01-03"),
        (1, "True"),
        (5, "-5"),
    ],
)
def test_numbers_wrong(value: float, answer: str) -> None:
    assert not right("number", value, answer)


def test_tolerance_is_absolute() -> None:
    assert right("number", 3.14159, "3.14", tolerance=0.01)
    assert not right("number", 3.14159, "3.12", tolerance=0.01)


def test_numbers_of_a_text() -> None:
    assert [float(n) for n in numbers("1,234.5 and -2, v3.1 and x7, 4-5")] == [1234.5, -2, 4, 5]


@pytest.mark.parametrize(
    ("value", "answer", "is_right"),
    [
        ("Paris", "Paris", True),
        ("Paris", "'Paris'.", True),
        ("Paris", "The capital is Paris.", True),
        ("Paris", "paris", False),
        ("Paris", "Parisian", False),
        ("HELLO", "hello", False),
        ("no", "unknown", False),
        ("no", "No, it is not", True),
        ("True", "true", True),
        ("True", "False", False),
        ("a  b", "a b", True),
        ("!olleh", "!olleh", True),
        ("2024-01-03", "2024-01-03", True),
        ("2024-01-03", "2024-01-031", False),
        ("Zoë", "Zoe\u0308", True),
        ("(x + 1)**2", "(x + 1)**2", True),
        ("", "anything", False),
    ],
)
def test_texts(value: str, answer: str, is_right: bool) -> None:
    assert right("text", value, answer) is is_right


@pytest.mark.parametrize(
    ("value", "answer", "is_right"),
    [
        ([1, 2, 3], "[1, 2, 3]", True),
        ([1, 2, 3], "(1, 2, 3)", True),
        ([1, 2, 3], "1, 2, 3", True),
        ([1, 2, 3], "1\n2\n3", True),
        ([1, 2, 3], "[3, 2, 1]", False),
        ([1, 2, 3], "[1, 2]", False),
        ([1, 2, 3], "{1, 2, 3}", False),
        ([1], "1", True),
        ([], "[]", True),
        (["a", "b"], "['a', 'b']", True),
        (["a", "b"], "a, b", True),
        (["a", "b"], "- a\n- b", True),
        (["a", "b"], "['A', 'b']", False),
        (["it's", "b, c"], "[\"it's\", 'b, c']", True),
        ([2.5, 1], "[2.5000001, 1.0]", True),
        ([1], "[True]", False),
        ([True], "[True]", True),
        ([["x", 1], ["y", 2]], "[('x', 1), ('y', 2)]", True),
        ([["x", 1]], "[('x', 2)]", False),
    ],
)
def test_lists(value: list[Any], answer: str, is_right: bool) -> None:
    assert right("list", value, answer) is is_right


def test_a_deeply_nested_answer_breaks_nothing() -> None:
    assert as_list("[" * 100_000) is not None
    assert not right("list", [1, 2], "[" * 5_000 + "1" + "]" * 5_000)


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        ("I am only a small bundled model. Choose a stronger model with --model.", True),
        ("The bundled model can't write poems. A larger model can.", True),
        ("The capital of Peru is Lima.", False),
        ("I can't do that.", False),
    ],
)
def test_refusals(answer: str, is_right: bool) -> None:
    assert right("refusal", None, answer) is is_right


def test_files(tmp_path: Path) -> None:
    def verdict(name: str) -> str:
        found = score(Expect("file", name), "done", tmp_path)
        return "right" if found.right else found.why

    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "fake.png").write_text("no picture")
    Image.new("RGB", (20, 10), "red").save(tmp_path / "plot.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "plot.png").read_bytes()[:50])
    (tmp_path / "folder.png").mkdir()
    # Ten gigabytes once it is unpacked: its header says so.
    size = struct.pack(">II", 60_000, 60_000)
    header = b"IHDR" + size + bytes([8, 2, 0, 0, 0])
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + bytes(20))
    assert verdict("a.txt") == "right"
    assert verdict("plot.png") == "right"
    assert verdict("gone.png") == "the file gone.png was not made"
    assert verdict("empty.txt") == "the file empty.txt is empty"
    assert verdict("fake.png") == "fake.png is no PNG picture"
    assert verdict("cut.png") == "cut.png is no PNG picture"
    assert verdict("bomb.png") == "bomb.png is no PNG picture"
    assert verdict("folder.png") == "the file folder.png was not made"
