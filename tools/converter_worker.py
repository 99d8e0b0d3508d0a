"""The process behind `tools/converter.py`: a job and bytes in on stdin, text or bytes out.

It takes one job after the other until its input is closed. Libraries come in with the first
document that needs them. It needs no network and is refused one, so that no document can make a
parser fetch an address; and it starts no program but the one that reads text in pictures.
"""

import contextlib
import errno
import importlib
import resource
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from errors import ToolError
from tools.converter import MOST_REPLY_BYTES, read_frame, write_frame

JOBS = {
    "document": "tools.formats.document:document_text",
    "member": "tools.formats.archive:member",
    "page": "tools.formats.page:page_markdown",
    "article": "tools.wiki_text:sections_json",
    "table": "tools.formats.tables:table_text",
    "transcript": "tools.formats.media:transcript",
    "calculate": "tools.calculate_worker:answer",
    "units": "tools.units:convert",
}
_MOST_FILE_BYTES = 1 << 30  # of a file that a job writes
_WRITING = set("wax+")
_STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen")
_PROGRAM = "tesseract"


def main() -> None:
    """Answers jobs until the app closes the pipe or ends the process."""
    stream, out = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints must not stand between two replies
    allowed: set[str] = set()
    sys.addaudithook(lambda event, values: _refuse(event, values, allowed))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_FILE_BYTES,) * 2)
    while True:
        try:
            request, data = read_frame(stream, 1 << 40)
        except EOFError:
            return
        allowed.clear()
        allowed.update({"network"} if request["network"] else ())
        _limit(request["seconds"], request["memory_bytes"])
        reply, result = _answer(request, data)
        reply["resident_bytes"] = _resident_bytes()
        write_frame(out, reply, result)
        del data, result


def _answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    name = request["name"]
    try:
        job = _load if request["job"] == "load" else _job(request["job"])
        result = job(data, name, **request["options"])
    except ToolError as error:
        told = {"error": error.message, "next": error.next_step}
        return told | {"seen_as": error.seen_as.__name__}, b""
    except RecursionError:
        return {"error": f"{name} is nested too deeply to be read.", "broken": True}, b""
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - each library has its own; those in Rust panic
        if not _is_out_of_memory(error):
            return {"error": f"{name} can't be read: {_first_line(error)}", "broken": True}, b""
        text = f"{name} needs more memory than there is for reading a file."
        step = "Open it in your code and read only the part that matters."
        return {"error": text, "next": step, "seen_as": "MemoryError", "broken": True}, b""
    encoded = result.encode("utf-8", "replace") if isinstance(result, str) else result
    if len(encoded) > MOST_REPLY_BYTES:
        return {"error": f"{name} holds more than can be handed over at once."}, b""
    return {}, encoded


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether the limit of memory is behind it, which libraries and the loader say as they like."""
    number = getattr(error, "errno", None)
    said = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or number == errno.ENOMEM
        or "failed to map segment" in said
        or "cannot allocate memory" in said
    )


def _job(name: str) -> Callable[..., str | bytes]:
    """The function of a job. The import is here, so that a process has only what it needs."""
    module, _, function = JOBS[name].partition(":")
    return getattr(importlib.import_module(module), function)


def _load(data: bytes, name: str, of: str) -> bytes:
    """The job that imports what another needs."""
    del name
    _job(of)
    return data


def _limit(seconds: float, memory_bytes: int) -> None:
    """The limits of the next job; each job gets them anew."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    limits = ((resource.RLIMIT_CPU, used + int(seconds) + 5), (resource.RLIMIT_AS, memory_bytes))
    for limit, soft in limits:
        with contextlib.suppress(ValueError, OSError):  # not every system lets one set both
            resource.setrlimit(limit, (soft, resource.getrlimit(limit)[1]))


def _resident_bytes() -> int:
    # Not the peak of getrusage: a process inherits that from the app that started it.
    return psutil.Process().memory_info().rss


def _refuse(event: str, values: tuple[Any, ...], allowed: set[str]) -> None:
    """An audit hook: no connection to anywhere, no writing outside the folder of temporary files,
    no program that a parser would hand the document to.

    It is no wall against native code; it keeps a library from doing what a document asks for.
    """
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
        if "network" not in allowed and not _local(values):
            raise PermissionError("A file's reader has no network.")
    elif event in _STARTS:
        if "network" not in allowed and (event, values[0]) != ("subprocess.Popen", _PROGRAM):
            raise PermissionError("A file's reader starts no program.")
    elif event == "open" and isinstance(values[1], str) and _WRITING & set(values[1]):
        path = str(values[0])
        if not path.startswith((tempfile.gettempdir(), "/dev/null")) and "network" not in allowed:
            raise PermissionError("A file's reader writes nothing.")


def _local(values: tuple[Any, ...]) -> bool:
    return getattr(values[0], "family", None) == getattr(socket, "AF_UNIX", object())


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


if __name__ == "__main__":
    main()
