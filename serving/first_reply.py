"""The self-test of an engine: a short question once it is up, before anyone relies on it.

A server can be healthy and its model not: half-precision overflow shows as `!!!!`, a wrong
tokenizer or a damaged checkpoint as one token over and over, a wrong chat template as a reply
that never thinks or never ends. The question goes through Hearth's own client, so what passes
here is what the agent will get.
"""

import contextlib
import re

from errors import ModelError
from serving.families import Family
from serving.gguf_source import names_gguf
from serving.model_family import family_of_model
from serving.reply import Reply
from serving.row import Endpoint, Plan

QUESTIONS = ("What is 17 plus 25?", "Is 51 a prime number?")
_MOST_TOKENS = 1024
_MOST_THINKING = 512
_SECONDS = 120.0  # a slow machine is no fault: what it has said by then is looked at

# Rules of a dash or of dots are text, of a letter or an exclamation mark they are not.
_ONE_CHARACTER = re.compile(r"([^\s\-=_*#.~|])\1{15}")
# From a word's beginning: Chinese has no spaces, and each of its characters would be tried as one.
_ONE_WORD = re.compile(r"(?<!\S)(\S+)(?:\s+\1){11}(?!\S)")


class Faulty(Exception):
    """The engine answers, but not as its model should; the text completes "the engine …"."""


def family_of(plan: Plan, named: str) -> Family:
    """The family of a plan's model; `named` is the setting `family`, which goes before."""
    source = plan.source
    name = str(source.folder) if source.folder and not names_gguf(source.shown) else source.shown
    return family_of_model(name, source.model_id, named)


def check_first_reply(endpoint: Endpoint, family: Family, seconds: float) -> str:
    """Ask a question, and another if the reply to it has a fault; returns a remark, or nothing.

    `seconds` is all the time there is. Raises Faulty for the fault of the second reply, ModelError
    when there is none.
    """
    fault = ""
    for question in QUESTIONS:
        reply = _ask(endpoint, family, min(seconds, _SECONDS), question)
        if reply is None:
            return "its first reply takes long; what it said so far reads well"
        fault = fault_of(reply, family)
        if not fault:
            return ""
    raise Faulty(fault)


def _ask(endpoint: Endpoint, family: Family, seconds: float, question: str) -> Reply | None:
    """The reply; None for one that came to no end in time, but is sound as far as it came."""
    from serving.chat import ChatModel  # here: it brings smolagents, which takes seconds

    thinking = family.thinking_tokens
    model = ChatModel(
        endpoint.base_url,
        endpoint.model_id,
        endpoint.api_key,
        family,
        timeout_seconds=seconds,
        max_tokens=min(family.max_tokens, _MOST_TOKENS),
        thinking_tokens=None if thinking is None else min(thinking, _MOST_THINKING),
    )
    with contextlib.closing(model):
        try:
            reply = model.generate([{"role": "user", "content": question}]).raw
        except ModelError as error:
            partial = error.partial
            if not isinstance(partial, Reply):
                raise
            if not garbage_in(partial.thinking + partial.text):
                return None
            reply = partial
    assert isinstance(reply, Reply)
    return reply


def fault_of(reply: Reply, family: Family) -> str:
    """What is wrong with a first reply, completing "the engine …"; empty for nothing."""
    said = f"{reply.thinking}\n{reply.text}"
    if not said.strip():
        return "says nothing"
    garbage = garbage_in(said)
    if garbage or reply.forced == "repetition":
        return f"says one thing over and over ({garbage or said.strip()[-40:]!r})"
    if family.opens_thinking and not reply.thinking:
        return f"does not think, as {family.about} should"
    if not reply.text and reply.code is None:
        return "never ends its thinking"
    if reply.finish == "length":
        return "never comes to an end"
    return ""


def garbage_in(text: str) -> str:
    """The part of `text` that no sound model says; empty where there is none."""
    found = _ONE_CHARACTER.search(text) or _ONE_WORD.search(text)
    if found:
        return found.group()[:40]
    return "\ufffd" if text.count("\ufffd") > len(text) // 10 else ""
