"""What this machine can compute with, found out without importing torch.

Every finding carries its reason as text, so that a plan can say why it is what it is.
"""

import importlib.metadata
import math
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Accelerator:
    """`kind` is `cuda`, `mps` or `cpu`; `capability` is CUDA's compute capability, if known."""

    kind: str
    name: str
    reason: str
    capability: float | None = None


def find_accelerator() -> Accelerator:
    """The accelerator that a local engine will use."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return Accelerator("mps", "the Apple GPU", "this is a Mac with Apple silicon")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return _cpu(f"CUDA_VISIBLE_DEVICES is {visible!r}")
    found = _nvidia()
    if found.kind == "cuda" and "+cpu" in _torch_version():
        return _cpu(f"{found.name} is there, but torch is {_torch_version()}, without CUDA")
    return found


def _cpu(reason: str) -> Accelerator:
    return Accelerator("cpu", "CPU", reason)


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _nvidia() -> Accelerator:
    program = shutil.which("nvidia-smi")
    if program is None:
        if Path("/proc/driver/nvidia/version").exists():
            reason = "the NVIDIA driver is loaded (no nvidia-smi to ask for more)"
            return Accelerator("cuda", "an NVIDIA GPU", reason)
        return _cpu("no NVIDIA driver: neither nvidia-smi nor /proc/driver/nvidia is there")
    query = [program, "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _cpu(f"nvidia-smi does not answer: {error}")
    lines = [line for line in answer.stdout.splitlines() if "," in line]
    if answer.returncode != 0 or not lines:
        said = (answer.stdout + answer.stderr).strip().splitlines()
        return _cpu(f"nvidia-smi finds no GPU: {said[0] if said else answer.returncode}")
    name, _, capability = lines[0].rpartition(",")
    try:
        number = float(capability)
    except ValueError:
        number = None
    return Accelerator("cuda", name.strip(), "nvidia-smi lists it", number)


def cpu_cores() -> int:
    """CPU cores this process may use: its affinity, and the container's quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _cpu_quota()
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def _cpu_quota() -> float | None:
    """The container's CPU limit in cores, from cgroup v2 or v1; None where there is none."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()[:2]
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        folder = Path("/sys/fs/cgroup/cpu")
        limit_us = int((folder / "cpu.cfs_quota_us").read_text())
        period_us = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return limit_us / period_us if limit_us > 0 else None
