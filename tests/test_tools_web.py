"""The web tools against real servers on loopback: pages, traps, and doors that stay shut."""

import datetime
import gzip
import io
import ipaddress
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import openpyxl
import pytest

from errors import ToolError
from tests.trap_site import (
    Page,
    Site,
    body,
    bomb,
    broken,
    endless,
    no_http,
    redirect,
    send,
    silence,
    slow_head,
    status,
    text,
    trailing,
)
from tools.addresses import host_of, is_own, is_public, own_networks
from tools.fetch import Ask, Limits, fetch
from tools.pages import Pages
from tools.visit_webpage import VisitWebpage
from tools.web_state import WebState

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


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def xlsx() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["city", "rain"])
    book.active.append(["Bergen", 2250])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def huge_head(handler: BaseHTTPRequestHandler) -> None:
    """A megabyte of headers."""
    send(handler, b"<p>x</p>", {f"X-{n}": "y" * 1000 for n in range(1000)})


def half_a_pdf(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"%PDF-1.7\n" + bytes(100))
    handler.close_connection = True


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
    "/picture": body(b"\x89PNG\r\n\x1a\n\x00\x00", "image/png"),
    "/empty": body(b""),
    "/long": text("<article>" + "".join(f"<p>Sentence {n} is here.</p>" for n in range(2000))),
    "/moved": redirect("/article"),
    "/loop": redirect("/loop"),
    "/to-file": redirect("file:///etc/passwd"),
    "/missing": status(404),
    "/error": status(500),
    "/endless": endless(b"<p>more and more</p>" * 1000),
    "/drip": endless(b"<p>.</p>", 0.05),
    "/slow-head": slow_head,
    "/silent": silence(4),
    "/broken": broken,
    "/ssh": no_http,
    "/bomb": bomb(200),
    "/trailing": trailing(b"more" * 1000),
    "/punycode": body(b"a" * 1000, "text/html; charset=punycode"),
    "/brotli": body(b"\x0b\x02\x80abc\x03", Content_Encoding="br"),
    "/damaged": body(b"no gzip at all", Content_Encoding="gzip"),
    "/nested": body(gzip.compress(gzip.compress(bytes(1 << 20))), Content_Encoding="gzip, gzip"),
    "/huge-head": huge_head,
    "/forbidden": status(403),
    "/half.pdf": half_a_pdf,
    "/cookie": needs_a_cookie,
    "/robots.txt": body(b"User-agent: *\nDisallow: /private\n", "text/plain"),
    "/private": text("<p>open to all who ask</p>"),
    "/script": text('<div id="root"></div><script>draw()</script>'),
    "/braces": text("".join(f"<p>Line {n} of this.</p>" for n in range(2000))),
    "/latin-said": body("<p>Grüße aus Köln</p>".encode(), "text/html; charset=iso-8859-1"),
    "/hidden": text(HIDDEN),
    "/list": text(LIST),
    "/linked": text('<article><p>See <a href="/article#top">the lighthouses</a>.</p></article>'),
    **{f"/many{n}": redirect(f"/many{n + 1}") for n in range(30)},
    "/many": redirect("/many0"),
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(PAGES) as running:
        yield running


def browser(*allow: str, timeout_seconds: float = 5.0, max_bytes: int = 100_000) -> VisitWebpage:
    limits = Limits(max_bytes, timeout_seconds, frozenset(allow))
    return VisitWebpage(pages=Pages(lambda ask: fetch(ask, limits)))


def visit(site: Site, path: str, **more: object) -> str:
    return browser(site.host, timeout_seconds=1.5)(url=site.url(path), **more)


@contextmanager
def fails(seen_as: type[Exception], match: str | None = None) -> Iterator[None]:
    """The tool says, in words and with a next step, that it can't."""
    with pytest.raises(ToolError, match=match) as caught:
        yield
    assert caught.value.seen_as is seen_as
    assert caught.value.next_step
    assert len(str(caught.value)) < 1_000


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
        assert "since it came too slowly.]" in visit(site, "/drip")
        assert time.monotonic() - started < 3

    def test_no_credentials_and_no_fragment_are_sent(self, site: Site) -> None:
        tool = browser(site.host)
        tool(url=f"http://user:secret@{site.host}/plain?q=1#part")
        path, headers = site.asked[-1]
        assert path == "/plain?q=1"
        assert "authorization" not in headers
        assert headers["host"] == site.host
        assert "Hearth" in headers["user-agent"]


