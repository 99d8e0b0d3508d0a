"""web_search's engines in their order: the next one answers where the one before can't."""

import json
import logging
import time
from collections.abc import Callable, Sequence

from errors import ToolError
from settings import Settings
from tools.addresses import port_of, web_address
from tools.fetch import Ask, Fetched, FetchFunction, Limits, fetch
from tools.search_backends import (
    TIMEOUT_SECONDS,
    Backend,
    BackendFault,
    Brave,
    Ddgs,
    Searxng,
    Serper,
    Tavily,
)
from tools.text import one_line
from tools.web_search import MAX_RESULTS, SearchResult
from tools.web_state import WebState

log = logging.getLogger(__name__)

MOST_SECONDS = 45.0
"""After this no further engine is asked."""
_PATIENCE_SECONDS = 15.0


class SearchChain:
    """A search function over several engines. Answers are kept for `keep_seconds`.

    An engine that asks for a pause gets it, from all sessions that share `state`.
    """

    def __init__(
        self,
        backends: Sequence[Backend],
        state: WebState,
        keep_seconds: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._backends = backends
        self._state = state
        self._keep = keep_seconds
        self._sleep = sleep

    def __call__(self, query: str, max_results: int) -> list[SearchResult]:
        """The results, best first. Raises ToolError when no engine can answer."""
        key = ("search", [b.identity for b in self._backends], one_line(query, 2000).lower())
        began = time.monotonic()
        faults: list[str] = []
        answered = False
        for backend in self._backends:
            if time.monotonic() - began > MOST_SECONDS:
                faults.append("there was no time to ask another")
                break
            try:
                found = self._kept(key) or self._asked(backend, query, key)
            except BackendFault as fault:
                self._note(backend, fault)
                faults.append(f"{backend.name} {fault}")
                continue
            if found:
                return found[:max_results]
            answered = True
        if answered:
            return []
        raise ToolError(
            f"The web search can't answer: {'; '.join(faults)}.",
            "Go on without it, or say that you couldn't search.",
            seen_as=ConnectionError,
        )

    def _asked(self, backend: Backend, query: str, key: tuple[object, ...]) -> list[SearchResult]:
        if pause := self._state.paused(backend.identity):
            raise BackendFault(f"{pause[1]}; it is asked again in {pause[0]:.0f} seconds", 0)
        wait = self._state.turn(backend.identity, backend.gap_seconds, _PATIENCE_SECONDS)
        if wait is None:
            raise BackendFault("is asked too often at present", 0)
        if wait:
            self._sleep(wait)
            if found := self._kept(key):  # another session has asked the same meanwhile
                return found
        # Always as many as can be shown: the answer is kept for other calls, and costs the same.
        found = backend(query, MAX_RESULTS)
        rows = [(r.title, r.address, r.snippet, r.date) for r in found]
        if rows:
            self._state.keep(json.dumps(rows).encode(), self._keep, *key)
        return found

    def _kept(self, key: tuple[object, ...]) -> list[SearchResult]:
        kept = self._state.get(*key)
        return [SearchResult(*row) for row in json.loads(kept)] if kept else []

    def _note(self, backend: Backend, fault: BackendFault) -> None:
        log.log(
            logging.WARNING if fault.insists else logging.INFO,
            "web_search: %s %s",
            backend.name,
            fault,
        )
        # The only engine there is may be asked at once again, unless it asks for a pause itself.
        if fault.pause_seconds and (fault.insists or len(self._backends) > 1):
            self._state.pause(backend.identity, fault.pause_seconds, str(fault))


def search_chain(settings: Settings, state: WebState) -> SearchChain:
    """The search engines that the settings name, in their order."""
    backends = [_backend(name, settings) for name in settings.search_order]
    return SearchChain(backends, state, settings.web_cache_hours * 3600)


def _backend(name: str, settings: Settings) -> Backend:
    match name:
        case "searxng":
            url = web_address(settings.searxng_url)
            own = frozenset([f"{url.host}:{port_of(url)}"])
            return Searxng(_within(own), settings.searxng_url)
        case "serper":
            return Serper(_within(), settings.serper_api_key.get_secret_value())
        case "brave":
            return Brave(_within(), settings.brave_api_key.get_secret_value())
        case "tavily":
            return Tavily(_within(), settings.tavily_api_key.get_secret_value())
        case _:
            return Ddgs()


def _within(allow: frozenset[str] = frozenset()) -> FetchFunction:
    limits = Limits(2_000_000, TIMEOUT_SECONDS, allow)

    def ask(request: Ask) -> Fetched:
        return fetch(request, limits)

    return ask
