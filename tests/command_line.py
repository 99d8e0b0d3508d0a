"""`python -m agent` as a user meets it: a process of its own, with pipes or on a terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def start(
    arguments: Sequence[str],
    tmp_path: Path,
    url: str = "",
    streams: dict[str, Any] | None = None,
    **variables: str,
) -> subprocess.Popen[str]:
    environment = {**os.environ, "HEARTH_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "100"}
    environment.update(variables)
    if url:
        environment["HEARTH_ENDPOINT_URL"] = url
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-m", "agent", *arguments],
        cwd=ROOT,
        env=environment,
        text=True,
        **{**pipes, **(streams or {})},
    )


def run(
    arguments: Sequence[str], tmp_path: Path, url: str = "", stdin: str = "", **variables: str
) -> tuple[int, str, str]:
    process = start(arguments, tmp_path, url, **variables)
    out, err = process.communicate(stdin, timeout=60)
    assert "Traceback" not in out + err, out + err
    return process.returncode, out, err


def on_terminal(
    arguments: Sequence[str],
    tmp_path: Path,
    url: str,
    *typed: tuple[str, str],
    **variables: str,
) -> tuple[int, str]:
    """Its exit code and what it wrote to standard output, with a terminal for all else.

    `typed`: pairs of what is waited for on the terminal and what is then typed.
    """
    ours, theirs = pty.openpty()
    terminal = {"stdin": theirs, "stderr": theirs}
    process = start(arguments, tmp_path, url, terminal, **variables)
    os.close(theirs)
    seen = ""
    for awaited, answer in typed:
        while awaited not in seen:
            seen += os.read(ours, 1000).decode()
        seen = seen.partition(awaited)[2]
        os.write(ours, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    return process.returncode, out