class TestTraps:
    @pytest.mark.parametrize(
        ("path", "kind", "said"),
        [
            ("/missing", ConnectionError, "answered 404 Not Found"),
            ("/error", ConnectionError, "answered 500"),
            ("/loop", ConnectionError, "redirects more than 8 times"),
            ("/to-file", ValueError, "must start with http"),
            ("/huge-head", ConnectionError, "can't be reached"),
            ("/nested", ConnectionError, "nobody asked for: gzip, gzip"),
            ("/many", ConnectionError, "redirects more than 8 times"),
            ("/forbidden", ConnectionError, "answered 403"),
            ("/half.pdf", ValueError, "was cut since the connection broke off"),
            ("/ssh", ConnectionError, "can't be reached"),
            ("/brotli", ConnectionError, "nobody asked for: br"),
            ("/damaged", ConnectionError, "damaged data"),
            ("/picture", ValueError, "it is image/png"),
            ("/silent", TimeoutError, "longer than 1.5 seconds"),
            ("/slow-head", TimeoutError, "longer than 1.5 seconds"),
        ],
    )
    def test_ends_in_words_and_in_time(
        self, site: Site, path: str, kind: type[Exception], said: str
    ) -> None:
        started = time.monotonic()
        with fails(kind, said):
            visit(site, path)
        assert time.monotonic() - started < 3

    def test_an_endless_page_is_cut(self, site: Site) -> None:
        fetched = fetch(site.url("/endless"), Limits(100_000, 5.0, frozenset([site.host])))
        assert len(fetched.data) == 100_000
        assert fetched.cut
        last = visit(site, "/endless", part=1)
        pages = int(last.rpartition(" of ")[2].partition(";")[0]) if " of " in last else 1
        assert "it was cut here for its size" in visit(site, "/endless", part=pages)

    def test_a_compression_bomb_stays_small(self, site: Site) -> None:
        tracemalloc.start()
        try:
            fetched = fetch(site.url("/bomb"), Limits(1_000_000, 20.0, frozenset([site.host])))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert fetched.cut
        assert len(fetched.data) == 1_000_000
        assert peak < 20_000_000, "bytes for 1 MB"

    def test_what_follows_the_end_of_a_page_is_not_waited_for(self, site: Site) -> None:
        fetched = fetch(site.url("/trailing"), Limits(100_000, 20.0, frozenset([site.host])))
        assert fetched.data == b"<p>all of it</p>"
        assert not fetched.cut

    def test_a_codec_that_is_no_charset_is_not_used(self, site: Site) -> None:
        assert visit(site, "/punycode").startswith("aaa")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "example",
            "ftp://example.org",
            "file:///etc/passwd",
            "http://",
            "javascript:1",
            "//x",
        ],
    )
    def test_no_web_address(self, url: str) -> None:
        with fails(ValueError, "no web address"):
            browser()(url=url)

    def test_a_name_that_does_not_exist(self) -> None:
        with fails(ConnectionError, "can't be resolved"):
            browser()(url="http://nowhere.invalid/")

    def test_a_port_where_nothing_listens(self, site: Site) -> None:
        with fails(ConnectionError, r"127\.0\.0\.1 can't be reached"):
            browser("127.0.0.1")(url="http://127.0.0.1:9/")


