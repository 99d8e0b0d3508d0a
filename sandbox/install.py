"""The app's side: packages that the user lets one session have.

A package goes into a folder of the session's own, which its worker may read but not write, and
which is deleted with the session. Three rules keep code that nobody has looked at away from
the app:

- only names of the table `known_packages`, or names that the user wrote, reach the index;
- only wheels: nothing is built, so no set-up code runs, neither here nor anywhere else;
- pip runs with `-I`, and never sees the session's folder as a place to import from.

pip itself runs with the user's rights and the user's own pip configuration (index, proxy).
It first resolves the package against what is installed already (`--dry-run --report`), then
gets exactly the files of that plan, by hash, into a folder aside, which is moved into place
when it is whole.
"""

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import Cancelled, InputError, PackageError
from sandbox.known_packages import normal, package_of

MAX_BYTES = 600_000_000
MAX_FILES = 30_000
MAX_SECONDS = 300.0
_NAME = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)(?:==([0-9][A-Za-z0-9.+!_-]*))?"
)
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Installed:
    """What an installation brought: package names with versions, bytes on disk, seconds."""

    versions: dict[str, str]
    size: int
    seconds: float

    def __str__(self) -> str:
        names = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{names} ({self.size / 1e6:.1f} MB)"


class Packages:
    """The packages of one session, in `folder`; made by `prepare`, removed by `close`.

    `allowed` is the setting `sandbox_install`: `ask`, `never`, or names that the user allows
    beforehand. `max_bytes` and `max_seconds` bound one installation.
    """

    def __init__(
        self,
        folder: Path,
        allowed: str = "ask",
        *,
        max_bytes: int = MAX_BYTES,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self.folder = folder.absolute()
        self.mode, self._named = parse_allowed(allowed)
        self._max_bytes, self._max_seconds = max_bytes, max_seconds
        self._busy = threading.Lock()

    def prepare(self) -> None:
        """Make the folder: it has to be there before the worker is confined."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def offer(self, module: str) -> tuple[str, str]:
        """What may be done about a module that the code lacks: (`install`, package) where the
        user allowed it beforehand, (`ask`, package) where the user can be asked, or (``, ``)."""
        package = package_of(module)
        for name in (package, module):
            if name and normal(name) in self._named:
                return "install", self._named[normal(name)]
        return ("ask", package) if package and self.mode == "ask" else ("", "")

    def install(
        self,
        name: str,
        *,
        on_progress: Callable[[str], None] = lambda text: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Installed:
        """Install a package and what it needs. `name` is one of the table, or one that the user
        wrote: nothing that code says may come here by another way.

        Raises InputError for a name that can't be or may not be installed, PackageError where
        the installation fails, and Cancelled after `stopped`; then nothing is left behind.
        """
        if self.mode == "never":
            raise InputError(
                "Packages are not installed here: sandbox_install is `never`.",
                fix="Set HEARTH_SANDBOX_INSTALL=ask to be asked.",
            )
        requirement = _requirement(name)
        if not self._busy.acquire(blocking=False):
            raise InputError("Another package is being installed.", fix="Wait until it is there.")
        try:
            self.prepare()
            with _aside(self.folder) as aside:
                run = _Pip(aside, self._max_bytes, self._max_seconds, stopped)
                return self._install(requirement, run, aside, on_progress)
        except OSError as error:
            raise _failed(requirement, error.strerror or str(error)) from None
        finally:
            self._busy.release()

    def _install(
        self, requirement: str, run: "_Pip", aside: Path, on_progress: Callable[[str], None]
    ) -> Installed:
        began = time.monotonic()
        on_progress(f"Looking for {requirement} …")
        here = installed_versions(self.folder)
        plan = _resolve(requirement, run, aside, {**here, **installed_versions()})
        plan = [part for part in plan if here.get(normal(part.name)) != part.version]
        if not plan:
            return Installed({}, 0, 0.0)
        names = ", ".join(f"{part.name} {part.version}" for part in plan)
        on_progress(f"Installing {names} …")
        target = aside / "target"
        wanted = aside / "plan.txt"
        wanted.write_text("".join(part.line() for part in plan))
        run("install", requirement, "--no-deps", "--target", str(target), "-r", str(wanted))
        size = _tidy(target, requirement, self._max_bytes)
        _move(target, self.folder)
        versions = {part.name: part.version for part in plan}
        return Installed(versions, size, round(time.monotonic() - began, 2))


def parse_allowed(value: str) -> tuple[str, dict[str, str]]:
    """The setting `sandbox_install` as (mode, names the user allows by their compared form).

    Mode is `ask`, `never` or `listed`. Raises ValueError for what is no package's name.
    """
    words = [word.strip() for word in value.split(",") if word.strip()]
    if len(words) == 1 and words[0].lower() in ("ask", "never"):
        return words[0].lower(), {}
    if not words:
        raise ValueError("say `ask`, `never`, or names of packages with commas between them")
    named = {}
    for word in words:
        match = _NAME.fullmatch(word)
        if match is None or word.lower() in ("ask", "never"):
            raise ValueError(f"{word!r} is no package's name")
        named[normal(match[1])] = word
    return "listed", named


@dataclass(frozen=True)
class _Part:
    """One file of the plan."""

    name: str
    version: str
    sha256: str

    def line(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


class _Pip:
    """Runs pip in a process group of its own, within the limits of one installation."""

    def __init__(
        self, aside: Path, max_bytes: int, max_seconds: float, stopped: Callable[[], bool]
    ) -> None:
        self._aside = aside
        self._max_bytes = max_bytes
        self._seconds = max_seconds
        self._deadline = time.monotonic() + max_seconds
        self._stopped = stopped

    def __call__(self, command: str, requirement: str, *options: str) -> None:
        """Run a pip command to its end. Raises PackageError, Cancelled."""
        log = self._aside / "pip.log"
        arguments = [
            sys.executable, "-I", "-m", "pip", command, "--no-input", "--only-binary", ":all:",
            "--disable-pip-version-check", "--no-color", "--progress-bar", "off",
            "--retries", "1", "--timeout", "15", *options,
        ]  # fmt: skip
        environment = {
            **os.environ,
            "PIP_USER": "0",  # in a pip.conf it can't be meant for this
            "PIP_BREAK_SYSTEM_PACKAGES": "1",  # it installs nothing but into our own folder
            "PIP_ROOT_USER_ACTION": "ignore",
            "TMPDIR": str(self._aside),
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                arguments,
                cwd=self._aside,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._watch(process, requirement)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode != 0:
            raise _failed(requirement, _reason(log.read_text("utf-8", "replace")))

    def _watch(self, process: "subprocess.Popen[bytes]", requirement: str) -> None:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
                return
            if self._stopped():
                raise Cancelled("The installation was stopped.")
            if time.monotonic() > self._deadline:
                raise _failed(requirement, f"it took longer than {self._seconds:g} s")
            size, files = _measure(self._aside)
            # What is downloaded lies beside what is unpacked from it.
            if size > 2 * self._max_bytes or files > 2 * MAX_FILES:
                raise _too_large(requirement, self._max_bytes)


def _resolve(requirement: str, run: _Pip, aside: Path, present: dict[str, str]) -> list[_Part]:
    """What has to be fetched so that the requirement is there; nothing that is installed
    already is exchanged for another version."""
    kept = aside / "kept.txt"
    kept.write_text("".join(f"{name}=={version}\n" for name, version in present.items()))
    report = aside / "report.json"
    run(
        "install", requirement, "--dry-run", "--report", str(report), "-c", str(kept), requirement
    )  # fmt: skip
    try:
        entries = json.loads(report.read_text("utf-8"))["install"]
        return [_part(entry) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise _failed(requirement, f"pip's plan can't be read ({error})") from None


def _part(entry: dict[str, Any]) -> _Part:
    info = entry["download_info"]
    if not info["url"].partition("#")[0].endswith(".whl"):
        raise ValueError(f"{info['url']} is no wheel")
    return _Part(
        entry["metadata"]["name"],
        entry["metadata"]["version"],
        info["archive_info"]["hashes"]["sha256"],
    )


def installed_versions(folder: Path | None = None) -> dict[str, str]:
    """The installed packages by compared name: of a folder, or of Hearth's environment."""
    found: dict[str, str] = {}
    where = sys.path if folder is None else [str(folder)]
    for distribution in importlib.metadata.distributions(path=where):
        name, version = distribution.metadata["Name"], distribution.version
        if name and version and _NAME.fullmatch(f"{name}=={version}"):
            found.setdefault(normal(name), version)
    return found


def _requirement(name: str) -> str:
    """`name` or `name==version`, the name being the package's even where the import's was given."""
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise InputError(
            f"{name!r} is no package's name.",
            fix="Write it as on the package index, such as seaborn or seaborn==0.13.2.",
        )
    package = package_of(match[1]) or match[1]
    return f"{package}=={match[2]}" if match[2] else package


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder on the same disk for what is not finished; removed at the end."""
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _measure(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below a folder in which others are at work."""
    size = files = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += (Path(root) / name).lstat().st_size
                files += 1
    return size, files


def _tidy(target: Path, requirement: str, max_bytes: int) -> int:
    """Programs go, links are refused, and everything becomes readable for the worker's user."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    size, files = _measure(target)
    if size > max_bytes or files > MAX_FILES:
        raise _too_large(requirement, max_bytes)
    for root, folders, names in os.walk(target):
        for name in folders + names:
            path = Path(root) / name
            if path.is_symlink():
                raise _failed(requirement, f"it holds a link ({name})")
            path.chmod(0o755 if path.is_dir() else 0o644)
    target.chmod(0o755)
    return size


def _move(target: Path, folder: Path) -> None:
    """Move what was installed into the session's folder, each package as a whole."""
    for entry in sorted(target.iterdir()):
        there = folder / entry.name
        if not there.exists():
            entry.rename(there)
        elif entry.is_dir():  # a namespace that two packages share
            shutil.copytree(entry, there, dirs_exist_ok=True)


# What pip prints, and what it means. The first that is found counts: without a network pip says
# in the end that there is no such package.
_REASONS = (
    ("no space left on device", "the disk is full"),
    ("disk quota exceeded", "the disk is full"),
    ("name resolution", "the package index can't be reached; is there a network?"),
    ("newconnectionerror", "the package index can't be reached; is there a network?"),
    ("connection refused", "the package index can't be reached; is there a network?"),
    ("connection broken", "the package index can't be reached; is there a network?"),
    ("proxyerror", "the proxy before the package index can't be reached"),
    ("timed out", "the package index does not answer"),
    ("certificate verify failed", "the package index's certificate is not accepted"),
    ("do not match the hashes", "the file is not the one that the index announced"),
    ("resolutionimpossible", "it needs other versions of what Hearth has installed"),
    ("conflicting dependencies", "it needs other versions of what Hearth has installed"),
    (
        "no matching distribution",
        "the index has no such package, or no wheel of it for this machine",
    ),
    ("no module named pip", "pip is missing in Hearth's environment"),
)


def _reason(output: str) -> str:
    low = output.lower()
    for sign, meaning in _REASONS:
        if sign in low:
            return meaning
    lines = [line for line in output.splitlines() if line.startswith("ERROR:")]
    last = (lines or output.strip().splitlines() or ["pip failed"])[-1]
    return last.removeprefix("ERROR:").strip()[:300]


def _failed(requirement: str, why: str) -> PackageError:
    return PackageError(
        f"{requirement} could not be installed: {why}.",
        fix="The agent can go on without it. To try again, check the network and the disk.",
    )


def _too_large(requirement: str, max_bytes: int) -> PackageError:
    return PackageError(
        f"{requirement} could not be installed: with what it needs it is larger than "
        f"{max_bytes // 1_000_000:,} MB, or has too many files.",
        fix="The agent can go on without it.",
    )
