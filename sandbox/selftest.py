"""Chooses the tier of confinement by trying it: no passed self-test, no code run.

For each tier, strongest first, a real worker is started in it, as for a session, and runs
`sandbox.probe`: it tries to reach a secret file, a server, other processes, and uses what must
work. The app looks from its side too: at what came to its sockets and what happened to its
files. Anything forbidden that worked, and anything needed that failed, rejects the tier with a
sentence. Nothing is believed for the version of a kernel or the name of a platform.
"""

import contextlib
import ctypes
import errno
import functools
import importlib.util
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from errors import SandboxError
from sandbox import probe, wire
from sandbox.confine import TIERS, Confinement, readable, rights
from sandbox.process import Wake, WorkerGone, WorkerProcess

_SECONDS = 20.0
_MEMORY_BYTES = 2 * 1024**3
_DESCRIPTORS = 5  # standard input, output and error, and the two ends of the channel

# What a tier leaves open by its nature is not tried; its `leaves_open` says so.
_LEAVES_OPEN = {
    "namespaces": ("lists_root", "lists_parent"),  # of its own file system
    "bubblewrap": ("lists_root", "lists_parent"),
    "uid": ("reads_open_file", "lists_root", "lists_parent", "writes_open_folder"),
    "seatbelt": ("links", "executes", "reads_limits", "holds_descriptors"),
}
# Tiers whose worker is always the app's user.
_KEEPS_USER = ("bubblewrap", "seatbelt", "restricted")

# What the restricted interpreter, which has no file to run the probe from, must refuse.
_NOT_IN_LANGUAGE = {
    "read a file": "open({secret_file!r}).read()",
    "read a file by its path": "from pathlib import Path\nPath({secret_file!r}).read_text()",
    "listed a folder": "import os\nos.listdir({closed_folder!r})",
    "wrote a file": "open({closed_folder!r} + '/written', 'w')",
    "may use sockets": "import socket",
    "may start programs": "import subprocess",
    "may call the system": "import ctypes",
}

_SHORTAGES = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE)
_IN_VAIN = ("no answer within", "no result within", "memory ran out", "forked from had ended")

Step = Callable[[str], tuple[bool, Any]]
Tried = tuple[tuple[str, bool, str], ...]


class NoTier(SandboxError):
    """Nothing that may be used confines. `tried`: each tier, whether it passed, why not."""

    def __init__(self, tried: Tried) -> None:
        reasons = "; ".join(f"{tier}: {reason}" for tier, _, reason in tried)
        super().__init__(
            f"The agent's code can't be confined here ({reasons}).",
            fix="`python -m sandbox status` says what this machine allows. Set `sandbox` to a tier "
            "that passes, or to `unconfined` if nothing on this machine needs protection.",
        )
        self.tried = tried


@dataclass(frozen=True)
class Verdict:
    """The tier that the agent's code runs in, and how it was chosen.

    tried: each tier with whether it passed and, if it didn't, why. seconds: what the self-test
    of the chosen one took. own_user: the worker has a user id of its own where that is possible.
    lasting: whether another try would tell the same; not after a test that ran out of something.
    """

    tier: str
    tried: Tried
    seconds: float = 0.0
    own_user: bool = False
    lasting: bool = True

    @property
    def summary(self) -> str:
        """The tier in a few words."""
        return TIERS[self.tier].summary

    @property
    def tested(self) -> str:
        """How it was tested, as a sentence."""
        if self.tier == "unconfined":
            return "not tested, since nothing is kept in"
        tried, used = len(probe.FORBIDDEN), len(probe.NEEDED)
        tried -= len(_LEAVES_OPEN.get(self.tier, ()))
        if self.tier == "restricted":
            tried, used = len(_NOT_IN_LANGUAGE), 1
        who = "with a user id of its own " if self.own_user else ""
        return (
            f"a worker {who}tried {tried} forbidden things in vain and used {used} that it needs "
            f"({self.seconds * 1000:.0f} ms)"
        )

    @property
    def covers(self) -> tuple[str, ...]:
        """What the tier keeps in, as sentences."""
        return TIERS[self.tier].covers

    @property
    def leaves_open(self) -> tuple[str, ...]:
        """What it doesn't, as sentences."""
        return TIERS[self.tier].leaves_open

    def confinement(self, workspace: Path, **limits: Any) -> Confinement:
        """The confinement of one session; `limits` are more fields of Confinement.

        Raises SandboxError where the worker can't have a user id of its own for this workspace
        and the tier doesn't hold without.
        """
        c = _confinement(self.tier, workspace, own_user=self.own_user, **limits)
        if self.own_user and c.uid is None:
            reason = _test(self.tier, False)
            if reason:
                raise SandboxError(
                    f"The agent's code can't be confined in {workspace} ({reason}).",
                    fix="Choose a folder for the data that every user can pass through.",
                )
        return c


