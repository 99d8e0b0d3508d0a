"""The process that workers are forked from: Python with the usual libraries imported already.

There is one per app (`sandbox.launch` starts it). It runs none of the agent's code and is given
no secret: an environment of its own, no descriptor of the app but one socket. It has a single
thread, so that a fork of it is a whole process. Between requests it imports the libraries one
after another; a request that comes early is served with what is imported so far.

What every worker shares with it, and so with every other session: the addresses of the
libraries and the secret of Python's string hashes. Random numbers are drawn anew in each. What the
requests before said (paths of other workspaces, limits, environments) may still lie in its memory.

Messages are JSON datagrams. From the app: `fork` (with the worker's three descriptors) and
`release`; to the app: `importing`, `warm`, `forked`, `failed`, `exited`. A process that ended
stays a zombie until the app has released it: until then its number can't go to another.
"""

import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any, NoReturn

from sandbox import confine, worker

# In the order in which code is likely to ask for them. What isn't installed is passed over.
LIBRARIES = (
    "asyncio",
    "numpy",
    "pandas",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "sympy",
    "openpyxl",
    "PIL.Image",
    "networkx",
    "scipy.stats",
    "scipy.optimize",
    "sklearn.linear_model",
    "plotly.graph_objects",
    "threadpoolctl",
)
MAX_MESSAGE = 64 * 1024
_BLAS_THREADS = 2
READER, WRITER = 3, 4  # the worker's ends of its pipes; 0, 1 and 2 are the usual ones
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

_pools: list[Any] = []  # what sets the number of threads of the numeric libraries


class Template:
    """Serves the app's requests until the app closes the socket."""

    def __init__(self, control: socket.socket, skip: list[str]) -> None:
        self._control = control
        self._left = [name for name in LIBRARIES if name not in skip]
        self._warm: list[str] = []
        self._failed: list[str] = []
        self._children: dict[int, bool] = {}  # process number: whether its end was reported
        self._woken, waker = os.pipe()
        for descriptor in (self._woken, waker):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Import, fork, reap, in the order in which it is asked for."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = dict(poll.poll(0 if self._left else None))
            if self._woken in ready:
                self._reap()
            if self._control.fileno() in ready:
                if not self._take():
                    return
            elif self._left:
                self._import(self._left.pop(0))

    def _say(self, **message: Any) -> None:
        self._control.send(json.dumps(message).encode())

    def _import(self, name: str) -> None:
        self._say(importing=name)
        try:
            importlib.import_module(name)
            self._warm.append(name)
        except Exception:  # noqa: BLE001 - not installed, or broken: the agent's code will see for itself
            self._failed.append(name)
        if not self._left:
            settle()
        gc.collect()
        gc.freeze()  # a collection in a worker must not touch, and so copy, what is shared
        if not self._left:
            self._say(warm=self._warm, missing=self._failed)

    def _take(self) -> bool:
        """One request; False when the app has gone."""
        data, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE, 3)
        if not data:
            return False
        message = json.loads(data)
        if "release" in message:
            self._release(message["release"])
            return True
        confinement = message["config"]["confinement"]
        confinement["parent"] = os.getpid()
        # What is shared counts as address space too, but isn't the code's.
        confinement["memory_bytes"] += address_space()
        try:
            child = os.fork()
            if child == 0:
                _become_worker(message, descriptors)
        except OSError as error:
            self._say(failed=message["fork"], error=f"fork: {error.strerror}")
        else:
            self._children[child] = False
            self._say(forked=message["fork"], pid=child)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _reap(self) -> None:
        """Report who has ended, and end what they have left behind."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._woken, 4096):
                pass
        for child, reported in list(self._children.items()):
            if reported:
                continue
            ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            if ended is not None:
                self._children[child] = True
                killed = ended.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
                self._say(exited=child, code=-ended.si_status if killed else ended.si_status)
        self._end_orphans()

    def _end_orphans(self) -> None:
        """What a worker started and detached falls to this process when the worker ends."""
        try:
            listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        except OSError:  # a kernel without this file
            return
        for child in {int(number) for number in listed.split()} - self._children.keys():
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                # Not waited for: the first process of a process table of its own ends after the
                # last, which may be another child of ours. Each end comes with a signal.
                os.waitpid(child, os.WNOHANG)

    def _release(self, child: int) -> None:
        if self._children.pop(child, None) is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)  # the app has seen or made its end: this doesn't wait


def settle() -> None:
    """Do once what each worker would do for itself at the first use of a library."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.switch_backend("Agg")
    if "threadpoolctl" in sys.modules:  # finds the libraries in files that a worker can't read
        _pools.append(sys.modules["threadpoolctl"].ThreadpoolController())


def more_threads() -> None:
    """Let the libraries compute with more threads than one; in the worker, once it is confined."""
    for pool in _pools:
        pool.limit(limits=min(_BLAS_THREADS, os.cpu_count() or 1))


def address_space() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _become_worker(message: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """In the fork: give up what is the template's, and run as a worker. Never returns."""
    try:
        _take_place(descriptors)
        os.environ.clear()
        os.environ.update(message["environment"])
        os.chdir(message["config"]["confinement"]["workspace"])
        forget()
        gc.enable()
        worker.start({**message["config"], "reader": READER, "writer": WRITER}, more_threads)
    except BaseException:  # noqa: BLE001 - the app shows the end of what is printed here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(confine.CANT_CONFINE)


def _take_place(descriptors: list[int]) -> None:
    """A session and signals of its own, the five descriptors of a worker and no other."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    # Away from the numbers that they are to take, whatever they came with.
    reader, writer, raw = (fcntl.fcntl(each, fcntl.F_DUPFD, 16) for each in descriptors)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((null, raw, raw, reader, writer)):
        os.dup2(source, target)
    os.closerange(5, os.sysconf("SC_OPEN_MAX"))


def forget() -> None:
    """Draw random numbers anew, and look up the home folder and its caches anew."""
    modules = sys.modules
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    for name in ("random", "sympy.core.random"):
        if name in modules:
            getattr(modules[name], "rng", modules[name]).seed()
    if "tempfile" in modules:
        setattr(modules["tempfile"], "tempdir", None)  # noqa: B010 - unknown to its type stub
    if "matplotlib" in modules:
        for name in ("get_configdir", "get_cachedir"):  # they remember their first result
            look_up = getattr(modules["matplotlib"], name)
            setattr(modules["matplotlib"], name, getattr(look_up, "__wrapped__", look_up))


def main() -> None:
    """Serve; the one argument is the configuration, as JSON."""
    config = json.loads(sys.argv[1])
    sys.argv = [""]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.getppid() != config["parent"]:
        return
    warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork")
    gc.disable()
    gc.freeze()
    control = socket.socket(fileno=config["control"])
    Template(control, config["skip"]).serve()
    os._exit(0)
