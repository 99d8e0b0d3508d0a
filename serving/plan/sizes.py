"""One way, worked out: what fits, for how many, how fast at most."""

import math
from dataclasses import dataclass

from serving.plan.checkpoints import FORMATS
from serving.plan.memory import (
    UTILISATION,
    llamacpp_overhead,
    tpu_overhead,
    transformers_overhead,
    vllm_overhead,
)
from serving.plan.result import Part, gib
from serving.plan.shapes import Shape
from serving.plan.ways import AMPERE, Way, Wishes

CONTEXTS = (131_072, 65_536, 32_768, 16_384, 8_192)
BASE_CONTEXT = 16_384  # room for one step of 8,192 tokens and the conversation before it
LEAST_CONTEXT = 8_192
USUAL_TOKENS = 12_000  # what an agent's conversation holds on average (estimate)
ROOMY = 4  # conversations of full length that a longer context must leave room for
MOST_SEQUENCES = 64
LEAST_SPEED = 25  # tokens a second that the memory must allow: 1,800 tokens in 72 seconds
_BLOCK = 16  # tokens in a block of vLLM's cache


@dataclass(frozen=True)
class Sized:
    """A way with its sums. `level` orders them: 4 roomy, 3 fits and is quick enough, 2 fits but
    is slow, 1 fits with the least context, 0 doesn't. `utilisation` is vLLM's share."""

    way: Way
    context: int
    kv_tokens: int
    concurrency: int
    weight_bytes: int
    overhead: tuple[Part, ...]
    usable_bytes: int
    kv_per_token: int
    kv_fixed: int
    speed: int | None
    level: int
    shortfall: int
    weight_sum: str
    utilisation: float = 0.0
    batched: int = 0
    disk_short: int = 0

    @property
    def cache_bytes(self) -> int:
        """What is left for the KV cache; negative when not even the weights fit."""
        return self.usable_bytes - self.weight_bytes - sum(p.bytes for p in self.overhead)


def size_way(way: Way, shape: Shape, wishes: Wishes) -> Sized:
    """Work out `way` for a model."""
    if way.engine in ("vllm", "vllm-tpu"):
        return _shared(way, shape, wishes)
    return _single(way, shape, wishes)


def _limits(way: Way, shape: Shape, wishes: Wishes) -> tuple[list[int], int, int]:
    """Contexts to try, the one that is wanted at least, and the one below which nothing fits."""
    if wishes.context:
        return [wishes.context], wishes.context, wishes.context
    most = min(shape.context, _longest(way))
    contexts = [c for c in CONTEXTS if c <= most] or [most]
    return contexts, min(BASE_CONTEXT, most), min(LEAST_CONTEXT, most)


def _longest(way: Way) -> int:
    """The longest context worth offering, by how quickly the device reads a prompt."""
    device = way.device
    if device.kind in ("cpu", "metal"):
        return 16_384
    if device.kind == "zerogpu":
        return 32_768
    if way.engine == "transformers":
        return 16_384
    if device.kind == "cuda" and (device.capability or AMPERE) < AMPERE:
        return 16_384  # no FlashAttention: Triton's kernels read long prompts slowly
    if device.kind == "tpu" and device.total_bytes < 20 << 30:
        return 16_384
    return CONTEXTS[0]


