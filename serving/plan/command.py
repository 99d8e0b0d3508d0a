"""`python -m serving plan` and `python -m serving hardware`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from errors import InputError
from serving.hardware import Recorder, ThisMachine, look
from serving.hardware.places import find_hub
from serving.plan.choose import make_plan
from serving.plan.named import NAMED, named_hardware
from serving.plan.show import show_hardware, show_plan
from serving.plan.source import find_model, on_disk
from serving.plan.table import markdown_table
from serving.plan.ways import Wishes
from settings import load_settings

DOES_NOT_FIT = 3

On = Annotated[
    str | None,
    typer.Option(help=f"A machine by name ({', '.join(NAMED)}) or a recording; default: this one."),
]


def plan(
    on: On = None,
    model: Annotated[
        str | None, typer.Option(help="A Hugging Face id, a folder, or `tiny`.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="Plan for this engine only.")] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Only this format: bf16, fp8, w4a16, nf4, gguf, mxfp4.")
    ] = None,
    context: Annotated[int | None, typer.Option(help="The context wanted, in tokens.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    table: Annotated[bool, typer.Option("--table", help="All accelerators, as Markdown.")] = False,
) -> None:
    """Say how a model would be served: engine, checkpoint, context, flags, and the sum behind.

    The exit code is 0 when the model fits and 3 when it doesn't; what fits instead is shown then.
    """
    out = Console(highlight=False)
    if table:
        out.print(markdown_table(), markup=False, soft_wrap=True, end="")
        return
    hardware = named_hardware(on) if on else look()
    found = find_model(
        model, load_settings().model, lambda: find_hub(ThisMachine()) if on else hardware.hub
    )
    if found.bundled and engine is None:
        engine = "transformers"  # what `make run` starts for it
    made = make_plan(
        hardware,
        found.shape,
        Wishes(engine, checkpoint, context),
        have=on_disk,
        served_as=found.served_as,
    )
    if as_json:
        extra = {"shape_source": found.shape.source, "findings": hardware.findings()}
        print_json(made.to_dict() | extra)
    else:
        if found.note:
            out.print(found.note, style="dim", soft_wrap=True)
        show_plan(made, out)
    if not made.fits:
        raise typer.Exit(DOES_NOT_FIT)


def hardware(
    on: On = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    record: Annotated[
        Path | None,
        typer.Option(help="Write what was asked and answered to this file, for `--on FILE`."),
    ] = None,
) -> None:
    """Say what this machine has, and how that was found out."""
    recorder = Recorder(ThisMachine())
    found = named_hardware(on) if on else look(recorder)
    if record is not None:
        text = json.dumps(recorder.notes, indent=1, ensure_ascii=False, sort_keys=True)
        try:
            record.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"{record} can't be written ({error.strerror}).", fix="Name another file."
            ) from None
    if as_json:
        print_json(
            [dict(zip(("what", "found", "because"), row, strict=True)) for row in found.findings()]
        )
    else:
        show_hardware(found, Console(highlight=False))


def print_json(data: object) -> None:
    """Print data as JSON for programs, never wrapped or coloured."""
    typer.echo(json.dumps(data, indent=1, ensure_ascii=False))
