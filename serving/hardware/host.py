"""Cores, main memory, CPU features and disk, within the limits of the container."""

import math
import re

from serving.hardware.findings import GIB, Cpu, Disk, Memory
from serving.hardware.machine import Machine

# Names in /proc/cpuinfo → names for people. AMX and AVX-512 decide how fast a CPU multiplies.
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 BF16",
    "amx_tile": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
}
_NO_LIMIT = 1 << 60  # cgroup v1 writes a number near 2^63 for none
_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "K": 10**3, "M": 10**6, "G": 10**9}


def find_cpu(machine: Machine) -> Cpu:
    """The CPU, and how many of its cores this process may use."""
    cores, reason = _cores(machine)
    if machine.system() == "Darwin":
        ran = machine.run("sysctl", "-n", "machdep.cpu.brand_string")
        name = ran.out.strip() if ran and ran.code == 0 else "a Mac's CPU"
        return Cpu(name, cores, reason, ("NEON",) if machine.architecture() == "arm64" else ())
    info = machine.read_text("/proc/cpuinfo") or ""
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", info, re.MULTILINE)
    words = set(flags[1].split()) if flags else set()
    name = model[1].strip() if model else f"a CPU ({machine.architecture()})"
    return Cpu(name, cores, reason, tuple(_FEATURES[f] for f in _FEATURES if f in words))


def _cores(machine: Machine) -> tuple[int, str]:
    """Cores by the scheduler's affinity, the container's quota and what a Space says it has."""
    cores, reason = machine.cores(), "as many as the process may be scheduled on"
    quota = _cpu_quota(machine)
    if quota and math.ceil(quota) < cores:
        cores, reason = max(1, math.ceil(quota)), f"the container's quota is {quota:g} cores"
    told = re.match(r"\d+(\.\d+)?", machine.env("CPU_CORES") or "")
    if machine.env("SPACE_ID") and told and 0 < float(told[0]) < cores:
        cores, reason = math.ceil(float(told[0])), f"the Space says CPU_CORES={told[0]}"
    return cores, reason


def _cpu_quota(machine: Machine) -> float | None:
    """The CPU limit in cores, the least on the way up the cgroups; None where there is none."""
    quotas = []
    for folder in _cgroup_folders(machine):
        words = (machine.read_text(f"{folder}/cpu.max") or "").split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    if not quotas:
        limit = _int(machine.read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
        period = _int(machine.read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
        if limit and period and limit > 0:
            quotas.append(limit / period)
    return min(quotas, default=None)


def find_memory(machine: Machine) -> Memory:
    """Main memory: the machine's, or the container's limit where that is less."""
    if machine.system() == "Darwin":
        return _mac_memory(machine)
    info = machine.read_text("/proc/meminfo") or ""
    total, available = _kib(info, "MemTotal"), _kib(info, "MemAvailable")
    if total is None:
        return Memory(0, 0, "/proc/meminfo can't be read")
    if available is None:
        available = _kib(info, "MemFree") or 0
    reason = "/proc/meminfo"
    for limit, used, where in _memory_limits(machine):
        if limit < total:
            total, reason = limit, f"the container's limit ({where})"
        available = min(available, max(0, limit - used))
    told = _size(machine.env("MEMORY")) if machine.env("SPACE_ID") else None
    if told and told < total:
        total, reason = told, f"the Space says MEMORY={machine.env('MEMORY')}"
        available = min(available, told)
    return Memory(total, available, reason)


def _memory_limits(machine: Machine) -> list[tuple[int, int, str]]:
    """(limit, bytes used that can't be dropped, file) of each cgroup that has a limit."""
    limits = []
    for folder in _cgroup_folders(machine):
        limit = _int(machine.read_text(f"{folder}/memory.max"))
        if limit is not None:
            used = _int(machine.read_text(f"{folder}/memory.current")) or 0
            cached = _stat(machine.read_text(f"{folder}/memory.stat"), "inactive_file")
            limits.append((limit, max(0, used - cached), f"{folder}/memory.max"))
    if limits:
        return limits
    folder = "/sys/fs/cgroup/memory"
    limit = _int(machine.read_text(f"{folder}/memory.limit_in_bytes"))
    if limit is None or limit >= _NO_LIMIT:
        return []
    used = _int(machine.read_text(f"{folder}/memory.usage_in_bytes")) or 0
    cached = _stat(machine.read_text(f"{folder}/memory.stat"), "total_inactive_file")
    return [(limit, max(0, used - cached), f"{folder}/memory.limit_in_bytes")]


def _cgroup_folders(machine: Machine) -> list[str]:
    """The process's cgroup v2 folders from its own up to the root.

    In a container the own one is usually seen as the root; under systemd it lies deep.
    """
    root = "/sys/fs/cgroup"
    own = re.search(r"^0::(/\S*)$", machine.read_text("/proc/self/cgroup") or "", re.MULTILINE)
    parts = [part for part in (own[1] if own else "/").split("/") if part and part != ".."]
    return [root + "".join(f"/{p}" for p in parts[:n]) for n in range(len(parts), -1, -1)]


def _mac_memory(machine: Machine) -> Memory:
    ran = machine.run("sysctl", "-n", "hw.memsize")
    total = _int(ran.out) if ran and ran.code == 0 else None
    if not total:
        return Memory(0, 0, "sysctl does not tell")
    # macOS keeps little memory free and gives up cached files: what it can give isn't counted
    # anywhere. A quarter, at least 4 GiB, is left for the system and other programs.
    return Memory(total, total - max(total // 4, 4 * GIB), "sysctl hw.memsize, less a quarter")


def find_disk(machine: Machine) -> Disk:
    """The folder where Hugging Face keeps downloaded models, and the bytes free there.

    The order of the variables is huggingface_hub's (its docs, "Environment variables").
    """
    home = machine.env("HF_HOME")
    cache = machine.env("XDG_CACHE_HOME") or f"{machine.home()}/.cache"
    candidates = (
        (machine.env("HF_HUB_CACHE"), "HF_HUB_CACHE"),
        (machine.env("HUGGINGFACE_HUB_CACHE"), "HUGGINGFACE_HUB_CACHE"),
        (f"{home}/hub" if home else None, "HF_HOME"),
    )
    named = [(folder, why) for folder, why in candidates if folder]
    folder, why = named[0] if named else (f"{cache}/huggingface/hub", "the default")
    return Disk(folder, machine.disk_free(folder), f"models go to {folder} ({why})")


def _kib(info: str, name: str) -> int | None:
    match = re.search(rf"^{name}:\s+(\d+) kB", info, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _stat(text: str | None, name: str) -> int:
    match = re.search(rf"^{name} (\d+)$", text or "", re.MULTILINE)
    return int(match[1]) if match else 0


def _int(text: str | None) -> int | None:
    try:
        return int((text or "").strip())
    except ValueError:
        return None  # such as `max`


def _size(text: str | None) -> int | None:
    """The bytes of a text such as `16Gi`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(Ki|Mi|Gi|K|M|G)?B?", (text or "").strip())
    return int(float(match[1]) * _UNITS.get(match[2] or "", 1)) if match else None
