"""Where the process runs, TPUs, and whether the hub answers.

Sources: the variables of Spaces from the hub's docs ("Spaces Overview", helper environment
variables), of ZeroGPU from the package `spaces` (config.py), of Colab's runtimes as people
printed them, TPU chips by their PCI numbers as in Google's `tpu-info` (device.py).
"""

import re

from serving.hardware.findings import GIB, Hub, Platform, Tpu
from serving.hardware.machine import Machine

_YES = ("1", "true", "t", "yes", "on")
HUB = "https://huggingface.co"
HUB_SECONDS = 3.0
_GOOGLE = "0x1ae0"
_CHIPS = {"0x0063": "v5e", "0x006f": "v6e", "0x005e": "v4", "0x0062": "v5p"}
# What a program can have of a chip's 16 or 32 GiB: JAX reports 15.75 and 31.25 GiB.
_CHIP_BYTES = {
    "v5e": int(15.75 * GIB),
    "v6e": int(31.25 * GIB),
    "v4": int(31.75 * GIB),
    "v5p": int(95.0 * GIB),
}


def find_platform(machine: Machine) -> Platform:
    """Where the process runs; the most particular place is named."""
    space = machine.env("SPACE_ID")
    if _is_set(machine, "SPACES_ZERO_GPU"):
        return Platform("zerogpu", "SPACES_ZERO_GPU is set", space or "")
    if space:
        told = [machine.env(name) for name in ("ACCELERATOR", "CPU_CORES", "MEMORY")]
        words = ("{}", "{} cores", "{}")
        detail = [w.format(t) for w, t in zip(words, told, strict=True) if t and t != "none"]
        return Platform("space", f"SPACE_ID is {space}", ", ".join(detail))
    if machine.env("KAGGLE_KERNEL_RUN_TYPE"):
        return Platform("kaggle", "KAGGLE_KERNEL_RUN_TYPE is set")
    for name in ("COLAB_RELEASE_TAG", "COLAB_BACKEND_VERSION"):
        if machine.env(name):
            return Platform("colab", f"{name} is set", machine.env("COLAB_RELEASE_TAG") or "")
    if machine.env("KUBERNETES_SERVICE_HOST"):
        return Platform("kubernetes", "KUBERNETES_SERVICE_HOST is set")
    if machine.env("WSL_DISTRO_NAME") or "microsoft" in _kernel(machine):
        return Platform("wsl", "the kernel is Microsoft's", machine.env("WSL_DISTRO_NAME") or "")
    if machine.system() == "Darwin":
        return Platform("mac", "the system is macOS", machine.architecture())
    if machine.system() == "Windows":
        return Platform("windows", "the system is Windows")
    for path in ("/.dockerenv", "/run/.containerenv"):
        if machine.exists(path):
            return Platform("container", f"{path} is there")
    return Platform("local", "nothing says that it is a hosted machine")


def _kernel(machine: Machine) -> str:
    return (machine.read_text("/proc/sys/kernel/osrelease") or "").lower()


def _is_set(machine: Machine, name: str) -> bool:
    return (machine.env(name) or "").strip().lower() in _YES


def find_tpu(machine: Machine) -> Tpu | None:
    """The TPU chips of this host, by their PCI numbers, or by what the environment says."""
    kinds = []
    for slot in machine.names("/sys/bus/pci/devices"):
        folder = f"/sys/bus/pci/devices/{slot}"
        if (machine.read_text(f"{folder}/vendor") or "").strip() == _GOOGLE:
            number = (machine.read_text(f"{folder}/device") or "").strip()
            kinds.append(_CHIPS.get(number, ""))
    kinds = [kind for kind in kinds if kind]
    told = machine.env("TPU_ACCELERATOR_TYPE") or ""
    if kinds:
        reason = f"{len(kinds)} on the PCI bus"
        return Tpu(kinds[0], len(kinds), _CHIP_BYTES[kinds[0]], reason)
    match = re.fullmatch(r"(v5e|v5litepod|v6e|v4|v5p)-(\d+)", told)
    if match is None:
        return None
    kind = "v5e" if match[1] == "v5litepod" else match[1]
    return Tpu(kind, int(match[2]), _CHIP_BYTES[kind], f"TPU_ACCELERATOR_TYPE is {told}")


def find_hub(machine: Machine, *, ask: bool = True) -> Hub:
    """Whether the hub answers within a few seconds. Nothing is sent when offline is set."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if _is_set(machine, name):
            return Hub(None, f"not asked: {name} is set")
    if not ask:
        return Hub(None, "not asked")
    address = (machine.env("HF_ENDPOINT") or HUB).rstrip("/")
    why = machine.reach(address, HUB_SECONDS)
    return Hub(not why, f"{address} answers" if not why else f"{address}: {why}")
