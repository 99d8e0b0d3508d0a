"""Fetches from the web for an agent that may have been told to fetch something else.

A name is resolved once, every address it resolves to is checked (tools/addresses.py), and the
connection goes to just that address, since a second look-up could answer differently; each
redirect is checked the same way. Time, bytes and redirects are bounded, whatever the other side
sends.
"""

import asyncio
import concurrent.futures
import functools
import os
import re
import socket
import ssl
import urllib.request
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from errors import ToolError
from tools.addresses import (
    Network,
    check_port,
    host_of,
    is_allowed,
    is_own,
    is_public,
    own_networks,
    web_address,
)

MAX_BYTES = 20_000_000
TIMEOUT_SECONDS = 25.0
MAX_REDIRECTS = 8
USER_AGENT = "Mozilla/5.0 (compatible; Hearth/0.1; personal agent)"

_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,100}", re.ASCII)
_BODY_SHARE = 0.9  # of the time; the rest is for turning a part of a page into an answer
_ELSEWHERE = "Look for another source with web_search, or try archived_page(url)."
_NEXT_STEPS = {
    401: f"The site wants a login. {_ELSEWHERE}",
    402: f"The site wants money. {_ELSEWHERE}",
    403: f"The site refuses programs. {_ELSEWHERE}",
    404: "Look for the right address with web_search, or try archived_page(url).",
    410: "Try archived_page(url).",
    429: f"The site asks for a pause. {_ELSEWHERE}",
    451: _ELSEWHERE,
}


@dataclass(frozen=True)
class Fetched:
    """What an address gave: where it was after redirects, its type, and its body.

    `cut` says why the body is not whole; empty where it is. `retry_after` is the header's text.
    """

    address: str
    content_type: str
    charset: str | None
    data: bytes
    cut: str = ""
    status: int = 200
    retry_after: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def asked_pause(self, otherwise: float, most: float) -> float:
        """The seconds of Retry-After, 1 to `most`; `otherwise` where it has none, or a date."""
        try:
            seconds = float(self.retry_after)
        except ValueError:
            return otherwise
        return min(max(seconds, 1.0), most) if seconds == seconds else otherwise


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a name, as the system resolves it. Raises OSError."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


@dataclass(frozen=True)
class Limits:
    """What a fetch may cost and where it may go.

    `allow`: hosts (`host` or `host:port`) and networks that need not be public. `denied`: hosts
    that the user forbids, by name or address, asked for each redirect too. `own_call`: hosts that a
    redirect may not lead to, since the user's rules are to be asked by a call of its own.
    `resolve`: how names become addresses.
    """

    max_bytes: int = MAX_BYTES
    timeout_seconds: float = TIMEOUT_SECONDS
    allow: frozenset[str] = frozenset()
    resolve: Callable[[str, int], list[str]] = resolve
    denied: Callable[[str], bool] = lambda host: False
    own_call: Callable[[str], bool] = lambda host: False
    own_networks: Callable[[], list[Network]] = own_networks


@dataclass(frozen=True)
class Ask:
    """A request. Its headers go to the host of `address` only, its `body` (a POST) likewise.

    `any_status` returns the reply of a fault too, instead of raising ToolError.
    """

    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    redirects: int = MAX_REDIRECTS
    any_status: bool = False


FetchFunction = Callable[[Ask], Fetched]
"""How a tool reaches the web: `fetch` with its limits, or what a test puts in its place."""


def fetch(ask: Ask | str, limits: Limits) -> Fetched:
    """The body at an address. Raises ToolError, seen as ValueError (no web address),
    PermissionError (refused), ConnectionError (no answer, or a bad one) or TimeoutError.
    """
    ask = Ask(ask) if isinstance(ask, str) else ask
    # In a thread of its own, since a caller in a notebook already has an event loop.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _fetch(ask, limits)).result()


def forbidden(host: str) -> ToolError:
    """What is said of a host that the user's policy denies."""
    return ToolError(
        f"The user does not allow visits to {host}.", "Use another source.", seen_as=PermissionError
    )


