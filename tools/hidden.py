"""Takes out of a page what its readers never see: a place for instructions to an agent.

What a style sheet of another file hides stays; only the page itself is looked at.
"""

import re
from typing import Any

_NEVER_SHOWN = ("script", "style", "template", "noscript", "object", "iframe", "datalist", "dialog")
_HIDDEN_STYLE = re.compile(
    r"(?:^|;)(?:display:none|visibility:(?:hidden|collapse)|opacity:0?\.?0*(?![.\d])"
    r"|font-size:0*\.?0*(?:px|pt|r?em|%|vw)?(?![.\d])"
    r"|(?:left|top|right|text-indent|margin-left|margin-top):-\d{3,}"
    r"|clip:rect\(0|clip-path:inset\((?:50|100)%|transform:scale\(0(?:\.0+)?\)"
    r"|(?:max-)?(?:height|width):[01]?(?:px|%|r?em)?(?:;.*)?(?:;|$)(?=.*overflow:hidden)"
    r"|overflow:hidden(?=.*(?:^|;)(?:max-)?(?:height|width):[01](?:px|%|r?em)?(?:;|$)))"
)
_COLOUR = re.compile(r"(?:^|;)color:([^;!]+)")
_BACKGROUND = re.compile(r"(?:^|;)background(?:-color)?:([^;!]+)")
_WHITE = frozenset(
    ["white", "#fff", "#ffffff", "rgb(255,255,255)", "rgba(255,255,255,1)", "hsl(0,0%,100%)"]
)
_CLEAR = re.compile(r"transparent|rgba?\([^)]*,0(?:\.0+)?\)|#(?:[0-9a-f]{3}0|[0-9a-f]{6}00)")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}]{1,400})\{([^{}]{0,2000})\}")
_SIMPLE_SELECTOR = re.compile(r"(?:[a-z][\w-]*)?([.#])((?:[\w-]|[^\x00-\x7f])+)", re.IGNORECASE)
_MOST_STYLE_CHARS = 300_000
_LATEX_CHARS = 2_000


def drop_hidden(root: Any) -> None:
    """Remove comments, scripts and elements that are hidden from an lxml tree, in place."""
    from lxml import etree

    _show_formulas(root)
    hiding = _hiding_names(root)
    doomed = []
    for element in root.iter():
        said = isinstance(element.tag, str)  # no comment and no processing instruction
        if not said or element.tag in _NEVER_SHOWN or _is_hidden(element, hiding):
            doomed.append(element)
    for element in doomed:
        parent = element.getparent()
        if parent is None:
            continue
        _keep_tail(element, parent)
        parent.remove(element)
    if root.tag in _NEVER_SHOWN or _is_hidden(root, hiding):
        for child in list(root):
            root.remove(child)
        root.text = None
    etree.cleanup_namespaces(root)


def _is_hidden(element: Any, hiding: frozenset[tuple[str, str]]) -> bool:
    get = element.get
    if element.tag in ("html", "body"):  # some pages show themselves by a script
        return False
    if get("hidden") is not None and get("hidden") != "until-found":
        return True
    if get("aria-hidden", "").strip().lower() == "true" and element.tag != "img":
        return True
    if element.tag == "input" and get("type", "").lower() == "hidden":
        return True
    if hiding and _has_name(element, hiding):
        return True
    style = get("style")
    return bool(style) and _hides(style, element)


def _hides(style: str, element: Any) -> bool:
    compact = re.sub(r"\s+", "", _COMMENT.sub("", style[:4000])).lower()
    if _HIDDEN_STYLE.search(compact):
        return True
    colour = _COLOUR.search(compact)
    if colour is None:
        return False
    if _CLEAR.fullmatch(colour[1]):
        return True
    behind = _background(compact, element)
    return colour[1] == behind or (colour[1] in _WHITE and (not behind or behind in _WHITE))


def _background(compact: str, element: Any) -> str:
    """The background that is written at the element or around it; empty for none."""
    found = _BACKGROUND.search(compact)
    around = element.getparent()
    while found is None and around is not None:
        if around.get("bgcolor"):
            return str(around.get("bgcolor")).lower()
        if around.get("class") and around.tag not in ("html", "body"):
            return "unknown"  # a style sheet may paint it
        style = re.sub(r"\s+", "", around.get("style") or "").lower()
        found = _BACKGROUND.search(style)
        around = around.getparent()
    return found[1] if found else ""


def _hiding_names(root: Any) -> frozenset[tuple[str, str]]:
    """The classes (`.`) and ids (`#`) that the page's own style sheets hide everywhere."""
    css = "".join((style.text or "")[:_MOST_STYLE_CHARS] for style in root.iter("style"))
    names = set()
    for rule in _RULE.finditer(_without_blocks(_COMMENT.sub("", css[:_MOST_STYLE_CHARS]))):
        if _HIDDEN_STYLE.search(re.sub(r"\s+", "", rule[2]).lower()):
            for selector in rule[1].split(","):
                if found := _SIMPLE_SELECTOR.fullmatch(selector.strip()):
                    names.add((found[1], found[2]))
    return frozenset(names)


def _without_blocks(css: str) -> str:
    """The style sheet without what holds only for some screens or printers: `@media {…}`."""
    kept, depth, start = [], 0, 0
    in_block = False
    for match in re.finditer(r"@(?:media|supports|keyframes|container)[^{};]*\{|[{}]", css):
        text = match[0]
        if text.startswith("@") and not in_block:
            kept.append(css[start : match.start()])
            in_block, depth = True, 1
        elif in_block:
            depth += -1 if text == "}" else 1
            if depth == 0:
                in_block, start = False, match.end()
    return "".join([*kept, "" if in_block else css[start:]])


def _has_name(element: Any, names: frozenset[tuple[str, str]]) -> bool:
    if element.get("id") and ("#", element.get("id")) in names:
        return True
    return any((".", name) in names for name in (element.get("class") or "").split())


def _show_formulas(root: Any) -> None:
    """Put a formula's LaTeX where its picture is seen; its MathML is hidden in many pages."""
    for image in list(root.iter("img")):
        marks = f"{image.get('class') or ''} {image.getparent().get('class') or ''}".lower()
        latex = (image.get("alt") or "").strip()
        if not latex or "math" not in marks or len(latex) > _LATEX_CHARS:
            continue
        image.tag = "span"
        image.attrib.clear()
        image.text = f" ${latex}$ "


def _keep_tail(element: Any, parent: Any) -> None:
    """What follows an element belongs to the page, though lxml keeps it with the element."""
    if element.tail:
        before = element.getprevious()
        if before is None:
            parent.text = (parent.text or "") + element.tail
        else:
            before.tail = (before.tail or "") + element.tail
        element.tail = None
