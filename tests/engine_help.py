"""What the tests of engines share: settings, a stub in the table, processes and their ends."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest

from serving.engines import ENGINES, Command, Endpoint, Engine, Plan
from settings import ROOT, Settings, load_settings

STUB = Path(__file__).with_name("stub_engine.py")
SCRIPT = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from settings import load_settings
from serving.supervisor import Supervisor
from tests.engine_help import ENGINES, stub_table
supervisor = Supervisor(
    load_settings(model={model!r}, engine="transformers", data_dir=Path({data!r})),
    engines=stub_table() if {stub} else ENGINES,
)
endpoint = supervisor.start()
print(endpoint.pid, endpoint.base_url, flush=True)
time.sleep(600)
"""


def stub_table(fault: str = "") -> dict[str, Engine]:
    """The table with the stub's command in the row `transformers`."""

    def command(plan: Plan, port: int, key: str) -> Command:
        argv = [sys.executable, str(STUB), str(port), plan.source.model_id, fault]
        return Command(argv, {**os.environ, "ENGINE_API_KEY": key}, Path("/"))

    return {"transformers": dataclasses.replace(ENGINES["transformers"], command=command)}


def make_settings(model: Path, data: Path, **more: object) -> Settings:
    return load_settings(model=str(model), engine="transformers", data_dir=data, **more)


def eventually(true: Callable[[], object], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def alive(*pids: int | None) -> list[int]:
    """Those of `pids` that still run; zombies don't."""
    found = []
    for pid in pids:
        try:
            if pid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def client(endpoint: Endpoint) -> httpx.Client:
    headers = {"authorization": f"Bearer {endpoint.api_key}"}
    return httpx.Client(base_url=endpoint.base_url, headers=headers, trust_env=False, timeout=30)


def start_app(
    model: Path, data: Path, *, stub: bool = True
) -> tuple[subprocess.Popen[str], int, str]:
    """Another process that owns a supervisor: the process, the engine's pid and address."""
    script = SCRIPT.format(root=str(ROOT), model=str(model), data=str(data), stub=stub)
    app = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    with app.stdout as said:
        pid, base_url = said.readline().split()
    return app, int(pid), base_url


SMALL_DISK = """
mkdir -p "$1" && mount -t tmpfs -o size="$2" tmpfs "$1" || exit 1
shift 2; exec "$@"
"""


def on_small_disk(folder: Path, size: int) -> list[str]:
    """What to put before a command to have it run with a disk of `size` bytes at `folder`; the
    test is skipped where none can be mounted."""
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    mounts = [*alone, "sh", "-c", SMALL_DISK, "sh", str(folder), str(size)]
    possible = shutil.which("unshare") and subprocess.run([*mounts, "true"], check=False)
    if not possible or possible.returncode:
        pytest.skip("a small disk can't be mounted here: no user namespaces")
    return mounts


Serve = Callable[[type[BaseHTTPRequestHandler]], str]


@contextmanager
def serving() -> Iterator[Serve]:
    """A function that serves a handler on loopback and returns its address."""
    servers = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