async def _fetch(ask: Ask, limits: Limits) -> Fetched:
    url = web_address(ask.address)
    try:
        async with asyncio.timeout(limits.timeout_seconds):
            return await _follow(url, ask, limits)
    except TimeoutError:
        raise ToolError(
            f"{url} took longer than {limits.timeout_seconds:g} seconds.",
            "Try once more, or use another source.",
            seen_as=TimeoutError,
        ) from None


async def _follow(url: httpx.URL, ask: Ask, limits: Limits) -> Fetched:
    until = asyncio.get_running_loop().time() + limits.timeout_seconds * _BODY_SHARE
    jar = httpx.Cookies()  # many a site redirects in circles until its cookie comes back
    first = url
    for _ in range(ask.redirects + 1):
        own = (url.scheme, url.netloc) == (first.scheme, first.netloc)
        try:
            async with _request(url, ask if own else None, jar, limits) as reply:
                target = reply.headers.get("location")
                if reply.status_code not in (301, 302, 303, 307, 308) or not target:
                    return await _read(url, reply, limits, until, ask.any_status)
                jar.extract_cookies(
                    httpx.Response(
                        reply.status_code,
                        headers=reply.headers,
                        request=httpx.Request("GET", url),
                    )
                )
                url = web_address(str(url.join(target)))
                if _site(url) != _site(first) and limits.own_call(host_of(url)):
                    raise ToolError(
                        f"{first} leads to another host, which is not allowed unasked: {url}",
                        "If you need it, call with that address.",
                        seen_as=PermissionError,
                    )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            odd = isinstance(error, httpx.RemoteProtocolError)  # its text quotes the answer
            said = "it broke off, or does not speak HTTP" if odd else str(error)
            raise _unreachable(url, said or type(error).__name__) from error
    raise ToolError(
        f"{url} redirects more than {ask.redirects} times.", _ELSEWHERE, seen_as=ConnectionError
    )


