"""Takes out of documents what their readers never see: a place for instructions to an agent.

In pages, letters and books what `tools/hidden.py` finds; in Word files text that is marked as
hidden, white on no colour, or smaller than 2 points. What a named style hides stays.
"""

import io
import zipfile
from collections.abc import Callable
from typing import Any

from tools.formats.page import page_source, page_tree
from tools.hidden import drop_hidden

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SMALLEST = 4  # half points


def seen(data: bytes, kind: str, charset: str | None = None) -> bytes:
    """The document without its hidden text; pages are in UTF-8 then. Others come as they are."""
    if kind == ".html":
        return _page(page_source(data, charset).encode("utf-8", "replace"))
    if kind == ".epub":
        return _rewritten(data, (".xhtml", ".html", ".htm"), _page)
    if kind == ".docx":
        return _rewritten(data, (".xml",), _word)
    return data


def _rewritten(data: bytes, endings: tuple[str, ...], change: Callable[[bytes], bytes]) -> bytes:
    """The zip with its members of these endings changed; as it is, where none does change."""
    changed: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.lower().endswith(endings):
                before = archive.read(name)
                after = change(before)
                changed |= {name: after} if after != before else {}
        if not changed:
            return data
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as copy:
            for entry in archive.infolist():
                copy.writestr(entry.filename, changed.get(entry.filename) or archive.read(entry))
    return out.getvalue()


def _page(data: bytes) -> bytes:
    import lxml.html

    root = page_tree(data)
    if root is None:
        return data
    drop_hidden(root)
    return lxml.html.tostring(root, encoding="utf-8", doctype="<!doctype html>")


def _word(data: bytes) -> bytes:
    if not any(mark in data for mark in (b":vanish", b"FFFFFF", b"ffffff", b":sz ")):
        return data
    from lxml import etree

    # Without entities, which can be made to fill the memory.
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:  # whoever reads the document will say so
        return data
    hidden = [run for run in root.iter(f"{_WORD}r") if _is_hidden(run)]
    for run in hidden:
        run.getparent().remove(run)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8") if hidden else data


def _is_hidden(run: Any) -> bool:
    looks = run.find(f"{_WORD}rPr")
    if looks is None:
        return False
    if _on(looks.find(f"{_WORD}vanish")):
        return True
    size = _value(looks.find(f"{_WORD}sz"))
    if size.isdecimal() and int(size) < _SMALLEST:
        return True
    white = _value(looks.find(f"{_WORD}color")).upper() == "FFFFFF"
    return white and not any(_is_coloured(part) for part in (run, *run.iterancestors()))


def _is_coloured(part: Any) -> bool:
    """Whether a run, a paragraph, a table or its cell has a colour of its own behind its text."""
    own = f"{part.tag}Pr"
    looks = part.find(own)
    if looks is None:
        return False
    fill = looks.find(f"{_WORD}shd")
    shaded = fill is not None and fill.get(f"{_WORD}fill", "auto").upper() not in ("AUTO", "FFFFFF")
    styled = looks.find(f"{_WORD}tblStyle") is not None  # which may shade its cells
    return shaded or styled or looks.find(f"{_WORD}highlight") is not None


def _on(element: Any) -> bool:
    return element is not None and _value(element).lower() not in ("0", "false", "off")


def _value(element: Any) -> str:
    return "" if element is None else str(element.get(f"{_WORD}val", ""))
