"""`python -m evals run TASKS.jsonl --out results.jsonl`, `python -m evals report results.jsonl`.

Exit codes: 0 done (and, with --check, good enough), 1 not good enough, 2 something was wrong
with what was asked or set, 130 stopped with Ctrl-C; a stopped run goes on when started again.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agent.build import Hearth
from errors import HearthError
from evals import report as reports
from evals.results import Result, ResultFile, read_results
from evals.runner import about, open_session, run_tasks
from evals.tasks import Task, load_tasks
from settings import ROOT, load_settings

CARD = ROOT / "models" / "tiny" / "README.md"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.command()
def run(
    tasks: Annotated[list[Path], typer.Argument(help="Files of tasks, JSON lines.")],
    out: Annotated[Path, typer.Option(help="Results are appended to this file.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tasks.")] = None,
    family: Annotated[list[str] | None, typer.Option(help="Only this family; repeatable.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Tasks at the same time.")] = 1,
    model: Annotated[str | None, typer.Option(help="As for the agent: tiny, folder or id.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Most steps of a task.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Begin anew where --out is of another model or tasks.")
    ] = False,
) -> None:
    """Run tasks through the whole agent. Given again, it goes on where it stopped."""
    try:
        chosen = _chosen(load_tasks(tasks), family or [])[:limit]
        # Beside the results, so that the user's own data is neither seen nor touched. And what is
        # measured has a name: no other model may answer in its place.
        settings = load_settings(
            model=model,
            max_steps=max_steps,
            data_dir=out.resolve().parent / "work",
            route="main",
        )
        with Hearth(settings, on_progress=_tell) as hearth:
            told = about(hearth, tasks, chosen, _command())
            results = ResultFile(out, told, replace=replace)
            _follow(chosen, hearth, results, jobs)
    except HearthError as error:
        _tell(str(error), "red")
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        _tell("Stopped; the same command goes on from here.", "yellow")
        raise typer.Exit(130) from None


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="The file that `run` wrote.")],
    write_card: Annotated[
        bool, typer.Option("--write-card", help="Put the table into the bundled model's card.")
    ] = False,
    wrong: Annotated[int, typer.Option(help="Also list so many wrong answers.")] = 0,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 below what the bundled model must reach.")
    ] = False,
    command: Annotated[
        str | None, typer.Option(help="The command to name as the one that made the table.")
    ] = None,
) -> None:
    """Show the results as a Markdown table."""
    try:
        measured, rows = read_results(results)
        if command:
            measured["command"] = command
        text = reports.report(measured, rows)
        if write_card:
            reports.write_card(CARD, text)
    except HearthError as error:
        _tell(str(error), "red")
        raise typer.Exit(2) from None
    typer.echo(text)
    if wrong:
        typer.echo("\n" + reports.failures(rows, wrong))
    short = reports.shortfalls(rows) if check else []
    for line in short:
        _tell(line, "red")
    raise typer.Exit(1 if short else 0)


def _chosen(tasks: list[Task], families: list[str]) -> list[Task]:
    unknown = set(families) - {task.family for task in tasks}
    if unknown:
        there = ", ".join(sorted({task.family for task in tasks}))
        raise HearthError(
            f"No task is of the family {', '.join(sorted(unknown))}.", fix=f"There are: {there}."
        )
    return [task for task in tasks if not families or task.family in families]


def _follow(tasks: list[Task], hearth: Hearth, results: ResultFile, jobs: int) -> None:
    before = results.done_ids & {task.id for task in tasks}
    right = sum(result.right for result in results.done if result.id in before)
    done = len(before)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("tasks", total=len(tasks), completed=done)
        for result in run_tasks(tasks, open_session(hearth), results, jobs):
            done, right = done + 1, right + result.right
            progress.update(bar, advance=1, description=f"{right}/{done} right")
            if not result.right:
                progress.console.print(_line(result), style="yellow", markup=False, highlight=False)


def _line(result: Result) -> str:
    return f"{result.family}: {' '.join(result.task.split())[:90]} → {result.why[:160]}"


def _command() -> str:
    return shlex.join(["python", "-m", "evals", *sys.argv[1:]])


def _tell(text: str, style: str = "dim") -> None:
    Console(stderr=True).print(text, style=style, markup=False, highlight=False)


if __name__ == "__main__":
    app()
