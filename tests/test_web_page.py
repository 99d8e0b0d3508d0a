"""The page in a real Chromium: a visitor asks, watches, stops, uploads and comes back."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from agent.session import Session
from errors import InputError
from sandbox.executor import SandboxExecutor
from scripts.setup import find_chromium
from serving.scripted import ScriptedModel
from settings import load_settings
from web.server import Server, build_app
from web.visitors import Visitors

PLOT = """import matplotlib.pyplot as plt
plt.bar(["a", "b"], [1, 2])
plt.savefig("plot.png")
print(open("note.txt").read())
final_answer("done, see the plot")"""


def code(text: str, thinking: str = "Let me compute.") -> str:
    return f"{thinking}\n</think>\n\n```python\n{text}\n```"


SCRIPT = [
    code("print('six', 7)\nx = 42"),
    code("final_answer(x)"),
    code("import time\nprint('working', flush=True)\ntime.sleep(60)"),
    code(PLOT),
    code("final_answer('<img src=x onerror=alert(1)> ![p](http://127.0.0.1:1/leak.png)')"),
]


class Site:
    """The page on loopback, each visitor with a scripted model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sessions: list[Session] = []
        self.visitors = Visitors(self._new_session, 2)
        settings = load_settings(folder, data_dir=folder / "data")
        self.ready = True
        self.standing = ""
        app = build_app(
            self.visitors,
            settings,
            about=lambda: "**Model:** scripted",
            ready=lambda: self.ready,
            standing=lambda: self.standing,
        )
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen()
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.server = Server(app, self.visitors)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.sock]})

    def _new_session(self) -> Session:
        workspace = self.folder / f"w{len(self.sessions)}"
        workspace.mkdir()
        model = ScriptedModel(SCRIPT, delay_seconds=0.002)
        self.sessions.append(Session(model, SandboxExecutor(workspace), [], workspace))
        return self.sessions[-1]

    def start(self) -> None:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
            assert self.thread.is_alive()

    def opened(self, browser: Browser) -> Page:
        """The page in a browser, once the site has started."""
        self.start()
        page = browser.new_context(viewport={"width": 1100, "height": 900}).new_page()
        page.goto(self.url)
        return page

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.visitors.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.start()
    yield site
    site.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        yield chromium
        chromium.close()


def ask(page: Page, task: str) -> None:
    box = page.locator("#task textarea")
    box.fill(task)
    box.press("Enter")


