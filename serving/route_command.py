"""`python -m serving route`: the models that may answer, in their order, and how each stands."""

import json
import time
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from errors import HearthError
from serving.ledger import Ledger, LimitReached
from serving.place import Place
from serving.route import places_of
from settings import load_settings


@dataclass(frozen=True)
class Standing:
    """How one place stands: `state` in a word or two, `why` and `spent` in a sentence each."""

    place: str
    model: str
    where: str
    state: str
    why: str
    spent: str


def route(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the models that may answer, the best first, and how each stands.

    Nothing is started and no reply is asked for: endpoints are asked for their lists of models.
    """
    settings = load_settings()
    ledger = Ledger(settings.data_dir / "route.db")
    rows = [standing(place, ledger) for place in places_of(settings)]
    out = Console(highlight=False)
    if as_json:
        out.print_json(json.dumps([asdict(row) for row in rows]))
        return
    for number, row in enumerate(rows, 1):
        style = {"out": "red", "limit reached": "yellow", "none": "dim"}.get(row.state, "green")
        out.print(Text.assemble((f"{number} {row.place}", "bold"), f"  {row.model}, {row.where}"))
        said = " ".join(part for part in (row.why, row.spent) if part)
        out.print(Padding(Text.assemble((f"{row.state}: ", style), said), (0, 0, 0, 2)))


def standing(place: Place, ledger: Ledger) -> Standing:
    """How a place stands that this process has not opened."""
    spent = ""
    try:
        spent = _spent(place, ledger)
        ledger.check(place.name, place.limits)
        left_out = ledger.left_out(place.name)
        if left_out is not None:
            until, reason = left_out
            clock = "" if until is None else time.strftime(" until %H:%M:%S", time.localtime(until))
            state, why = f"left out{clock}", f"By a Hearth that runs: {reason}"
        else:
            state, why = place.look()
    except LimitReached as error:
        state, why = "limit reached", f"{error.message} {error.fix}"
    except HearthError as error:
        state, why = "out", f"{error.message} {error.fix}"
    return Standing(place.name, place.model_id, place.where, state, why, spent)


def _spent(place: Place, ledger: Ledger) -> str:
    """What was spent today on an endpoint, of its limits."""
    if not place.paid:
        return ""
    spent, limits = ledger.spent(place.name), place.limits
    day = (
        (f"{spent.requests:,}", limits.requests_per_day, "requests"),
        (f"{spent.tokens:,}", limits.tokens_per_day, "tokens"),
        (f"{spent.money:.4g}", limits.money_per_day, "money"),
    )
    parts = [
        f"{used} of {most:,} {what}" if most is not None else f"{used} {what}"
        for used, most, what in day
        if most is not None or used != "0"
    ]
    return f"Today: {', '.join(parts)}." if parts else ""
