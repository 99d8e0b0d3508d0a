"""The agent: smolagents' CodeAgent, with the methods replaced that fail on reasoning models.

What is replaced, and why (smolagents 1.26):

* `_step_stream`: it sends stop strings, which cut a reply inside its thinking; it looks for
  code in the thinking too, joins several blocks, and runs plain prose as code.
* `write_memory_to_messages`: it keeps the thinking and sends the code twice.
* `initialize_system_prompt`: its prompt holds six examples, which reasoning models do worse
  with, and two thousand tokens.
* `_handle_max_steps_reached`: it asks once more and hands out whatever comes, thinking
  included.

The loop itself (`run`, `_run_stream`), the step types and the memory are smolagents' own.
"""

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from smolagents import CodeAgent, LogLevel, Model, Tool
from smolagents.agents import ActionOutput, ActionStep, PromptTemplates
from smolagents.local_python_executor import PythonExecutor
from smolagents.models import ChatMessage, ChatMessageStreamDelta
from smolagents.monitoring import AgentLogger
from smolagents.utils import AgentExecutionError, AgentParsingError

from agent import context, events
from errors import CodeError

_UNUSED_TEMPLATES: PromptTemplates = {
    "system_prompt": "",
    "planning": {
        "initial_plan": "",
        "update_plan_pre_messages": "",
        "update_plan_post_messages": "",
    },
    "managed_agent": {"task": "", "report": ""},
    "final_answer": {"pre_messages": "", "post_messages": ""},
}


def answer_text(value: Any) -> str:
    """The answer as text: floats without the noise of binary fractions, text as it stands."""
    if isinstance(value, float):
        return repr(round(value, 10))
    return value if isinstance(value, str) else str(value)


class ReasoningCodeAgent(CodeAgent):
    """A CodeAgent for models that think before they act.

    `emit` receives each event of the run as it happens; `cancel`, once set, ends the model's
    reply and the running code with `errors.Cancelled`. `instructions` is the whole prompt
    that opens the conversation; `workspace` the folder the executor works in.
    """

    def __init__(
        self,
        tools: list[Tool],
        model: Model,
        executor: PythonExecutor,
        *,
        workspace: Path,
        instructions: str,
        remembers_turns: bool,
        max_steps: int,
        emit: Callable[[events.Event], None],
        cancel: threading.Event,
    ) -> None:
        self.emit = emit
        self.cancel = cancel
        self.workspace = workspace
        self.remembers_turns = remembers_turns
        super().__init__(
            tools=tools,
            model=model,
            prompt_templates=_UNUSED_TEMPLATES,
            executor=executor,
            instructions=instructions,
            max_steps=max_steps,
            # Events are this agent's voice; smolagents' own console output stays off.
            logger=AgentLogger(level=LogLevel.OFF),
        )

    def initialize_system_prompt(self) -> str:
        return self.instructions or ""

    def write_memory_to_messages(self, summary_mode: bool = False) -> list[ChatMessage]:
        return context.messages(
            self.instructions or "", self.memory.steps, remembers_turns=self.remembers_turns
        )

    def _step_stream(
        self, memory_step: ActionStep
    ) -> Generator[ChatMessageStreamDelta | ActionOutput]:
        """One step: ask the model, then run its code or take its answer."""
        self.emit(events.StepStarted(memory_step.step_number))
        reply = yield from self._ask(memory_step)
        if reply.code:
            memory_step.code_action = reply.code
            yield self._run_code(memory_step, reply.code)
        elif reply.answer:
            self._finish_step(memory_step, "", None, time.monotonic())
            memory_step.action_output = reply.answer
            yield ActionOutput(output=reply.answer, is_final_answer=True)
        else:
            text = self._no_action(reply)
            self._finish_step(memory_step, text, "no action", time.monotonic())
            raise AgentParsingError(text, self.logger)

    def _ask(self, memory_step: ActionStep) -> Generator[ChatMessageStreamDelta, None, Any]:
        """Stream the model's reply as events; returns the client's `Reply`."""
        number = memory_step.step_number
        memory_step.model_input_messages = self.write_memory_to_messages()
        started = time.monotonic()
        reply, usage = None, None
        for delta in self.model.generate_stream(
            memory_step.model_input_messages, cancel=self.cancel
        ):
            if delta.reasoning:
                self.emit(events.ThinkingDelta(number, delta.reasoning))
            if delta.content:
                self.emit(events.TextDelta(number, delta.content))
            reply, usage = delta.reply or reply, delta.token_usage or usage
            yield delta
        if reply is None:
            raise RuntimeError("the model's stream ended without its last delta")
        memory_step.model_output = reply.text
        memory_step.token_usage = usage
        self.emit(
            events.ModelReplied(
                number,
                reply.thinking,
                reply.text,
                reply.code,
                reply.answer,
                reply.finish,
                usage.input_tokens if usage else 0,
                usage.output_tokens if usage else 0,
                round(time.monotonic() - started, 3),
            )
        )
        return reply

    def _run_code(self, memory_step: ActionStep, code: str) -> ActionOutput:
        """Run the code in the executor. Raises AgentExecutionError for the model's mistakes."""
        started = time.monotonic()
        try:
            result = self.python_executor(code)
        except CodeError as error:
            printed = str(self.python_executor.state.get("_print_outputs", ""))
            text = context.observation_text(printed, str(error))
            self._finish_step(memory_step, text, error.kind, started)
            raise AgentExecutionError(str(error), self.logger) from error
        if not result.is_final_answer:
            text = context.observation_text(result.logs, value=result.output)
            self._finish_step(memory_step, text, None, started)
            return ActionOutput(output=None, is_final_answer=False)
        self._finish_step(memory_step, "", None, started)
        # Text, always: for any other value smolagents imports torch to see if it is a tensor.
        memory_step.action_output = answer_text(result.output)
        return ActionOutput(output=memory_step.action_output, is_final_answer=True)

    def _finish_step(
        self, memory_step: ActionStep, observation: str, error: str | None, started: float
    ) -> None:
        memory_step.observations = observation
        made: list[str] = []
        if memory_step.code_action:
            made = [
                str(path.relative_to(self.workspace)) for path in self.python_executor.artefacts
            ]
        self.emit(
            events.StepFinished(
                memory_step.step_number,
                observation,
                error,
                made,
                round(time.monotonic() - started, 3),
            )
        )

    def _no_action(self, reply: Any) -> str:
        if reply.finish != "length":
            return context.NO_ACTION
        tokens = getattr(self.model, "max_tokens", None) or "?"
        text = context.CUT_SHORT if reply.text.strip() else context.STILL_THINKING
        return text.format(tokens=tokens)

    def _handle_max_steps_reached(self, task: str) -> Any:
        """No further request: the session words what is known from the steps there are."""
        return ""  # text, or smolagents imports torch to look at it
