"""The settings of what the agent's code can call."""

import ipaddress
import re

from pydantic import BaseModel, Field, SecretStr, field_validator

from settings.common import Key, http_address

SEARCH_BACKENDS = ("searxng", "serper", "brave", "tavily", "ddgs")
_HOST = re.compile(r"(\[[0-9a-f:]+\]|[\w.-]+)(:\d{1,5})?", re.IGNORECASE)


class ToolSettings(BaseModel):
    """The tools."""

    search_backends: str = Field(
        "auto",
        description="What web_search asks, in this order, by commas: `searxng`, `serper`, "
        "`brave`, `tavily`, `ddgs` (no key); `auto`: those with an address or a key, then ddgs.",
    )
    searxng_url: str = Field("", description="Address of your own SearXNG server for web_search.")
    serper_api_key: Key = Field(
        SecretStr(""), description="Key of serper.dev, Google's results for web_search."
    )
    brave_api_key: Key = Field(
        SecretStr(""), description="Key of the Brave Search API for web_search."
    )
    tavily_api_key: Key = Field(SecretStr(""), description="Key of tavily.com for web_search.")
    web_cache_hours: float = Field(
        12.0,
        ge=0,
        le=24 * 365,
        description="For how long search results and articles are kept on disk; 0 keeps none.",
    )
    web_allow: str = Field(
        "",
        description="Services of your own network that visit_webpage may read, by commas: hosts "
        "(`wiki.local`), hosts with a port (`localhost:8080`), networks (`10.1.0.0/16`).",
    )

    vision_url: str = Field(
        "",
        description="OpenAI-compatible address of a model that sees, asked about pictures by "
        "read_file.",
    )
    vision_model: str = Field("", description="The name of that model at that address.")
    vision_key: Key = Field(
        SecretStr(""), description="The key for that address, where it wants one."
    )
    speech_model: str = Field(
        "base",
        description="The faster-whisper model that read_file hears recordings with, where that "
        "package is installed; it is downloaded at the first use.",
    )

    @field_validator("searxng_url", "vision_url")
    @classmethod
    def _searxng_address(cls, value: str) -> str:
        return http_address(value)

    @field_validator("search_backends")
    @classmethod
    def _known_backends(cls, value: str) -> str:
        names = _parts(value)
        if names == ["auto"]:
            return "auto"
        if not names or len(set(names)) < len(names) or set(names) - set(SEARCH_BACKENDS):
            raise ValueError(f"must be `auto` or some of {', '.join(SEARCH_BACKENDS)}, each once")
        return ",".join(names)

    @field_validator("web_allow")
    @classmethod
    def _hosts_and_networks(cls, value: str) -> str:
        for entry in _parts(value):
            if "/" in entry:
                ipaddress.ip_network(entry, strict=False)  # raises ValueError
            elif not _HOST.fullmatch(entry):
                raise ValueError(f"`{entry}` is no host, host:port or network such as 10.1.0.0/16")
        return ",".join(_parts(value))

    @property
    def search_order(self) -> list[str]:
        """The search engines to ask, first to last."""
        if self.search_backends != "auto":
            return _parts(self.search_backends)
        return [name for name in SEARCH_BACKENDS if not self.lacks(name)]

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The entries of `web_allow`."""
        return frozenset(_parts(self.web_allow))

    def lacks(self, backend: str) -> str:
        """The setting without which a search engine can't be asked; empty where it is there."""
        if backend == "ddgs":
            return ""
        if backend == "searxng":
            return "" if self.searxng_url else "searxng_url"
        name = f"{backend}_api_key"
        return "" if getattr(self, name).get_secret_value() else name


def _parts(value: str) -> list[str]:
    return [part.strip().lower() for part in value.split(",") if part.strip()]
