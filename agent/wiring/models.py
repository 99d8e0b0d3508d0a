"""How the model that answers is to be talked to."""

import json
from pathlib import Path

from serving.engines import Endpoint
from serving.families import Family, family_for, family_named
from settings import ROOT, Settings


def model_family(settings: Settings, endpoint: Endpoint) -> Family:
    """The family of the model that answers; for a folder, its config.json is asked too.

    The setting `family` goes over both. Raises SettingsError for one that does not exist.
    """
    if settings.family:
        return family_named(settings.family)
    if endpoint.engine != "endpoint":
        path = Path(settings.model).expanduser()
        for config in (path / "config.json", ROOT / path / "config.json"):
            if config.is_file():
                known = json.loads(config.read_text(encoding="utf-8"))
                return family_for(endpoint.model_id, known)
    return family_for(endpoint.model_id)
