"""The executor's conformance suite, on every level of confinement there is."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.confine import LEVELS
from sandbox.executor import SandboxExecutor

pytest.register_assert_rewrite("tests.executor_checks")
from tests import executor_conformance  # noqa: E402


@pytest.fixture(params=list(LEVELS))
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    made: list[SandboxExecutor] = []

    def build(**options: Any) -> SandboxExecutor:
        workspace = tmp_path / f"workspace-{len(made)}"
        executor = SandboxExecutor(workspace, confine=request.param, **options)
        made.append(executor)
        return executor

    yield build
    for executor in made:
        executor.cleanup()


@pytest.mark.parametrize("check", executor_conformance.CHECKS, ids=lambda check: check.__name__)
def test_conforms(check: Callable[..., None], make: Any, request: pytest.FixtureRequest) -> None:
    wanted = list(inspect.signature(check).parameters)[1:]
    check(make, **{name: request.getfixturevalue(name) for name in wanted})
