"""Files that the agent's code made, as the page hands them out: to be looked at, never to run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from settings import load_settings
from web.publish import Publisher
from web.server import build_app
from web.visitors import Visitors

_PNG = b"\x89PNG\r\n\x1a\n" + b"\xff" * 64


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    def never() -> None:
        raise AssertionError("no session is needed")

    visitors = Visitors(never, 1)  # type: ignore[arg-type]
    settings = load_settings(tmp_path, data_dir=tmp_path / "data")
    app = build_app(visitors, settings, about=str, ready=lambda: True)
    yield TestClient(app)
    visitors.close()


def _published(tmp_path: Path, name: str, data: bytes) -> str:
    """The address of a file of the workspace, as the page would ask for it."""
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    (workspace / name).write_bytes(data)
    copy = Publisher(tmp_path / "data" / "uploads")(workspace, name)
    assert copy is not None
    return f"/gradio_api/file={copy}"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("page.html", b"<script>alert(1)</script>"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("page.xhtml", b"<html xmlns='http://www.w3.org/1999/xhtml'><script/></html>"),
        ("data.xml", b"<?xml-stylesheet href='x.xsl'?><a/>"),
        ("script.js", b"alert(1)"),
        ("nothing", b"<script>alert(1)</script>"),
        ("notes.txt", b"<script>alert(1)</script>"),
        ("plot.png", _PNG),
        ("plot.pdf", b"%PDF-1.4"),
    ],
)
def test_no_file_runs_in_the_page(
    client: TestClient, tmp_path: Path, name: str, data: bytes
) -> None:
    got = client.get(_published(tmp_path, name, data))
    assert got.status_code == 200 and got.content == data
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"
    shown = got.headers["content-type"].partition(";")[0]
    if name.endswith((".html", ".svg", ".xhtml", ".xml", ".js")) or "." not in name:
        assert got.headers["content-disposition"].startswith("attachment"), shown


def test_the_page_itself_is_not_held_back(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200 and "content-security-policy" not in page.headers
