"""The web tools against real servers on loopback: pages, traps, and doors that stay shut."""

import datetime
import gzip
import io
import ipaddress
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

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
from tools.fetch import Limits, fetch, is_public
from tools.visit_webpage import VisitWebpage

ARTICLE = """<!doctype html><html><head><title>Lighthouses</title></head><body>
<nav><a href="/a">Home</a></nav><article><h1>Lighthouses</h1>
<p>The lighthouse of Rubjerg Knude is twenty-three metres high and stands on the coast.</p>
<table><tr><th>name</th><th>height</th></tr><tr><td>Rubjerg</td><td>23</td></tr></table>
<p>It was first lit on 27 December 1900 and moved inland in 2019 on rails.</p></article>
<script>alert("no")</script></body></html>"""


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
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(PAGES) as running:
        yield running


def visit(site: Site, path: str, **more: int) -> str:
    tool = VisitWebpage([site.host], timeout_seconds=1.5, max_bytes=100_000)
    return tool(url=site.url(path), **more)


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

    @pytest.mark.parametrize("path", ["/latin", "/wrong", "/unknown"])
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

    def test_no_credentials_and_no_fragment_are_sent(self, site: Site) -> None:
        tool = VisitWebpage([site.host])
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
            ("/loop", ConnectionError, "redirects more than 5 times"),
            ("/to-file", ValueError, "must start with http"),
            ("/broken", ConnectionError, "can't be reached"),
            ("/ssh", ConnectionError, "can't be reached"),
            ("/brotli", ConnectionError, "nobody asked for: br"),
            ("/damaged", ConnectionError, "damaged data"),
            ("/picture", ValueError, "it is image/png"),
            ("/silent", TimeoutError, "longer than 1.5 seconds"),
            ("/drip", TimeoutError, "longer than 1.5 seconds"),
            ("/slow-head", TimeoutError, "longer than 1.5 seconds"),
        ],
    )
    def test_ends_in_words_and_in_time(
        self, site: Site, path: str, kind: type[Exception], said: str
    ) -> None:
        started = time.monotonic()
        with pytest.raises(kind, match=said):
            visit(site, path)
        assert time.monotonic() - started < 3

    def test_an_endless_page_is_cut(self, site: Site) -> None:
        fetched = fetch(site.url("/endless"), Limits(100_000, 5.0, frozenset([site.host])))
        assert len(fetched.data) == 100_000
        assert fetched.cut
        last = visit(site, "/endless", part=1)
        pages = int(last.rpartition(" of ")[2].partition(";")[0]) if " of " in last else 1
        assert "it was cut here" in visit(site, "/endless", part=pages)

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
        with pytest.raises(ValueError, match="no web address"):
            VisitWebpage()(url=url)

    def test_a_name_that_does_not_exist(self) -> None:
        with pytest.raises(ConnectionError, match="can't be resolved"):
            VisitWebpage()(url="http://nowhere.invalid/")

    def test_a_port_where_nothing_listens(self, site: Site) -> None:
        with pytest.raises(ConnectionError, match=r"127\.0\.0\.1 can't be reached"):
            VisitWebpage(["127.0.0.1"])(url="http://127.0.0.1:9/")


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
        ],
    )
    def test_refused(self, site: Site, host: str) -> None:
        before = len(site.asked)
        with pytest.raises((PermissionError, ConnectionError, ValueError)) as error:
            VisitWebpage(timeout_seconds=2)(url=f"http://{host}:{site.port}/article")
        if not isinstance(error.value, ConnectionError):
            assert "private network" in str(error.value) or "no web address" in str(error.value)
        assert "resolved" in str(error.value) or not isinstance(error.value, ConnectionError)
        assert len(site.asked) == before

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "2130706433", "[::1]"])
    def test_a_redirect_leads_nowhere_else(self, site: Site, host: str) -> None:
        with (
            Site({"/": redirect(f"http://{host}:{site.port}/article")}) as front,
            pytest.raises(PermissionError, match="private network"),
        ):
            VisitWebpage([front.host])(url=front.url("/"))

    def test_the_allow_list_is_by_host_and_port(self, site: Site) -> None:
        assert VisitWebpage([site.host])(url=site.url("/plain"))
        assert VisitWebpage(["LocalHost"])(url=f"http://localhost:{site.port}/plain")
        with pytest.raises(PermissionError):
            VisitWebpage(["127.0.0.1:1"])(url=site.url("/plain"))

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
        with pytest.raises(PermissionError, match=r"example\.test is an address"):
            fetch("http://example.test/", limits)

    @pytest.mark.parametrize(
        "address", ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::808:808"]
    )
    def test_public_addresses(self, address: str) -> None:
        assert is_public(address)

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
                with pytest.raises(ConnectionError, match="certificate"):
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
                assert VisitWebpage()(url="http://example.invalid/") == "from the proxy"
            with pytest.raises(PermissionError):
                VisitWebpage()(url=site.url("/article"))


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