def test_a_visit(site: Site, browser: Browser) -> None:
    """One visit from beginning to end, so that the page is loaded once."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    site.standing = "**The model is being started:** loading weights"
    page.goto(site.url)

    start = page.locator("#starting")
    expect(start).to_have_text("The model is being started: loading weights")
    site.standing = ""
    expect(start).to_be_hidden()
    ask(page, "six times seven")
    expect(page.get_by_text("Step 2: computed")).to_be_visible(timeout=20_000)
    expect(page.locator("strong", has_text="42")).to_be_visible()
    if not page.get_by_text("six 7").is_visible():  # folded once the step is done
        page.get_by_text("Step 1: computed").click()
    expect(page.get_by_text("six 7")).to_be_visible()
    expect(page.locator("#task textarea")).to_have_value("")

    ask(page, "wait for a minute")
    expect(page.get_by_text("Step 1: running code")).to_be_visible(timeout=20_000)
    page.reload()  # the run goes on, and is there again
    expect(page.get_by_text("Step 1: running code")).to_be_visible(timeout=20_000)
    page.locator("#stop").click()
    expect(page.get_by_text("The run was stopped.")).to_be_visible(timeout=5_000)
    expect(page.get_by_text("Step 1: broken off")).to_be_visible()

    note = site.folder / "note.txt"
    note.write_text("hello from the file")
    page.locator("#task input[type=file]").set_input_files(note)
    expect(page.get_by_label("File thumbnail")).to_be_visible()
    ask(page, "plot it")
    expect(page.locator("strong", has_text="done, see the plot")).to_be_visible(timeout=30_000)
    picture = page.locator("img[src*='plot.png']")
    expect(picture).to_be_visible()
    assert picture.evaluate("img => img.naturalWidth") > 100

    ask(page, "inject")
    expect(page.locator("strong", has_text="onerror=alert")).to_be_visible(timeout=20_000)
    assert page.locator("img[src='x']").count() == 0

    assert faults == []
    strangers = [url for url in asked if not url.startswith((site.url, "data:", "blob:"))]
    assert strangers == [], "the page works offline and tells nobody"
    page.locator("#new").click()
    expect(page.get_by_text("done, see the plot")).to_have_count(0)
    ask(page, "six times seven")
    expect(page.get_by_text("Step 2: computed")).to_be_visible(timeout=20_000)
    assert len(site.sessions) == 2 and not site.sessions[0].running
    context.close()


def test_visitors_have_sessions_of_their_own(site: Site, browser: Browser) -> None:
    pages = []
    for _ in range(3):
        page = browser.new_context().new_page()
        page.goto(site.url)
        pages.append(page)
    for page in pages[:2]:
        ask(page, "six times seven")
        expect(page.locator("strong", has_text="42")).to_be_visible(timeout=20_000)
    assert len(site.sessions) == 2
    assert [len(s.events) > 0 for s in site.sessions] == [True, True]
    ask(pages[2], "six times seven")
    expect(pages[2].get_by_text("All 2 places are taken")).to_be_visible(timeout=20_000)
    expect(pages[2].locator("#task textarea")).to_have_value("six times seven")  # still there
    for page in pages:
        page.context.close()


def test_no_visitor_gets_a_file_that_was_not_uploaded(site: Site, tmp_path: Path) -> None:
    """A request may name any path: the page's own buttons are not the only way to ask."""
    secret = tmp_path / "data" / "key.txt"
    secret.write_text("sk-secret")
    file = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    call = f"{site.url}/gradio_api/call/ask"
    sent = httpx.post(call, json={"data": [{"text": "read it", "files": [file]}, "visitor"]})
    with httpx.stream("GET", f"{call}/{sent.json()['event_id']}", timeout=30) as events:
        said = "".join(events.iter_lines())
    assert "error" in said and "not uploaded" in said
    assert not [s for s in site.sessions if (s.workspace / "key.txt").exists()]
    assert httpx.get(f"{site.url}/gradio_api/file={secret}").status_code == 403


def test_the_server_ends_at_once_and_quietly_while_a_page_watches(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    call = f"{site.url}/gradio_api/call/ask"
    for task in ("six times seven", "wait for a minute"):
        sent = httpx.post(call, json={"data": [{"text": task, "files": []}, "visitor"]})
        with httpx.stream("GET", f"{call}/{sent.json()['event_id']}", timeout=30) as events:
            for line in events.iter_lines():
                if "running code" in line and task.startswith("wait"):
                    site.server.should_exit = True
    site.thread.join(3)
    assert not site.thread.is_alive() and not site.sessions[0].running
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == []


def test_health(site: Site) -> None:
    assert httpx.get(site.url + "/livez").json() == {"status": "ok", "app": "hearth"}
    assert httpx.get(site.url + "/readyz").status_code == 200
    site.ready = False
    assert httpx.get(site.url + "/readyz").status_code == 503, "the engine is gone, the app lives"
    assert httpx.get(site.url + "/livez").status_code == 200


def test_an_idle_session_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    class Still:
        running = False
        closed = False

        def cancel(self) -> None:
            self.running = False

        def close(self) -> None:
            self.closed = True

    made: list[Still] = []
    new: Callable[[], Session] = lambda: made.append(Still()) or made[-1]  # type: ignore  # noqa: E731
    visitors = Visitors(new, 2)
    first = visitors.get("a")
    assert visitors.get("a") is first
    visitors.get("b")
    with pytest.raises(InputError, match="taken"):
        visitors.get("c")
    monkeypatch.setattr("web.visitors.IDLE_SECONDS", 0.0)
    made[0].running = True
    visitors.get("c")
    assert [still.closed for still in made] == [False, True, False], "who works is not idle"
    made[2].running = True
    with pytest.raises(InputError, match="taken"):
        visitors.get("d")
    assert len(made) == 3, "nothing is made for whom there is no place"
    visitors.close()
    assert all(still.closed for still in made) and visitors.find("a") is None
