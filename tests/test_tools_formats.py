"""read_file on real files of every format, whole and damaged."""

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import wave
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from functools import cache
from pathlib import Path

import docx
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.styles import PatternFill
from PIL import Image
from pptx import Presentation
from pptx.util import Inches
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen import canvas
from reportlab.platypus import SimpleDocTemplate, Table, TableStyle

from errors import ToolError
from tools.formats import ocr
from tools.read_file import ReadFile


def pdf(pages: list[str], password: str = "") -> bytes:
    out = io.BytesIO()
    encrypt = StandardEncryption(password) if password else None
    drawing = canvas.Canvas(out, pagesize=A4, encrypt=encrypt)
    for text in pages:
        drawing.drawString(72, 700, text)
        drawing.showPage()
    drawing.save()
    return out.getvalue()


def table_pdf() -> bytes:
    out = io.BytesIO()
    table = Table([["city", "rain"], ["Bergen", "2250"], ["Oslo", "763"]])
    table.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 1, (0, 0, 0))]))
    SimpleDocTemplate(out, pagesize=A4).build([table])
    return out.getvalue()


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["plot", "owner"], ["A", "Ida"], ["B|C", "Bo"]):
        sheet.append(row)
    sheet["B4"] = "=COUNTA(B2:B3)"
    for cell in ("A2", "B2", "A3", "B3", "D7"):
        sheet[cell].fill = PatternFill("solid", fgColor="00FF00")
    book.create_sheet("Empty")
    return saved(book)


def saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def letter() -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "ida@example.org", "The keys"
    message.set_content("They are under the mat.")
    message.add_attachment(b"123", maintype="image", subtype="png", filename="mat.png")
    return bytes(message)


def word() -> bytes:
    document = docx.Document()
    document.add_heading("Minutes", 1)
    document.add_paragraph("Anna brings the cake.")
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Bo", "plates"
    return saved(document)


def slides() -> bytes:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Results"
    table = slide.shapes.add_table(1, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "North", "175"
    slide.notes_slide.notes_text_frame.text = "Say thanks."
    return saved(show)


def archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return out.getvalue()


def tarball(mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as packed:  # type: ignore[call-overload]
        entry = tarfile.TarInfo("trip/list.txt")
        entry.size = 5
        packed.addfile(entry, io.BytesIO(b"socks"))
        link = tarfile.TarInfo("trip/passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    return out.getvalue()


def picture() -> bytes:
    image = Image.new("RGB", (300, 200), (255, 0, 0))
    exif = Image.Exif()
    exif[0x010F] = "Leica"
    exif[0x8825] = {1: "S", 2: (33.0, 30.0, 0.0), 3: "E", 4: (151.0, 15.0, 0.0)}
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(8000)
        recording.writeframes(b"\0\0" * 16_000)
    return out.getvalue()


def database() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE boats (name TEXT, feet INTEGER)")
    connection.execute("INSERT INTO boats VALUES ('Nora', 31)")
    connection.commit()
    return connection.serialize()


def opendocument() -> bytes:
    space = 'xmlns:{0}="urn:oasis:names:tc:opendocument:xmlns:{0}:1.0"'
    names = " ".join(space.format(part) for part in ("office", "text", "table"))
    body = '<text:h text:outline-level="2">Boats</text:h><text:p>Nora<text:tab/>31 feet</text:p>'
    xml = f"<office:document-content {names}><office:body>{body}</office:body>"
    kind = b"application/vnd.oasis.opendocument.text"
    content = f"{xml}</office:document-content>".encode()
    return archive({"mimetype": kind, "content.xml": content})


PROTEIN = """HEADER    OXYGEN TRANSPORT                        01-JAN-20   1ABC
TITLE     A SMALL EXAMPLE
ATOM      1  N   GLY A   1      11.104   6.134  -6.504  1.00  0.00           N
ATOM      2  CA  GLY A   1      11.639   6.071  -5.147  1.00  0.00           C
ATOM      3  N   ALA A   2      12.104   7.134  -4.504  1.00  0.00           N
ATOM      4  N   SER B   1      13.104   7.134  -3.504  1.00  0.00           N
HETATM    5  O   HOH A 101      14.104   7.134  -2.504  1.00  0.00           O
END
"""
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["# Rain"]},
        {
            "cell_type": "code",
            "source": "print(2250)",
            "outputs": [{"output_type": "stream", "text": ["2250\n"]}],
        },
    ]
}
RAIN = "雨がたくさん降る町です"
WORDS = "Bergen has 2250 mm of rain."
# name → (how it is made, what has to stand in its text)
FILES: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "a.pdf": (lambda: pdf([WORDS]), [WORDS]),
    "pages.pdf": (lambda: pdf(["first", "second"]), ["[page 1]\nfirst", "[page 2]\nsecond"]),
    "table.pdf": (table_pdf, ["table:\ncity,rain\nBergen,2250\nOslo,763"]),
    "a.xlsx": (
        workbook,
        ["## Sheet\n| plot | owner |", "| B\\|C | Bo |", "=COUNTA(B2:B3)", "## Empty (empty)",
         "- 00FF00 (green): A2:B3, D7"],
    ),
    "a.docx": (word, ["# Minutes", "Anna brings the cake.", "| Bo | plates |"]),
    "a.pptx": (slides, ["Results", "| North | 175 |", "Say thanks."]),
    "a.html": (lambda: b"<h1>Hi</h1><p>there</p>", ["# Hi"]),
    "a.odt": (opendocument, ["## Boats", "Nora\t31 feet"]),
    "a.rtf": (lambda: rb"{\rtf1\ansi Caf\'e9 at {\b noon}\par}", ["Café at noon"]),
    "a.eml": (letter, ["Subject: The keys", "under the mat", "- mat.png (image/png, 3 bytes)"]),
    "a.ipynb": (lambda: json.dumps(NOTEBOOK).encode(), ["# Rain", "Output:\n2250"]),
    "a.pdb": (
        PROTEIN.encode,
        ["atoms: 4 of the chains, 1 others", "chain A: 2 residues", "chain B: 1 residues",
         "1 HOH", "ATOM      1  N   GLY A   1      11.104"],
    ),
    "a.sqlite": (database, ["table boats: 1 rows", "Nora, 31"]),
    "a.zip": (lambda: archive({"x/y.txt": b"hello"}), ["- x/y.txt (5 bytes)", "'a.zip/x/y.txt'"]),
    "a.tar.gz": (tarball, ["- trip/list.txt (5 bytes)"]),
    "a.txt.gz": (lambda: gzip.compress(b"hello"), ["'a.txt.gz/a.txt'"]),
    "a.jpg": (
        picture,
        ["300 x 200 pixels, JPEG", "Make: Leica", "latitude -33.500000, longitude 151.250000",
         "FE0000 100%"],
    ),
    "a.wav": (sound, ["sound recording (wav) of 0:02 (2.0 seconds)", "what is said in it"]),
    "a.toml": (lambda: b'name = "x"\n', ['name = "x"']),
    "a.srt": (lambda: b"1\n00:00:01,000 --> 00:00:02,000\nHello\n", ["Hello"]),
    "a.jsonld": (lambda: b'{"@id": "x"}', ['{"@id": "x"}']),
    "japanese.txt": (lambda: f"{RAIN}。\n".encode("shift_jis") * 20, [RAIN]),
}  # fmt: skip


