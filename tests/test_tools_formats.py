"""read_file on real files of every format, whole and damaged."""

import bz2
import gzip
import importlib.util
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from errors import ToolError
from tests.every_file import FILES, WORDS, letter_of_outlook, made, pdf, tarball
from tests.older_files import zipped
from tools.formats import ocr
from tools.read_file import ReadFile


def put(folder: Path, name: str, data: bytes) -> ReadFile:
    (folder / name).write_bytes(data)
    return ReadFile(folder)


@pytest.mark.parametrize("name", FILES)
def test_every_format(tmp_path: Path, name: str) -> None:
    text = put(tmp_path, name, made(name))(path=name)
    for part in FILES[name][1]:
        assert part in text, text


@pytest.mark.parametrize("kind", ["png", "gif", "bmp", "webp", "tif", "ico"])
def test_every_format_of_pictures(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (32, 32), (0, 0, 255)).save(tmp_path / f"a.{kind}")
    text = ReadFile(tmp_path)(path=f"a.{kind}")
    assert "a picture of 32 x 32 pixels" in text and "0000FF" in text


@pytest.mark.parametrize("name", ["a.pdf", "a.xlsx", "a.docx", "a.zip", "a.jpg", "a.sqlite"])
def test_a_wrong_ending_is_no_hindrance(tmp_path: Path, name: str) -> None:
    for wrong in ("file", "file.txt", "file.mp3"):
        text = put(tmp_path, wrong, made(name))(path=wrong)
        assert FILES[name][1][0].replace("a.zip/", f"{wrong}/") in text


