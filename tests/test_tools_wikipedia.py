"""The Wikipedia tools against a server that answers as the MediaWiki API does."""

import urllib.parse
from collections.abc import Iterator

import pytest

from errors import ToolError
from tests.trap_site import Page, Site, body, silence, status, text
from tests.wikipedia_site import api, wikipedia
from tools.web_state import WebState
from tools.wiki_text import article_sections
from tools.wikipedia_page import WikipediaPage
from tools.wikipedia_search import WikipediaSearch

SILENT = silence(3)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site({"/en/w/api.php": api, "/de/w/api.php": api}) as running:
        yield running


@pytest.fixture(scope="module")
def page(site: Site) -> WikipediaPage:
    return WikipediaPage(wikipedia(site))


class TestSearch:
    def test_articles_by_rank(self, site: Site) -> None:
        shown = WikipediaSearch(wikipedia(site))(query="mount kenya")
        assert shown.startswith(
            "1. Mount Kenya\n   https://w/Mount_Kenya\n   Mount Kenya is 5,199 metres high.\n"
            "   It lies in Kenya.\n2. Kenya\n   https://w/Kenya\n   A land."
        )
        assert len(shown) < 1_000
        path, headers = site.asked[-1]
        assert urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["gsrsearch"] == [
            "mount kenya"
        ]
        assert headers["user-agent"].startswith("Hearth/")

    def test_nothing_found(self, site: Site) -> None:
        assert WikipediaSearch(wikipedia(site))(query=" zz ") == "No results for 'zz'."

    def test_other_languages(self, site: Site) -> None:
        tool = WikipediaSearch(wikipedia(site))
        tool(query="kenya", language="DE")
        assert site.asked[-1][0].startswith("/de/w/api.php?")
        assert tool.domain({"query": "x", "language": "de"}) == "de.wikipedia.org"
        for wrong in ("evil.example/", "e", "german", "en@x", "../en", "x" * 30):
            with pytest.raises(ToolError, match="no language of Wikipedia"):
                tool(query="kenya", language=wrong)

    @pytest.mark.parametrize(
        ("page", "said"),
        [
            (status(429), "asks for a pause"),
            (status(503), "answered 503"),
            (text("<html>"), "not in its format"),
            (body(b"[]", "application/json"), "not in its format"),
            (body(b'{"query": {"pages": 7}}', "application/json"), "not in its format"),
            (body(b'{"error": {"code": "x", "info": "Too long"}}', "application/json"), "Too long"),
            (SILENT, "longer than 0.4 seconds"),
        ],
    )
    def test_faults(self, page: Page, said: str) -> None:
        with Site({"/en/w/api.php": page}) as site, pytest.raises(ToolError, match=said) as caught:
            WikipediaSearch(wikipedia(site, seconds=0.4 if page is SILENT else 10.0))(
                query="mount kenya"
            )
        assert caught.value.seen_as in (ConnectionError, TimeoutError)
        assert caught.value.next_step

    def test_a_pause_that_is_asked_for_is_kept_by_all(self) -> None:
        state = WebState()
        with Site({"/en/w/api.php": status(429, **{"Retry-After": "120"})}) as site:
            for said in (r"\(429\)", "pause of 1[12][0-9] seconds"):
                with pytest.raises(ToolError, match=said):
                    WikipediaSearch(wikipedia(site, state))(query="x")
            assert len(site.asked) == 1

    def test_an_answer_is_kept(self, site: Site) -> None:
        tool = WikipediaSearch(wikipedia(site, WebState(), 60))
        before = len(site.asked)
        assert tool(query="kenya") == tool(query="kenya")
        assert len(site.asked) == before + 1

    def test_an_empty_query(self, site: Site) -> None:
        with pytest.raises(ToolError, match="empty"):
            WikipediaSearch(wikipedia(site))(query=" ")


