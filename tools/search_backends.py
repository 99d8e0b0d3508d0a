"""The search engines that web_search can ask, each as a function from a query to results."""

import base64
import hashlib
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any, Protocol

import httpx

from errors import ToolError
from tools.fetch import Ask, Fetched, FetchFunction
from tools.text import one_line
from tools.web_search import SearchResult

TIMEOUT_SECONDS = 12.0
SERPER = "https://google.serper.dev/search"
BRAVE = "https://api.search.brave.com/res/v1/web/search"
TAVILY = "https://api.tavily.com/search"

_BUSY_SECONDS = 60.0
_REFUSED_SECONDS = 600.0
_BROKEN_SECONDS = 30.0
_MOST_PAUSE_SECONDS = 3600.0


class BackendFault(Exception):
    """A search engine can't answer. Its text says why, after the engine's name.

    `pause_seconds`: for how long it is best left alone. `insists`: it has asked for that, or
    nothing changes before.
    """

    def __init__(self, text: str, pause_seconds: float, *, insists: bool = False) -> None:
        super().__init__(text)
        self.pause_seconds, self.insists = pause_seconds, insists


class Backend(Protocol):
    """A search engine. `identity` names it and its key, without telling the key."""

    name: str
    identity: str
    gap_seconds: float

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        """The results, best first. Raises BackendFault."""


class Ddgs:
    """Several public search engines without a key, through the ddgs package."""

    name = identity = "ddgs"
    gap_seconds = 1.0

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = int(timeout_seconds)

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException, RatelimitException

        try:
            rows = DDGS(timeout=self._timeout).text(query, max_results=max_results)
        except RatelimitException:
            raise BackendFault("asks for a pause", _BUSY_SECONDS, insists=True) from None
        except DDGSException as error:
            if "No results found" in str(error):  # the package has no exception of its own for it
                return []
            raise BackendFault(f"can't be reached: {_reason(error)}", _BROKEN_SECONDS) from error
        except Exception as error:
            raise BackendFault(f"failed: {_reason(error)}", _BROKEN_SECONDS) from error
        return _results(rows, "title", "href", "body")


class Searxng:
    """A SearXNG server of your own, through its JSON API.

    The server must list `json` under `search.formats` in its settings.yml.
    """

    name = "searxng"
    gap_seconds = 0.2

    def __init__(self, fetch: FetchFunction, address: str) -> None:
        url = httpx.URL(address.rstrip("/") + "/search")
        self._fetch, self._address = fetch, str(url.copy_with(userinfo=b""))
        self.identity = _identity(self.name, address)
        login = base64.b64encode(urllib.parse.unquote_to_bytes(url.userinfo)).decode()
        self._headers = {"Authorization": f"Basic {login}"} if login else {}

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        address = _with(self._address, q=query, format="json")
        reply = _ask(self._fetch, Ask(address, self._headers, any_status=True))
        if reply.status == 403:
            raise BackendFault(
                "refuses JSON (403): its settings.yml must list json under search.formats",
                _REFUSED_SECONDS,
                insists=True,
            )
        body = _body(reply)
        rows = _results(body.get("results"), "title", "url", "content", "publishedDate")
        silent = body.get("unresponsive_engines")
        if not rows and silent:  # none of its engines could be asked
            raise BackendFault(f"got no answer from its engines: {_reason(silent)}", _BUSY_SECONDS)
        return rows[:max_results]


class Serper:
    """Google's results through serper.dev: https://serper.dev"""

    name = "serper"
    gap_seconds = 0.1

    def __init__(self, fetch: FetchFunction, key: str, address: str = SERPER) -> None:
        self._fetch, self._key, self._address = fetch, key, address
        self.identity = _identity(self.name, key)

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        asked = {"q": query, "num": max_results}
        reply = _ask(self._fetch, _post(self._address, asked, {"X-API-KEY": self._key}))
        if reply.status == 400 and b"credits" in reply.data.lower():
            raise BackendFault("has no credits left (400)", _REFUSED_SECONDS, insists=True)
        body = _body(reply)
        return _results(body.get("organic", []), "title", "link", "snippet", "date")[:max_results]


