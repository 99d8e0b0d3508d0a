"""What tests on a real vLLM server share: questions beside the client, metrics, a slower engine."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def slowed(endpoint: Endpoint) -> Iterator[Callable[[], float]]:
    """The engine at a small part of its speed; the function gives its CPU seconds so far.

    So small a model is at a reply's end before its server, on the same two cores, hears that
    the client has gone. A large one's tokens take as long as these: its process is stopped for
    most of the time.
    """
    family = psutil.Process(endpoint.pid).children(recursive=True)
    engine = [one for one in family if one.name().startswith("VLLM::")]
    workers = [one for one in engine if "Worker" in one.name()] or engine
    over = threading.Event()

    def beat() -> None:
        while not over.is_set():
            for one in workers:
                one.suspend()
            over.wait(0.02)
            for one in workers:
                one.resume()
            time.sleep(0.004)

    def seconds() -> float:
        return sum(one.cpu_times().user + one.cpu_times().system for one in engine)

    assert workers, "vLLM's processes have other names"
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield seconds
    finally:
        over.set()
        thread.join()
