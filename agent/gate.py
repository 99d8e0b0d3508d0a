"""The one way to a tool: its permission, its limits, and what it may hand to the code.

Every call goes through `Gate`: the policy says whether it may go on (`admit`, before its clock
starts to run), and what comes back is cut to the tool's limit. What others wrote loses the
characters that nobody sees. The time limit itself is kept by the sandbox, which can leave a
call behind; each call's events come from there too.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from agent.outside import OutsideTexts
from agent.permissions import PermissionDesk
from agent.policy import Policy
from errors import Denied

MOST_CHARS = 100_000
"""Most characters of a result, for a tool that declares no limit of its own."""

_GO_ON = "Go on without it, or tell the user in your answer what you would have done."


class Gate:
    """Stands before the tools of one session.

    `clean` takes out of a text what nobody sees; `outside` knows what came from outside again.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        desk: PermissionDesk | None = None,
        clean: Callable[[str], str] = lambda text: text,
        outside: OutsideTexts | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self.outside = outside or OutsideTexts()
        self.desk = desk or PermissionDesk(0)
        self._clean = clean

    def wrap(self, tools: Mapping[str, Any]) -> dict[str, Any]:
        """The same tools, behind the gate."""
        return {name: _Gated(name, tool, self) for name, tool in tools.items()}

    def admit(self, name: str, tool: Any, arguments: dict[str, Any]) -> None:
        """Return when the call may be made. Raises Denied if it may not, and Cancelled."""
        domain = _domain(tool, arguments)
        touches: frozenset[str] = getattr(tool, "touches", frozenset())
        said = self.policy.decide(name, touches, domain, getattr(tool, "group", ""))
        if said.answer == "deny":
            where = f" to {domain}" if domain and said.rule.startswith(("*", domain)) else ""
            raise Denied(f"Calls of {name}{where} are not allowed here ({said.rule}).", _GO_ON)
        if said.answer == "ask":
            grant = f"{name} on {domain}" if domain else name
            self.desk.ask(name, arguments, said.rule, grant)

    def result(self, tool: Any, value: Any) -> Any:
        """What the code gets of a tool's result."""
        if getattr(tool, "outside", True):  # one that does not say is not trusted
            value = _each_text(value, self._clean)
        return _within(value, getattr(tool, "most_chars", MOST_CHARS))


class _Gated:
    """One tool; everything but the call is the tool's own."""

    def __init__(self, name: str, tool: Any, gate: Gate) -> None:
        self._name, self._tool, self._gate = name, tool, gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tool, name)

    def admit(self, arguments: dict[str, Any]) -> None:
        self._gate.admit(self._name, self._tool, arguments)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._gate.result(self._tool, self._tool(*args, **kwargs))


def _domain(tool: Any, arguments: Mapping[str, Any]) -> str:
    """The host that the call reaches; a tool that can't say it for such arguments will fail."""
    ask = getattr(tool, "domain", None)
    if ask is None:
        return ""
    try:
        return str(ask(arguments))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""


def _each_text(value: Any, change: Callable[[str], str], depth: int = 20) -> Any:
    """The value with every text in it changed, names of a dictionary included."""
    if isinstance(value, str):
        return change(value)
    if depth and isinstance(value, dict):
        return {
            _each_text(key, change, 0): _each_text(inner, change, depth - 1)
            for key, inner in value.items()
        }
    if depth and isinstance(value, list | tuple):
        changed = [_each_text(inner, change, depth - 1) for inner in value]
        return tuple(changed) if isinstance(value, tuple) else changed
    return value


def _within(value: Any, most: int) -> Any:
    """The value; longer than `most` characters it is cut, as text, and says so."""
    text = value
    if isinstance(value, dict | list | tuple):
        try:
            text = json.dumps(value, ensure_ascii=False, default=str)
        except (TypeError, ValueError):  # a key that JSON has none like, a value that holds itself
            text = str(value)
    if not isinstance(text, str) or len(text) <= most:
        return value
    return f"{text[:most]}\n[cut here: these are {most:,} of {len(text):,} characters]"
