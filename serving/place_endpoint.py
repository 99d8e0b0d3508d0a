"""Places of a route that run elsewhere: providers, and endpoints of the user's own."""

from serving.connect import connect, knock
from serving.families import Family, family_for, family_named
from serving.faults import Names, shown_address
from serving.link import Quirks
from serving.place import PROBE_SECONDS, Place
from serving.row import Endpoint, Say
from settings import Settings


class EndpointPlace(Place):
    """A provider, or an endpoint of the user's own."""

    paid = True

    def __init__(
        self, name: str, settings: Settings, *, url: str, model: str, quirks: Quirks
    ) -> None:
        super().__init__(name, settings)
        self.url = url
        self.quirks = quirks
        self._model = model
        self._key = settings.key_of(name)
        base = f"HEARTH_ENDPOINTS__{name.replace('-', '_').upper()}__"
        known = f"{name}_key" in Settings.model_fields
        self.names = Names(
            key=f"HEARTH_{name.upper()}_KEY" if known else f"endpoints.{name}.key ({base}KEY)",
            url=f"the network and endpoints.{name}.url ({base}URL)"
            if known
            else f"endpoints.{name}.url ({base}URL)",
            model=f"endpoints.{name}.model ({base}MODEL)",
        )

    @property
    def where(self) -> str:
        return shown_address(self.url)

    @property
    def _wanted(self) -> str:
        return self._model or f"the model at {self.where}"

    @property
    def family(self) -> Family:
        named = self.limits.family
        if named:
            return family_named(named, "An endpoint", f"endpoints.{self.name}.family")
        return family_for(self.model_id)

    def _open(self, say: Say) -> Endpoint:
        if self.quirks.plain:
            knock(self.url, self._key, self.names, seconds=PROBE_SECONDS)
            return Endpoint(self.url, self._key, self._model, "endpoint", None)
        return connect(
            self.url, self._key, self._model, say, names=self.names, seconds=2 * PROBE_SECONDS
        )

    def look(self) -> tuple[str, str]:
        if self.quirks.plain:
            knock(self.url, self._key, self.names, seconds=PROBE_SECONDS)
            return "well", "It answers; whether it has the model is seen with the first reply."
        key = self._key
        found = connect(
            self.url, key, self._model, lambda _: None, names=self.names, seconds=PROBE_SECONDS
        )
        return "well", found.notice or "It answers and has the model."

    def probe(self) -> None:
        if self.endpoint is not None:
            knock(self.endpoint.base_url, self._key, self.names, seconds=PROBE_SECONDS)