def _shared(way: Way, shape: Shape, wishes: Wishes) -> Sized:
    """vLLM: one cache that all conversations share, made as large as the memory allows."""
    device = way.device
    share = utilisation(device.total_bytes, device.free_bytes, wishes.spare_bytes)
    if way.engine == "vllm-tpu":
        batched = 1024 if device.total_bytes > 20 << 30 else 512
        overhead = tpu_overhead(shape, batched=batched)
    else:
        batched = batched_tokens(device.total_bytes, device.name)
        overhead = vllm_overhead(
            shape, batched=batched, sequences=MOST_SEQUENCES, devices=way.devices
        )
        if way.eager:
            overhead = [part for part in overhead if part.label != "CUDA graphs"]
    fixed = shape.kv_bytes_fixed() // way.devices * MOST_SEQUENCES
    if fixed:
        how = f"{shape.sliding} layers × {shape.window} tokens, {MOST_SEQUENCES} conversations"
        overhead.append(Part("sliding windows", fixed, how))
    usable = int(device.total_bytes * share)
    weights = way.format.weight_bytes(shape) // way.devices
    per_token = shape.kv_bytes_per_token() // way.devices
    cache = usable - weights - sum(p.bytes for p in overhead)
    tokens = max(0, cache // per_token) // _BLOCK * _BLOCK
    contexts, base, least = _limits(way, shape, wishes)
    roomy = [c for c in contexts if tokens >= ROOMY * c and c >= base]
    fitting = [c for c in contexts if c <= max(base, least) and tokens >= c]
    context = (roomy or fitting or [least])[0]
    speed = _speed(way, shape)
    quick = speed is None or speed >= LEAST_SPEED
    level = _level(tokens, base, least, quick, tokens >= ROOMY * base)
    concurrency = max(1, min(MOST_SEQUENCES, tokens // min(USUAL_TOKENS, context)))
    return Sized(
        way=way,
        context=context,
        kv_tokens=tokens,
        concurrency=concurrency,
        weight_bytes=weights,
        overhead=tuple(overhead),
        usable_bytes=usable,
        kv_per_token=per_token,
        kv_fixed=fixed,
        speed=speed,
        level=level,
        shortfall=0 if level else max(1, least * per_token - cache),
        weight_sum=way.format.sum_text(shape) + _shared_by(way),
        utilisation=share,
        batched=batched,
    )


def _single(way: Way, shape: Shape, wishes: Wishes) -> Sized:
    """One conversation at a time, whose cache grows with it: the longest context that fits."""
    contexts, base, least = _limits(way, shape, wishes)
    for context in contexts:
        sized = _single_at(way, shape, context, base, least, wishes.spare_bytes)
        if sized.level:
            return sized
    return sized


def _single_at(way: Way, shape: Shape, context: int, base: int, least: int, spare: int) -> Sized:
    device = way.device
    usable = max(0, device.free_bytes - spare)
    if way.engine == "llamacpp":
        overhead = llamacpp_overhead(shape)
    else:
        kind = "cpu" if device.kind in ("cpu", "metal") else "cuda"
        overhead = transformers_overhead(
            shape, context=context, nf4=way.format.name == "nf4", device=kind
        )
    weights, weight_sum = way.format.weight_bytes(shape), way.format.sum_text(shape)
    if computes_in_32_bits(way, shape):
        weights, weight_sum = shape.parameters * 4, f"{shape.parameters:,} parameters × 4 bytes"
    per_token, fixed = shape.kv_bytes_per_token(), shape.kv_bytes_fixed()
    cache = usable - weights - fixed - sum(p.bytes for p in overhead)
    fits = cache >= context * per_token
    speed = _speed(way, shape)
    quick = speed is None or speed >= LEAST_SPEED
    return Sized(
        way=way,
        context=context,
        kv_tokens=context if fits else max(0, cache // per_token),
        concurrency=1,
        weight_bytes=weights,
        overhead=tuple(overhead),
        usable_bytes=usable,
        kv_per_token=per_token,
        kv_fixed=fixed,
        speed=speed,
        level=_level(context if fits else 0, base, least, quick, True),
        shortfall=0 if fits else max(1, context * per_token - cache),
        weight_sum=weight_sum,
    )


def computes_in_32_bits(way: Way, shape: Shape) -> bool:
    """Small models on a CPU: half types are emulated on most, and slower."""
    return (way.engine, way.device.kind, way.format.name) == ("transformers", "cpu", "bf16") and (
        shape.parameters * 4 < 1 << 30
    )


def _shared_by(way: Way) -> str:
    return f" / {way.devices} devices" if way.devices > 1 else ""


def _level(tokens: int, base: int, least: int, quick: bool, roomy: bool) -> int:
    if tokens < least:
        return 0
    if tokens < base:
        return 1
    if not quick:
        return 2
    return 4 if roomy else 3


def _speed(way: Way, shape: Shape) -> int | None:
    """Tokens a second of one conversation that the memory's bandwidth allows; None: unknown.

    NF4 is unpacked for every token, which costs more than it saves: with double quantisation it
    has 0.53 (T4) to 0.58 (H100) of the 16-bit speed (bitsandbytes, benchmarking/README).
    """
    if way.device.bandwidth is None:
        return None
    bandwidth = way.device.bandwidth * 10**9
    if way.format.name == "nf4":
        return int(0.55 * bandwidth / FORMATS["bf16"].active_bytes(shape))
    return int(bandwidth * way.devices / way.format.active_bytes(shape))


def utilisation(total: int, free: int, spare: int = 0) -> float:
    """vLLM's share of the whole memory, in hundredths; `spare` bytes less than it could have.

    It refuses to start when that share isn't free.
    """
    most = UTILISATION if free >= total else min(UTILISATION, free / total - 0.01)
    return max(0, math.floor(round((most - spare / total) * 100, 6))) / 100


def batched_tokens(total: int, name: str) -> int:
    """Tokens of one forward pass, as vLLM's server chooses them (0.32, engine/arg_utils.py)."""
    if total >= 160 << 30:
        return 16_384
    return 8_192 if total >= 70 << 30 and "A100" not in name else 2_048


def why_not(sized: Sized) -> str:
    """Why this way lost, in words."""
    weights = gib(sized.weight_bytes)
    if sized.disk_short:
        return f"its download needs {gib(sized.disk_short)} more than the disk has free"
    if sized.level == 0:
        return (
            f"{weights} of weights and {gib(sum(p.bytes for p in sized.overhead))} beside them: "
            f"{gib(sized.shortfall)} too much for {gib(sized.usable_bytes)} and a context of "
            f"{sized.context:,}"
        )
    room = f"{weights} of weights leave room for {sized.kv_tokens:,} tokens"
    if sized.level == 1:
        return f"{room}, less than the {BASE_CONTEXT:,} that an agent should have"
    if sized.level == 2:
        return f"the memory allows {sized.speed} tokens a second at most, under {LEAST_SPEED}"
    if sized.level == 3:
        return f"{room}, fewer than {ROOMY} conversations of {BASE_CONTEXT:,}"
    return "it fits too"
