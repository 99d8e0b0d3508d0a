"""web_search: what it shows, and its engines in the formats and with the faults they have."""

import inspect
import json
import urllib.parse
from collections.abc import Callable

import pytest

from errors import ToolError
from tests.trap_site import Page, Site, body, broken, no_http, send, silence, status, text
from tools.fetch import Ask, Fetched, FetchFunction, Limits, fetch
from tools.search_backends import Backend, BackendFault, Brave, Ddgs, Searxng, Serper, Tavily
from tools.web_search import SearchResult, WebSearch

KEY = "k3y-of-mine"


pytestmark = pytest.mark.usefixtures("no_proxy")


RESULTS = (
    SearchResult("Rubjerg  Knude", "https://a.example/x", "A lighthouse,\n23 m high."),
    SearchResult("", "https://b.example", ""),
    SearchResult("Third", "https://c.example", "word " * 200),
)


class TestTool:
    def test_the_format_is_the_one_agents_know(self) -> None:
        tool = WebSearch(lambda query, most: list(RESULTS[:2]))
        assert tool(query="lighthouse") == (
            "1. Rubjerg Knude\n   https://a.example/x\n   A lighthouse, 23 m high.\n"
            "2. (no title)\n   https://b.example"
        )
        assert WebSearch(lambda *_: [])(query=" no\nsuch ") == "No results for 'no such'."

    def test_a_date_stands_before_the_snippet(self) -> None:
        found = [
            SearchResult("A", "https://a.example", "Words.", "2024-05-01"),
            SearchResult("B", "https://b.example", date="3 days ago"),
        ]
        assert WebSearch(lambda *_: found)(query="x") == (
            "1. A\n   https://a.example\n   2024-05-01: Words.\n"
            "2. B\n   https://b.example\n   3 days ago"
        )

    def test_numbers_of_results(self) -> None:
        asked: list[int] = []

        def search(query: str, most: int) -> list[SearchResult]:
            asked.append(most)
            return list(RESULTS)

        tool = WebSearch(search)
        assert "2." not in tool(query="x", max_results=1)
        tool(query="x")
        tool(query="x", max_results=99)
        tool(query="x", max_results=None)
        assert asked == [1, 5, 10, 5]
        assert len(tool(query="x")) < 700, "snippets are cut"
        with pytest.raises(ToolError, match="empty"):
            tool(query="  ")


def getter(seconds: float = 10.0) -> FetchFunction:
    """As the app fetches, but from this machine too."""
    limits = Limits(2_000_000, seconds, frozenset(["127.0.0.1"]))
    return lambda ask: fetch(ask, limits)


# The engines' own formats, cut down: serper.dev/playground, api-dashboard.search.brave.com,
# docs.tavily.com, docs.searxng.org.
SERPER = {
    "searchParameters": {"q": "käse & brot", "type": "search", "engine": "google"},
    "answerBox": {"snippet": "x", "title": "y", "link": "https://z.example"},
    "organic": [
        {"title": "T1", "link": "https://a.example", "snippet": "one", "position": 1},
        {"title": "T2", "link": "https://b.example", "snippet": "two", "date": "May 1, 2024"},
        {"title": "no address", "position": 3},
    ],
    "credits": 1,
}
BRAVE = {
    "type": "search",
    "query": {"original": "käse & brot"},
    "web": {
        "type": "search",
        "results": [
            {"title": "T1", "url": "https://a.example", "description": "one"},
            {
                "title": "T2",
                "url": "https://b.example",
                "description": "two",
                "page_age": "2024-05-01T07:00:00",
                "age": "May 1, 2024",
            },
        ],
    },
}
TAVILY = {
    "query": "käse & brot",
    "answer": None,
    "images": [],
    "results": [
        {"title": "T1", "url": "https://a.example", "content": "one", "score": 0.9},
        {
            "title": "T2",
            "url": "https://b.example",
            "content": "two",
            "published_date": "2024-05-01T00:00:00Z",
        },
    ],
    "response_time": 1.2,
}
SEARXNG = {
    "query": "käse & brot",
    "number_of_results": 0,
    "results": [
        {"title": "T1", "url": "https://a.example", "content": "one", "publishedDate": None},
        {
            "title": "T2",
            "url": "https://b.example",
            "content": "two",
            "publishedDate": "2024-05-01T00:00:00",
        },
        {"title": "no address"},
        7,
    ],
    "unresponsive_engines": [["google", "CAPTCHA"]],
}
Build = Callable[[FetchFunction, str], Backend]
ENGINES: dict[str, tuple[Build, object]] = {
    "serper": (lambda get, address: Serper(get, KEY, address), SERPER),
    "brave": (lambda get, address: Brave(get, KEY, address), BRAVE),
    "tavily": (lambda get, address: Tavily(get, KEY, address), TAVILY),
    "searxng": (lambda get, address: Searxng(get, address.removesuffix("/search")), SEARXNG),
}


