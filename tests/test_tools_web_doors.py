"""Doors that stay shut: what is refused, by every spelling and every way, and what is allowed."""

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from errors import ToolError
from tests.trap_site import (
    Page,
    Site,
    body,
    redirect,
    send,
    text,
)
from tests.web_help import browser, fails
from tools.addresses import host_of, is_own, is_public, own_networks
from tools.fetch import Ask, Limits, fetch

pytestmark = pytest.mark.usefixtures("no_proxy")

PAGES: dict[str, Page] = {
    "/article": text("<p>An article.</p>"),
    "/plain": body(b"just text\r\nin lines", "text/plain"),
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(PAGES) as running:
        yield running


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
        assert list(dict.fromkeys(asked)) == ["127.0.0.1", "localhost"]

    def test_a_forbidden_address_however_it_is_spelled(self, site: Site) -> None:
        limits = Limits(allow=frozenset(["127.0.0.0/8"]), denied=lambda host: host == "127.0.0.1")
        for host in ("localhost", "2130706433", "0x7f.1"):
            with fails(PermissionError, f"does not allow visits to {host}"):
                fetch(f"http://{host}:{site.port}/plain", limits)

    def test_a_redirect_to_a_host_that_needs_a_call_of_its_own(self, site: Site) -> None:
        pages = {
            "/": redirect(site.url("/plain")),
            "/here": redirect("/there"),
            "/there": body(b"x"),
        }
        with Site(pages) as front:
            allow = frozenset(["127.0.0.0/8"])
            limits = Limits(allow=allow, own_call=lambda host: host == "127.0.0.1")
            with fails(PermissionError, f"not allowed unasked: {site.url('/plain')}"):
                fetch(f"http://localhost:{front.port}/", limits)
            assert fetch(f"http://127.0.0.1:{front.port}/here", limits).data == b"x"

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
