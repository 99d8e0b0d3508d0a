"""The executor's conformance suite, in every tier of confinement that runs real Python."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from errors import SandboxError
from sandbox import selftest
from sandbox.confine import TIERS
from sandbox.executor import SandboxExecutor

pytest.register_assert_rewrite("tests.executor_checks")
from tests import executor_conformance  # noqa: E402


# The restricted interpreter has a suite of its own: most of this is beyond its language.
@pytest.fixture(params=[tier for tier in TIERS if tier != "restricted"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    try:
        selftest.choose(request.param)
    except SandboxError as error:
        pytest.skip(str(error))
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
