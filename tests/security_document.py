"""The parts of docs/security.md that are made from the code, so that they can't go stale.

python -m tests.security_document      write them anew
"""

import re
from pathlib import Path

from sandbox.confine import TIERS
from tests.executor_checks import confinement

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "security.md"
_SUBJECTS = {
    1: "Files",
    23: "Network",
    33: "Processes",
    49: "Resources",
    67: "What the code can find out",
    72: "The wire between app and sandbox",
    90: "From step to step, and from session to session",
    98: "What the code leaves behind",
}


def tiers() -> str:
    """Each tier: what it covers, what it leaves open."""
    parts = []
    for tier in TIERS.values():
        parts += [f"### `{tier.name}`", "", f"{tier.summary[0].upper()}{tier.summary[1:]}.", ""]
        parts += ["Covered:", "", *(f"- {line}" for line in tier.covers), ""]
        parts += ["**Not covered:**", "", *(f"- {line}" for line in tier.leaves_open), ""]
    return "\n".join(parts)


def items() -> str:
    """The list of what code is kept from: the checks by number."""
    parts = []
    for check in confinement.CHECKS:
        number = confinement.item(check)
        if number in _SUBJECTS:
            parts += ["", f"**{_SUBJECTS[number]}**", ""]
        words = confinement.name(check)[4:].replace("_", " ")
        parts.append(f"{number}. {words}")
    return "\n".join([*parts, ""])


def replaced(text: str) -> str:
    """The document with its made parts as they should be."""
    for mark, made in (("tiers", tiers()), ("items", items())):
        begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
        text, found = re.subn(
            f"{re.escape(begin)}.*?{re.escape(end)}",
            lambda _, made=made, begin=begin, end=end: f"{begin}\n{made.strip()}\n\n{end}",
            text,
            flags=re.DOTALL,
        )
        assert found == 1, f"{DOCUMENT.name} holds the mark {mark} {found} times"
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(replaced(DOCUMENT.read_text()))
