"""The scripted model: the model seam's rules, and what is its own."""

from collections.abc import Callable

import pytest
from smolagents.models import ChatMessage, MessageRole

from errors import ModelError
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from tests import model_conformance
from tests.model_conformance import ADD, R1, TASK


@pytest.mark.parametrize("check", model_conformance.SCRIPTED, ids=lambda c: c.__name__)
def test_conformance(check: Callable[[model_conformance.Make], None]) -> None:
    check(ScriptedModel)


@pytest.mark.parametrize("check", model_conformance.ANY_MODEL, ids=lambda c: c.__name__)
def test_conformance_of_any_model(check: Callable[..., None]) -> None:
    check(ScriptedModel([ADD] * 2, R1, delay_seconds=0.005), TASK)


def test_history_is_what_a_server_would_have_got() -> None:
    model = ScriptedModel(["one", "two"], R1)
    model.generate([
        ChatMessage(role=MessageRole.SYSTEM, content="Be brief."),
        ChatMessage(role=MessageRole.USER, content=[{"type": "text", "text": "Add."}]),
    ])  # fmt: skip
    model.generate([{"role": "user", "content": "More."}])
    assert model.history == [
        [{"role": "user", "content": "Be brief.\n\nAdd."}],
        [{"role": "user", "content": "More."}],
    ]


def test_used_up() -> None:
    model = ScriptedModel(["one"])
    model.generate(TASK)
    with pytest.raises(ModelError, match="only 1 replies"):
        model.generate(TASK)


def test_default_family_needs_no_thinking() -> None:
    assert ScriptedModel([]).family is FAMILIES["instruct"]
    reply = ScriptedModel(["```python\nx()\n```"]).generate(TASK).raw
    assert (reply.thinking, reply.code) == ("", "x()")
