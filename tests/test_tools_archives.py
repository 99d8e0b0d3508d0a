"""Old copies of pages and what is said in videos, from servers that answer as the real ones do."""

import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from errors import ToolError
from tests.archive_sites import (
    CLOSEST,
    NONE,
    STAMP,
    VIDEO,
    WATCH,
    archive,
    player,
    reply,
    through,
    track,
    youtube,
)
from tests.trap_site import Page, Site, body, no_http, send, status, text
from tools.archived_page import ArchivedPage
from tools.pages import Pages
from tools.web_state import WebState
from tools.youtube_transcript import YoutubeTranscript


class TestArchive:
    def test_the_latest_copy(self) -> None:
        with archive(reply(CLOSEST)) as site:
            tool = ArchivedPage(through(site), Pages(through(site)))
            shown = tool(url="https://me:pw@example.com/news?a=1#top")
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(site.asked[0][0]).query)
        assert shown == (
            "[copy of https://example.com/news?a=1 from 2015-06-30]\nOld news of the day."
        )
        assert asked == {"url": ["https://example.com/news?a=1"]}

    def test_up_to_a_date(self) -> None:
        with archive(reply(CLOSEST)) as site:
            tool = ArchivedPage(through(site), Pages(through(site)))
            assert "from 2015-06-30]" in tool(url="https://example.com/news", date="2015")
            assert "timestamp=20151231235959" in site.asked[0][0]

    def test_the_closest_is_later_than_the_date(self) -> None:
        rows = [["timestamp", "original"], ["20140101000000", "https://example.com/news"]]
        with archive(reply(CLOSEST), reply(rows)) as site:
            tool = ArchivedPage(through(site), Pages(through(site)))
            shown = tool(url="https://example.com/news", date="2015-01-01")
            index = next(path for path, _ in site.asked if path.startswith("/cdx"))
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(index).query)
        assert shown.endswith("from 2014-01-01]\nOlder news.")
        assert (asked["to"], asked["limit"]) == (["20150101"], ["-1"])
        with archive(reply(CLOSEST)) as site:
            tool = ArchivedPage(through(site), Pages(through(site)))
            shown = tool(url="https://example.com/news", date="2015-01-01")
        assert "from 2015-06-30, the first after the date]" in shown

    def test_one_interface_may_fail(self) -> None:
        rows = [["timestamp", "original"], [STAMP, "https://example.com/news"]]
        with archive(status(503), reply(rows)) as site:
            tool = ArchivedPage(through(site), Pages(through(site)))
            assert "Old news" in tool(url="https://example.com/news")

    @pytest.mark.parametrize(
        ("available", "index", "said"),
        [
            (reply(NONE), reply([]), "has no copy of https://example.com/news"),
            (reply(NONE), body(b"", "application/json"), "has no copy"),
            (reply([]), reply({"x": 1}), "has no copy"),
            (status(503), status(429), r"asks for a pause \(429\)"),
            (text("<html>"), text("<html>"), "not in its format"),
            (reply(NONE), status(500), "answered 500"),
            (no_http, no_http, "can't be reached"),
        ],
    )
    def test_faults(self, available: Page, index: Page, said: str) -> None:
        with archive(available, index) as site, pytest.raises(ToolError, match=said) as caught:
            ArchivedPage(through(site), Pages(through(site)))(url="https://example.com/news")
        assert caught.value.next_step

    def test_what_the_user_forbids_is_not_read_from_an_archive_either(self) -> None:
        with archive(reply(CLOSEST)) as site:
            tool = ArchivedPage(
                through(site), Pages(through(site)), denied=lambda host: host == "example.com"
            )
            with pytest.raises(ToolError, match=r"does not allow visits to example\.com"):
                tool(url="https://EXAMPLE.com./news")
            assert not site.asked


