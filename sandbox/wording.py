"""What the user is told of a tier of confinement before it matters."""

_WARNINGS = {
    "unconfined": (
        "The sandbox is off: the agent's code can read and change all of your files, use the "
        "network and start programs. Set HEARTH_SANDBOX=auto to confine it."
    ),
    "uid": (
        "The sandbox is weak here: the agent's code can read what every user of this machine may "
        "read. `python -m sandbox status` says what a stronger one needs."
    ),
    "restricted": (
        "No sandbox for real Python works here, so the agent's code runs in an interpreter of a "
        "part of Python, without numpy, pandas or files. `python -m sandbox status` says why."
    ),
}


def warning(tier: str) -> str:
    """A warning in plain words for a tier that is weak, narrow or none; empty for the others."""
    return _WARNINGS.get(tier, "")
