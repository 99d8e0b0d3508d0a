"""The workspace of a session: where it is, what it may hold, what is the user's in it."""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from errors import SandboxError
from sandbox import files
from sandbox.files import Contents, Quota, Seen

_GIVEN = Quota(max_bytes=2**63, max_files=200_000, max_depth=200)


class Workspace:
    """The working folder of the code; without `folder` a temporary one, removed by `remove`.

    Its quota is for what the code makes: the files that were there before are the user's, count
    on top of it, and stay when the workspace has to be cleared.
    """

    def __init__(self, folder: Path | None, quota: Quota) -> None:
        self.temporary = folder is None
        self.path = Path(folder or tempfile.mkdtemp(prefix="hearth-workspace-")).absolute()
        self._allowed = quota
        self._given: dict[str, Seen] = {}  # the user's files
        self._links: dict[str, Seen] = {}  # and symbolic links
        self.last: Contents | None = None  # what `look` saw last

    @property
    def root(self) -> Path:
        """The folder by its real name, which the code sees."""
        return self.path.resolve()

    @property
    def quota(self) -> Quota:
        """What the workspace may hold with the user's own files."""
        size = sum(size + 4096 for _, size, _ in self._given.values())
        number = len(self._given) + len(self._links)
        return replace(self._allowed, given_bytes=size, given_files=number)

    def make(self) -> Path:
        """Make the folder if it isn't there. Raises SandboxError where it can't be."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SandboxError(
                f"The workspace {self.path} can't be made: {error.strerror}.",
                fix="Check the disk and the setting data_dir.",
            ) from None
        if self.last is None:
            found = files.contents(self.root, _GIVEN)
            if not found.whole:
                raise SandboxError(
                    f"The workspace {self.path} holds {found.excess(_GIVEN)}.",
                    fix="Choose a folder with the files of one task.",
                )
            self._keep(found, found.files)
            self._links = found.links
            self.last = found
        return self.root

    def keep(self, names: Iterable[str]) -> None:
        """These files, named relative to the workspace, are the user's."""
        self._keep(files.contents(self.root, _GIVEN), names)

    def _keep(self, found: Contents, names: Iterable[str]) -> None:
        for name in names:
            if name in found.files and not name.startswith(files.HIDDEN + "/"):
                self._given[name] = found.files[name]

    def look(self) -> Contents:
        """What is there now."""
        self.last = files.contents(self.root, self.quota)
        return self.last

    def restore(self, before: Contents) -> str:
        """Bring the workspace within its quota, best to what `before` saw; says how.

        What was there before stays, under the name that the code gave it too. Only while no code
        runs in it that could go on writing.
        """
        known = files.names_now(self.root, {**before.files, **before.links})
        files.clear(self.root, [*before.files, *before.folders, *known, *files.own_folders()])
        if not self.look().excess(self.quota):
            return "What it wrote was removed."
        known = files.names_now(self.root, {**self._given, **self._links})
        files.clear(self.root, [*self._given, *known, *files.own_folders()])
        self.look()
        return "The workspace was cleared, but for the files that were attached."

    def remove(self) -> None:
        """Remove the caches of the worker, and with a temporary workspace all of it."""
        if self.temporary:
            files.remove(self.root)
        else:
            files.remove(self.root / files.HIDDEN)
