"""A real file of every format that read_file reads, and what has to stand in its text."""

import gzip
import io
import json
import sqlite3
import tarfile
import wave
from collections.abc import Callable
from email.message import EmailMessage
from functools import cache
from pathlib import Path

import docx
import openpyxl
from openpyxl.styles import PatternFill
from PIL import Image
from pptx import Presentation
from pptx.util import Inches
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen import canvas
from reportlab.platypus import SimpleDocTemplate, Table, TableStyle

from tests import older_files
from tests.older_files import zipped


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


def letter_of_outlook() -> bytes:
    return older_files.msg("ida@example.org", "bo@example.org", "The keys", "Under the mat.")


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
VIDEOS = Path(__file__).with_name("fixtures") / "videos"
RAINS = [["city", "rain"], ["Bergen", 2250.0], ["Tromsø", 1031.5]]
RAINS_SHOWN = ["## Rain\n| city | rain |", "| Bergen | 2250 |", "| Tromsø | 1031.5 |"]
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
    "a.odt": (
        lambda: older_files.opendocument(
            "text",
            '<text:h text:outline-level="2">Boats</text:h><text:p>Nora<text:tab/>31 feet</text:p>',
        ),
        ["## Boats", "Nora\t31 feet"],
    ),
    "a.odp": (
        lambda: older_files.odp(["Results", "North 175"], ["Thanks"]),
        ["Results\nNorth 175\nThanks"],
    ),
    "a.ods": (lambda: older_files.ods("Rain", RAINS), RAINS_SHOWN),
    "a.xls": (lambda: older_files.xls("Rain", RAINS), RAINS_SHOWN),
    "a.xlsb": (lambda: older_files.xlsb("Rain", RAINS), RAINS_SHOWN),
    "a.epub": (
        lambda: older_files.epub("The Sea", "<h1>One</h1><p>It was calm.</p>", "<p>It rose.</p>"),
        ["The Sea", "# One\n\nIt was calm.", "It rose."],
    ),
    "a.mp3": (
        lambda: (b"\xff\xfb\x90\x00" + bytes(413)) * 100,
        ["sound recording (mp3) of 0:02 (2.6 seconds)", "samples a second: 44100"],
    ),
    **{
        f"clip{kind}": ((VIDEOS / f"clip{kind}").read_bytes, [f"a video ({kind[1:]}", said])
        for kind, said in {
            ".mp4": "of 0:02 (2.0 seconds)", ".mov": "of 0:02 (2.0 seconds)", ".avi": "7510 bytes",
            ".mkv": "906 bytes", ".webm": "664 bytes",
        }.items()
    },
    "a.rtf": (lambda: rb"{\rtf1\ansi Caf\'e9 at {\b noon}\par}", ["Café at noon"]),
    "a.eml": (letter, ["Subject: The keys", "under the mat", "- mat.png (image/png, 3 bytes)"]),
    "a.ipynb": (lambda: json.dumps(NOTEBOOK).encode(), ["# Rain", "Output:\n2250"]),
    "a.pdb": (
        PROTEIN.encode,
        ["atoms: 4 of the chains, 1 others", "chain A: 2 residues", "chain B: 1 residues",
         "1 HOH", "ATOM      1  N   GLY A   1      11.104"],
    ),
    "a.sqlite": (database, ["table boats: 1 rows", "Nora, 31"]),
    "a.zip": (lambda: zipped({"x/y.txt": b"hello"}), ["- x/y.txt (5 bytes)", "'a.zip/x/y.txt'"]),
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
