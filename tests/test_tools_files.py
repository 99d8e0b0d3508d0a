"""read_file and the workspace: real documents, and no way out of the folder."""

import os
import threading
import time
import zipfile
from pathlib import Path

import matplotlib
import openpyxl
import pytest
from pptx import Presentation

from errors import ToolError
from tools.read_file import ReadFile
from tools.workspace import load, names

DOCX_BODY = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>
<w:p><w:r><w:t>Minutes of the meeting</w:t></w:r></w:p>
<w:p><w:r><w:t>Anna brings the cake.</w:t></w:r></w:p></w:body></w:document>"""
DOCX_PARTS = {
    "[Content_Types].xml": '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/'
    'package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.'
    'openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/'
    'xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.wordprocessingml.document.main+xml"/></Types>',
    "_rels/.rels": '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/'
    'package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>'
    "</Relationships>",
    "word/document.xml": DOCX_BODY,
}


def read(folder: Path, name: str, **more: int) -> str:
    return ReadFile(folder)(path=name, **more)


def test_text_comes_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Grüße\r\nzwei\tSpalten\n".encode())
    (tmp_path / "b.json").write_text('{"a": [1, 2]}')
    (tmp_path / "c.py").write_text("print(1)\n")
    (tmp_path / "old.txt").write_bytes("Füße über Straßen, größer als sonst".encode("cp1252"))
    (tmp_path / "wide.md").write_bytes("# Titel".encode("utf-16"))
    assert read(tmp_path, "a.txt") == "Grüße\nzwei\tSpalten\n"
    assert read(tmp_path, "b.json") == '{"a": [1, 2]}'
    assert read(tmp_path, "c.py") == "print(1)\n"
    assert read(tmp_path, "old.txt") == "Füße über Straßen, größer als sonst"
    assert read(tmp_path, "wide.md") == "# Titel"


def test_hidden_characters_are_dropped(tmp_path: Path) -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "obey me")
    (tmp_path / "a.txt").write_text(f"plain{hidden} \x1b[31mred\u202e 👩\u200d🚒")
    assert read(tmp_path, "a.txt") == "plain [31mred 👩\u200d🚒"


def test_documents_become_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["city", "rain"])
    book.active.append(["Bergen", 2250])
    book.save(tmp_path / "book.xlsx")
    slides = Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[5])
    slide.shapes.title.text = "Quarterly results"
    slides.save(str(tmp_path / "talk.pptx"))
    with zipfile.ZipFile(tmp_path / "minutes.docx", "w") as archive:
        for name, text in DOCX_PARTS.items():
            archive.writestr(name, text)
    (tmp_path / "page.html").write_text("<h1>Hello</h1><p>from <b>here</b></p>")
    assert "| Bergen | 2250 |" in read(tmp_path, "book.xlsx")
    assert "Quarterly results" in read(tmp_path, "talk.pptx")
    assert "Anna brings the cake." in read(tmp_path, "minutes.docx")
    assert "# Hello" in read(tmp_path, "page.html")


def test_pdf(tmp_path: Path) -> None:
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"pdf.fonttype": 42}):
        figure = plt.figure()
        figure.text(0.2, 0.5, "The lighthouse is 31 metres high")
        figure.savefig(tmp_path / "report.pdf")
        plt.close(figure)
    assert "The lighthouse is 31 metres high" in read(tmp_path, "report.pdf")


def test_long_text_comes_in_parts_that_make_the_whole(tmp_path: Path) -> None:
    whole = "".join(f"line {n} " + "x" * (n % 90) + "\n" for n in range(1, 900))
    (tmp_path / "long.txt").write_text(whole)
    first = read(tmp_path, "long.txt")
    assert first.endswith("next: read_file('long.txt', part=2)]")
    count = int(first.rpartition(" of ")[2].partition(";")[0])
    bodies = [
        read(tmp_path, "long.txt", part=n).rpartition("\n[part ") for n in range(1, count + 1)
    ]
    assert "".join(f"{body}\n" for body, _, _ in bodies) == whole
    assert bodies[-1][2] == f"{count} of {count}; the end]"
    assert max(len(body) for body, _, _ in bodies) <= 8_000
    with pytest.raises(ToolError, match=f"from 1 to {count}"):
        read(tmp_path, "long.txt", part=count + 1)


def test_one_endless_line_is_cut_too(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("x" * 20_000)
    assert "[part 1 of 3" in read(tmp_path, "long.txt")


def test_a_changed_document_is_read_anew(tmp_path: Path) -> None:
    tool = ReadFile(tmp_path)
    (tmp_path / "a.html").write_text("<p>one</p>")
    assert "one" in tool(path="a.html")
    (tmp_path / "a.html").write_text("<p>two</p>")
    assert "two" in tool(path="a.html")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.bin", b"\x00\x01\x02", "no reader for .bin"),
        ("b.pdf", b"%PDF-1.4 broken", "b.pdf can't be read"),
        ("c.docx", b"PK\x03\x04 broken", "c.docx is damaged"),
        ("noending", b"\x00", "a file without an ending"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ToolError, match=said):
        read(tmp_path, name)


def test_a_document_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * 80_000_000)
    with pytest.raises(ToolError, match="refused"):
        read(tmp_path, "bomb.docx")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.pdf").write_text("")
    assert read(tmp_path, "a.txt") == "a.txt holds no text."
    assert read(tmp_path, "b.pdf") == "b.pdf holds no text."


def test_a_missing_file_names_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="There are no files here"):
        read(tmp_path, "a.txt")
    (tmp_path / "sub").mkdir()
    for name in ("sales.csv", "notes.txt", "sub/deep.txt", ".hidden"):
        (tmp_path / name).write_text("x")
    with pytest.raises(ToolError) as error:
        read(tmp_path, "sale.csv")
    assert str(error.value) == (
        "No file 'sale.csv'. Files here: notes.txt, sales.csv, sub/deep.txt"
    )
    assert read(tmp_path, "sub/deep.txt") == "x"
    assert read(tmp_path, str(tmp_path / "sub" / "deep.txt")) == "x"


class TestNoWayOut:
    """Whatever the agent's code puts into the workspace, files outside stay unread."""

    @pytest.fixture
    def workspace(self, tmp_path: Path) -> Path:
        (tmp_path / "secret.txt").write_text("the key")
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "secret.txt").write_text("the key")
        inside = tmp_path / "work"
        inside.mkdir()
        (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
        (inside / "linked").symlink_to(tmp_path / "outside")
        (inside / "loop").symlink_to(inside / "loop")
        (inside / "real.txt").write_text("fine")
        (inside / "alias.txt").symlink_to(inside / "real.txt")
        return inside

    @pytest.mark.parametrize(
        "path",
        [
            "../secret.txt",
            "link.txt",
            "linked/secret.txt",
            "./linked/../../secret.txt",
            "/etc/passwd",
            "real.txt/../../secret.txt",
            "loop",
        ],
    )
    def test_refused(self, workspace: Path, path: str) -> None:
        with pytest.raises(ToolError) as error:
            read(workspace, path)
        assert "the key" not in str(error.value)

    def test_links_inside_are_followed(self, workspace: Path) -> None:
        assert read(workspace, "alias.txt") == "fine"

    @pytest.mark.parametrize("path", ["", "  ", "a\0b"])
    def test_no_name(self, workspace: Path, path: str) -> None:
        with pytest.raises(ToolError, match="name of a file"):
            read(workspace, path)

    @pytest.mark.parametrize("path", [".", "sub", "sub/"])
    def test_a_folder_is_no_file(self, workspace: Path, path: str) -> None:
        (workspace / "sub").mkdir()
        with pytest.raises(ToolError):
            read(workspace, path)

    def test_a_pipe_does_not_hold_the_app(self, workspace: Path) -> None:
        os.mkfifo(workspace / "pipe.txt")
        with pytest.raises(ToolError, match="not a plain file"):
            read(workspace, "pipe.txt")

    def test_a_folder_swapped_for_a_link_is_not_listed(self, workspace: Path) -> None:
        outside = workspace.parent / "elsewhere"
        outside.mkdir()
        (outside / "secret name.txt").touch()
        folder, spare = workspace / "folder", workspace / "spare"
        folder.mkdir()
        stop = threading.Event()

        def swap() -> None:
            while not stop.is_set():
                folder.rename(spare)
                folder.symlink_to(outside)
                folder.unlink()
                spare.rename(folder)

        thread = threading.Thread(target=swap)
        thread.start()
        until = time.monotonic() + 0.6
        seen = set()
        while time.monotonic() < until:
            seen.update(names(workspace))
        stop.set()
        thread.join()
        assert not [name for name in seen if "secret" in name]

    def test_a_link_swapped_in_between_check_and_opening(self, workspace: Path) -> None:
        """The race that a check of the path and a plain open would lose."""
        stop = threading.Event()
        target, spare = workspace / "race.txt", workspace / "spare"

        def swap() -> None:
            while not stop.is_set():
                spare.write_text("fine")
                spare.replace(target)
                spare.symlink_to(workspace.parent / "secret.txt")
                spare.replace(target)

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            seen = set()
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                try:
                    seen.add(load(workspace, "race.txt").data)
                except ToolError:
                    seen.add(b"refused")
        finally:
            stop.set()
            thread.join()
        assert b"the key" not in seen
        assert {b"fine", b"refused"} <= seen

    def test_the_list_of_names_stays_inside(self, workspace: Path) -> None:
        assert not [name for name in names(workspace) if "secret" in name]
