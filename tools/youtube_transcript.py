"""youtube_transcript: what is said in a video, by its subtitles."""

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from errors import ToolError
from tools.base import HearthTool, Touch
from tools.fetch import Ask, FetchFunction
from tools.inputs import PART, QUESTION
from tools.pages import Text, shown
from tools.text import PAGE_CHARS, one_line
from tools.web_state import WebState

_VIDEO = re.compile(
    r"(?:https?://)?(?:(?:www|m|music)\.)?(?:youtube(?:-nocookie)?\.com/"
    r"(?:watch/?\?(?:[^#]*&)?v=|shorts/|embed/|live/|v/)|youtu\.be/)([\w-]{11})(?![\w-]).*",
    re.IGNORECASE,
)
_ID = re.compile(r"[\w-]{11}", re.ASCII)
_MISFIT = (ValueError, LookupError, TypeError, AttributeError, SyntaxError)
_LINE_SECONDS = 30.0
_GO_ON = "Use web_search for what is said in it, or go on without it."


class YoutubeTranscript(HearthTool):
    """Through youtube-transcript-api, whose requests go by `fetch`."""

    name = "youtube_transcript"
    description = (
        "Returns what is said in a YouTube video, with times; with a question, the passages about "
        "it. Example: "
        'print(youtube_transcript("https://www.youtube.com/watch?v=dQw4w9WgXcQ"))'
    )
    inputs = {
        "url": {"type": "string", "description": "The video's address or id."},
        "language": {
            "type": "string",
            "description": "Code of the language, such as de; if left out, en or what there is.",
            "nullable": True,
        },
        "question": QUESTION,
        "part": PART,
    }
    touches: ClassVar[frozenset[Touch]] = frozenset({"network"})
    outside: ClassVar[bool] = True

    def __init__(
        self,
        fetch: FetchFunction,
        state: WebState | None = None,
        keep_seconds: float = 0.0,
        *,
        page_chars: int = PAGE_CHARS,
    ) -> None:
        super().__init__()
        self._fetch = fetch
        self._state = state or WebState()
        self._keep = keep_seconds
        self._page_chars = page_chars

    def domain(self, arguments: Mapping[str, Any]) -> str:
        return "www.youtube.com"

    def forward(
        self,
        url: str,
        language: str | None = None,
        question: str | None = None,
        part: int | None = 1,
    ) -> str:
        video = _video_id(str(url).strip())
        wanted = (language or "").strip().lower()
        key = ("youtube", video, wanted)
        kept = self._state.get(*key)
        if kept:
            text = str(json.loads(kept))
        else:
            text = _transcript(self._fetch, video, wanted)
            self._state.keep(json.dumps(text).encode(), self._keep, *key)
        more = f", language={wanted!r}" if wanted else ""
        call = f"youtube_transcript({video!r}{more}, part={{part}})"
        return shown(Text(str(url), text), question, part, call, self._page_chars)


def _video_id(url: str) -> str:
    found = _VIDEO.fullmatch(url)
    if found or _ID.fullmatch(url):
        return found[1] if found else url
    raise ToolError(
        f"{url[:300]!r} is no address of a YouTube video.",
        "Give one such as https://www.youtube.com/watch?v=dQw4w9WgXcQ.",
    )


def _transcript(fetch: FetchFunction, video: str, wanted: str) -> str:
    import requests
    import youtube_transcript_api as youtube

    try:
        offered = youtube.YouTubeTranscriptApi(http_client=_session(fetch)).list(video)
        every = list(offered)
        try:
            chosen = offered.find_transcript(_preferred(wanted, [t.language_code for t in every]))
        except youtube.NoTranscriptFound:
            chosen = every[0]
        snippets = [(s.start, s.text) for s in chosen.fetch()]
    except youtube.YouTubeTranscriptApiException as error:
        raise _in_words(error, video) from error
    except (requests.RequestException, *_MISFIT) as error:
        # What YouTube sent is not what the package knows; ParseError is a SyntaxError.
        raise ToolError(
            f"YouTube's answer can't be read ({type(error).__name__}).",
            _GO_ON,
            seen_as=ConnectionError,
        ) from error
    kind = "made by a machine" if chosen.is_generated else "subtitles"
    others = ", ".join(dict.fromkeys(t.language_code for t in every if t is not chosen))
    head = f"[transcript of video {video} in {chosen.language_code}, {kind}"
    return (
        f"{head}{f'; also there: {one_line(others, 200)}' if others else ''}]\n{_lines(snippets)}"
    )


def _preferred(wanted: str, there: list[str]) -> list[str]:
    """The languages to take, best first: the wanted one, also of a country, then English."""
    asked = [wanted, "en"] if wanted else ["en"]
    return [
        code
        for first in asked
        for code in [first, *(c for c in there if c.lower().split("-")[0] == first.split("-")[0])]
    ]


def _lines(snippets: list[tuple[float, str]]) -> str:
    lines: list[str] = []
    begun = -_LINE_SECONDS
    for start, text in snippets:
        if start - begun >= _LINE_SECONDS:
            begun = start
            minutes, seconds = divmod(int(start), 60)
            hours, minutes = divmod(minutes, 60)
            clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
            lines.append(f"[{clock}]")
        if said := " ".join(text.split()):
            lines[-1] += f" {said}"
    return "\n".join(lines)


def _in_words(error: Exception, video: str) -> ToolError:
    import youtube_transcript_api as youtube

    for kinds, text, seen_as in (
        ((youtube.TranscriptsDisabled,), "has no transcript", ValueError),
        ((youtube.VideoUnavailable, youtube.InvalidVideoId), "does not exist", ValueError),
        ((youtube.AgeRestricted,), "is shown only to grown-ups who log in", PermissionError),
        ((youtube.VideoUnplayable,), "can't be played here", PermissionError),
    ):
        if isinstance(error, kinds):
            return ToolError(f"The video {video} {text}.", _GO_ON, seen_as=seen_as)
    why = f"can't be read ({type(error).__name__})"
    if isinstance(error, youtube.RequestBlocked | youtube.PoTokenRequired):
        why = "refuses requests from this network as those of a program"
    return ToolError(f"YouTube {why}.", _GO_ON, seen_as=ConnectionError)


def _session(fetch: FetchFunction) -> Any:
    """A session of requests that reaches the web by `fetch` and by nothing else."""
    import requests
    from requests.adapters import BaseAdapter

    class Adapter(BaseAdapter):
        def send(self, request: Any, *_: object, **__: object) -> Any:
            body = request.body
            headers = {
                name: value
                for name, value in request.headers.items()
                if name.lower()
                not in ("accept-encoding", "connection", "content-length", "user-agent")
            }
            sent = body.encode() if isinstance(body, str) else body
            fetched = fetch(Ask(request.url, headers, sent, any_status=True))
            reply = requests.Response()
            reply.status_code = fetched.status
            reply.headers.update({"Content-Type": fetched.headers.get("content-type", "")})
            reply.encoding = fetched.charset or "utf-8"
            reply._content = fetched.data
            reply.url, reply.request = fetched.address, request
            return reply

        def close(self) -> None:
            pass

    session = requests.Session()
    session.trust_env = False  # proxies are the fetch's affair, and no .netrc
    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter())
    return session
