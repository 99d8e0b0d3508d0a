"""The worker's side: clear sentences where a confined process can't do what the code asks.

The operating system refuses these calls (`confine`), with an errno that tells a model little,
and sometimes (`os.system`) without any exception. Each is made all the same, so that nothing
here decides what may be done; only where it was refused does the error say what to do instead.
"""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from sandbox import after_import, semaphores

PROGRAMS = "programs can't be started in the sandbox; do it in Python"
PROCESSES = (
    "processes can't be started in the sandbox; use threads, such as "
    "concurrent.futures.ThreadPoolExecutor"
)
NETWORK = (
    "there is no network in the sandbox; use the tools, such as web_search(query) and "
    "visit_webpage(url)"
)
INSTALLING = (
    "packages can't be installed from the code; import what you need, and if it is missing "
    "the error says what is there instead"
)

_REFUSED = {errno.EPERM, errno.EACCES, errno.EAGAIN, errno.ENOSYS}
_STARTING = ("execv", "execve", "posix_spawn", "posix_spawnp")
_FORKING = ("fork", "forkpty")
_LOOKING_UP = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")


def put_in_place() -> None:
    """Wrap what starts programs, processes and connections; called once, before any of the
    agent's code runs."""
    for name in _STARTING:
        if hasattr(os, name):
            setattr(os, name, _wrap(getattr(os, name), _about))
    for name in _FORKING:
        if hasattr(os, name):
            setattr(os, name, _wrap(getattr(os, name), lambda *_: PROCESSES))
    os.system = _system(os.system)
    subprocess._fork_exec = _wrap(subprocess._fork_exec, _about)  # type: ignore[attr-defined]
    socket.socket.__init__ = _wrap(socket.socket.__init__, lambda *_: NETWORK)  # type: ignore[method-assign]
    for name in _LOOKING_UP:
        setattr(socket, name, _look_up(getattr(socket, name)))
    semaphores.put_in_place()


def adapt_libraries() -> None:
    """Let libraries do without what a confined process has not; called where it is confined."""
    # joblib, and scikit-learn with it, then computes in this process, whatever n_jobs says.
    os.environ["JOBLIB_MULTIPROCESSING"] = "0"
    for name in after_import.loaded("joblib"):  # where it is imported already
        if hasattr(sys.modules[name], "mp"):
            sys.modules[name].mp = None  # type: ignore[attr-defined]
    # It takes /proc/self for a sign that /proc/self/maps can be read; scikit-learn needs it.
    after_import.change("threadpoolctl", lambda module: setattr(module, "_HAS_PROCFS", False))
    # Memory shared between processes lies in files; /dev/shm is no place for them here.
    after_import.change(
        "multiprocessing.heap", lambda module: setattr(module.Arena, "_dir_candidates", [])
    )


def _wrap(real: Callable[..., Any], sentence: Callable[..., str]) -> Callable[..., Any]:
    """The function, whose refusal says `sentence(*arguments)`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return real(*args, **kwargs)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            refusal = PermissionError(error.errno, sentence(*args))
        raise refusal

    call.__name__ = call.__qualname__ = real.__name__
    call.__doc__ = real.__doc__
    return call


def _system(real: Callable[..., int]) -> Callable[..., int]:
    def system(command: Any) -> int:
        status = real(command)
        # -1 or 127: not even the shell was started; 127 is also its word for an unknown command.
        if status == -1 or (status == 127 << 8 and _is_cut_off()):
            raise PermissionError(errno.EPERM, _about(command))
        return status

    system.__doc__ = real.__doc__
    return system


def _look_up(real: Callable[..., Any]) -> Callable[..., Any]:
    def look_up(*args: Any, **kwargs: Any) -> Any:
        try:
            return real(*args, **kwargs)
        except OSError as error:
            if not _is_cut_off():
                raise
            code = error.errno if error.errno is not None else socket.EAI_AGAIN
        raise socket.gaierror(code, NETWORK)

    look_up.__name__ = look_up.__qualname__ = real.__name__
    look_up.__doc__ = real.__doc__
    return look_up


def _is_cut_off() -> bool:
    """Whether it was not the name's fault that nothing was found."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
    except PermissionError:
        return True
    return False


def _about(*arguments: object) -> str:
    """The sentence for a command: the first argument, or in `subprocess` a sequence in it."""
    words: set[str] = set()
    for argument in arguments[:2]:
        try:
            parts = argument.split() if isinstance(argument, (str, bytes)) else list(argument)  # type: ignore[call-overload]
            words.update(os.fsdecode(part) for part in parts)
        except (TypeError, ValueError):
            continue
    words.update(word for text in list(words) for word in text.split())
    installers = {"pip", "pip3", "conda", "uv"}
    wants = "install" in words and any(word.rpartition("/")[2] in installers for word in words)
    return INSTALLING if wants else PROGRAMS