def choose(wanted: str = "auto") -> Verdict:
    """The strongest tier whose self-test passes, or the tier `wanted` if its own passes.

    Without a strong one: `restricted`. `unconfined` is taken only when wanted. Cached, unless a
    stronger one ran out of time, memory or disk. Raises NoTier when nothing passes.
    """
    with _lock:
        key = (os.getpid(), wanted)
        verdict = _verdicts.get(key) or _choose(wanted)
        if verdict.lasting:
            _verdicts[key] = verdict
        return verdict


_lock = threading.Lock()
_verdicts: dict[tuple[int, str], Verdict] = {}


def _choose(wanted: str) -> Verdict:
    if wanted not in ("auto", *TIERS):
        raise SandboxError(
            f"Unknown tier of confinement {wanted!r}.", fix=f"Known: auto, {', '.join(TIERS)}."
        )
    candidates = [name for name, tier in TIERS.items() if tier.isolates]
    tried: Tried = ()
    lasting = True
    for tier in candidates if wanted == "auto" else [wanted]:
        verdict = try_tier(tier)
        tried += verdict.tried
        lasting = lasting and verdict.lasting
        if verdict.tried[-1][1]:
            return replace(verdict, tried=tried, lasting=lasting)
    raise NoTier(tried)


def try_tier(tier: str) -> Verdict:
    """Run the self-test of one tier; never raises for a tier that fails."""
    began = time.monotonic()
    reason, own_user, lasting = impossible(tier), False, True
    if not reason and tier != "unconfined":
        own_user = _own_user_possible(tier)
        reason = _test(tier, own_user)
        lasting = not _may_pass(reason)
        if reason and own_user and tier != "uid":
            own_user = False
            reason = _test(tier, own_user)
            lasting = lasting and not _may_pass(reason)
    seconds = time.monotonic() - began
    return Verdict(tier, ((tier, not reason, reason),), seconds, own_user and not reason, lasting)


def impossible(tier: str) -> str:
    """Why the tier needs no trying here; empty if only trying will tell."""
    if tier == "unconfined":
        return ""
    if tier == "seatbelt":
        return "" if sys.platform == "darwin" else "needs macOS"
    if tier == "restricted":
        return "" if importlib.util.find_spec("pydantic_monty") else "pydantic-monty is missing"
    if sys.platform != "linux":
        return "needs Linux"
    from sandbox.confine import kernel, landlock

    try:
        kernel.architecture()
    except OSError as error:
        return str(error)
    if tier == "landlock" and landlock.abi() == 0:
        return "this kernel has no Landlock, or it is switched off"
    if tier == "bubblewrap" and shutil.which("bwrap") is None:
        return "bubblewrap (the program bwrap) is not installed"
    if tier == "uid" and os.geteuid() != 0:
        return "needs the app to run as root"
    return ""