class TestArchives:
    def test_members_also_of_archives_in_archives(self, tmp_path: Path) -> None:
        inner = zipped({"deep/a.txt": b"deep", "a.pdf": made("a.pdf"), "../evil.txt": b"evil"})
        read = put(tmp_path, "o.zip", zipped({"in.zip": inner, "t.tgz": tarball()}))
        assert read("o.zip/in.zip/deep/a.txt") == "deep"
        assert WORDS in read("o.zip/in.zip/a.pdf")
        assert read("o.zip/in.zip/../evil.txt") == "evil", "a name in the archive, nothing more"
        assert read("o.zip/t.tgz/trip/list.txt") == "socks"
        assert read(str(tmp_path / "o.zip" / "in.zip" / "deep" / "a.txt")) == "deep"
        assert "in.zip" in read("o.zip/in.zip") or "deep/a.txt" in read("o.zip/in.zip")
        for gone in ("o.zip/x.txt", "o.zip/in.zip/x", "o.zip/../../etc/passwd", "o.zip/t.tgz/x"):
            with pytest.raises(ToolError) as error:
                read(gone)
            assert error.value.seen_as in (FileNotFoundError, PermissionError)
        with pytest.raises(ToolError, match=r"holds: deep/a\.txt"):
            read("o.zip/in.zip/x")

    def test_links_in_a_tar_lead_nowhere(self, tmp_path: Path) -> None:
        with pytest.raises(ToolError):
            put(tmp_path, "a.tgz", tarball())("a.tgz/trip/passwd")

    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_single_packed_files(self, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
        read = put(tmp_path, "a.txt.gz", pack(b"hello"))
        assert read("a.txt.gz/a.txt") == "hello"

    def test_bombs(self, tmp_path: Path) -> None:
        read = put(tmp_path, "b.zip", zipped({"big.txt": b"\0" * 150_000_000}))
        with pytest.raises(ToolError, match="more than 100 MB"):
            read("b.zip/big.txt")
        put(tmp_path, "b.gz", gzip.compress(b"\0" * 150_000_000, 1))
        with pytest.raises(ToolError, match="more than 100 MB"):
            read("b.gz/b")


class TestLongTexts:
    def test_a_large_file_is_read_part_by_part(self, tmp_path: Path) -> None:
        whole = "".join(f"Zeile {n} äöü\n" for n in range(400_000))
        read = put(tmp_path, "long.txt", whole.encode())
        first = read("long.txt", part=1)
        last = int(first.rpartition(" of ")[2].partition(";")[0])
        assert last > 800
        bodies = [read("long.txt", part=n).rpartition("\n[part ")[0] for n in (1, 2, 3)]
        assert whole.startswith("\n".join(bodies))
        assert read("long.txt", part=last).endswith(
            "Zeile 399999 äöü\n" + f"[part {last} of {last}; the end]"
        )
        with pytest.raises(ToolError, match=f"from 1 to {last}"):
            read("long.txt", part=last + 1)

    def test_a_question_finds_its_passage(self, tmp_path: Path) -> None:
        filler = "".join(
            f"The sheep number {n} ate some grass near the fence.\n\n" for n in range(900)
        )
        text = f"{filler}The lighthouse was built in 1887 by Ida Berg.\n\n{filler}"
        read = put(tmp_path, "a.txt", text.encode())
        found = read("a.txt", "who built the lighthouse?")
        assert "built in 1887 by Ida Berg" in found
        assert len(found) <= 8_000
        with pytest.raises(ToolError, match="No passage"):
            read("a.txt", question="zeppelin")
        assert read("a.txt", 2) == read("a.txt", part=2)


class TestClearErrors:
    @pytest.mark.parametrize(
        ("name", "data", "said"),
        [
            ("a.pdf", lambda: pdf(["secret"], "word"), "protected by a password"),
            ("a.xlsx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500
             + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
            ("a.doc", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500
             + "WordDocument".encode("utf-16-le"), "save it as docx"),
            ("a.docx", lambda: made("a.docx")[:2000], "damaged"),
            ("a.pdf", lambda: made("a.pdf")[:400], "can't be read|no text"),
            ("a.png", lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "can't be read"),
            ("a.zip", lambda: made("a.zip")[:40], "damaged"),
            ("a.7z", lambda: b"7z\xbc\xaf\x27\x1c" + b"\0" * 50, "unpack it"),
            ("a.parquet", lambda: b"PAR1" + b"\0" * 50, "inspect_table"),
            ("a.pdb", lambda: b"nothing of the kind", "no atoms"),
            ("a.ipynb", lambda: b"[]", "no notebook"),
        ],
    )  # fmt: skip
    def test_one_sentence(
        self, tmp_path: Path, name: str, data: Callable[[], bytes], said: str
    ) -> None:
        with pytest.raises(ToolError, match=said) as error:
            put(tmp_path, name, data())(path=name)
        assert len(str(error.value).splitlines()) == 1

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        text = put(tmp_path, "a.jpg", made("a.jpg"))(path="a.jpg")
        assert ocr.available() or "apt install tesseract-ocr" in text
        assert "faster-whisper" in put(tmp_path, "a.wav", made("a.wav"))(path="a.wav")

    def test_a_letter_of_outlook_or_the_package_that_it_needs(self, tmp_path: Path) -> None:
        read = put(tmp_path, "a.msg", letter_of_outlook())
        if importlib.util.find_spec("olefile") is None:
            with pytest.raises(ToolError, match=r"package is missing\. .* can install it: olefile"):
                read(path="a.msg")
        else:
            text = read(path="a.msg")
            assert "ida@example.org" in text and "The keys" in text and "Under the mat." in text

    def test_a_model_that_sees_is_asked_with_the_question(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(made("a.jpg"))
        read = ReadFile(tmp_path, describe=lambda data, kind, asked: f"{kind} {asked}: red")
        assert "what a model sees in it:\n.jpg which colour?: red" in read("a.jpg", "which colour?")


DAMAGED = ["a.pdf", "a.xlsx", "a.docx", "a.pptx", "a.odt", "a.zip", "a.tar.gz", "a.jpg", "a.wav",
           "a.sqlite", "a.eml", "a.rtf", "a.xls", "a.xlsb", "a.ods", "a.odp", "a.epub",
           "clip.mp4"]  # fmt: skip


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(DAMAGED),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=20),
    st.floats(0.05, 1),
)
def test_damaged_files_are_text_or_one_clear_error(
    tmp_path: Path, name: str, changes: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(made(name))
    for at, value in changes:
        data[int(at * len(data))] = value
    try:
        text = put(tmp_path, name, bytes(data[: int(len(data) * kept) + 1]))(path=name)
    except ToolError as error:
        assert str(error)
    else:
        assert isinstance(text, str)


def test_a_reader_in_rust_that_panics_is_a_damaged_file(tmp_path: Path) -> None:
    data = made("a.xls")
    with pytest.raises(ToolError, match=r"a\.xls can't be read: slice index"):
        put(tmp_path, "a.xls", data[: len(data) // 2])(path="a.xls")
