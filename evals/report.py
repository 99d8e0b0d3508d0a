"""The table of an evaluation: right answers by family, on wordings seen and held out."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from errors import InputError
from evals.results import Result

BEGIN, END = "<!-- accuracy:begin -->", "<!-- accuracy:end -->"

SEEN_AT_LEAST = 0.95
HELD_OUT_AT_LEAST = 0.75
FAMILY_AT_LEAST = 0.60
"""What the bundled model must reach: in all on either side, and in every family.

A family is judged by all its tasks: one side of it, twenty tasks, varies by ten points and more
from one seed to the next.
"""

_SIDES: tuple[tuple[str, bool], ...] = (("seen", False), ("held out", True))


def table(results: Sequence[Result]) -> str:
    """Markdown: a row for each family, a column for each side, and all together last."""
    families = sorted({result.family for result in results})
    rows = ["| family | wordings seen | wordings held out |", "|---|---|---|"]
    for family in families:
        cells = (_cell(_of(results, side, family)) for _, side in _SIDES)
        rows.append(f"| {family} | {' | '.join(cells)} |")
    totals = (_cell(_of(results, side), with_interval=True) for _, side in _SIDES)
    rows.append(f"| **all** | {' | '.join(totals)} |")
    return "\n".join(rows)


def report(about: dict[str, Any], results: Sequence[Result]) -> str:
    """The table with what it takes to make it again, and how the runs ended."""
    files = ", ".join(f"{name} (sha256 {digest}…)" for name, digest in about["tasks"].items())
    seeds = ", ".join(map(str, about.get("seeds", [])))
    made = f", made from seed {seeds}" if seeds else ""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    ends = Counter(result.status for result in results)
    steps = sum(result.steps for result in results) / max(1, len(results))
    seconds = sorted(result.seconds for result in results)
    middle = seconds[len(seconds) // 2] if seconds else 0.0
    weights = f", weights and tokenizer {about['model_hash']}" if about["model_hash"] else ""
    return "\n".join(
        [
            table(results),
            "",
            f"Model: {about['model']}{weights}. Tasks: {files}{made}. At most {about['max_steps']} "
            "steps each, one try each.",
            "",
            f"How the runs ended: {', '.join(f'{n} {end}' for end, n in ends.most_common())}; "
            f"{steps:.1f} steps on average, {middle:.1f} s in the middle.",
            "",
            f"Made by `{about['command']}` with {versions}.",
        ]
    )


def failures(results: Sequence[Result], most: int = 20) -> str:
    """The first wrong answers, for whoever wants to know why."""
    wrong = [result for result in results if not result.right]
    lines = [f"{r.family}: {r.task[:120]!r} → {r.why}" for r in wrong[:most]]
    if len(wrong) > most:
        lines.append(f"… and {len(wrong) - most} more")
    return "\n".join(lines)


def shortfalls(results: Sequence[Result]) -> list[str]:
    """Where the results stay below what the bundled model must reach; empty if nowhere."""
    found = []
    for (name, side), least in zip(_SIDES, (SEEN_AT_LEAST, HELD_OUT_AT_LEAST), strict=True):
        rows = _of(results, side)
        if not rows:
            found.append(f"{name}: nothing measured")
        elif _share(rows) < least:
            found.append(f"{name}: {_share(rows):.1%}, at least {least:.0%} is needed")
    for family in sorted({result.family for result in results}):
        share = _share([result for result in results if result.family == family])
        if share < FAMILY_AT_LEAST:
            found.append(f"{family}: {share:.1%}, at least {FAMILY_AT_LEAST:.0%} is needed")
    return found


def write_card(card: Path, text: str) -> None:
    """Put `text` between the two marks of a model card. Raises InputError without them."""
    fix = f"The card needs a line {BEGIN} and, after it, a line {END}."
    try:
        whole = card.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"The card {card} can't be read: {error.strerror}.", fix=fix) from None
    head, begin, rest = whole.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise InputError(f"The card {card} has no place for the table.", fix=fix)
    fresh = card.with_name(card.name + ".new")
    try:
        fresh.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
        fresh.replace(card)
    except OSError as error:
        raise InputError(
            f"The card {card} can't be written: {error.strerror}.",
            fix="Make room, or mend its permissions.",
        ) from None


def _of(results: Sequence[Result], held_out: bool, family: str | None = None) -> list[Result]:
    return [r for r in results if r.held_out == held_out and (family is None or r.family == family)]


def _share(results: Sequence[Result]) -> float:
    return sum(result.right for result in results) / len(results)


def _cell(results: Sequence[Result], with_interval: bool = False) -> str:
    if not results:
        return "–"
    right = sum(result.right for result in results)
    text = f"{100 * right / len(results):.0f} % ({right}/{len(results)})"
    if with_interval:
        low, high = interval(right, len(results))
        text = f"**{100 * right / len(results):.1f} %** ({right}/{len(results)}; "
        text += f"95 % interval {100 * low:.1f}–{100 * high:.1f})"
    return text


def interval(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share."""
    share, square = right / of, z * z
    centre = (share + square / (2 * of)) / (1 + square / of)
    half = z * math.sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, centre - half), min(1.0, centre + half)
