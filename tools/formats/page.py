"""A web page → Markdown: its article, or all of it where there is none."""

import logging
import re
from typing import Any

from tools.documents import decode
from tools.hidden import drop_hidden
from tools.text import one_line, visible

MOST_HTML_CHARS = 5_000_000
_LITTLE_SHARE = 0.3  # of a page's text; an article that has less is not what the page is about
_AROUND = ("nav", "footer", "aside", "form", "button", "select", "svg", "canvas", "video", "audio")
_LATIN = frozenset(
    {"iso-8859-1", "latin-1", "latin1", "cp1252", "windows-1252", "us-ascii", "ascii"}
)
_BLANK_LINES = re.compile(r"\n\s*\n\s*(?=\n)")


def page_markdown(
    data: bytes, name: str, address: str = "", charset: str | None = None, links: bool = False
) -> str:
    """The page's article, or all of it where it holds none; with `links`, their addresses too.

    What its readers don't see is left out. `charset` is the one that the server names.
    """
    del name
    html = page_source(data, charset)[:MOST_HTML_CHARS]
    root = page_tree(html.encode("utf-8", "replace"))
    if root is None:  # nothing in it
        return ""
    title = one_line(_first_text(root, ".//title") or _first_text(root, ".//h1"), 200)
    needs_script = bool(root.xpath("boolean(//script)"))
    drop_hidden(root)
    if address:
        root.make_links_absolute(address, handle_failures="discard")
    text = _article(root, address, links)
    body = _without_surroundings(root)
    if len(text) < len(" ".join(body.text_content().split())) * _LITTLE_SHARE:
        text = _everything(body, links)
    text = visible(text).strip()
    if not text:
        return "(The page's text is made by scripts, which are not run here.)" * needs_script
    head = f"# {title}\n" if title and not text.startswith(f"# {title}") else ""
    return f"{head}{text}".strip()


def page_tree(data: bytes) -> Any:
    """The tree of a page in UTF-8; None where there is none."""
    import lxml.html

    # lxml refuses a str that names an encoding; its bytes are UTF-8 in any case.
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        return lxml.html.document_fromstring(data, parser=parser)
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError):
        return None


def page_source(data: bytes, charset: str | None) -> str:
    """The page as text: by the charset of its server or its own head, as far as they are right."""
    named = charset or _charset_in_page(data)
    if (named or "").lower() in _LATIN:
        # Often said of pages in UTF-8, and text in Latin-1 is no UTF-8 by chance.
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            named = "cp1252"
    return decode(data, named)


def _charset_in_page(data: bytes) -> str | None:
    found = re.search(rb"""<meta[^>]{0,200}charset=["']?([\w-]{2,40})""", data[:4096], re.I)
    return found[1].decode("ascii") if found else None


def _first_text(root: Any, path: str) -> str:
    found = root.find(path)
    return "" if found is None else visible(" ".join(found.text_content().split()))


def _article(root: Any, address: str, links: bool) -> str:
    import copy

    import trafilatura

    # It logs as errors what is said here in other words.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    return (
        trafilatura.extract(
            copy.deepcopy(root),
            url=address or None,
            output_format="markdown",
            include_tables=True,
            include_comments=False,
            include_formatting=True,
            include_links=links,
            favor_recall=True,
        )
        or ""
    )


def _without_surroundings(root: Any) -> Any:
    """The page's body without what stands around its contents on every page of the site."""
    for element in list(root.iter(*_AROUND)):
        if element.getparent() is not None:
            element.drop_tree()
    body = root.find("body")
    return root if body is None else body


def _everything(body: Any, links: bool) -> str:
    import lxml.html
    from markdownify import markdownify

    strip = ["img", "input"] if links else ["img", "input", "a"]
    html = lxml.html.tostring(body, encoding="unicode")
    return _BLANK_LINES.sub("\n", markdownify(html, heading_style="ATX", strip=strip)).strip()
