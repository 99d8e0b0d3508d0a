"""A Wikipedia article's HTML → its sections as text, tables as CSV.

Runs where hostile pages are read: anyone can edit an article.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from tools.hidden import drop_hidden
from tools.text import one_line, visible

_MOST_ROWS, _MOST_COLUMNS, _CELL_CHARS = 3_000, 100, 1_000
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_LISTS = ("ul", "ol", "dl")
_INSIDE = ("div", "section", "center", "figure", "main", "article", "header", "body", "blockquote")
_DROPPED = frozenset(
    [
        "mw-editsection", "reference", "noprint", "navbox", "navbox-styles", "ambox", "metadata",
        "mw-empty-elt", "toc", "sistersitebox", "mw-cite-backlink", "authority-control", "catlinks",
        "portalbox", "mw-jump-link", "nomobile", "shortdescription",
    ]
)  # fmt: skip


def article_sections(html: str) -> list[tuple[int, str, str]]:
    """(level, title, text) of each section; the first, of level 1 and without a title, is the
    introduction.
    """
    import lxml.html

    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        root = lxml.html.fragment_fromstring(
            f"<div>{html}</div>".encode("utf-8", "replace").decode(), parser=parser
        )
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError):
        return []
    drop_hidden(root)
    for element in list(root.iter()):
        if _DROPPED & set((element.get("class") or "").split()) and element.getparent() is not None:
            element.drop_tree()
    sections: list[tuple[int, str, list[str]]] = [(1, "", [])]
    for line in _lines(root):
        if isinstance(line, tuple):
            sections.append((*line, []))
        else:
            sections[-1][2].append(line)
    return [(level, title, "\n".join(lines).strip()) for level, title, lines in sections]


def sections_json(data: bytes, name: str) -> str:
    """`article_sections` for another process: HTML in, JSON out."""
    return json.dumps(article_sections(data.decode("utf-8", "replace")))


def _lines(element: Any) -> Iterator[str | tuple[int, str]]:
    """The lines below an element; a heading is (its level, its title)."""
    yield from _loose(element.text)
    for child in element:
        if child.tag in _HEADINGS:
            yield int(child.tag[1]), _text(child)
        elif child.tag == "table":
            yield from _table(child)
        elif child.tag in _LISTS:
            yield from _list(child, 0)
        elif child.tag == "pre":
            yield visible(child.text_content()).rstrip()
        elif child.tag in _INSIDE:
            yield from _lines(child)
        elif child.tag == "figcaption":
            yield from (f"(picture: {text})" for text in [_text(child)] if text)
        else:
            yield from _loose(_text(child))
        if child.tag in ("p", *_LISTS):
            yield ""
        yield from _loose(child.tail)


def _loose(text: str | None) -> Iterator[str]:
    if text and (line := " ".join(visible(text).split())):
        yield line


def _text(element: Any) -> str:
    for br in element.iter("br"):
        br.tail = f" {br.tail or ''}"
    return " ".join(visible(element.text_content()).split())


def _list(element: Any, depth: int) -> Iterator[str]:
    for number, item in enumerate(element, start=1):
        inner = [child for child in item if child.tag in _LISTS]
        for child in inner:
            item.remove(child)
        text = _text(item)
        mark = f"{number}." if element.tag == "ol" else "-"
        if text:
            yield f"{'  ' * min(depth, 6)}{text if item.tag == 'dt' else f'{mark} {text}'}"
        for child in inner:
            yield from _list(child, depth + 1)


def _table(element: Any) -> Iterator[str]:
    caption = element.find("caption")
    title = "" if caption is None else one_line(_text(caption), 200)
    rows = _rows(element)
    if not any(any(row) for row in rows):
        return
    if len(rows) == 1 and len(rows[0]) == 1:  # a frame around a text
        yield rows[0][0]
        return
    kind = "infobox" if "infobox" in (element.get("class") or "") else "table"
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    yield ""
    yield f"{kind}{f': {title}' if title else ''}"
    yield from out.getvalue().rstrip("\n").split("\n")
    yield ""


def _rows(table: Any) -> list[list[str]]:
    """The cells as a grid: a cell over several rows or columns is in each of them."""
    grid: list[list[str]] = []
    below: dict[int, tuple[int, str]] = {}  # column → rows to go, text
    for row in table.iter("tr"):
        if len(grid) == _MOST_ROWS:
            break
        if next(row.iterancestors("table")) is not table:
            continue
        cells: list[str] = []

        def from_above(cells: list[str] = cells) -> None:
            while (held := below.get(len(cells))) and len(cells) < _MOST_COLUMNS:
                left, text = held
                below.pop(len(cells))
                if left > 1:
                    below[len(cells)] = (left - 1, text)
                cells.append(text)

        for cell in row:
            if cell.tag not in ("td", "th"):
                continue
            from_above()
            text = one_line(_text(cell), _CELL_CHARS)
            for _ in range(min(_span(cell, "colspan"), _MOST_COLUMNS - len(cells))):
                if (rows := _span(cell, "rowspan")) > 1:
                    below[len(cells)] = (rows - 1, text)
                cells.append(text)
        from_above()
        grid.append(cells)
    return [row for row in grid if row]


def _span(cell: Any, name: str) -> int:
    try:
        return max(1, min(int(cell.get(name, "1")), _MOST_ROWS))
    except ValueError:
        return 1
