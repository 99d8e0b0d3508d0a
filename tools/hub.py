"""Tools from the Hugging Face Hub or a folder, where the user trusts their code."""

import re
from pathlib import Path
from typing import Any, ClassVar

from smolagents import Tool

from errors import SettingsError, ToolError
from tools.base import HearthTool
from tools.mcp_tool import DESCRIPTION_CHARS, free_name
from tools.text import one_line

_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


class Space(Tool):
    """A Space, as a tool: what its first endpoint takes and returns.

    smolagents' own `Tool.from_space` calls gradio_client in a way that its version 2 refuses.
    """

    output_type = "any"
    skip_forward_signature_validation = True
    name: str
    description: str
    inputs: ClassVar[dict[str, Any]]

    def __init__(self, space: str) -> None:
        from gradio_client import Client

        self._client = Client(
            space,
            token=False,  # type: ignore[arg-type]  # with None it sends the one kept on this machine
            verbose=False,
            download_files=False,
            analytics_enabled=False,
        )
        endpoints: dict[str, Any] = self._client.view_api(print_info=False, return_format="dict")  # type: ignore[assignment]
        self._endpoint, about = next(iter(endpoints["named_endpoints"].items()))
        self.name = "space_" + re.sub(r"\W", "_", space.rstrip("/").rpartition("/")[2])
        self.description = f"Asks the Space {space}."
        self.inputs = {  # type: ignore[misc]
            given["parameter_name"]: {
                "type": _TYPES.get(given["python_type"]["type"], "any"),
                "description": given["label"],
                **({"nullable": True} if given["parameter_has_default"] else {}),
            }
            for given in about["parameters"]
        }
        super().__init__()

    def forward(self, **arguments: Any) -> Any:
        return self._client.predict(**arguments, api_name=self._endpoint)


class Borrowed(HearthTool):
    """Another's tool, under a name that says so; what it returns is text or plain data."""

    output_type = "any"
    outside = True
    group = "hub"
    touches = frozenset({"network", "changes"})
    timeout_seconds = 300.0  # a Space may have to wake up
    most_chars = 100_000
    skip_forward_signature_validation = True
    name: str
    description: str
    inputs: ClassVar[dict[str, Any]]

    def __init__(self, tool: Tool, name: str) -> None:
        self._tool = tool
        self.name = name
        self.description = f"(from the Hub) {one_line(tool.description, DESCRIPTION_CHARS)}"
        self.inputs = tool.inputs  # type: ignore[misc]
        super().__init__()

    def forward(self, **arguments: Any) -> Any:
        try:
            return self._tool(**arguments)
        except Exception as error:  # code of somebody else may raise anything
            said = one_line(str(error), 500) or type(error).__name__
            raise ToolError(f"{self.name} failed: {said}", "Go on without it.") from error


def hub_tools(setting: str, taken: set[str]) -> list[Borrowed]:
    """The tools that the setting `hub_tools` names, under names that are none of `taken`.

    Their code runs here, with the user's rights: the setting has the word that allows it. Raises
    SettingsError for one that can't be had.
    """
    found: list[Borrowed] = []
    for source in filter(None, setting.split(",")):
        what = source.rpartition("=")[0].strip()
        try:
            tool = _loaded(what)
        except Exception as error:  # a network, a folder, code of somebody else
            raise SettingsError(
                f"Setting hub_tools: {what} can't be loaded: {one_line(str(error), 300)}",
                fix="Look at the name and the network, or take it out.",
            ) from error
        name = free_name("hub", tool.name, taken | {made.name for made in found})
        found.append(Borrowed(tool, name))
    return found


def _loaded(what: str) -> Tool:
    kind, _, rest = what.partition(":")
    if kind == "space":
        return Space(rest)
    folder = Path(what).expanduser()
    if folder.is_absolute() or what.startswith("."):
        return Tool.from_code((folder / "tool.py").read_text(encoding="utf-8"))
    return Tool.from_hub(what, trust_remote_code=True)
