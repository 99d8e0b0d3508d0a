"""One task on the command line: `python -m agent "What is 17% of 2480?"`.

`--unfinished` lists the runs that broke off, `--resume RUN` goes on with one.

Exit codes: 0 there is an answer, 1 there is none, 2 something was wrong with what was
asked or set, 130 stopped with Ctrl-C.
"""

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from agent.asking import asking, on_terminal, unasked
from agent.attachments import open_plain
from agent.console import clean, show, tell, tell_fault
from agent.events import Event, RunFinished, event_to_dict
from errors import HearthError, InputError
from settings import add_options, load_settings

if TYPE_CHECKING:
    from agent.session import Session

ANSWERED, NO_ANSWER, BAD_INPUT, STOPPED = 0, 1, 2, 130

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@add_options
def main(
    task: Annotated[
        str | None, typer.Argument(help="The task; left out or -, it is read from standard input.")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", "-f", help="A file for the task; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
    allow_package: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Install a package for the agent's code; repeatable."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="A tool, a domain, or what a tool touches, allowed without asking; repeatable.",
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Go on with a run that broke off; `last` for the last."),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="List the runs that can be resumed.")
    ] = False,
    **given: Any,
) -> None:
    """Let the agent do one task and show its steps."""
    with contextlib.suppress(AttributeError):  # closed, or something else in its place
        # A terminal that knows no arrows gets question marks, and the run goes on.
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        given = _allowing(given, allow or [])
        if unfinished:
            code = _list_unfinished(given)
        elif resume is not None:
            if task or file:
                raise InputError(
                    "A run that is resumed has its task and files already.",
                    fix="Leave them out, or leave out --resume.",
                )
            code = _run("", [], as_json, given, allow_package or [], resume)
        else:
            code = _run(_task_text(task), file or [], as_json, given, allow_package or [])
    except HearthError as error:
        tell_fault(error)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        tell("Stopped.", "yellow")
        raise typer.Exit(STOPPED) from None
    raise typer.Exit(code)


def _allowing(given: dict[str, Any], allow: list[str]) -> dict[str, Any]:
    """The options, with what `--allow` names over the rules that are set."""
    if not allow:
        return given
    rules = [load_settings(**given).tool_policy, *(f"{what}=allow" for what in allow)]
    return {**given, "tool_policy": ",".join(filter(None, rules))}


def _list_unfinished(given: dict[str, Any]) -> int:
    from agent.build import Hearth

    runs = Hearth(load_settings(**given)).unfinished().values()
    for started in runs:
        task = " ".join(started.task.split())
        sys.stdout.write(clean(f"{started.run}  {started.time}  {task}") + "\n")
    if not runs:
        tell("No run can be resumed: every one came to its end, or is still at work.")
    return ANSWERED if runs else NO_ANSWER


def _run(
    task: str,
    files: list[Path],
    as_json: bool,
    given: dict[str, Any],
    packages: list[str],
    resume: str = "",
) -> int:
    settings = load_settings(**given)
    for path in files:
        open_plain(path).close()  # what can't be read is said before an engine is started for it
    # Not at the top: these imports take a while, in which Ctrl-C should end as tidily.
    from agent.build import Hearth
    from agent.resume import resumable
    from sandbox.wording import warning
    from serving.terminal import StartDisplay

    display = StartDisplay(style="dim")
    hearth = Hearth(settings, on_progress=display.say, on_measure=display.measure)
    if resume:
        hearth.session_of(resume)  # what isn't there is said before an engine is started for it
    asks = not as_json and on_terminal()
    with contextlib.ExitStack() as stack:
        with display:
            stack.enter_context(hearth)
        if hearth.notice:
            tell(hearth.notice, "yellow")
        session = hearth.reopen(resume, asks=asks) if resume else hearth.new_session(asks=asks)
        begin = session.resume if resume else partial(session.run, task, files)
        if not as_json and (said := warning(hearth.verdict.tier)):
            tell(said, "red" if hearth.verdict.tier == "unconfined" else "yellow")
        try:
            for name in packages:
                _install(session, name)
            finished = _follow(session, begin, as_json)
            if _allows_more(session, ask=not as_json and not resume):
                finished = _follow(session, partial(session.run, task, files), as_json)
        except BrokenPipeError:  # whoever read the output has gone: typer ends quietly
            raise
        except OSError as error:
            sys.stdout = None  # type: ignore[assignment]  # or Python would try again at its end
            raise InputError(
                f"The output can't be written: {error.strerror or error}.",
                fix="Make room on that disk, or send the output elsewhere.",
            ) from None
        finally:
            session.close()
    if refused := unasked(session.events):
        options = " ".join(f"--allow {tool}" for tool in refused)
        tell(f"Some calls needed your yes and were refused. To allow them: {options}", "dim")
    if finished.artefacts and not as_json:
        tell(f"The files lie in {session.workspace}", "dim")
    if started := resumable(session.events):
        tell(f"To go on with this run: python -m agent --resume {started.run}", "dim")
    if finished.status == "stopped":
        return STOPPED
    return ANSWERED if finished.status == "answered" else NO_ANSWER


def _install(session: "Session", name: str) -> None:
    assert session.packages is not None  # new_session gives every session one
    session.packages.install(name, lambda text: tell(text, "dim"))


def _allows_more(session: "Session", *, ask: bool) -> bool:
    """Whether the user allowed what the run would have needed, and it is there now."""
    from agent.packages import pending

    wanted = pending(session.events)
    if not wanted:
        return False
    if not (ask and on_terminal()):
        options = " ".join(f"--allow-package {name}" for name in wanted)
        tell(f"The code asked for packages that aren't installed. To allow them: {options}", "dim")
        return False
    question = f"Install {', '.join(wanted)} for this conversation, and run the task again?"
    if not typer.confirm(question, err=True):
        return False
    for name in wanted:
        _install(session, name)
    return True


def _follow(session: "Session", begin: Callable[[], Iterator[Event]], as_json: bool) -> RunFinished:
    """Show the run; Ctrl-C stops it cleanly, a second one at once."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if not session.running:
            raise KeyboardInterrupt
        session.cancel()

    before = signal.signal(signal.SIGINT, stop)
    try:
        if not as_json:
            return show(asking(session, begin()), Console(highlight=False))
        finished = RunFinished(status="failed")
        for event in begin():
            sys.stdout.write(json.dumps(event_to_dict(event)) + "\n")
            sys.stdout.flush()
            if isinstance(event, RunFinished):
                finished = event
        return finished
    finally:
        signal.signal(signal.SIGINT, before)


def _task_text(task: str | None) -> str:
    if task is None and (sys.stdin is None or sys.stdin.isatty()):
        task = ""
    elif task in (None, "-"):
        task = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    if not (task or "").strip():
        raise InputError(
            "There is no task.", fix='Say it: python -m agent "…", or make ask TASK="…".'
        )
    return str(task)


if __name__ == "__main__":
    app()
