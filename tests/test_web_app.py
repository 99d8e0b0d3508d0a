"""The app's front door: where it listens, and what it says when it can't."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.build import Hearth
from app import about, address, is_loopback, listen, standing
from errors import EngineError, InputError
from settings import Settings, load_settings


def at(folder: Path, host: str, port: int) -> Settings:
    return load_settings(folder, host=host, port=port)


@pytest.fixture(params=["127.0.0.1", "::1"])
def taken(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        sock = socket.create_server((request.param, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with sock:
        yield request.param, sock.getsockname()[1]


def test_a_port_in_use_is_said_with_a_way_out(tmp_path: Path, taken: tuple[str, int]) -> None:
    with pytest.raises(InputError, match="in use") as caught:
        listen(at(tmp_path, *taken))
    assert address(*taken) in caught.value.message and "HEARTH_PORT" in caught.value.fix


@pytest.mark.parametrize("host", ["..", "a b"])
def test_a_host_that_can_not_be_is_said(tmp_path: Path, host: str) -> None:
    with pytest.raises(InputError, match="Can't listen") as caught:
        listen(at(tmp_path, host, 0))
    assert "HEARTH_HOST" in caught.value.fix


def test_a_free_port_is_taken_at_once(tmp_path: Path) -> None:
    with listen(at(tmp_path, "127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(InputError, match="in use"):
            listen(at(tmp_path, "127.0.0.1", port))


def test_a_start_that_fails_is_told_with_its_next_step(tmp_path: Path) -> None:
    settings = load_settings(
        tmp_path, data_dir=tmp_path, route="main", endpoint_url="http://127.0.0.1:1"
    )
    hearth = Hearth(settings)
    start = hearth.begin()
    with pytest.raises(EngineError):
        start.wait()
    said = standing(hearth, start)
    assert said.startswith("**No model could be started.** Nothing answers at")
    assert "HEARTH\\_ENDPOINT\\_URL" in said and not hearth.ready()
    assert "the model at http://127.0.0.1:1" in about(hearth)
    hearth.stop()


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("fe80::1%eth0", False),
    ],
)
def test_who_can_reach_it(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside
