"""What Hearth remembers about its running engines, so that two apps share one.

One JSON file and one lock per engine in `data_dir/engines`. The file holds a key, so only
its owner may read it. A process is named by its pid and its start time together: a pid
alone may have gone to someone else.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import filelock
import psutil

from errors import EngineError

VERSION = 1
USE_SUFFIX = ".use"


@dataclass(frozen=True)
class Process:
    """A process, whoever started it. `started` is its start time in seconds since 1970."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has `pid` now; one that is gone already is never alive."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return cls(pid, 0.0)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie doesn't)."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


NOBODY = Process(0, 0.0)  # the owner of an engine that its app has left running


@dataclass(frozen=True)
class Record:
    """One engine as its state file holds it."""

    engine: str
    model_id: str
    base_url: str
    port: int
    api_key: str = field(repr=False)
    log: str
    process: Process
    guard: Process
    owner: Process
    keep_minutes: float = 0.0  # how long it lives on after its last app
    stopped: bool = False  # someone asked it to stop: its owner must not start it again
    version: int = VERSION

    @property
    def is_kept(self) -> bool:
        """Whether it runs on although its app may be gone, because that was asked for."""
        return self.keep_minutes > 0 and self.process.alive and self.guard.alive


class EngineState:
    """The state file and the lock of one engine with one model and one set of options."""

    def __init__(self, folder: Path, engine: str, model_id: str, options: Mapping[str, str]):
        """`folder` is `data_dir/engines`. Raises EngineError when it can't be written."""
        self.folder = folder
        text = json.dumps([engine, model_id, sorted(options.items())])
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        plain = "".join(c if c.isalnum() or c in "-." else "-" for c in model_id)[-60:]
        self.slug = f"{engine}-{plain}-{digest}"
        self.path = folder / f"{self.slug}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise unwritable(folder, error) from None

    def read(self) -> Record | None:
        """The record, or None where there is none or it is damaged."""
        return read_record(self.path)

    def write(self, record: Record) -> None:
        """Replace the record, readable by the user alone. Raises EngineError."""
        write_record(self.path, record)

    @property
    def use_file(self) -> Path:
        """The file that apps which use the engine hold a lock on."""
        return self.path.with_suffix(USE_SUFFIX)

    def use(self) -> "Use":
        """Say that this process uses the engine, until `Use.end`. Raises EngineError."""
        try:
            return Use(self.use_file)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def clear(self, process: Process | None = None) -> None:
        """Remove the record; with `process`, only if it is that engine's."""
        record = self.read()
        if process is None or (record is not None and record.process == process):
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, seconds: float) -> Iterator[bool]:
        """Hold the engine's lock; yields False when `seconds` were not enough to get it."""
        lock = filelock.FileLock(self.folder / f"{self.slug}.lock", mode=0o600)
        try:
            lock.acquire(timeout=seconds, poll_interval=0.05)
        except filelock.Timeout:
            yield False
            return
        except OSError as error:
            raise unwritable(self.folder, error) from None
        try:
            yield True
        finally:
            lock.release()


class Use:
    """A shared lock on an engine's use file. The kernel lets go of it when the process ends."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(ImportError, OSError):  # no locks there: then nothing is kept
            import fcntl

            fcntl.flock(self._handle, fcntl.LOCK_SH)

    def end(self) -> None:
        """Let go of it; may be called twice."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def read_record(path: Path) -> Record | None:
    """The record in `path`, or None where there is none, or it is damaged or of another time."""
    try:
        data = json.loads(path.read_text("utf-8"))
        for name in ("process", "guard", "owner"):
            data[name] = Process(**data[name])
        record = Record(**data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return record if record.version == VERSION else None


def write_record(path: Path, record: Record) -> None:
    """Write `record` to `path` whole or not at all. Raises EngineError."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".new")  # made with 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(record), file, indent=1)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise unwritable(path.parent, error) from None


def all_records(folder: Path) -> list[tuple[Path, Record]]:
    """Every readable record in `data_dir/engines`, oldest file first."""
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    found = [(path, read_record(path)) for path in paths]
    return [(path, record) for path, record in found if record is not None]


def end(record: Record, seconds: float = 10.0) -> bool:
    """End the engine of `record` through its guard; True when it is gone within `seconds`."""
    for process in (record.guard, record.process):
        if process.alive:
            with contextlib.suppress(psutil.Error):
                psutil.Process(process.pid).terminate()
            break
    deadline = time.monotonic() + seconds
    while record.process.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    if record.process.alive:
        with contextlib.suppress(psutil.Error):
            psutil.Process(record.process.pid).kill()
        time.sleep(0.2)
    return not record.process.alive


def unwritable(folder: Path, error: OSError) -> EngineError:
    """The error for a folder that can't take the engine's files."""
    return EngineError(
        f"Can't write to {folder}: {error.strerror or error}.",
        fix="Make room or mend its permissions, or set HEARTH_DATA_DIR to another folder.",
    )
