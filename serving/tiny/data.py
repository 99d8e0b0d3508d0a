"""Training batches from the shards on disk, in an order that a seed and a number decide."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BUCKET = 4096
"""Sequences are sorted by length within so many, so that a batch needs little padding."""


@dataclass(frozen=True)
class Batch:
    """`ids` [sequences, tokens], padded on the right; `targets` alike, -100 where no loss is."""

    ids: np.ndarray
    targets: np.ndarray


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
