"""The settings of what the agent's code can call."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator

from settings.common import http_address


class ToolSettings(BaseModel):
    """The tools."""

    search_backend: Literal["ddgs", "searxng"] = Field(
        "ddgs", description="What web_search asks: `ddgs` (no key) or your own `searxng`."
    )
    searxng_url: str = Field("", description="Address of a SearXNG server, if that is the backend.")

    @field_validator("searxng_url")
    @classmethod
    def _searxng_address(cls, value: str) -> str:
        return http_address(value)
