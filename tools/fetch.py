"""Fetches a page from the web for an agent that may have been told to fetch something else.

An address that comes from a model, or from a page it read, must not reach what only this
machine can reach: loopback, the private network, a cloud's metadata service. So a name is
resolved once, every address it resolves to is checked, and the connection goes to just that
address (a second look-up could answer differently); each redirect is checked the same way.
"""

import asyncio
import concurrent.futures
import ipaddress
import socket
import urllib.request
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

MAX_BYTES = 5_000_000
TIMEOUT_SECONDS = 20.0
MAX_REDIRECTS = 5
USER_AGENT = "Mozilla/5.0 (compatible; Hearth/0.1; personal agent)"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")


@dataclass(frozen=True)
class Fetched:
    """What an address gave: where it was after redirects, its type, and its body.

    `cut` is True where the body went on after `max_bytes`.
    """

    address: str
    content_type: str
    charset: str | None
    data: bytes
    cut: bool


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a name, as the system resolves it. Raises OSError."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


@dataclass(frozen=True)
class Limits:
    """What a fetch may cost, which hosts (`host` or `host:port`, in lower case) it need not
    check, and how names become addresses.
    """

    max_bytes: int = MAX_BYTES
    timeout_seconds: float = TIMEOUT_SECONDS
    allow: frozenset[str] = frozenset()
    resolve: Callable[[str, int], list[str]] = resolve


def fetch(address: str, limits: Limits) -> Fetched:
    """The body at `address`. Raises ValueError (no web address), PermissionError (refused),
    ConnectionError (no answer, or a bad one) or TimeoutError, each in words.
    """
    # In a thread of its own, since a caller in a notebook already has an event loop.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _fetch(address, limits)).result()


async def _fetch(address: str, limits: Limits) -> Fetched:
    try:
        async with asyncio.timeout(limits.timeout_seconds):
            return await _follow(_parse(address), limits)
    except TimeoutError:
        raise TimeoutError(
            f"{address} took longer than {limits.timeout_seconds:g} seconds."
        ) from None


async def _follow(url: httpx.URL, limits: Limits) -> Fetched:
    for _ in range(MAX_REDIRECTS + 1):
        try:
            async with _request(url, limits) as reply:
                target = reply.headers.get("location")
                if reply.status_code not in (301, 302, 303, 307, 308) or not target:
                    return await _read(url, reply, limits)
                url = _parse(str(url.join(target)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise ConnectionError(f"{url.host} can't be reached: {reason}") from error
    raise ConnectionError(f"{url} redirects more than {MAX_REDIRECTS} times.")


def _parse(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address.strip())
    except (httpx.InvalidURL, AttributeError, TypeError):
        raise ValueError(f"{address!r} is no web address.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{address!r} is no web address; it must start with http:// or https://.")
    return url.copy_with(userinfo=b"", fragment=None)


@asynccontextmanager
async def _request(url: httpx.URL, limits: Limits) -> AsyncIterator[httpx.Response]:
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "text/html,application/xhtml+xml,text/*;q=0.9,*/*;q=0.5",
        "Accept-Encoding": "gzip",
        "Host": url.netloc.decode(),
    }
    proxy = _proxy(url)
    async with httpx.AsyncClient(
        trust_env=False,  # the proxy is chosen above, from the same environment
        verify=httpx.create_ssl_context(),  # honours SSL_CERT_FILE and SSL_CERT_DIR
        proxy=proxy,
        # The whole is bounded in `_fetch`; one address that is silent leaves time for the next.
        timeout=httpx.Timeout(None, connect=limits.timeout_seconds / 3),
    ) as client:
        last: httpx.TransportError | None = None
        for host in await _checked_hosts(url, limits, proxied=proxy is not None):
            request = client.build_request(
                "GET",
                url.copy_with(host=host),
                headers=headers,
                extensions={"sni_hostname": url.raw_host.decode()},
            )
            try:
                reply = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                last = error
                continue
            try:
                yield reply
            finally:
                await reply.aclose()
            return
        raise last or httpx.ConnectError("no address")


async def _checked_hosts(url: httpx.URL, limits: Limits, proxied: bool) -> list[str]:
    """The addresses to connect to, in order, all of them checked.

    Behind a proxy the proxy resolves the name; it is checked here only as far as it
    resolves here, and asked for by name.
    """
    allowed = url.host.lower() in limits.allow or url.netloc.decode().lower() in limits.allow
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
        # In ASCII, as httpx spells it: the system would encode some international names otherwise.
        found = await _resolved(url.raw_host.decode(), port, limits)
    except (OSError, UnicodeError):
        if proxied:
            return [url.host]
        raise ConnectionError(
            f"The name {url.host} can't be resolved. Is the address right, and is there a network?"
        ) from None
    if not allowed and not all(is_public(address) for address in found):
        raise PermissionError(
            f"{url.host} is an address of this machine or its private network; only public web "
            "pages can be visited."
        )
    return [url.host] if proxied else found[:3]


async def _resolved(host: str, port: int, limits: Limits) -> list[str]:
    # A thread that nobody waits for: a name server that never answers can't be interrupted.
    pool = concurrent.futures.ThreadPoolExecutor(1)
    try:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, limits.resolve, host, port)
    finally:
        pool.shutdown(wait=False)


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the public internet, also when it wraps an IPv4 one."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
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


def _proxy(url: httpx.URL) -> str | None:
    """The proxy that the user's environment names for this address, if any."""
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


async def _read(url: httpx.URL, reply: httpx.Response, limits: Limits) -> Fetched:
    if reply.status_code != 200:
        phrase = f"{reply.status_code} {reply.reason_phrase}".strip()
        raise ConnectionError(f"{url} answered {phrase}.")
    encoding = reply.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise ConnectionError(f"{url} is compressed in a way nobody asked for: {encoding}.")
    # Unpacked here and not by httpx, so that a few bytes can't become gigabytes in memory.
    unpack = zlib.decompressobj(wbits=47) if encoding not in ("identity", "") else None
    data = bytearray()
    try:
        async for chunk in reply.aiter_raw():
            room = limits.max_bytes + 1 - len(data)
            data += unpack.decompress(chunk, room) if unpack else chunk[:room]
            # What follows a stream's own end would be kept by zlib, all of it.
            if len(data) > limits.max_bytes or (unpack and unpack.eof):
                break
    except zlib.error:
        raise ConnectionError(f"{url} sent damaged data.") from None
    content_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    cut = len(data) > limits.max_bytes
    body = bytes(data[: limits.max_bytes])
    return Fetched(str(url), content_type, reply.charset_encoding, body, cut)
