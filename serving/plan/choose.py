"""From hardware and a model's shape to a serving plan, with what was rejected and why."""

import dataclasses
from collections.abc import Callable

from errors import InputError, SettingsError
from serving.hardware import Hardware
from serving.plan.checkpoints import FORMATS
from serving.plan.devices import devices
from serving.plan.flags import data_type, environment_for, flags_for, left_alone
from serving.plan.known import CONFIGS, FAMILIES
from serving.plan.result import Part, Rejected, ServingPlan, gib
from serving.plan.shapes import Shape, shape_from_config
from serving.plan.sizes import LEAST_SPEED, Sized, size_way, why_not
from serving.plan.ways import ADA, ENGINES, Way, Wishes, download_bytes, ways

Have = Callable[[str], bool]


def _nothing_here(repo: str) -> bool:
    return False


def make_plan(
    hardware: Hardware,
    shape: Shape,
    wishes: Wishes | None = None,
    *,
    have: Have = _nothing_here,
    served_as: str = "",
) -> ServingPlan:
    """The plan for a model on a machine; `fits` says whether it does.

    `have` tells whether a repository is on the disk already; `served_as` is the name for
    requests, the model's id by default. A plan that doesn't fit carries in `next` one that does:
    a smaller model of the family, then another device; None leaves an endpoint. Raises InputError
    or SettingsError for a wish that can't be met.
    """
    wishes = wishes or Wishes()
    _check(wishes, shape)
    plan = _on_best_device(hardware, shape, wishes, have, served_as)
    if plan.fits:
        return plan
    return dataclasses.replace(plan, next=smaller_model(hardware, shape, wishes, have, plan))


def _check(wishes: Wishes, shape: Shape) -> None:
    if wishes.engine and wishes.engine not in ENGINES:
        raise SettingsError(
            f"There is no engine {wishes.engine!r} to plan.",
            fix=f"Name one of: {', '.join(ENGINES)}; an endpoint needs no plan.",
        )
    if wishes.checkpoint and wishes.checkpoint not in FORMATS:
        raise SettingsError(
            f"There is no checkpoint format {wishes.checkpoint!r}.",
            fix=f"Name one of: {', '.join(FORMATS)}.",
        )
    if wishes.context is not None and not 1 <= wishes.context <= shape.context:
        raise SettingsError(
            f"A context of {wishes.context:,} tokens can't be: {shape.model_id} knows "
            f"1 to {shape.context:,}.",
            fix="Give --context (HEARTH_ENGINE_CONTEXT) a number in that range, or leave it away.",
        )


def _on_best_device(
    hardware: Hardware, shape: Shape, wishes: Wishes, have: Have, served_as: str
) -> ServingPlan:
    """The plan on the first device that has any way to serve the model."""
    rejected: list[Rejected] = []
    for device in devices(hardware):
        found, why = ways(hardware, device, shape, wishes)
        rejected += why
        if not found:
            continue
        sized = [_with_disk(size_way(w, shape, wishes), shape, hardware, have) for w in found]
        name = served_as or shape.model_id
        return _build(_best(sized), sized, shape, rejected, name, hardware)
    raise InputError(
        f"Nothing here can serve {shape.model_id}" + _wished(wishes) + ".",
        fix=_why_nothing(wishes, rejected),
    )


def _with_disk(sized: Sized, shape: Shape, hardware: Hardware, have: Have) -> Sized:
    """The same, but not fitting when its download doesn't fit on the disk."""
    free, way = hardware.disk.free_bytes, sized.way
    size = download_bytes(way, shape)
    if not sized.level or free is None or size <= free or have(way.repo):
        return sized
    return dataclasses.replace(sized, level=0, shortfall=size - free, disk_short=size - free)


def _wished(wishes: Wishes) -> str:
    bits = [f"--engine {wishes.engine}"] if wishes.engine else []
    bits += [f"--checkpoint {wishes.checkpoint}"] if wishes.checkpoint else []
    return f" with {' '.join(bits)}" if bits else ""


_NEEDS = {
    "vllm": "an NVIDIA GPU",
    "vllm-tpu": "a TPU",
    "zerogpu": "a ZeroGPU Space",
    "llamacpp": "a CPU or an Apple GPU, and GGUF files",
    "transformers": "weights that are not quantised, or NF4",
}


