"""`python -m serving.tiny`: make the bundled model's data, train it, export it, list tasks."""

import dataclasses
import json
import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from serving.tiny import generate as stream
from serving.tiny.data import Sequences
from serving.tiny.export import export as write_folder
from serving.tiny.model import Shape
from serving.tiny.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from serving.tiny.train import Plan, Run, speed
from serving.tiny.train import train as run_training

log = logging.getLogger("serving.tiny")
app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

ROOT = Path(__file__).parents[2]
DEFAULT_TOKENS = 36_000_000
TESTED_PER_FAMILY = 3

Work = Annotated[Path, typer.Option(help="Folder for data and checkpoints.")]
Seed = Annotated[int, typer.Option(help="Everything follows from this number.")]
Tokens = Annotated[
    int, typer.Option(help=f"Length of the training; 0: as begun, or {DEFAULT_TOKENS:,}.")
]
Minutes = Annotated[float, typer.Option(help="The length in minutes instead, at today's speed.")]
Workers = Annotated[int, typer.Option(help="Processes that make data.")]
Out = Annotated[Path, typer.Option(help="The model folder to write.")]

WORK, MODEL = ROOT / "data" / "tiny", ROOT / "models" / "tiny"
CORES = os.cpu_count() or 1


def _start(work: Path) -> None:
    """Log to standard output and to a file in the work folder."""
    work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Waiting threads sleep: where other programs share the cores, spinning ones cost two thirds
    # of the speed. Read when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    handlers.append(logging.FileHandler(work / "train.log"))
    form = "%(asctime)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, datefmt="%H:%M:%S", handlers=handlers)
    logging.getLogger("transformers").setLevel(logging.ERROR)


def _tokenizer(work: Path, seed: int) -> Path:
    folder = work / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        tokenizer = train_tokenizer(stream.tokenizer_texts(seed))
        save_tokenizer(tokenizer, folder)
        log.info("tokenizer: %d tokens", tokenizer.get_vocab_size())
    return folder


def _shards(
    work: Path, seed: int, tokens: int, workers: int, needed: int = 0
) -> tuple[list[Path], str]:
    """`needed` shards, or enough that no example is seen twice, and their fingerprint."""
    tokenizer = _tokenizer(work, seed)
    print_ = stream.fingerprint(tokenizer)
    folder = work / f"shards-{seed}-{print_}"
    if not needed:
        few = stream.generate(folder, tokenizer, seed, 4, workers)
        each = len(Sequences(few).ids) / len(few)
        needed = max(len(few), int(tokens / each) + 1)
    return stream.generate(folder, tokenizer, seed, needed, workers), f"{seed}-{print_}"


def _plan(work: Path, seed: int, tokens: int, minutes: float, rate: float) -> Plan:
    """The plan of the run in `work`, or a new one; a length that is given is taken over."""
    file = work / "run" / "plan.json"
    if minutes:
        tokens = int(60 * minutes * speed(Plan(tokens=1, seed=seed)))
    if file.exists():
        saved = json.loads(file.read_text(encoding="utf-8"))
        plan = Plan(**(saved | {"shape": Shape(**saved["shape"])}))
        plan = dataclasses.replace(plan, tokens=tokens or plan.tokens)
    else:
        plan = Plan(tokens=tokens or DEFAULT_TOKENS, rate=rate, seed=seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(dataclasses.asdict(plan), indent=2) + "\n", encoding="utf-8")
    return plan


def _train(work: Path, plan: Plan, workers: int) -> bool:
    paths, fingerprint = _shards(work, plan.seed, plan.tokens, workers, plan.shards)
    run = Run(plan, Sequences(paths), fingerprint, work / "run")
    sides = {"seen": False, "heldout": True}
    tests = {
        side: stream.evaluation_examples(held_out, TESTED_PER_FAMILY, seed=-1 - plan.seed)
        for side, held_out in sides.items()
    }
    return run_training(run, load_tokenizer(work / "tokenizer"), tests)


def _export(work: Path, out: Path) -> None:
    plan = _plan(work, 0, 0, 0, 0)
    size = write_folder(work / "run" / "checkpoint.pt", work / "tokenizer", plan, out)
    log.info("%s: weights of %d bytes", out, size)


@app.command()
def generate(
    seed: Seed = 0, tokens: Tokens = 0, work: Work = WORK, workers: Workers = CORES
) -> None:
    """Make the tokenizer and the training data."""
    _start(work)
    paths, _ = _shards(work, seed, tokens or DEFAULT_TOKENS, workers)
    log.info("%d shards in %s", len(paths), paths[0].parent)


@app.command()
def train(
    seed: Seed = 0,
    tokens: Tokens = 0,
    minutes: Minutes = 0,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = Plan.rate,
    work: Work = WORK,
    workers: Workers = CORES,
) -> None:
    """Train, or go on where a run was stopped; exit code 3 when stopped before the end."""
    _start(work)
    if not _train(work, _plan(work, seed, tokens, minutes, rate), workers):
        raise typer.Exit(3)


@app.command()
def export(work: Work = WORK, out: Out = MODEL) -> None:
    """Write the last checkpoint as a model folder."""
    _start(work)
    _export(work, out)


@app.command()
def build(
    seed: Seed = 0,
    tokens: Tokens = 0,
    minutes: Minutes = 0,
    work: Work = WORK,
    out: Out = MODEL,
    workers: Workers = CORES,
) -> None:
    """Everything from a seed: data, training, model folder. Run it again to go on."""
    _start(work)
    if not _train(work, _plan(work, seed, tokens, minutes, Plan.rate), workers):
        raise typer.Exit(3)
    _export(work, out)


class Side(StrEnum):
    """Which wordings."""

    seen = "seen"
    heldout = "heldout"


@app.command()
def tasks(
    out: Annotated[Path, typer.Option(help="The JSON-lines file to write.")],
    side: Side = Side.seen,
    per_family: Annotated[int, typer.Option(help="Tasks of each family.")] = 20,
    seed: Seed = 0,
) -> None:
    """Write tasks for an evaluation: instances that are never trained on."""
    held_out = side is Side.heldout
    found = stream.evaluation_examples(held_out, per_family, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = (example.to_dict() | {"held_out": held_out, "seed": seed} for example in found)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    out.write_text(lines, encoding="utf-8")
    typer.echo(f"{len(found)} tasks in {out}")


if __name__ == "__main__":
    app()