@cache
def made(name: str) -> bytes:
    return FILES[name][0]()


def put(folder: Path, name: str, data: bytes) -> ReadFile:
    (folder / name).write_bytes(data)
    return ReadFile(folder)


@pytest.mark.parametrize("name", FILES)
def test_every_format(tmp_path: Path, name: str) -> None:
    text = put(tmp_path, name, made(name))(path=name)
    for part in FILES[name][1]:
        assert part in text, text


@pytest.mark.parametrize("name", ["a.pdf", "a.xlsx", "a.docx", "a.zip", "a.jpg", "a.sqlite"])
def test_a_wrong_ending_is_no_hindrance(tmp_path: Path, name: str) -> None:
    for wrong in ("file", "file.txt", "file.mp3"):
        text = put(tmp_path, wrong, made(name))(path=wrong)
        assert FILES[name][1][0].replace("a.zip/", f"{wrong}/") in text


class TestArchives:
    def test_members_also_of_archives_in_archives(self, tmp_path: Path) -> None:
        inner = archive({"deep/a.txt": b"deep", "a.pdf": made("a.pdf"), "../evil.txt": b"evil"})
        read = put(tmp_path, "o.zip", archive({"in.zip": inner, "t.tgz": tarball()}))
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
        read = put(tmp_path, "b.zip", archive({"big.txt": b"\0" * 150_000_000}))
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

    def test_a_model_that_sees_is_asked_with_the_question(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(made("a.jpg"))
        read = ReadFile(tmp_path, describe=lambda data, kind, asked: f"{kind} {asked}: red")
        assert "what a model sees in it:\n.jpg which colour?: red" in read("a.jpg", "which colour?")


DAMAGED = ["a.pdf", "a.xlsx", "a.docx", "a.pptx", "a.odt", "a.zip", "a.tar.gz", "a.jpg", "a.wav",
           "a.sqlite", "a.eml", "a.rtf"]  # fmt: skip


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
