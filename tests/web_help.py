"""How the tests of the web tools visit a page: with short limits, and on loopback where asked."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from errors import ToolError
from tests.trap_site import Site
from tools.fetch import Limits, fetch
from tools.pages import Pages
from tools.visit_webpage import VisitWebpage


def browser(*allow: str, timeout_seconds: float = 5.0, max_bytes: int = 100_000) -> VisitWebpage:
    limits = Limits(max_bytes, timeout_seconds, frozenset(allow))
    return VisitWebpage(pages=Pages(lambda ask: fetch(ask, limits)))


def visit(site: Site, path: str, seconds: float = 5.0, **more: object) -> str:
    return browser(site.host, timeout_seconds=seconds)(url=site.url(path), **more)


@contextmanager
def fails(seen_as: type[Exception], match: str | None = None) -> Iterator[None]:
    """The tool says, in words and with a next step, that it can't."""
    with pytest.raises(ToolError, match=match) as caught:
        yield
    assert caught.value.seen_as is seen_as
    assert caught.value.next_step
    assert len(str(caught.value)) < 1_000