class Brave:
    """Brave's own index: https://api-dashboard.search.brave.com/app/documentation"""

    name = "brave"
    gap_seconds = 1.0  # what its free plan allows

    def __init__(self, fetch: FetchFunction, key: str, address: str = BRAVE) -> None:
        self._fetch, self._key, self._address = fetch, key, address
        self.identity = _identity(self.name, key)

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        address = _with(
            self._address, q=query[:400], count=str(max_results), text_decorations="false"
        )
        headers = {"X-Subscription-Token": self._key, "Accept": "application/json"}
        reply = _ask(self._fetch, Ask(address, headers, redirects=0, any_status=True))
        if reply.status == 422 and b"TOKEN" in reply.data.upper():
            raise _refused(reply)
        web = _body(reply).get("web")  # it is left out where nothing was found
        rows = web.get("results") if isinstance(web, dict) else []
        return _results(rows, "title", "url", "description", "page_age")[:max_results]


class Tavily:
    """A search for agents: https://docs.tavily.com"""

    name = "tavily"
    gap_seconds = 0.1

    def __init__(self, fetch: FetchFunction, key: str, address: str = TAVILY) -> None:
        self._fetch, self._key, self._address = fetch, key, address
        self.identity = _identity(self.name, key)

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        asked = {"query": query[:400], "max_results": max_results}
        headers = {"Authorization": f"Bearer {self._key}"}
        reply = _ask(self._fetch, _post(self._address, asked, headers))
        if reply.status in (432, 433):  # the limits of its plans
            raise BackendFault(
                f"has used up its plan ({reply.status})", _REFUSED_SECONDS, insists=True
            )
        rows = _body(reply).get("results")
        return _results(rows, "title", "url", "content", "published_date")[:max_results]


def _identity(name: str, secret: str) -> str:
    return f"{name} {hashlib.sha256(secret.encode()).hexdigest()[:12]}"


def _with(address: str, **parameters: str) -> str:
    return f"{address}?{urllib.parse.urlencode(parameters)}"


def _post(address: str, asked: Mapping[str, object], headers: Mapping[str, str]) -> Ask:
    said = {"Content-Type": "application/json", "Accept": "application/json", **headers}
    # A redirect would carry the query, and the key, to somewhere else.
    return Ask(address, said, json.dumps(asked).encode(), redirects=0, any_status=True)


def _ask(fetch: FetchFunction, ask: Ask) -> Fetched:
    try:
        return fetch(ask)
    except ToolError as error:
        raise BackendFault(one_line(error.message, 200).rstrip("."), _BROKEN_SECONDS) from error


def _body(reply: Fetched) -> dict[str, Any]:
    """The JSON object of a reply. Raises BackendFault for everything else."""
    if reply.status == 429:
        pause = reply.asked_pause(_BUSY_SECONDS, _MOST_PAUSE_SECONDS)
        raise BackendFault("asks for a pause (429)", pause, insists=True)
    if reply.status in (401, 402, 403):
        raise _refused(reply)
    if reply.status != 200:
        raise BackendFault(f"answered {reply.status}", _BROKEN_SECONDS)
    try:
        body = json.loads(reply.data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _misfit()
    return body


def _refused(reply: Fetched) -> BackendFault:
    what = "has no credits left" if reply.status == 402 else "refuses its key"
    return BackendFault(f"{what} ({reply.status})", _REFUSED_SECONDS, insists=True)


def _results(rows: object, title: str, address: str, snippet: str, date: str = "") -> list[Any]:
    """The rows that have an address, as results."""
    if not isinstance(rows, list):
        raise _misfit()
    return [
        SearchResult(
            _text(row.get(title)),
            row[address],
            _text(row.get(snippet)),
            _day(_text(row.get(date))),
        )
        for row in rows
        if isinstance(row, dict) and isinstance(row.get(address), str) and row[address]
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _day(date: str) -> str:
    """A date's day, where it is written as 2024-05-01T…; else as the engine says it."""
    return date[:10] if date[10:11] == "T" else date


def _misfit() -> BackendFault:
    return BackendFault("sent an answer that is not in its format", _BROKEN_SECONDS)


def _reason(error: object) -> str:
    return one_line(str(error), 200) or type(error).__name__
