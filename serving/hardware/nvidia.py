"""NVIDIA GPUs, asked of nvidia-smi, or of the driver where that program is missing."""

import dataclasses
import re

from serving.hardware.findings import GIB, MIB, Gpu
from serving.hardware.machine import Machine, Ran

# On WSL and on some Colab images the program lies beside the usual path.
PROGRAMS = ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi", "/opt/bin/nvidia-smi")
FIELDS = (
    "name", "compute_cap", "memory.total", "memory.free", "memory.reserved", "driver_version",
    "mig.mode.current", "uuid",
)  # fmt: skip
# What drivers of before 2021 know: no compute_cap, no memory.reserved.
OLD_FIELDS = ("name", "memory.total", "memory.free", "driver_version", "uuid")
# By their name, where the driver doesn't tell: developer.nvidia.com/cuda-gpus.
_CAPABILITIES = {
    "T4": 7.5, "RTX 20": 7.5, "A100": 8.0, "A10G": 8.6, "A10": 8.6, "RTX A": 8.6, "RTX 30": 8.6,
    "L40S": 8.9, "L4": 8.9, "RTX 40": 8.9, "H100": 9.0, "H200": 9.0, "B200": 10.0,
    "RTX PRO 6000": 12.0, "RTX 50": 12.0, "V100": 7.0, "P100": 6.0,
}  # fmt: skip
# What CUDA programs see of cards that come in one size, in GiB, as PyTorch prints it.
_SIZES = {
    "T4": 14.5, "A10G": 22.0, "L40S": 44.3, "L4": 22.0, "RTX 4090": 23.5, "RTX 3090": 23.5,
    "H200": 139.7, "RTX PRO 6000": 94.5,
}  # fmt: skip
_MIG_LINE = re.compile(r"^\s+MIG (\S+)\s+Device\s+\d+:\s+\(UUID: (MIG-[^)]+)\)")
_MIG_MEMORY = re.compile(r"\.(\d+)gb", re.IGNORECASE)


