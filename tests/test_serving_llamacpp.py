"""A real llama.cpp server: what it answers, the client on it, the agent on top.

It runs the bundled model, made into a GGUF file by llama.cpp's own library. One server for the
module, from the environment that `make test` makes (`python -m serving install llamacpp`).
Skipped, with the reason, where that could not be made.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from smolagents.models import ChatMessage

from agent.build import Hearth
from agent.events import RunFinished
from errors import Cancelled, EngineError, ModelError
from serving import install, llamacpp_server
from serving.chat import ChatModel
from serving.engines import Endpoint
from serving.reply import Reply
from serving.supervisor import Supervisor
from serving.thinking import CLOSING
from settings import Settings, load_settings
from tests import model_conformance
from tests.engine_clients import connecting
from tests.engine_help import alive, client, eventually, kill
from tests.gguf_help import bundled_gguf, small_gguf

pytestmark = pytest.mark.skipif(
    install.LLAMACPP.versions() is None,
    reason=f"llama.cpp is not installed ({install.LLAMACPP.log} may say why)",
)

SUM = [{"role": "user", "content": "What is 17% of 2480, plus 3 squared?"}]
NAME = "-tiny model"  # a space, and a dash first


@pytest.fixture(scope="module", autouse=True)
def the_package_is_tried() -> Iterator[None]:
    """And not a llama-server that the user may have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llamacpp_server, "PROGRAM", "no-such-llama-server")
        yield


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    file = bundled_gguf(tmp_path_factory.mktemp("me@home") / f"{NAME}.gguf")
    # `auto`: GGUF is llama.cpp's
    return load_settings(model=str(file), data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
def connect(engine: Supervisor) -> Iterator[Callable[..., ChatModel]]:
    """A function that makes a client of the engine; closed at the end."""
    with connecting(engine, patience_seconds=60) as start:
        yield start


def ask(endpoint: Endpoint, path: str, **body: Any) -> dict[str, Any]:
    with client(endpoint) as http:
        reply = http.post(f"{endpoint.base_url.removesuffix('/v1')}{path}", json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def busy(endpoint: Endpoint) -> bool:
    with client(endpoint) as http:
        slots = http.get(f"{endpoint.base_url.removesuffix('/v1')}/slots").json()
    return any(slot["is_processing"] for slot in slots)


# the server


def test_it_says_what_it_does_until_it_is_ready(endpoint: Endpoint, lines: list[str]) -> None:
    assert endpoint.model_id == NAME and endpoint.engine == "llamacpp"
    assert lines[0].startswith("starting llamacpp with ") and lines[0].endswith(" on CPU …")
    assert lines[-1].startswith("ready in ") and endpoint.base_url[:-3] in lines[-1]


def test_only_its_key_opens_it_and_nothing_shows_the_key(
    engine: Supervisor, endpoint: Endpoint
) -> None:
    assert len(endpoint.api_key) >= 32
    for key in ("none", "wrong"):
        with client(dataclasses.replace(endpoint, api_key=key)) as http:
            assert http.get("/models").status_code == 401
            for path in ("/v1/chat/completions", "/completion", "/tokenize", "/apply-template"):
                asked = http.post(endpoint.base_url.replace("/v1", path), json={})
                assert asked.status_code == 401, path
            assert http.get(endpoint.base_url.replace("/v1", "/slots")).status_code == 401
    process = psutil.Process(endpoint.pid)
    assert engine.log is not None
    shown = [*process.cmdline(), *process.parent().cmdline(), engine.log.read_text()]
    assert endpoint.api_key not in "".join(shown)


def test_it_listens_on_loopback_only(endpoint: Endpoint) -> None:
    process = psutil.Process(endpoint.pid)
    listening = [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    assert not [name for name in process.environ() if name.startswith("HEARTH_")]


def test_its_tokenizer_is_the_bundled_one(endpoint: Endpoint) -> None:
    """Tokens, merges and the way of splitting words came over whole."""
    from tokenizers import Tokenizer

    from serving.model_source import BUNDLED_FOLDER

    real = Tokenizer.from_file(str(BUNDLED_FOLDER / "tokenizer.json"))
    for text in ("What is 17% of 2480?", "<think>\nIt's 2.5e3…\n</think>", "def f(x):\n    pass\n"):
        assert ask(endpoint, "/tokenize", content=text)["tokens"] == real.encode(text).ids


def test_a_prompt_that_was_read_is_not_read_again(endpoint: Endpoint) -> None:
    for cached in (False, True):
        reply = ask(
            endpoint,
            "/v1/chat/completions",
            model=NAME,
            max_tokens=1,
            messages=[{"role": "user", "content": "Count the words of this. " * 20}],
        )
        usage = reply["usage"]
        if cached:
            details = usage["prompt_tokens_details"]
            assert details["cached_tokens"] >= usage["prompt_tokens"] - 1


def test_a_rendered_prompt_is_what_a_chat_would_be(endpoint: Endpoint) -> None:
    """No token too many at its beginning, and none too few."""
    chat = ask(endpoint, "/v1/chat/completions", model=NAME, max_tokens=1, messages=SUM)
    prompt = ask(endpoint, "/apply-template", model=NAME, messages=SUM)["prompt"]
    plain = ask(endpoint, "/v1/completions", model=NAME, max_tokens=1, prompt=prompt)
    assert prompt.endswith("<｜Assistant｜><think>\n")
    assert plain["usage"]["prompt_tokens"] == chat["usage"]["prompt_tokens"]


# the client on it


@pytest.mark.parametrize("check", model_conformance.ANY_MODEL, ids=lambda c: c.__name__)
def test_conformance(
    check: Callable[[ChatModel, list[ChatMessage]], None], connect: Callable[..., ChatModel]
) -> None:
    check(connect(), model_conformance.TASK)


def test_thinking_and_code_are_told_apart(connect: Callable[..., ChatModel]) -> None:
    deltas = list(connect().generate_stream(SUM))
    reply = deltas[-1].reply
    assert reply is not None and reply.thinking and reply.finish == "code" and reply.code
    assert "think>" not in reply.thinking + reply.text
    compile(reply.code, "reply", "exec")
    kinds = [delta.content is not None for delta in deltas[:-1]]
    assert kinds == sorted(kinds), "first all of the thinking, then all of the text"


def test_thinking_is_closed_and_the_same_reply_goes_on(connect: Callable[..., ChatModel]) -> None:
    reply = connect(thinking_tokens=4).generate(SUM).raw
    assert isinstance(reply, Reply) and reply.forced == "thinking_budget"
    assert reply.thinking.endswith(CLOSING.strip())
    assert reply.text or reply.reason


def test_cancelled_the_server_is_free_again(
    connect: Callable[..., ChatModel], endpoint: Endpoint
) -> None:
    cancel, model = threading.Event(), connect(max_tokens=1500)
    model._fields._extra["ignore_eos"] = True
    stream = model.generate_stream(
        [{"role": "user", "content": "Say a great deal."}], cancel=cancel
    )
    next(stream)
    cancel.set()
    with pytest.raises(Cancelled):
        list(stream)
    started = time.monotonic()
    assert eventually(lambda: not busy(endpoint), 10)
    assert time.monotonic() - started < 3


def test_two_clients_at_once_get_what_each_would_get_alone(
    connect: Callable[..., ChatModel],
) -> None:
    prime = [{"role": "user", "content": "Is 7919 a prime number?"}]
    alone = [connect().generate(task).raw.code for task in (SUM, prime)]
    assert alone[0] and alone[0] != alone[1]
    with ThreadPoolExecutor(2) as pool:
        again = list(pool.map(lambda task: connect().generate(task).raw.code, (SUM, prime)))
    assert again == alone


def test_a_wrong_key(connect: Callable[..., ChatModel]) -> None:
    with pytest.raises(ModelError, match="refused the key") as caught:
        connect(key="sk-wrong").generate(SUM)
    assert "sk-wrong" not in str(caught.value)


def test_it_says_its_context(connect: Callable[..., ChatModel]) -> None:
    assert connect().context_limit() == 2048


# the agent on top, and the end


def test_the_whole_agent_answers(engine: Supervisor, settings: Settings) -> None:
    with Hearth(settings) as hearth:
        assert hearth.endpoint == engine.endpoint, "the engine that runs is used"
        with contextlib.closing(hearth.new_model()) as model:
            assert model.family.name == "tiny", "by the name in the file: its path says nothing"
        session = hearth.new_session()
        with contextlib.closing(session):
            finished = list(session.run(SUM[0]["content"]))[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.answer, finished.provenance) == ("430.6", "computed")


def test_killed_it_comes_back_at_the_same_address(
    engine: Supervisor, endpoint: Endpoint, connect: Callable[..., ChatModel]
) -> None:
    model = connect()
    kill(endpoint.pid)
    assert model.generate(SUM).raw.code
    assert eventually(lambda: engine.endpoint not in (None, endpoint))
    assert engine.endpoint is not None and engine.endpoint.base_url == endpoint.base_url


def test_stopped_it_leaves_no_process(engine: Supervisor, endpoint: Endpoint) -> None:
    engine.stop()
    assert eventually(lambda: not alive(endpoint.pid), 10)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{endpoint.base_url}/models", trust_env=False)


def test_a_model_that_llama_cpp_can_not_load_says_so(tmp_path: Path) -> None:
    """Its head reads well, and its tensors are not those of its kind."""
    shape = {
        "qwen2__block_count": 2,
        "qwen2__embedding_length": 64,
        "qwen2__context_length": 256,
        "qwen2__feed_forward_length": 64,
        "qwen2__attention__head_count": 2,
    }
    file = small_gguf(tmp_path / "hollow.gguf", **shape)
    supervisor = Supervisor(load_settings(model=str(file), data_dir=tmp_path / "data"))
    with pytest.raises(EngineError, match="ended before it was ready") as caught:
        supervisor.start()
    assert "llama.cpp can't start" in caught.value.log
    assert str(supervisor.log) in caught.value.fix
