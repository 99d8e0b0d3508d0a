"""The executor's conformance suite, in every tier of confinement that runs real Python."""

import inspect
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from errors import SandboxError
from sandbox import selftest
from sandbox.executor import SandboxExecutor

pytest.register_assert_rewrite("tests.executor_checks")
from tests import executor_conformance  # noqa: E402
from tests.executor_checks.place import HERE  # noqa: E402


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own are closed to a user id of its own."""
    folder = Path(tempfile.mkdtemp(prefix="hearth-conformance-")).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


# The restricted interpreter has a suite of its own: most of this is beyond its language.
@pytest.fixture(params=[tier for tier in HERE if tier != "restricted"])
def make(request: pytest.FixtureRequest, open_folder: Path) -> Iterator[Callable[..., Any]]:
    try:
        selftest.choose(request.param)
    except SandboxError as error:
        pytest.skip(str(error))
    made: list[SandboxExecutor] = []

    def build(**options: Any) -> SandboxExecutor:
        workspace = open_folder / f"workspace-{len(made)}"
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
