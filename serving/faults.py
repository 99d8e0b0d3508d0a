"""What went wrong with a model's server, in words, and whether asking again may help. Pure."""

import email.utils
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import httpx

from errors import ContextTooLong, GivenUp, ModelError, Refused

Again = Literal["no", "connection", "broken", "busy", "failed", "adapted"]

# 520 to 524: a proxy's words for a server that does not answer; 529: overloaded.
_BUSY = frozenset({408, 425, 429, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_CONTEXT = re.compile(
    r"context[ _](?:length|window|size|limit)|context_length_exceeded"
    r"|maximum (?:model|prompt) length"
    r"|(?:prompt|input) is too long|too many (?:input )?tokens|input token count"
    r"|max_model_len",
    re.IGNORECASE,
)
_NOT_TAKEN = re.compile(
    r"unsupported|not support|unknown|unexpected|unrecogni[sz]ed|extra inputs|not permitted"
    r"|not allowed|not configured|does not accept"
    r"|deprecated|cannot both be",  # Anthropic
    re.IGNORECASE,
)
_CONTEXT_IS = re.compile(r"maximum context length is (\d+)", re.IGNORECASE)
_PROMPT_IS = re.compile(r"(\d+) input tokens|(\d+) (?:tokens )?in the messages", re.IGNORECASE)
_MOST_REPLY = re.compile(  # OpenAI's words, and Anthropic's
    r"supports at most (\d+) completion tokens|max_tokens: \d+ > (\d+)", re.IGNORECASE
)
_SUM = re.compile(r"context limit: (\d+) \+ \d+ > (\d+)", re.IGNORECASE)  # Anthropic
_PAYMENT = re.compile(r"insufficient_quota|credit balance is too low", re.IGNORECASE)
_NO_MODEL = re.compile(r"model_not_supported|not supported by any provider", re.IGNORECASE)
_MODEL = re.compile(r"\bmodel\b|pinned", re.IGNORECASE)
_SHOWN = 300  # characters of a server's own words
_LISTED = 12  # of its models: providers have hundreds


class Fault(Exception):
    """A request that failed. `again` says whether and how another attempt may help.

    `connection`: for a short while; `broken`: the same, after part of a reply; `busy`: until the
    deadline, after `wait` seconds where the server said so; `failed`: a few times, as it may be
    the request's own fault; `adapted`: at once, as the request was changed; `no`.
    """

    def __init__(self, error: ModelError, again: Again = "no", wait: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.wait = wait


@dataclass(frozen=True)
class Names:
    """What the settings are called that a message tells the user to mend."""

    key: str = "HEARTH_ENDPOINT_KEY"
    url: str = "HEARTH_ENDPOINT_URL"
    model: str = "HEARTH_MODEL"


@dataclass(frozen=True)
class Server:
    """The server and what it was asked, as far as a message may show it (never the key)."""

    address: str
    model_id: str
    has_key: bool
    names: Names = Names()

    def unreachable(self, error: httpx.TransportError) -> Fault:
        """No connection, or one that broke before the first token."""
        why = str(error).strip() or type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            what = f"can't be reached ({why})"
            fix = f"Is it running? The address of a server of your own is {self.names.url}."
        else:
            what = f"closed the connection before it answered ({why})"
            fix = "Look at the server's log: it may have run out of memory or be restarting."
        text = f"The model's server at {self.address} {what}."
        return Fault(ModelError(text, fix=fix), "connection")

    def broken_off(self, why: str, partial: object, *, mid: bool) -> Fault:
        """A stream that ended before its end: in the middle of a reply, or before it began."""
        when = "in the middle of a reply" if mid else "before it said anything"
        return Fault(
            ModelError(
                f"The model's server at {self.address} broke off {when} ({why}).",
                fix="Ask again; if it happens again, look at the server's log.",
                partial=partial,
            ),
            "broken" if mid else "connection",
        )

    def too_slow(self, seconds: float, partial: object) -> ModelError:
        """The deadline has passed."""
        return GivenUp(
            f"The model's reply took longer than {seconds:g} seconds.",
            fix="Raise HEARTH_REQUEST_TIMEOUT_SECONDS, lower HEARTH_MAX_TOKENS, or take a faster "
            "engine.",
            partial=partial,
        )

    def unknown_model(self, models: list[str] | None) -> ModelError:
        """The server does not have the model; `models` are those it has, if it told."""
        if models is None:
            return Refused(
                f"The server at {self.address} knows no such address or model: {self.model_id}.",
                fix=f"Check {self.names.url} (it usually ends with /v1) and {self.names.model}.",
            )
        listed = ", ".join(models[:_LISTED]) + (" …" if len(models) > _LISTED else "")
        return Refused(
            f"The server at {self.address} has no model {self.model_id!r}. "
            f"It has: {listed or 'none'}.",
            fix=f"Set {self.names.model} to a model that it has.",
        )

    def silent(self, seconds: float) -> Fault:
        """Nothing came for so long that another server is asked."""
        return Fault(
            GivenUp(
                f"The model's server at {self.address} said nothing for {seconds:g} seconds.",
                fix="Look at the server's log: it may hang, or have too much to do.",
            )
        )

    def said(self, text: str, partial: object = None) -> ModelError:
        """An error in the server's own words, from the body or from the stream."""
        if _CONTEXT.search(text):
            return ContextTooLong(
                f"The conversation is too long for the model's context: {text}",
                fix="Start a new conversation, lower HEARTH_MAX_TOKENS, or serve the model with "
                "a longer context.",
                partial=partial,
            )
        return ModelError(
            f"The model's server at {self.address} reports an error: {text}",
            fix="Look at the server's log.",
            partial=partial,
        )

    def failed(self, text: str, partial: object) -> Fault:
        """An error object in the stream; only one about the context is sure to come again."""
        error = self.said(text, partial)
        return Fault(error, "no" if isinstance(error, ContextTooLong) else "failed")

    def refused(self, status: int, headers: Mapping[str, str], text: str) -> Fault:
        """An answer with an HTTP status that is not 200; `text` is its message."""
        if status in (401, 403):
            what = "refused the key" if self.has_key else "asks for a key"
            fix = f"Set {self.names.key} to a key that it accepts."
            return Fault(Refused(f"The server at {self.address} {what} ({text}).", fix=fix))
        if status == 402 or _PAYMENT.search(text):
            fix = "Look at your account with the provider."
            return Fault(Refused(f"The server at {self.address} wants payment: {text}", fix=fix))
        if status in (400, 404) and _NO_MODEL.search(text):
            fix = f"Set {self.names.model} to a model that it has."
            said = f"The server at {self.address} has no model {self.model_id!r}: {text}"
            return Fault(Refused(said, fix=fix))
        if status in _BUSY:
            wait = retry_after(headers)
            return Fault(
                ModelError(
                    f"The model's server at {self.address} is too busy or not ready "
                    f"(HTTP {status}: {text}).",
                    fix=f"It asks for {wait:,.0f} seconds: ask again then."
                    if wait and wait >= 1
                    else "Wait a little and ask again.",
                    wait=wait,
                ),
                "busy",
                wait,
            )
        if status in (400, 413, 422) and _CONTEXT.search(text):
            return Fault(self.said(text))
        if status < 500:
            what = "refuses the request"
            fix = f"Check {self.names.model} and {self.names.url}; the server's log may say more."
        else:
            what, fix = "failed", "Look at the server's log."
        said = f"The model's server at {self.address} {what} (HTTP {status}): {text}"
        return Fault(ModelError(said, fix=fix), "failed" if status == 500 else "no")


def shown_address(url: str) -> str:
    """The address without a user name and password in it, for messages."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def is_about_model(status: int, text: str) -> bool:
    """Whether a refusal may mean that the server does not have the model."""
    return status == 404 or (status == 400 and bool(_MODEL.search(text)))


def field_not_taken(status: int, text: str, fields: list[str]) -> str | None:
    """The first of `fields` that the server says it does not know or support."""
    if status not in (400, 422) or not _NOT_TAKEN.search(text):
        return None
    return next((field for field in fields if re.search(rf"\b{field}\b", text)), None)


def room_for_reply(text: str) -> int | None:
    """How many tokens a reply may have, where a refusal says so of one that was to have more.

    As OpenAI, vLLM and Anthropic word it: the context's length and the prompt's, or the most of a
    reply.
    """
    most = _MOST_REPLY.search(text)
    if most:
        return int(most.group(1) or most.group(2))
    both = _SUM.search(text)
    if both:
        return int(both.group(2)) - int(both.group(1))
    context, prompt = _CONTEXT_IS.search(text), _PROMPT_IS.search(text)
    if context is None or prompt is None:
        return None
    return int(context.group(1)) - int(prompt.group(1) or prompt.group(2))


def error_text(body: str) -> str:
    """The message in an error's body: OpenAI's, FastAPI's and plain forms, cut short."""
    try:
        text = _message(json.loads(body))
    except ValueError:
        text = re.sub(r"<[^>]*>", " ", body)
    return " ".join(text.split())[:_SHOWN] or "no message"


def _message(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_message(item) for item in value)
    if not isinstance(value, dict):
        return str(value)
    for name in ("error", "message", "detail", "msg"):
        if value.get(name):
            text = _message(value[name])
            extra = [str(value[k]) for k in ("code", "loc") if value.get(k)]
            return f"{text} ({', '.join(extra)})" if extra else text
    return json.dumps(value, ensure_ascii=False)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header (RFC 9110: seconds, or a date), None without one."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
