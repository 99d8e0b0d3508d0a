"""How the model that answers is to be talked to."""

from serving.engines import Endpoint
from serving.families import Family, family_for
from serving.model_family import family_of_model
from settings import Settings


def model_family(settings: Settings, endpoint: Endpoint) -> Family:
    """The family of the model that answers; for a local one, its files are asked too.

    The setting `family` goes over both. Raises SettingsError for one that does not exist.
    """
    if endpoint.engine == "endpoint" and not settings.family:
        return family_for(endpoint.model_id)
    return family_of_model(settings.model, endpoint.model_id, settings.family)
