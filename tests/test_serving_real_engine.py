"""The real engine, `transformers serve`: what it answers, and the client on it.

It runs a copy of the bundled model, in a folder with a difficult name.
"""

import contextlib
import dataclasses
import json
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from smolagents.models import ChatMessage

from errors import Cancelled, EngineError, ModelError
from serving.chat import ChatModel
from serving.engines import Endpoint
from serving.families import FAMILIES
from serving.logs import tail
from serving.model_source import BUNDLED_FOLDER
from serving.reply import Reply
from serving.state import all_records
from serving.supervisor import Supervisor
from serving.thinking import CLOSING
from settings import Settings
from tests import model_conformance
from tests.engine_clients import connecting
from tests.engine_help import alive, client, eventually, kill, make_settings
from tests.random_tiny_model import build_random_model

NAME = "-tiny model"
SUM = [{"role": "user", "content": "What is 17% of 2480, plus 3 squared?"}]
PRIME = [{"role": "user", "content": "Is 7919 a prime number?"}]
BUNDLED = (BUNDLED_FOLDER / "model.safetensors").is_file()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder: its name has a space and a dash first, that of its parent an @."""
    folder = tmp_path_factory.mktemp("me@home") / NAME
    if BUNDLED:
        return Path(shutil.copytree(BUNDLED_FOLDER, folder))
    return build_random_model(folder)  # in a checkout where the weights are being made


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def settings(folder: Path, data: Path) -> Settings:
    return make_settings(folder, data)


@pytest.fixture
def connect(engine: Supervisor) -> Iterator[Callable[..., ChatModel]]:
    """A function that makes a client of the engine; closed at the end."""
    with connecting(engine, patience_seconds=100, max_tokens=200) as start:
        yield start


def chat(endpoint: Endpoint, tokens: int = 8, **more: object) -> dict[str, object]:
    return {
        "model": endpoint.model_id,
        "messages": [{"role": "user", "content": "What is <think> 2 + 2, zebra?"}],
        "max_tokens": tokens,
        "stream": True,
        **more,
    }


def stream(endpoint: Endpoint, **more: object) -> tuple[str, dict[str, object]]:
    """The text of a streamed reply and its last chunk."""
    text, last = "", {}
    with (
        client(endpoint) as http,
        http.stream("POST", "/chat/completions", json=chat(endpoint, **more)) as reply,
    ):
        assert reply.status_code == 200, reply.read()
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                last = json.loads(line[6:])
                delta = last["choices"][0]["delta"]
                assert "reasoning_content" not in delta
                text += delta.get("content") or ""
    return text, last


# what it answers


def test_it_says_what_it_does_and_answers_in_a_stream(endpoint: Endpoint, lines: list[str]) -> None:
    assert endpoint.model_id == NAME
    assert lines[0].startswith("starting transformers with ") and " on CPU" in lines[0]
    assert any(line.endswith(" s)") for line in lines[1:-1]), "what it is doing, and for how long"
    assert lines[-1].startswith("ready in ") and endpoint.base_url[:-3] in lines[-1]
    assert endpoint.base_url.startswith("http://127.0.0.1:")
    text, last = stream(endpoint)
    assert text and last["choices"][0]["finish_reason"] == "length"
    assert last["usage"]["completion_tokens"] == 8


def test_the_prompt_is_not_sent_back_as_the_reply(endpoint: Endpoint) -> None:
    """transformers takes every qwen2 for ChatML and would echo an R1 prompt."""
    text, _ = stream(endpoint, temperature=0)
    assert "zebra" not in text and "｜User｜" not in text
    with client(endpoint) as http:
        whole = http.post("/chat/completions", json=chat(endpoint, stream=False))
    assert "zebra" not in whole.json()["choices"][0]["message"]["content"]


def test_only_its_key_opens_it_and_nothing_shows_the_key(
    engine: Supervisor, endpoint: Endpoint
) -> None:
    assert len(endpoint.api_key) >= 32
    wrong = dataclasses.replace(endpoint, api_key="wrong")
    with client(wrong) as http:
        assert http.get("/models").status_code == 401
        assert http.post("/chat/completions", json=chat(wrong)).status_code == 401
        assert http.post("/../reset").status_code == 401
    with client(endpoint) as http:
        assert [m["id"] for m in http.get("/models").json()["data"]] == [NAME]
    process = psutil.Process(endpoint.pid)
    assert engine.log is not None
    shown = [*process.cmdline(), *process.parent().cmdline(), engine.log.read_text()]
    assert endpoint.api_key not in "".join([*shown, repr(endpoint), repr(engine._record)])


def test_it_listens_on_loopback_only_and_never_asks_the_network(endpoint: Endpoint) -> None:
    process = psutil.Process(endpoint.pid)
    listening = [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    environment = process.environ()
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert not [name for name in environment if name.startswith("HEARTH_")]


def test_its_state_and_log_are_the_users_alone(engine: Supervisor, data: Path) -> None:
    (path, record), *others = all_records(data / "engines")
    assert not others and record.process.alive and record.guard.alive
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert engine.log is not None and "Uvicorn running" in tail(engine.log, 200)
    assert stat.S_IMODE(engine.log.stat().st_mode) == 0o600


def test_a_second_app_uses_it_and_leaves_it_running(
    engine: Supervisor, endpoint: Endpoint, folder: Path, data: Path
) -> None:
    said: list[str] = []
    second = Supervisor(make_settings(folder, data), on_progress=said.append)
    with second as found:
        assert found == endpoint and not second.owned
        assert said[-1].startswith("using the engine that runs already")
    assert alive(endpoint.pid)
    stream(endpoint, tokens=1)


# the client on it


@pytest.mark.parametrize("check", model_conformance.ANY_MODEL, ids=lambda c: c.__name__)
def test_conformance(
    check: Callable[[ChatModel, list[ChatMessage]], None], connect: Callable[..., ChatModel]
) -> None:
    check(connect(), model_conformance.TASK)


def test_thinking_and_code_are_told_apart(connect: Callable[..., ChatModel]) -> None:
    deltas = list(connect().generate_stream(SUM))
    reply = deltas[-1].reply
    assert reply is not None and reply.thinking
    assert "think>" not in reply.thinking + reply.text
    if BUNDLED:
        kinds = [delta.content is not None for delta in deltas[:-1]]
        assert kinds == sorted(kinds), "first all of the thinking, then all of the text"
        assert reply.finish == "code" and reply.code
        compile(reply.code, "reply", "exec")


def test_the_usage_is_the_servers_own_count(connect: Callable[..., ChatModel]) -> None:
    message = connect(max_tokens=8).generate(SUM)
    assert isinstance(message.raw, Reply) and message.raw.finish == "length"
    assert message.token_usage.output_tokens == 8
    assert message.token_usage.input_tokens > 5


def test_two_clients_at_once_get_what_each_would_get_alone(
    connect: Callable[..., ChatModel],
) -> None:
    """And so temperature 0 is deterministic."""

    def ask(messages: list[dict[str, str]]) -> Reply:
        return connect().generate(messages).raw

    alone = [ask(SUM), ask(PRIME)]
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, (SUM, PRIME))) == alone


def test_cancelled_requests_free_the_engine_at_once(connect: Callable[..., ChatModel]) -> None:
    """Those that wait for their turn too: it takes one request at a time."""
    model, cancel, begun = connect(max_tokens=400), threading.Event(), threading.Event()
    started = time.monotonic()
    model.generate(SUM)
    whole = time.monotonic() - started

    def ask(_: int) -> None:
        with contextlib.suppress(Cancelled):
            for _delta in model.generate_stream(SUM, cancel=cancel):
                begun.set()

    with ThreadPoolExecutor(24) as pool:
        asking = pool.map(ask, range(24))
        assert begun.wait(20)
        cancel.set()
        list(asking)
    started = time.monotonic()
    connect(max_tokens=1).generate(SUM)
    assert time.monotonic() - started < 12 * whole


def test_a_wrong_key(connect: Callable[..., ChatModel]) -> None:
    with pytest.raises(ModelError, match="refused the key") as caught:
        connect(key="sk-wrong").generate(SUM)
    assert "sk-wrong" not in str(caught.value)


def test_an_unknown_model(connect: Callable[..., ChatModel]) -> None:
    with pytest.raises(ModelError, match=f"has no model 'nonesuch'. It has: {NAME}"):
        connect(model_id="nonesuch").generate(SUM)


def test_killed_it_comes_back_at_the_same_address(
    engine: Supervisor, endpoint: Endpoint, lines: list[str], connect: Callable[..., ChatModel]
) -> None:
    model = connect(max_tokens=8)
    kill(endpoint.pid)
    usage = model.generate(SUM).token_usage  # a client asks again until it is back
    assert usage is not None and usage.output_tokens == 8
    assert eventually(lambda: engine.endpoint != endpoint)
    after = engine.endpoint
    assert after is not None and after.pid != endpoint.pid
    assert dataclasses.replace(after, pid=endpoint.pid) == endpoint
    assert any("signal 9" in line and "Starting it again" in line for line in lines)


def test_thinking_is_closed_and_the_same_reply_goes_on(
    connect: Callable[..., ChatModel], endpoint: Endpoint
) -> None:
    reply = connect(max_tokens=24, thinking_tokens=6).generate(SUM).raw
    assert reply.forced == "thinking_budget"
    assert reply.thinking.endswith(CLOSING.strip())
    assert reply.text or reply.reason
    with client(endpoint) as http:
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        rendered = http.post(endpoint.base_url.replace("/v1", "/apply-template"), json=body)
        assert rendered.json()["prompt"].endswith("Hi<｜Assistant｜><think>\n")
        wrong = http.post(endpoint.base_url.replace("/v1", "/apply-template"), json={"x": 1})
        assert wrong.status_code == 400


def test_stopped_with_its_app_it_is_gone(engine: Supervisor, endpoint: Endpoint) -> None:
    model = ChatModel(
        endpoint.base_url,
        NAME,
        endpoint.api_key,
        FAMILIES["tiny"],
        timeout_seconds=60,
        patience_seconds=60,
        check=engine.check,
    )
    engine.stop()
    assert not alive(endpoint.pid)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{endpoint.base_url}/models", trust_env=False)
    started = time.monotonic()
    with pytest.raises(EngineError, match="was stopped"):
        model.generate(SUM)
    assert time.monotonic() - started < 5
    model.close()