@asynccontextmanager
async def _request(
    url: httpx.URL, ask: Ask | None, jar: httpx.Cookies, limits: Limits
) -> AsyncIterator[httpx.Response]:
    """The reply to one request; without `ask`, to a plain one."""
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "text/html,application/xhtml+xml,text/*;q=0.9,*/*;q=0.5",
        "Accept-Language": "en,*;q=0.5",
        "Accept-Encoding": "gzip",
        **(ask.headers if ask else {}),
        "Host": url.netloc.decode(),
    }
    named = httpx.Request("GET", url)  # the jar goes by names, the connection by addresses
    jar.set_cookie_header(named)
    if cookie := named.headers.get("cookie"):
        headers["Cookie"] = cookie
    body = ask.body if ask else None
    hosts, proxy = await _way(url, limits)
    async with _client(proxy, limits) as client:
        last: httpx.TransportError | None = None
        for host in hosts:
            request = client.build_request(
                "GET" if body is None else "POST",
                url.copy_with(host=host),
                headers=headers,
                content=body,
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


def _client(proxy: str | None, limits: Limits) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            trust_env=False,  # the proxy is chosen here, from the same environment
            verify=_tls(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
            proxy=proxy,
            # The whole is bounded in `_fetch`; one address that is silent leaves time for the next.
            timeout=httpx.Timeout(None, connect=limits.timeout_seconds / 3),
        )
    except (ImportError, ValueError):  # SOCKS without its package, or what nobody knows
        kind = str(proxy).partition(":")[0]
        raise ToolError(
            f"The proxy that the environment names can't be used: it is a {kind} proxy.",
            "Tell the user to set HTTP_PROXY and HTTPS_PROXY to an http proxy.",
            seen_as=ConnectionError,
        ) from None


@functools.lru_cache(4)
def _tls(cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    """httpx's own, which honours SSL_CERT_FILE and SSL_CERT_DIR; reading it takes a while."""
    return httpx.create_ssl_context()


async def _way(url: httpx.URL, limits: Limits) -> tuple[list[str], str | None]:
    """The addresses to connect to, in order, all of them checked; and the proxy, if there is one.

    Behind a proxy the proxy resolves the name; it is checked here only as far as it
    resolves here, and asked for by name.
    """
    host = host_of(url)
    if limits.denied(host):
        raise forbidden(host)
    proxy = _proxy(url)
    try:
        # In ASCII, as httpx spells it: the system would encode some international names otherwise.
        found = await _resolved(url.raw_host.decode(), url.port or 80, limits)
    except (OSError, UnicodeError):
        if proxy:
            check_port(url)
            return [url.host], proxy
        raise ToolError(
            f"The name {url.host} can't be resolved.",
            "Is the address right, and is there a network? Look for it with web_search.",
            seen_as=ConnectionError,
        ) from None
    if any(map(limits.denied, found)):
        raise forbidden(host)
    public = all(map(is_public, found))
    if is_allowed(url, found, limits.allow):
        # A proxy for the web never stands before a service of the user's own.
        return ([url.host], proxy) if proxy and public else (found[:3], None)
    networks = limits.own_networks()
    if not public or any(is_own(address, networks) for address in found):
        raise ToolError(
            f"{url.host} is an address of this machine or its private network; only public web "
            "pages can be visited.",
            "Visit a public page. The user can allow a service of their own by its name in the "
            "setting web_allow.",
            seen_as=PermissionError,
        )
    check_port(url)
    return ([url.host], proxy) if proxy else (found[:3], None)


async def _resolved(host: str, port: int, limits: Limits) -> list[str]:
    # A thread that nobody waits for: a name server that never answers can't be interrupted.
    pool = concurrent.futures.ThreadPoolExecutor(1)
    try:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, limits.resolve, host, port)
    finally:
        pool.shutdown(wait=False)


def _proxy(url: httpx.URL) -> str | None:
    """The proxy that the user's environment names for this address, if any."""
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _site(url: httpx.URL) -> str:
    return host_of(url).removeprefix("www.")


async def _read(
    url: httpx.URL, reply: httpx.Response, limits: Limits, until: float, any_status: bool
) -> Fetched:
    if reply.status_code != 200 and not any_status:
        step = _NEXT_STEPS.get(reply.status_code, f"Try again later. {_ELSEWHERE}")
        known = httpx.codes.get_reason_phrase(reply.status_code)  # its own could say anything
        said = f"{reply.status_code} {known}".strip()
        raise ToolError(f"{url} answered {said}.", step, seen_as=ConnectionError)
    encoding = reply.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise _unreadable(url, f"is compressed in a way nobody asked for: {encoding[:40]}")
    # Unpacked here and not by httpx, so that a few bytes can't become gigabytes in memory.
    unpack = zlib.decompressobj(wbits=47) if encoding not in ("identity", "") else None
    data = bytearray()
    cut = ""
    try:
        async with asyncio.timeout_at(until):
            async for chunk in reply.aiter_raw():
                room = limits.max_bytes + 1 - len(data)
                data += unpack.decompress(chunk, room) if unpack else chunk[:room]
                # What follows a stream's own end would be kept by zlib, all of it.
                if len(data) > limits.max_bytes or (unpack and unpack.eof):
                    break
    except zlib.error:
        raise _unreadable(url, "sent damaged data") from None
    except (httpx.TransportError, TimeoutError) as error:
        if not data:
            raise
        late = isinstance(error, TimeoutError)
        cut = f"since {'it came too slowly' if late else 'the connection broke off'}"
    if len(data) > limits.max_bytes:
        cut = "for its size"
    return Fetched(
        str(url),
        _type_of(reply),
        reply.charset_encoding,
        bytes(data[: limits.max_bytes]),
        cut,
        reply.status_code,
        reply.headers.get("retry-after", ""),
        dict(reply.headers),
    )


def _type_of(reply: httpx.Response) -> str:
    """The type as the server names it, `text/html`; empty where that is no type."""
    named = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return named if _TYPE.fullmatch(named) else ""


def _unreadable(url: httpx.URL, what: str) -> ToolError:
    return ToolError(f"{url} {what}.", _ELSEWHERE, seen_as=ConnectionError)


def _unreachable(url: httpx.URL, reason: str) -> ToolError:
    return ToolError(
        f"{url.host} can't be reached: {reason[:300]}.",
        "Is there a network? Try once more, or use another source.",
        seen_as=ConnectionError,
    )
