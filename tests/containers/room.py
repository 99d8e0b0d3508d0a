"""A place from which a user without rights can run this checkout with this Python.

Often the two lie in folders that only their owner may enter, such as /root. What can't be
reached is linked into a folder that can be, file by file, which costs no space.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_CHECKOUT = ("agent", "evals", "memory", "sandbox", "serving", "settings", "tests", "tools", "web")
_FILES = ("app.py", "errors.py", "pyproject.toml")
UID = 1000


@dataclass(frozen=True)
class Room:
    """The interpreter and the checkout to use, and the variables that the interpreter needs."""

    python: Path
    checkout: Path
    variables: dict[str, str]


def reachable(path: Path) -> bool:
    """Whether every user may enter the folders above, and read what is there."""
    path = path.resolve()
    ways = all(parent.stat().st_mode & 0o001 for parent in path.parents)
    mode = path.stat().st_mode
    return ways and bool(mode & 0o004) and (not path.is_dir() or bool(mode & 0o001))


def room(folder: Path) -> Room:
    """Make the place in `folder`, which every user may enter."""
    base = Path(sys.base_prefix).resolve()
    packages = Path(sysconfig.get_paths()["purelib"]).resolve()
    checkout = ROOT if reachable(ROOT) else _linked_checkout(folder / "checkout")
    if reachable(Path(sys.executable)) and reachable(packages):
        return Room(Path(sys.executable), checkout, {})
    if not reachable(base):
        base = _linked(base, folder / "python", leave_out=_left_out)
    if not reachable(packages):
        packages = _linked(packages, folder / "packages", leave_out=lambda *_: [])
    # It may have been built to look for its own library where nobody else can.
    variables = {"LD_LIBRARY_PATH": str(base / "lib")}
    return Room(_environment(folder / "venv", base, packages), checkout, variables)


def _environment(venv: Path, base: Path, packages: Path) -> Path:
    """A virtual environment around the two, as `python -m venv` would make it."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (venv / "bin").mkdir(parents=True)
    (venv / "lib" / version).mkdir(parents=True)
    (venv / "lib" / version / "site-packages").symlink_to(packages)
    (venv / "bin" / "python").symlink_to(base / "bin" / version)
    monty = Path(sysconfig.get_path("scripts")) / "monty"  # the restricted interpreter
    if monty.exists():
        shutil.copy2(monty, venv / "bin" / monty.name)
    (venv / "pyvenv.cfg").write_text(
        f"home = {base / 'bin'}\ninclude-system-site-packages = false\n"
    )
    return venv / "bin" / "python"


def _left_out(folder: str, names: list[str]) -> list[str]:
    return [n for n in names if n in ("test", "site-packages", "idlelib") or n.endswith(".a")]


def _linked_checkout(target: Path) -> Path:
    target.mkdir()
    for name in _CHECKOUT:
        shutil.copytree(ROOT / name, target / name)
    for name in _FILES:
        shutil.copy(ROOT / name, target / name)
    return target


def _linked(source: Path, target: Path, leave_out: "shutil._IgnoreFn") -> Path:
    def link(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:  # another file system
            shutil.copy2(one, other)

    shutil.copytree(source, target, symlinks=True, copy_function=link, ignore=leave_out)
    return target


def without_rights(
    command: list[str], *, cwd: Path, variables: dict[str, str], seconds: float
) -> "subprocess.CompletedProcess[str]":
    """Run a command as another user, without any capability, and unable to gain one."""
    if os.geteuid() == 0:
        command = [
            "setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups",
            "--inh-caps", "-all", "--bounding-set", "-all", "--no-new-privs", "--", *command,
        ]  # fmt: skip
    else:
        command = ["setpriv", "--no-new-privs", "--", *command]
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=seconds
    )
