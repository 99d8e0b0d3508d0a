"""The settings of what a tool may do without asking."""

import re

from pydantic import BaseModel, Field, field_validator

from settings.common import A_WEEK

_WHAT = re.compile(
    r"[a-z_][a-z0-9_]*"  # a tool, what it touches, or localhost
    r"|(\*\.)?[\w-]+(\.[\w-]+)+"  # a domain, an IPv4 address
    r"|[0-9a-f:]*:[0-9a-f:]+"  # an IPv6 address
)
_ANSWERS = ("allow", "ask", "deny")


class PermissionSettings(BaseModel):
    """What tools may do."""

    tool_policy: str = Field(
        "",
        description="What tools may do, as rules with commas between them: a tool's name or its "
        "server's, a domain (`example.com`, or `*.example.com` for it and all below it), or what "
        "a tool touches (network, files, memory, money, changes), then `=` and `allow`, `ask` or "
        "`deny`; such as network=ask,wikipedia_search=allow,*.example.com=deny. Without a rule "
        "money and changes are asked for, all else is allowed.",
    )
    tool_ask_seconds: float = Field(
        600,
        ge=0,
        le=A_WEEK,
        description="How long a tool's call waits for your yes, in seconds; then it counts as a "
        "no. 0: nobody is asked, and what would have to be is refused.",
    )

    @field_validator("tool_policy")
    @classmethod
    def _rules(cls, value: str) -> str:
        return ",".join(_rule(rule) for rule in value.split(",") if rule.strip())


def _rule(text: str) -> str:
    what, equals, answer = (part.strip().lower() for part in text.partition("="))
    if not equals or answer not in _ANSWERS:
        raise ValueError(
            f"the rule {text.strip()!r} must be what=answer, and the answer one of "
            f"{', '.join(_ANSWERS)}"
        )
    if not _WHAT.fullmatch(what):
        raise ValueError(
            f"the rule {text.strip()!r} must begin with a tool's name, a domain such as "
            "example.com or *.example.com, or network, files, memory, money, changes"
        )
    return f"{_as_requested(what)}={answer}"


def _as_requested(what: str) -> str:
    """A domain as requests spell it: `bücher.de` is `xn--bcher-kva.de`. Raises ValueError."""
    if what.isascii():
        return what
    import httpx

    any_below = "*." * what.startswith("*.")
    try:
        return any_below + httpx.URL(f"http://{what.removeprefix('*.')}").raw_host.decode()
    except httpx.InvalidURL:
        raise ValueError(f"{what!r} is no domain") from None
