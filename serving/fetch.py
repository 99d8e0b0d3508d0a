"""Brings a hub model's files onto this machine before its engine is started, with progress.

The engines would download by themselves, but each in its own way, and what went wrong would have
to be guessed from their logs. This way bytes are counted, faults have names, and no time limit
of a start runs while gigabytes come in. serving/fetch_files.py is the process that does it.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from errors import EngineError
from serving.guard import GuardedProcess
from serving.hub_files import bytes_there
from serving.logs import new_log, tail
from serving.model_source import ModelSource
from serving.progress import Measure, Meter, Progress, size_text
from serving.row import Say
from serving.state import unwritable
from settings import ROOT

ONLY = "--only="
MARK = "hearth-fetch "  # begins the lines that the process tells by
_POLL_SECONDS = 0.25
_STALL_SECONDS = 300.0


def fetch_model(
    repo: str,
    source: ModelSource,
    logs: Path,
    *,
    say: Say,
    measure: Measure,
    go_on: Callable[[], object],
    check: bool = False,
) -> bool:
    """Download what is missing of `repo` (`org/name@revision`); `source` tells its files.

    With `check`, what is there is compared with its checksums first. Returns whether anything
    was fetched. `go_on` is called several times a second and raises to end it. Raises
    EngineError with the cause.
    """
    try:
        log = new_log(logs, [f"download of {repo}"])
    except OSError as error:
        raise unwritable(logs, error) from None
    name, _, revision = repo.partition("@")
    argv = [sys.executable, "-m", "serving.fetch_files", name, revision]
    argv += ["--check"] if check else []
    # Of a repository of GGUF files one is wanted; what else is needed, the process knows.
    argv += [f"{ONLY}{f.name}" for f in source.files if f.name.endswith(".gguf")]
    try:
        process = GuardedProcess(argv, env=_environment(), cwd=ROOT, log=log)
    except OSError as error:
        raise EngineError(
            f"The download can't be started: {error}.",
            fix="Run `make run`, which mends the installation.",
        ) from None
    had = bytes_there(name, source.files)
    if not check:
        what = size_text(source.download_bytes - had)
        say(f"{repo} is not on this machine yet: downloading it ({what})")
    watch = _Watch(name, source, log, check, say, measure)
    try:
        while not process.wait(_POLL_SECONDS):
            go_on()
            watch.look()
    finally:
        process.stop()
    watch.look()
    if process.code != 0:
        raise watch.fault(process.code)
    return watch.fetched or bytes_there(name, source.files) > had


class _Watch:
    """What the process says in its log, and the bytes that it has brought."""

    def __init__(
        self, repo: str, source: ModelSource, log: Path, check: bool, say: Say, measure: Measure
    ) -> None:
        self._repo, self._source, self._log = repo, source, log
        self._say, self._measure = say, measure
        self._meter = Meter()
        self._read = 0
        self._checking, self._checked = check, 0
        self._to_check = source.download_bytes
        self._error: dict[str, Any] = {}
        self.fetched = False

    def look(self) -> None:
        """Take in what is new and tell it. Raises EngineError when nothing comes any more."""
        for told in self._new():
            self._hear(told)
        self._measure(self._progress())
        if self._meter.still_seconds > _STALL_SECONDS:
            raise EngineError(
                f"The download of {self._repo} stands still: nothing came for "
                f"{_STALL_SECONDS:.0f} seconds.",
                fix="Check the network, then start Hearth again; whole files are kept.",
                log=tail(self._log, 10),
            )

    def fault(self, code: int | None) -> EngineError:
        """The error for a process that ended without success."""
        if self._error:
            return EngineError(self._error["error"], fix=self._error["fix"])
        return EngineError(
            f"The download of {self._repo} broke off (code {code}).",
            fix=f"Start Hearth again; whole files are kept. Its log is {self._log}",
            log=tail(self._log, 10),
        )

    def _progress(self) -> Progress:
        name, total = self._repo, self._source.download_bytes
        if self._checking:
            return self._meter.read(f"checking the files of {name}", self._checked, self._to_check)
        return self._meter.read(f"downloading {name}", bytes_there(name, self._source.files), total)

    def _new(self) -> list[dict[str, Any]]:
        with self._log.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        lines = whole.decode("utf-8", "replace").splitlines()
        return [json.loads(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]

    def _hear(self, told: dict[str, Any]) -> None:
        if "error" in told:
            self._error = told
        if "checking" in told:
            self._checking, self._checked, self._to_check = True, 0, told["checking"]
        self._checked = told.get("checked", self._checked)
        if "damaged" in told:
            self._checking, self.fetched = False, True
            self._say(f"damaged, so fetched again: {', '.join(told['damaged'])}")
        if "again" in told:
            self._say(f"the download was cut ({told['again']}); trying again")


def _environment() -> dict[str, str]:
    """The user's, which may hold a token and a proxy, without Hearth's own settings."""
    env = {k: v for k, v in os.environ.items() if not k.upper().startswith("HEARTH_")}
    return env | {
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }
