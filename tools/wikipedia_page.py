"""wikipedia_page: an article or a section of it, now or as it was on a day."""

import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, ClassVar

from errors import ToolError
from tools.base import HearthTool, Touch
from tools.days import end_of
from tools.documents import article_sections
from tools.inputs import DATE, LANGUAGE, PART, QUESTION
from tools.mediawiki import WikiError, Wikipedia, misfit
from tools.pages import Text, shown
from tools.text import PAGE_CHARS, one_line

_ADDRESS = re.compile(r"https?://([a-z-]+)(?:\.m)?\.wikipedia\.org/wiki/([^?#]+)(?:[?#].*)?", re.I)
_MOST_SECTIONS_CHARS = 1_500

Section = tuple[int, str, str]
"""Level (1: the introduction, 2: a section …), title, text."""


class WikipediaPage(HearthTool):
    """Tables come as CSV. Old revisions are shown with the templates of today."""

    name = "wikipedia_page"
    description = (
        "Returns a Wikipedia article's introduction and list of sections; with section, its text "
        "and tables as CSV; with question, the passages about it; with date, as it was then. "
        'Example: print(wikipedia_page("Mount Kenya", section="Glaciers", date="2015-06-30"))'
    )
    inputs = {
        "title": {"type": "string", "description": "The article's title or address."},
        "section": {
            "type": "string",
            "description": 'Title or number of a section; "all" for the whole article.',
            "nullable": True,
        },
        "question": QUESTION,
        "language": LANGUAGE,
        "date": DATE,
        "part": PART,
    }
    touches: ClassVar[frozenset[Touch]] = frozenset({"network"})
    outside: ClassVar[bool] = True

    def __init__(self, wikipedia: Wikipedia, *, page_chars: int = PAGE_CHARS) -> None:
        super().__init__()
        self._wikipedia = wikipedia
        self._page_chars = page_chars

    def domain(self, arguments: Mapping[str, Any]) -> str:
        _, language = _named(str(arguments.get("title", "")), arguments.get("language"))
        return f"{language}.wikipedia.org"

    def forward(
        self,
        title: str,
        section: str | None = None,
        question: str | None = None,
        language: str | None = "en",
        date: str | None = None,
        part: int | None = 1,
    ) -> str:
        name, language = _named(str(title), language)
        if not name:
            raise ToolError("title is empty.", "Give an article's title, such as Mount Kenya.")
        question = (question or "").strip()
        if question and not section:
            section = "all"
        asked = {"section": section, "language": language, "date": date}
        more = "".join(
            f", {k}={v!r}" for k, v in asked.items() if v and (k, v) != ("language", "en")
        )
        call = f"wikipedia_page({name!r}{more}, part={{part}})"
        revision, as_of = self._revision(name, language, date) if date else ({}, "")
        found = self._parsed(name, language, revision)
        name = one_line(str(found.get("title") or name), 200)
        sections = article_sections(str(found["text"]), f"The article {name}")
        address = f"https://{language}.wikipedia.org/wiki/{_quoted(name)}"
        head = f"# {name}\n{address}{as_of}\n"
        body = _text_of(sections, section)
        return shown(Text(address, f"{head}{body}"), question, part, call, self._page_chars)

    def _revision(self, title: str, language: str, date: str) -> tuple[dict[str, int], str]:
        """The revision that stood at the end of a day, and how to say so."""
        end = end_of(date)
        body = self._wikipedia.ask(
            language,
            action="query",
            titles=title,
            redirects=1,
            prop="revisions",
            rvlimit=1,
            rvprop="ids|timestamp",
            rvstart=f"{end}T23:59:59Z",
        )
        try:
            page = body["query"]["pages"][0]
            missing = page.get("missing") or page.get("invalid")
            revision = (page.get("revisions") or [None])[0]
            found = revision and (int(revision["revid"]), str(revision["timestamp"])[:10])
        except (LookupError, TypeError, ValueError, AttributeError):
            raise misfit() from None
        if missing:
            raise self._no_page(title, language)
        if not found:
            raise ToolError(
                f"Wikipedia ({language}) had no article {title!r} on {end}.",
                "Ask for a later date.",
            )
        return {"oldid": found[0]}, f" (as of {end}: revision {found[0]} of {found[1]})"

    def _parsed(self, title: str, language: str, revision: dict[str, int]) -> dict[str, Any]:
        which: dict[str, str | int] = {**revision} if revision else {"page": title, "redirects": 1}
        try:
            body = self._wikipedia.ask(
                language,
                action="parse",
                prop="text|revid",
                disableeditsection=1,
                disabletoc=1,
                **which,
            )
        except WikiError as error:
            if error.code in ("missingtitle", "invalidtitle", "pagecannotexist"):
                raise self._no_page(title, language) from None
            raise
        found = body.get("parse")
        if not isinstance(found, dict) or not isinstance(found.get("text"), str):
            raise misfit()
        return found

    def _no_page(self, title: str, language: str) -> ToolError:
        try:
            body = self._wikipedia.ask(
                language, action="query", list="search", srsearch=title[:290], srlimit=5, srprop=""
            )
            near = [one_line(str(row["title"]), 100) for row in body["query"]["search"]]
        except (ToolError, LookupError, TypeError):
            near = []
        step = f"Did you mean {'; '.join(near)}?" if near else "Look for it with wikipedia_search."
        return ToolError(f"Wikipedia ({language}) has no article {title!r}.", step)


