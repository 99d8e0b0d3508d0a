"""Engines that need a Python environment of their own: where it is, whether it is whole, and
how it is made (`python -m serving install vllm`).

vLLM caps packages below what Hearth runs, and llama.cpp's builds come and go weekly, so neither
shares Hearth's environment. Each has its own, built in a folder beside (`….part`) and renamed
at the very end, after it has been imported once and a stamp was written: a folder with the
right stamp is whole, and nothing else counts. What goes into each is in `environments.py`.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import filelock

from errors import EngineError, HearthError, SettingsError
from serving import environments
from serving.environments import (
    ALL,
    CPU,
    CUDA,
    LLAMACPP,
    STAMP,
    TPU,
    Environment,
    cpu_obstacle,
    recipe,
)
from serving.pip import Pip, Say, log_tail

__all__ = [
    "ALL",
    "CPU",
    "CUDA",
    "LLAMACPP",
    "TPU",
    "Environment",
    "cpu_obstacle",
    "install",
    "obstacle",
    "recipe",
    "require",
]

_PYTHONS = ((3, 11), (3, 13))  # what Hearth supports; vLLM 0.32 takes 3.11 to 3.14


def require(environment: Environment) -> Path:
    """The Python of an installed environment. Raises EngineError that says how to install it."""
    if environment.versions() is None:
        stale = (environment.folder / STAMP).exists()
        how = "was installed for other versions than this Hearth's" if stale else "is not installed"
        raise EngineError(
            f"The engine {environment.engine} {how}.",
            fix=f"Run `python -m serving install {environment.asked}`{environment.instead}.",
        )
    return environment.python


def obstacle(environment: Environment) -> HearthError | None:
    """What `require` would raise."""
    try:
        require(environment)
    except HearthError as error:
        return error
    return None


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
    there = environment.versions()
    if there is not None and not again:
        say(f"{environment.name} is installed already: {_shown(there)}")
        return there
    _check_machine(environment)
    part = environment.folder.with_name(environment.folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    environment.log.write_text("", "utf-8")
    try:
        _make_venv(part, environment.log, say)
        environment.steps(Pip(part / "bin" / "python", environment.log, say, environment.title))
        say("importing it once")
        made = _versions(environment, part / "bin" / "python")
        stamp = {"recipe": recipe(environment), "versions": made}
        (part / STAMP).write_text(json.dumps(stamp, indent=1), "utf-8")
        _name_folder(part, environment.folder)
        shutil.rmtree(environment.folder, ignore_errors=True)
        part.rename(environment.folder)
    except BaseException:  # Ctrl-C too: gigabytes are not left lying
        shutil.rmtree(part, ignore_errors=True)
        raise
    say(f"installed {environment.name}: {_shown(made)}")
    return made


def _shown(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _check_machine(environment: Environment) -> None:
    title = environment.title
    if not _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        raise SettingsError(
            f"{title} is installed with Python 3.11 to 3.13, and this is "
            f"{platform.python_version()}.",
            fix="Set Hearth up with one of these: make setup PYTHON=/path/to/python3.12",
        )
    why = environment.obstacle()
    if why:
        raise SettingsError(
            f"{title} can't be installed here: {why}.",
            fix="Use the engine transformers, or a server elsewhere (HEARTH_ENDPOINT_URL).",
        )
    free = shutil.disk_usage(environments.ROOT).free / 10**9
    if free < environment.need_gb:
        raise EngineError(
            f"The disk is too full for {title}: {environment.need_gb} GB are needed, "
            f"{free:.1f} GB are free at {environments.ROOT}.",
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
        log=log_tail(log),
    )


def _run(argv: list[str], log: Path) -> int:
    with log.open("ab") as output:
        return subprocess.run(
            argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        ).returncode


def _versions(environment: Environment, python: Path) -> dict[str, str]:
    """The versions in an environment, after the engine has been imported there."""
    modules = environment.modules
    script = (
        f"import json, platform, {', '.join(modules)}\n"
        f"found = {{m.__name__: m.__version__ for m in ({', '.join(modules)},)}}\n"
        "print(json.dumps(found | {'python': platform.python_version()}))"
    )
    done = subprocess.run([str(python), "-P", "-c", script], capture_output=True, text=True)
    with environment.log.open("a", encoding="utf-8") as file:
        file.write(done.stdout + done.stderr)
    if done.returncode != 0:
        raise EngineError(
            f"{environment.title} was installed, but can't be imported.",
            fix=f"Look at the end of {environment.log}.",
            log=log_tail(environment.log),
        )
    found: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _name_folder(part: Path, folder: Path) -> None:
    """Scripts of an environment name its folder in their first line: let it be the final one."""
    old, new = os.fsencode(part), os.fsencode(folder)
    for script in (part / "bin").iterdir():
        if script.is_symlink() or not script.is_file() or script.stat().st_size > 100_000:
            continue
        text = script.read_bytes()
        if b"\0" not in text and old in text:
            script.write_bytes(text.replace(old, new))
