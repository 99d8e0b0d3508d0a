"""Every test starts from a clean environment and never reaches past this machine."""

import ipaddress
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from serving.engines import Endpoint
    from serving.supervisor import Supervisor
    from settings import Settings


def pytest_xdist_auto_num_workers() -> int:
    """How many files of tests run side by side: one more than there are cores, as most wait."""
    return min(4, (os.cpu_count() or 1) + 1)


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> Iterator[None]:
    """For the whole session: what a module shares, such as an engine, must not see it either."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith("HEARTH_"):
                patch.delenv(name)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        yield


@pytest.fixture(autouse=True, scope="session")
def interrupts_arrive() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so do the programs it starts."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """A test of this process that would reach past loopback fails at once."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            try:
                inside = ipaddress.ip_address(address[0]).is_loopback
            except ValueError:
                inside = address[0] == "localhost"
            assert inside, f"a test reached for {address[0]}"
        return real(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that reaches the web without one."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of toy size with random weights."""
    from tests.random_tiny_model import build_random_model

    return build_random_model(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """What the module's `engine` says while it starts."""
    return []


@pytest.fixture(scope="module")
def engine(settings: "Settings", lines: list[str]) -> "Iterator[Supervisor]":
    """One engine for a whole module, which says by a fixture `settings` what it is to run."""
    from serving.supervisor import Supervisor

    supervisor = Supervisor(settings, on_progress=lines.append)
    supervisor.start()
    yield supervisor
    supervisor.stop()


@pytest.fixture
def endpoint(engine: "Supervisor") -> "Endpoint":
    """Where the module's engine answers."""
    assert engine.endpoint is not None
    return engine.endpoint