def _private_user(workspace: Path, more: Iterable[str] = ()) -> int:
    """`more` are further folders that the user has to be able to read."""
    if sys.platform != "linux":
        raise OSError("only Linux has workers with a user id of their own")
    needed = [Path(sys.executable), *readable.python(), *map(Path, more)]
    return rights.private_user(workspace, needed)


def _own_user_possible(tier: str) -> bool:
    if tier in ("uid", *_KEEPS_USER):
        return tier == "uid"
    with (
        contextlib.suppress(OSError),
        tempfile.TemporaryDirectory(prefix="hearth-selftest-") as folder,
    ):
        Path(folder).chmod(0o711)
        return bool(_private_user(Path(folder, "workspace")))
    return False


def _confinement(tier: str, workspace: Path, *, own_user: bool, **limits: Any) -> Confinement:
    workspace, uid = workspace.resolve(), None  # the code sees its real name, on macOS too
    if own_user:
        try:
            uid = _private_user(workspace, limits.get("readable", ()))
        except OSError as error:
            if tier == "uid":
                raise SandboxError(
                    f"{error}.", fix="Keep the data and Python in folders open to every user."
                ) from None
    return Confinement(tier, str(workspace), uid=uid, **limits)


_passed: set[tuple[int, str, bool]] = set()


def _test(tier: str, own_user: bool) -> str:
    """Why the tier is rejected; empty if it holds. Only that it holds is remembered."""
    key = (os.getpid(), tier, own_user)
    if key not in _passed and (reason := _attempt(tier, own_user)):
        return reason
    _passed.add(key)
    return ""


def _may_pass(reason: str) -> bool:
    """Whether the reason lies in the state of the machine: the next try may end otherwise."""
    return any(words in reason for words in (*_IN_VAIN, *map(os.strerror, _SHORTAGES)))


def _attempt(tier: str, own_user: bool) -> str:
    with tempfile.TemporaryDirectory(prefix="hearth-selftest-") as folder, _Bait(folder) as bait:
        try:
            c = _confinement(tier, bait.workspace, own_user=own_user, memory_bytes=_MEMORY_BYTES)
            rights.give(bait.given_file, c.uid)
            found = _run(c, bait.plan(_LEAVES_OPEN.get(tier, ())))
        except SandboxError as error:
            return error.message.strip().splitlines()[-1].rstrip(".")
        except OSError as error:
            return str(error)
        return "; ".join([*found.values(), *bait.traces()])


def _run(c: Confinement, plan: dict[str, Any]) -> dict[str, str]:
    """What went wrong in a worker of its own, by name. Raises SandboxError if it didn't get far."""
    wake, worker = Wake(), WorkerProcess(c, output_chars=2_000, max_calls=1)
    try:
        worker.wait_ready(wake, lambda: False)
        step = functools.partial(_step, worker, wake)
        return _probe_restricted(step, plan) if c.tier == "restricted" else _probe(step, plan)
    except WorkerGone as gone:
        raise SandboxError(f"its worker {gone}") from None
    finally:
        worker.kill()
        wake.close()


def _probe(step: Step, plan: dict[str, Any]) -> dict[str, str]:
    source = Path(probe.__file__).read_text(encoding="utf-8")
    worked, value = step(f"{source}\nattempt_all({plan!r})")
    if not worked or not isinstance(value, dict):
        raise SandboxError(f"its worker failed: {value}")
    return {str(name): str(words) for name, words in value.items()}


def _probe_restricted(step: Step, plan: dict[str, Any]) -> dict[str, str]:
    wrong = {said: said for said, code in _NOT_IN_LANGUAGE.items() if step(code.format(**plan))[0]}
    worked, value = step("sum(n * n for n in range(10))")
    return wrong if worked and value == 285 else {**wrong, "computes": f"computes {value!r}"}


