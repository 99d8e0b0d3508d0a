"""What the first page says of the sandbox: its tier in a line, and what that leaves open."""

import html

from sandbox.confine import TIERS
from sandbox.selftest import Verdict
from sandbox.wording import warning

CSS = """
.hearth-sandbox {font-size: .9em; padding: .5em .8em; border-left: 4px solid #16a34a}
.hearth-sandbox summary {cursor: pointer}
.hearth-sandbox ul {margin: .2em 0 .6em 1.2em; list-style: disc}
.hearth-sandbox.weak {border-left-color: #d97706; font-size: 1em}
.hearth-sandbox.weak p[role=alert] {color: #b45309; font-weight: 600}
.hearth-sandbox.none {border: 3px solid #dc2626; font-size: 1.1em}
.hearth-sandbox.none strong, .hearth-sandbox.none p {color: #dc2626; font-weight: 700}
"""


def sandbox_note(verdict: Verdict) -> str:
    """HTML: a line on the tier with the rest in a fold; before it a warning where it is weak."""
    said = warning(verdict.tier)
    kind = "weak" if said else "strong"
    kind = kind if TIERS[verdict.tier].isolates else "none"
    parts = [f"<div class='hearth-sandbox {kind}' id='sandbox'>"]
    if said:
        parts.append(f"<p role='alert'>{html.escape(said)}</p>")
    parts.append(
        f"<details><summary><strong>Sandbox: {html.escape(verdict.tier)}</strong> "
        f"({html.escape(verdict.summary)}); what it keeps in, and what it leaves open</summary>"
    )
    parts += _listed("It keeps in", verdict.covers)
    parts += _listed("It leaves open", verdict.leaves_open)
    parts.append(f"<p>Self-test: {html.escape(verdict.tested)}.</p></details></div>")
    return "".join(parts)


def _listed(title: str, lines: tuple[str, ...]) -> list[str]:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return [f"{title}:<ul>{items}</ul>"]
