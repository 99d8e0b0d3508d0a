"""The model seam: what every model of Hearth has in common, whatever stands behind it."""

import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from smolagents.models import ChatMessage, ChatMessageStreamDelta, MessageRole, Model
from smolagents.monitoring import TokenUsage

from errors import InputError, ModelError
from serving.families import Family
from serving.reply import Piece, Reply

Message: TypeAlias = ChatMessage | Mapping[str, Any]
PlainMessage: TypeAlias = dict[str, str]

_ROLES = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    MessageRole.TOOL_CALL.value: "assistant",
    MessageRole.TOOL_RESPONSE.value: "user",
    "tool": "user",
}


@dataclass
class ReplyDelta(ChatMessageStreamDelta):
    """One delta of a stream: `content` (text) or `reasoning` (thinking).

    The last delta holds the whole `reply` and its `token_usage`, and no text of its own. One
    that is `anew` says that the reply broke off and begins from the start: what was streamed
    before it is void.
    """

    reasoning: str | None = None
    anew: bool = False
    reply: Reply | None = None


class StreamingModel(Model):
    """A smolagents Model that streams `ReplyDelta`s.

    `family` says how it is talked to, `max_tokens` how long one reply may be.
    """

    def __init__(self, model_id: str, family: Family) -> None:
        super().__init__(model_id=model_id)
        self.family = family
        self.max_tokens = family.max_tokens

    @abstractmethod
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
        """Stream one reply to `messages`.

        `stop_sequences` are accepted, as smolagents passes them, and never used: they would cut
        the reply inside its thinking. Once `cancel` is set, errors.Cancelled is raised within a
        second. Raises InputError for messages that can't be sent, ModelError for faults.
        """

    def generate(
        self,
        messages: Sequence[Message],
        stop_sequences: list[str] | None = None,
        response_format: dict[str, Any] | None = None,
        tools_to_call_from: list[Any] | None = None,
        **kwargs: Any,
    ) -> ChatMessage:
        """The stream, drained: `content` is the reply's text, `raw` the `Reply`."""
        stream = self.generate_stream(
            messages, stop_sequences, response_format, tools_to_call_from, **kwargs
        )
        last = next((delta for delta in stream if delta.reply is not None), None)
        if last is None or last.reply is None:
            raise ModelError("The model's stream ended without a reply.")
        return ChatMessage(
            role=MessageRole.ASSISTANT,
            content=last.reply.text,
            raw=last.reply,
            token_usage=last.token_usage,
        )

    def close(self) -> None:
        """Give back what the model holds. Closing twice is fine."""


def delta_of(piece: Piece) -> ReplyDelta:
    """The delta that passes on one piece."""
    if piece.kind == "thinking":
        return ReplyDelta(reasoning=piece.text)
    return ReplyDelta(content=piece.text)


def refuse_unused(
    response_format: object = None, tools_to_call_from: object = None, **unknown: object
) -> None:
    """Raise InputError for what a request can't honour."""
    given = {"response_format": response_format, "tools_to_call_from": tools_to_call_from}
    names = [name for name, value in {**given, **unknown}.items() if value]
    if names:
        raise InputError(
            f"A request to the model can't have {', '.join(names)}.",
            fix="Hearth's agent acts in Python code; leave these out.",
        )


def plain_messages(messages: Sequence[Message], family: Family) -> list[PlainMessage]:
    """The messages as any chat server takes them: a role and a string each.

    Parts of text are joined, tool roles become assistant and user, neighbours of the same role are
    merged with an empty line between, and where `family` has no system role the system
    text opens the first user message. Raises InputError for no messages, for pictures and other
    content that is not text, and for unknown roles.
    """
    plain: list[PlainMessage] = []
    for message in messages:
        role, text = _role(message), _text(message)
        late = any(before["role"] != "system" for before in plain)
        if role == "system" and (late or not family.system_role):
            role = "user"
        if plain and plain[-1]["role"] == role:
            plain[-1]["content"] = "\n\n".join(t for t in (plain[-1]["content"], text) if t)
        else:
            plain.append({"role": role, "content": text})
    if not plain:
        raise InputError("There is no message to send.", fix="Give at least one user message.")
    return plain


def _part(message: Message, name: str) -> Any:
    return message.get(name) if isinstance(message, Mapping) else getattr(message, name)


def _role(message: Message) -> str:
    role = _part(message, "role")
    name = role.value if isinstance(role, MessageRole) else str(role)
    if name not in _ROLES:
        known = ", ".join(_ROLES)
        raise InputError(f"A message has the unknown role {name!r}.", fix=f"Use one of: {known}.")
    return _ROLES[name]


def _text(message: Message) -> str:
    content = _part(message, "content")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "\n\n".join(_part_text(part) for part in content)


def _part_text(part: Any) -> str:
    kind = part.get("type", "text") if isinstance(part, Mapping) else type(part).__name__
    if kind == "text" and isinstance(part.get("text"), str):
        return part["text"]
    raise InputError(
        f"A message holds content of the type {kind!r}; this model reads text only.",
        fix="Leave pictures and sound out, or attach them as files.",
    )


def estimated_usage(sent: Sequence[PlainMessage], tokens: int) -> TokenUsage:
    """The usage where no server counted: four characters a token sent, `tokens` received."""
    characters = sum(len(message["content"]) for message in sent)
    return TokenUsage(input_tokens=-(-characters // 4), output_tokens=tokens)