class TestShutDoors:
    """Addresses that only this machine can reach, in every spelling and by every way."""

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "localhost",
            "LOCALHOST.",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.2",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::7f00:1]",
            "[::ffff:0:7f00:1]",
            "[fec0::1]",
            "[2002:7f00:1::]",
            "169.254.169.254",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "[fe80::1]",
            "[fd00::1]",
            "224.0.0.1",
            "255.255.255.255",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "127%2e0%2e0%2e1",
            "example.com@127.0.0.1",
            "example.com:80@127.0.0.1",
            "example.com\\@127.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "192.0.0.192",
            "168.63.129.16",
            "100.100.100.200",
            "[2001:db8::1]",
            "[::127.0.0.1]",
            "[fd00:ec2::254]",
            "[fe80::1%25lo]",
            "[ff02::1]",
        ],
    )
    def test_refused(self, site: Site, host: str) -> None:
        before = len(site.asked)
        with pytest.raises(ToolError) as error:
            browser(timeout_seconds=2)(url=f"http://{host}:{site.port}/article")
        kind, said = error.value.seen_as, str(error.value)
        assert kind in (PermissionError, ConnectionError, ValueError)
        assert ("private network" in said) == (kind is PermissionError)
        assert ("can't be resolved" in said) == (kind is ConnectionError)
        assert len(site.asked) == before

    @pytest.mark.parametrize(
        "host", ["localhost", "127.0.0.2", "2130706433", "[::1]", "x@127.0.0.1", "[::ffff:7f00:1]"]
    )
    def test_a_redirect_leads_nowhere_else(self, site: Site, host: str) -> None:
        with (
            Site({"/": redirect(f"http://{host}:{site.port}/article")}) as front,
            fails(PermissionError, "private network"),
        ):
            browser(front.host)(url=front.url("/"))

    def test_the_allow_list_is_by_host_and_port(self, site: Site) -> None:
        assert browser(site.host)(url=site.url("/plain"))
        assert browser("LocalHost")(url=f"http://localhost:{site.port}/plain")
        with fails(PermissionError):
            browser("127.0.0.1:1")(url=site.url("/plain"))

    def test_a_name_is_resolved_once_and_that_address_is_used(self, site: Site) -> None:
        """A name server that answers differently the second time gains nothing."""
        answers = iter([["127.0.0.1"], ["169.254.169.254"]])
        name = f"example.test:{site.port}"
        limits = Limits(allow=frozenset([name]), resolve=lambda host, port: next(answers))
        assert fetch(f"http://{name}/plain", limits).data.startswith(b"just text")
        assert site.asked[-1][1]["host"] == name
        assert next(answers) == ["169.254.169.254"], "the second answer was never asked for"

    def test_an_international_name_is_resolved_as_it_is_asked_for(self, site: Site) -> None:
        """Python's own spelling of this name is `strasse.test`, another host."""
        asked: list[str] = []

        def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        limits = Limits(allow=frozenset([f"xn--strae-oqa.test:{site.port}"]), resolve=resolve)
        fetch(f"http://straße.test:{site.port}/plain", limits)
        assert asked == ["xn--strae-oqa.test"]
        assert site.asked[-1][1]["host"] == f"xn--strae-oqa.test:{site.port}"

    def test_one_private_address_among_public_ones_is_enough(self) -> None:
        limits = Limits(resolve=lambda host, port: ["93.184.215.14", "10.0.0.1"])
        with fails(PermissionError, r"example\.test is an address"):
            fetch("http://example.test/", limits)

    @pytest.mark.parametrize(
        "address", ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::808:808"]
    )
    def test_public_addresses(self, address: str) -> None:
        assert is_public(address)

    def test_the_allow_list_takes_networks(self, site: Site) -> None:
        assert browser("127.0.0.0/8")(url=f"http://localhost:{site.port}/plain")
        with fails(PermissionError, "private network"):
            browser("10.0.0.0/8")(url=site.url("/plain"))

    def test_ports_of_other_services(self) -> None:
        limits = Limits(resolve=lambda host, port: ["93.184.215.14"])
        for port in (22, 25, 6667, 2049):
            with fails(PermissionError, f"Port {port} of example.test"):
                fetch(f"http://example.test:{port}/", limits)

    def test_hosts_that_the_user_forbids_also_by_a_redirect(self, site: Site) -> None:
        asked: list[str] = []

        def denied(host: str) -> bool:
            asked.append(host)
            return host == "localhost"

        front_and_back = frozenset([site.host, f"localhost:{site.port}"])
        limits = Limits(allow=front_and_back, denied=denied)
        assert fetch(site.url("/plain"), limits)
        with Site({"/": redirect(f"http://LocalHost.:{site.port}/plain")}) as front:
            limits = Limits(allow=front_and_back | {front.host}, denied=denied)
            with fails(PermissionError, "does not allow visits to localhost"):
                fetch(front.url("/"), limits)
        assert asked == ["127.0.0.1", "127.0.0.1", "localhost"]

    def test_this_machine_and_its_neighbours_by_their_public_addresses(self) -> None:
        own = [ipaddress.ip_network("93.184.215.14/32"), ipaddress.ip_network("2606:2800:21f::/64")]
        for address in ("93.184.215.14", "2606:2800:21f::99"):
            limits = Limits(resolve=lambda *_, a=address: [a], own_networks=lambda: own)
            with fails(PermissionError, "this machine"):
                fetch("http://example.test/", limits)
        assert not is_own("93.184.215.15", own)
        assert is_own("127.0.0.1", own_networks())

    def test_keys_in_headers_stay_with_their_host(self, site: Site) -> None:
        with Site({"/": redirect(site.url("/plain")), "/same": redirect("/here")}) as front:
            limits = Limits(allow=frozenset([site.host, front.host]))
            fetch(Ask(front.url("/"), {"X-Key": "secret"}, b"{}"), limits)
            assert front.asked[-1][1]["x-key"] == "secret"
            assert "x-key" not in site.asked[-1][1]
            with fails(ConnectionError, "redirects more than 0 times"):
                fetch(Ask(front.url("/"), redirects=0), limits)

    def test_the_domain_of_a_call_is_the_host_that_it_reaches(self) -> None:
        for url, host in (
            ("https://example.com@127.0.0.1/", "127.0.0.1"),
            ("http://example.com\\@127.0.0.1/", "127.0.0.1"),
            ("HTTPS://EXAMPLE.com.:8443/x", "example.com"),
            ("http://straße.test/", "xn--strae-oqa.test"),
            ("nonsense", ""),
        ):
            assert browser().domain({"url": url}) == host_of(url) == host

    def test_a_proxy_that_cannot_be_used_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for proxy in ("socks5://me:pa55@127.0.0.1:9", "klingon://127.0.0.1:9"):
            monkeypatch.setenv("http_proxy", proxy)
            with fails(ConnectionError, "proxy that the environment names"):
                browser()(url="http://example.invalid/")

    def test_certificates_are_checked_against_the_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        context = certificate(tmp_path, "example.test")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        with Site({"/": text("<p>hello there</p>")}, tls=context) as site:
            for name, fine in (("example.test", True), ("other.test", False)):
                address = f"{name}:{site.port}"
                limits = Limits(allow=frozenset([address]), resolve=lambda *_: ["127.0.0.1"])
                if fine:
                    assert b"hello" in fetch(f"https://{address}/", limits).data
                    continue
                with fails(ConnectionError, "certificate"):
                    fetch(f"https://{address}/", limits)

    def test_a_proxy_of_the_environment_is_used_and_no_way_round(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def proxy(handler: object) -> None:
            send(handler, b"from the proxy", {"Content-Type": "text/plain"})  # type: ignore[arg-type]

        with Site({"http://example.invalid/": proxy}) as front:
            monkeypatch.setenv("no_proxy", "")
            for proxy in (front.url(""), front.host):  # people leave out the http://
                monkeypatch.setenv("http_proxy", proxy)
                assert browser()(url="http://example.invalid/") == "from the proxy"
            with fails(PermissionError):
                browser()(url=site.url("/article"))


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_is_public_knows_every_private_network() -> None:
    private = ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
               "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
               "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8"]  # fmt: skip
    for network in map(ipaddress.ip_network, private):
        assert not is_public(str(network[0])), network
        assert not is_public(str(network[-1])), network
