"""Which search engine is asked, when, and what is kept of its answers."""

from pathlib import Path

import pytest

from errors import ToolError
from settings import Settings
from tests.test_tools_search import KEY, SEARXNG, as_json
from tests.trap_site import Site
from tools.search_backends import BackendFault
from tools.search_chain import SearchChain, search_chain
from tools.web_search import SearchResult
from tools.web_state import WebState

pytestmark = pytest.mark.usefixtures("no_proxy")

RESULTS = tuple(SearchResult(f"T{n}", f"https://{n}.example") for n in range(3))


class Engine:
    """An engine that says what it is told to, and counts how often it is asked."""

    def __init__(self, name: str, says: list[SearchResult] | BackendFault) -> None:
        self.name = self.identity = name
        self.gap_seconds = 0.0
        self.says = says
        self.asked = 0

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        self.asked += 1
        if isinstance(self.says, BackendFault):
            raise self.says
        return self.says


class TestOrder:
    def chain(self, *engines: Engine, state: WebState | None = None) -> SearchChain:
        return SearchChain(engines, state or WebState(), 60)

    def test_the_next_answers_where_the_first_cannot_and_the_first_is_left_alone(self) -> None:
        clock = [1000.0]
        state = WebState(now=lambda: clock[0])
        first = Engine("first", BackendFault("asks for a pause (429)", 60, insists=True))
        second = Engine("second", list(RESULTS))
        chain = self.chain(first, second, state=state)
        for number in range(3):
            assert chain(f"x{number}", 2) == list(RESULTS[:2])
        assert (first.asked, second.asked) == (1, 3)
        clock[0] += 61
        chain("another", 2)
        assert first.asked == 2

    def test_an_empty_answer_is_passed_on_too(self) -> None:
        assert self.chain(Engine("a", []), Engine("b", list(RESULTS)))("x", 1) == [RESULTS[0]]
        assert self.chain(Engine("a", []), Engine("b", BackendFault("is down", 9)))("x", 1) == []

    def test_none_can_answer(self) -> None:
        chain = self.chain(
            Engine("a", BackendFault("refuses its key (401)", 600, insists=True)),
            Engine("b", BackendFault("answered 500", 30)),
        )
        with pytest.raises(ToolError, match=r"a refuses its key \(401\); b answered 500\. Go on"):
            chain("x", 5)
        with pytest.raises(ToolError, match=r"asked again in \d+ seconds"):
            chain("x", 5)

    def test_a_single_engine_may_be_asked_again_after_a_passing_fault(self) -> None:
        engine = Engine("a", BackendFault("can't be reached", 30))
        chain = self.chain(engine)
        for _ in range(2):
            with pytest.raises(ToolError) as caught:
                chain("x", 5)
        assert engine.asked == 2
        assert caught.value.seen_as is ConnectionError

    def test_answers_are_kept_for_a_while_for_every_process(self, tmp_path: Path) -> None:
        clock = [1000.0]
        engine = Engine("a", list(RESULTS))
        file = tmp_path / "cache" / "web.sqlite"
        for query, most in (("Mount  Kenya", 3), ("mount kenya", 1)):
            state = WebState(file, now=lambda: clock[0])
            assert self.chain(engine, state=state)(query, most) == list(RESULTS[:most])
        assert engine.asked == 1
        clock[0] += 61
        self.chain(engine, state=WebState(file, now=lambda: clock[0]))("mount kenya", 1)
        assert engine.asked == 2
        other = Engine("b", list(RESULTS))
        self.chain(other, state=WebState(file, now=lambda: clock[0]))("mount kenya", 1)
        assert other.asked == 1, "another engine's answer is another"

    def test_engines_are_asked_one_after_the_other(self) -> None:
        waits: list[float] = []
        state = WebState(now=lambda: 1000.0)
        engine = Engine("a", list(RESULTS))
        engine.gap_seconds = 4.0
        chain = SearchChain([engine], state, 60, sleep=waits.append)
        for number in range(4):
            chain(f"x{number}", 1)
        assert waits == [4.0, 8.0, 12.0]
        with pytest.raises(ToolError, match="asked too often"):
            chain("one more", 1)

    def test_who_waited_finds_what_another_asked_meanwhile(self) -> None:
        state = WebState(now=lambda: 1000.0)
        engine = Engine("a", list(RESULTS))
        engine.gap_seconds = 4.0
        other = SearchChain([engine], state, 60)
        other("something else", 1)
        chain = SearchChain([engine], state, 60, sleep=lambda _: slept())

        def slept() -> None:
            SearchChain([engine], state, 60, sleep=lambda _: None)("the same", 1)

        assert chain("the same", 1) == [RESULTS[0]]
        assert engine.asked == 2


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "order"),
        [
            ({}, ["ddgs"]),
            ({"serper_api_key": KEY}, ["serper", "ddgs"]),
            (
                {"searxng_url": "http://127.0.0.1:9/", "tavily_api_key": KEY, "brave_api_key": KEY},
                ["searxng", "brave", "tavily", "ddgs"],
            ),
            (
                {"search_backends": " DDGS , brave", "brave_api_key": KEY, "serper_api_key": KEY},
                ["ddgs", "brave"],
            ),
        ],
    )
    def test_they_choose_the_engines(self, given: dict[str, str], order: list[str]) -> None:
        settings = Settings(**given)
        assert settings.search_order == order
        chain = search_chain(settings, WebState())
        assert [backend.name for backend in chain._backends] == order
        assert KEY not in repr([backend.identity for backend in chain._backends])

    def test_a_searxng_of_ones_own_is_reached_and_without_the_proxy(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        with Site({"/search": as_json(SEARXNG)}) as site:
            settings = Settings(search_backends="searxng", searxng_url=site.url("/"))
            assert len(search_chain(settings, WebState())("x", 3)) == 2