def _why_nothing(wishes: Wishes, rejected: list[Rejected]) -> str:
    advice = "Serve it elsewhere and set HEARTH_ENDPOINT_URL, or take a larger machine."
    if wishes.engine:
        advice = f"Leave --engine away: {wishes.engine} needs {_NEEDS[wishes.engine]}."
    elif wishes.checkpoint:
        advice = "Leave --checkpoint away: no engine here takes that format of this model."
    said = "; ".join(f"{r.what}: {r.reason}" for r in rejected[:4])
    return f"{advice} Looked at: {said}." if said else advice


def _best(sized: list[Sized]) -> Sized:
    """The highest level of the first engine that fits at all, the best quality within it.

    Nothing fits: the one that lacks least.
    """
    engines = list(dict.fromkeys(s.way.engine for s in sized))
    for engine in engines:
        of_engine = [s for s in sized if s.way.engine == engine]
        best = max(of_engine, key=lambda s: s.level)  # the first of equals
        if best.level:
            return best
    return min(sized, key=lambda s: s.shortfall)


def _build(
    best: Sized,
    sized: list[Sized],
    shape: Shape,
    rejected: list[Rejected],
    served_as: str,
    hardware: Hardware,
) -> ServingPlan:
    way = best.way
    return ServingPlan(
        engine=way.engine,
        model=served_as,
        checkpoint=way.repo,
        format=way.format.name,
        dtype=data_type(best, shape)[0],
        device=dataclasses.replace(way.device, count=way.devices).title,
        context=best.context,
        concurrency=best.concurrency,
        weight_bytes=best.weight_bytes,
        kv_bytes_per_token=best.kv_per_token,
        kv_tokens=best.kv_tokens,
        overhead_bytes=sum(part.bytes for part in best.overhead),
        usable_bytes=best.usable_bytes,
        download_bytes=download_bytes(way, shape),
        flags=flags_for(best, shape, served_as),
        environment=environment_for(best),
        left_alone=left_alone(best),
        parts=_parts(best, shape),
        devices=way.devices,
        fits=best.level > 0,
        shortfall_bytes=best.shortfall,
        lacks="" if best.level else "disk" if best.disk_short else "memory",
        experimental=way.engine == "vllm-tpu",
        bandwidth_tokens=best.speed,
        reasons=tuple(_reasons(best, shape, hardware)),
        rejected=(*rejected, *_losers(best, sized)),
    )


def _parts(best: Sized, shape: Shape) -> tuple[Part, ...]:
    """The sum, line by line: what there is, what takes of it, what is left for the cache."""
    way, device = best.way, best.way.device
    if way.engine in ("vllm", "vllm-tpu"):
        how = f"{gib(device.total_bytes)} × {best.utilisation:.2f}"
    elif device.kind in ("cpu", "metal"):
        how = "main memory that is available, less 2 GiB for Hearth and the system"
    else:
        how = "what is free"
    share = f" / {way.devices} devices" if way.devices > 1 else ""
    per_token = best.kv_per_token
    layers, heads = shape.layers - shape.sliding, shape.kv_heads
    sum_text = f"2 × {layers} layers × {heads} KV heads × {shape.head_dim} × 2 bytes{share}"
    left = max(0, best.cache_bytes - (best.kv_fixed if way.engine not in _SHARING else 0))
    return (
        Part(f"memory for {way.engine}", best.usable_bytes, how, takes=False),
        Part("weights", best.weight_bytes, best.weight_sum),
        *best.overhead,
        Part("left for the KV cache", left, f"{left // per_token:,} tokens", takes=False),
        Part("KV cache of one token", per_token, sum_text, takes=False),
    )


_SHARING = ("vllm", "vllm-tpu")


