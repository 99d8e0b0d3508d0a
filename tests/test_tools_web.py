"""visit_webpage against a website on loopback: what becomes of its pages."""

import gzip
import io
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import openpyxl
import pytest

from tests.trap_site import (
    Page,
    Site,
    body,
    broken,
    endless,
    redirect,
    send,
    text,
)
from tests.web_help import browser, visit
from tools.fetch import Limits, fetch
from tools.pages import Pages
from tools.visit_webpage import VisitWebpage
from tools.web_state import WebState

pytestmark = pytest.mark.usefixtures("no_proxy")

ARTICLE = """<!doctype html><html><head><title>Lighthouses</title></head><body>
<nav><a href="/a">Home</a></nav><article><h1>Lighthouses</h1>
<p>The lighthouse of Rubjerg Knude is twenty-three metres high and stands on the coast.</p>
<table><tr><th>name</th><th>height</th></tr><tr><td>Rubjerg</td><td>23</td></tr></table>
<p>It was first lit on 27 December 1900 and moved inland in 2019 on rails.</p></article>
<script>alert("no")</script></body></html>"""


# What a reader doesn't see is called secret here.
HIDDEN = """<html><head><style>.gone, #away { display: none }
p.faint {visibility : hidden} @media print {.onscreen {display:none}}</style></head><body><article>
<!-- secret --><p>First. <span style="display: none">secret</span>Its end.</p>
<p class=gone>secret</p><p id=away>secret</p><p class=faint>secret</p>
<p class=onscreen>On the screen.</p>
<div aria-hidden="true">secret</div><p hidden>secret</p><p style="font-size:0px">secret</p>
<p style="color:#FFF">secret</p><p style="color: transparent">secret</p>
<div style="background:#000"><span style="color:white">White on black.</span></div>
<div style="background-color: #eee"><span style="color:#eee">secret</span></div>
<p style="position:absolute; left:-9999px">secret</p><p style="opacity:0">secret</p>
<p style="width:0;height:0;overflow:hidden">secret</p>
<p style="overflow:hidden;height:1px">secret</p>
<p style="opacity: 0.8; font-size: 0.9em; overflow: hidden; height: 100px">Faint and small.</p>
<p>A\u200bword\u202e and \U000e0041tags.</p><template>secret</template><noscript>secret</noscript>
<span class="mwe-math-element"><span style="display:none">secret</span>
<img class="mwe-math-fallback-image" aria-hidden="true" alt="E=mc^2"></span></article></body>"""


LIST = (
    "<html><title>Winners</title><body><nav><a href='/'>Home</a></nav><ul>"
    + "".join(f"<li><a href='/y{y}'>Winner {y}</a></li>" for y in range(1950, 2000))
    + "</ul><footer>Imprint</footer></body></html>"
)


def xlsx() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["city", "rain"])
    book.active.append(["Bergen", 2250])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def needs_a_cookie(handler: BaseHTTPRequestHandler) -> None:
    """Redirects to itself until its cookie comes back, as publishers' sites do."""
    if "seen=1" in handler.headers.get("Cookie", ""):
        send(handler, b"<p>welcome back</p>", {"Content-Type": "text/html"})
    else:
        send(handler, b"", {"Location": "/cookie", "Set-Cookie": "seen=1; Path=/"}, 302)


