"""`python -m sandbox status`: what keeps the agent's code in on this machine, and what doesn't."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from errors import HearthError
from sandbox.confine import TIERS
from sandbox.selftest import NoTier, Tried, Verdict, choose
from settings import load_settings

commands = typer.Typer(add_completion=False, no_args_is_help=True)


@commands.callback()
def _sandbox() -> None:
    """The sandbox in which the agent's code runs."""


@commands.command()
def status(
    tier: Annotated[
        str, typer.Option(help=f"Not the one of the settings: auto, {', '.join(TIERS)}.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Test the sandbox, say how it confines the agent's code and what that leaves open.

    Exit code 1 if the tier, or with no tier named every one that confines, fails its test.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        verdict = choose(tier or load_settings().sandbox)
    except HearthError as error:
        tried = error.tried if isinstance(error, NoTier) else ()
        if as_json:
            _print({"tier": None, "error": error.message, "tried": _listed(tried)})
        else:
            console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    if as_json:
        _print(_described(verdict))
    else:
        _show(console, verdict)


def _show(console: Console, verdict: Verdict) -> None:
    console.print(f"tier: [bold]{verdict.tier}[/] ({verdict.summary})")
    console.print(f"self-test: {verdict.tested}")
    for name, passed, reason in verdict.tried:
        if not passed:
            console.print(f"not {name}: {reason}", markup=False)
    console.print("\ncovered:")
    for line in verdict.covers:
        console.print(f"  - {line}", markup=False)
    console.print("\nNOT covered:", style="bold")
    for line in verdict.leaves_open:
        console.print(f"  - {line}", markup=False)
    if not TIERS[verdict.tier].isolates:
        console.print("\nIt guards against mistakes, not against an attacker.")


def _described(verdict: Verdict) -> dict[str, Any]:
    return {
        "tier": verdict.tier,
        "summary": verdict.summary,
        "tested": verdict.tested,
        "seconds": round(verdict.seconds, 3),
        "own_user": verdict.own_user,
        "isolates": TIERS[verdict.tier].isolates,
        "covers": verdict.covers,
        "leaves_open": verdict.leaves_open,
        "tried": _listed(verdict.tried),
    }


def _listed(tried: Tried) -> list[dict[str, Any]]:
    return [{"tier": name, "passed": passed, "reason": why} for name, passed, why in tried]


def _print(data: dict[str, Any]) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))  # noqa: T201 - for programs


if __name__ == "__main__":
    commands()
