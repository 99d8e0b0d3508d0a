"""What planning gives: a serving plan, as plain data that programs can read."""

import dataclasses
import shlex
from dataclasses import dataclass
from typing import Any

from serving.hardware.findings import GIB


@dataclass(frozen=True)
class Flag:
    """One argument of an engine, or one variable of its environment, with its reason."""

    name: str
    value: str
    reason: str

    @property
    def words(self) -> list[str]:
        """The flag as words of a command line; a flag without value is one word."""
        return [self.name, self.value] if self.value else [self.name]


@dataclass(frozen=True)
class Part:
    """One line of the arithmetic. What takes memory is negative in a budget, so `bytes` is
    always positive and `takes` says which way it counts."""

    label: str
    bytes: int
    how: str
    takes: bool = True


@dataclass(frozen=True)
class Rejected:
    """A way that was looked at and not taken."""

    what: str
    reason: str


@dataclass(frozen=True)
class ServingPlan:
    """How one model is served on one machine.

    `model` is what was asked for and the name to serve it under; `checkpoint` the repository or
    folder to load, `format` what its weights are kept in. `dtype` is the type computed in.
    `context` is in tokens, for one conversation; `concurrency` is how many conversations of usual
    length (12,000 tokens) fit at once; `kv_tokens` all tokens the cache can hold. Bytes are of one
    device, of `devices` equal ones. `shortfall_bytes` says by how much a plan does not fit, of
    what it `lacks` (`memory` or `disk`); `next` is then the plan that does, or None when only an
    endpoint is left.
    `bandwidth_tokens` bounds one conversation's tokens a second by the memory's bandwidth.
    """

    engine: str
    model: str
    checkpoint: str
    format: str
    dtype: str
    device: str
    context: int
    concurrency: int
    weight_bytes: int
    kv_bytes_per_token: int
    kv_tokens: int
    overhead_bytes: int
    usable_bytes: int
    download_bytes: int
    flags: tuple[Flag, ...]
    environment: tuple[Flag, ...] = ()
    left_alone: tuple[Flag, ...] = ()
    parts: tuple[Part, ...] = ()
    devices: int = 1
    fits: bool = True
    shortfall_bytes: int = 0
    lacks: str = ""
    experimental: bool = False
    bandwidth_tokens: int | None = None
    reasons: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    next: "ServingPlan | None" = None

    @property
    def arguments(self) -> list[str]:
        """The engine's arguments after the model: `--max-model-len 16384 …`."""
        return [word for flag in self.flags for word in flag.words]

    @property
    def command(self) -> str:
        """The command that starts the engine, as one would type it; address and key come from
        the supervisor. Empty for an engine that is no command."""
        program = COMMANDS.get(self.engine)
        if program is None:
            return ""
        variables = [f"{v.name}={shlex.quote(v.value)}" for v in self.environment]
        return " ".join([*variables, *program, *map(shlex.quote, self._model_words())])

    def _model_words(self) -> list[str]:
        if self.engine == "llamacpp":
            file = self.checkpoint.endswith(".gguf") and ":" not in self.checkpoint
            return ["-m" if file else "-hf", self.checkpoint, *self.arguments]
        if self.engine == "transformers":
            return [*self.arguments, "--", self.checkpoint]
        return [self.checkpoint, *self.arguments]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON; the command as one line and the arguments as a list."""
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        for name in ("flags", "environment", "left_alone", "parts", "rejected"):
            data[name] = [dataclasses.asdict(entry) for entry in data[name]]
        data["next"] = self.next.to_dict() if self.next else None
        return data | {"command": self.command, "arguments": self.arguments}


COMMANDS = {
    "vllm": ["vllm", "serve"],
    "vllm-tpu": ["vllm", "serve"],
    "transformers": ["transformers", "serve"],
    "llamacpp": ["llama-server"],
}


def gib(size: int) -> str:
    """Bytes for people, such as `14.2 GiB`."""
    for unit, name in ((GIB, "GiB"), (1 << 20, "MiB")):
        if abs(size) >= unit / 10:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1024:.0f} KiB"
