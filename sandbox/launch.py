"""The app's side of starting workers: forked from the template, or directly where there is none."""

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from errors import SandboxError
from sandbox import confine, files, spawn
from sandbox.files import HIDDEN

_ANSWER_SECONDS = 30  # the template answers at once, but for the import that it is in
_MAX_DEATHS, _DEATH_SECONDS = 3, 600  # then workers are started directly for a while


class Started(Protocol):
    """A process that was started: the leader of the process group of one sandbox."""

    pid: int

    @property
    def lost(self) -> bool:
        """Whether it was ended because the process that it was forked from has ended."""

    def wait(self, seconds: float) -> int | None:
        """Its exit code (negative: the signal that ended it), or None if it lives on."""

    def kill(self) -> None:
        """End it, and its process group."""

    def release(self) -> None:
        """Wait for its end and give up its number."""


class Direct:
    """A worker started as a new Python."""

    lost = False  # it was not forked

    def __init__(self, config: dict[str, Any], environment: dict[str, str], raw: int) -> None:
        descriptors = (config["reader"], config["writer"])
        c = confine.Confinement.from_dict(config["confinement"])
        started = spawn.command("worker", json.dumps(config), "sys.dont_write_bytecode = True; ")
        command = confine.command(c, started, spawn.ROOT)
        self._by_shell = c.tier == "bubblewrap"
        self._process: subprocess.Popen[bytes] = spawn.spawner().run(
            lambda: spawn.popen(
                command,
                stdout=raw,
                stderr=raw,
                cwd=c.workspace,
                env=environment,
                pass_fds=descriptors,
            )
        )
        self.pid = self._process.pid

    def wait(self, seconds: float) -> int | None:
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        return 128 - code if self._by_shell and code > 128 else code

    def kill(self) -> None:
        _kill_group(self.pid)
        self._process.kill()

    def release(self) -> None:
        self._process.wait()


class Forked:
    """A worker forked from the template."""

    def __init__(self, template: "TemplateProcess", pid: int) -> None:
        self.pid = pid
        self._template = template
        self._code: Future[int] = Future()
        self._descriptor = -1
        with contextlib.suppress(OSError):  # it is a zombie at worst, so the number is still its
            self._descriptor = os.pidfd_open(pid)

    @property
    def lost(self) -> bool:
        return self._template.gone

    def ended(self, code: int) -> None:
        """Called when the template reports the end, or has ended itself."""
        if not self._code.done():
            self._code.set_result(code)

    def wait(self, seconds: float) -> int | None:
        # The template may be in an import: the kernel knows earlier whether the process lives.
        if self._descriptor >= 0 and not _readable(self._descriptor, seconds):
            return None
        with contextlib.suppress(TimeoutError):
            return self._code.result(timeout=max(seconds, 3.0))
        return None if self._descriptor < 0 else -signal.SIGKILL

    def kill(self) -> None:
        if self._template.gone:  # it ended with it, and its number may be another's by now
            return
        _kill_group(self.pid)
        with contextlib.suppress(ProcessLookupError):  # it may not have got to its own group yet
            os.kill(self.pid, signal.SIGKILL)

    def release(self) -> None:
        if self._descriptor >= 0:
            _readable(self._descriptor, _ANSWER_SECONDS)
            os.close(self._descriptor)
            self._descriptor = -1
        self._template.release(self)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


class TemplateGone(Exception):
    """The template has ended, or was never there."""


