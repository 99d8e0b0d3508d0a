"""Training: a plain loop that can stop at any step and go on exactly there.

The learning rate warms up, stays, and falls linearly from the end of the first third on. The
schedule follows tokens, not time.
"""

import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from serving.tiny.data import Batch, Sequences, drill
from serving.tiny.example import Example
from serving.tiny.model import Optimiser, Shape, loss_of, new_model

log = logging.getLogger(__name__)

DRILL_EVERY = 4
"""One step in so many practises copying, in the first part of the training (`Plan.drilled`)."""


@dataclass(frozen=True)
class Plan:
    """What a run is to do. `tokens` counts padding, as time does; shares are of `tokens`.

    `shards` is how many shards of data are used; 0: enough that no example comes twice.
    """

    tokens: int
    batch_tokens: int = 6144
    rate: float = 2e-3
    weight_decay: float = 0.05
    muon: bool = True
    warm_up: float = 0.01
    fall: float = 0.65
    drilled: float = 0.25
    seed: int = 0
    clip: float = 1.0
    shards: int = 0
    save_minutes: float = 3.0
    test_minutes: float = 14.0
    shape: Shape = field(default_factory=Shape)

    def share(self, tokens: int) -> float:
        """The share of the full learning rate after so many tokens."""
        done = min(1.0, tokens / self.tokens)
        return min(1.0, (done + 1e-4) / self.warm_up, max(0.0, (1.0 - done) / self.fall))


