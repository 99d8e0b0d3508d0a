"""A real vLLM server on this machine's CPU: what it answers, the client on it, the agent on top.

One server for the module, with the bundled model, from the environment that `make test` makes
(`python -m serving install vllm --cpu`). Skipped, with the reason, where the CPU can't run it
or it could not be installed.
"""

import contextlib
import dataclasses
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from smolagents.models import ChatMessage

from agent.build import Hearth
from agent.events import RunFinished
from benchmarks.prefix_cache import ReadAloud, counters, long_run
from benchmarks.streams import Server
from errors import Cancelled, ModelError
from serving import install
from serving.chat import ChatModel
from serving.engines import Endpoint
from serving.families import FAMILIES
from serving.link import BY_OWNER
from serving.plan.flags import END_OF_THINKING
from serving.reply import Reply
from serving.request import Fields
from serving.supervisor import Supervisor
from serving.thinking import CLOSING
from settings import Settings, load_settings
from tests import model_conformance
from tests.engine_clients import connecting
from tests.engine_help import alive, client, eventually
from tests.vllm_help import a_token, ask, metric, slowed

START_SECONDS = 600  # 40 on a quiet machine; a busy one may take ten times that
WHY_NOT = install.cpu_obstacle() or (
    "" if install.CPU.versions() else f"vLLM is not installed ({install.CPU.log} may say why)"
)
pytestmark = [pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT), pytest.mark.timeout(START_SECONDS)]

SUM = [{"role": "user", "content": "What is 17% of 2480, plus 3 squared?"}]
LONG = [{"role": "user", "content": "What is 17% of 2480, plus 3 squared? " * 20}]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(
        engine="vllm",
        data_dir=tmp_path_factory.mktemp("data"),
        engine_start_timeout_seconds=START_SECONDS,
    )


@pytest.fixture
def connect(engine: Supervisor) -> Iterator[Callable[..., ChatModel]]:
    """A function that makes a client of the engine; closed at the end."""
    with connecting(engine) as start:
        yield start


# the server


def test_it_says_what_it_does_until_it_is_ready(endpoint: Endpoint, lines: list[str]) -> None:
    assert endpoint.model_id == "tiny" and endpoint.engine == "vllm"
    assert lines[0] == "starting vllm with models/tiny on CPU …"
    assert any(line.startswith("starting Python and vLLM (") for line in lines)
    assert lines[-1].startswith("ready in ") and endpoint.base_url[:-3] in lines[-1]


def test_only_its_key_opens_it_and_nothing_shows_the_key(
    engine: Supervisor, endpoint: Endpoint
) -> None:
    assert len(endpoint.api_key) >= 32
    for key in ("none", "wrong"):
        with client(dataclasses.replace(endpoint, api_key=key)) as http:
            assert http.get("/models").status_code == 401
            assert http.post("/chat/completions", json={}).status_code == 401
            for path in ("/tokenize", "/invocations", "/metrics", "/docs"):
                assert http.post(endpoint.base_url.replace("/v1", path)).status_code == 401, path
    process = psutil.Process(endpoint.pid)
    family = [process, process.parent(), *process.children(recursive=True)]
    assert engine.log is not None
    shown = [word for one in family for word in one.cmdline()]
    assert endpoint.api_key not in "".join([*shown, engine.log.read_text()])


def test_the_api_listens_on_loopback_and_asks_no_network(endpoint: Endpoint) -> None:
    process = psutil.Process(endpoint.pid)
    for one in [process, *process.children(recursive=True)]:
        for connection in one.net_connections():
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1"
    environment = process.environ()
    assert environment["HF_HUB_OFFLINE"] == environment["VLLM_NO_USAGE_STATS"] == "1"
    assert not [name for name in environment if name.startswith("HEARTH_")]


def test_thinking_comes_in_a_field_of_its_own(endpoint: Endpoint) -> None:
    message = ask(endpoint, SUM, max_tokens=400)["choices"][0]["message"]
    assert message["reasoning"].strip() and "```python" in message["content"]
    assert "think>" not in message["reasoning"] + message["content"]


