"""The task families of the bundled model.

Each module holds `FAMILIES`, name → family function, and `TEMPLATES`, name → its wordings (a list,
or a mapping kind → list). A family makes one example: `family(rng, phrasings) -> Example`.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

from serving.tiny.phrasings import Family, Templates

MODULES = (
    "arithmetic",
    "percentages",
    "numbers",
    "integers",
    "counting",
    "units",
    "dates",
    "lists",
    "equations",
    "text",
    "knowledge",
    "refusal",
    "tables",
    "plots",
    "files",
    "recovery",
)


def _modules() -> list[ModuleType]:
    return [importlib.import_module(f"serving.tiny.families.{name}") for name in MODULES]


@functools.cache
def all_families() -> dict[str, Family]:
    """Every family by name, in a fixed order. ValueError when two modules use one name."""
    found: dict[str, Family] = {}
    for module in _modules():
        for name, family in module.FAMILIES.items():
            if name in found:
                raise ValueError(f"two families are named {name!r}; the second: {module.__name__}")
            found[name] = family
    return found


@functools.cache
def all_templates() -> dict[str, Templates]:
    """Every family's wordings by family name."""
    found: dict[str, Templates] = {}
    for module in _modules():
        found.update(getattr(module, "TEMPLATES", {}))
    return found