def _reasons(best: Sized, shape: Shape, hardware: Hardware) -> list[str]:
    way, device = best.way, best.way.device
    said = [_engine_reason(way)]
    if best.level == 0:
        said.append(f"It does not fit: {why_not(best)}.")
        if best.disk_short:
            said.append("Make room, or set HF_HOME to a folder on a larger disk.")
    quality = _QUALITY.get(way.format.name)
    if quality and (way.format.name in ("bf16", "nf4") or "R1-Distill" in shape.model_id):
        said.append(quality)
    if best.speed is not None:
        said.append(
            f"The memory's {device.bandwidth} GB/s allow one conversation {best.speed} tokens a "
            f"second at most (under {LEAST_SPEED} a step takes over a minute)."
        )
    if best.level == 1:
        said.append("The context is short for an agent: long tasks will not fit into it.")
    if device.kind == "cpu" and shape.parameters > 3 * 10**9:
        said.append(
            "A CPU is slow: with two cores a 7B in 4 bits gives 2 to 4 tokens a second (estimate)."
        )
    if way.engine == "vllm-tpu":
        said.append("Experimental: no public recipe for vLLM on Colab's TPUs is known to work.")
    if not shape.exact:
        said.append(
            f"Hearth has no count for the architecture {shape.model_type or '?'}: the parameters "
            "are those of a Llama-like model of these dimensions."
        )
    if way.format.name == "fp8" and device.kind == "cuda" and (device.capability or 0) < ADA:
        said.append(
            f"Compute capability {device.capability} has no FP8 units: Marlin's kernels unpack "
            "the weights, so they save memory and bandwidth, not computation."
        )
    if device.kind == "cpu" and hardware.gpus:
        said.append("The GPU is not used; what was rejected says why.")
    return said


_QUALITY = {
    "bf16": "The weights are the published ones: no quality is lost.",
    "fp8": "FP8 is near-lossless on the R1 distills (Neural Magic, February 2025).",
    "w4a16": "4-bit weights keep 97 % and more of the 7B distill's quality, less of the 1.5B's "
    "(Neural Magic, February 2025).",
    "nf4": "NF4 saves memory, not time: it is slower than 16 bits wherever those fit.",
}


def _engine_reason(way: Way) -> str:
    return {
        "vllm": "vLLM shares one cache among conversations, bounds the thinking and answers "
        "several at once.",
        "vllm-tpu": "vllm-tpu is the engine for TPUs with an OpenAI-compatible server.",
        "transformers": "transformers loads what the others can't; one request at a time.",
        "llamacpp": "llama.cpp is the quickest on a CPU and on Apple's GPUs.",
        "zerogpu": "A ZeroGPU Space computes inside @spaces.GPU calls; no server can run there.",
    }[way.engine]


def _losers(best: Sized, sized: list[Sized]) -> list[Rejected]:
    lost = []
    for other in sized:
        if other is best or (other.way.eager and not best.way.eager):
            continue
        same_engine = other.way.engine == best.way.engine
        if other.level < best.level or (best.level == 0):
            reason = why_not(other)
        elif same_engine:
            reason = f"it fits too; {best.way.format.name} keeps more of the quality"
            if other.way.format.name == best.way.format.name:
                reason = "it fits too, and needs more"
        else:
            reason = f"it fits too, and is slower than {best.way.engine}"
        lost.append(Rejected(other.way.title, reason))
    return lost


def smaller_model(
    hardware: Hardware, shape: Shape, wishes: Wishes, have: Have, plan: ServingPlan
) -> ServingPlan | None:
    """The plan for the largest smaller model of the family that fits, then for another engine."""
    owner = shape.model_id.split("-")[0]
    family = next((f for f in FAMILIES if f[0].startswith(owner)), FAMILIES[0])
    wanted = dataclasses.replace(wishes, checkpoint=None)
    for model_id in dict.fromkeys((*family, *FAMILIES[0])):
        other = shape_from_config(CONFIGS[model_id], model_id, "known to Hearth")
        if other.parameters >= shape.parameters:
            continue
        if wanted.context and wanted.context > other.context:
            continue
        found = _on_best_device(hardware, other, wanted, have, "")
        if found.fits:
            return found
    return _elsewhere(hardware, shape, wishes, have, plan)


def _elsewhere(
    hardware: Hardware, shape: Shape, wishes: Wishes, have: Have, plan: ServingPlan
) -> ServingPlan | None:
    """The same model on the CPU, when no model of the family fits on the accelerator."""
    if wishes.engine or plan.engine in ("llamacpp", "zerogpu"):
        return None
    bare = dataclasses.replace(hardware, gpus=(), tpu=None, apple=False)
    try:
        other = _on_best_device(bare, shape, dataclasses.replace(wishes, checkpoint=None), have, "")
    except InputError:
        return None
    return other if other.fits else None
