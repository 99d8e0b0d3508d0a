"""Items 23 to 32: no connection to anywhere, in no family, by no detour."""

import contextlib
import select
import socket
import sys
import time
from collections.abc import Iterator

from tests.executor_checks.place import Place
from tests.executor_checks.syscalls import made

# The C type: what stands in front of it in Python may say no before the system is asked.
_RAW = "import _socket, socket\nraw = _socket.socket\n"


class Listener:
    """A socket of the user's that waits for connections or datagrams."""

    def __init__(self, made: socket.socket) -> None:
        self._socket = made
        self._stream = made.type == socket.SOCK_STREAM

    def heard(self) -> bool:
        """Whether anybody has come, or sent anything."""
        readable, _, _ = select.select([self._socket], [], [], 0.05)
        if readable and self._stream:
            self._socket.accept()[0].close()
        elif readable:
            self._socket.recv(4096)
        return bool(readable)


@contextlib.contextmanager
def listening(family: int, kind: int, address: object) -> Iterator[tuple[Listener, object]]:
    """A listener at the address, and the address that it got."""
    with socket.socket(family, kind) as made_socket:
        made_socket.bind(address)  # type: ignore[arg-type]
        if kind == socket.SOCK_STREAM:
            made_socket.listen()
        yield Listener(made_socket), made_socket.getsockname()


def check_023_tcp_to_loopback_is_refused_and_not_seen(place: Place) -> None:
    with listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) as (listener, address):
        port = address[1]  # type: ignore[index]
        attempts = {
            "connect": f"reach(('127.0.0.1', {port}))",
            "raw connect": f"raw(socket.AF_INET).connect(('127.0.0.1', {port}))",
            "create_connection": f"socket.create_connection(('127.0.0.1', {port}), 2).close()",
            "connect_ex": f"by_number(('127.0.0.1', {port}))",
            "urllib": f"fetch('http://127.0.0.1:{port}/')",
        }
        setup = _RAW + (
            "import urllib.request, urllib.error\n"
            "def reach(address):\n    with socket.socket() as s:\n        s.connect(address)\n"
            "def by_number(address):\n    with socket.socket() as s:\n"
            "        code = s.connect_ex(address)\n"
            "        if code:\n            raise OSError(code, 'connect_ex')\n"
            "def fetch(address):\n    try:\n        urllib.request.urlopen(address, timeout=0.2)\n"
            "    except urllib.error.URLError as error:\n"
            "        if isinstance(error.reason, PermissionError):\n"
            "            raise error.reason\n        raise OSError(0, repr(error)) from None\n"
        )
        place.refused(attempts, setup=setup, unshown={"urllib"})
        assert listener.heard() is place.control


def check_024_sockets_of_every_family_are_refused(place: Place) -> None:
    kinds = {
        "udp": "socket.AF_INET, socket.SOCK_DGRAM",
        "udp6": "socket.AF_INET6, socket.SOCK_DGRAM",
        "tcp": "socket.AF_INET, socket.SOCK_STREAM",
        "mptcp": "socket.AF_INET, socket.SOCK_STREAM, 262",
        "unix": "socket.AF_UNIX, socket.SOCK_STREAM",
        "unix datagram": "socket.AF_UNIX, socket.SOCK_DGRAM",
        "raw": "socket.AF_INET, socket.SOCK_RAW, 1",
        "ping": "socket.AF_INET, socket.SOCK_DGRAM, 1",
        "netlink": "16, socket.SOCK_RAW, 0",
        "packet": "17, socket.SOCK_RAW, 0",
        "alg": "38, 5, 0",
        "vsock": "40, socket.SOCK_STREAM, 0",
        "bluetooth": "31, socket.SOCK_RAW, 0",
        "can": "29, socket.SOCK_RAW, 1",
        "xdp": "44, socket.SOCK_RAW, 0",
        "no family": "99, socket.SOCK_STREAM, 0",
    }
    attempts = {name: f"raw({kind}).close()" for name, kind in kinds.items()}
    shown = {"udp", "tcp", "unix", "unix datagram", "netlink"}
    unshown = set(attempts) - shown  # these need rights or drivers that need not be here
    place.refused(attempts, setup=_RAW, unshown=unshown)
    numbers = {
        f"family {n}": made("socket", f"{n}, {kind}, 0") for n in range(46) for kind in (1, 2)
    }
    if not place.control:
        place.refused(numbers)


def check_025_listening_is_refused(place: Place) -> None:
    attempts = {
        "tcp": "listen(socket.AF_INET, ('127.0.0.1', 0))",
        "unix": "listen(socket.AF_UNIX, 'listens')",
        "abstract": "listen(socket.AF_UNIX, b'\\0hearth-listens')",
        "raw tcp": "raw(socket.AF_INET).bind(('127.0.0.1', 0))",
        "raw unix": "raw(socket.AF_UNIX).bind('listens-2')",
        "server": "http.server.HTTPServer(('127.0.0.1', 0), None).server_close()",
    }
    setup = _RAW + (
        "import http.server\n"
        "def listen(family, address):\n    with socket.socket(family) as s:\n"
        "        s.bind(address)\n        s.listen()\n"
    )
    place.refused(attempts, setup=setup)


def check_026_a_socket_in_a_folder_is_refused(place: Place) -> None:
    path = str(place.folder / "docker.sock")  # open to everybody, as some are
    with listening(socket.AF_UNIX, socket.SOCK_STREAM, path) as (listener, _):
        (place.folder / "docker.sock").chmod(0o666)
        attempts = {
            "connect": f"reach({path!r})",
            "raw connect": f"raw(socket.AF_UNIX).connect({path!r})",
            "open": f"open({path!r}).close()",
        }
        found = place.refused(attempts, setup=_REACH, unshown={"open"}, also={"ENXIO"})
        assert place.control or found["connect"] != "ENXIO"
        assert listener.heard() is place.control
    (place.folder / "docker.sock").unlink()


