"""Search: the web through SearXNG's protocol and Wikipedia through MediaWiki's, with faults."""

import json
import urllib.parse

import pytest

from settings import Settings
from tests.trap_site import Page, Site, body, broken, no_http, silence, status, text
from tools.web_search import DdgsSearch, SearchResult, SearxngSearch, WebSearch, search_backend
from tools.wikipedia_search import WikipediaSearch


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestSearch:
    RESULTS = (
        SearchResult("Rubjerg  Knude", "https://a.example/x", "A lighthouse,\n23 m high."),
        SearchResult("", "https://b.example", ""),
        SearchResult("Third", "https://c.example", "word " * 200),
    )

    def test_the_format_is_the_one_agents_know(self) -> None:
        tool = WebSearch(lambda query, most: list(self.RESULTS[:2]))
        assert tool(query="lighthouse") == (
            "1. Rubjerg Knude\n   https://a.example/x\n   A lighthouse, 23 m high.\n"
            "2. (no title)\n   https://b.example"
        )
        assert WebSearch(lambda *_: [])(query=" no\nsuch ") == "No results for 'no such'."

    def test_numbers_of_results(self) -> None:
        asked: list[int] = []

        def search(query: str, most: int) -> list[SearchResult]:
            asked.append(most)
            return list(self.RESULTS)

        tool = WebSearch(search)
        assert "2." not in tool(query="x", max_results=1)
        tool(query="x")
        tool(query="x", max_results=99)
        tool(query="x", max_results=None)
        assert asked == [1, 5, 10, 5]
        assert len(tool(query="x")) < 700, "snippets are cut"
        with pytest.raises(ValueError, match="empty"):
            tool(query="  ")

    @staticmethod
    def searxng(page: Page) -> Site:
        return Site({"/search": page, "/sub/search": page})

    def test_searxng(self) -> None:
        rows = [
            {"title": "T1", "url": "https://a.example", "content": "one", "engine": "x"},
            {"title": None, "url": "https://b.example"},
            {"title": "no address"},
            {"title": "T3", "url": "https://c.example", "content": "three"},
        ]
        reply = body(json.dumps({"query": "q", "results": rows}).encode(), "application/json")
        with self.searxng(reply) as site:
            found = SearxngSearch(site.url("/sub/"))("käse & brot", 2)
            path, _ = site.asked[-1]
        assert [r.address for r in found] == ["https://a.example", "https://b.example"]
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
        assert asked == {"q": ["käse & brot"], "format": ["json"]}

    @pytest.mark.parametrize(
        ("page", "said"),
        [
            (status(403), "must list json"),
            (status(429), "asks for a pause"),
            (status(500), "answered 500"),
            (text("<html>a page</html>"), "not its JSON format"),
            (body(b'{"answers": []}', "application/json"), "not its JSON format"),
            (body(b'{"results": [1]}', "application/json"), "not its JSON format"),
            (body(b"[]", "application/json"), "not its JSON format"),
            (broken, "can't be reached"),
            (no_http, "can't be reached"),
            (silence(3), "can't be reached"),
        ],
    )
    def test_searxng_faults(self, page: Page, said: str) -> None:
        with self.searxng(page) as site, pytest.raises(ConnectionError, match=said) as error:
            WebSearch(SearxngSearch(site.url(""), timeout_seconds=0.5))(query="x")
        assert len(str(error.value)) < 400

    def test_nothing_listens(self) -> None:
        with pytest.raises(ConnectionError, match="Is there a network"):
            SearxngSearch("http://127.0.0.1:9")("x", 3)

    def test_a_server_on_this_machine_is_asked_without_the_proxy(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        rows = {"results": [{"title": "T", "url": "https://a.example"}]}
        with self.searxng(body(json.dumps(rows).encode(), "application/json")) as site:
            assert len(SearxngSearch(site.url(""))("x", 3)) == 1

    def test_no_password_in_the_error(self) -> None:
        with pytest.raises(ConnectionError) as caught:
            SearxngSearch("http://me:pa55@127.0.0.1:9/")("x", 3)
        assert "pa55" not in str(caught.value)

    def test_the_settings_choose(self) -> None:
        chosen = Settings(search_backend="searxng", searxng_url="http://127.0.0.1:9/")
        assert isinstance(search_backend(chosen), SearxngSearch)
        assert isinstance(search_backend(Settings()), DdgsSearch)


class TestWikipedia:
    PAGES = (
        {"title": "Kenya", "index": 2, "fullurl": "https://w/Kenya", "extract": "A land. " * 500},
        {
            "title": "Mount Kenya",
            "index": 1,
            "fullurl": "https://w/Mount_Kenya",
            "extract": "Mount Kenya is 5,199 metres high.\n\nIt lies in Kenya.",
        },
    )

    @staticmethod
    def ask(page: Page, query: str = "mount kenya") -> tuple[str, list[tuple[str, dict[str, str]]]]:
        with Site({"/w/api.php": page}) as site:
            tool = WikipediaSearch(site.url("/w/api.php"), timeout_seconds=0.5)
            return tool(query=query), site.asked

    def test_articles_by_rank(self) -> None:
        reply = json.dumps({"batchcomplete": True, "query": {"pages": self.PAGES}}).encode()
        shown, asked = self.ask(body(reply, "application/json"))
        assert shown.startswith(
            "1. Mount Kenya\n   https://w/Mount_Kenya\n   Mount Kenya is 5,199 metres high.\n"
            "   It lies in Kenya.\n2. Kenya\n   https://w/Kenya\n   A land."
        )
        assert len(shown) < 1_000
        parameters = urllib.parse.parse_qs(urllib.parse.urlsplit(asked[0][0]).query)
        assert parameters["gsrsearch"] == ["mount kenya"]
        assert asked[0][1]["user-agent"].startswith("Hearth/")

    def test_nothing_found(self) -> None:
        shown, _ = self.ask(body(b'{"batchcomplete": true}', "application/json"), " zz ")
        assert shown == "No results for 'zz'."

    @pytest.mark.parametrize(
        ("page", "said"),
        [
            (status(429), "asks for a pause"),
            (status(503), "answered 503"),
            (text("<html>"), "not in its format"),
            (body(b"[]", "application/json"), "not in its format"),
            (body(b'{"error": {"code": "x", "info": "Too long"}}', "application/json"), "Too long"),
            (silence(3), "can't be reached"),
        ],
    )
    def test_faults(self, page: Page, said: str) -> None:
        with pytest.raises(ConnectionError, match=said):
            self.ask(page)

    def test_an_empty_query(self) -> None:
        with pytest.raises(ValueError, match="empty"):
            WikipediaSearch()(query=" ")