def as_json(value: object, code: int = 200, **headers: str) -> Page:
    page = body(json.dumps(value).encode(), "application/json", **headers)
    if code == 200:
        return page
    return lambda handler: send(handler, json.dumps(value).encode(), dict(headers), code)


SILENT = silence(3)


class TestEngines:
    @pytest.mark.parametrize("name", ENGINES)
    def test_results_with_their_dates(self, name: str) -> None:
        build, reply = ENGINES[name]
        with Site({"/search": as_json(reply)}) as site:
            found = build(getter(), site.url("/search"))("käse & brot", 10)
            path, _ = site.asked[-1]
        assert [(r.title, r.address, r.snippet) for r in found] == [
            ("T1", "https://a.example", "one"),
            ("T2", "https://b.example", "two"),
        ]
        assert found[0].date == ""
        assert found[1].date == ("May 1, 2024" if name == "serper" else "2024-05-01")
        assert KEY not in path
        if name in ("brave", "searxng"):
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
            assert asked["q"] == ["käse & brot"]

    def test_how_keys_and_questions_are_sent(self) -> None:
        seen: list[Ask] = []

        def get(ask: Ask) -> Fetched:
            seen.append(ask)
            return Fetched(ask.address, "application/json", None, b'{"organic":[],"results":[]}')

        for build in (Serper, Brave, Tavily):
            build(get, KEY)("q", 10)
        serper, brave, tavily = seen
        assert serper.headers["X-API-KEY"] == KEY
        assert json.loads(serper.body or b"") == {"q": "q", "num": 10}
        assert brave.headers["X-Subscription-Token"] == KEY
        assert tavily.headers["Authorization"] == f"Bearer {KEY}"
        assert json.loads(tavily.body or b"") == {"query": "q", "max_results": 10}
        assert {ask.redirects for ask in seen} == {0}, "a redirect would carry the key elsewhere"

    @pytest.mark.parametrize("name", ENGINES)
    @pytest.mark.parametrize(
        ("page", "said", "insists"),
        [
            (status(401), r"refuses its key \(401\)", True),
            (status(402), r"no credits left \(402\)", True),
            (status(403), r"refuses its key \(403\)|must list json", True),
            (status(429), r"asks for a pause \(429\)", True),
            (status(500), "answered 500", False),
            (status(503), "answered 503", False),
            (text("<html>a page</html>"), "not in its format", False),
            (body(b"", "application/json"), "not in its format", False),
            (as_json([]), "not in its format", False),
            (
                as_json({"results": 7, "organic": "x", "web": {"results": 1}}),
                "not in its format",
                False,
            ),
            (broken, "not in its format|can't be reached", False),
            (no_http, "can't be reached", False),
            (SILENT, "longer than 0.4 seconds", False),
        ],
    )
    def test_faults(self, name: str, page: Page, said: str, insists: bool) -> None:
        build, _ = ENGINES[name]
        get = getter(0.4) if page is SILENT else getter()
        with Site({"/search": page}) as site, pytest.raises(BackendFault, match=said) as caught:
            build(get, site.url("/search"))("x", 10)
        assert caught.value.insists == insists
        assert len(str(caught.value)) < 300
        assert KEY not in str(caught.value)

    def test_faults_of_their_own(self) -> None:
        cases: list[tuple[str, Page, str]] = [
            ("serper", as_json({"message": "Not enough credits"}, 400), "no credits"),
            ("tavily", as_json({"detail": {"error": "limit"}}, 432), "used up its plan"),
            (
                "brave",
                as_json({"error": {"code": "SUBSCRIPTION_TOKEN_INVALID"}}, 422),
                "refuses its key",
            ),
            (
                "searxng",
                as_json({"results": [], "unresponsive_engines": [["x", "timeout"]]}),
                "no answer from its engines",
            ),
        ]
        for name, page, said in cases:
            build, _ = ENGINES[name]
            with Site({"/search": page}) as site, pytest.raises(BackendFault, match=said):
                build(getter(), site.url("/search"))("x", 10)

    @pytest.mark.parametrize(
        ("said", "seconds"), [("7", 7), ("99999", 3600), ("Fri, 1 Jan 2027", 60), ("nan", 60)]
    )
    def test_the_pause_that_is_asked_for(self, said: str, seconds: float) -> None:
        with (
            Site({"/search": status(429, **{"Retry-After": said})}) as site,
            pytest.raises(BackendFault) as caught,
        ):
            Serper(getter(), KEY, site.url("/search"))("x", 10)
        assert caught.value.pause_seconds == seconds

    def test_nothing_found(self) -> None:
        for name, reply in (
            ("brave", {"type": "search", "query": {}}),
            ("serper", {"organic": []}),
            ("tavily", {"results": []}),
            ("searxng", {"results": [], "unresponsive_engines": []}),
        ):
            with Site({"/search": as_json(reply)}) as site:
                assert ENGINES[name][0](getter(), site.url("/search"))("x", 10) == []

    def test_a_password_in_the_address_of_searxng_goes_into_the_header(self) -> None:
        with Site({"/search": as_json(SEARXNG)}) as site:
            address = site.url("").replace("http://", "http://me:pa%2055@")
            assert Searxng(getter(), address)("x", 10)
            assert site.asked[-1][1]["authorization"] == "Basic bWU6cGEgNTU="
        with pytest.raises(BackendFault) as caught:
            Searxng(getter(), address)("x", 3)
        assert "pa" not in str(caught.value).split("127.0.0.1")[0]
        assert "55" not in str(caught.value).replace(str(site.port), "")

    def test_the_package_ddgs_has_what_is_called(self) -> None:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException, RatelimitException

        assert issubclass(RatelimitException, DDGSException)
        assert "timeout" in inspect.signature(DDGS.__init__).parameters or DDGS(timeout=1)
        parameters = inspect.signature(DDGS._search_sync).parameters
        assert {"query", "max_results"} <= set(parameters)

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            ("RatelimitException", "asks for a pause"),
            ("TimeoutException", "can't be reached: late"),
            ("KeyError", "failed: 'late'"),
        ],
    )
    def test_faults_of_ddgs(self, monkeypatch: pytest.MonkeyPatch, error: str, said: str) -> None:
        import ddgs
        from ddgs import exceptions

        def text(self: object, query: str, **_: object) -> list[dict[str, str]]:
            if query == "fault":
                raise getattr(exceptions, error, KeyError)("late")
            if query == "nothing":
                raise exceptions.DDGSException("No results found.")
            return [{"title": "T", "href": "https://a.example", "body": "b"}, {"title": "no"}]

        monkeypatch.setattr(ddgs.DDGS, "text", text, raising=False)
        assert Ddgs()("x", 10) == [SearchResult("T", "https://a.example", "b")]
        assert Ddgs()("nothing", 10) == []
        with pytest.raises(BackendFault, match=said):
            Ddgs()("fault", 10)
