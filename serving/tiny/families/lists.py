"""Task families, to be filled."""

from __future__ import annotations

from serving.tiny.phrasings import Family, Templates

TEMPLATES: dict[str, Templates] = {}
FAMILIES: dict[str, Family] = {}
