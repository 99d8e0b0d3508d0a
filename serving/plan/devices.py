"""What of a machine an engine can hold a model on, and how fast its memory is read.

Bandwidths are the makers' data sheets' figures, in GB/s. They only bound the speed of one
conversation: each token reads all weights once.
"""

import re
from dataclasses import dataclass

from serving.hardware import Hardware
from serving.hardware.findings import GIB, Gpu

# The first name that a GPU's name contains as words; None where only the memory's size decides.
_BANDWIDTHS: tuple[tuple[str, int], ...] = (
    ("RTX PRO 6000", 1597),
    ("B200", 8000),
    ("H200", 4800),
    ("H100 PCIe", 2039),
    ("H100 NVL", 3938),
    ("H100", 3350),
    ("A100-SXM4-40GB", 1555),
    ("A100-PCIE-40GB", 1555),
    ("A100-SXM4-80GB", 2039),
    ("A100 80GB", 1935),
    ("L40S", 864),
    ("A10G", 600),
    ("A10", 600),
    ("L4", 300),
    ("T4", 320),
    ("RTX 5090", 1792),
    ("RTX 4090 Laptop", 576),
    ("RTX 4090", 1008),
    ("RTX 4080", 717),
    ("RTX 4070", 504),
    ("RTX 4060", 256),
    ("RTX 3090", 936),
    ("RTX 3060", 360),
)
# Grace and Jetson: nvidia-smi tells no size for these.
_SHARES = re.compile(r"\b(GB10|GH200|Orin|Thor)\b")
_TPU_BANDWIDTHS = {"v5e": 819, "v6e": 1640, "v4": 1228, "v5p": 2765}
# Kept for Hearth's app, the sandbox and the system where a model shares the main memory.
MAIN_MEMORY_RESERVE = 2 * GIB


@dataclass(frozen=True)
class Device:
    """`kind` is `cuda`, `tpu`, `zerogpu`, `metal` or `cpu`. Bytes are of one of `count` equal
    ones; `free_bytes` is what the engine may hope for. `bandwidth` is in GB/s, if known."""

    kind: str
    name: str
    total_bytes: int
    free_bytes: int
    count: int = 1
    capability: float | None = None
    driver: str = ""
    bandwidth: int | None = None
    cores: int = 0

    @property
    def title(self) -> str:
        """Such as `2 × Tesla T4`."""
        return self.name if self.count == 1 else f"{self.count} × {self.name}"


# What a ZeroGPU call gets (hub docs, "Spaces ZeroGPU"): half an RTX PRO 6000 Blackwell, or all of
# it for twice the quota.
ZERO_LARGE = Device(
    "zerogpu", "ZeroGPU large", 48 * 10**9, 48 * 10**9, capability=12.0, bandwidth=798
)
ZERO_XLARGE = Device(
    "zerogpu", "ZeroGPU xlarge", 96 * 10**9, 96 * 10**9, capability=12.0, bandwidth=1597
)


def devices(hardware: Hardware) -> list[Device]:
    """The devices to try, the best first; the CPU is always the last."""
    found: list[Device] = []
    if hardware.platform.name == "zerogpu":
        return [ZERO_LARGE]
    if hardware.tpu:
        tpu = hardware.tpu
        found.append(
            Device(
                "tpu",
                tpu.name,
                tpu.memory_bytes,
                tpu.memory_bytes,
                count=tpu.chips,
                bandwidth=_TPU_BANDWIDTHS.get(tpu.kind),
            )
        )
    if hardware.gpus:
        found.append(_largest(hardware))
    main = max(0, hardware.memory.available_bytes - MAIN_MEMORY_RESERVE)
    total = hardware.memory.total_bytes
    if hardware.apple:
        # Metal gives a program two thirds of a small Mac's memory, three quarters of a large
        # one's (Metal's recommendedMaxWorkingSetSize, as llama.cpp prints it).
        share = total * 2 // 3 if total <= 36 * GIB else total * 3 // 4
        found.append(Device("metal", "the Apple GPU", total, min(share, main)))
    found.append(Device("cpu", hardware.cpu.name, total, main, cores=hardware.cpu.cores))
    return found


def _largest(hardware: Hardware) -> Device:
    """The GPU with the most free memory, with how many equal ones there are.

    Its `total_bytes` is 0 where nobody tells its size.
    """

    def total(gpu: Gpu) -> int:
        if gpu.total_bytes is None:  # such GPUs take what they need of the main memory
            return hardware.memory.available_bytes if _SHARES.search(gpu.name) else 0
        return gpu.total_bytes

    def free(gpu: Gpu) -> int:
        return total(gpu) if gpu.free_bytes is None else min(gpu.free_bytes, total(gpu))

    best = max(hardware.gpus, key=free)
    # One that is half taken is no equal: each of them gets the same share of the model.
    equal = [g for g in hardware.gpus if g.name == best.name and free(g) >= 0.9 * free(best)]
    return Device(
        "cuda",
        best.name + (f" MIG {best.mig}" if best.mig else ""),
        total(best),
        min(free(gpu) for gpu in equal),
        count=len(equal),
        capability=best.capability,
        driver=best.driver,
        bandwidth=bandwidth(best.name, best.total_bytes) if not best.mig else None,
    )


def bandwidth(name: str, total_bytes: int | None = None) -> int | None:
    """GB/s of the GPU of this name; None for one not known."""
    for part, speed in _BANDWIDTHS:
        if re.search(rf"\b{re.escape(part)}\b", name):
            return speed
    return None