PAGES: dict[str, Page] = {
    "/article": text(ARTICLE),
    "/plain": body(b"just text\r\nin lines", "text/plain"),
    "/json": body(b'{"a": 1}', "application/json"),
    "/zipped": body(gzip.compress(ARTICLE.encode()), Content_Encoding="gzip"),
    "/latin": body("<p>Grüße aus Köln</p>".encode("latin-1"), "text/html; charset=iso-8859-1"),
    "/meta": body('<meta charset="cp1251"><p>Привет, мир</p>'.encode("cp1251"), "text/html"),
    "/wrong": body("<p>Grüße aus Köln</p>".encode(), "text/html; charset=ascii"),
    "/unknown": body("<p>Grüße aus Köln</p>".encode(), "text/html; charset=klingon"),
    "/book.xlsx": body(xlsx(), "application/octet-stream"),
    "/empty": body(b""),
    "/long": text("<article>" + "".join(f"<p>Sentence {n} is here.</p>" for n in range(2000))),
    "/moved": redirect("/article"),
    "/drip": endless(b"<p>.</p>", 0.05),
    "/broken": broken,
    "/cookie": needs_a_cookie,
    "/robots.txt": body(b"User-agent: *\nDisallow: /private\n", "text/plain"),
    "/private": text("<p>open to all who ask</p>"),
    "/script": text('<div id="root"></div><script>draw()</script>'),
    "/braces": text("".join(f"<p>Line {n} of this.</p>" for n in range(2000))),
    "/latin-said": body("<p>Grüße aus Köln</p>".encode(), "text/html; charset=iso-8859-1"),
    "/hidden": text(HIDDEN),
    "/list": text(LIST),
    "/linked": text('<article><p>See <a href="/article#top">the lighthouses</a>.</p></article>'),
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(PAGES) as running:
        yield running


class TestPages:
    def test_an_article_becomes_markdown(self, site: Site) -> None:
        shown = visit(site, "/article")
        assert shown.startswith("# Lighthouses\n")
        assert "twenty-three metres high" in shown
        assert "| Rubjerg | 23 |" in shown
        assert "alert" not in shown
        assert shown.count("# Lighthouses") == 1

    @pytest.mark.parametrize("path", ["/moved", "/zipped"])
    def test_however_it_is_sent(self, site: Site, path: str) -> None:
        assert visit(site, path) == visit(site, "/article")

    @pytest.mark.parametrize("path", ["/latin", "/wrong", "/unknown", "/latin-said"])
    def test_charsets(self, site: Site, path: str) -> None:
        assert visit(site, path) == "Grüße aus Köln"

    def test_a_charset_named_in_the_page(self, site: Site) -> None:
        assert "Привет, мир" in visit(site, "/meta")

    def test_other_than_pages(self, site: Site) -> None:
        assert visit(site, "/plain") == "just text\nin lines"
        assert visit(site, "/json") == '{"a": 1}'
        assert "| Bergen | 2250 |" in visit(site, "/book.xlsx")
        assert "holds no readable text" in visit(site, "/empty")

    def test_long_pages_come_in_parts(self, site: Site) -> None:
        first = visit(site, "/long")
        assert "Sentence 0 " in first
        assert f"next: visit_webpage('{site.url('/long')}', part=2)]" in first
        assert "Sentence 0 " not in visit(site, "/long", part=2)

    def test_a_question_brings_its_passages(self, site: Site) -> None:
        url = site.url("/long")
        shown = browser(site.host)(url=url, question="What is in sentence 1234?")
        assert "Sentence 1234 is here." in shown
        assert shown.startswith(
            f"[what it says about the question; all of it: visit_webpage('{url}'"
        )
        assert len(shown) < 9_000
        assert visit(site, "/long", question="zebra").startswith("[No passage has a word")
        assert visit(site, "/article", question="zebra") == visit(site, "/article")
        assert visit(site, "/long", question="x", part=2) == visit(site, "/long", part=2)

    def test_hidden_text_is_left_out(self, site: Site) -> None:
        shown = visit(site, "/hidden")
        assert "secret" not in shown
        for seen in ("First. Its end.", "On the screen.", "White on black.", "Faint and small."):
            assert seen in shown
        assert "Aword and tags." in shown
        assert "$E=mc^2$" in shown

    def test_a_page_that_is_no_article_comes_whole(self, site: Site) -> None:
        shown = visit(site, "/list")
        assert shown.startswith("# Winners\n")
        assert all(f"Winner {year}" in shown for year in range(1950, 2000))
        assert "Imprint" not in shown

    def test_links_where_they_are_asked_for(self, site: Site) -> None:
        assert "/article" not in visit(site, "/linked")
        assert f"[the lighthouses]({site.url('/article#top')})" in visit(
            site, "/linked", links=True
        )

    def test_a_page_made_by_scripts_says_so(self, site: Site) -> None:
        assert "made by scripts" in visit(site, "/script")

    def test_an_address_with_braces(self, site: Site) -> None:
        url = site.url("/braces?q={part}{0}{x}")
        assert "part=2)]" in browser(site.host)(url=url)

    def test_robots_txt_is_for_crawlers(self, site: Site) -> None:
        before = len(site.asked)
        assert visit(site, "/private") == "open to all who ask"
        assert [path for path, _ in site.asked[before:]] == ["/private"]

    def test_a_page_is_fetched_once_for_all_its_parts(self, site: Site, tmp_path: Path) -> None:
        limits = Limits(allow=frozenset([site.host]))
        state = WebState(tmp_path / "web.sqlite")
        tool = VisitWebpage(pages=Pages(lambda ask: fetch(ask, limits), state, 60))
        before = len(site.asked)
        for part in (1, 2):
            tool(url=site.url("/long"), part=part)
        assert len(site.asked) == before + 1

    def test_cookies_of_a_redirect_come_back_to_their_site_alone(self, site: Site) -> None:
        assert visit(site, "/cookie") == "welcome back"
        with Site({"/": redirect(site.url("/plain"))}) as front:
            browser(front.host, site.host)(url=front.url("/"))
        assert "cookie" not in site.asked[-1][1]

    def test_what_came_before_the_connection_broke_is_shown(self, site: Site) -> None:
        shown = visit(site, "/broken")
        assert shown == "half\n[It goes on; it was cut here since the connection broke off.]"
        started = time.monotonic()
        assert "since it came too slowly.]" in visit(site, "/drip", 0.5)
        assert time.monotonic() - started < 3

    def test_no_credentials_and_no_fragment_are_sent(self, site: Site) -> None:
        tool = browser(site.host)
        tool(url=f"http://user:secret@{site.host}/plain?q=1#part")
        path, headers = site.asked[-1]
        assert path == "/plain?q=1"
        assert "authorization" not in headers
        assert headers["host"] == site.host
        assert "Hearth" in headers["user-agent"]
