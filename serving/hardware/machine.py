"""What detection may ask of a machine: files, programs, variables. All of it can be recorded.

`ThisMachine` asks the machine it runs on. `Recorder` does too and notes every answer, so that
`RecordedMachine` can give the same answers elsewhere: in a test, or for somebody who wants to
see what Hearth would do on a machine that isn't at hand.
"""

import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from errors import InputError

_OUTPUT_CHARS = 100_000


@dataclass(frozen=True)
class Ran:
    """A program that ran: its exit code (None: it did not end in time) and what it printed."""

    code: int | None
    out: str
    err: str = ""


class Machine(Protocol):
    """A machine, as far as detection looks at it. Nothing here raises for what isn't there."""

    def system(self) -> str:
        """`Linux`, `Darwin` or `Windows`."""

    def architecture(self) -> str:
        """Such as `x86_64` or `arm64`."""

    def env(self, name: str) -> str | None:
        """An environment variable, None where it isn't set."""

    def read_text(self, path: str) -> str | None:
        """The text of a file, None where it can't be read."""

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none where it can't be listed."""

    def exists(self, path: str) -> bool:
        """Whether a file, folder or device is there."""

    def run(self, *argv: str) -> Ran | None:
        """Run a program for at most 20 seconds; None where there is none of that name."""

    def cores(self) -> int:
        """The CPU cores that the process may be scheduled on."""

    def home(self) -> str:
        """The user's folder."""

    def disk_free(self, path: str) -> int | None:
        """Bytes free for `path`, which need not be there yet; None where that can't be told."""

    def package(self, name: str) -> str:
        """The version of an installed Python package, or nothing."""

    def reach(self, url: str, seconds: float) -> str:
        """Ask a server for its head: nothing when it answers, else why it doesn't."""


class ThisMachine:
    """The machine that this process runs on."""

    def system(self) -> str:
        return platform.system()

    def architecture(self) -> str:
        return platform.machine()

    def env(self, name: str) -> str | None:
        return os.environ.get(name)

    def read_text(self, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace")[:_OUTPUT_CHARS]
        except OSError:
            return None

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(entry.name for entry in Path(folder).iterdir())
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        return os.path.exists(path)  # noqa: PTH110  (it raises nothing, not even for /dev)

    def run(self, *argv: str) -> Ran | None:
        program = shutil.which(argv[0])
        if program is None:
            return None
        try:
            done = subprocess.run(
                [program, *argv[1:]], capture_output=True, text=True, timeout=20, check=False
            )
        except subprocess.TimeoutExpired:
            return Ran(None, "", "it did not answer within 20 seconds")
        except (OSError, ValueError) as error:
            return Ran(None, "", str(error))
        return Ran(done.returncode, done.stdout[:_OUTPUT_CHARS], done.stderr[:_OUTPUT_CHARS])

    def cores(self) -> int:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    def home(self) -> str:
        return os.path.expanduser("~")  # noqa: PTH111  (Path.home() raises where there is none)

    def disk_free(self, path: str) -> int | None:
        place = Path(path)
        try:
            there = next(p for p in (place, *place.parents) if p.exists())
            return shutil.disk_usage(there).free
        except (OSError, StopIteration):
            return None

    def package(self, name: str) -> str:
        import importlib.metadata

        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return ""

    def reach(self, url: str, seconds: float) -> str:
        import httpx

        try:
            httpx.head(url, timeout=seconds, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return (str(error).strip().splitlines() or [type(error).__name__])[0]
        return ""


class Recorder:
    """Asks `machine`, and notes each question with its answer in `notes`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.notes: dict[str, Any] = {}

    def system(self) -> str:
        return self._one("system", self._machine.system())

    def architecture(self) -> str:
        return self._one("architecture", self._machine.architecture())

    def env(self, name: str) -> str | None:
        return self._each("env", name, self._machine.env(name))

    def read_text(self, path: str) -> str | None:
        text = self._machine.read_text(path)
        if text is not None and path == "/proc/cpuinfo":
            text = text.partition("\n\n")[0] + "\n"  # one core's entry: the others are like it
        return self._each("files", path, text)

    def names(self, folder: str) -> list[str]:
        found = self._machine.names(folder)
        self._each("folders", folder, found or None)
        return found

    def exists(self, path: str) -> bool:
        found = self._machine.exists(path)
        self._each("exists", path, found or None)
        return found

    def run(self, *argv: str) -> Ran | None:
        ran = self._machine.run(*argv)
        if ran is not None:
            answer = {"code": ran.code, "out": ran.out, "err": ran.err}
            self._each("programs", " ".join(argv), {k: v for k, v in answer.items() if v != ""})
        return ran

    def cores(self) -> int:
        return self._one("cores", self._machine.cores())

    def home(self) -> str:
        return self._one("home", self._machine.home())

    def disk_free(self, path: str) -> int | None:
        return self._each("disk_free", path, self._machine.disk_free(path))

    def package(self, name: str) -> str:
        found = self._machine.package(name)
        self._each("packages", name, found or None)
        return found

    def reach(self, url: str, seconds: float) -> str:
        return self._each("reach", url, self._machine.reach(url, seconds))

    def _one(self, key: str, value: Any) -> Any:
        self.notes[key] = value
        return value

    def _each(self, key: str, name: str, value: Any) -> Any:
        if value is not None:  # what isn't there is not written down
            self.notes.setdefault(key, {})[name] = value
        return value


class RecordedMachine:
    """A machine that gives the answers of a recording (see `Recorder.notes` for its shape)."""

    def __init__(self, notes: dict[str, Any]) -> None:
        self._notes = notes

    @classmethod
    def load(cls, path: Path) -> "RecordedMachine":
        """Read a recording. Raises InputError for a file that is none."""
        try:
            notes = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} is no recording of a machine ({error}).",
                fix="Make one there with `python -m serving hardware --record FILE`.",
            ) from None
        if not isinstance(notes, dict) or not {"system", "architecture", "cores"} <= set(notes):
            raise InputError(
                f"{path} is no recording of a machine: it names no system and no cores.",
                fix="Make one there with `python -m serving hardware --record FILE`.",
            )
        return cls(notes)

    def system(self) -> str:
        return str(self._notes["system"])

    def architecture(self) -> str:
        return str(self._notes["architecture"])

    def env(self, name: str) -> str | None:
        return self._notes.get("env", {}).get(name)

    def read_text(self, path: str) -> str | None:
        return self._notes.get("files", {}).get(path)

    def names(self, folder: str) -> list[str]:
        return list(self._notes.get("folders", {}).get(folder, []))

    def exists(self, path: str) -> bool:
        return bool(self._notes.get("exists", {}).get(path)) or self.read_text(path) is not None

    def run(self, *argv: str) -> Ran | None:
        programs = self._notes.get("programs", {})
        call = " ".join(argv)
        if call not in programs:
            if any(known.split(" ", 1)[0] == argv[0] for known in programs):
                raise InputError(
                    f"The recording doesn't say what `{call}` answers.",
                    fix="Record the machine again with this version of Hearth.",
                )
            return None
        return Ran(
            programs[call].get("code"), programs[call].get("out", ""), programs[call].get("err", "")
        )

    def cores(self) -> int:
        return int(self._notes["cores"])

    def home(self) -> str:
        return str(self._notes.get("home", "/root"))

    def disk_free(self, path: str) -> int | None:
        return self._notes.get("disk_free", {}).get(path)

    def package(self, name: str) -> str:
        return str(self._notes.get("packages", {}).get(name, ""))

    def reach(self, url: str, seconds: float) -> str:
        return str(self._notes.get("reach", {}).get(url, "the recording has no network"))
