"""Hostile files are parsed in processes that can be ended: a few, kept warm, each with limits.

A parser of documents may loop, eat the memory or crash, and a thread of the app could not be
stopped. So bytes go to a process (`tools/converter_worker.py`) that has no business with the
network, and text or bytes come back. A process is kept for the next document, since importing the
libraries takes longer than most documents; it is thrown away after a failure, after many
documents, when it has grown, and when nobody needs it.
"""

import atexit
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from errors import ToolError

SECONDS = 45.0
MEMORY_BYTES = 3 << 30
MOST_REPLY_BYTES = 128 << 20
_MOST_HEADER_BYTES = 1 << 20
_DOCUMENTS_EACH = 100
_MOST_RESIDENT_BYTES = 600 << 20
_IDLE_SECONDS = 120.0
_WAIT_SECONDS = 120.0
_LOAD_SECONDS = 90.0
_WORKER = Path(__file__).with_name("converter_worker.py")
# What the process is told of the app's environment: nothing in it is a secret.
_ENVIRONMENT = (
    "HOME",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "SYSTEMROOT",
    "TESSDATA_PREFIX",
    "TMPDIR",
    "XDG_CACHE_HOME",
)

_KINDS = (FileNotFoundError, MemoryError, TimeoutError)
_SEEN_AS: dict[str, type[Exception]] = {kind.__name__: kind for kind in _KINDS}


