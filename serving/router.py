"""The model that a session talks to when there is a route: whichever of its models answers.

A caller whose messages depend on the model, as the agent's do, calls `settle` before each reply:
it chooses the model, and after a fault the next one. A stream that broke off is void then, and
nothing of it is used. Without `settle` the same messages go to whoever can answer.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from errors import Cancelled, ContextTooLong, EngineError, GivenUp, HearthError, ModelError
from serving.bill import Bill
from serving.chat import STALL_SECONDS, ChatModel
from serving.families import Family
from serving.link import open_gate
from serving.model import Message, ReplyDelta, StreamingModel, refuse_unused
from serving.place import Place
from serving.progress import Measure, Paced
from serving.retries import GivesUp
from serving.route import BUNDLED_SAYS, Route
from serving.row import Endpoint

_SILENT_SECONDS = 120.0
_BUSY_SECONDS = 20.0
_BREAKS = 2
_LEAST_SECONDS = 1.0  # of the deadline, for a reply to be begun at all


@dataclass(frozen=True)
class Change:
    """Another model answers from here on. `reason` is a sentence; `place` its name on the route."""

    from_model: str
    from_place: str
    to_model: str
    to_place: str
    family: str
    reason: str


class RoutedModel(StreamingModel):
    """One session's model on a `Route`, which the sessions share.

    `model_id`, `family`, `max_tokens` and `thinking_tokens` are those of the model that answers at
    present. With `only` no other place answers. For one reply at a time.
    """

    def __init__(self, route: Route, *, only: Place | None = None) -> None:
        self._route = route
        self._only = only or (route.places[0] if route.strict else None)
        self._place = only or route.preferred()
        super().__init__(self._place.model_id, self._place.family)
        self.thinking_tokens: int | None = self.family.thinking_tokens
        self._told: dict[str, str] = {}  # of each place, its last notice
        self._clients: dict[str, tuple[Endpoint, ChatModel]] = {}
        self._client: ChatModel | None = None
        self._bills: dict[str, Bill] = {}
        self._settled = False
        self._deadline = 0.0
        self._failed: dict[Place, HearthError] = {}  # in the present reply
        self._too_small: dict[Place, HearthError] = {}  # for this conversation

    @property
    def families(self) -> list[Family]:
        """Of all models on the route."""
        places = self._route.places if self._only is None else [self._only]
        return [place.family for place in places]

    def settle(
        self,
        failed: HearthError | None = None,
        *,
        cancel: threading.Event | None = None,
        tell: Measure | None = None,
    ) -> Change | None:
        """Choose who gives the next reply; returns the change, if it is another than before.

        `failed` is the fault that the reply just asked for ended with; `tell` hears now and then
        how far an engine is that has to be waited for. Raises `failed`, or an error that lists the
        route, where nobody is left to answer; Cancelled once `cancel` is set.
        """
        if failed is None:
            self._failed = dict(self._too_small)
            self._deadline = time.monotonic() + self._route.settings.request_timeout_seconds
        else:
            if self._only is not None or self._left < _LEAST_SECONDS:
                raise failed
            self._exclude(failed)
        began, heard = time.monotonic(), Paced(tell) if tell is not None else None

        def go_on() -> None:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            progress = self._route.progress
            if heard is not None and progress is not None:
                heard(progress)

        try:
            place = self._route.choose(go_on, self._failed, self._only)
        except EngineError:
            if isinstance(failed, ContextTooLong):
                raise failed from None
            raise
        self._deadline += time.monotonic() - began  # an engine that had to be started
        before, model_before, first = self._place, str(self.model_id), self._client is None
        family_before = self.family
        self._take(place)
        self._settled = True
        # Before its first answer a server may go by another name, which is no news.
        known = first and self.family == family_before
        if place is before and (self.model_id == model_before or known):
            return None
        reason = self._reason(before, place, failed, first)
        return Change(
            model_before, before.name, str(self.model_id), place.name, self.family.name, reason
        )

    def news(self) -> str:
        """What is new about how the present model runs, told once; empty for nothing."""
        told, now = self._told.get(self._place.name, ""), self._place.notice
        self._told[self._place.name] = now
        return now if now != told else ""

    def generate_stream(
        self,
        messages: Sequence[Message],
        stop_sequences: list[str] | None = None,
        response_format: dict[str, Any] | None = None,
        tools_to_call_from: list[Any] | None = None,
        *,
        cancel: threading.Event | None = None,
        **kwargs: Any,
    ) -> Iterator[ReplyDelta]:
        """Stream one reply; see `StreamingModel.generate_stream`.

        After `settle` it is the chosen model's, and its fault is raised; else anyone's.
        """
        refuse_unused(response_format, tools_to_call_from, **kwargs)
        settled, self._settled = self._settled, False
        return self._stream(messages, cancel) if settled else self._anyone_s(messages, cancel)

    def count_tokens(self, text: str) -> int | None:
        """How many tokens `text` is to the model that answers; None where it can't say."""
        return self._client.count_tokens(text) if self._client else None

    def context_limit(self) -> int | None:
        """The context that the present model's server says it has; None where it doesn't."""
        return self._client.context_limit() if self._client else None

    def close(self) -> None:
        """Close the connections. Engines are the route's."""
        for _, client in self._clients.values():
            client.close()
        self._clients.clear()

    @property
    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _anyone_s(
        self, messages: Sequence[Message], cancel: threading.Event | None
    ) -> Iterator[ReplyDelta]:
        failed: HearthError | None = None
        while True:
            self.settle(failed, cancel=cancel)
            self._settled, heard = False, False
            try:
                for delta in self._stream(messages, cancel):
                    heard = True
                    yield delta
                return
            except (ModelError, EngineError) as error:
                failed = error
                if heard:
                    yield ReplyDelta(anew=True)

    def _stream(
        self, messages: Sequence[Message], cancel: threading.Event | None
    ) -> Iterator[ReplyDelta]:
        """The present model's reply."""
        place, client = self._place, self._client
        assert client is not None
        client.max_tokens, client.thinking_tokens = self.max_tokens, self.thinking_tokens
        self._set_patience(place, client)
        bill = self._bill(place)
        bill.begin(messages, self.max_tokens)
        failed = False
        try:
            for delta in client.generate_stream(messages, cancel=cancel):
                bill.hear(delta)
                if delta.reply is not None:
                    self._route.answered(place)
                yield delta
        except ContextTooLong:
            failed = True
            self._route.answered(place)
            raise
        except (ModelError, EngineError) as error:
            failed = not isinstance(error, GivenUp)
            if self._only is None:
                self._route.failed(place, error)
            raise
        finally:
            bill.end(failed=failed)

    def _set_patience(self, place: Place, client: ChatModel) -> None:
        """How long this place is waited for: less where another can answer as well."""
        client.timeout_seconds = max(self._left, _LEAST_SECONDS)
        half = client.timeout_seconds / 2
        next_one = None if self._only is not None else self._route.follows(place)
        if next_one is None:
            client.gives_up, client.stall_seconds = GivesUp(), STALL_SECONDS
            return
        client.stall_seconds = min(STALL_SECONDS, half / 2)
        # An engine on a CPU may read a prompt for minutes; and the bundled model is no
        # replacement that a real one should be left for in a hurry.
        patient = next_one.bundled or not place.elsewhere
        client.gives_up = GivesUp(
            busy_seconds=half if patient else min(_BUSY_SECONDS, half),
            silent_seconds=half if patient else min(_SILENT_SECONDS, half),
            breaks=_BREAKS,
        )

    def _exclude(self, failed: HearthError) -> None:
        self._failed[self._place] = failed
        if not isinstance(failed, ContextTooLong):
            return
        most = self.family.context_tokens
        for place in self._route.places:
            if place is self._place or place.family.context_tokens <= most:
                self._failed[place] = failed
                if place.family.remembers_turns:
                    self._too_small[place] = failed

    def _reason(self, before: Place, after: Place, failed: HearthError | None, first: bool) -> str:
        if before is after:
            return f"{after.name} answers as another model."
        if failed is None and before.breaker.state == "closed":
            return f"{after.name} comes first." if first else f"{after.name} answers again."
        why = failed.message if failed is not None else before.breaker.reason
        why = why or f"{before.name} can't answer."
        return f"{why} {BUNDLED_SAYS}" if after.bundled else why

    def _bill(self, place: Place) -> Bill:
        if place.name not in self._bills:
            self._bills[place.name] = Bill(self._route.ledger, place.name, place.limits)
        return self._bills[place.name]

    def _new_client(self, place: Place, endpoint: Endpoint) -> ChatModel:
        s = place.settings
        return ChatModel(
            endpoint.base_url,
            endpoint.model_id,
            endpoint.api_key,
            place.family,
            timeout_seconds=s.request_timeout_seconds,
            # A local engine that died is started again, at the same address: wait for it,
            # unless it is gone for good.
            patience_seconds=s.engine_start_timeout_seconds if endpoint.pid is not None else 3.0,
            check=place.check,
            transport=endpoint.transport,
            temperature=s.temperature,
            top_p=s.top_p,
            max_tokens=s.max_tokens,
            thinking_tokens=s.thinking_tokens,
            quirks=place.quirks,
            names=place.names,
            gate=self._bill(place).gate if place.paid else open_gate,
        )

    def _take(self, place: Place) -> None:
        endpoint = place.endpoint
        assert endpoint is not None
        self._told.setdefault(place.name, place.notice)
        known = self._clients.get(place.name)
        if known is None or known[0] != endpoint:
            if known is not None:
                known[1].close()
            known = endpoint, self._new_client(place, endpoint)
            self._clients[place.name] = known
        elif place is self._place:
            return
        self._place, self._client = place, known[1]
        self.model_id, self.family = self._client.model_id, self._client.family
        self.max_tokens = self._client.max_tokens
        self.thinking_tokens = self._client.thinking_tokens
