"""`python -m sandbox status`: what keeps the agent's code in on this machine, and what doesn't."""

import tempfile
import time
from pathlib import Path

import typer
from rich.console import Console

from errors import HearthError
from sandbox.confine import LEVELS

commands = typer.Typer(add_completion=False, no_args_is_help=True)


@commands.callback()
def _sandbox() -> None:
    """The sandbox in which the agent's code runs."""


@commands.command()
def status() -> None:
    """Start a sandbox, say its level, what that covers and what it leaves open."""
    from sandbox.executor import SandboxExecutor  # the import of smolagents takes a moment

    console = Console(highlight=False, soft_wrap=True)
    level = LEVELS["process"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            executor = SandboxExecutor(Path(folder), confine=level.name)
            began = time.monotonic()
            answer = executor("40 + 2").output
            seconds = time.monotonic() - began
            executor.cleanup()
    except HearthError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    if answer != 42:
        console.print("The sandbox started but gave a wrong answer.", style="red")
        raise typer.Exit(1)
    console.print(f"level: [bold]{level.name}[/] (works; started in {seconds * 1000:.0f} ms)")
    console.print("\ncovered:")
    for line in level.covers:
        console.print(f"  - {line}", markup=False)
    console.print("\nNOT covered:", style="bold")
    for line in level.leaves_open:
        console.print(f"  - {line}", markup=False)
    console.print("\nIt guards against mistakes, not against an attacker.")


if __name__ == "__main__":
    commands()
