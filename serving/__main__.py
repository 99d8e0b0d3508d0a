"""`python -m serving`: start an engine, list engines and families, see and stop what runs."""

import contextlib
import dataclasses
import functools
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from errors import EngineError, HearthError, SettingsError
from serving import install as installing
from serving.engines import ENGINES, Endpoint, answers_health
from serving.families import FAMILIES
from serving.plan import command as planning
from serving.progress import duration
from serving.route_command import route
from serving.starting import starts_under_way
from serving.state import USE_SUFFIX, Record, all_records, end, write_record
from serving.supervisor import Supervisor
from serving.terminal import StartDisplay
from serving.vllm_server import has_idle_gpu
from settings import Settings, load_settings

app = typer.Typer(
    help="Where inference comes from: engines on this machine or elsewhere.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(planning.plan)
app.command()(planning.hardware)
app.command()(route)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Model = Annotated[str | None, typer.Option(help=str(Settings.model_fields["model"].description))]
Name = Annotated[str | None, typer.Option(help=str(Settings.model_fields["engine"].description))]
Port = Annotated[
    int | None, typer.Option(help=str(Settings.model_fields["engine_port"].description))
]


def _nothing(line: str) -> None:
    pass


@app.command()
def install(
    engine: Annotated[str, typer.Argument(help="The engine: vllm, vllm-tpu or llamacpp.")],
    cpu: Annotated[
        bool, typer.Option("--cpu", help="The build for x86-64 CPUs, for small models and tests.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Even if it is installed.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only what went wrong.")] = False,
) -> None:
    """Install an engine into an environment of its own: for vLLM minutes, and gigabytes."""
    asked = f"{engine} --cpu" if cpu else engine
    environment = next((e for e in installing.ALL if e.asked == asked), None)
    if environment is None:
        if engine in ENGINES and not cpu:
            out.print(f"{engine} needs no installation of its own.")
            return
        names = ", ".join(e.asked for e in installing.ALL)
        raise SettingsError(
            f"There is no engine {asked!r} to install.", fix=f"Name one of: {names}."
        )
    say = functools.partial(err.print, style="dim", markup=False, soft_wrap=True)
    installing.install(environment, _nothing if quiet else say, again=again)


@app.command()
def start(model: Model = None, engine: Name = None, port: Port = None) -> None:
    """Start the engine, print its address and key, and keep it until Ctrl-C."""
    settings = load_settings(model=model, engine=engine, engine_port=port)
    if settings.engine == "auto" and has_idle_gpu(settings):
        err.print("vLLM would be faster on this GPU: python -m serving install vllm", style="dim")
    display = StartDisplay(style="dim")
    supervisor = Supervisor(settings, on_progress=display.say, on_measure=display.measure)
    try:
        with display:
            endpoint = supervisor.start()
        out.print(f"address  {endpoint.base_url}", soft_wrap=True)
        out.print(f"model    {endpoint.model_id}", markup=False, soft_wrap=True)
        if endpoint.pid is None:
            return
        out.print(f"key      {endpoint.api_key}", markup=False, soft_wrap=True)
        err.print("Ctrl-C stops it.", style="dim")
        waiter = threading.Event()
        while not waiter.wait(1.0):
            supervisor.check()
    except KeyboardInterrupt:
        err.print("stopping", style="dim")
    finally:
        supervisor.stop()


@app.command()
def status() -> None:
    """List the engines that run on this machine for this data folder."""
    folder = load_settings().data_dir / "engines"
    records, starts = all_records(folder), starts_under_way(folder)
    for start in starts:
        line = f"starting {start.title}: {start.progress} (process {start.process.pid})"
        out.print(line, markup=False, soft_wrap=True)
    address = Column("address", no_wrap=True)  # whole, to be copied
    table = Table("engine", "model", address, "process", "owner", "state", box=None)
    for path, record in records:
        endpoint = Endpoint(
            record.base_url, record.api_key, record.model_id, record.engine, record.process.pid
        )
        state = _state_of(path, record, endpoint)
        if not state:
            path.unlink(missing_ok=True)
            continue
        owner = str(record.owner.pid) if record.owner.alive else "gone"
        cells = (record.engine, record.model_id, record.base_url, str(record.process.pid))
        table.add_row(*(escape(cell) for cell in (*cells, owner, state)))
    if table.row_count:
        out.print(table)
    elif not starts:
        out.print("No engine is running.")


def _state_of(path: Path, record: Record, endpoint: Endpoint) -> str:
    """What `status` says of an engine; nothing of one that is gone with its app."""
    if record.stopped:
        return "stopped" if record.owner.alive else ""
    if not record.process.alive:
        return "gone" if record.owner.alive else ""
    state = "answers" if answers_health(endpoint) else "not ready"
    if record.is_kept and not record.owner.alive:
        with contextlib.suppress(OSError):
            idle = time.time() - path.with_suffix(USE_SUFFIX).stat().st_mtime
            left = max(0.0, record.keep_minutes * 60 - idle)
            return f"{state}, kept for {duration(left)} more if nobody uses it"
    return state


@app.command()
def stop() -> None:
    """Stop every engine of this data folder, and keep its app from starting it again."""
    stopped = 0
    for path, record in all_records(load_settings().data_dir / "engines"):
        if not record.process.alive and (record.stopped or not record.owner.alive):
            if not record.owner.alive:
                path.unlink(missing_ok=True)
            continue
        write_record(path, dataclasses.replace(record, stopped=True))
        if not end(record):
            raise EngineError(
                f"Process {record.process.pid} ({record.engine}) does not end.",
                fix=f"End it yourself: kill -9 {record.process.pid}",
            )
        if not record.owner.alive:
            path.unlink(missing_ok=True)
        stopped += 1
        out.print(f"stopped {record.engine} with {record.model_id}", markup=False)
    if not stopped:
        out.print("No engine is running.")


@app.command()
def engines() -> None:
    """List the engines there are."""
    table = Table("engine", "what it is", box=None)
    for row in ENGINES.values():
        table.add_row(row.name, escape(row.about))
    out.print(table)


@app.command()
def families() -> None:
    """List the families of models, and how each is talked to."""
    names = ("models", "thinks at most", "temperature", "top-p", "prompt")
    table = Table(Column("family", no_wrap=True), *names, box=None)
    for row in FAMILIES.values():
        budget = f"{row.thinking_tokens} tokens" if row.thinking_tokens else "no limit"
        thinks = "-" if row.thinking == "none" else budget
        sampling = ("-" if x is None else f"{x:g}" for x in (row.temperature, row.top_p))
        table.add_row(row.name, escape(row.about), thinks, *sampling, row.prompt)
    out.print(table)


def main() -> None:
    """Run the command line; an error is one message on stderr and exit code 1."""
    try:
        app()
    except HearthError as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
        log = getattr(error, "log", "")
        if log:
            err.print("\nThe end of its log:", style="dim")
            err.print(log, style="dim", markup=False, soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
