"""A hub of models on loopback, with the faults that the real one and the way to it can have.

It serves one model's folder under any name; the name of the repository chooses the fault:
`missing`, `gated`, `refused` (the token), `private`, `slow` (in small pieces), `cut` (the
connection breaks once in the middle of the weights), `dead` (it breaks every time), `held` (half
of the weights, and the rest once `go_on` is set), `damaged`
(wrong bytes of the right length, the first time), `rotten` (every time), `down` (503).
"""

import contextlib
import hashlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "model.safetensors"
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz012345"


def hub_handler(
    folder: Path, asked: Counter[str], go_on: threading.Event | None = None
) -> type[BaseHTTPRequestHandler]:
    """A handler that serves `folder`; `asked` counts the requests for each repository's weights."""

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            parts = path.removeprefix("/api/models").split("/")
            if len(parts) < 3 or (path.startswith("/api/") and "/models/" not in path):
                self.fault = ""
                self.send_json(404, {"error": "no such page"})
                return
            self.fault = parts[2]
            if self.refuses(path):
                return
            if path.startswith("/api/models/"):
                rest = path.removeprefix("/api/models/").split("/")[2:]
                if rest[:1] == ["tree"]:
                    self.send_json(200, [self.entry(f) for f in files()])
                else:
                    self.send_json(200, self.info())
                return
            self.file(folder / path.rpartition("/")[2], body)

        def refuses(self, path: str) -> bool:
            authorised = TOKEN in self.headers.get("authorization", "")
            if self.fault == "down":
                self.send_json(503, {"error": "Service Unavailable"})
            elif self.fault == "missing" or (self.fault == "private" and not authorised):
                self.send_json(401, {"error": "Repository not found"}, "RepoNotFound")
            elif self.fault == "refused":
                self.send_json(401, {"error": "Invalid credentials in Authorization header"})
            elif self.fault == "gated" and (not path.startswith("/api/") or "auth-check" in path):
                self.send_json(403, {"error": "Access to model is restricted"}, "GatedRepo")
            else:
                return False
            return True

        def info(self) -> dict[str, object]:
            siblings = []
            for file in files():
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                entry = {"rfilename": file.name, "size": file.stat().st_size, "blobId": git(file)}
                if file.name == WEIGHTS:
                    entry["lfs"] = {"sha256": digest, "size": entry["size"], "pointerSize": 134}
                siblings.append(entry)
            gated = "manual" if self.fault == "gated" else False
            return {"id": "x", "sha": COMMIT, "siblings": siblings, "gated": gated}

        def entry(self, file: Path) -> dict[str, object]:
            entry = {"type": "file", "path": file.name, "size": file.stat().st_size}
            entry["oid"] = git(file)
            if file.name == WEIGHTS:
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                entry["lfs"] = {"oid": digest, "size": entry["size"], "pointerSize": 134}
            return entry

        def file(self, file: Path, body: bool) -> None:
            data = file.read_bytes()
            weights = file.name == WEIGHTS
            etag = hashlib.sha256(data).hexdigest() if weights else git(file)
            if body and weights:
                asked[self.fault] += 1
                wrong = self.fault == "rotten" or (self.fault == "damaged" and asked["damaged"] < 2)
                data = data[:-64] + bytes(64) if wrong else data
            start = 0
            if (wanted := self.headers.get("range", "")).startswith("bytes="):
                start = int(wanted.removeprefix("bytes=").split("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("etag", f'"{etag}"')
            self.send_header("x-repo-commit", COMMIT)
            self.send_header("content-length", str(len(data) - start))
            if start:
                self.send_header("content-range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if weights:
                self.send_header("x-linked-size", str(len(data)))
                self.send_header("x-linked-etag", f'"{etag}"')
            self.end_headers()
            if body:
                self.send(data[start:], weights)

        def send(self, data: bytes, weights: bool) -> None:
            broken = self.fault == "dead" or (self.fault == "cut" and asked["cut"] < 2)
            if weights and broken:
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                self.close_connection = True
            elif weights and self.fault == "held":
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                assert go_on is not None and go_on.wait(120)
                with contextlib.suppress(ConnectionError):  # the client may have begun anew
                    self.wfile.write(data[len(data) // 2 :])
            elif weights and self.fault == "slow":
                for at in range(0, len(data), len(data) // 8 or 1):
                    self.wfile.write(data[at : at + (len(data) // 8 or 1)])
                    self.wfile.flush()
                    time.sleep(0.3)
            else:
                self.wfile.write(data)

        def send_json(self, status: int, data: object, code: str = "") -> None:
            text = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.send_header("content-type", "application/json")
            if code:
                self.send_header("x-error-code", code)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    def files() -> list[Path]:
        return sorted(p for p in folder.iterdir() if p.is_file())

    return Hub


def git(file: Path) -> str:
    """The name that git gives a file's bytes."""
    data = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
