"""One script, two agents: smolagents' own CodeAgent, and ours. For tests and benchmarks."""

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from smolagents import CodeAgent, LogLevel, Tool
from smolagents.local_python_executor import PythonExecutor
from smolagents.memory import ActionStep
from smolagents.models import ChatMessage, ChatMessageStreamDelta, MessageRole, Model
from smolagents.monitoring import AgentLogger, TokenUsage

from agent import prompts
from agent.events import ModelReplied, RunFinished, StepFinished
from agent.session import Limits, Session
from errors import ContextTooLong
from sandbox.executor import SandboxExecutor
from serving.families import FAMILIES, Family
from serving.model import ReplyDelta, plain_messages
from serving.scripted import ScriptedModel

Reply = str | None
Prompt = list[dict[str, str]]


@dataclass
class Outcome:
    """What came of a run: its answer (or the error's text), the code of each step, what the
    model was sent each time, the stop strings with it, and what each step showed."""

    answer: Any = None
    error: str = ""
    executed: list[str] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    stops: list[list[str]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    @property
    def last_prompt(self) -> str:
        return "\n".join(message["content"] for message in self.prompts[-1])


class Script(Model):
    """For the stock agent: the same raw replies, as a server that knows no thinking gives them.

    It cuts a reply at the first stop string, as servers do. `most_chars` is its context.
    """

    def __init__(self, replies: Sequence[Reply], most_chars: int = 0) -> None:
        super().__init__(model_id="script")
        self.prompts: list[Prompt] = []
        self.stops: list[list[str]] = []
        self._replies = list(replies)
        self._most_chars = most_chars

    def generate(
        self, messages: Sequence[ChatMessage], stop_sequences: Any = None, *_: Any, **__: Any
    ) -> ChatMessage:
        usage = TokenUsage(input_tokens=1, output_tokens=1)
        reply = self._reply(messages, stop_sequences)
        return ChatMessage(MessageRole.ASSISTANT, reply, token_usage=usage)

    def generate_stream(
        self, messages: Sequence[ChatMessage], stop_sequences: Any = None, *_: Any, **__: Any
    ) -> Iterator[ChatMessageStreamDelta]:
        reply = self._reply(messages, stop_sequences) or ""
        for start in range(0, len(reply), 4):
            yield ChatMessageStreamDelta(content=reply[start : start + 4])
        usage = TokenUsage(input_tokens=1, output_tokens=len(reply) // 4)
        yield ChatMessageStreamDelta(content="", token_usage=usage)

    def _reply(self, messages: Sequence[ChatMessage], stops: list[str] | None) -> Reply:
        prompt = plain_messages(messages, FAMILIES["instruct"])
        _refuse(prompt, self._most_chars)
        self.prompts.append(prompt)
        self.stops.append(list(stops or []))
        reply = self._replies[min(len(self.prompts), len(self._replies)) - 1]
        for stop in stops or [] if reply else []:
            reply = reply.partition(stop)[0]  # type: ignore[union-attr]
        return reply


class OurScript(ScriptedModel):
    """The same for our agent: the last reply repeats, and the context has an end too."""

    def __init__(self, replies: Sequence[Reply], family: Family, most_chars: int = 0) -> None:
        super().__init__([reply or "" for reply in replies], family)
        self.stops: list[list[str]] = []
        self._most_chars = most_chars

    def generate_stream(
        self, messages: Any, stop_sequences: Any = None, *args: Any, **more: Any
    ) -> Iterator[ReplyDelta]:
        _refuse(plain_messages(messages, self.family), self._most_chars)
        self.stops.append(list(stop_sequences or []))
        if len(self.history) >= len(self._replies):
            self._replies.append(self._replies[-1])
        return super().generate_stream(messages, stop_sequences, *args, **more)


def _refuse(prompt: Prompt, most_chars: int) -> None:
    size = sum(len(message["content"]) for message in prompt)
    if most_chars and size > most_chars:
        raise ContextTooLong(f"maximum context length is {most_chars // 4} tokens")


Side = Callable[..., Outcome]


def stock(
    replies: Sequence[Reply],
    *,
    task: str = "Go.",
    max_steps: int = 8,
    stream: bool = False,
    most_chars: int = 0,
    tools: Sequence[Tool] = (),
    executor: PythonExecutor | None = None,
    **options: Any,
) -> Outcome:
    """The run of smolagents' CodeAgent, as it is."""
    model = Script(replies, most_chars)
    agent = CodeAgent(
        tools=list(tools),
        model=model,
        executor=executor,
        max_steps=max_steps,
        stream_outputs=stream,
        logger=AgentLogger(level=LogLevel.OFF, console=Console(file=io.StringIO())),
        **options,
    )
    found = Outcome()
    try:
        found.answer = agent.run(task)
    except Exception as error:  # noqa: BLE001 - how it fails is what is looked at
        found.error = f"{type(error).__name__}: {error}"
    steps = [step for step in agent.memory.steps if isinstance(step, ActionStep)]
    found.executed = [step.code_action for step in steps if step.code_action is not None]
    found.seen = [f"{step.observations or ''}{step.error or ''}" for step in steps]
    found.prompts, found.stops = model.prompts, model.stops
    return found


def ours(
    replies: Sequence[Reply],
    *,
    task: str = "Go.",
    max_steps: int = 8,
    most_chars: int = 0,
    family: Family = FAMILIES["r1-distill"],
    tools: Sequence[Tool] = (),
    **_: Any,
) -> Outcome:
    """The run of our session on the real sandbox."""
    model = OurScript(replies, family, most_chars)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = Session(
            model,
            SandboxExecutor(folder),
            tools,
            folder,
            instructions=prompts.instructions(family.prompt, tools),
            limits=Limits(max_steps=max_steps),
        )
        events = list(session.run(task))
        session.close()
    last = events[-1]
    assert isinstance(last, RunFinished)
    replied = [event for event in events if isinstance(event, ModelReplied)]
    return Outcome(
        last.answer,
        last.error if last.status == "failed" else "",
        [event.code for event in replied if event.code is not None],
        model.history,
        model.stops,
        [event.observation for event in events if isinstance(event, StepFinished)],
    )