@pytest.mark.parametrize("budget", [0, 4])
def test_the_thinking_budget_is_kept(endpoint: Endpoint, budget: int) -> None:
    reply = ask(endpoint, SUM, max_tokens=200, thinking_token_budget=budget)
    message = reply["choices"][0]["message"]
    forced = END_OF_THINKING.removesuffix("</think>")
    assert message["reasoning"].endswith(forced), "it was closed in the model's place"
    thought = message["reasoning"].removesuffix(forced)
    with client(endpoint) as http:
        body = {"model": endpoint.model_id, "prompt": thought, "add_special_tokens": False}
        counted = http.post(endpoint.base_url.replace("/v1", "/tokenize"), json=body).json()
    assert counted["count"] <= budget
    assert message["content"].strip(), "and it goes on after it"


def test_a_reply_in_circles_is_ended(endpoint: Endpoint) -> None:
    """By the field that the client sends, and after as many tokens as it says."""
    body = {"max_tokens": 340, "logit_bias": {str(a_token(endpoint)): 100}}
    fields = Fields(endpoint.model_id, FAMILIES["tiny"], {}).chat([], 1, BY_OWNER["vllm"], None)
    rule = fields["repetition_detection"]
    reply = ask(endpoint, SUM, repetition_detection=rule, **body)
    assert reply["choices"][0]["finish_reason"] == "repetition"
    assert reply["usage"]["completion_tokens"] == rule["min_pattern_size"] * rule["min_count"]
    assert ask(endpoint, SUM, **body)["choices"][0]["finish_reason"] == "length"


