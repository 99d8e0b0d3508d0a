"""What model-written code is kept from, item by item, in every tier that this machine can have.

The tier `unconfined` is the control: there the same code has to succeed.
"""

from collections.abc import Iterator

import pytest

from errors import SandboxError
from sandbox import selftest
from sandbox.confine import TIERS

pytest.register_assert_rewrite("tests.executor_checks")
from tests import security_document  # noqa: E402
from tests.executor_checks import confinement  # noqa: E402
from tests.executor_checks.place import HERE, Check, Place  # noqa: E402


@pytest.fixture(scope="module", params=HERE)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    try:
        selftest.choose(request.param)
    except SandboxError as error:
        pytest.skip(str(error))
    made = Place(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("check", confinement.CHECKS, ids=confinement.name)
def test_confined(check: Check, place: Place) -> None:
    check(place)


def test_every_item_of_the_list_is_checked() -> None:
    numbers = [confinement.item(check) for check in confinement.CHECKS]
    assert numbers == list(range(1, confinement.ITEMS + 1))


def test_the_document_on_security_says_what_the_code_says() -> None:
    text = security_document.DOCUMENT.read_text()
    assert security_document.replaced(text) == text, "run python -m tests.security_document"
    table = text.partition("## Which machine gets which tier")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    assert rows
    for _, tier, how in rows:
        named = [word for word in TIERS if f"`{word}`" in tier]
        assert named or "as x86-64" in tier or "none" in tier, tier
        assert any(word in how for word in ("measured", "expected")) or "none" in tier, how
