"""What this machine can compute with, found out without importing torch.

`look()` gives all of it; every finding carries its reason as text, so that a plan can say why it
is what it is. Everything is asked through a `Machine`, so a recording can stand in for one.
"""

from dataclasses import dataclass

from serving.hardware.findings import Gpu, Hardware, gpu_text
from serving.hardware.host import find_cpu, find_disk, find_memory
from serving.hardware.machine import Machine, RecordedMachine, Recorder, ThisMachine
from serving.hardware.nvidia import find_gpus
from serving.hardware.places import find_hub, find_platform, find_tpu

__all__ = [
    "Accelerator",
    "Gpu",
    "Hardware",
    "Machine",
    "RecordedMachine",
    "Recorder",
    "ThisMachine",
    "cpu_cores",
    "find_accelerator",
    "gpu_text",
    "look",
]


def look(machine: Machine | None = None, *, ask_hub: bool = True) -> Hardware:
    """Everything about `machine` (this one by default) that decides how a model is served.

    `ask_hub` false sends nothing over the network; otherwise the hub has three seconds.
    """
    machine = machine or ThisMachine()
    apple = machine.system() == "Darwin" and machine.architecture() == "arm64"
    gpus, reason = find_gpus(machine)
    return Hardware(
        system=machine.system(),
        architecture=machine.architecture(),
        cpu=find_cpu(machine),
        memory=find_memory(machine),
        disk=find_disk(machine),
        platform=find_platform(machine),
        hub=find_hub(machine, ask=ask_hub),
        gpus=gpus,
        gpu_reason="this is a Mac with Apple silicon" if apple else reason,
        tpu=find_tpu(machine),
        apple=apple,
    )


@dataclass(frozen=True)
class Accelerator:
    """What torch will compute on. `kind` is `cuda`, `mps` or `cpu`; `capability` is CUDA's
    compute capability, if known."""

    kind: str
    name: str
    reason: str
    capability: float | None = None


def find_accelerator(machine: Machine | None = None) -> Accelerator:
    """The accelerator that an engine on this environment's torch will use."""
    torch = _torch_version() if machine is None else machine.package("torch")
    machine = machine or ThisMachine()
    if machine.system() == "Darwin" and machine.architecture() == "arm64":
        return Accelerator("mps", "the Apple GPU", "this is a Mac with Apple silicon")
    gpus, reason = find_gpus(machine)
    if not gpus:
        return Accelerator("cpu", "CPU", reason)
    if "+cpu" in torch:
        reason = f"{gpus[0].name} is there, but torch is {torch}, without CUDA"
        return Accelerator("cpu", "CPU", reason)
    return Accelerator("cuda", gpus[0].name, gpus[0].reason, gpus[0].capability)


def _torch_version() -> str:
    return ThisMachine().package("torch")


def cpu_cores(machine: Machine | None = None) -> int:
    """CPU cores this process may use: its affinity, and the container's quota."""
    return find_cpu(machine or ThisMachine()).cores
