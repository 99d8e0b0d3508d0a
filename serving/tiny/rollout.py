"""How well the model does while it trains: whole tasks, greedily, judged by their outcome.

A quick measure, without engine and sandbox; `evals` measures through the whole agent. The code
that the model writes is run in a helper process, which is killed when it takes too long.
"""

import contextlib
import multiprocessing
import os
import re
import resource
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from agent.context import observation_text
from serving.tiny.example import Example
from serving.tiny.judge import is_right
from serving.tiny.render import Message, first_message, next_messages
from serving.tiny.template import BOS, EOS, THINK_CLOSE, prompt_text
from serving.tiny.world import World

MOST_STEPS = 4
MOST_NEW_TOKENS = 200
CODE_SECONDS = 10.0
CODE_BYTES = 4 << 30
_FENCE = re.compile(r"```python\n(.*?)\n?```", re.DOTALL)


@dataclass
class Rollout:
    """One task being solved. `right` is None until it has ended."""

    example: Example
    messages: list[Message]
    codes: list[str]
    right: bool | None = None
    replies: list[str] = field(default_factory=list)
    observation: str = ""


@dataclass(frozen=True)
class Outcome:
    """What the helper process saw: the last step's observation, or whether the answer is right."""

    observation: str
    answered: bool
    right: bool
    answer: str = ""


class CodeRunner:
    """Runs examples' code in a process that can be thrown away. Close it after use."""

    def __init__(self) -> None:
        self._start()

    def run(self, example: Example, codes: list[str]) -> Outcome:
        """Run all of `codes` in a fresh world; the outcome is the last one's."""
        self._pipe.send((example.to_dict(), codes))
        if self._pipe.poll(CODE_SECONDS):
            with contextlib.suppress(EOFError):
                return Outcome(**self._pipe.recv())
        self.close()
        self._start()
        return Outcome("Error:\nThe code took too long.", answered=False, right=False)

    def close(self) -> None:
        """End the helper process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _start(self) -> None:
        # A fork of a process that holds torch's threads could deadlock.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()


def _serve(pipe: Connection) -> None:
    os.environ["MPLBACKEND"] = "agg"
    resource.setrlimit(resource.RLIMIT_AS, (CODE_BYTES, CODE_BYTES))
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(EOFError):
        while True:
            data, codes = pipe.recv()
            pipe.send(_outcome(Example.from_dict(data), codes, Path(folder) / "work"))


def _outcome(example: Example, codes: list[str], folder: Path) -> dict[str, Any]:
    world = World(example, folder)
    for code in codes[:-1]:
        world.run(code)
    ran = world.run(codes[-1])
    right = ran.answered and is_right(example.expect, ran.answer, folder)
    answer = str(ran.answer)[:300] if ran.answered else ""
    text = observation_text(ran.printed, ran.error, ran.value)[:4000]
    return {"observation": text, "answered": ran.answered, "right": right, "answer": answer}


def start(examples: list[Example], runner: CodeRunner) -> list[Rollout]:
    """The rollouts before the model's first reply: given steps are run and shown."""
    made = []
    for example in examples:
        rollout = Rollout(example, [first_message(example)], [])
        for step in example.steps[: example.given]:
            _take_step(rollout, step.code, runner)
        made.append(rollout)
    return made


def roll(
    model: Any, tokenizer: Tokenizer, examples: list[Example], runner: CodeRunner, batch: int = 64
) -> list[Rollout]:
    """Solve all examples with the model, `batch` of them at a time."""
    rollouts = start(examples, runner)
    for _ in range(MOST_STEPS):
        pending = [r for r in rollouts if r.right is None]
        pending.sort(key=lambda r: sum(len(m["content"]) for m in r.messages))
        for at in range(0, len(pending), batch):
            some = pending[at : at + batch]
            replies = greedy(model, tokenizer, [prompt_text(r.messages) for r in some])
            for rollout, reply in zip(some, replies, strict=True):
                rollout.replies.append(reply)
                code = _FENCE.search(reply.split(THINK_CLOSE)[-1])
                if code is None:
                    rollout.right = False
                else:
                    _take_step(rollout, code[1], runner)
    return rollouts


def _take_step(rollout: Rollout, code: str, runner: CodeRunner) -> None:
    rollout.codes.append(code)
    outcome = runner.run(rollout.example, rollout.codes)
    if outcome.answered:
        rollout.right, rollout.observation = outcome.right, f"Answer: {outcome.answer}"
    else:
        rollout.observation = outcome.observation
        rollout.messages += next_messages(code, outcome.observation)


def greedy(model: Any, tokenizer: Tokenizer, prompts: list[str]) -> list[str]:
    """The most likely reply to each prompt, without its end token."""
    import torch

    pad, eos = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)
    rows = [tokenizer.encode(prompt, add_special_tokens=False).ids for prompt in prompts]
    width = max(len(row) for row in rows)
    device = next(model.parameters()).device
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows], device=device)
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=MOST_NEW_TOKENS,
            pad_token_id=eos,
            eos_token_id=eos,
        )
    found = []
    for row in out[:, width:].tolist():
        row = row[: row.index(eos)] if eos in row else row
        found.append(tokenizer.decode(row, skip_special_tokens=False))
    return found


def by_family(rollouts: list[Rollout]) -> dict[str, float]:
    """Share of right answers in every family."""
    right: dict[str, list[bool]] = defaultdict(list)
    for rollout in rollouts:
        right[rollout.example.family].append(bool(rollout.right))
    return {family: sum(found) / len(found) for family, found in sorted(right.items())}
