"""How the model that answers is to be talked to."""

from collections.abc import Sequence
from functools import partial

from smolagents import Tool

from agent import prompts
from agent.manner import Manner
from serving.families import FAMILIES


def manner_of(name: str, tools: Sequence[Tool]) -> Manner:
    """How a model of the family `name` is talked to in a session with these tools."""
    family = FAMILIES[name]
    told = partial(prompts.instructions, family.prompt, tools)
    return Manner(family.name, told, family.remembers_turns)
