"""Accelerators by name, for a plan on a machine that isn't at hand: `plan --on t4`.

Memory is what a CUDA program sees of the card, as PyTorch prints it in its messages ("has a total
capacity of 14.56 GiB"), and nvidia-smi's total, as people publish them; it differs by a percent
between drivers. Hosts are Colab's and the hub's ("Spaces Overview"), as both describe them.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path

from errors import InputError
from serving.hardware import Hardware, RecordedMachine, look
from serving.hardware.findings import GIB, Cpu, Disk, Gpu, Hub, Memory, Platform, Tpu

_DRIVER = "580"


@dataclass(frozen=True)
class Named:
    """One name. `gpu` is (name, GiB that CUDA sees, compute capability) or None; `tpu` is
    (kind, GiB). The host has `cores` and `memory_gib` of main memory."""

    about: str
    platform: str
    cores: int
    memory_gib: float
    gpu: tuple[str, float, float] | None = None
    tpu: tuple[str, float] | None = None
    apple: bool = False


NAMED: dict[str, Named] = {
    "t4": Named("Colab T4", "colab", 2, 12.7, gpu=("Tesla T4", 14.56, 7.5)),
    "l4": Named("Colab or Space L4", "colab", 12, 53, gpu=("NVIDIA L4", 22.03, 8.9)),
    "a10g": Named("Space A10G small", "space", 4, 15, gpu=("NVIDIA A10G", 22.05, 8.6)),
    "l40s": Named("Space L40S", "space", 8, 62, gpu=("NVIDIA L40S", 44.39, 8.9)),
    "a100-40": Named("Colab A100", "colab", 12, 83.5, gpu=("NVIDIA A100-SXM4-40GB", 39.39, 8.0)),
    "a100-80": Named(
        "Colab or Space A100 80 GB", "colab", 12, 167, gpu=("NVIDIA A100-SXM4-80GB", 79.15, 8.0)
    ),
    "h100": Named("Colab H100", "colab", 26, 230, gpu=("NVIDIA H100 80GB HBM3", 79.1, 9.0)),
    "g4": Named(
        "Colab G4 (RTX PRO 6000)",
        "colab",
        48,
        176,
        gpu=("NVIDIA RTX PRO 6000 Blackwell Server Edition", 94.97, 12.0),
    ),
    "v5e-1": Named("Colab TPU v5e-1", "colab", 24, 47, tpu=("v5e", 15.75)),
    "v6e-1": Named("Colab TPU v6e-1", "colab", 44, 173, tpu=("v6e", 31.25)),
    "zerogpu": Named("ZeroGPU Space", "zerogpu", 8, 62),
    "rtx-4060-laptop": Named(
        "laptop, RTX 4060, 8 GB",
        "local",
        8,
        16,
        gpu=("NVIDIA GeForce RTX 4060 Laptop GPU", 7.63, 8.9),
    ),
    "rtx-3090": Named(
        "RTX 3090, 24 GB", "local", 8, 32, gpu=("NVIDIA GeForce RTX 3090", 23.56, 8.6)
    ),
    "rtx-4090": Named(
        "RTX 4090, 24 GB", "local", 16, 64, gpu=("NVIDIA GeForce RTX 4090", 23.52, 8.9)
    ),
    "mac": Named("Mac, Apple silicon, 16 GB", "mac", 8, 16, apple=True),
    "cpu": Named("CPU, 2 cores, 16 GB", "container", 2, 16),
}
_ALIASES = {
    "a100": "a100-40",
    "tpu": "v6e-1",
    "v5e": "v5e-1",
    "v6e": "v6e-1",
    "v5litepod-1": "v5e-1",
    "rtx-pro-6000": "g4",
    "mps": "mac",
    "laptop": "rtx-4060-laptop",
}


def named_hardware(name: str) -> Hardware:
    """The machine of this name, or the recording in this file.

    Raises InputError that lists the names, for a name that is neither.
    """
    key = _ALIASES.get(name.strip().lower(), name.strip().lower())
    if key in NAMED:
        return _build(key, NAMED[key])
    if name.endswith(".json"):
        return look(RecordedMachine.load(Path(name)))
    close = difflib.get_close_matches(key, [*NAMED, *_ALIASES], n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise InputError(
        f"There is no accelerator {name!r} for --on.{hint}",
        fix=f"Name one of: {', '.join(NAMED)}; or a recording (`python -m serving hardware "
        "--record FILE`); or leave --on away for this machine.",
    )


def _build(key: str, row: Named) -> Hardware:
    reason = f"named with --on {key}"
    gpus: tuple[Gpu, ...] = ()
    if row.gpu:
        name, size, capability = row.gpu
        total = int(size * GIB)
        gpus = (Gpu(name, reason, total, total, capability, _DRIVER),)
    memory = int(row.memory_gib * GIB)
    return Hardware(
        system="Darwin" if row.apple else "Linux",
        architecture="arm64" if row.apple else "x86_64",
        cpu=Cpu("Apple silicon" if row.apple else "CPU", row.cores, reason),
        memory=Memory(memory, memory - (memory // 4 if row.apple else 0), reason),
        disk=Disk("", None, "not asked for a machine that was named"),
        platform=Platform(row.platform, reason),
        hub=Hub(None, "not asked for a machine that was named"),
        gpus=gpus,
        gpu_reason=reason,
        tpu=Tpu(row.tpu[0], 1, int(row.tpu[1] * GIB), reason) if row.tpu else None,
        apple=row.apple,
        name=key,
    )