def test_a_prompt_that_was_read_is_not_read_again(endpoint: Endpoint) -> None:
    ask(endpoint, LONG, max_tokens=1)
    before = metric(endpoint, "prefix_cache_hits_total")
    usage = ask(endpoint, LONG, max_tokens=1)["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert cached >= 128, "a whole block of the cache, at least"
    assert metric(endpoint, "prefix_cache_hits_total") - before == cached


def test_metrics_count_what_was_done(endpoint: Endpoint) -> None:
    before = metric(endpoint, "generation_tokens_total")
    usage = ask(endpoint, SUM, max_tokens=9, ignore_eos=True)["usage"]
    assert usage["completion_tokens"] == 9
    assert metric(endpoint, "generation_tokens_total") - before == 9
    assert metric(endpoint, "time_to_first_token_seconds_count") > 0


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
    compile(reply.code, "reply", "exec")
    kinds = [delta.content is not None for delta in deltas[:-1]]
    assert kinds == sorted(kinds), "first all of the thinking, then all of the text"


def test_the_client_has_the_server_bound_the_thinking(
    connect: Callable[..., ChatModel], endpoint: Endpoint
) -> None:
    requests = metric(endpoint, "request_success_total")
    reply = connect(thinking_tokens=3).generate(SUM).raw
    assert isinstance(reply, Reply) and reply.thinking.endswith(END_OF_THINKING.split("\n")[2])
    assert reply.text
    done = lambda: metric(endpoint, "request_success_total") - requests  # noqa: E731
    assert eventually(lambda: metric(endpoint, "num_requests_running") == 0)
    assert done() <= 1, "one request, not a second that closes it from outside"


def test_the_client_goes_on_after_a_reply_in_circles(
    connect: Callable[..., ChatModel], endpoint: Endpoint
) -> None:
    model = connect(max_tokens=400)
    model._fields._extra["logit_bias"] = {str(a_token(endpoint)): 100}
    reply = model.generate(SUM).raw
    assert reply.forced == "repetition" and CLOSING.strip() in reply.thinking and reply.text


def test_a_reply_ends_in_the_engine_at_the_end_of_its_first_block(
    connect: Callable[..., ChatModel], endpoint: Endpoint
) -> None:
    """The client closes the stream there; a model that would go on must not.

    On busy cores the engine may be at its end before the client has read so far: then again.
    """
    model = connect(max_tokens=1500)
    model._fields._extra["ignore_eos"] = True
    made = 1500.0
    for _ in range(5):
        before = metric(endpoint, "generation_tokens_total")
        with slowed(endpoint) as cpu_seconds:
            message = model.generate(SUM)
            assert message.raw.finish == "code" and message.token_usage.output_tokens < 200
            assert eventually(lambda: metric(endpoint, "num_requests_running") == 0, 10)
            made = metric(endpoint, "generation_tokens_total") - before
            idle = cpu_seconds()
            time.sleep(1)
            assert cpu_seconds() - idle < 0.2, "the engine still computes"
        assert metric(endpoint, "generation_tokens_total") - before == made
        if made < 1500:
            break
    assert made < 1500, "it went on after the client"


def test_cancelled_the_engine_stops(connect: Callable[..., ChatModel], endpoint: Endpoint) -> None:
    cancel = threading.Event()
    model = connect(max_tokens=1500)
    model._fields._extra["ignore_eos"] = True
    before = metric(endpoint, "generation_tokens_total")
    with slowed(endpoint):
        stream = model.generate_stream(SUM, cancel=cancel)
        next(stream)
        cancel.set()
        with pytest.raises(Cancelled):
            list(stream)
        assert eventually(lambda: metric(endpoint, "num_requests_running") == 0, 10)
    assert metric(endpoint, "generation_tokens_total") - before < 1500


def test_eight_streams_at_once_all_end_well(
    connect: Callable[..., ChatModel], endpoint: Endpoint
) -> None:
    alone = connect().generate(SUM).raw
    models = [connect() for _ in range(8)]
    with slowed(endpoint, callers=8), ThreadPoolExecutor(8) as pool:
        replies = [pool.submit(model.generate, SUM) for model in models]
        assert eventually(lambda: metric(endpoint, "num_requests_running") == 8, 60)
    assert {reply.result().raw.code for reply in replies} == {alone.code}


def test_a_wrong_key(connect: Callable[..., ChatModel]) -> None:
    with pytest.raises(ModelError, match="refused the key") as caught:
        connect(key="sk-wrong").generate(SUM)
    assert "sk-wrong" not in str(caught.value)


def test_it_counts_tokens_and_says_its_context(connect: Callable[..., ChatModel]) -> None:
    model = connect()
    assert model.context_limit() == 2048
    assert (model.count_tokens("What is 17% of 2480?") or 0) > 4


# the agent on top, and the end


def test_the_whole_agent_answers(engine: Supervisor, settings: Settings) -> None:
    with Hearth(settings) as hearth:
        assert hearth.endpoint == engine.endpoint, "the engine that runs is used"
        session = hearth.new_session()
        with contextlib.closing(session):
            finished = list(session.run(SUM[0]["content"]))[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.answer, finished.provenance) == ("430.6", "computed")


def test_a_run_of_ten_steps_reads_its_prompts_once(endpoint: Endpoint) -> None:
    """Each prompt of the whole agent goes on from the one before, and the cache has all of that
    but the last block, which was not full."""
    server = Server(endpoint.base_url, endpoint.api_key, endpoint.model_id, is_vllm=True)
    model = ReadAloud(long_run(10, 40, rows=2), FAMILIES["tiny"], server)
    before = counters(server)
    with tempfile.TemporaryDirectory() as folder:
        own = load_settings(data_dir=Path(folder), max_steps=10)
        with contextlib.closing(Hearth(own).new_session(model=model)) as session:
            assert list(session.run("Sum up what the rows show."))[-1].status == "answered"
    after = counters(server)
    assert len(model.reads) == 10 and before is not None and after is not None
    first, *later = model.reads
    assert after[1] - before[1] == sum(read.cached for read in model.reads)
    for earlier, read in zip([first, *later], later, strict=False):
        assert read.common is not None
        assert read.common >= earlier.tokens - 8, "all of the prompt before, but its last mark"
        assert read.cached > read.common - 2 * 32
    assert sum(read.cached for read in later) > 0.9 * sum(read.common or 0 for read in later)


def test_stopped_it_leaves_no_process(engine: Supervisor, endpoint: Endpoint) -> None:
    process = psutil.Process(endpoint.pid)
    pids = [endpoint.pid, *(child.pid for child in process.children(recursive=True))]
    assert len(pids) > 1, "vLLM has processes of its own"
    engine.stop()
    assert eventually(lambda: not alive(*pids), 10)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{endpoint.base_url}/models", trust_env=False)
