"""What code defines, read from its text: names, functions, and the source of a value it made."""

import ast
import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_GIVES_VALUE = (*_DEFINITIONS, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)

_NAMED = re.compile(r"<(?:function|class) '?(?:__main__\.)?([A-Za-z_]\w*)'?(?: at 0x[0-9a-f]+)?>")
_NAMELESS = re.compile(
    r"<function '?[\w.<>]+'? at 0x[0-9a-f]+>|functools\.partial\(<.*\)"
    r"|<functools\._lru_cache_wrapper object at 0x[0-9a-f]+>",
    re.DOTALL,
)


def parsed(code: str) -> list[ast.stmt]:
    """The code's statements; none for code that can't be read."""
    with contextlib.suppress(*_UNREADABLE):
        return ast.parse(code).body
    return []


def defined_names(code: str, *, imports: bool = False) -> list[str]:
    """The names that the code sets at its top level, in order; none for code that can't be read."""
    return list(dict.fromkeys(n for node in parsed(code) for n in _stored(node, imports)))


def names_before(code: str, line: int) -> list[str]:
    """The names, imports included, that the code sets before it comes to this line."""
    done = (node for node in parsed(code) if (node.end_lineno or 0) < line)
    return list(dict.fromkeys(n for node in done for n in _stored(node, True)))


def only_defined(code: str) -> list[str]:
    """The functions and classes that the code defines, if it does nothing else to be seen."""
    body = parsed(code)
    quiet = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    defined = [name for node in body for name in _defines(node)]
    silent = all(
        isinstance(node, (*_DEFINITIONS, *quiet))
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in body
    )
    return defined if silent else []


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, _DEFINITIONS):
        return [node.name]
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _stored(node: ast.AST, imports: bool) -> Iterator[str]:
    if isinstance(node, _DEFINITIONS):
        yield node.name
        return
    if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return  # what they set, nobody sees
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif imports and isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _stored(child, imports)


# -- the source of a function or class, from its repr ----------------------------------------


@dataclass(frozen=True)
class _Piece:
    """A top-level statement of one of the codes, or an expression in it, with its text."""

    place: tuple[int, int]  # which of the codes, which line
    node: ast.AST
    text: str


def source_of(value: str, codes: Sequence[str]) -> str:
    """The Python that makes a function or class which looks like `value`; empty for none.

    One with a name is looked for in the codes, the latest first; a lambda, a closure, a cached
    or a partial function is what the last code hands to final_answer. What it uses of the codes
    stands before it.
    """
    named = _NAMED.fullmatch(value)
    if named is None and _NAMELESS.fullmatch(value) is None:
        return ""
    found = _bound(named[1], codes) if named else None
    if found is None and not value.startswith("<class"):
        found = _handed_over(codes)
    return _with_what_it_uses(found, codes) if found else ""


def _bound(name: str, codes: Sequence[str]) -> _Piece | None:
    """The latest statement at the top level that gives the name its value."""
    for number in range(len(codes) - 1, -1, -1):
        for node in reversed(parsed(codes[number])):
            if isinstance(node, _GIVES_VALUE) and name in _stored(node, True):
                return _piece(number, node, codes)
    return None


def _handed_over(codes: Sequence[str]) -> _Piece | None:
    """What the last code gives to final_answer: the statement behind a name, or an expression."""
    number = len(codes) - 1
    calls = [
        node
        for statement in (parsed(codes[number]) if codes else ())
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "final_answer"
    ]
    given = [*calls[-1].args, *(word.value for word in calls[-1].keywords)] if calls else []
    if len(given) != 1:
        return None
    if isinstance(given[0], ast.Name):
        return _bound(given[0].id, codes)
    return _piece(number, given[0], codes)


def _piece(number: int, node: ast.stmt | ast.expr, codes: Sequence[str]) -> _Piece:
    if isinstance(node, _DEFINITIONS):
        first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
        text = "\n".join(codes[number].splitlines()[first - 1 : node.end_lineno])
    else:
        text = ast.get_source_segment(codes[number], node) or ""
    return _Piece((number, node.lineno), node, text)


def _with_what_it_uses(piece: _Piece, codes: Sequence[str]) -> str:
    pieces, todo = {piece.place: piece}, [piece]
    while todo:
        for name in _free_names(todo.pop().node):
            needed = _bound(name, codes)
            if needed is not None and needed.place not in pieces:
                pieces[needed.place] = needed
                todo.append(needed)
    del pieces[piece.place]
    parts = [pieces[place] for place in sorted(pieces)] + [piece]
    text = parts[0].text
    for before, part in pairwise(parts):
        apart = any(isinstance(one.node, _DEFINITIONS) for one in (before, part))
        text += ("\n\n\n" if apart else "\n") + part.text
    return text


def _free_names(node: ast.AST) -> list[str]:
    """The names that it uses and does not set itself."""
    used, own = [], set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.arg):
            own.add(inner.arg)
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            used.append(inner.id)
        elif isinstance(inner, ast.Name):
            own.add(inner.id)
    return [name for name in dict.fromkeys(used) if name not in own]
