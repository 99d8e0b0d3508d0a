"""What was found out about a machine, as plain data; every finding carries its reason in words."""

from dataclasses import dataclass

GIB = 1 << 30
MIB = 1 << 20


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, or a MIG slice of one.

    `total_bytes` is what a CUDA program sees of the memory (the driver's own part is taken off);
    None where nobody says. `free_bytes` is what nobody else uses now. `capability` is CUDA's
    compute capability, such as 8.9; `driver` the driver's version; `mig` the slice's profile.
    """

    name: str
    reason: str
    total_bytes: int | None = None
    free_bytes: int | None = None
    capability: float | None = None
    driver: str = ""
    mig: str = ""


@dataclass(frozen=True)
class Tpu:
    """TPU chips of one host. `kind` is such as `v5e`; `memory_bytes` is one chip's."""

    kind: str
    chips: int
    memory_bytes: int
    reason: str

    @property
    def name(self) -> str:
        """Such as `TPU v5e-1`."""
        return f"TPU {self.kind}-{self.chips}"


@dataclass(frozen=True)
class Cpu:
    """`cores` is how many this process may use; `features` those that inference gains from."""

    name: str
    cores: int
    reason: str
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Memory:
    """Main memory in bytes, within the container's limit. `available` is what is left now."""

    total_bytes: int
    available_bytes: int
    reason: str


@dataclass(frozen=True)
class Disk:
    """Bytes free where downloaded models go; None where that can't be told."""

    folder: str
    free_bytes: int | None
    reason: str


@dataclass(frozen=True)
class Platform:
    """`name` is one of `colab`, `kaggle`, `space`, `zerogpu`, `kubernetes`, `container`, `wsl`,
    `mac`, `windows`, `local`; `detail` says more, such as a Space's hardware."""

    name: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Hub:
    """Whether the Hugging Face hub answers; None where it was not asked."""

    reachable: bool | None
    reason: str


@dataclass(frozen=True)
class Hardware:
    """A machine. `gpu_reason` says why there are no GPUs, or where they were found.

    `apple` is true where a GPU shares the main memory (Apple silicon). `name` is set when the
    machine was named with `--on`, not looked at.
    """

    system: str
    architecture: str
    cpu: Cpu
    memory: Memory
    disk: Disk
    platform: Platform
    hub: Hub
    gpus: tuple[Gpu, ...] = ()
    gpu_reason: str = ""
    tpu: Tpu | None = None
    apple: bool = False
    name: str = ""

    def findings(self) -> list[tuple[str, str, str]]:
        """Every finding as (what, value, reason), in the order people ask."""
        rows = [("platform", self.platform.name + _in(self.platform.detail), self.platform.reason)]
        for gpu in self.gpus:
            rows.append(("GPU", gpu_text(gpu), gpu.reason))
        if not self.gpus:
            rows.append(("GPU", "the Apple GPU" if self.apple else "none", self.gpu_reason))
        if self.tpu:
            per_chip = f"{self.tpu.memory_bytes / GIB:.2f} GiB a chip"
            rows.append(("TPU", f"{self.tpu.name}, {per_chip}", self.tpu.reason))
        features = _in(", ".join(self.cpu.features))
        rows.append(("CPU", f"{self.cpu.name}, {self.cpu.cores} cores{features}", self.cpu.reason))
        left = f"{self.memory.available_bytes / GIB:.1f} GiB available"
        total = f"{self.memory.total_bytes / GIB:.1f} GiB"
        rows.append(("memory", f"{total}, {left}", self.memory.reason))
        free = self.disk.free_bytes
        shown = "unknown" if free is None else f"{free / GIB:.1f} GiB free"
        rows.append(("disk", shown, self.disk.reason))
        answers = {True: "reachable", False: "not reachable", None: "not asked"}
        rows.append(("hub", answers[self.hub.reachable], self.hub.reason))
        return rows


def gpu_text(gpu: Gpu) -> str:
    """A GPU in a few words, such as `Tesla T4, 14.6 GiB (14.5 free), capability 7.5`."""
    bits = [gpu.name + (f" (MIG {gpu.mig})" if gpu.mig else "")]
    if gpu.total_bytes is not None:
        free = "" if gpu.free_bytes is None else f" ({gpu.free_bytes / GIB:.1f} free)"
        bits.append(f"{gpu.total_bytes / GIB:.1f} GiB{free}")
    if gpu.capability is not None:
        bits.append(f"capability {gpu.capability}")
    if gpu.driver:
        bits.append(f"driver {gpu.driver}")
    return ", ".join(bits)


def _in(detail: str) -> str:
    return f" ({detail})" if detail else ""
