"""What stands before a session's tools."""

from collections.abc import Sequence

from smolagents import Tool

from agent import prompts
from agent.gate import Gate
from agent.outside import OutsideTexts
from agent.permissions import PermissionDesk
from agent.policy import TOUCHES, Policy
from errors import SettingsError
from settings import Settings
from tools.text import visible


def gate_for(settings: Settings, tools: Sequence[Tool], layout: str, *, asks: bool) -> Gate:
    """The gate that the settings describe, before a model of the prompt `layout`.

    Raises SettingsError for a rule on no tool.
    """
    policy = Policy.parse(settings.tool_policy)
    groups = {getattr(tool, "group", "") for tool in tools} - {""}
    if taken := sorted(groups & {*TOUCHES, *(tool.name for tool in tools)}):
        raise SettingsError(
            f"Setting mcp: {taken[0]!r} is what a rule of tool_policy calls something else.",
            fix="Give the server another name.",
        )
    names = [*(tool.name for tool in tools), *groups]
    for name in policy.named_tools():
        if name not in names:
            raise SettingsError(
                f"Setting tool_policy: there is no tool {name!r}.",
                fix=f"The tools are: {', '.join(sorted(names))}.",
            )
    desk = PermissionDesk(settings.tool_ask_seconds if asks else 0)
    return Gate(policy, desk, visible, OutsideTexts(prompts.framer(layout)))
