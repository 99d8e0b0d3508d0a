"""Tools from elsewhere: MCP servers and the Hub, as the settings name them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smolagents import Tool

from errors import SettingsError
from settings import Settings
from tools.hub import hub_tools
from tools.keep import keep_file
from tools.mcp_client import McpConnection
from tools.mcp_tool import mcp_tools


class Servers:
    """The connections of one Hearth; its sessions share them."""

    def __init__(self, settings: Settings) -> None:
        self._connections = [McpConnection(name, about) for name, about in settings.mcp.items()]
        self._hub = settings.hub_tools

    def connect(self) -> None:
        """Start the servers, so that one that can't be reached is said before anything else."""
        for connection in self._connections:
            _reached(connection)

    def tools(self, workspace: Path, standard: Sequence[Tool]) -> list[Tool]:
        """What the servers offer a session. Raises SettingsError for one that can't be reached."""
        found: list[Tool] = []
        taken = {tool.name for tool in standard} | {"final_answer"}
        for connection in self._connections:
            offered = _reached(connection)
            made = mcp_tools(connection, offered, partial(keep_file, workspace), taken)
            taken |= {tool.name for tool in made}
            found += made
        return [*found, *hub_tools(self._hub, taken)]

    def close(self) -> None:
        """End the connections, and the servers that were started for them."""
        for connection in self._connections:
            connection.close()


def _reached(connection: McpConnection) -> list[Any]:
    try:
        return connection.tools()
    except ConnectionError as error:
        fix = "Mend it there, start the server, or take it out."
        raise SettingsError(f"Setting mcp: {error}", fix=fix) from None
