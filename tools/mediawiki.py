"""The MediaWiki API of Wikipedia, in any language: one question, one JSON answer."""

import json
import re
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from errors import ToolError
from tools.fetch import Ask, Fetched, FetchFunction
from tools.text import one_line
from tools.web_state import WebState

ADDRESS = "https://{language}.wikipedia.org/w/api.php"
USER_AGENT = "Hearth/0.1 (a personal agent, run by its user) python-httpx"
"""Wikimedia asks clients to name themselves: https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy"""

_LANGUAGE = re.compile(r"([a-z]{2,3}|simple)(-[a-z0-9]+)*")
_GAP_SECONDS = 0.1
_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 30.0
_MOST_PAUSE_SECONDS = 600.0
_GO_ON = "Use web_search, or go on without it."


class Wikipedia:
    """Asks `address`, with `{language}` in it. Answers are kept for `keep_seconds`."""

    def __init__(
        self,
        fetch: FetchFunction,
        state: WebState | None = None,
        keep_seconds: float = 0.0,
        *,
        address: str = ADDRESS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fetch = fetch
        self._state = state or WebState()
        self._keep = keep_seconds
        self._address = address
        self._sleep = sleep

    def ask(self, language: str | None, **parameters: str | int) -> dict[str, Any]:
        """The API's answer. Raises ToolError, and WikiError where it refuses."""
        language = (language or "en").strip().lower()
        if not _LANGUAGE.fullmatch(language) or len(language) > 20:
            raise ToolError(
                f"{language[:40]!r} is no language of Wikipedia.",
                "Give its code, such as en or de.",
            )
        address = self._address.replace("{language}", language)
        query = urllib.parse.urlencode({**parameters, "format": "json", "formatversion": 2})
        key = ("wikipedia", address, query)
        if kept := self._state.get(*key):
            return dict(json.loads(kept))
        self._wait()
        reply = self._fetch(
            Ask(
                f"{address}?{query}",
                {"User-Agent": USER_AGENT, "Accept": "application/json"},
                any_status=True,
            )
        )
        body = self._body(reply, language)
        self._state.keep(json.dumps(body).encode(), self._keep, *key)
        return body

    def _wait(self) -> None:
        if pause := self._state.paused("wikipedia"):
            raise _fault(f"asks for a pause of {pause[0]:.0f} seconds")
        wait = self._state.turn("wikipedia", _GAP_SECONDS, _PATIENCE_SECONDS)
        if wait is None:
            raise _fault("is asked too often at present")
        if wait:
            self._sleep(wait)

    def _body(self, reply: Fetched, language: str) -> dict[str, Any]:
        if reply.status == 429:
            seconds = reply.asked_pause(_PAUSE_SECONDS, _MOST_PAUSE_SECONDS)
            self._state.pause("wikipedia", seconds, "429")
            raise _fault("asks for a pause (429)")
        if reply.status != 200:
            raise _fault(f"answered {reply.status}")
        try:
            body = json.loads(reply.data)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise misfit()
        if "error" in body:
            error = body["error"] if isinstance(body["error"], dict) else {}
            raise WikiError(str(error.get("code")), one_line(str(error.get("info", "no reason"))))
        return body


class WikiError(ToolError):
    """Wikipedia refuses a question; `code` is the API's."""

    def __init__(self, code: str, info: str) -> None:
        super().__init__(f"Wikipedia refused: {info}.", _GO_ON, seen_as=ConnectionError)
        self.code = code


def misfit() -> ToolError:
    """An answer of Wikipedia's that is none, or has not the parts it should have."""
    return _fault("sent an answer that is not in its format")


def _fault(what: str) -> ToolError:
    return ToolError(f"Wikipedia {what}.", _GO_ON, seen_as=ConnectionError)
