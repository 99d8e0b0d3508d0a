"""Starts the processes of the sandbox, all from one thread of the app."""

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from sandbox.files import OWN_FOLDERS, open_folder

ROOT = Path(__file__).resolve().parent.parent
_BOOT = (
    "import sys; sys.path.insert(0, {root!r}); from sandbox.{module} import main; "
    "del sys.path[0]; {then}main()"
)
_FONT_LISTS = ("~/.cache/matplotlib", "~/.matplotlib", "~/.cache/hearth/template/matplotlib")


def prepare_folder(own: Path) -> None:
    """The folders of a worker's own, with matplotlib's list of fonts: it takes a second to
    build, so the user's is taken, if there is one.

    The agent's code may have put links there, and none is followed: nothing is made outside of
    the folder that `own` is in. Raises OSError for a link or a file in the place of a folder.
    """
    own.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as opened:
        above = os.open(own.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, above)
        folder = _make_folder(own.name, above, opened)
        inner = {name: _make_folder(name, folder, opened) for name in OWN_FOLDERS}
        _copy_font_lists(inner["matplotlib"])


def _make_folder(name: str, parent: int, opened: contextlib.ExitStack) -> int:
    """A descriptor of the folder, which is made if it isn't there."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=parent)
    folder = open_folder(name, parent)
    if folder < 0:
        raise OSError(f"{name} in the workspace is not a folder that can be used")
    opened.callback(os.close, folder)
    return folder


def _copy_font_lists(folder: int) -> None:
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for cache in _FONT_LISTS:
        with contextlib.suppress(OSError, RuntimeError):
            for found in Path(cache).expanduser().glob("fontlist-v*.json"):
                with (
                    contextlib.suppress(FileExistsError),
                    found.open("rb") as source,
                    os.fdopen(os.open(found.name, new, 0o644, dir_fd=folder), "wb") as copy,
                ):
                    shutil.copyfileobj(source, copy)


def command(module: str, argument: str, then: str = "") -> list[str]:
    """A new Python that runs `main` of a module of this package, after the statement `then`."""
    boot = _BOOT.format(root=str(ROOT), module=module, then=then)
    return [sys.executable, "-I", "-X", "utf8", "-c", boot, argument]


def popen(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    """A process with a session of its own and no input."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)


class _Spawner:
    """The thread that starts every process. It lives as long as the app, since the kernel ends
    a process when the thread that started it ends (PR_SET_PDEATHSIG)."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="sandbox-spawner", daemon=True).start()

    def run(self, job: Callable[[], Any]) -> Any:
        """Run `job` in the thread and wait for it."""
        future: Future[Any] = Future()
        self._jobs.put((job, future))
        return future.result()

    def _work(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
                future.set_exception(error)


_spawners: list[_Spawner] = []
_spawners_lock = threading.Lock()


def spawner() -> _Spawner:
    """The app's spawner thread."""
    with _spawners_lock:
        if not _spawners or _spawners[0].pid != os.getpid():  # a forked app has lost the thread
            _spawners[:] = [_Spawner()]
        return _spawners[0]
