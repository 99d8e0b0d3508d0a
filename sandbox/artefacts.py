"""What a step left in the workspace: its new and changed files.

The code in the sandbox chooses the names and the number, so the list is bounded, and only
regular files with a printable name of their own are on it. Nothing is opened here; whoever
reads such a file must open it without following links, since the code may have put another
thing in its place by then.
"""

from sandbox.files import HIDDEN, Contents

MAX_ARTEFACTS = 500
MAX_BYTES = 100_000_000
_PASSED_OVER = {HIDDEN, "__pycache__", ".ipynb_checkpoints"}


def changed(before: Contents, after: Contents) -> tuple[list[str], list[str]]:
    """The names of the files that are new in `after` or differ from `before`, oldest first;
    and a line for whatever had to be left out."""
    states = after.files
    names = [
        name
        for name, state in states.items()
        if before.files.get(name) != state and name not in after.linked and _is_shown(name)
    ]
    names.sort(key=lambda name: (states[name][0], name))
    taken: list[str] = []
    notes: list[str] = []
    for name in names:
        size = states[name][1]
        if len(taken) == MAX_ARTEFACTS:
            notes.append(f"only {MAX_ARTEFACTS} of {len(names):,} new files are listed")
            break
        if size > MAX_BYTES:
            notes.append(f"{name}: {size / 1e6:,.0f} MB, too large to be handed on")
        else:
            taken.append(name)
    return taken, notes[-10:]


def _is_shown(name: str) -> bool:
    """Names that nobody could ask for, and folders of no interest, are left out."""
    return name.isprintable() and _PASSED_OVER.isdisjoint(name.split("/"))
