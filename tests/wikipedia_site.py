"""A server that answers as the MediaWiki API does, for the tests of the Wikipedia tools."""

import json
import urllib.parse
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.trap_site import Site, send
from tools.fetch import Limits, fetch
from tools.mediawiki import Wikipedia
from tools.web_state import WebState

PAGES = (
    {"title": "Kenya", "index": 2, "fullurl": "https://w/Kenya", "extract": "A land. " * 500},
    {
        "title": "Mount Kenya",
        "index": 1,
        "fullurl": "https://w/Mount_Kenya",
        "extract": "Mount Kenya is 5,199 metres high.\n\nIt lies in Kenya.",
    },
)

# As action=parse gives it, cut down.
ARTICLE = """<div class="mw-content-ltr mw-parser-output" lang="en" dir="ltr">
<div class="shortdescription nomobile noexcerpt" style="display:none">Highest mountain</div>
<style data-mw-deduplicate="TemplateStyles:r1">.infobox{border:1px}</style>
<table class="infobox vcard"><caption class="infobox-title">Mount Kenya</caption><tbody>
<tr><th colspan="2">Highest point</th></tr><tr><th scope="row">Elevation</th>
<td>5,199&#160;m<sup id="cite_ref-1" class="reference"><a href="#n">[1]</a></sup></td></tr>
</tbody></table>
<p class="mw-empty-elt"></p>
<p><b>Mount Kenya</b> is an <a href="/wiki/Extinct_volcano">extinct volcano</a>, where
<span class="mwe-math-element"><span style="display: none;"><math>h</math></span><img
 class="mwe-math-fallback-image" aria-hidden="true" alt="{\\displaystyle h=5199}"></span>.</p>
<div class="mw-heading mw-heading2"><h2 id="Geology">Geology</h2><span class="mw-editsection">
[<a href="/w/index.php">edit</a>]</span></div>
<p>It rose 3 million years ago.</p>
<ul><li>Basalt</li><li>Phonolite<ul><li>of the plug</li></ul></li></ul>
<div class="mw-heading mw-heading3"><h3 id="Glaciers">Glaciers</h3></div>
<figure><a><img src="x"></a><figcaption>Lewis Glacier</figcaption></figure>
<table class="wikitable sortable"><caption>Area of glaciers</caption><tbody>
<tr><th>Name</th><th>1963</th><th>1987</th></tr>
<tr><td rowspan="2">Lewis, the large one</td><td>0.36</td><td>0.24</td></tr>
<tr><td colspan="2">lost</td></tr>
<tr><td>Tyndall</td><td>0.09</td><td>0.07</td></tr></tbody></table>
<div class="mw-heading mw-heading2"><h2 id="Names">Names</h2></div>
<p>Called Kirinyaga.</p>
<div role="navigation" class="navbox"><table><tr><td>Mountains of Africa</td></tr></table></div>
</div>"""
OLD = '<div class="mw-parser-output"><p>In 2010 it was said to be 5,201 m high.</p></div>'


def answer(asked: dict[str, str]) -> dict[str, Any]:
    """What the API says to these parameters, in formatversion 2."""
    assert asked["format"] == "json"
    assert asked["formatversion"] == "2"
    if asked.get("generator") == "search":
        found = PAGES if "kenya" in asked["gsrsearch"].lower() else ()
        return {"batchcomplete": True, **({"query": {"pages": list(found)}} if found else {})}
    if asked.get("list") == "search":
        rows = [{"ns": 0, "title": "Mount Kenya", "pageid": 1}, {"ns": 0, "title": "Kenya"}]
        return {"batchcomplete": True, "query": {"searchinfo": {"totalhits": 2}, "search": rows}}
    if asked["action"] == "query":
        page: dict[str, Any] = {"ns": 0, "title": asked["titles"], "pageid": 1}
        if asked["titles"] == "Mont Kenia":
            page = {"ns": 0, "title": "Mont Kenia", "missing": True}
        elif asked["rvstart"] > "2005":
            page["revisions"] = [{"revid": 77, "parentid": 76, "timestamp": "2010-03-04T05:06:07Z"}]
        return {"batchcomplete": True, "query": {"pages": [page]}}
    if asked.get("oldid") == "77":
        return {"parse": {"title": "Mount Kenya", "pageid": 1, "revid": 77, "text": OLD}}
    if asked["page"] in ("Mount Kenya", "Mt. Kenya"):
        redirects = [{"from": "Mt. Kenya", "to": "Mount Kenya"}] * (asked["page"] == "Mt. Kenya")
        parsed = {"title": "Mount Kenya", "pageid": 1, "redirects": redirects, "text": ARTICLE}
        return {"parse": parsed}
    info = "The page you specified doesn't exist."
    return {"error": {"code": "missingtitle", "info": info, "docref": "See …"}}


def api(handler: BaseHTTPRequestHandler) -> None:
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(handler.path).query))
    reply = json.dumps(answer(asked)).encode()
    send(handler, reply, {"Content-Type": "application/json; charset=utf-8"})


def wikipedia(
    site: Site, state: WebState | None = None, keep: float = 0.0, seconds: float = 10.0
) -> Wikipedia:
    limits = Limits(timeout_seconds=seconds, allow=frozenset([site.host]))
    address = site.url("/{language}/w/api.php")
    return Wikipedia(
        lambda ask: fetch(ask, limits), state, keep, address=address, sleep=lambda _: None
    )
