"""The model that sees pictures: asked over the real protocol, and no loss where it fails."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from agent.wiring.vision import describer
from settings import Settings
from tools.read_file import ReadFile


class Server(ThreadingHTTPServer):
    """Answers every request alike, and keeps what it was asked."""

    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.asked: list[dict] = []
        self.keys: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        self.server.keys.append(self.headers["Authorization"])
        message = {"role": "assistant", "content": "A red square."}
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "seer",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        }
        data = json.dumps(reply).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def settings(server: Server) -> Settings:
    return Settings(vision_url=server.url, vision_model="seer", vision_key="sesame")


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (255, 0, 0)).save(out, "PNG")
    return out.getvalue()


def test_it_is_sent_the_picture_and_the_question(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    read = ReadFile(tmp_path, describe=describer(settings(server)))
    text = read("a.png", "Which colour?")
    assert "40 x 30 pixels" in text
    assert "what a model sees in it:\nA red square." in text
    words, picture = server.asked[0]["messages"][0]["content"]
    assert "Which colour?" in words["text"]
    assert base64.b64decode(picture["image_url"]["url"].partition(",")[2]) == png()
    assert server.keys == ["Bearer sesame"]


def test_its_failure_loses_nothing_else(server: Server, tmp_path: Path) -> None:
    server.status = 401
    (tmp_path / "a.png").write_bytes(png())
    text = ReadFile(tmp_path, describe=describer(settings(server)))("a.png")
    assert "40 x 30 pixels" in text
    assert "can't be asked: AuthenticationError" in text
    assert "sesame" not in text


def test_without_settings_nobody_is_asked() -> None:
    assert describer(Settings()) is None
