"""A small web server on loopback for the tests of the web tools: each path is a page or a trap."""

import gzip
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

Page = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """Serves `pages` (path without its query → function) until left; keeps what it was asked.

    with Site({"/": text("<p>hello</p>")}) as site:
        site.url("/")
    """

    def __init__(self, pages: dict[str, Page], tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        handler = type("Handler", (_Handler,), {"pages": pages, "asked": self.asked})
        self._server = _Server(("127.0.0.1", 0), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def __enter__(self) -> "Site":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of 5, many calls at once would wait for a second try to connect


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[dict[str, Page]]
    asked: ClassVar[list[tuple[str, dict[str, str]]]]
    body = b""
    """What a POST brought."""

    def do_GET(self) -> None:
        self.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        page = self.pages.get(self.path.partition("?")[0], status(404))
        try:
            page(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def send(
    handler: BaseHTTPRequestHandler, body: bytes, headers: dict[str, str], code: int = 200
) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def body(data: bytes, kind: str = "text/html; charset=utf-8", **headers: str) -> Page:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: send(handler, data, {"Content-Type": kind, **more})


def text(html: str) -> Page:
    return body(html.encode())


def status(code: int, **headers: str) -> Page:
    return lambda handler: send(handler, b"no", headers, code)


def redirect(target: str | Callable[[], str]) -> Page:
    def page(handler: BaseHTTPRequestHandler) -> None:
        to = target if isinstance(target, str) else target()
        send(handler, b"", {"Location": to}, 302)

    return page


def endless(chunk: bytes, pause_seconds: float = 0.0) -> Page:
    """A body without an end, and, with a pause, almost without a pace."""

    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.end_headers()
        while True:
            handler.wfile.write(chunk)
            handler.wfile.flush()
            time.sleep(pause_seconds)

    return page


def slow_head(handler: BaseHTTPRequestHandler) -> None:
    """Headers that never end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-More: yes\r\n")
        handler.wfile.flush()
        time.sleep(0.05)


def silence(seconds: float) -> Page:
    return lambda _: time.sleep(seconds)


def broken(handler: BaseHTTPRequestHandler) -> None:
    """Less than was announced, then the end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"<p>half")
    handler.close_connection = True


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    handler.close_connection = True


def bomb(megabytes: int) -> Page:
    """A few kilobytes that unpack to `megabytes`."""

    def page(handler: BaseHTTPRequestHandler) -> None:
        packer = zlib.compressobj(9, wbits=31)
        packed = [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
        body(b"".join([*packed, packer.flush()]), Content_Encoding="gzip")(handler)

    return page


def trailing(data: bytes) -> Page:
    """A compressed page, and behind its end `data` without an end."""

    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.wfile.write(gzip.compress(b"<p>all of it</p>"))
        while True:
            handler.wfile.write(data)

    return page
