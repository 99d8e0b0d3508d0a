"""Servers that answer as the Wayback Machine and YouTube do, cut down."""

import json

from tests.trap_site import Page, Site, body, text
from tools.fetch import Ask, Fetched, FetchFunction, Limits, fetch

REAL = ("https://archive.org", "https://web.archive.org", "https://www.youtube.com")


def through(site: Site) -> FetchFunction:
    """The app's own fetch, with the real hosts' addresses led to the site."""
    limits = Limits(allow=frozenset([site.host]))

    def get(ask: Ask) -> Fetched:
        host = next((real for real in REAL if ask.address.startswith(f"{real}/")), "")
        address = site.url(ask.address.removeprefix(host)) if host else ask.address
        return fetch(Ask(address, ask.headers, ask.body, any_status=ask.any_status), limits)

    return get


def reply(value: object) -> Page:
    return body(json.dumps(value).encode(), "application/json")


STAMP = "20150630120000"
CLOSEST = {
    "url": "example.com/news",
    "archived_snapshots": {
        "closest": {
            "status": "200",
            "available": True,
            "url": f"http://web.archive.org/web/{STAMP}/https://example.com/news?a=1",
            "timestamp": STAMP,
        }
    },
}
NONE = {"url": "example.com/news", "archived_snapshots": {}}
COPY = {f"/web/{STAMP}id_/https://example.com/news": text("<p>Old news of the day.</p>")}


def archive_pages(available: Page, index: Page = reply([])) -> dict[str, Page]:
    old = {"/web/20140101000000id_/https://example.com/news": text("<p>Older news.</p>")}
    return {"/wayback/available": available, "/cdx/search/cdx": index, **COPY, **old}


def archive(available: Page, index: Page = reply([])) -> Site:
    return Site(archive_pages(available, index))


VIDEO = "dQw4w9WgXcQ"
WATCH = '<html><script>ytcfg.set({"INNERTUBE_API_KEY": "k-1"});</script></html>'
SPOKEN = (
    '<?xml version="1.0" encoding="utf-8" ?><transcript>'
    '<text start="0.5" dur="3.1">We&amp;#39;re no strangers</text>'
    '<text start="4" dur="3">to love</text>'
    '<text start="65.2" dur="3">You know the rules</text></transcript>'
)


def track(code: str, name: str, kind: str = "") -> dict[str, object]:
    about = {"baseUrl": f"https://www.youtube.com/api/timedtext?v={VIDEO}&lang={code}&fmt=srv3"}
    more = {"kind": kind} if kind else {}
    return {**about, "name": {"runs": [{"text": name}]}, "languageCode": code, **more}


def player(*tracks: dict[str, object], **status: object) -> dict[str, object]:
    said: dict[str, object] = {"playabilityStatus": {"status": "OK", **status}}
    if tracks:
        said["captions"] = {"playerCaptionsTracklistRenderer": {"captionTracks": list(tracks)}}
    return said


def youtube_pages(
    told: Page, watch: Page = text(WATCH), spoken: Page | None = None
) -> dict[str, Page]:
    spoken = spoken or body(SPOKEN.encode(), "text/xml; charset=utf-8")
    return {"/watch": watch, "/youtubei/v1/player": told, "/api/timedtext": spoken}


def youtube(told: Page, watch: Page = text(WATCH), spoken: Page | None = None) -> Site:
    return Site(youtube_pages(told, watch, spoken))
