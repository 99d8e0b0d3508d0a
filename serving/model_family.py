"""Which family a model is of: by the name in the settings, its files, and its id."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving.families import Family, family_for, family_named
from serving.gguf_source import head_config, names_gguf
from settings import ROOT


def family_of_model(name: str, model_id: str, named: str = "") -> Family:
    """The family of the model that the setting `model` names `name` and requests `model_id`.

    `named` is the setting `family`, which goes over both; then the id decides, then what the
    model's own files say. Raises SettingsError for a family that does not exist.
    """
    if named:
        return family_named(named)
    config = _config(name)
    own_name = str(config.get("name", "")).replace(" ", "-")  # a GGUF file's general.name
    by_own_name = family_for(own_name) if own_name else None
    if by_own_name is None or by_own_name.name == "instruct":
        return family_for(model_id, config)
    by_id = family_for(model_id)
    return by_own_name if by_id.name == "instruct" else by_id


def _config(name: str) -> Mapping[str, Any]:
    if names_gguf(name):
        return head_config(name)
    for folder in (Path(name).expanduser(), ROOT / name):
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((folder / "config.json").read_text("utf-8"))
            return found if isinstance(found, dict) else {}
    return {}
