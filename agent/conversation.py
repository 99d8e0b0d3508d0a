"""The model's side of a run: what it is sent, and the reply that comes of it.

A prompt that its server finds too long is made shorter; where a model object stands for several
(`agent.manner.settle`), another one may answer than before.
"""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

from smolagents import Model
from smolagents.memory import MemoryStep
from smolagents.models import ChatMessageStreamDelta

from agent import events
from agent.compaction import Compaction, Window
from agent.context import Step
from agent.manner import Manner, Patience, news, settle
from errors import ContextTooLong, EngineError, HearthError, ModelError

MOST_COMPACTIONS = 4
"""So often in a row a prompt is made shorter for a server that finds it too long."""

Stream = Generator[Any, None, Any]


class Conversation:
    """Asks the model of one session for its replies, which become events as they come.

    `manner` says how the model is talked to, and `manner_of` how one of another family is, by its
    name. `window` is what of the conversation it is sent, `patience` times the waits for a model.
    """

    def __init__(
        self,
        model: Model,
        manner: Manner,
        manner_of: Callable[[str], Manner] | None,
        *,
        emit: Callable[[events.Event], None],
        cancel: threading.Event,
    ) -> None:
        self.manner, self._manner_of = manner, manner_of
        self._model, self._emit, self._cancel = model, emit, cancel
        self._first_task = ""
        self.patience = Patience()
        self.window = self._new_window()

    def open(self, task: str) -> str:
        """Settle the prompt by the session's first task; it stays for all later ones."""
        self._first_task = task
        self.window.instructions = self.manner.opening(task)
        return self.window.instructions

    def ask(self, step: Step, steps: Sequence[MemoryStep]) -> Stream:
        """A reply to `steps`, for `step`: the present model's, or that of another, if there is one.

        Raises errors.HearthError where none can answer, and errors.Cancelled.
        """
        failed: HearthError | None = None
        while True:
            self._settle(step, failed)
            try:
                return (yield from self._ask_present(step, steps))
            except (ModelError, EngineError) as error:
                failed = error

    def _settle(self, step: Step, failed: HearthError | None) -> None:
        """Which model answers, where there are several; raises `failed` where there are not."""
        tell = partial(events.ModelStarting.of, step.step_number)
        with self.patience:
            change = settle(self._model, failed, self._cancel, lambda p: self._emit(tell(p)))
        self._tell_news()
        if change is None:
            return
        if self._manner_of is not None:
            self.manner = self._manner_of(change.family)
        self.window = self._new_window()
        self._emit(events.ModelChanged(step.step_number, **vars(change)))

    def _tell_news(self) -> None:
        if text := news(self._model):
            self._emit(events.Notice(text))

    def _new_window(self) -> Window:
        manner = self.manner
        told = manner.opening(self._first_task)
        return Window(self._model, told, remembers_turns=manner.remembers_turns)

    def _ask_present(self, step: Step, steps: Sequence[MemoryStep]) -> Stream:
        """The present model's reply; a prompt that its server finds too long is made shorter."""
        self._make_room(step, self.window.fit(steps, step.asked))
        for _ in range(MOST_COMPACTIONS):
            try:
                return (yield from self._stream(step, steps))
            except ContextTooLong as error:
                made = self.window.refused(steps, step.asked, error.message)
                if made is None:
                    raise
                self._make_room(step, made)
        return (yield from self._stream(step, steps))

    def _make_room(self, step: Step, made: Compaction | None) -> None:
        if made is None:
            return
        if made.reply_tokens:
            text = f"The model's context is small: a reply may have {made.reply_tokens:,} tokens."
            self._emit(events.Notice(text))
        shape = made.shape
        if shape is not None:
            self._emit(
                events.Compacted(
                    step.step_number,
                    shape.trimmed,
                    shape.summarised,
                    shape.most_chars,
                    made.tokens_before,
                    made.tokens_after,
                )
            )

    def _stream(
        self, step: Step, steps: Sequence[MemoryStep]
    ) -> Generator[ChatMessageStreamDelta, None, Any]:
        """Stream the model's reply as events; returns the client's `Reply`."""
        number = step.step_number
        step.model_input_messages = self.window.messages(steps, step.asked)
        started = time.monotonic()
        reply, usage = None, None
        for delta in self._model.generate_stream(step.model_input_messages, cancel=self._cancel):
            if getattr(delta, "anew", False):
                self._emit(events.Notice("The reply broke off; it is asked for anew."))
            if delta.reasoning:
                self._emit(events.ThinkingDelta(number, delta.reasoning))
            if delta.content:
                self._emit(events.TextDelta(number, delta.content))
            reply, usage = delta.reply or reply, delta.token_usage or usage
            yield delta
        if reply is None:
            raise RuntimeError("the model's stream ended without its last delta")
        self._tell_news()
        step.token_usage = usage
        if usage is not None:
            self.window.learn(step.model_input_messages, usage.input_tokens)
        self._emit(
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
                reply.reason or "",
            )
        )
        return reply
