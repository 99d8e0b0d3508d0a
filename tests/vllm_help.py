"""What tests on a real vLLM server share: questions beside the client, metrics, a slower engine."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from serving.engines import Endpoint
from tests.engine_help import client


def ask(endpoint: Endpoint, messages: list[dict[str, str]], **more: object) -> dict[str, Any]:
    """A whole reply, not streamed."""
    body = {"model": endpoint.model_id, "messages": messages, "temperature": 0, **more}
    with client(endpoint) as http:
        reply = http.post("/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def metric(endpoint: Endpoint, name: str) -> float:
    """The sum of a metric's values, as Prometheus would read them."""
    with client(endpoint) as http:
        text = http.get(endpoint.base_url.removesuffix("/v1") + "/metrics").text
    values = re.findall(rf"^vllm:{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
    assert values, f"there is no metric vllm:{name}"
    return sum(map(float, values))


def a_token(endpoint: Endpoint) -> int:
    """Some token of the model's, to say over and over."""
    with client(endpoint) as http:
        asked = {"model": endpoint.model_id, "prompt": "the", "add_special_tokens": False}
        tokens = http.post(endpoint.base_url.replace("/v1", "/tokenize"), json=asked).json()
    return tokens["tokens"][-1]


def at_rest(pid: int | None) -> bool:
    """Whether a process, and this one but for the thread that asks, wait for something to come.

    A thread that could go on, and only has no core at the moment, is not at rest.
    """
    asks = str(threading.get_native_id())
    for tasks in (Path(f"/proc/{pid}/task"), Path("/proc/self/task")):
        for task in tasks.iterdir():
            with contextlib.suppress(OSError):  # it has just ended
                state = (task / "stat").read_text().rpartition(")")[2].split()[0]
                if state == "R" and task.name != asks:
                    return False
    return True


def yielding(processes: list[psutil.Process], niceness: int) -> None:
    """Sets how readily all threads of the processes leave their core to others."""
    for process in processes:
        for one in process.threads():
            os.setpriority(os.PRIO_PROCESS, one.id, niceness)


@contextlib.contextmanager
def slowed(endpoint: Endpoint, *, callers: int = 0) -> Iterator[Callable[[], float]]:
    """The engine at a small part of its speed; the function gives its CPU seconds so far.

    It begins once so many `callers` more than before are connected to its server.

    So small a model is at a reply's end before its server, on the same two cores, hears that
    the client has gone. A large one's tokens take as long as these: its process computes for a
    moment, and is stopped until the server and its clients have done with what came of it.
    """
    family = psutil.Process(endpoint.pid).children(recursive=True)
    engine = [one for one in family if one.name().startswith("VLLM::")]
    workers = [one for one in engine if "Worker" in one.name()] or engine
    over = threading.Event()
    server = psutil.Process(endpoint.pid)
    wanted = len(server.net_connections()) + callers

    def quiet() -> bool:
        return at_rest(endpoint.pid) and len(server.net_connections()) >= wanted

    def beat() -> None:
        nonlocal wanted
        while not over.is_set():
            for one in workers:
                one.suspend()
            over.wait(0.02)
            until = time.monotonic() + (20 if wanted else 5)
            while not (quiet() or over.is_set() or time.monotonic() > until):
                time.sleep(0.005)
            wanted = 0
            for one in workers:
                one.resume()
            time.sleep(0.004)

    def seconds() -> float:
        return sum(one.cpu_times().user + one.cpu_times().system for one in engine)

    assert workers, "vLLM's processes have other names"
    yielding(workers, 19)  # whoever else wants a core has it before them
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield seconds
    finally:
        over.set()
        thread.join()
        with contextlib.suppress(PermissionError):  # only root may take it back
            yielding(workers, 0)
