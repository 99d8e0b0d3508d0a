"""From an example to what the model is trained on: token ids, and which of them count.

Every step is a sequence of its own: the conversation so far, exactly as the agent sends it
(past thinking dropped, observations from really running the steps before), then the reply. Only
the reply's tokens carry loss, and steps that are given (the mistake the model is to recover
from) carry none.
"""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from agent.context import assistant_message, observation_text, task_message
from serving.tiny.example import Example
from serving.tiny.template import prompt_text, reply_text
from serving.tiny.world import World

Message = dict[str, str]


class BadExample(ValueError):
    """An example whose own steps don't do what they should; names the step and why."""


@dataclass(frozen=True)
class Turn:
    """One reply to learn: the messages before it, the thinking and the code."""

    messages: list[Message]
    thinking: str
    code: str

    @property
    def prompt(self) -> str:
        """The text up to and with the open `<think>`."""
        return prompt_text(self.messages)

    @property
    def reply(self) -> str:
        """The text to learn, its end token included."""
        return reply_text(self.thinking, self.code)


@dataclass(frozen=True)
class Sequence:
    """A turn in tokens: the first `prompt_tokens` of `ids` carry no loss."""

    ids: list[int]
    prompt_tokens: int


def first_message(example: Example) -> Message:
    """The task as the agent puts it."""
    return {"role": "user", "content": task_message(example.task, list(example.files))}


def next_messages(code: str, observation: str) -> list[Message]:
    """What a step adds to the conversation: the past action and what it did."""
    said = {"role": "assistant", "content": assistant_message(code)}
    return [said, {"role": "user", "content": observation}]


def turns(example: Example, folder: Path) -> list[Turn]:
    """The replies to learn, each with its history. All steps but the last are run in `folder`.

    Raises BadExample when a step before the last one answers, or fails without being given.
    """
    messages = [first_message(example)]
    world = World(example, folder) if len(example.steps) > 1 else None
    found = []
    for number, step in enumerate(example.steps):
        if number >= example.given:
            found.append(Turn(list(messages), step.thinking, step.code))
        if world is None or number == len(example.steps) - 1:
            break
        ran = world.run(step.code)
        if ran.answered:
            raise BadExample(f"{example.family}: step {number + 1} already answers")
        if ran.error and number >= example.given:
            raise BadExample(f"{example.family}: step {number + 1} fails: {ran.error}")
        observation = observation_text(ran.printed, ran.error, ran.value)
        messages += next_messages(step.code, observation)
    return found


def encode(turn: Turn, tokenizer: Tokenizer) -> Sequence:
    """The turn in tokens. Prompt and reply are cut apart, as they are when a server generates."""
    prompt = tokenizer.encode(turn.prompt, add_special_tokens=False).ids
    reply = tokenizer.encode(turn.reply, add_special_tokens=False).ids
    return Sequence(prompt + reply, len(prompt))


def texts(example: Example, folder: Path) -> list[str]:
    """The example's texts for the tokenizer, each message and each reply once, without markers."""
    learned = turns(example, folder)
    if not learned:
        return []
    said = [message["content"] for message in learned[-1].messages]
    return said + [f"{turn.thinking}\n\n```python\n{turn.code}\n```" for turn in learned]
