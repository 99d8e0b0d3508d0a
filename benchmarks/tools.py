"""How fast the tools are: pages to Markdown, documents to text, the search cache, one call of each.

    python -m benchmarks.tools [--pages 20] [--json FILE]

Everything is made here and served on loopback. The same pages go through smolagents' own
`VisitWebpageTool` in the same run, round by round, so that a busy machine slows both.
"""

import argparse
import http.server
import json
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SENTENCE = "Mount Kenya is the highest mountain of Kenya and the second highest of Africa. "
ROUNDS = 3


def article(number: int, paragraphs: int = 40) -> str:
    """A page as the web has them: much around an article."""
    menu = "".join(f"<li><a href='/p{n}'>Menu entry {n}</a></li>" for n in range(60))
    text = "".join(f"<p>{SENTENCE * 4}<b>{number}.{n}</b></p>" for n in range(paragraphs))
    rows = "".join(f"<tr><td>row {n}</td><td>{n * n}</td></tr>" for n in range(30))
    return (
        f"<html><head><title>Article {number}</title><script>var x = 1;</script></head><body>"
        f"<nav><ul>{menu}</ul></nav><article><h1>Article {number}</h1>{text}"
        f"<table><tr><th>name</th><th>square</th></tr>{rows}</table></article>"
        f"<footer>{menu}</footer></body></html>"
    )


@contextmanager
def website(pages: list[str]) -> Iterator[str]:
    """The pages on loopback, at /0, /1 and so on."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = pages[int(self.path.strip("/"))].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def seconds(call: Callable[[], Any]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def pages_per_second(count: int) -> dict[str, Any]:
    """Ours against smolagents' own on the same pages; the best of some rounds, and their sizes."""
    from smolagents import VisitWebpageTool

    from tools.visit_webpage import VisitWebpage

    pages = [article(n) for n in range(count)]
    with website(pages) as url:
        host = url.removeprefix("http://")
        # A new one for each round: ours keeps the pages that it has read.
        sides: dict[str, Callable[[], Callable[[str], str]]] = {
            "hearth": lambda: VisitWebpage(allow=[host]),
            "smolagents": VisitWebpageTool,
        }
        found: dict[str, Any] = {}
        for name, make in sides.items():
            text = make()(f"{url}/0")  # the libraries come in with the first call
            found[name] = {"characters": len(text), "menu_kept": "Menu entry 5" in text}
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, make in sides.items():
                tool = make()
                walk = lambda tool=tool: [tool(f"{url}/{n}") for n in range(count)]  # noqa: E731
                times[name].append(seconds(walk))
        for name in sides:
            found[name]["pages_per_second"] = round(count / min(times[name]), 1)
    return found


def make_documents(folder: Path) -> None:
    """One file of each format, made by the libraries that people make them with."""
    import docx
    import openpyxl
    import pptx

    text = "\n".join(SENTENCE * 2 for _ in range(60))
    (folder / "note.txt").write_text(text)
    (folder / "page.html").write_text(article(1))
    (folder / "data.json").write_text(json.dumps([{"n": n, "text": SENTENCE} for n in range(200)]))
    (folder / "table.csv").write_text("a,b\n" + "".join(f"{n},{n * n}\n" for n in range(2000)))
    book = openpyxl.Workbook()
    for n in range(500):
        book.active.append([n, n * n, SENTENCE])
    book.save(folder / "table.xlsx")
    document = docx.Document()
    for line in text.splitlines():
        document.add_paragraph(line)
    document.save(str(folder / "text.docx"))
    slides = pptx.Presentation()
    for n in range(10):
        slide = slides.slides.add_slide(slides.slide_layouts[1])
        slide.shapes.title.text = f"Slide {n}"
        slide.placeholders[1].text = SENTENCE
    slides.save(str(folder / "slides.pptx"))


def documents_per_second() -> dict[str, float]:
    """read_file on one document of each format, a fresh tool each time so that nothing is kept."""
    from tools.read_file import ReadFile

    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_documents(folder)
        for path in sorted(folder.iterdir()):
            read = lambda path=path: ReadFile(folder)(path=path.name)  # noqa: E731
            read()
            times = [seconds(read) for _ in range(ROUNDS)]
            found[path.suffix[1:]] = round(1 / statistics.median(times), 1)
    return found


def gate_microseconds() -> float:
    """What the gate and the record add to one call of a tool that does nothing."""
    from agent.gate import Gate
    from agent.recorder import Recorder
    from tools.search_notes import SearchNotes

    tool = SearchNotes(lambda query: "1. a.md: x")
    wrapped = Recorder().wrap(Gate().wrap({tool.name: tool}))[tool.name]

    def through() -> None:
        for _ in range(1000):
            wrapped.admit({"query": "x"})
            wrapped(query="x")

    def plain() -> None:
        for _ in range(1000):
            tool(query="x")

    return round((min(map(seconds, [through] * 5)) - min(map(seconds, [plain] * 5))) * 1000, 1)


def cache_microseconds() -> float:
    """How long web_search takes for what it has looked up before, from its file on disk."""
    from tools.search_chain import SearchChain
    from tools.web_search import SearchResult, WebSearch
    from tools.web_state import WebState

    class Engine:
        name = identity = "made here"
        gap_seconds = 0.0
        asked = 0

        def __call__(self, query: str, max_results: int) -> list[SearchResult]:
            self.asked += 1
            numbers = range(max_results)
            return [SearchResult(f"T {n}", f"https://a.example/{n}", SENTENCE) for n in numbers]

    engine = Engine()
    with tempfile.TemporaryDirectory() as name:
        tool = WebSearch(SearchChain([engine], WebState(Path(name) / "web.sqlite"), 3600))
        tool(query="height of Mount Kenya")
        took = min(seconds(lambda: tool(query="height of Mount Kenya")) for _ in range(50))
    assert engine.asked == 1, "all but the first came from the file"
    return round(took * 1e6, 1)


def main() -> None:
    """Measure, print, and write down where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "pages": pages_per_second(given.pages),
        "documents_per_second": documents_per_second(),
        "gate_microseconds_a_call": gate_microseconds(),
        "search_cache_hit_microseconds": cache_microseconds(),
    }
    text = json.dumps(found, indent=2)
    sys.stdout.write(text + "\n")
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
