"""The fields of a request, less what a server has refused. Pure."""

from collections.abc import Sequence
from typing import Any

from serving import faults
from serving.families import Family
from serving.link import Capabilities
from serving.model import PlainMessage

# A pattern of 21 to 40 tokens, 16 times over: that is every pattern of up to 40 tokens, as a
# short one is also a longer one, and none is called a loop before some 340 tokens of it.
_REPETITION = {"min_pattern_size": 21, "max_pattern_size": 40, "min_count": 16}


BUDGET_FIELD = "thinking_token_budget"


class Fields:
    """What is sent beside the messages, for one model on one server.

    `chosen` are sampling fields that the user set: they are sent or the request fails; those
    of the family are dropped where a server does not take them; `lacks` are known to be so.
    """

    def __init__(
        self,
        model_id: str,
        family: Family,
        chosen: dict[str, float | None],
        lacks: Sequence[str] = (),
    ) -> None:
        defaults = {"temperature": family.temperature, "top_p": family.top_p}
        self._model_id = model_id
        self._sampling = {
            name: defaults[name] if value is None else value
            for name, value in chosen.items()
            if value is not None or defaults[name] is not None
        }
        self._extra = dict(family.request)
        self._not_taken: set[str] = {name for name in lacks if chosen.get(name) is None}
        self._droppable = (
            BUDGET_FIELD,
            "repetition_detection",
            "stream_options",
            "max_tokens",
            *self._extra,
            # Of the two, where a server takes one only, the temperature is kept.
            *(name for name in reversed(self._sampling) if chosen[name] is None),
        )

    def chat(
        self,
        messages: list[PlainMessage],
        max_tokens: int,
        can: Capabilities,
        budget: int | None,
        **extra: Any,
    ) -> dict[str, Any]:
        """The body of a chat request; `budget` is sent where the server counts thinking."""
        body = {"model": self._model_id, "messages": messages, **self._common(max_tokens, can)}
        if can.thinking_budget and budget is not None:
            body[BUDGET_FIELD] = budget
        return self._taken({**body, **self._extra, **extra})

    def completion(
        self, prompt: str | list[int], max_tokens: int, can: Capabilities
    ) -> dict[str, Any]:
        """The body of a request that goes on after `prompt`."""
        body = {"model": self._model_id, "prompt": prompt, **self._common(max_tokens, can)}
        return self._taken(body)

    @property
    def template(self) -> dict[str, Any]:
        """The fields of a chat request that the chat template sees."""
        shown = {k: v for k, v in self._extra.items() if k == "chat_template_kwargs"}
        return self._taken(shown)

    def takes(self, name: str) -> bool:
        """Whether the server has not refused the field."""
        return name not in self._not_taken

    def adapt(self, status: int, text: str, body: dict[str, Any]) -> bool:
        """Whether the refusal was about a field that can be left out; it is, from now on."""
        field = faults.field_not_taken(status, text, [f for f in self._droppable if f in body])
        if field:
            self._not_taken.add(field)
        return field is not None

    def _common(self, max_tokens: int, can: Capabilities) -> dict[str, Any]:
        usage = {"include_usage": True}
        if can.counts_always:
            usage["continuous_usage_stats"] = True
        fields: dict[str, Any] = {"stream": True, "stream_options": usage}
        fields["max_tokens"] = max_tokens
        if not self.takes("max_tokens"):  # the newer OpenAI models' name for it
            fields["max_completion_tokens"] = max_tokens
        if can.repetition:
            fields["repetition_detection"] = _REPETITION
        return {**fields, **self._sampling}

    def _taken(self, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if self.takes(name)}
