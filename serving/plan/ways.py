"""The ways a model could be served on a device: engine × format, the best quality first.

What can't be is said once, with its reason. Sources of the rules: vLLM 0.32 and 0.33
(platforms/cuda.py, model_executor/layers/quantization, v1/attention/backends) and the METADATA
of their wheels; where a rule is a judgement, the reason says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from serving.hardware import Hardware
from serving.plan.checkpoints import FORMATS, Format, checkpoints
from serving.plan.devices import ZERO_XLARGE, Device
from serving.plan.result import Rejected
from serving.plan.shapes import Shape

CUDA_DRIVER = (
    580  # the first that runs CUDA 13.0, which both torch 2.13 and vLLM 0.32 are built for
)
TURING, AMPERE, ADA = 7.5, 8.0, 8.9
ENGINES = ("vllm", "transformers", "llamacpp", "vllm-tpu", "zerogpu")


@dataclass(frozen=True)
class Way:
    """One engine with one checkpoint on one device. `devices` share the model; `eager` is vLLM
    without CUDA graphs, `online` quantises 16-bit weights while they load."""

    engine: str
    device: Device
    format: Format
    repo: str
    devices: int = 1
    eager: bool = False
    online: bool = False

    @property
    def title(self) -> str:
        """Such as `vllm, fp8`."""
        bits = [self.engine, self.format.name]
        if self.online:
            bits.append("quantised while loading")
        if self.devices > 1:
            bits.append(f"on {self.devices} GPUs")
        if self.eager:
            bits.append("without CUDA graphs")
        if self.device.kind == "zerogpu":
            bits.append(self.device.name)
        return ", ".join(bits)


@dataclass(frozen=True)
class Wishes:
    """What is asked for instead of the planner's choice; None leaves it to the planner.

    `spare_bytes` is left free on the device beside what a plan leaves anyway: for the plan after
    one whose engine ran out of memory.
    """

    engine: str | None = None
    checkpoint: str | None = None
    context: int | None = None
    spare_bytes: int = 0


def ways(
    hardware: Hardware, device: Device, shape: Shape, wishes: Wishes
) -> tuple[list[Way], list[Rejected]]:
    """The ways on `device`, grouped by engine in order, and why others are none."""
    finders = {
        "cuda": _cuda,
        "tpu": _tpu,
        "zerogpu": _zerogpu,
        "metal": _metal,
        "cpu": _cpu,
    }
    found: list[Way] = []
    rejected: list[Rejected] = []
    for entry in finders[device.kind](hardware, device, shape):
        if isinstance(entry, Rejected):
            rejected.append(entry)
            continue
        if wishes.engine and entry.engine != wishes.engine:
            continue
        if wishes.checkpoint and entry.format.name != wishes.checkpoint:
            continue
        found.append(entry)
    return found, rejected


def download_bytes(way: Way, shape: Shape) -> int:
    """What has to be downloaded: the checkpoint, which loading may then make smaller."""
    shrinks = way.online or (way.format.name == "nf4" and not shape.quantized)
    return (FORMATS["bf16"] if shrinks else way.format).weight_bytes(shape)


def _cuda(hardware: Hardware, device: Device, shape: Shape) -> Iterator[Way | Rejected]:
    capability, major = device.capability, _major(device.driver)
    if capability is not None and capability < TURING:
        why = f"its compute capability is {capability}; CUDA 13 begins at {TURING}"
        yield Rejected(f"{device.name}", why)
        return
    if major is not None and major < CUDA_DRIVER:
        yield Rejected(
            device.name,
            f"its driver {device.driver} is too old: torch and vLLM are built for CUDA 13, which "
            f"needs {CUDA_DRIVER} or later (or, on a data-centre GPU, NVIDIA's cuda-compat)",
        )
        return
    if not device.total_bytes:
        why = "nothing tells how much memory it has: nvidia-smi is missing"
        yield Rejected(device.name, why)
        return
    if hardware.system == "Windows":
        yield Rejected("vllm", "it has no build for Windows; it runs in WSL")
    else:
        yield from _vllm(device, shape)
    yield from _transformers_cuda(device, shape)


def _major(driver: str) -> int | None:
    first = driver.split(".")[0]
    return int(first) if first.isdigit() else None


def _counts(device: Device, shape: Shape) -> list[int]:
    """Over how many of the equal devices the model's heads can be divided."""
    return [n for n in (1, 2, 4, 8) if n <= device.count and shape.kv_heads % n == 0]


def _vllm(device: Device, shape: Shape) -> Iterator[Way | Rejected]:
    capability = device.capability or AMPERE
    counts = _counts(device, shape)
    formats: list[tuple[Format, str, bool]] = []
    for entry in _vllm_formats(capability, shape):
        if isinstance(entry, Rejected):
            yield entry
        else:
            formats.append(entry)
    for count in counts:
        for format_, repo, online in formats:
            yield Way("vllm", device, format_, repo, devices=count, online=online)
    for count in counts:
        for format_, repo, online in formats:
            yield Way("vllm", device, format_, repo, devices=count, online=online, eager=True)


