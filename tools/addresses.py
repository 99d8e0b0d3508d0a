"""Which web addresses may be fetched: public ones, and those that the user allows by name.

An address that comes from a model, or from a page it read, must not reach what only this machine
can reach: loopback, the private network, a cloud's metadata service, the devices beside it.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable

import httpx

from errors import ToolError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
# Older versions of Python call these public: special uses by IANA's registries, and the address
# at which Azure serves its virtual machines.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2001:db8::/32", "3fff::/20"),
    )
)
# Ports of services that would take a web request for one of their own protocol:
# https://fetch.spec.whatwg.org/#port-blocking
_BAD_PORTS_TEXT = """
    0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113
    115 117 119 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554
    556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665
    6666 6667 6668 6669 6679 6697 10080
    """
# No escapes such as %65: a proxy could take them for another name than the one that was checked.
_HOST = re.compile(rb"[\w.:-]+")
_BAD_PORTS = frozenset(map(int, _BAD_PORTS_TEXT.split()))


def web_address(address: str) -> httpx.URL:
    """The address, without a user's name and password and without its fragment.

    Raises ToolError where it is none of the web.
    """
    try:
        url = httpx.URL(address.strip())
        port = url.port or 0
    except (httpx.InvalidURL, AttributeError, TypeError, ValueError):
        raise _no_address(address) from None
    if url.scheme not in ("http", "https") or not _HOST.fullmatch(url.raw_host) or port > 65535:
        raise _no_address(address)
    return url.copy_with(userinfo=b"", fragment=None)


def host_of(address: object) -> str:
    """The host that a request for this address goes to; empty where it is no web address."""
    try:
        return web_address(str(address)).raw_host.decode().lower().rstrip(".")
    except ToolError:
        return ""


def port_of(url: httpx.URL) -> int:
    """The port that a request goes to."""
    return url.port or (443 if url.scheme == "https" else 80)


def is_allowed(url: httpx.URL, found: Iterable[str], allow: Iterable[str]) -> bool:
    """Whether the user allows this address by its host, host and port, or network."""
    host = url.host.lower().rstrip(".")
    raw = url.raw_host.decode().lower().rstrip(".")
    names = {host, raw, f"{host}:{port_of(url)}", f"{raw}:{port_of(url)}"}
    networks = []
    for entry in allow:
        if entry.lower() in names:
            return True
        if "/" in entry:
            networks.append(ipaddress.ip_network(entry, strict=False))
    addresses = [parsed for text in found if (parsed := _parsed(text))]
    return bool(addresses) and all(any(a in n for n in networks) for a in addresses)


def check_port(url: httpx.URL) -> None:
    """Raises ToolError for a port at which no web server is expected."""
    if port_of(url) in _BAD_PORTS:
        raise ToolError(
            f"Port {port_of(url)} of {url.host} is none of the web's.",
            "Visit a public web page instead.",
            seen_as=PermissionError,
        )


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the public internet, also when it wraps an IPv4 one."""
    address = _parsed(text)
    if address is None or any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    wrapped = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        wrapped.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    inner = [str(a) for a in wrapped if a is not None]
    if inner:
        return all(map(is_public, inner))
    # What `is_global` says of the rest differs between versions of Python.
    return address in _UNICAST and address.is_global


def own_networks() -> list[Network]:
    """This machine's own addresses, and the IPv6 networks it is on.

    They can be public ones, and yet what answers there may be meant for this machine and its
    neighbours alone: a printer at home has a public IPv6 address behind the router's firewall.
    """
    import psutil

    found: list[Network] = []
    for rows in psutil.net_if_addrs().values():
        for row in rows:
            if row.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = row.address.partition("%")[0]
            if row.family == socket.AF_INET6 and row.netmask:
                bits = bin(int(ipaddress.IPv6Address(row.netmask))).count("1")
                # A wider one is no home's or office's, but a provider's.
                address = f"{address}/{bits if bits >= 48 else 128}"
            found.append(ipaddress.ip_network(address, strict=False))
    return found


def is_own(text: str, networks: Iterable[Network]) -> bool:
    """Whether the address lies in one of these networks."""
    address = _parsed(text)
    return address is not None and any(address in network for network in networks)


def _parsed(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _no_address(address: object) -> ToolError:
    return ToolError(
        f"{str(address)[:300]!r} is no web address; it must start with http:// or https://.",
        "Give the whole address, as a search result shows it.",
    )
