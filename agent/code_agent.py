"""The agent: smolagents' CodeAgent, with the methods replaced that fail on reasoning models.

What is replaced, and why (smolagents 1.26):

* `_run_stream`: it yields in a `finally`, so that closing it raises RuntimeError; it always
  begins at step 1, so that no run can be resumed; at the last step it asks once more and
  hands out whatever comes, thinking included.
* `_step_stream`: it sends stop strings, which cut a reply inside its thinking; it looks for
  code in the thinking too, joins several blocks, runs plain prose as code, joins all deltas
  anew for each one, and ends the run when the context is full.
* `write_memory_to_messages`: it keeps the thinking and sends the code twice.
* `initialize_system_prompt`: its prompt holds six examples, which reasoning models do worse
  with, and two thousand tokens.

The memory, the step types and the entry (`run`) are smolagents' own.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smolagents import CodeAgent, LogLevel, Model, Tool
from smolagents.agents import ActionOutput, ActionStep, PromptTemplates
from smolagents.local_python_executor import PythonExecutor
from smolagents.memory import FinalAnswerStep
from smolagents.models import ChatMessage
from smolagents.monitoring import AgentLogger, Timing

from agent import context, events, guards, outcome
from agent.context import Step
from agent.conversation import Conversation, Stream
from agent.gate import Gate
from agent.manner import Manner, observation_chars
from agent.outcome import Outcome
from agent.running import Ran, Runner
from errors import Cancelled, HearthError

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


@dataclass(frozen=True)
class Demands:
    """What must have happened before an answer in words counts."""

    needs_tools: bool = False
    attached: tuple[str, ...] = ()
    read: tuple[str, ...] = ()  # of these, those that the task itself shows whole

    @classmethod
    def of(cls, started: events.RunStarted, attached: Sequence[str]) -> "Demands":
        """Those of a run with these new files."""
        return cls(started.needs_tools, tuple(attached), tuple(started.read))


@dataclass(frozen=True)
class Broken:
    """A step that broke off after its reply had come.

    `told`: what the model is told instead of running the reply's code; empty: the code is run.
    """

    reply: Any
    told: str = ""


class ReasoningCodeAgent(CodeAgent):
    """A CodeAgent for models that think before they act.

    `emit` receives each event of the run as it happens; `cancel`, once set, ends the model's
    reply and the running code with `errors.Cancelled`. `manner` says how the model is talked to;
    `workspace` is the folder the executor works in; `gate` stands before the tools. How the run
    ended stands in `outcome` when it is over.

    A model object may stand for several models (`agent.manner.settle`); `manner_of` then says how
    one of another family, by its name, is talked to.
    """

    def __init__(
        self,
        tools: list[Tool],
        model: Model,
        executor: PythonExecutor,
        *,
        workspace: Path,
        manner: Manner,
        manner_of: Callable[[str], Manner] | None = None,
        max_steps: int,
        emit: Callable[[events.Event], None],
        cancel: threading.Event,
        gate: Gate | None = None,
    ) -> None:
        self.emit = emit
        self.cancel = cancel
        self.demands = Demands()
        self.shown = ""
        """The text of files that the next run's task is shown with."""
        self.outcome: Outcome | None = None
        self.conversation = Conversation(model, manner, manner_of, emit=emit, cancel=cancel)
        self.runner = Runner(executor, workspace, most_chars=observation_chars(model), gate=gate)
        super().__init__(
            tools=tools,
            model=model,
            prompt_templates=_UNUSED_TEMPLATES,
            executor=executor,
            instructions=manner.opening(""),
            max_steps=max_steps,
            # Events are this agent's voice; smolagents' own console output stays off.
            logger=AgentLogger(level=LogLevel.OFF),
        )

    def open(self, task: str) -> None:
        """Settle the prompt by the session's first task; it stays for all later ones."""
        self.instructions = self.conversation.open(task)

    def initialize_system_prompt(self) -> str:
        return self.instructions or ""

    @property
    def takes_hints(self) -> bool:
        """A model that is shown single tasks only was trained on just these words of ours; hints
        and a last request would be news to it."""
        return self.conversation.manner.remembers_turns

    def write_memory_to_messages(self, summary_mode: bool = False) -> list[ChatMessage]:
        return self.conversation.window.messages(self.memory.steps)

    def go_on(self, first: int, broken: Broken | None = None) -> Stream:
        """Go on with the run that the memory holds, at step `first`."""
        return self._steps(first, broken)

    def _run_stream(self, task: str, max_steps: int, images: Any = None) -> Stream:
        self.memory.steps[-1] = context.Task(task, shown=self.shown)
        return self._steps(1)

    def _steps(self, first: int, broken: Broken | None = None) -> Stream:
        self.runner.send_tools(self.tools)
        self.outcome = self._in_a_circle()  # a run may have broken off right after its last step
        self.step_number = first
        while self.outcome is None and self.step_number <= self.max_steps:
            step = self._new_step()
            yield from self._finished(step, self._step_stream(step, broken))
            broken = None
            self.outcome = self.outcome or self._in_a_circle()
            self.step_number += 1
        if self.outcome is None:
            why = f"The run reached its limit of {self.max_steps} steps."
            if self.takes_hints and self.step_number == self.max_steps + 1:
                step = self._new_step(context.LAST_REQUEST)
                yield from self._finished(step, self._last_request(step, why, broken))
            known = outcome.collected(context.run_steps(self.memory.steps), why)
            self.outcome = self.outcome or known
        yield FinalAnswerStep(self.outcome.answer or "")

    def _new_step(self, asked: str = "") -> Step:
        return Step(self.step_number, Timing(start_time=time.time()), asked=asked)

    def _finished(self, step: Step, stream: Stream) -> Stream:
        """The step's stream; whatever happens in it, the memory then holds a reply that came."""
        try:
            yield from stream
        finally:
            if step.model_output is not None:
                self.memory.steps.append(step)
            self._finalize_step(step)
        yield step

    @property
    def _so_far(self) -> list[Step]:
        """The steps of this run that are done."""
        return context.run_steps(self.memory.steps)

    # -- one step -----------------------------------------------------------------------

    def _step_stream(self, memory_step: ActionStep, broken: Broken | None = None) -> Stream:
        """One step: ask the model, then run its code or take its answer."""
        step = memory_step
        assert isinstance(step, Step)
        self.emit(events.StepStarted(step.step_number, step.asked))
        reply = broken.reply if broken else (yield from self._ask(step))
        step.model_output, step.stated = reply.text, reply.answer
        refused = guards.demand(
            self._so_far,
            needs_tools=self.demands.needs_tools,
            attached=[name for name in self.demands.attached if name not in self.demands.read],
        )
        if reply.code:
            step.code_action = reply.code
            if broken and broken.told:
                self._finish(step, Ran(broken.told, "interrupted"))
            else:
                yield self._act(step)
        elif reply.answer and not refused:
            self._finish(step, Ran("", answer=reply.answer))
            self.outcome = Outcome("answered", reply.answer, "stated")
            yield ActionOutput(output=reply.answer, is_final_answer=True)
        else:
            self._idle(step, reply, refused if reply.answer else "")

    def _ask(self, step: Step) -> Stream:
        reply = yield from self.conversation.ask(step, self.memory.steps)
        self.runner.most_chars = observation_chars(self.model)  # which may be another one now
        return reply

    def _act(self, step: Step) -> ActionOutput:
        """Run the step's code."""
        code = step.code_action or ""
        ran = self.runner.run(step.step_number, code, self.demands.attached)
        text = ran.observation
        if ran.answer is None:
            if ran.failed and self.takes_hints:
                text = f"{text}\n{guards.name_hint(text, code, self._so_far, self.tools)}".rstrip()
            elif self.takes_hints:
                text = f"{text}\n{guards.defined_hint(code, text)}".rstrip()
            if guards.repeats(self._so_far, code, text):
                text = f"{text}\n{guards.REPEATED}"
        else:
            codes = [step.code_action or "" for step in self._so_far]
            ran = replace(ran, answer=guards.written_out(ran.answer, [*codes, code]))
            # Text, always: for any other value smolagents imports torch to see if it is a tensor.
            self.outcome = Outcome("answered", ran.answer, "computed")
        self._finish(step, ran, text)
        return ActionOutput(output=ran.answer, is_final_answer=ran.answer is not None)

    def _idle(self, step: Step, reply: Any, refused: str) -> None:
        """A reply with nothing to act on: the model is told so."""
        spent = step.token_usage.output_tokens if step.token_usage else None
        most = getattr(self.model, "max_tokens", None)
        text = refused or guards.instruction(reply, most if reply.reason == "length" else spent)
        self._finish(step, Ran(text, "no action"))

    def _in_a_circle(self) -> Outcome | None:
        """How the run ends if its last steps show that it leads nowhere."""
        done = self._so_far
        if guards.idle(done) >= guards.MOST_IDLE:
            idle = done[-guards.MOST_IDLE :]
            why = f"The model wrote {guards.MOST_IDLE} replies in a row without code that runs"
            said = idle if guards.best_text(idle) else done
            return outcome.in_words(said, f"{why} or an answer that counts.")
        last = done[-1] if done else None
        if last is None or not last.code_action or last.is_final_answer:
            return None
        times = guards.repeats(done, last.code_action, last.observations or "")
        if times < guards.MOST_REPEATS:
            return None
        why = f"The same code gave the same result {times} times."
        return outcome.collected(done, why, outcome.ASK_OTHERWISE)

    def _finish(self, step: Step, ran: Ran, observation: str | None = None) -> None:
        """The step is over: note it in the memory's step, and say so."""
        step.observations = ran.observation if observation is None else observation
        step.failed = ran.failed
        if ran.answer is not None:
            step.is_final_answer, step.action_output = True, ran.answer
        if ran.checkpoint is not None:
            self.emit(ran.checkpoint)
        self.emit(
            events.StepFinished(
                step.step_number,
                step.observations,
                ran.failed or None,
                ran.artefacts,
                round(ran.seconds, 3),
                ran.answer,
            )
        )

    def _last_request(self, step: Step, why: str, broken: Broken | None) -> Stream:
        """No step is left: ask once for an answer from what is known."""
        self.emit(events.StepStarted(step.step_number, step.asked))
        try:
            reply = broken.reply if broken else (yield from self._ask(step))
        except Cancelled:
            raise
        except HearthError as error:  # what is known still counts
            self.emit(events.Notice(f"The last request failed: {error.message}"))
            return
        step.model_output, step.stated = reply.text, reply.answer
        ran = Ran("")
        if reply.code and "final_answer" in reply.code and not (broken and broken.told):
            step.code_action = reply.code
            ran = self.runner.run(step.step_number, reply.code)
        elif not reply.code and reply.reason in (None, "", "prose"):
            ran = Ran("", answer=reply.answer or reply.text.strip() or None)
        self._finish(step, ran)
        if ran.answer is not None:
            how = "computed" if step.code_action else "stated"
            self.outcome = Outcome("answered", ran.answer, how, why, outcome.MORE_STEPS)
        yield ActionOutput(output=ran.answer, is_final_answer=ran.answer is not None)
