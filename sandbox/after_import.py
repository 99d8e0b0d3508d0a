"""The worker's side: change a module right after its import, and import nothing for its sake."""

import sys
from collections.abc import Callable
from typing import Any

Change = Callable[[Any], None]

_changes: dict[str, Change] = {}


def loaded(package: str) -> list[str]:
    """The names of the modules of a package that are imported, the package first.

    Found from the package down: a look at the names of all modules would copy the memory that
    they share with the template and with every other worker.
    """
    names = [package] if package in sys.modules else []
    for name in names:
        if hasattr(sys.modules[name], "__path__"):
            inner = [f"{name}.{part}" for part in vars(sys.modules[name])]
            names += [part for part in inner if part in sys.modules and part not in names]
    return names


class _Finder:
    """First of the finders: finds what the others find, and adds the change to its loading."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        change = _changes.get(name)
        if change is None:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                change(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def change(name: str, do: Change) -> None:
    """Call `do(module)` now, if the module is imported, or else right after it is."""
    if name in sys.modules:
        do(sys.modules[name])
        return
    if not _changes:
        sys.meta_path.insert(0, _Finder())
    _changes[name] = do
