"""An environment's pip, and what it means when it fails."""

import contextlib
import os
import re
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from errors import EngineError

Say = Callable[[str], None]

_SHOWN = re.compile(r"^(Collecting|Downloading|Installing collected|Building) *(\S*)")


def log_tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log; empty where there is none."""
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
    return ""


class Pip:
    """An environment's pip. The user's own configuration of pip stays in force."""

    def __init__(self, python: Path, log: Path, say: Say, title: str) -> None:
        self.python, self.log, self._say, self._title = python, log, say, title

    def install(self, *what: str, environment: Mapping[str, str] | None = None) -> None:
        """Install; raises EngineError with the cause in words.

        `environment`: variables for what pip builds.
        """
        code, said = self._call(what, environment)
        if code != 0:
            raise pip_error(said, self.log, self._title)

    def tries(self, *what: str) -> bool:
        """Install what may not be to be had; a full disk is an error all the same."""
        code, said = self._call(what)
        if code != 0 and "No space left" in said:
            raise pip_error(said, self.log, self._title)
        return code == 0

    def _call(
        self, what: tuple[str, ...], more: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        options = ("--progress-bar", "off", "--disable-pip-version-check", "--no-input")
        argv = [str(self.python), "-m", "pip", "install", *options, *what]
        # `user = true` in a pip.conf can't be meant for a virtual environment.
        environment = {**os.environ, "PIP_USER": "0", "PYTHONUNBUFFERED": "1", **(more or {})}
        last: deque[str] = deque(maxlen=60)
        with (
            self.log.open("a", encoding="utf-8") as log,
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
        "Check pip's index, and the system: vLLM needs Linux with glibc 2.28 or later.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "packages contradict one another",
        "Remove constraints of your own (PIP_CONSTRAINT, pip.conf), then run it again.",
    ),
)


def pip_error(said: str, log: Path, title: str) -> EngineError:
    """The error for what pip said at its end, when `title` was to be installed."""
    found = (words for pattern, *words in _CAUSES if re.search(pattern, said))
    what, fix = next(found, ("pip failed", "Run it again."))
    return EngineError(
        f"{title} could not be installed: {what}.",
        fix=f"{fix} All that pip said is in {log}",
        log=log_tail(log),
    )
