"""The settings of the route: which models may answer, in which order, and what each may cost."""

import os
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from settings.common import Key, http_address, plain_key

PRESETS = ("huggingface", "openai", "anthropic")
"""Providers that Hearth knows; each has a setting `<name>_key`."""
ROUTE_WORDS = ("main", "local", "bundled")
"""Places of a route that are no endpoints; docs/serving.md says what each is."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def named_key(value: SecretStr) -> SecretStr:
    """The key; `env:NAME` stands for the environment variable NAME. Raises ValueError."""
    text = value.get_secret_value()
    if not text.startswith("env:"):
        return value
    name = text.removeprefix("env:")
    found = os.environ.get(name, "").strip()
    if not found:
        raise ValueError(f"the environment variable {name} is not set")
    return plain_key(SecretStr(found))


class EndpointSettings(BaseModel):
    """One endpoint of the user's own, or what differs of a provider that Hearth knows."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    url: str = Field("", description="Address of an OpenAI-compatible server.")
    model: str = Field("", description="The model's name there; empty takes the first it lists.")
    key: Key = Field(SecretStr(""), description="The key that it asks for.")
    family: str = Field("", description="How to talk to the model; empty goes by its name.")
    requests_per_minute: int | None = Field(None, ge=1, description="Most requests in 60 seconds.")
    requests_per_day: int | None = Field(None, ge=1, description="Most requests in a day (UTC).")
    tokens_per_day: int | None = Field(
        None, ge=1, description="Most tokens in a day, sent and received."
    )
    money_per_day: float | None = Field(
        None, gt=0, description="Most money in a day, in the currency of the prices."
    )
    input_price: float = Field(0.0, ge=0, description="Price of a million tokens sent.")
    output_price: float = Field(0.0, ge=0, description="Price of a million tokens received.")

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return http_address(value)

    @field_validator("key")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        return named_key(value)

    @model_validator(mode="after")
    def _has_prices(self) -> "EndpointSettings":
        if self.money_per_day is not None and not (self.input_price or self.output_price):
            raise ValueError("money_per_day needs input_price and output_price, per million tokens")
        return self


NOTHING_SET = EndpointSettings.model_validate({})


class RouteSettings(BaseModel):
    """The route."""

    route: str = Field(
        "auto",
        description="Which models may answer, the best first: `auto` (the one you named, one that "
        "runs on this machine, endpoints whose keys are set, the bundled model), `main` (only the "
        "one you named), or names with commas between them: main, local, bundled, an engine, "
        "huggingface, openai, anthropic, or an endpoint of yours.",
    )
    huggingface_key: Key = Field(
        SecretStr(""),
        description="A Hugging Face token for its paid router; once set, the route may use it. "
        "`env:HF_TOKEN` takes the one of that variable.",
    )
    openai_key: Key = Field(
        SecretStr(""),
        description="An OpenAI key; once set, the route may use it. `env:OPENAI_API_KEY` takes the "
        "one of that variable.",
    )
    anthropic_key: Key = Field(
        SecretStr(""),
        description="An Anthropic key; once set, the route may use it. `env:ANTHROPIC_API_KEY` "
        "takes the one of that variable.",
    )
    endpoints: dict[str, EndpointSettings] = Field(
        {},
        description="Endpoints of your own by name, and limits of spending: tables in hearth.toml, "
        "or HEARTH_ENDPOINTS__NAME__URL and so on (docs/serving.md).",
    )

    @field_validator("huggingface_key", "openai_key", "anthropic_key")
    @classmethod
    def _provider_s_key(cls, value: SecretStr) -> SecretStr:
        return named_key(value)

    @field_validator("route")
    @classmethod
    def _route_names(cls, value: str) -> str:
        names = [name.strip().lower() for name in value.split(",")]
        if not all(names) or (len(names) > 1 and "auto" in names) or len(set(names)) < len(names):
            raise ValueError("must be `auto`, or different names with commas between them")
        return ",".join(names)

    @field_validator("endpoints", mode="before")
    @classmethod
    def _names_of_endpoints(cls, value: Any) -> Any:
        for name in value if isinstance(value, dict) else ():
            if not _NAME.fullmatch(str(name)) or name in ("auto", "local", "bundled"):
                raise ValueError(
                    f"{name!r} can't be an endpoint's name: take small letters, digits, - and _, "
                    "and not auto, local or bundled"
                )
        return value

    def key_of(self, name: str) -> str:
        """The key of an endpoint or provider; empty where none is set."""
        given = self.endpoints.get(name)
        own = given.key.get_secret_value() if given else ""
        preset: SecretStr | None = getattr(self, f"{name}_key", None) if name in PRESETS else None
        return own or (preset.get_secret_value() if preset else "")

    def route_fault(self, engines: tuple[str, ...]) -> str:
        """What is wrong with the route's names, to complete "Settings: …"; empty for nothing."""
        for name, given in self.endpoints.items():
            if name == "main":
                if given.url or given.model or given.family or given.key.get_secret_value():
                    return (
                        "endpoints.main can hold limits and prices only; the rest is endpoint_url, "
                        "endpoint_key, model and family"
                    )
            elif name in engines:
                return f"endpoints.{name} has the name of an engine; take another"
            elif name not in PRESETS and not given.url:
                return f"endpoints.{name} needs a url"
        if self.route == "auto":
            return ""
        known = (*ROUTE_WORDS, *engines, *PRESETS, *(n for n in self.endpoints if n != "main"))
        for name in self.route.split(","):
            if name not in known:
                return f"route names {name!r}; known are: {', '.join(dict.fromkeys(known))}"
            if name in PRESETS and not self.key_of(name):
                return f"route names {name}, so {name}_key must be set"
        return ""