def _step(worker: WorkerProcess, wake: Wake, code: str) -> tuple[bool, Any]:
    """Run a step: whether it came to its end, and its value or the text of its error."""
    worker.send("step", "selftest", 1, _SECONDS, code)
    deadline = time.monotonic() + _SECONDS
    while (left := deadline - time.monotonic()) > 0:
        worker.wait(wake, left)
        worker.read_raw()
        for kind, _, *fields in worker.read():
            if kind == "done":
                status, text, _, body = fields[:4]
                return (True, wire.unpack(body)) if status == "ok" else (False, text)
    raise SandboxError(f"its worker gave no result within {_SECONDS:g} s")


class _Bait:
    """Files and servers that the probe tries to reach, and what they saw of it."""

    def __init__(self, folder: str) -> None:
        self._base = Path(folder)
        self._secret = secrets.token_hex(16)
        self._memory = ctypes.create_string_buffer(self._secret.encode())
        self.workspace = self._base / "workspace"
        self._closed, self._open = self._base / "closed", self._base / "open"
        self.given_file = self.workspace / "given.txt"
        self._sockets = contextlib.ExitStack()
        self._servers: dict[str, socket.socket] = {}

    def __enter__(self) -> "_Bait":
        self._base.chmod(0o711)  # a worker with a user id of its own has to pass
        for place, mode in ((self.workspace, 0o700), (self._closed, 0o700), (self._open, 0o777)):
            place.mkdir()
            place.chmod(mode)
        files = ((self._closed / "secret", 0o600), (self._open / "file", 0o644))
        for file, mode in (*files, (self.given_file, 0o600)):
            file.write_text(self._secret)
            file.chmod(mode)
        with contextlib.ExitStack() as stack:
            for name, family, kind in (
                ("tcp", socket.AF_INET, socket.SOCK_STREAM),
                ("udp", socket.AF_INET, socket.SOCK_DGRAM),
                ("stream", socket.AF_UNIX, socket.SOCK_STREAM),
                ("datagram", socket.AF_UNIX, socket.SOCK_DGRAM),
            ):
                server = stack.enter_context(socket.socket(family, kind))
                path = str(self._open / name)
                server.bind(("127.0.0.1", 0) if family == socket.AF_INET else path)
                if family == socket.AF_UNIX:
                    Path(path).chmod(0o777)
                if kind == socket.SOCK_STREAM:
                    server.listen(4)
                server.setblocking(False)
                self._servers[name] = server
            self._sockets = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._sockets.close()

    def plan(self, passed_over: tuple[str, ...]) -> dict[str, Any]:
        """What the probe has to know."""
        return {
            "app": os.getpid(),
            "address": ctypes.addressof(self._memory),
            "secret": self._secret,
            "secret_file": str(self._closed / "secret"),
            "open_file": str(self._open / "file"),
            "closed_folder": str(self._closed),
            "open_folder": str(self._open),
            "workspace": str(self.workspace.resolve()),
            "given_file": str(self.given_file.resolve()),
            "tcp_port": self._servers["tcp"].getsockname()[1],
            "udp_port": self._servers["udp"].getsockname()[1],
            "unix_socket": str(self._open / "stream"),
            "unix_datagrams": str(self._open / "datagram"),
            "descriptors": _DESCRIPTORS,
            "numpy": importlib.util.find_spec("numpy") is not None,
            "passed_over": list(passed_over),
        }

    def traces(self) -> Iterator[str]:
        """What the probe reached, seen from here; for when the probe was made to lie."""
        for name, server in self._servers.items():
            with contextlib.suppress(BlockingIOError):
                if server.type == socket.SOCK_STREAM:
                    server.accept()[0].close()
                else:
                    server.recv(16)
                yield f"something came to the {name} socket"
        for file, mode in ((self._closed / "secret", 0o600), (self._open / "file", 0o644)):
            if file.read_text() != self._secret or file.stat().st_mode & 0o7777 != mode:
                yield f"the file {file.name} was changed"
        if [entry.name for entry in self._closed.iterdir()] != ["secret"]:
            yield "a file was made in a closed folder"
