"""The worker's side: clear sentences where a confined process can't do what the code asks.

The operating system refuses these calls anyhow (`confine`), with an errno that tells a model
little, and sometimes (`os.system`) without any exception. What is put in their place here
says what to do instead. It is no lock, and nothing depends on it.
"""

import errno
import os
import posix
import socket
import subprocess
from collections.abc import Callable
from typing import Any

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

_STARTING = ("execv", "execve", "posix_spawn", "posix_spawnp")
_FORKING = ("fork", "forkpty")


def put_in_place() -> None:
    """Replace what starts programs, processes and connections; called once, in a confined
    worker, before any of the agent's code runs."""
    os.system = posix.system = _system  # type: ignore[assignment]
    for name in _STARTING:
        if hasattr(os, name):
            _replace(name, _refuse(PROGRAMS))
    for name in _FORKING:
        if hasattr(os, name):
            _replace(name, _refuse(PROCESSES))
    subprocess._fork_exec = _start_program  # type: ignore[attr-defined]
    subprocess._USE_POSIX_SPAWN = False  # type: ignore[misc]
    socket.socket.__init__ = _socket_init  # type: ignore[method-assign]
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
        setattr(socket, name, _no_address)
    # joblib, and scikit-learn with it, then computes in this process whatever n_jobs says.
    os.environ["JOBLIB_MULTIPROCESSING"] = "0"


def _replace(name: str, function: Callable[..., Any]) -> None:
    function.__name__ = function.__qualname__ = name
    setattr(os, name, function)
    setattr(posix, name, function)


def _refuse(sentence: str) -> Callable[..., Any]:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, sentence)

    return refused


def _system(command: object = "", *_: object) -> None:
    raise PermissionError(errno.EPERM, _about(command))


def _start_program(arguments: object = (), *_: object) -> None:
    """In the place of the C function under `subprocess`; the first argument is the command."""
    raise PermissionError(errno.EPERM, _about(arguments))


def _about(command: object) -> str:
    """The sentence for a command, which is text or a sequence of texts or bytes."""
    try:
        parts = command.split() if isinstance(command, (str, bytes)) else list(command)  # type: ignore[call-overload]
        words = {os.fsdecode(part) for part in parts}
    except (TypeError, ValueError):
        return PROGRAMS
    installers = {"pip", "pip3", "conda", "uv"}
    wants = "install" in words and any(word.rpartition("/")[2] in installers for word in words)
    return INSTALLING if wants else PROGRAMS


_real_socket_init = socket.socket.__init__


def _socket_init(
    self: socket.socket, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None
) -> None:
    if fileno is None:  # with one it is half of a socketpair, which asyncio needs
        raise PermissionError(errno.EPERM, NETWORK)
    _real_socket_init(self, family, type, proto, fileno)


def _no_address(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_AGAIN, NETWORK)
