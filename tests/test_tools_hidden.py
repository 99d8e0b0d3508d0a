"""What a reader of a file doesn't see is not read: a place for instructions to an agent."""

from email.message import EmailMessage
from io import BytesIO
from pathlib import Path

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.shared import Pt, RGBColor

from tests import older_files
from tests.every_file import made
from tools.formats.seen import seen
from tools.read_file import ReadFile

PAGE = (
    '<p>Grüße.</p><p style="display:none">secret</p><div hidden>secret</div><!-- secret -->'
    "<script>secret()</script><p>The end.</p>"
)


def letter() -> bytes:
    message = EmailMessage()
    message["Subject"] = "Grüße"
    message.set_content(PAGE, subtype="html")
    return bytes(message)


FILES = {
    "a.html": PAGE.encode(),
    "latin.html": f'<meta charset="iso-8859-1">{PAGE}'.encode("latin-1"),
    "a.eml": letter(),
    "a.epub": older_files.epub("Grüße", PAGE),
}


@pytest.mark.parametrize("name", FILES)
def test_in_pages_letters_and_books(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    text = ReadFile(tmp_path)(path=name)
    assert "Grüße" in text and "The end." in text
    assert "secret" not in text


def word() -> bytes:
    document = docx.Document()
    document.add_heading("Minutes", 1)
    paragraph = document.add_paragraph("Seen. ")
    paragraph.add_run("secret").font.hidden = True
    paragraph.add_run("secret").font.color.rgb = RGBColor(255, 255, 255)
    paragraph.add_run("secret").font.size = Pt(1)
    paragraph.add_run("Not hidden. ").font.hidden = False
    paragraph.add_run("Red. ").font.color.rgb = RGBColor(255, 0, 0)
    cell = document.add_table(rows=1, cols=1).cell(0, 0)
    shade = parse_xml(f'<w:shd {nsdecls("w")} w:val="clear" w:fill="000080"/>')
    cell._tc.get_or_add_tcPr().append(shade)
    cell.paragraphs[0].add_run("White on blue.").font.color.rgb = RGBColor(255, 255, 255)
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def test_in_word_files(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(word())
    text = ReadFile(tmp_path)(path="a.docx")
    assert "# Minutes" in text and "White on blue." in text
    assert "Seen. Not hidden. Red." in text


def test_what_hides_nothing_stays_as_it_is() -> None:
    for name, kind in (("a.docx", ".docx"), ("a.pptx", ".pptx"), ("a.pdf", ".pdf")):
        assert seen(made(name), kind) is made(name)
