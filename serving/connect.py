"""A server that runs already: whether it is one, takes the key and has the model."""

import difflib

import httpx

from errors import EngineError
from serving.faults import Names, shown_address
from serving.ports import LOOPBACK
from serving.row import Endpoint, Say, listed_ids

_SECONDS = 15.0


def connect(
    url: str,
    key: str,
    model: str,
    say: Say,
    *,
    names: Names = Names(),
    tolerated: str = "",
    seconds: float = _SECONDS,
) -> Endpoint:
    """The server at `url`, once it is seen to be OpenAI-compatible and to have the model.

    Without a `model` it is the first that the server lists, or the one called `tolerated` if it
    has that. `names` are what messages call the settings. Raises EngineError when the server can't
    be reached, is no such server, refuses the key or doesn't have the model.
    """
    base, ids = _list_models(url, key, names, seconds)
    shown = shown_address(base)
    if not ids:
        raise EngineError(
            f"The server at {shown} lists no models.", fix="Load a model there, then try again."
        )
    notice = ""
    if model in ids:
        chosen = model
    elif not model and tolerated in ids:
        chosen = tolerated
    elif not model:
        chosen = ids[0]
        others = f" (the first of {len(ids)})" if len(ids) > 1 else ""
        notice = f"No model is named, so it is the server's {chosen}{others}."
        say(notice)
    else:
        close = difflib.get_close_matches(model, ids, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        more = f" and {len(ids) - 8} more" if len(ids) > 8 else ""
        raise EngineError(
            f"The server at {shown} has no model {model}.",
            fix=f"{hint}Set {names.model} to one of: {', '.join(ids[:8])}{more}.",
        )
    say(f"{chosen} answers at {shown}")
    return Endpoint(base, key, chosen, "endpoint", None, notice)


def knock(url: str, key: str, names: Names, *, seconds: float) -> None:
    """Whether a provider's server answers and takes the key, which costs nothing.

    Its list of models is asked for and not read: it is long, and names in a request may carry
    more than the names in it. Raises EngineError.
    """
    try:
        with _client(url, key, seconds) as client:
            reply = client.get(f"{url}/models")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _nothing(url, error, names) from None
    if reply.status_code in (401, 403):
        raise _refused(url, key, reply.status_code, names)
    if reply.status_code in (408, 429) or reply.status_code >= 500:
        raise EngineError(
            f"The server at {shown_address(url)} is not ready (HTTP {reply.status_code}).",
            fix="Wait a little and ask again.",
        )


def _list_models(url: str, key: str, names: Names, seconds: float) -> tuple[str, list[str]]:
    """The address that works (the user may have left out /v1) and its models."""
    bases = [url] if url.endswith("/v1") else [url, f"{url}/v1"]
    seen = ""
    with _client(url, key, seconds) as client:
        for base in bases:
            try:
                reply = client.get(f"{base}/models")
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _nothing(url, error, names) from None
            if reply.status_code in (401, 403):
                raise _refused(url, key, reply.status_code, names)
            seen = f"{shown_address(base)}/models {_gave(reply)}"
            try:
                if reply.status_code == 200:
                    return base, listed_ids(reply)
            except ValueError:
                continue
    raise EngineError(
        f"What answers at {shown_address(url)} is no OpenAI-compatible server ({seen}).",
        fix=f"Set {names.url} to the address that ends in /v1.",
    )


def _client(url: str, key: str, seconds: float) -> httpx.Client:
    # Anthropic takes the first for replies, and the second for its list of models.
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if key and url.startswith("https://api.anthropic.com/"):
        headers |= {"x-api-key": key, "anthropic-version": "2023-06-01"}
    outside = httpx.URL(url).host not in LOOPBACK
    return httpx.Client(trust_env=outside, timeout=seconds, headers=headers)


def _nothing(url: str, error: Exception, names: Names) -> EngineError:
    return EngineError(
        f"Nothing answers at {shown_address(url)} ({_reason(error)}).",
        fix=f"Check {names.url}, and that the server runs and can be reached.",
    )


def _refused(url: str, key: str, status: int, names: Names) -> EngineError:
    problem = "refuses the key" if key else "asks for a key"
    return EngineError(
        f"The server at {shown_address(url)} {problem} ({status}).",
        fix=f"Set {names.key} to a key that it accepts.",
    )


def _gave(reply: httpx.Response) -> str:
    # A redirect isn't followed: requests for replies, with their key, would not be either.
    if reply.has_redirect_location:
        return f"redirects to {shown_address(reply.headers['location'])}"
    return f"gave {reply.status_code}"


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
