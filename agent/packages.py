"""Packages that the code lacks: who is asked, what the model reads, what the user sees of it."""

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from agent.desk import Desk
from agent.events import Event, PackageInstall, PackageWanted
from errors import HearthError, PackageError


class Installer(Protocol):
    """What is needed of `sandbox.install.Packages`."""

    def offer(self, module: str) -> tuple[str, str]: ...

    def install(
        self,
        name: str,
        *,
        on_progress: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> object: ...


class PackageDesk(Desk):
    """The packages of one session, between its code, its user and the installer."""

    def __init__(self, installer: Installer) -> None:
        super().__init__()
        self._installer = installer
        self._asked: set[str] = set()
        self._lock = threading.Lock()

    def missing(self, module: str) -> str:
        """A step lacked `module`: ask the user, or install what they allowed beforehand.

        Returns what the model is told about it, as the end of the step's observation.
        """
        what, package = self._installer.offer(module)
        if what == "install":
            try:
                self.install(package)
            except PackageError as error:
                return f"{error.message} Go on without it."
            return f"{package} was installed just now. Run the code again."
        if what == "ask":
            with self._lock:
                new = package not in self._asked
                self._asked.add(package)
            if new:
                self._emit(PackageWanted(self._step(), module, package))
            return f"The user is asked whether {package} may be installed. Go on without it."
        return ""

    def install(self, name: str, on_progress: Callable[[str], None] = lambda text: None) -> None:
        """Install what the user allowed or wrote. Raises HearthError where that can't be."""

        def said(text: str) -> None:
            on_progress(text)
            self._emit(PackageInstall(name, "progress", text))

        try:
            done = str(self._installer.install(name, on_progress=said, stopped=self._stopped))
        except HearthError as error:
            self._emit(PackageInstall(name, "failed", error.message))
            raise
        text = f"Installed: {done}" if done else f"{name} is there already."
        on_progress(text)
        self._emit(PackageInstall(name, "installed", text))


def pending(events: Iterable[Event]) -> list[str]:
    """The packages that the user was asked for and that are neither there nor on their way."""
    names: dict[str, bool] = {}
    for event in events:
        if isinstance(event, PackageWanted):
            names[event.package] = True
        elif isinstance(event, PackageInstall) and event.package in names:
            names[event.package] = event.status == "failed"
    return [name for name, missing in names.items() if missing]
