"""What every executor has to do, as plain checks: `check_…(make)` for any level of confinement.

`make(**options)` gives a new executor with its own empty workspace (`executor.workspace`), the
options being those of `SandboxExecutor`; whoever calls the checks cleans up after them. A check
may ask for pytest fixtures by further names. `CHECKS` lists them all.
"""

from collections.abc import Callable

from tests.executor_checks import (
    calling,
    failing,
    keeping,
    limits,
    packages,
    python,
    running,
    values,
)

CHECKS: list[Callable[..., None]] = [
    check
    for subject in (running, python, values, packages, failing, calling, limits, keeping)
    for name, check in vars(subject).items()
    if name.startswith("check_")
]