def _named(title: str, language: object) -> tuple[str, str]:
    """Title and language, out of an address where one is given."""
    if found := _ADDRESS.fullmatch(title.strip()):
        title, language = urllib.parse.unquote(found[2]), found[1]
    text = one_line(title.replace("_", " "), 250)
    return text, str(language or "en").strip().lower()


def _quoted(title: str) -> str:
    return urllib.parse.quote(title.replace(" ", "_"), safe="/:(),!*'")


def _text_of(sections: list[Section], wanted: str | None) -> str:
    numbers = _numbers(sections)
    if not wanted:
        listed = "; ".join(f"{n} {s[1]}" for n, s in zip(numbers, sections, strict=True) if n)
        if len(listed) > _MOST_SECTIONS_CHARS:
            listed = "; ".join(
                f"{n} {s[1]}" for n, s in zip(numbers, sections, strict=True) if n and "." not in n
            )[:_MOST_SECTIONS_CHARS]
        intro = sections[0][2] if sections else ""
        return f"{intro}\n\nSections: {listed}" if listed else intro
    if wanted.strip().lower() == "all":
        return "\n\n".join(_with_heading(section) for section in sections)
    at = _place(sections, numbers, wanted.strip())
    end = at + 1
    while end < len(sections) and sections[end][0] > sections[at][0]:
        end += 1
    return "\n\n".join(_with_heading(section) for section in sections[at:end])


def _with_heading(section: Section) -> str:
    level, title, text = section
    return f"{'#' * level} {title}\n{text}".strip() if title else text


def _numbers(sections: list[Section]) -> list[str]:
    """The sections' numbers as Wikipedia counts them: 1, 1.1, 2; "" for the introduction."""
    counts: list[int] = []
    levels: list[int] = []
    numbers = []
    for level, title, _ in sections:
        if not title:
            numbers.append("")
            continue
        while levels and levels[-1] >= level:
            levels.pop()
        depth = len(levels)
        counts = [*counts[: depth + 1], *[0] * (depth + 1 - len(counts))]
        counts[depth] += 1
        levels.append(level)
        numbers.append(".".join(map(str, counts)))
    return numbers


def _place(sections: list[Section], numbers: list[str], wanted: str) -> int:
    titles = [title.casefold() for _, title, _ in sections]
    sought = wanted.strip("#. ").casefold()
    for tried in (titles, numbers):
        if sought and sought in tried:
            return tried.index(sought)
    within = [at for at, title in enumerate(titles) if sought and sought in title]
    if len(within) == 1:
        return within[0]
    near = [at for at in within] or [at for at, title in enumerate(titles) if title]
    listed = "; ".join(f"{numbers[at]} {sections[at][1]}" for at in near)
    raise ToolError(
        f"The article has {'several sections like' if within else 'no section'} {wanted!r}.",
        f"Its sections: {listed[:_MOST_SECTIONS_CHARS]}" if listed else "It has no sections.",
    )