def find_gpus(machine: Machine) -> tuple[tuple[Gpu, ...], str]:
    """The GPUs that a CUDA program of this process sees, and why these or none."""
    visible = machine.env("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return (), f"CUDA_VISIBLE_DEVICES is {visible!r}"
    for program in PROGRAMS:
        answer = _ask(machine, program)
        if answer is None:
            continue
        fields, ran = answer
        lines = [line for line in ran.out.splitlines() if "," in line]
        if ran.code is None:
            return (), f"nvidia-smi does not answer: {ran.err}"
        if ran.code != 0 or not lines:
            said = (ran.out + ran.err).strip().splitlines()
            return (), f"nvidia-smi finds no GPU: {said[0] if said else ran.code}"
        cards = [_gpu(fields, line) for line in lines]
        return _visible(_with_slices(machine, program, cards), visible)
    return _from_driver(machine)


def _ask(machine: Machine, program: str) -> tuple[tuple[str, ...], Ran] | None:
    def query(fields: tuple[str, ...]) -> Ran | None:
        return machine.run(
            program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"
        )

    ran = query(FIELDS)
    if ran is not None and "not a valid field" in ran.out + ran.err:
        older = query(OLD_FIELDS)
        return None if older is None else (OLD_FIELDS, older)
    return None if ran is None else (FIELDS, ran)


def _gpu(fields: tuple[str, ...], line: str) -> tuple[Gpu, str, bool]:
    """The GPU of one line, its UUID, and whether it is cut into MIG slices."""
    cells = dict(zip(fields, (cell.strip() for cell in line.split(",")), strict=False))
    total, free = _mib(cells.get("memory.total")), _mib(cells.get("memory.free"))
    reserved = _mib(cells.get("memory.reserved")) or 0
    name = cells["name"]
    gpu = Gpu(
        name=name,
        reason="nvidia-smi lists it",
        total_bytes=None if total is None else total - reserved,
        free_bytes=free,
        capability=_number(cells.get("compute_cap")) or capability_by_name(name),
        driver=_text(cells.get("driver_version")),
    )
    return gpu, _text(cells.get("uuid")), cells.get("mig.mode.current") == "Enabled"


def _with_slices(
    machine: Machine, program: str, found: list[tuple[Gpu, str, bool]]
) -> list[tuple[Gpu, str]]:
    """Each GPU in MIG mode replaced by its slices: CUDA sees those, never the whole card."""
    if not any(cut for *_, cut in found):
        return [(gpu, uuid) for gpu, uuid, _ in found]
    listed = machine.run(program, "-L")
    slices: dict[str, list[tuple[str, str]]] = {}
    card = ""
    for line in listed.out.splitlines() if listed else []:
        if match := _MIG_LINE.match(line):
            slices.setdefault(card, []).append((match[1], match[2]))
        elif "UUID: " in line:
            card = line.rpartition("UUID: ")[2].rstrip(") ")
    result = []
    for gpu, uuid, cut in found:
        if not cut:
            result.append((gpu, uuid))
        for profile, slice_uuid in slices.get(uuid, []) if cut else []:
            size = _MIG_MEMORY.search(profile)
            total = int(size[1]) * 10**9 if size else None  # the profile's GB, rounded down
            reason = f"nvidia-smi lists it as a MIG slice of an {gpu.name}"
            part = dataclasses.replace(
                gpu, total_bytes=total, free_bytes=None, mig=profile, reason=reason
            )
            result.append((part, slice_uuid))
    return result


def _visible(found: list[tuple[Gpu, str]], visible: str | None) -> tuple[tuple[Gpu, ...], str]:
    """What CUDA_VISIBLE_DEVICES leaves: it names indices or the beginnings of UUIDs."""
    if visible is None:
        # CUDA enumerates one MIG slice only when none is named.
        gpus = [gpu for gpu, _ in found]
        return tuple(gpus[:1] if gpus and gpus[0].mig else gpus), "nvidia-smi lists them"
    chosen = []
    for entry in visible.split(","):
        entry = entry.strip()
        if entry.isdigit() and int(entry) < len(found):
            chosen.append(found[int(entry)][0])
        elif not entry.lstrip("-").isdigit() and entry:
            chosen += [gpu for gpu, uuid in found if uuid.startswith(entry)][:1]
        else:
            break  # CUDA ignores all that follows an index that isn't there
    reason = f"CUDA_VISIBLE_DEVICES is {visible!r}"
    return tuple(dataclasses.replace(g, reason=f"{g.reason}; {reason}") for g in chosen), reason


def _from_driver(machine: Machine) -> tuple[tuple[Gpu, ...], str]:
    version = machine.read_text("/proc/driver/nvidia/version")
    if version is None:
        if machine.exists("/dev/kfd"):
            return (), "an AMD GPU is there (/dev/kfd), which no local engine of Hearth's uses"
        return (), "no NVIDIA driver: neither nvidia-smi nor /proc/driver/nvidia is there"
    reason = "the NVIDIA driver is loaded (no nvidia-smi to ask for more)"
    number = re.search(r"Kernel Module\s+(?:for \S+\s+)?(\d[\d.]+)", version)
    driver = number[1] if number else ""
    gpus = []
    for slot in machine.names("/proc/driver/nvidia/gpus"):
        text = machine.read_text(f"/proc/driver/nvidia/gpus/{slot}/information") or ""
        model = re.search(r"^Model:\s*(.+)$", text, re.MULTILINE)
        name = model[1].strip() if model else "an NVIDIA GPU"
        size = next((_SIZES[k] for k in _SIZES if re.search(rf"\b{k}\b(?! Laptop)", name)), None)
        gpus.append(
            Gpu(
                name,
                reason if size is None else f"{reason}; its memory by its name",
                total_bytes=None if size is None else int(size * GIB),
                capability=capability_by_name(name),
                driver=driver,
            )
        )
    return tuple(gpus) or (Gpu("an NVIDIA GPU", reason, driver=driver),), reason


def capability_by_name(name: str) -> float | None:
    """The compute capability that a GPU of this name has, None for a name not known."""
    found = (_CAPABILITIES[k] for k in _CAPABILITIES if re.search(rf"\b{re.escape(k)}", name))
    return next(found, None)


def _mib(cell: str | None) -> int | None:
    number = _number(cell)
    return None if number is None else int(number * MIB)


def _number(cell: str | None) -> float | None:
    match = re.match(r"\d+(\.\d+)?", cell or "")  # also `15360 MiB`; not `[N/A]`
    return float(match[0]) if match else None


def _text(cell: str | None) -> str:
    return "" if cell is None or cell.startswith("[") else cell