class Run:
    """A training run in a folder: its model, optimiser, place in the data, and log."""

    def __init__(self, plan: Plan, data: Sequences, fingerprint: str, folder: Path) -> None:
        import torch

        self.plan, self.data, self.fingerprint, self.folder = plan, data, fingerprint, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = new_model(plan.shape, plan.seed).to(self.device).train()
        self.optimiser = Optimiser(self.model, plan.rate, plan.weight_decay, plan.muon)
        self.step = self.tokens = self.epoch = self.position = 0
        self.loss = self.seconds = 0.0
        self.history = [self._recipe]
        folder.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            self._load()

    @property
    def _recipe(self) -> dict[str, Any]:
        """What the run does from here on; kept with the weights and told in the model card."""
        plan = self.plan
        rates = {"rate": plan.rate, "fall": plan.fall, "drilled": plan.drilled}
        return {"tokens": self.tokens, "data": self.fingerprint, "length": plan.tokens, **rates}

    @property
    def _file(self) -> Path:
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        import torch

        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state(),
            "place": [self.step, self.tokens, self.epoch, self.position],
            "loss": self.loss,
            "seconds": self.seconds,
            "hardware": hardware(),
            "history": self.history,
            "random": torch.get_rng_state(),
        }
        part = self._file.with_suffix(".part")
        torch.save(state, part)
        part.replace(self._file)

    def _load(self) -> None:
        import torch

        state = torch.load(self._file, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.restore(state["optimiser"])
        self.step, self.tokens, self.epoch, self.position = state["place"]
        self.loss, self.seconds, self.history = state["loss"], state["seconds"], state["history"]
        torch.set_rng_state(state["random"].cpu())
        if self.history[-1]["data"] != self.fingerprint:
            log.info("the data has changed: going on with the new data from its start")
            self.epoch, self.position = 0, 0
        if self.history[-1] | {"tokens": self.tokens} != self._recipe:
            self.history.append(self._recipe)
        log.info("going on at step %d, %d tokens", self.step, self.tokens)

    def batches(self) -> Iterator[tuple[int, int, Batch]]:
        """The batches from the run's place in the data on, with the drills between them."""
        plan = self.plan
        batches = self.data.batches(plan.seed, plan.batch_tokens, self.epoch, self.position)
        for epoch, position, batch in batches:
            if self.step % DRILL_EVERY == 0 and self.tokens < plan.drilled * plan.tokens:
                practice = drill(plan.seed, self.step, plan.shape.vocab_size, plan.batch_tokens)
                yield self.epoch, self.position, practice
            yield epoch, position, batch

    def learn(self, ids: Any, targets: Any) -> float:
        """One update; the loss before it."""
        import torch

        at = torch.from_numpy(ids).to(self.device), torch.from_numpy(targets).to(self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            loss = loss_of(self.model, *at)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip)
        self.optimiser.step(self.plan.share(self.tokens))
        return float(loss.detach())


def speed(plan: Plan) -> float:
    """Tokens a second that a run of this plan makes here, from a few steps on random tokens."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    ids = torch.randint(4, plan.shape.vocab_size, (max(1, plan.batch_tokens // 128), 128))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = new_model(plan.shape, plan.seed).to(device)
    optimiser = Optimiser(model, 0.0, 0.0, plan.muon)
    ids = ids.to(device)
    for number in range(8):
        if number == 3:
            began = time.monotonic()
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = loss_of(model, ids, ids)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step(0.0)
        float(loss.detach())
    return 5 * ids.numel() / (time.monotonic() - began)


def hardware() -> str:
    """What the training runs on, in words."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} CPU cores, no GPU"


@dataclass
class Stop:
    """Set by SIGINT and SIGTERM: finish the step, save, leave."""

    asked: bool = False

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Listen while the block runs; the handlers from before come back after it."""

        def ask(*_: object) -> None:
            self.asked = True

        before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Progress:
    """Speed and smoothed loss, logged now and then and kept as JSON lines."""

    def __init__(self, run: Run, every_seconds: float = 20.0) -> None:
        self.run, self.every = run, every_seconds
        self._time, self._tokens = time.monotonic(), run.tokens

    def after_step(self, loss: float) -> None:
        run = self.run
        run.loss = loss if run.loss == 0.0 else 0.98 * run.loss + 0.02 * loss
        seconds = time.monotonic() - self._time
        if seconds < self.every:
            return
        speed = (run.tokens - self._tokens) / seconds
        left = (run.plan.tokens - run.tokens) / speed / 60
        log.info(
            "step %d  %.2f M tokens (%.1f %%)  loss %.4f  %.0f tokens/s  %.1f minutes left",
            run.step, run.tokens / 1e6, 100 * run.tokens / run.plan.tokens, run.loss, speed, left,
        )  # fmt: skip
        self.note(loss=run.loss, speed=speed)
        self.skip()

    def skip(self) -> None:
        """Leave the time until now out of the speed."""
        self._time, self._tokens = time.monotonic(), self.run.tokens

    def note(self, **values: Any) -> None:
        line = {"time": time.time(), "step": self.run.step, "tokens": self.run.tokens, **values}
        with (self.run.folder / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def train(
    run: Run,
    tokenizer: Tokenizer,
    tests: dict[str, list[Example]],
    steps: int | None = None,
    threads: int = 0,
) -> bool:
    """Train to the end of the plan; True when it was reached.

    Stops early after `steps` more steps or on a signal, and saves. `tests` are the sides of the
    held-out check, name → examples, judged every `plan.test_minutes`.
    """
    import torch

    torch.set_num_threads(threads or os.cpu_count() or 1)
    stop, progress, first = Stop(), Progress(run), run.step
    saved = tested = time.monotonic()
    with stop.on_signals():
        for epoch, position, batch in run.batches():
            if run.tokens >= run.plan.tokens or stop.asked:
                break
            if steps is not None and run.step - first >= steps:
                break
            began = time.monotonic()
            loss = run.learn(batch.ids, batch.targets)
            run.seconds += time.monotonic() - began
            run.step, run.tokens = run.step + 1, run.tokens + batch.ids.size
            run.epoch, run.position = epoch, position
            progress.after_step(loss)
            if time.monotonic() - saved > 60 * run.plan.save_minutes:
                run.save()
                saved = time.monotonic()
            if time.monotonic() - tested > 60 * run.plan.test_minutes:
                test(run, tokenizer, tests, progress)
                progress.skip()
                tested = time.monotonic()
        run.save()
    done = run.tokens >= run.plan.tokens
    log.info("%s at step %d, loss %.4f", "finished" if done else "stopped", run.step, run.loss)
    return done


def test(
    run: Run, tokenizer: Tokenizer, tests: dict[str, list[Example]], progress: Progress
) -> None:
    """Measure and log accuracy on every side, family by family; wrong replies go to a file."""
    from serving.tiny.rollout import CodeRunner, by_family, roll

    run.model.eval()
    runner = CodeRunner()
    try:
        for side, examples in tests.items():
            rollouts = roll(run.model, tokenizer, examples, runner)
            families = by_family(rollouts)
            mean = sum(families.values()) / max(1, len(families))
            table = "  ".join(f"{name} {100 * share:.0f}" for name, share in families.items())
            log.info("%s: %.1f %% | %s", side, 100 * mean, table)
            progress.note(side=side, accuracy=families)
            wrong = [
                {
                    "family": r.example.family,
                    "task": r.example.task,
                    "replies": r.replies,
                    "observation": r.observation,
                    "wanted": [step.code for step in r.example.steps],
                    "expect": str(r.example.expect.value),
                }
                for r in rollouts
                if not r.right
            ]
            path = run.folder / f"wrong_{side}.jsonl"
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in wrong)
            path.write_text(lines, encoding="utf-8")
    finally:
        runner.close()
        run.model.train()
