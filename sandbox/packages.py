"""The worker's side: what the code may import, and what it reads when it can't.

Everything that is installed may be imported, the whole standard library with it: a program
that imports `subprocess` without need still runs, and is told when it uses it (`refusals`).
The setting `sandbox_imports` can narrow that to a list. The list is a guide for the model,
not a lock: what the code may do is the operating system's to say (`confine`).
"""

import builtins
import difflib
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sandbox.known_packages import BUNDLED, KNOWN

_STANDARD = sys.stdlib_module_names | {"__main__"}
_NO_NAME = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_MAX_LISTED = 40


class Imports:
    """What may be imported in this worker. Made once, before any of the agent's code runs.

    `allowed` names top-level modules besides the standard library's, None for all; `folder`
    holds the packages that were installed for this session, `workspace` the code's own modules.
    """

    def __init__(self, allowed: list[str] | None, folder: str, workspace: str) -> None:
        self._folder = folder
        self._workspace = workspace
        self._allowed = None if allowed is None else frozenset(allowed)
        if self._allowed is not None:
            _listed[:] = sorted(self._allowed)
            builtins.__import__ = self._guard(builtins.__import__)
            importlib.import_module = self._guard_by_name(importlib.import_module)

    def put_on_path(self) -> None:
        """The session's packages come after all others, so that none of them hides a library;
        called before each step, so that what was installed meanwhile is found."""
        if self._folder:
            sys.path[:] = [entry for entry in sys.path if entry != self._folder] + [self._folder]
            sys.path_importer_cache.pop(self._folder, None)

    def _guard(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def __import__(name, globals=None, locals=None, fromlist=(), level=0):  # type: ignore[no-untyped-def]
            if level == 0:
                self._check(name, sys._getframe(1).f_globals if globals is None else globals)
            return real(name, globals, locals, fromlist, level)

        return __import__

    def _guard_by_name(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def import_module(name: str, package: str | None = None) -> Any:
            self._check(name, sys._getframe(1).f_globals)
            return real(name, package)

        return import_module

    def _check(self, name: object, importer: dict[str, Any]) -> None:
        """Raise ImportError for what may not be imported. A library may import what it needs."""
        if type(name) is not str or not self._is_own(importer):
            return
        top = name.partition(".")[0]
        if top and top not in _STANDARD and top not in (self._allowed or ()):
            for folder in (self._folder, self._workspace):
                if folder and any((Path(folder) / end).exists() for end in (top, f"{top}.py")):
                    return
            raise ImportError(f"{top} may not be imported here. {_here()}", name=name)

    def _is_own(self, importer: dict[str, Any]) -> bool:
        if importer.get("__name__") == "__main__":
            return True
        return str(importer.get("__file__", "")).startswith(self._workspace + "/")


_listed: list[str] = list(BUNDLED)


def _here() -> str:
    return f"Here are: {', '.join(_listed[:_MAX_LISTED])} and the standard library."


def missing(error: BaseException) -> str:
    """The module whose absence an exception comes from, by its top-level name; or empty.

    A library that wants another one wraps the exception in one of its own.
    """
    seen = 0
    cause: BaseException | None = error
    while isinstance(cause, ImportError) and seen < 5:
        if isinstance(cause, ModuleNotFoundError) and type(cause.name) is str:
            top = cause.name.partition(".")[0]
            return top if top not in sys.modules and top.isidentifier() else ""
        cause, seen = cause.__cause__ or cause.__context__, seen + 1
    return ""


def explain(error: ImportError, known: Iterable[str]) -> str:
    """What to do about an import that failed, as the end of its message; empty for nothing.

    `known` are the names that the code has, the tools among them.
    """
    name = error.name if type(error.name) is str else ""
    found = _NO_NAME.search(str(error))
    if found:
        return _near(found[1], _public(found[2]))
    top, _, rest = name.partition(".")
    if rest and top in sys.modules:
        known_as = KNOWN.get(top)
        near = _near(name, _submodules(name.rpartition(".")[0]))
        return near or (f". Instead: {known_as.instead}." if known_as else "")
    absent = missing(error)
    if not absent:
        return ""
    if absent in set(known):
        return f". {absent} is already there: use it without importing it."
    if absent in KNOWN:
        return f". It isn't installed. Instead: {KNOWN[absent].instead}."
    near = _near(absent, [*_listed, *_STANDARD])
    return near or f". It isn't installed. {_here()}"


def _near(name: str, candidates: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(candidates)[:3000], n=1, cutoff=0.75)
    return f". Did you mean: '{close[0]}'?" if close and close[0] != name else ""


def _public(module: str) -> list[str]:
    return [name for name in dir(sys.modules.get(module)) if not name.startswith("_")]


def _submodules(package: str) -> list[str]:
    path = getattr(sys.modules.get(package), "__path__", None)
    if path is None:
        return []
    return [f"{package}.{module.name}" for module in pkgutil.iter_modules(path)]
