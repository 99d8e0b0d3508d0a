"""The engine `zerogpu`: the bundled model in this very process, under the real decorator of the
package `spaces`, which outside of ZeroGPU does nothing. No GPU of ZeroGPU's was seen by it.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from smolagents.models import ChatMessage

from agent.build import Hearth
from agent.events import RunFinished
from errors import Cancelled, ContextTooLong, EngineError, ModelError, Refused, SettingsError
from serving import zerogpu
from serving.chat import ChatModel
from serving.engines import Endpoint, chosen_engine
from serving.families import FAMILIES
from serving.in_process import Engine, InProcess, Pace
from serving.model_source import resolve_model
from serving.plan import named_hardware
from serving.thinking import CLOSING
from settings import load_settings
from tests import model_conformance
from tests.engine_help import eventually

pytest.importorskip("spaces", reason="the package spaces is not installed")

SUM = [{"role": "user", "content": "What is 17% of 2480, plus 3 squared?"}]
PRIME = [{"role": "user", "content": "Is 7919 a prime number?"}]


@pytest.fixture(scope="module")
def endpoint() -> Endpoint:
    """The bundled model, loaded once."""
    return zerogpu.load(resolve_model("tiny"), lambda line: None, context=2048)


def client(endpoint: Endpoint, **options: Any) -> ChatModel:
    return ChatModel(
        endpoint.base_url,
        endpoint.model_id,
        endpoint.api_key,
        FAMILIES["tiny"],
        timeout_seconds=60,
        transport=endpoint.transport,
        **options,
    )


@pytest.fixture
def connect(endpoint: Endpoint) -> Iterator[Callable[..., ChatModel]]:
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> ChatModel:
            model = client(endpoint, **options)
            stack.callback(model.close)
            return model

        yield start


def generating() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "generate"]


@pytest.mark.parametrize("check", model_conformance.ANY_MODEL, ids=lambda c: c.__name__)
def test_conformance(
    check: Callable[[ChatModel, list[ChatMessage]], None], connect: Callable[..., ChatModel]
) -> None:
    check(connect(), model_conformance.TASK)


def test_thinking_and_code_come_in_a_stream(connect: Callable[..., ChatModel]) -> None:
    model = connect()
    deltas = list(model.generate_stream(SUM))
    reply, usage = deltas[-1].reply, deltas[-1].token_usage
    assert reply is not None and reply.thinking and reply.finish == "code" and reply.code
    assert "think>" not in reply.thinking + reply.text and len(deltas) > 10
    assert usage is not None and usage.input_tokens == 27 and usage.output_tokens > 20
    assert model.context_limit() == 2048


def test_thinking_is_closed_and_the_same_reply_goes_on(connect: Callable[..., ChatModel]) -> None:
    reply = connect(thinking_tokens=4).generate(SUM).raw
    assert reply.forced == "thinking_budget" and reply.thinking.endswith(CLOSING.strip())
    assert reply.text or reply.reason


def test_cancelled_it_stops_computing(connect: Callable[..., ChatModel]) -> None:
    cancel = threading.Event()
    stream = connect().generate_stream(SUM, cancel=cancel)
    next(stream)
    assert generating()
    cancel.set()
    with pytest.raises(Cancelled):
        list(stream)
    assert eventually(lambda: not generating(), 5)


def test_two_sessions_at_once_get_what_each_would_get_alone(
    connect: Callable[..., ChatModel],
) -> None:
    alone = [connect().generate(task).raw.code for task in (SUM, PRIME)]
    assert alone[0] and alone[0] != alone[1]
    with ThreadPoolExecutor(2) as pool:
        again = list(pool.map(lambda task: connect().generate(task).raw.code, (SUM, PRIME)))
    assert again == alone


def test_a_conversation_that_is_too_long(connect: Callable[..., ChatModel]) -> None:
    with pytest.raises(ContextTooLong, match="too long for the model's context"):
        connect().generate([{"role": "user", "content": "word " * 3000}])


def test_the_whole_agent_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerogpu, "look", lambda ask_hub=True: named_hardware("zerogpu"))
    settings = load_settings(engine="zerogpu", data_dir=tmp_path)
    with Hearth(settings) as hearth:
        assert hearth.ready() and hearth.endpoint.engine == "zerogpu"
        with contextlib.closing(hearth.new_session()) as session:
            finished = list(session.run(SUM[0]["content"]))[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.answer, finished.provenance) == ("430.6", "computed")


# the length of calls


def test_a_call_asks_for_what_it_needs_and_no_more_than_it_may() -> None:
    pace = Pace(most_seconds=120, tokens_a_second=25)
    assert pace.seconds(1000, 100) == 12 and pace.seconds(1000, 100) < pace.seconds(1000, 1000)
    assert pace.seconds(0, 10**6) == 120
    most = pace.fits(4000)
    assert most == 2200 and pace.seconds(4000, most) <= 120
    pace.learn(tokens=500, seconds=10)
    assert pace.tokens_a_second == 37.5 and pace.fits(4000) > most
    pace.learn(tokens=3, seconds=10)
    assert pace.tokens_a_second == 37.5, "so few say nothing"


class Recorded:
    """An engine that says what it is told to, and keeps what it was asked."""

    def __init__(self, *pieces: str, fault: Exception | None = None) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.pieces, self.fault = pieces, fault

    def stream(self, *asked: Any) -> Iterator[tuple[str, int, str]]:
        self.asked.append(asked)
        for number, piece in enumerate(self.pieces):
            yield piece, number, ""
        if self.fault is not None:
            raise self.fault
        yield "", len(self.pieces), "stop"

    def endpoint(self, most_seconds: float = 120) -> Endpoint:
        engine = Engine(
            model_id="tiny",
            context=100_000,
            render=lambda messages, template: str(messages),
            count=len,
            stream=self.stream,
            explain=zerogpu.explain,
            pace=Pace(most_seconds, 25),
        )
        return Endpoint(zerogpu.ADDRESS, "", "tiny", "zerogpu", None, transport=InProcess(engine))


def test_a_reply_that_a_call_can_not_hold_is_asked_for_shorter() -> None:
    recorded = Recorded("so</think>Final answer: 4")
    with contextlib.closing(client(recorded.endpoint(40), max_tokens=5000)) as model:
        assert model.generate(SUM).raw.answer == "4"
    ((_, tokens, seconds, temperature, _),) = recorded.asked
    assert 600 < tokens < 700 and 38 <= seconds <= 40 and temperature == 0.0


class GradioError(Exception):
    """As `spaces` raises them: a title beside the message."""

    def __init__(self, title: str, message: str) -> None:
        super().__init__(message)
        self.title, self.message = title, message


@pytest.mark.parametrize(
    ("fault", "kind", "what"),
    [
        (GradioError("ZeroGPU quota exceeded", "60s left"), Refused, "quota is used up: 60s left"),
        (GradioError("ZeroGPU illegal duration", "(200s)"), Refused, "no call of that length"),
        (GradioError("ZeroGPU worker error", "GPU task aborted"), ModelError, "ended the call"),
        (
            GradioError("ZeroGPU queue timeout", "No GPU was available"),
            ModelError,
            "No GPU was free",
        ),
        (RuntimeError("CUDA out of memory"), ModelError, "RuntimeError.: CUDA out of memory"),
    ],
)
def test_what_goes_wrong_is_said_with_a_next_step(
    fault: Exception, kind: type[ModelError], what: str
) -> None:
    recorded = Recorded("Let me", " see", fault=fault)
    with (
        contextlib.closing(client(recorded.endpoint())) as model,
        pytest.raises(kind, match=what) as caught,
    ):
        model.generate(SUM)
    assert caught.value.fix and len(recorded.asked) == 1, "no quota is spent on asking again"


def test_the_first_reply_is_the_self_test() -> None:
    recorded = Recorded(*["!"] * 40)
    with (
        contextlib.closing(client(recorded.endpoint())) as model,
        pytest.raises(ModelError, match="not sound: it says one thing over and over"),
    ):
        model.generate(SUM)
    sound = Recorded("fine</think>Final answer: 4")
    endpoint = sound.endpoint()
    with contextlib.closing(client(endpoint)) as model:
        model.generate(SUM)
        sound.pieces = ("!" * 30 + "</think>Final answer: 5",)
        assert model.generate(SUM).raw.answer == "5", "once it was seen to be sound, it is"


# where it is for


def test_elsewhere_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerogpu, "look", lambda ask_hub=True: named_hardware("l4"))
    with pytest.raises(SettingsError, match="zerogpu runs in a ZeroGPU Space") as caught:
        zerogpu.connect_zerogpu(load_settings(engine="zerogpu"), lambda line: None)
    assert "HEARTH_ENGINE to auto" in caught.value.fix
    monkeypatch.setattr(zerogpu, "look", lambda ask_hub=True: named_hardware("zerogpu"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match="needs the package spaces"):
        zerogpu.connect_zerogpu(load_settings(engine="zerogpu"), lambda line: None)


def test_auto_takes_it_in_a_zerogpu_space(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerogpu, "look", lambda ask_hub=True: named_hardware("zerogpu"))
    assert chosen_engine(load_settings(model=str(toy))) == "zerogpu"
    assert chosen_engine(load_settings(model="tiny")) == "transformers"


def test_a_model_that_can_not_be_loaded_is_one_error(toy: Path) -> None:
    source = dataclasses.replace(resolve_model(str(toy)), folder=toy.parent / "nowhere")
    with pytest.raises(EngineError, match="can't be loaded") as caught:
        zerogpu.load(source, lambda line: None, context=256)
    assert "HEARTH_MODEL" in caught.value.fix
