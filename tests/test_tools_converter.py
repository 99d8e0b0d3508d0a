"""The processes that read files: limits that hold, faults that stay inside, many calls at once."""

import os
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from errors import ToolError
from tools import converter, documents
from tools.converter import Converter

LETTER = b"Subject: Hello\n\nfrom here\n"


@pytest.fixture
def few() -> Iterator[Converter]:
    made = Converter(2)
    yield made
    made.close()


def letter(few: Converter) -> str:
    """A document whose reader is quickly there."""
    return few.run("document", LETTER, name="a.eml", kind=".eml").decode()


def endless_pdf(pages: int) -> bytes:
    """A page of millions of drawn lines, a hundred times."""
    drawing = zlib.compress(b"1 1 m 500 500 l S " * 400_000)
    kids = " ".join(f"{n + 3} 0 R" for n in range(pages))
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {pages}/Kids[{kids}]>>".encode(),
        *[
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {pages + 3} 0 R>>".encode()
            for _ in range(pages)
        ],
        b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(drawing), drawing),
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj" % number + part + b"endobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1)
    out += b"".join(b"%010d 00000 n \n" % at for at in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(parts) + 1, start)
    return bytes(out)


def test_a_process_is_used_again_and_bounded_in_number(few: Converter) -> None:
    with ThreadPoolExecutor(50) as pool:
        texts = set(pool.map(lambda _: letter(few), range(50)))
    assert texts == {"Subject: Hello\n\nfrom here"}
    assert len(few._idle) <= 2
    assert sum(worker.served for worker in few._idle) >= 50


def test_the_process_of_a_large_app_is_kept(few: Converter) -> None:
    """A process's peak of memory counts from that of the process that started it."""
    large = bytearray(os.urandom(1 << 20)) * 700
    letter(few)
    assert len(few._idle) == 1
    del large


def test_a_document_that_takes_too_long_is_given_up(few: Converter) -> None:
    letter(few)
    started = time.monotonic()
    with pytest.raises(ToolError, match="longer than 1 seconds") as error:
        few.run("document", endless_pdf(100), name="a.pdf", kind=".pdf", seconds=1)
    assert error.value.seen_as is TimeoutError
    assert time.monotonic() - started < 5
    assert "Hello" in letter(few), "the next document is not held up"


def test_a_document_that_takes_too_much_memory_is_given_up(few: Converter) -> None:
    letter(few)
    large = LETTER + b"word " * 10_000_000
    with pytest.raises(ToolError, match="memory") as error:
        few.run("document", large, name="a.eml", kind=".eml", memory_bytes=200 << 20)
    assert error.value.seen_as is MemoryError
    assert "Hello" in letter(few)


def test_what_ends_the_process_ends_nothing_else(few: Converter) -> None:
    letter(few)
    for worker in few._idle:
        os.kill(worker._process.pid, 9)
        worker._process.wait()
    assert "Hello" in letter(few), "a dead process is not asked"


def test_the_process_has_no_network_and_writes_nothing(tmp_path: Path) -> None:
    from tools.converter_worker import _refuse

    for event, values in (
        ("socket.connect", (None, ("127.0.0.1", 80))),
        ("socket.getaddrinfo", ("example.org", 80, 0, 0, 0)),
        ("open", (str(Path.home() / "x.txt"), "w", 0)),
        ("subprocess.Popen", ("gs", ["gs", "-"], None, None)),
        ("os.system", (b"tesseract",)),
    ):
        with pytest.raises(PermissionError):
            _refuse(event, values, set())
    _refuse("open", ("/etc/hostname", "r", 0), set())
    _refuse("subprocess.Popen", ("tesseract", ["tesseract"], None, None), set())


def test_no_document_starts_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: Converter
) -> None:
    """Pillow would hand PostScript to Ghostscript, which has run its code more than once."""
    program, ran = tmp_path / "gs", tmp_path / "ran"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(ToolError, match="the picture is damaged"):
        few.run("document", script, name="cat.png", kind=".png")
    assert not ran.exists()


def test_nothing_secret_reaches_the_process(
    monkeypatch: pytest.MonkeyPatch, few: Converter
) -> None:
    monkeypatch.setenv("HEARTH_API_KEY", "sesame")
    letter(few)
    environment = Path(f"/proc/{few._idle[0]._process.pid}/environ")
    if not environment.exists():
        pytest.skip("this system shows no process's environment")
    assert b"sesame" not in environment.read_bytes()


def test_a_broken_installation_is_not_called_a_bad_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: Converter
) -> None:
    broken = tmp_path / "worker.py"
    broken.write_text("import nonesuch")
    monkeypatch.setattr(converter, "_WORKER", broken)
    with pytest.raises(RuntimeError, match=r"out of order: .*No module named 'nonesuch'"):
        letter(few)


def test_a_page_becomes_markdown_in_the_process() -> None:
    text = "A long sentence about the lighthouse of the island. " * 20
    page = f"<html><head><title>Towers</title></head><body><article><p>{text}</p></article></body>"
    assert documents.page_to_markdown(page, "https://a.example/x").startswith("# Towers\nA long")
    assert documents.page_to_markdown("") == ""