def check_027_an_abstract_socket_is_refused(place: Place) -> None:
    name = b"\0hearth-" + place.canary.encode()
    with listening(socket.AF_UNIX, socket.SOCK_STREAM, name) as (listener, _):
        attempts = {
            "connect": f"reach({name!r})",
            "raw connect": f"raw(socket.AF_UNIX).connect({name!r})",
        }
        place.refused(attempts, setup=_REACH)
        assert listener.heard() is place.control


def check_028_datagrams_through_a_socket_pair_are_refused(place: Place) -> None:
    path = str(place.folder / "datagrams.sock")
    named = f"{(1).to_bytes(2, sys.byteorder) + path.encode()!r}, {len(path) + 3}"
    with listening(socket.AF_UNIX, socket.SOCK_DGRAM, path) as (listener, _):
        (place.folder / "datagrams.sock").chmod(0o666)
        attempts = {
            "sendto": f"pair(socket.SOCK_DGRAM)[0].sendto(b'x', {path!r})",
            "sendmsg": f"pair(socket.SOCK_DGRAM)[0].sendmsg([b'x'], [], 0, {path!r})",
            "seqpacket": f"pair(socket.SOCK_SEQPACKET)[0].sendto(b'x', {path!r})",
            "connected": f"pair(socket.SOCK_DGRAM)[0].connect({path!r})",
            "raw sendto": made("sendto", f"kept[0].fileno(), b'x', 1, 0, {named}"),
            "stream": f"pair(socket.SOCK_STREAM)[0].sendmsg([b'x'], [], 0, {path!r})",
        }
        setup = (
            "import socket\ndef pair(kind):\n    return socket.socketpair(socket.AF_UNIX, kind)\n"
            "try:\n    kept = pair(socket.SOCK_DGRAM)\nexcept OSError:\n"
            "    kept = pair(socket.SOCK_STREAM)\n"
        )
        errors = {"EISCONN", "ENOTCONN", "EOPNOTSUPP"}  # a pair knows no other address
        place.refused(attempts, setup=setup, unshown={"seqpacket", "stream"}, also=errors)
        assert listener.heard() is place.control
    (place.folder / "datagrams.sock").unlink()
    if place.real_python:  # nor does a descriptor travel
        sent = {"descriptor": "socket.send_fds(streams[0], [b'x'], [0])"}
        place.refused(sent, setup=f"{setup}streams = pair(socket.SOCK_STREAM)\n")


_REACH = _RAW + (
    "def reach(address):\n    with socket.socket(socket.AF_UNIX) as s:\n"
    "        s.settimeout(2)\n        s.connect(address)\n"
)


def check_029_io_uring_is_refused(place: Place) -> None:
    attempts = {
        "setup": made("io_uring_setup", "4, 0"),
        "enter": made("io_uring_enter", "-1, 1, 0, 0, 0, 0"),
        "register": made("io_uring_register", "-1, 0, 0, 0"),
    }
    place.refused(attempts, reaches=True, also=() if place.control else {"ENOSYS"})


def check_030_name_lookups_fail_at_once(place: Place) -> None:
    """No control: a lookup that succeeds would leave this machine."""
    if place.control:
        return
    code = (
        "import _socket, socket, time\nbegan = time.monotonic()\n"
        "try:\n    LOOKUP('hearth-no-such-name.example.org', 443)\n    found = 'done'\n"
        "except OSError as error:\n    found = type(error).__name__\n"
        "found, time.monotonic() - began"
    )
    began = time.monotonic()
    if place.restricted:
        place.text_of(code)
    else:
        for lookup in ("socket.getaddrinfo", "_socket.getaddrinfo"):
            found, seconds = place.executor(code.replace("LOOKUP", lookup)).output
        assert found in ("gaierror", "PermissionError") and seconds < 2
    assert time.monotonic() - began < 5


def check_031_asyncio_works(place: Place) -> None:
    if place.restricted:
        return  # its language has no event loop; await of the tools is all there is
    code = (
        "import asyncio\nasync def add(a, b):\n    await asyncio.sleep(0.001)\n    return a + b\n"
        "async def both():\n    return await asyncio.gather(add(1, 2), add(3, 4))\n"
        "asyncio.run(both())"
    )
    assert place.executor(code).output == [3, 7]


def check_032_tools_refuse_addresses_that_only_this_machine_can_reach(place: Place) -> None:
    """A tool works in the app, outside of the sandbox: the filter is its own."""
    from tools.visit_webpage import VisitWebpage

    executor = place.make()
    with listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) as (listener, address):
        port = address[1]  # type: ignore[index]
        executor.send_tools({"visit_webpage": VisitWebpage(timeout_seconds=3)})
        for url in (
            "http://169.254.169.254/latest/meta-data/",
            f"http://127.0.0.1:{port}/",
            f"http://localhost:{port}/",
            f"http://[::ffff:127.0.0.1]:{port}/",
            f"http://2130706433:{port}/",
            "http://[fd00:ec2::254]/latest/meta-data/",
        ):
            text = place.text_of(f"visit_webpage({url!r})", executor=executor)
            assert "PermissionError" in text or "ValueError" in text, text
        assert not listener.heard()
        # The control: with the address allowed by name, the tool does reach it.
        if place.control:
            allowed = VisitWebpage((f"127.0.0.1:{port}",), timeout_seconds=0.3)
            executor.send_tools({"visit_webpage": allowed})
            place.text_of(f"visit_webpage('http://127.0.0.1:{port}/')", executor=executor)
            assert listener.heard()
    executor.cleanup()
