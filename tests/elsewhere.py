"""Runs a piece of Python where a failed confinement harms nobody: in a process table of its own.

An attack that works there reaches nothing but what was started there. Another user can't reach
a Python that lies in root's closed home; for such a user it is shown in a mount namespace in
which the folders above it are open.
"""

import functools
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
USER = 54321  # a user id that means nothing here
_OWN_TABLE = ["--pid", "--fork", "--mount-proc", "--kill-child"]


def run(code: str, *, user: int | None = None, python_open: bool = False) -> Any:
    """The JSON that the code prints last. `user`: run it without any right as that user;
    `python_open`: run it where every user can reach Python, which `user` implies."""
    command = [sys.executable, "-B", "-c", code]
    if user is not None:
        if os.geteuid() != 0:
            pytest.skip("only root can be another user")
        drop = ["--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", *drop, *command]
    if user is not None or python_open:
        command = ["sh", "-ec", f'{_open_python()}\nexec "$@"', "sh", *command]
    with tempfile.TemporaryDirectory(prefix="hearth-") as home:
        Path(home).chmod(0o777)
        done = subprocess.run(
            ["unshare", *_unshare(), *command],
            cwd=ROOT,
            env={**os.environ, "HOME": home},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@functools.cache
def _unshare() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
    options = [*user, "--mount", *_OWN_TABLE]
    try:
        subprocess.run(["unshare", *options, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no process table of one's own can be had here")
    return options


def _open_python() -> str:
    """Commands that show this Python and this checkout where others can't reach them."""
    shown = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT}
    closed = {folder for path in shown for folder in path.parents if _is_closed(folder)}
    outer = [folder for folder in closed if closed.isdisjoint(folder.parents)]
    lines = ["held=$(mktemp -d)"]
    inside = sorted(path for path in shown if not closed.isdisjoint(path.parents))
    for number, path in enumerate(inside):
        lines.append(f"mkdir $held/{number}; mount --bind {shlex.quote(str(path))} $held/{number}")
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(folder))}" for folder in outer]
    for number, path in enumerate(inside):
        place = shlex.quote(str(path))
        lines.append(f"mkdir -p {place}; mount --move $held/{number} {place}")
    return "\n".join([*lines, "rm -r $held"])


def _is_closed(folder: Path) -> bool:
    return not folder.stat().st_mode & 0o001