def _vllm_formats(capability: float, shape: Shape) -> Iterator[tuple[Format, str, bool] | Rejected]:
    known = checkpoints(shape)
    own = shape.quantized
    if own:
        if own == "mxfp4" and capability < AMPERE:
            yield Rejected("vllm, mxfp4", f"needs compute capability {AMPERE}, it is {capability}")
        elif own == "gguf":
            yield Rejected("vllm, gguf", "GGUF left vLLM with 0.28; llama.cpp runs it")
        elif own in ("nf4", "int8"):
            yield Rejected(
                f"vllm, {own}", "bitsandbytes left vLLM with 0.28; transformers loads it"
            )
        elif own == "fp8" and capability < AMPERE:
            yield Rejected("vllm, fp8", f"compute capability {capability} has no FP8")
        elif own in FORMATS:
            yield FORMATS[own], known[own], False
        else:
            yield Rejected(f"vllm, {own}", "Hearth knows no sizes for this way of quantising")
        return
    yield FORMATS["bf16"], known["bf16"], False
    if capability < AMPERE:
        why = (
            f"compute capability {capability} has no FP8: the weights would be unpacked to 16 "
            "bits, and w4a16 is half their size"
        )
        yield Rejected("vllm, fp8", why)
    elif "fp8" in known:
        yield FORMATS["fp8"], known["fp8"], False
    else:
        yield FORMATS["fp8"], known["bf16"], True
    if "w4a16" in known:
        yield FORMATS["w4a16"], known["w4a16"], False
    else:
        yield Rejected("vllm, w4a16", "no repository with 4-bit weights of this model is known")


def _transformers_cuda(device: Device, shape: Shape) -> Iterator[Way | Rejected]:
    if shape.quantized == "nf4":
        yield Way("transformers", device, FORMATS["nf4"], shape.model_id)
    elif shape.quantized:
        why = f"{shape.quantized} weights need packages that requirements.txt doesn't have"
        yield Rejected(f"transformers, {shape.quantized}", why)
    else:
        yield Way("transformers", device, FORMATS["bf16"], shape.model_id)
        yield Way("transformers", device, FORMATS["nf4"], shape.model_id)


def _tpu(hardware: Hardware, device: Device, shape: Shape) -> Iterator[Way | Rejected]:
    if shape.quantized:
        yield Rejected(f"vllm-tpu, {shape.quantized}", "quantised weights are unproven on TPUs")
        return
    for count in _counts(device, shape):
        yield Way("vllm-tpu", device, FORMATS["bf16"], shape.model_id, devices=count)
    for name in ("fp8", "w4a16"):
        yield Rejected(
            f"vllm-tpu, {name}",
            "unproven: tpu-inference's older Qwen2 loads no quantised weights, and its docs call "
            "4-bit ones untested",
        )


def _zerogpu(hardware: Hardware, device: Device, shape: Shape) -> Iterator[Way | Rejected]:
    if shape.quantized:
        why = f"{shape.quantized} weights need packages that requirements.txt doesn't have"
        yield Rejected(f"zerogpu, {shape.quantized}", why)
        return
    yield Rejected("vllm", "a ZeroGPU process has the GPU for one call only: no server can run")
    yield Way("zerogpu", device, FORMATS["bf16"], shape.model_id)
    yield Way("zerogpu", ZERO_XLARGE, FORMATS["bf16"], shape.model_id)
    yield Way("zerogpu", device, FORMATS["nf4"], shape.model_id)


def _metal(hardware: Hardware, device: Device, shape: Shape) -> Iterator[Way | Rejected]:
    yield Rejected("vllm", "it has no build for Apple's GPUs")
    yield from _gguf(device, shape)
    if not shape.quantized:
        yield Way("transformers", device, FORMATS["bf16"], shape.model_id)


def _cpu(hardware: Hardware, device: Device, shape: Shape) -> Iterator[Way | Rejected]:
    yield from _gguf(device, shape)
    if not shape.quantized:
        yield Way("transformers", device, FORMATS["bf16"], shape.model_id)


def _gguf(device: Device, shape: Shape) -> Iterator[Way | Rejected]:
    repo = checkpoints(shape).get("gguf")
    if shape.quantized == "gguf":
        own = Format("gguf", "GGUF as it is", shape.bits, all_weights=True)
        yield Way("llamacpp", device, own, shape.model_id)
    elif repo is None:
        yield Rejected("llamacpp, gguf", "no repository with GGUF files of this model is known")
    elif shape.quantized == "mxfp4":  # its GGUF keeps the experts as they are
        yield Way("llamacpp", device, FORMATS["mxfp4"], repo)
    else:
        yield Way("llamacpp", device, FORMATS["gguf"], f"{repo}:Q4_K_M")
