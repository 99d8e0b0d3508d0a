"""The settings of what the agent's code can call."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from settings.common import http_address


class ToolSettings(BaseModel):
    """The tools."""

    search_backend: Literal["ddgs", "searxng"] = Field(
        "ddgs", description="What web_search asks: `ddgs` (no key) or your own `searxng`."
    )
    searxng_url: str = Field("", description="Address of a SearXNG server, if that is the backend.")

    vision_url: str = Field(
        "",
        description="OpenAI-compatible address of a model that sees, asked about pictures by "
        "read_file.",
    )
    vision_model: str = Field("", description="The name of that model at that address.")
    vision_key: SecretStr = Field(
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
