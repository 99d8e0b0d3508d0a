"""The settings of tools that come from elsewhere: MCP servers, the Hub."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from settings.common import A_WEEK, http_address

TRUST = "trust-its-code"
"""The word with which the user says that code from elsewhere may run as they themselves."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")


class McpServer(BaseModel):
    """One MCP server: a program that is started, or an address."""

    model_config = ConfigDict(extra="forbid")

    command: str = Field("", description="The program to start, such as npx or uvx.")
    args: list[str] = Field([], description="What it is started with.")
    env: dict[str, SecretStr] = Field({}, description="Environment variables it gets; all it gets.")
    cwd: Path | None = Field(None, description="The folder that it is started in.")
    url: str = Field("", description="Address of a server that runs already.")
    headers: dict[str, SecretStr] = Field({}, description="Headers of each request, such as keys.")
    transport: Literal["streamable-http", "sse"] = "streamable-http"
    timeout_seconds: float = Field(60, gt=0, le=A_WEEK)
    tools: list[str] = Field([], description="The only ones of its tools to take; empty: all.")

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return http_address(value)

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        sent = {name: text.get_secret_value().strip() for name, text in value.items()}
        if not all(" " <= letter <= "~" for part in (*sent, *sent.values()) for letter in part):
            raise ValueError("a header holds a line end or a letter that can't be sent")
        return {name: SecretStr(text) for name, text in sent.items()}

    @model_validator(mode="after")
    def _one_way(self) -> "McpServer":
        if bool(self.command) == bool(self.url):
            raise ValueError("name either a command or a url")
        return self


class ServerSettings(BaseModel):
    """Tools from elsewhere."""

    mcp: Annotated[dict[str, McpServer], NoDecode] = Field(
        {},
        description="MCP servers whose tools the agent may call, as JSON or as [mcp.NAME] tables "
        'of hearth.toml: {"NAME": {"command": "…", "args": ["…"], "env": {"KEY": "…"}}} starts a '
        'program, {"NAME": {"url": "…", "headers": {"…": "…"}}} asks a server.',
    )
    hub_tools: str = Field(
        "",
        description="Tools from the Hugging Face Hub, with commas between them, each with the word "
        f"by which you trust it: OWNER/NAME={TRUST} (its code runs with your rights), "
        f"space:OWNER/NAME={TRUST} (a Space that gets what the agent sends it), or a folder.",
    )

    @field_validator("mcp", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = json.loads(value or "{}")
            except json.JSONDecodeError as error:  # without its text: it may hold a key
                raise ValueError(f"is no JSON ({error.msg} at character {error.pos})") from None
        if not isinstance(value, dict):
            raise ValueError('must be {"NAME": {…}}')
        # As other programs write it: {"mcpServers": {…}}.
        if list(value) == ["mcpServers"] and isinstance(value["mcpServers"], dict):
            value = value["mcpServers"]
        for name in value:
            if not _NAME.fullmatch(str(name)):
                raise ValueError(
                    f"the name {name!r} must be small letters, digits and _, at most 30"
                )
        return value

    @field_validator("hub_tools")
    @classmethod
    def _trusted(cls, value: str) -> str:
        sources = [part.strip() for part in value.split(",") if part.strip()]
        for source in sources:
            what, _, word = source.rpartition("=")
            if not what or word.strip() != TRUST:
                raise ValueError(
                    f"{source!r} is code of somebody else; where you trust it, write "
                    f"{(what or source).strip()}={TRUST}"
                )
        return ",".join(sources)