class TestTranscript:
    @pytest.fixture
    def site(self) -> Iterator[Site]:
        tracks = track("de", "Deutsch"), track("en", "English", "asr"), track("en-GB", "English")
        with youtube(reply(player(*tracks))) as running:
            yield running

    @pytest.mark.parametrize(
        "url",
        [
            f"https://www.youtube.com/watch?v={VIDEO}",
            f"https://m.youtube.com/watch?app=x&v={VIDEO}&t=10s#x",
            f"youtu.be/{VIDEO}?si=abc",
            f"https://www.youtube.com/shorts/{VIDEO}",
            f"https://www.youtube-nocookie.com/embed/{VIDEO}",
            VIDEO,
        ],
    )
    def test_what_is_said_and_when(self, site: Site, url: str) -> None:
        assert YoutubeTranscript(through(site))(url=url) == (
            f"[transcript of video {VIDEO} in en, made by a machine; also there: de, en-GB]\n"
            "[0:00] We're no strangers to love\n[1:05] You know the rules"
        )
        assert site.asked[0][0] == f"/watch?v={VIDEO}"
        assert site.asked[1][0] == "/youtubei/v1/player?key=k-1"

    def test_languages(self, site: Site) -> None:
        tool = YoutubeTranscript(through(site))
        assert "in de, subtitles" in tool(url=VIDEO, language="de")
        assert "in en, " in tool(url=VIDEO, language="fr"), "what there is, and it says so"

    def test_the_consent_page_is_passed(self) -> None:
        def watch(handler: BaseHTTPRequestHandler) -> None:
            consent = '<form action="https://consent.youtube.com/s"><input name="v" value="cb.1">'
            given = "CONSENT=YES+cb.1" in handler.headers.get("Cookie", "")
            send(handler, (WATCH if given else consent).encode(), {"Content-Type": "text/html"})

        with youtube(reply(player(track("en", "English"))), watch) as site:
            assert "strangers" in YoutubeTranscript(through(site))(url=VIDEO)

    def test_it_is_kept(self, site: Site) -> None:
        tool = YoutubeTranscript(through(site), WebState(), 60)
        assert tool(url=VIDEO) == tool(url=f"youtu.be/{VIDEO}")
        assert len(site.asked) == 3

    @pytest.mark.parametrize(
        ("told", "said", "seen_as"),
        [
            (player(), "has no transcript", ValueError),
            (player(status="ERROR", reason="This video is unavailable"), "not exist", ValueError),
            (
                player(status="LOGIN_REQUIRED", reason="Sign in to confirm you’re not a bot"),
                "refuses requests from this network",
                ConnectionError,
            ),
            (
                player(
                    status="LOGIN_REQUIRED",
                    reason="This video may be inappropriate for some users.",
                ),
                "grown-ups",
                PermissionError,
            ),
            (
                player(status="UNPLAYABLE", reason="Members only"),
                "can't be played",
                PermissionError,
            ),
            ({"playabilityStatus": {}, "captions": 7}, "can't be read", ConnectionError),
            ([], "can't be read", ConnectionError),
        ],
    )
    def test_faults_of_the_video(self, told: object, said: str, seen_as: type[Exception]) -> None:
        with youtube(reply(told)) as site, pytest.raises(ToolError, match=said) as caught:
            YoutubeTranscript(through(site))(url=VIDEO)
        assert caught.value.seen_as is seen_as
        assert len(str(caught.value)) < 300

    @pytest.mark.parametrize(
        ("page", "said"),
        [
            (status(429), "refuses requests|can't be read"),
            (status(500), "can't be read"),
            (text('<div class="g-recaptcha"></div>'), "refuses requests"),
            (text("<html>"), "can't be read"),
            (no_http, "can't be reached"),
        ],
    )
    def test_faults_of_the_site(self, page: Page, said: str) -> None:
        with youtube(page, page) as site, pytest.raises(ToolError, match=said) as caught:
            YoutubeTranscript(through(site))(url=VIDEO)
        assert caught.value.seen_as is ConnectionError

    def test_subtitles_that_are_no_subtitles(self) -> None:
        tracks = reply(player(track("en", "English")))
        for page in (body(b"<transcript><text", "text/xml"), body(b"", "text/xml")):
            with youtube(tracks, spoken=page) as site, pytest.raises(ToolError, match="can't be"):
                YoutubeTranscript(through(site))(url=VIDEO)

    @pytest.mark.parametrize(
        "url", ["", "https://vimeo.com/1", "https://evil.example/watch?v=" + VIDEO]
    )
    def test_what_is_no_video(self, url: str) -> None:
        with pytest.raises(ToolError, match="no address of a YouTube video"):
            YoutubeTranscript(lambda ask: pytest.fail("asked"))(url=url)