class TemplateProcess:
    """The template, seen from the app. `fork` may be called from any thread."""

    def __init__(self, skip: list[str]) -> None:
        self.app = os.getpid()
        self.warm = threading.Event()
        self.importing = ""
        self.missing: list[str] = []
        self.gone = False
        self._lock = threading.Lock()
        self._number = 0
        self._answers: dict[int, Future[Forked]] = {}
        self._children: dict[int, Forked] = {}
        own, self._temporary = _template_folder()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        config = {
            "control": theirs.fileno(),
            "parent": os.getpid(),
            "skip": skip,
        }
        environment = confine.environment(own) | _ONE_THREAD
        try:
            self._process = spawn.spawner().run(
                lambda: spawn.popen(
                    spawn.command("template", json.dumps(config)),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd=own,
                    env=environment,
                    pass_fds=(theirs.fileno(),),
                )
            )
        except BaseException:
            self._control.close()
            self._remove_folder()
            raise
        finally:
            theirs.close()
        threading.Thread(target=self._listen, name="sandbox-template", daemon=True).start()
        atexit.register(self.end)

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def fork(
        self, config: dict[str, Any], environment: dict[str, str], descriptors: list[int]
    ) -> Forked:
        """A new worker. Raises TemplateGone, or OSError where the system refuses."""
        answer: Future[Forked] = Future()
        with self._lock:
            if self.gone:
                raise TemplateGone
            self._number += 1
            number = self._number
            self._answers[number] = answer
            message = {"fork": number, "config": config, "environment": environment}
            try:
                socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
            except OSError:
                self._answers.pop(number)
                raise TemplateGone from None
        try:
            return answer.result(timeout=_ANSWER_SECONDS)
        except TimeoutError:  # in an import that takes very long; it serves others later
            if answer.cancel():
                raise TemplateGone from None
            return answer.result()

    def release(self, child: Forked) -> None:
        """The number of a process that has ended is no longer needed."""
        with self._lock:
            if self._children.pop(child.pid, None) is not None and not self.gone:
                with contextlib.suppress(OSError):
                    self._control.send(json.dumps({"release": child.pid}).encode())

    def end(self) -> None:
        """End it, and with it every worker that it forked."""
        if self.app == os.getpid():
            self._process.kill()
            self._process.wait()
            self._remove_folder()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._control.recv(64 * 1024):
                self._take(json.loads(data))
        self._process.wait()
        with self._lock:
            self.gone = True
            self._control.close()
            children, self._children = list(self._children.values()), {}
            answers, self._answers = list(self._answers.values()), {}
        for answer in answers:
            if answer.set_running_or_notify_cancel():
                answer.set_exception(TemplateGone())
        for child in children:
            child.ended(-signal.SIGKILL)
        atexit.unregister(self.end)
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _take(self, message: dict[str, Any]) -> None:
        if "importing" in message:
            self.importing = message["importing"]
        elif "warm" in message:
            self.importing, self.missing = "", message["missing"]
            self.warm.set()
        elif "exited" in message:
            with self._lock:
                child = self._children.get(message["exited"])
            if child is not None:
                child.ended(message["code"])
        else:
            self._answer(message)

    def _answer(self, message: dict[str, Any]) -> None:
        with self._lock:
            answer = self._answers.pop(message["forked" if "forked" in message else "failed"])
            if "pid" in message:
                child = self._children[message["pid"]] = Forked(self, message["pid"])
        if not answer.set_running_or_notify_cancel():  # nobody waits for it any more
            if "pid" in message:
                child.kill()
                child.release()
        elif "pid" in message:
            answer.set_result(child)
        else:
            answer.set_exception(OSError(message["error"]))


def _template_folder() -> tuple[Path, Path | None]:
    """Where the template keeps caches (matplotlib's list of fonts): among the user's, or in a
    temporary folder, which is then returned twice."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        own = base / "hearth" / "template"
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        spawn.prepare_folder(own)
        tempfile.TemporaryFile(dir=own).close()
        return own, None
    except (OSError, RuntimeError):  # no home, or one that can't be written
        own = Path(tempfile.mkdtemp(prefix="hearth-template-"))
        spawn.prepare_folder(own)
        return own, own


# Threads of a library in C would not live through a fork. The worker may start its own.
_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def warm_up() -> "TemplateProcess | None":
    """Start the template, if there can be one and there is none; returns it without waiting."""
    if sys.platform != "linux":
        return None
    with _lock:
        known: TemplateProcess | None = _template[0] if _template else None
        if known is not None and known.app == os.getpid():
            if not known.gone:
                return known
            _deaths.append((time.monotonic(), known.importing))
        if sum(time.monotonic() - at < _DEATH_SECONDS for at, _ in _deaths) >= _MAX_DEATHS:
            return None
        # A library whose import ended the template is not tried a second time.
        try:
            _template[:] = [TemplateProcess([name for _, name in _deaths if name])]
        except OSError:
            return None
        return _template[0]


def is_warming() -> bool:
    """Whether workers will be forked from a template that is still importing; starts it."""
    template = warm_up()
    return template is not None and not template.warm.is_set()


def start(config: dict[str, Any], descriptors: tuple[int, int, int]) -> Started:
    """Start a worker; `descriptors` are its ends: to read, to write, and for stray output.

    `config` is for `sandbox.worker`, with a `confinement` in it.

    Raises SandboxError where the system refuses.
    """
    root, uid = Path(config["confinement"]["workspace"]), config["confinement"]["uid"]
    own = root / HIDDEN
    try:
        spawn.prepare_folder(own)
        if uid is not None:
            files.give(root, uid)
        environment = confine.environment(own)
        for _ in range(0 if confine.is_wrapped(config["confinement"]["tier"]) else 2):
            template = warm_up()
            if template is None:
                break
            with contextlib.suppress(TemplateGone):
                return template.fork(config, environment, list(descriptors))
        reader, writer, raw = descriptors
        confinement = {**config["confinement"], "parent": os.getpid()}
        config = {**config, "confinement": confinement, "reader": reader, "writer": writer}
        return Direct(config, environment, raw)
    except (OSError, ValueError) as error:
        raise SandboxError(
            f"The sandbox can't be started: {error}", fix="Check memory and the workspace."
        ) from None


_lock = threading.Lock()
_template: list[TemplateProcess] = []
_deaths: list[tuple[float, str]] = []  # when, and in the import of which library
