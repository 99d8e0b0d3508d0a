"""One task on the command line: `python -m agent "What is 17% of 2480?"`.

Exit codes: 0 there is an answer, 1 there is none, 2 something was wrong with what was
asked or set, 130 stopped with Ctrl-C.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agent.build import Hearth
from agent.console import show
from agent.events import RunFinished, event_to_dict
from agent.session import Session
from errors import HearthError, InputError
from settings import load_settings

ANSWERED, NO_ANSWER, BAD_INPUT, STOPPED = 0, 1, 2, 130

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    task: Annotated[
        str | None, typer.Argument(help="The task; left out or -, it is read from standard input.")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", "-f", help="A file for the task; repeatable.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="tiny (bundled), a folder, or a Hugging Face model id.")
    ] = None,
    endpoint_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible server to use instead of a local one.")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Most steps in the run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
) -> None:
    """Let the agent do one task and show its steps."""
    try:
        code = _run(_task_text(task), file or [], as_json, model, endpoint_url, max_steps)
    except HearthError as error:
        _tell(str(error), "red")
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        _tell("Stopped.", "yellow")
        raise typer.Exit(STOPPED) from None
    raise typer.Exit(code)


def _run(
    task: str,
    files: list[Path],
    as_json: bool,
    model: str | None,
    endpoint_url: str | None,
    max_steps: int | None,
) -> int:
    settings = load_settings(model=model, endpoint_url=endpoint_url, max_steps=max_steps)
    for path in files:
        _check_readable(path)
    with Hearth(settings, on_progress=lambda line: _tell(line, "dim")) as hearth:
        session = hearth.new_session()
        try:
            finished = _follow(session, task, files, as_json)
        finally:
            session.close()
    if finished.artefacts and not as_json:
        _tell(f"The files lie in {session.workspace}", "dim")
    if finished.status == "stopped":
        return STOPPED
    return ANSWERED if finished.status == "answered" else NO_ANSWER


def _follow(session: Session, task: str, files: list[Path], as_json: bool) -> RunFinished:
    """Show the run; Ctrl-C stops it cleanly, a second one at once."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        session.cancel()

    before = signal.signal(signal.SIGINT, stop)
    try:
        if not as_json:
            return show(session.run(task, files), Console(highlight=False))
        finished = RunFinished(status="failed")
        for event in session.run(task, files):
            sys.stdout.write(json.dumps(event_to_dict(event), ensure_ascii=False) + "\n")
            sys.stdout.flush()
            if isinstance(event, RunFinished):
                finished = event
        return finished
    finally:
        signal.signal(signal.SIGINT, before)


def _task_text(task: str | None) -> str:
    if task is None and sys.stdin.isatty():
        task = ""
    elif task in (None, "-"):
        task = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    if not (task or "").strip():
        raise InputError(
            "There is no task.", fix='Say it: python -m agent "…", or make ask TASK="…".'
        )
    return str(task)


def _check_readable(path: Path) -> None:
    """Said before an engine is started for it."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(
            f"The file {path} can't be read: {error.strerror}.",
            fix="Check the path and that you may read it.",
        ) from None


def _tell(text: str, style: str) -> None:
    """A line to standard error, so that standard output holds the run alone."""
    Console(stderr=True, highlight=False).print(Text(text, style=style), soft_wrap=True)


if __name__ == "__main__":
    app()