class TestPage:
    def test_introduction_and_sections(self, page: WikipediaPage) -> None:
        assert page(title="Mount Kenya") == (
            "# Mount Kenya\nhttps://en.wikipedia.org/wiki/Mount_Kenya\n"
            'infobox: Mount Kenya\nHighest point,Highest point\nElevation,"5,199 m"\n\n'
            "Mount Kenya is an extinct volcano, where ${\\displaystyle h=5199}$ .\n\n"
            "Sections: 1 Geology; 1.1 Glaciers; 2 Names"
        )

    @pytest.mark.parametrize("section", ["Glaciers", "glaciers", "1.1", "glac", "## Glaciers"])
    def test_a_section_with_its_table(self, page: WikipediaPage, section: str) -> None:
        shown = page(title="Mount Kenya", section=section)
        assert shown.endswith(
            "### Glaciers\n(picture: Lewis Glacier)\n\ntable: Area of glaciers\nName,1963,1987\n"
            '"Lewis, the large one",0.36,0.24\n"Lewis, the large one",lost,lost\nTyndall,0.09,0.07'
        )

    def test_a_section_brings_those_below_it(self, page: WikipediaPage) -> None:
        shown = page(title="Mount Kenya", section="Geology")
        assert (
            "## Geology\nIt rose 3 million years ago.\n\n- Basalt\n- Phonolite\n  - of the plug"
            in (shown)
        )
        assert "Tyndall" in shown
        assert "Kirinyaga" not in shown
        assert "Kirinyaga" in page(title="Mount Kenya", section="all")
        assert "Mountains of Africa" not in page(title="Mount Kenya", section="all")

    def test_a_section_that_is_not_there(self, page: WikipediaPage) -> None:
        with pytest.raises(
            ToolError, match=r"no section 'Climbs'. Its sections: 1 Geology; 1.1 Gla"
        ):
            page(title="Mount Kenya", section="Climbs")

    def test_redirects_and_addresses(self, page: WikipediaPage, site: Site) -> None:
        assert page(title="Mt. Kenya").startswith("# Mount Kenya\n")
        assert page(title="https://de.wikipedia.org/wiki/Mount_Kenya#Geology").startswith(
            "# Mount Kenya\nhttps://de.wikipedia.org/wiki/Mount_Kenya\n"
        )
        assert page.domain({"title": "https://de.m.wikipedia.org/wiki/X"}) == "de.wikipedia.org"
        assert page.domain({"title": "X", "language": "fr"}) == "fr.wikipedia.org"

    @pytest.mark.parametrize(
        ("date", "end"),
        [("2010-05-06", "2010-05-06"), ("2012-02", "2012-02-29"), ("2010", "2010-12-31")],
    )
    def test_as_it_was_on_a_day(self, page: WikipediaPage, site: Site, date: str, end: str) -> None:
        shown = page(title="Mount Kenya", date=date)
        assert f"(as of {end}: revision 77 of 2010-03-04)\nIn 2010 it was said" in shown
        assert f"rvstart={end}T23%3A59%3A59Z" in site.asked[-2][0]

    def test_before_it_was_written(self, page: WikipediaPage) -> None:
        with pytest.raises(ToolError, match="had no article 'Mount Kenya' on 2001-12-31"):
            page(title="Mount Kenya", date="2001")

    @pytest.mark.parametrize("date", ["yesterday", "2010-13", "2010-02-30", "0000", "06/2010"])
    def test_what_is_no_date(self, page: WikipediaPage, date: str) -> None:
        with pytest.raises(ToolError, match="no date"):
            page(title="Mount Kenya", date=date)

    @pytest.mark.parametrize("date", [None, "2010"])
    def test_an_article_that_does_not_exist(self, page: WikipediaPage, date: str | None) -> None:
        with pytest.raises(
            ToolError, match=r"no article 'Mont Kenia'. Did you mean Mount Kenya; Kenya"
        ):
            page(title="Mont Kenia", date=date)

    def test_a_question(self, site: Site) -> None:
        page = WikipediaPage(wikipedia(site), page_chars=400)
        shown = page(title="Mount Kenya", question="Which glacier is called Tyndall?")
        assert "Tyndall,0.09,0.07" in shown
        assert "part={part}" not in shown
        assert "all of it: wikipedia_page('Mount Kenya', section='all', part=1)]" in shown

    def test_long_sections_come_in_parts(self, site: Site) -> None:
        page = WikipediaPage(wikipedia(site), page_chars=200)
        first = page(title="Mount Kenya", section="all")
        assert "next: wikipedia_page('Mount Kenya', section='all', part=2)]" in first
        assert page(title="Mount Kenya", section="all", part=2) != first


def test_hostile_tables_stay_within_bounds() -> None:
    wide = "<table><tr>" + '<td colspan="60000" rowspan="60000">x</td>' * 50 + "</tr>"
    table = wide + "<tr><td>y</td></tr>" * 5_000 + "</table>"
    sections = article_sections(table)
    assert len(sections[0][2].splitlines()) <= 3_010
    assert len(sections[0][2]) < 700_000


def test_nested_tables_and_broken_html() -> None:
    html = "<table><tr><td>a<table><tr><td>b</td></tr></table></td><td>c</td></tr></table><p>d<h2>e"
    assert [title for _, title, _ in article_sections(html)] == ["", "e"]
    assert "ab,c" in article_sections(html)[0][2]
    assert article_sections("") in ([], [(1, "", "")])
