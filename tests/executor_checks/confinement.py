"""The checks of confinement, by the number of the thing that code is kept from."""

import re

from tests.executor_checks import (
    confinement_disk,
    confinement_files,
    confinement_host,
    confinement_memory,
    confinement_network,
    confinement_processes,
    confinement_resources,
    confinement_wire,
)
from tests.executor_checks.place import Check

ITEMS = 102  # of the list in docs/security.md

_SUBJECTS = (
    confinement_files,
    confinement_network,
    confinement_processes,
    confinement_resources,
    confinement_host,
    confinement_wire,
    confinement_memory,
    confinement_disk,
)

CHECKS: list[Check] = [
    check
    for _, check in sorted(
        (name, found)
        for subject in _SUBJECTS
        for name, found in vars(subject).items()
        if re.match(r"check_\d{3}_", name)
    )
]


def item(check: Check) -> int:
    """The number of what it checks."""
    return int(check.__name__[6:9])


def name(check: Check) -> str:
    """Number and words, as tests are named."""
    return check.__name__.removeprefix("check_")


# What the kernel refuses, in a word: it can differ with the rights of the user and with a
# container's own filter. The other items are Hearth's own doing, the same wherever it runs.
BY_THE_KERNEL = frozenset({*range(1, 17), *range(22, 45), *range(67, 71), 97})
