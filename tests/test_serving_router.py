"""The route and the router, against servers that fail in every way."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from httpx import MockTransport, Request, Response

from errors import Cancelled, ContextTooLong, EngineError, HearthError, ModelError
from serving.breaker import FIRST_SECONDS, MOST_SECONDS, Breaker
from serving.engines import ENGINES
from serving.ledger import Ledger, LimitReached
from serving.place_engine import EnginePlace, LocalPlace
from serving.route import Route, places_of
from serving.router import RoutedModel
from serving.row import Endpoint, Say
from settings import load_settings
from settings.of_route import EndpointSettings
from tests.fake_openai import FakeOpenAI, Turn

KEY = "sk-very-secret-0123456789"
ASK = [{"role": "user", "content": "Say it."}]
Two = Callable[..., tuple[RoutedModel, FakeOpenAI, FakeOpenAI]]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """A model on a route of two endpoints, `one` and `other`, and their servers."""
    with ExitStack() as stack:

        def start(
            *turns: Turn, seconds: float = 8, one: object = None, **server: object
        ) -> tuple[RoutedModel, FakeOpenAI, FakeOpenAI]:
            first = stack.enter_context(FakeOpenAI(turns, models=["first"], **server))  # type: ignore[arg-type]
            second = stack.enter_context(FakeOpenAI([Turn("other")], models=["second"]))
            settings = load_settings(
                tmp_path,
                data_dir=tmp_path,
                route="one,other",
                request_timeout_seconds=seconds,
                endpoints={
                    "one": {"url": first.url, "key": KEY, **(one or {})},  # type: ignore[dict-item]
                    "other": {"url": second.url},
                },
            )
            route = Route(settings)
            stack.callback(route.stop)
            route.start()
            model = RoutedModel(route)
            stack.callback(model.close)
            return model, first, second

        yield start


def said(model: RoutedModel) -> str:
    return str(model.generate(ASK).content)


@pytest.mark.parametrize(
    "turn",
    [
        Turn(status=401),
        Turn(status=404),
        Turn(status=429, headers={"Retry-After": "900"}),
        Turn(status=429),
        Turn(status=500),
        Turn(status=503),
        Turn(fault="silence", after=-1),
        Turn("never heard", fault="silence", after=1),
        Turn("never heard", fault="drop", after=1),
        Turn(fault="drop", after=-1),
        Turn("never heard", fault="malformed", after=1),
        Turn(fault="web_page"),
        Turn("x", fault="error_event", after=0),
    ],
    ids=lambda t: f"{t.status}-{t.fault}-{t.after}-{bool(t.headers)}",
)
def test_whatever_fails_the_next_one_answers(two: Two, turn: Turn) -> None:
    model, _, other = two(turn, seconds=12)
    began = time.monotonic()
    deltas = list(model.generate_stream(ASK))
    assert deltas[-1].reply is not None and deltas[-1].reply.text == "other"
    after = [n for n, delta in enumerate(deltas) if delta.anew]
    heard = "".join(d.content or "" for d in deltas[after[-1] if after else 0 :])
    assert heard == "other", "what the first had streamed is void"
    assert time.monotonic() - began < 12.5 and len(other.chats) == 1
    assert model.model_id == "second" and said(model) == "other"


def test_the_change_says_why_and_nobody_sees_the_key(two: Two) -> None:
    model, first, _ = two(Turn(status=401, error={"error": {"message": f"bad key {KEY}"}}))
    assert model.settle() is None
    with pytest.raises(HearthError) as caught:
        list(model.generate_stream(ASK))
    change = model.settle(caught.value)
    assert change is not None
    assert (change.from_model, change.to_model, change.to_place) == ("first", "second", "other")
    assert "refused the key" in change.reason and "endpoints.one.key" in caught.value.fix
    assert KEY not in str(change) + str(caught.value) + repr(model)
    assert first.chats[0].headers["authorization"] == f"Bearer {KEY}"


def test_it_comes_back_when_the_better_one_is_well_again(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.breaker.FIRST_SECONDS", 1.5)
    model, first, _ = two(Turn(status=400))
    assert said(model) == "other"
    first.turns = [Turn("first")]
    assert model.settle() is None, "not yet"
    time.sleep(1.6)
    change = model.settle()
    assert change is not None and (change.to_place, change.reason) == ("one", "one answers again.")
    assert said(model) == "first"


def test_what_is_no_fault_of_the_server_changes_nothing(two: Two) -> None:
    model, _, other = two(Turn(""), Turn(""), Turn("slow" * 50, delay=0.3, chunk=1))
    assert said(model) == "", "an empty reply is the model's own mistake"
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(Cancelled):
        list(model.generate_stream(ASK, cancel=stop))
    assert model.model_id == "first" and not other.chats


def test_too_long_for_every_model_is_said_as_such(two: Two) -> None:
    wrong = {"error": {"message": "maximum context length is 100 tokens"}}
    model, _, _ = two(Turn(status=400, error=wrong))
    with pytest.raises(ContextTooLong):
        said(model)


def test_all_down_lists_each_with_its_reason(two: Two) -> None:
    model, _, other = two(Turn(status=401))
    other.turns = [Turn(status=404)]
    with pytest.raises(HearthError) as caught:
        said(model)
    for words in ("one (first)", "refused the key", "other (second)", "serving route"):
        assert words in str(caught.value)
    assert "endpoints.one.key" in caught.value.fix


def test_a_limit_moves_on_and_a_restart_does_not_forget(two: Two, tmp_path: Path) -> None:
    model, first, _ = two(Turn("first"), one={"requests_per_day": 2})
    assert [said(model) for _ in range(3)] == ["first", "first", "other"]
    assert len(first.chats) == 2
    again = Ledger(tmp_path / "route.db")
    assert again.spent("one").requests == 2
    with pytest.raises(LimitReached, match="2 requests a day"):
        again.check("one", EndpointSettings.model_validate({"requests_per_day": 2}))


def test_money_is_kept_within_its_limit(tmp_path: Path) -> None:
    limits = EndpointSettings.model_validate(
        {"money_per_day": 1.0, "input_price": 1.0, "output_price": 10.0}
    )
    now = [86_400.0 * 1000]
    ledger = Ledger(tmp_path / "b.db", clock=lambda: now[0])
    number = ledger.begin("a", limits, 100_000, 50_000)  # at most 0.60
    with pytest.raises(LimitReached, match=r"0\.4 left of its limit of 1 money"):
        ledger.begin("a", limits, 100_000, 50_000)
    ledger.end(number, limits, 100_000, 10_000)
    assert ledger.spent("a").money == pytest.approx(0.2)
    ledger.begin("a", limits, 100_000, 50_000)
    now[0] += 86_400
    assert ledger.spent("a").money == 0


def test_what_does_not_fit_now_may_fit_soon(tmp_path: Path) -> None:
    limits = EndpointSettings.model_validate({"tokens_per_day": 10_000})
    ledger = Ledger(tmp_path / "b.db")
    for tokens in (6000, 3000):  # of replies that are under way
        ledger.begin("a", limits, 0, tokens)
    with pytest.raises(LimitReached, match="1,000 left") as caught:
        ledger.begin("a", limits, 500, 3000)
    assert caught.value.seconds <= 60, "not until midnight"
    ledger.check("a", limits, 1000)
    with pytest.raises(LimitReached):
        ledger.check("a", limits, 1001)
    ledger.begin("a", limits, 1000, 0)
    with pytest.raises(LimitReached, match="has reached its limit"):
        ledger.check("a", limits)


@pytest.mark.parametrize(
    ("turns", "most", "least"),
    [
        ([Turn("four")], 20, 2),
        ([Turn(status=429), Turn(status=500), Turn("four")], 20, 2),
        ([Turn(status=401)], 0, 0),
        ([Turn(fault="drop", after=-1)], 0, 0),
        ([Turn("x", fault="error_event", after=0)], 0, 0),
        ([Turn(fault="silence", after=-1)], 100_000, 8192),  # it may have thought unseen
    ],
    ids=["served", "served in the end", "refused", "cut", "failed", "never heard of"],
)
def test_the_bill_has_what_was_served(
    two: Two, tmp_path: Path, turns: list[Turn], most: int, least: int
) -> None:
    model, _, _ = two(*turns, one={"tokens_per_day": 1_000_000})
    said(model)
    assert least <= Ledger(tmp_path / "route.db").spent("one").tokens <= most


def test_a_minute_is_a_minute(tmp_path: Path) -> None:
    limits = EndpointSettings.model_validate({"requests_per_minute": 2})
    now = [1000.0]
    ledger = Ledger(tmp_path / "b.db", clock=lambda: now[0])
    for _ in range(2):
        ledger.begin("a", limits, 1, 1)
        now[0] += 10
    with pytest.raises(LimitReached) as caught:
        ledger.begin("a", limits, 1, 1)
    assert caught.value.seconds == pytest.approx(40)
    now[0] += 41
    ledger.check("a", limits)


def test_the_breaker_opens_waits_longer_each_time_and_lets_one_try() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    pause = FIRST_SECONDS
    for _ in range(8):
        breaker.failed("it is down")
        assert (breaker.state, breaker.allows()) == ("open", False)
        assert breaker.seconds_left == min(pause, MOST_SECONDS)
        now[0] += min(pause, MOST_SECONDS)
        assert breaker.state == "half-open"
        assert breaker.allows() and not breaker.allows(), "one tries it"
        pause *= 2
    breaker.succeeded()
    assert breaker.allows() and breaker.reason == ""
    now[0] += 10 * MOST_SECONDS
    breaker.failed("again")
    assert breaker.seconds_left == FIRST_SECONDS, "it had been well for long"
    breaker.take_out("for good")
    now[0] += 1e6
    assert not breaker.allows(now=True) and breaker.seconds_left is None


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ({}, ["local", "bundled"]),
        ({"model": "tiny"}, ["main", "local"]),
        ({"endpoint_url": "http://x"}, ["main", "local", "bundled"]),
        ({"openai_key": "sk-1"}, ["local", "openai", "bundled"]),
        ({"model": "a/b", "endpoints": {"mine": {"url": "http://x"}}, "anthropic_key": "k"}, None),
        ({"route": "main"}, ["main"]),
        ({"route": "bundled, main"}, ["bundled", "main"]),
    ],
)
def test_the_order(
    tmp_path: Path,
    given: dict[str, object],
    order: list[str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-program")
    settings = load_settings(tmp_path, data_dir=tmp_path, **given)
    wanted = order or ["main", "local", "mine", "anthropic", "bundled"]
    assert [place.name for place in places_of(settings)] == wanted


def test_settings_hold_for_the_bundled_model_where_no_other_is_named(tmp_path: Path) -> None:
    alone = load_settings(tmp_path, max_tokens=64, engine_port=0, family="tiny")
    assert places_of(alone)[-1].settings.max_tokens == 64
    beside = load_settings(tmp_path, max_tokens=64, openai_key=KEY)
    assert [p.settings.max_tokens for p in places_of(beside)[1:]] == [64, None]
    with pytest.raises(HearthError, match="unknown family: 'nope'"):
        Route(load_settings(tmp_path, data_dir=tmp_path, family="nope", openai_key=KEY))


def test_another_program_s_key_counts_when_the_user_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    settings = load_settings(tmp_path, openai_key="env:OPENAI_API_KEY")
    assert settings.key_of("openai") == KEY and KEY not in repr(settings)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"route": "main,openai"}, "openai_key must be set"),
        ({"route": "warp"}, "route names 'warp'"),
        ({"openai_key": "env:NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
        ({"endpoints": {"x": {"key": KEY}}}, "endpoints.x needs a url"),
        ({"endpoints": {"x": {"url": "http://x", "kye": KEY}}}, "endpoints.x.kye"),
        ({"endpoints": {"x": {"url": "http://x", "key": KEY, "money_per_day": 1}}}, "input_price"),
        ({"endpoints": {"main": {"url": "http://x"}}}, "limits and prices only"),
    ],
)
def test_settings_that_can_not_be(tmp_path: Path, given: dict[str, object], words: str) -> None:
    with pytest.raises(HearthError, match=words) as caught:
        load_settings(tmp_path, **given)
    assert KEY not in str(caught.value)


def test_an_engine_in_this_process_answers_again_after_a_fault(tmp_path: Path) -> None:
    def refuse(request: Request) -> Response:
        return Response(503)

    there = Endpoint(
        "http://x.internal/v1", "", "m", "zerogpu", None, transport=MockTransport(refuse)
    )
    row = replace(ENGINES["zerogpu"], connect=lambda settings, say: there)
    settings = load_settings(
        tmp_path,
        data_dir=tmp_path,
        model="org/m",
        route="zerogpu,spare",
        endpoints={"spare": {"url": "http://127.0.0.1:9"}},
    )
    route = Route(settings, engines={"zerogpu": row})
    place = route.places[0]
    assert place.look() == ("can be loaded", "Into Hearth's own process, by zerogpu.")
    assert route.start() is place
    route.failed(place, ModelError("No GPU was free."))
    place.breaker.hold("No GPU was free.", 0)  # its pause is over
    assert route.choose(lambda: None) is place
    assert place._supervisor is not None  # type: ignore[attr-defined]
    place._supervisor.endpoint = replace(there, base_url="http://y.internal/v1")
    route.answered(place)
    chosen = route.choose(lambda: None)
    assert chosen.endpoint is not None and chosen.endpoint.base_url == "http://y.internal/v1"


def test_an_engine_here_that_can_not_be_started_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []

    class Broken(EnginePlace):
        def _open(self, say: Say) -> Endpoint:
            starts.append(self.name)
            raise EngineError("It ended before it was ready.")

    monkeypatch.setattr("serving.place_engine.can_start_here", lambda settings: True)
    settings = load_settings(tmp_path, data_dir=tmp_path, model="a/b", family="r1-distill")
    place = LocalPlace(settings, optional=True, startable=Broken("local", settings))
    assert place.family.name == "r1-distill"
    for words in ("ended before", "No engine runs", "No engine runs"):
        with pytest.raises(EngineError, match=words):
            place.open(lambda line: None, lambda: None)
    assert starts == ["local"]
