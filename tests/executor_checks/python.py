"""Ordinary Python: what any program may use has to mean what it means in CPython.

The programs stand in `cases/`, one file a subject. A case is a headline, the code, and how it
ends: the value of its last line (`#>`), what it prints (`#<`) or the end of its error (`#!`).
The cases of a file run one after the other, as the steps of a session.
"""

import datetime  # noqa: F401 - expected values name its classes
from pathlib import Path
from typing import Any, NamedTuple

from tests.executor_checks.common import Make, fails

FOLDER = Path(__file__).resolve().parent / "cases"


class Case(NamedTuple):
    """`kind` says what `expected` is: a value (`>`), printed text (`<`) or an error (`!`)."""

    name: str
    code: str
    kind: str
    expected: str


def cases(subject: str) -> list[Case]:
    """The cases of a file."""
    _, *blocks = (FOLDER / f"{subject}.txt").read_text(encoding="utf-8").split("\n### ")
    found = []
    for block in blocks:
        name, _, rest = block.partition("\n")
        code, _, end = rest.rstrip().rpartition("\n#")
        assert end[1:2] == " ", f"{subject}: {name} has no end"
        found.append(Case(name, code, end[0], end[2:]))
    return found


def run(executor: Any, case: Case) -> None:
    """Assert that a case ends as its file says."""
    if case.kind == "!":
        text = fails(executor, case.code)
        assert text.endswith(case.expected), text
        return
    result = executor(case.code)
    expected = eval(case.expected)
    if case.kind == "<":
        assert result.logs == expected, result.logs
        return
    assert result.output == expected and type(result.output) is type(expected), result.output


def all_right(make: Make, subject: str) -> None:
    """Run the cases of a file, in one session."""
    executor = make()
    for case in cases(subject):
        try:
            run(executor, case)
        except Exception as error:
            raise AssertionError(f"{subject}: {case.name}: {error}") from error


def check_what_smolagents_gets_wrong(make: Make) -> None:
    all_right(make, "smolagents")


def check_classes(make: Make) -> None:
    all_right(make, "classes")


def check_functions(make: Make) -> None:
    all_right(make, "functions")


def check_expressions(make: Make) -> None:
    all_right(make, "expressions")


def check_statements(make: Make) -> None:
    all_right(make, "statements")


def check_async(make: Make) -> None:
    all_right(make, "async")


def check_standard_library(make: Make) -> None:
    all_right(make, "standard_library")


def check_libraries(make: Make) -> None:
    all_right(make, "libraries")


def check_pandas(make: Make) -> None:
    all_right(make, "pandas")