class Converter:
    """A bounded number of processes; callers beyond it wait. Safe to use from many threads."""

    def __init__(
        self,
        workers: int | None = None,
        *,
        seconds: float = SECONDS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._seconds = seconds
        self._memory = memory_bytes
        self._free = threading.BoundedSemaphore(workers or min(4, os.cpu_count() or 1))
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._sweeper: threading.Timer | None = None

    def run(
        self,
        job: str,
        data: bytes,
        *,
        name: str,
        seconds: float | None = None,
        memory_bytes: int | None = None,
        network: bool = False,
        **options: Any,
    ) -> bytes:
        """What the job makes of the bytes; `name` is what errors call the file.

        Raises ToolError where the file can't be read, takes longer than `seconds`, needs more
        than `memory_bytes`, or breaks the process.
        """
        limits = {
            "seconds": seconds or self._seconds,
            "memory_bytes": memory_bytes or self._memory,
        }
        request = {"job": job, "name": name, "network": network, "options": options, **limits}
        if not self._free.acquire(timeout=_WAIT_SECONDS):
            raise ToolError(
                "Too many files are being read at once.",
                "Try again in a moment.",
                seen_as=TimeoutError,
            )
        try:
            worker = self._take()
            try:
                if not worker.served:  # the libraries come in outside the job's own time
                    worker.load(request)
                reply, result = worker.ask(request, data)
            except BaseException:
                worker.end()
                raise
            if reply.get("retire"):
                worker.end()
            else:
                self._put_back(worker)
        finally:
            self._free.release()
        if "error" in reply:
            seen_as = _SEEN_AS.get(str(reply.get("seen_as")), ValueError)
            raise ToolError(str(reply["error"]), str(reply.get("next", "")), seen_as=seen_as)
        return result

    def close(self) -> None:
        """End the processes that wait. The converter may be used again."""
        with self._lock:
            idle, self._idle = self._idle, []
            if self._sweeper is not None:
                self._sweeper.cancel()
                self._sweeper = None
        for worker in idle:
            worker.end()

    def _take(self) -> "_Worker":
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return _Worker()
            if worker.alive():
                return worker
            worker.end()

    def _put_back(self, worker: "_Worker") -> None:
        with self._lock:
            worker.idle_since = time.monotonic()
            self._idle.append(worker)
            self._sweep_later()

    def _sweep_later(self) -> None:
        if self._sweeper is None and self._idle:
            self._sweeper = threading.Timer(_IDLE_SECONDS, self._sweep)
            self._sweeper.daemon = True
            self._sweeper.start()

    def _sweep(self) -> None:
        """Ends the processes that nobody has needed for a while."""
        now = time.monotonic()
        with self._lock:
            self._sweeper = None
            old = [w for w in self._idle if now - w.idle_since >= _IDLE_SECONDS]
            self._idle = [w for w in self._idle if w not in old]
            self._sweep_later()
        for worker in old:
            worker.end()


class _Worker:
    """One process. It ends by itself when the app is gone: its input is closed then."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.served = 0
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # A thread a core in each library would take address space that the limit counts.
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-X", "utf8", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment | threads,
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )

    def load(self, request: dict[str, Any]) -> None:
        """Has the process import what the job needs. Raises RuntimeError where that fails."""
        loading: dict[str, Any] = {"job": "load", "options": {"of": request["job"]}}
        loading |= {"seconds": _LOAD_SECONDS, "memory_bytes": MEMORY_BYTES}
        reply, _ = self.ask(request | loading, b"")
        if "error" in reply:
            raise _out_of_order(reply["error"])

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """The reply's header and its bytes. Whatever goes wrong in the process is a ToolError."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._kill()

        # The process bounds its own time of the processor; this is for one that sleeps or hangs.
        watchdog = threading.Timer(request["seconds"], stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            assert self._process.stdin is not None and self._process.stdout is not None
            write_frame(self._process.stdin, request, data)
            reply, result = read_frame(self._process.stdout)
        except (OSError, EOFError, ValueError):
            raise self._why_it_ended(request, late.is_set()) from None
        finally:
            watchdog.cancel()
        self.served += 1
        grown = int(reply.get("resident_bytes", 0)) > _MOST_RESIDENT_BYTES
        reply["retire"] = grown or self.served >= _DOCUMENTS_EACH or bool(reply.get("broken"))
        return reply, result

    def _why_it_ended(self, request: dict[str, Any], late: bool) -> Exception:
        name = request["name"]
        self._kill()
        code = self._process.wait()
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - 4000))
        said = self._said.read().decode("utf-8", "replace").strip().splitlines()
        if late or code == -signal.SIGXCPU:
            return ToolError(
                f"{name} takes longer than {request['seconds']:.0f} seconds to read.",
                "Open it in your code and read only the part that matters.",
                seen_as=TimeoutError,
            )
        if code in (-signal.SIGKILL, -signal.SIGABRT) or any("MemoryError" in s for s in said):
            return ToolError(
                f"{name} needs more memory than there is for reading a file.",
                "Open it in your code and read only the part that matters.",
                seen_as=MemoryError,
            )
        if code < 0:
            return ToolError(
                f"{name} can't be read: its reader crashed ({signal.Signals(-code).name}).",
                "It is probably damaged; try to open it in your code.",
                seen_as=RuntimeError,
            )
        return _out_of_order("".join(said[-1:]))

    def _kill(self) -> None:
        with contextlib.suppress(OSError):  # it has ended
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Ends the process and whatever it started."""
        self._kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not written is lost with it
                    stream.close()


def _out_of_order(why: str) -> RuntimeError:
    return RuntimeError(f"A tool's process is out of order: {why[:300]}")


_LENGTHS = struct.Struct(">IQ")


def write_frame(stream: IO[bytes], header: dict[str, Any], data: bytes) -> None:
    """One message: two lengths, a header as JSON, and bytes."""
    head = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(head), len(data)) + head)
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes], most_bytes: int = MOST_REPLY_BYTES) -> tuple[dict, bytes]:
    """The next message. Raises EOFError where the other side is gone, ValueError for nonsense."""
    head_size, size = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if head_size > _MOST_HEADER_BYTES or size > most_bytes:
        raise ValueError("The message is too large.")
    header = json.loads(_exactly(stream, head_size))
    if not isinstance(header, dict):
        raise ValueError("The message is none of ours.")
    return header, _exactly(stream, size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


_shared: dict[str, Converter] = {}
_sharing = threading.Lock()


def shared(of: str = "files") -> Converter:
    """The app's converter of that name, made at the first call; its processes end with the app."""
    with _sharing:
        if not _shared:
            atexit.register(_close_all)
            # A forked process must not talk with the processes of the one it came from.
            os.register_at_fork(after_in_child=_forget)
        return _shared.setdefault(of, Converter())


def _close_all() -> None:
    for converter in _shared.values():
        converter.close()


def _forget() -> None:
    global _sharing
    _shared.clear()
    _sharing = threading.Lock()
