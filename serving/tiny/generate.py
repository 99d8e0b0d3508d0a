"""The training stream: examples from a seed, rendered to tokens, kept on disk in shards.

Shard k of a seed is always the same, whoever makes it, so shards are made in parallel and a
stopped run goes on where it was. The folder's name holds a fingerprint of everything that the
shards depend on; change a family and a new folder is begun.
"""

import hashlib
import logging
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from serving.tiny.example import Example
from serving.tiny.families import all_families
from serving.tiny.phrasings import Phrasings
from serving.tiny.render import BadExample, encode, texts, turns
from serving.tiny.tokenizer import MAX_TOKENS, load_tokenizer

log = logging.getLogger(__name__)

SHARD_EXAMPLES = 2000
TOKENIZER_EXAMPLES = 12_000
LONGEST = 1024
"""Sequences longer than this (tokens) are left out; the model could hold MAX_TOKENS."""

WEIGHTS: dict[str, float] = {
    "web_search": 7.0,
    "csv_filter": 2.8,
    "refusal": 2.6,
    "csv_group": 2.4,
    "excel_question": 2.4,
    "arithmetic": 2.0,
    "unit_conversion": 2.0,
    "percentages": 1.8,
    "text_sort": 1.8,
    "factorial_combinations": 1.8,
    "powers_roots": 1.8,
    "text_file": 1.8,
    "notes_search": 1.5,
    "remember": 1.5,
    "csv_aggregate": 1.4,
    "csv_top_n": 1.4,
    "date_arithmetic": 1.3,
    "equations": 1.2,
    "plot": 1.2,
    "primes": 1.2,
    "recall": 1.2,
    "text_count": 1.2,
    "text_reverse": 1.2,
    "weekdays": 1.2,
    "big_integers": 0.7,
    "gcd_lcm": 0.7,
    "recover_exception": 0.7,
    "recover_missing_file": 0.7,
    "csv_columns": 0.5,
    "anagram": 0.4,
    "palindrome": 0.4,
}
"""Share of a family in the stream relative to the others (1): more for the harder ones."""


def examples(
    seed: str,
    held_out: bool = False,
    evaluation: bool = False,
    weights: Mapping[str, float] | None = None,
    families: Iterable[str] | None = None,
) -> Iterator[Example]:
    """An endless stream of examples, the same for the same arguments.

    `held_out` chooses the wordings, `evaluation` the instances: those that are never trained on.
    """
    table = all_families()
    names = list(table) if families is None else list(families)
    share = [(weights or WEIGHTS).get(name, 1.0) for name in names]
    rng = random.Random(seed)
    phrasings = Phrasings(held_out)
    while True:
        name = rng.choices(names, share)[0]
        example = table[name](rng, phrasings)
        if example.for_evaluation == evaluation:
            yield example


def evaluation_examples(held_out: bool, per_family: int, seed: int) -> list[Example]:
    """`per_family` different never-trained instances of every family, in the families' order."""
    found = []
    for name in all_families():
        stream = examples(f"evaluation {seed} {name} {held_out}", held_out, True, families=[name])
        tasks: dict[str, Example] = {}
        for tries, example in enumerate(stream):
            tasks.setdefault(example.task + "".join(sorted(example.files)), example)
            if len(tasks) == per_family or tries > 50 * per_family:
                break
        found += list(tasks.values())
    return found


def tokenizer_texts(seed: int, count: int = TOKENIZER_EXAMPLES) -> Iterator[str]:
    """The texts that the tokenizer's merges are learned from."""
    with tempfile.TemporaryDirectory() as folder:
        stream = examples(f"tokenizer {seed}")
        for _ in range(count):
            yield from texts(next(stream), Path(folder) / "work")


def fingerprint(tokenizer_folder: Path) -> str:
    """Changes with the tokenizer, the families and the code that renders them."""
    here = Path(__file__).parent
    names = ("example", "phrasings", "template", "render", "world")
    files = [here / f"{name}.py" for name in names]
    files += [*sorted((here / "families").glob("*.py")), tokenizer_folder / "tokenizer.json"]
    digest = hashlib.sha256(repr((WEIGHTS, SHARD_EXAMPLES, LONGEST)).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def make_shard(
    seed: int, number: int, tokenizer: Tokenizer, count: int, families: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """The sequences of `count` examples: flat ids, and for each its length, prompt and family."""
    names = list(all_families())
    stream = examples(f"train {seed} {number}", families=families)
    ids: list[int] = []
    rows: list[tuple[int, int, int]] = []
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        for _ in range(count):
            example = next(stream)
            try:
                learned = turns(example, Path(folder) / "work")
            except BadExample as error:
                log.warning("left out: %s", error)
                continue
            for turn in learned:
                sequence = encode(turn, tokenizer)
                if len(sequence.ids) <= min(LONGEST, MAX_TOKENS):
                    ids += sequence.ids
                    family = names.index(example.family)
                    rows.append((len(sequence.ids), sequence.prompt_tokens, family))
    table = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return {
        "ids": np.array(ids, dtype=np.uint16),
        "lengths": table[:, 0],
        "prompts": table[:, 1],
        "families": table[:, 2],
    }


def generate(
    folder: Path, tokenizer_folder: Path, seed: int, shards: int, workers: int = 2
) -> list[Path]:
    """Make shards 0 … `shards`-1 in `folder`; those already there are kept. Returns all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"shard_{number:04d}.npz" for number in range(shards)]
    todo = [number for number, path in enumerate(paths) if not path.exists()]
    started = time.monotonic()
    jobs = [(seed, number, str(tokenizer_folder), str(paths[number])) for number in todo]
    with multiprocessing.get_context("fork").Pool(workers, _start_worker) as pool:
        for done, tokens in enumerate(pool.imap(_job, jobs), start=1):
            if done % 5 == 0 or done == len(jobs):
                seconds = time.monotonic() - started
                log.info("shard %d/%d, %d tokens in it, %.0f s", done, len(jobs), tokens, seconds)
    return paths


def _start_worker() -> None:
    os.environ["MPLBACKEND"] = "agg"
    os.nice(5)


def _job(job: tuple[int, int, str, str]) -> int:
    seed, number, tokenizer_folder, path = job
    tokenizer = load_tokenizer(Path(tokenizer_folder))
    shard = make_shard(seed, number, tokenizer, SHARD_EXAMPLES)
    part = Path(path).with_suffix(".part.npz")
    np.savez(part, **shard)  # type: ignore[arg-type]
    part.replace(path)
    return len(shard["ids"])


def _fast_folder() -> str | None:
    """Memory instead of disk for the many small files, where Linux offers it."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
