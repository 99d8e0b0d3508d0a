"""Training batches from the shards on disk, in an order that a seed and a number decide."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DIGITS, PRINTABLE = (19, 29), (4, 98)
"""Ids of the ten digits and of the printable ASCII characters; the tokenizer starts with them."""

BUCKET = 4096
"""Sequences are sorted by length within so many, so that a batch needs little padding."""


@dataclass(frozen=True)
class Batch:
    """`ids` [sequences, tokens], padded on the right; `targets` alike, -100 where no loss is."""

    ids: np.ndarray
    targets: np.ndarray


def drill(seed: int, step: int, vocab_size: int, batch_tokens: int) -> Batch:
    """A batch that only practises copying: pieces of random tokens, then the same in any order.

    A model that has seen a few million tokens of tasks still writes numbers and names that look
    right and are not those of the task. Copying by what stood before is a habit that comes
    suddenly and late by itself; here every token asks for it, and it comes early. Half of the
    rows are of digits or of single letters and signs, where a copy needs more than one token of
    context. The first token of a piece can't be known and carries no loss.
    """
    rng = np.random.default_rng([seed, step])
    width = int(rng.choice([48, 96, 160, 256]))
    ids = np.zeros((batch_tokens // width, width + 1), dtype=np.int64)
    known = np.zeros_like(ids, dtype=bool)
    for row, counts in zip(ids, known, strict=True):
        low, high = ((4, vocab_size - 2), (4, vocab_size - 2), DIGITS, PRINTABLE)[rng.integers(4)]
        text = rng.integers(low, high, width // 2 - 2)
        cuts = np.sort(rng.integers(0, len(text), rng.integers(0, 5)))
        pieces = [piece for piece in np.split(text, cuts) if len(piece)]
        again = [pieces[number] for number in rng.permutation(len(pieces))]
        firsts = np.cumsum([0, *(len(piece) for piece in again[:-1])])
        start = len(text) + 3
        row[:start] = [0, 2, *text, 3]
        row[start : start + len(text)] = np.concatenate(again)
        counts[start : start + len(text)] = True
        counts[start + firsts] = False
    return Batch(ids[:, :-1], np.where(known, ids, -100)[:, 1:])


class Sequences:
    """All sequences of some shards."""

    def __init__(self, paths: list[Path]) -> None:
        shards = [np.load(path) for path in paths]
        self.ids = np.concatenate([shard["ids"] for shard in shards])
        self.lengths = np.concatenate([shard["lengths"] for shard in shards])
        self.prompts = np.concatenate([shard["prompts"] for shard in shards])
        self.families = np.concatenate([shard["families"] for shard in shards])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def __len__(self) -> int:
        return len(self.lengths)

    def plan(self, seed: int, epoch: int, batch_tokens: int) -> list[np.ndarray]:
        """The epoch's batches, each an array of sequence numbers.

        A batch holds at most `batch_tokens` tokens, padding included, and at least one sequence.
        """
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(self))
        batches: list[np.ndarray] = []
        for at in range(0, len(order), BUCKET):
            bucket = order[at : at + BUCKET]
            bucket = bucket[np.argsort(self.lengths[bucket], kind="stable")]
            batches += _cut(bucket, self.lengths[bucket], batch_tokens)
        return [batches[number] for number in rng.permutation(len(batches))]

    def batch(self, rows: np.ndarray) -> Batch:
        """The batch of these sequence numbers."""
        width = int(self.lengths[rows].max())
        ids = np.zeros((len(rows), width), dtype=np.int64)
        targets = np.full((len(rows), width), -100, dtype=np.int64)
        for at, row in enumerate(rows):
            length, prompt = int(self.lengths[row]), int(self.prompts[row])
            tokens = self.ids[self.starts[row] : self.starts[row] + length]
            ids[at, :length] = tokens
            targets[at, prompt - 1 : length - 1] = tokens[prompt:]
        return Batch(ids, targets)

    def batches(
        self, seed: int, batch_tokens: int, epoch: int, position: int
    ) -> Iterator[tuple[int, int, Batch]]:
        """(epoch, next position, batch) without end, from `position` in `epoch` on."""
        while True:
            plan = self.plan(seed, epoch, batch_tokens)
            for at in range(position, len(plan)):
                yield epoch, at + 1, self.batch(plan[at])
            epoch, position = epoch + 1, 0


def _cut(bucket: np.ndarray, lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Cut sequences that are sorted by length into batches."""
    batches, begin = [], 0
    for end in range(1, len(bucket) + 1):
        full = end == len(bucket) or int(lengths[end]) * (end + 1 - begin) > batch_tokens
        if full:
            batches.append(bucket[begin:end])
            begin = end
    return batches
