"""A small OpenAI-protocol server on loopback that can misbehave on request.

    with FakeOpenAI([Turn("Hi."), Turn(status=503)]) as server:
        ... server.url ...  server.requests[0].body ...

Each request for a reply takes the next turn; the last one repeats. With `owner`, its models
say whose server it is, and it has what that server has beside the protocol: vLLM's /tokenize
or llama.cpp's /apply-template, and /completions. Stop strings cut wherever they stand, thinking
included, as vLLM's do. It is written on bare sockets, so that it can break the protocol where a
real server would.
"""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Fault = Literal[
    "silence",  # say nothing more, keep the connection
    "drop",  # cut the connection in the middle
    "half_headers",  # cut it within the headers (with `after=-1`)
    "malformed",  # send an event that is no JSON
    "error_event",  # send an event with an error in it
    "bare_error",  # the same as transformers serve does: not quoted, so no JSON
    "web_page",  # answer with HTML, as a server of something else
    "early_end",  # end the stream in good order, without finish_reason and [DONE]
    "half_event",  # cut the connection in the middle of an event
    "bad_chunk",  # break the chunked encoding
    "abort",  # finish_reason abort, as vLLM says when it gives up
]


@dataclass
class Turn:
    """What to do with one chat request.

    `thinking` goes where `shape` says: the field `reasoning` or `reasoning_content`, or the text,
    with both tags (`raw`) or the closing one alone (`template`). Deltas have `chunk` characters
    and come `delay` seconds apart. `fault` happens after `after` deltas; with `after=-1` before the
    headers, `delay` seconds into the request. `status` other than 200 answers with `error`.
    """

    text: str = ""
    thinking: str = ""
    shape: Literal["reasoning", "reasoning_content", "raw", "template"] = "template"
    chunk: int = 4
    delay: float = 0.0
    finish: str | None = "stop"
    usage: tuple[int, int] | None = None
    fault: Fault | None = None
    after: int = 0
    status: int = 200
    error: Any = field(default_factory=lambda: {"error": {"message": "out of order"}})
    headers: dict[str, str] = field(default_factory=dict)
    streams: bool = True
    hangs_at_end: bool = False
    counts: bool = False
    """Send the usage with every chunk."""
    ends_thinking: bool = True
    linger: float = 0.0
    """How long a reply that has ended waits for its reader, who may be slow."""
    raw: bytes | None = None
    kind: str = "text/event-stream"

    def stopped_at(self, stops: Sequence[str]) -> "Turn":
        """The same, cut at the first of the stop strings."""
        turn = self
        for stop in stops or ():
            before, found, _ = turn.thinking.partition(stop)
            text = "" if found else turn.text.partition(stop)[0]
            turn = replace(turn, thinking=before, text=text, ends_thinking=not found)
        return turn

    def deltas(self) -> list[dict[str, str]]:
        """The deltas of the whole reply."""
        name, thinking, text = self.shape, self.thinking, self.text
        if thinking and self.shape in ("raw", "template"):
            opener = "<think>\n" if self.shape == "raw" else ""
            closer = "\n</think>\n\n" if self.ends_thinking else ""
            thinking, text = "", f"{opener}{thinking}{closer}{text}"
        return [{name: part} for part in _cut(thinking, self.chunk)] + [
            {"content": part} for part in _cut(text, self.chunk)
        ]


@dataclass
class Request:
    """One request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float
    deltas_sent: int = 0
    disconnected: threading.Event = field(default_factory=threading.Event)
    """The client closed the connection before the server had finished."""


_ROLES = ("system", "user", "assistant")


class FakeOpenAI:
    """The server; start it with `with`. `key` makes it ask for one, `models` are what it has.

    `port` 0 takes a free one.
    """

    def __init__(
        self,
        turns: Sequence[Turn] = (),
        *,
        models: Sequence[str] = ("fake",),
        key: str = "",
        port: int = 0,
        owner: str = "",
    ) -> None:
        self.turns = list(turns) or [Turn("Hello.")]
        self.models = list(models)
        self.key = key
        self.owner = owner
        self._replies = {"/v1/chat/completions", *(["/v1/completions"] if owner else [])}
        self._port = port
        self.requests: list[Request] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def chats(self) -> list[Request]:
        """The requests for a reply."""
        return [request for request in self.requests if request.path.endswith("/completions")]

    def __enter__(self) -> "FakeOpenAI":
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", self._port), self._loop
        ).result()
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read_request(reader)
            if request is None:
                return
            self.requests.append(request)
            await self._answer(request, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            wrong = {"error": {"message": f"Incorrect API key provided: {given}"}}
            await _send_json(writer, 401, wrong)
        elif request.path == "/v1/models":
            about = {"owned_by": self.owner, "max_model_len": 4096} if self.owner else {}
            await _send_json(writer, 200, {"data": [{"id": n, **about} for n in self.models]})
        elif request.path == "/tokenize" and self.owner == "vllm":
            await _send_json(writer, 200, _tokenized(request.body))
        elif request.path == "/apply-template" and self.owner in ("llamacpp", "hearth"):
            await _send_json(writer, 200, {"prompt": _rendered(request.body["messages"])})
        elif request.path not in self._replies:
            await _send_json(writer, 404, {"detail": "Not Found"})
        elif any(m["role"] not in _ROLES for m in request.body.get("messages", ())):
            await _send_json(writer, 400, {"error": {"message": "Unexpected message role."}})
        elif request.body.get("model") not in self.models:
            wrong = {"error": {"message": f"The model {request.body.get('model')} does not exist"}}
            await _send_json(writer, 404, wrong)
        else:
            turn = self.turns[min(len(self.chats), len(self.turns)) - 1]
            watch = asyncio.create_task(_watch(reader, request))
            reply = asyncio.create_task(_reply(turn, request, writer))
            await asyncio.wait({watch, reply}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({watch}, timeout=turn.linger)
            watch.cancel()
            reply.cancel()
            ends = await asyncio.gather(watch, reply, return_exceptions=True)
            if any(isinstance(end, ConnectionError) for end in ends):
                request.disconnected.set()  # it left with something unread, which is a reset


def _rendered(messages: list[dict[str, str]]) -> str:
    """The conversation in R1's template: a past assistant's turn is cut at </think>."""
    turns = "".join(
        f"<User>{m['content']}"
        if m["role"] == "user"
        else f"<Assistant>{m['content'].rpartition('</think>')[2]}<end>"
        for m in messages
    )
    return f"{turns}<Assistant><think>\n"


def _tokenized(body: dict[str, Any]) -> dict[str, Any]:
    text = _rendered(body["messages"]) if "messages" in body else body["prompt"]
    tokens = list(text.encode())
    return {"tokens": tokens, "count": len(tokens), "max_model_len": 4096}


async def _watch(reader: asyncio.StreamReader, request: Request) -> None:
    while await reader.read(1024):
        pass
    request.disconnected.set()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, json.loads(raw) if raw else {}, time.monotonic())


async def _reply(turn: Turn, request: Request, writer: asyncio.StreamWriter) -> None:
    turn = turn.stopped_at(request.body.get("stop") or ())
    if turn.status != 200:
        await _send_json(writer, turn.status, turn.error, turn.headers)
        return
    if turn.raw is not None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {turn.kind}\r\n".encode())
        writer.write(b"Connection: close\r\n\r\n" + turn.raw)
        await writer.drain()
        return
    if turn.fault == "web_page":
        await _send_json(writer, 200, "<html>Welcome</html>")
        return
    if not turn.streams or not request.body.get("stream"):
        await _send_json(writer, 200, _whole(turn))
        return
    if turn.fault and turn.after < 0:
        await asyncio.sleep(turn.delay)
        await _misbehave(turn, writer)
        return
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    plain = request.path == "/v1/completions"
    if not plain:
        await _event(writer, _chunk({"role": "assistant", "content": ""}))
    for number, delta in enumerate(turn.deltas()):
        if turn.fault and number == turn.after:
            break
        if turn.delay:
            await asyncio.sleep(turn.delay)
        usage = (turn.usage or (7, 0))[0], number + 1
        await _event(writer, _chunk(delta, plain=plain, usage=usage if turn.counts else None))
        request.deltas_sent += 1
    if turn.fault:
        await _misbehave(turn, writer)
        return
    await _event(writer, _chunk({}, turn.finish, plain=plain))
    if turn.hangs_at_end:
        await asyncio.Event().wait()
    if turn.usage and request.body.get("stream_options", {}).get("include_usage"):
        prompt, completion = turn.usage
        usage = {"prompt_tokens": prompt, "completion_tokens": completion}
        await _event(writer, json.dumps({"choices": [], "usage": usage}))
    await _event(writer, "[DONE]")
    await _end(writer)


def _whole(turn: Turn) -> dict[str, Any]:
    """A reply in one piece; without text its content is null, as vLLM says it."""
    message = {"role": "assistant", "content": turn.text or None, "reasoning": turn.thinking}
    if turn.shape in ("raw", "template") and turn.thinking:
        text = "".join(delta["content"] for delta in turn.deltas())
        message = {"role": "assistant", "content": text}
    prompt, completion = turn.usage or (7, 7)
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": turn.finish}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": 0},
    }


async def _misbehave(turn: Turn, writer: asyncio.StreamWriter) -> None:
    if turn.fault == "silence":
        await asyncio.Event().wait()
    elif turn.fault == "drop":
        writer.transport.abort()
    elif turn.fault == "half_headers":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
        await writer.drain()
        writer.transport.abort()
    elif turn.fault == "malformed":
        await _event(writer, '{"choices": [{"delta"')
        await asyncio.Event().wait()
    elif turn.fault == "error_event":
        await _event(writer, json.dumps({"error": {"message": "CUDA out of memory", "code": 500}}))
        await _end(writer)
    elif turn.fault == "bare_error":
        await _event(writer, '{"error": "no kernel for "bf16" here"}')
        await _end(writer)
    elif turn.fault == "early_end":
        await _end(writer)
    elif turn.fault == "half_event":
        writer.write(b'10\r\ndata: {"choices":\r\n')
        await writer.drain()
        writer.transport.abort()
    elif turn.fault == "bad_chunk":
        writer.write(b"no number\r\n")
        await writer.drain()
    elif turn.fault == "abort":
        await _event(writer, _chunk({}, "abort"))
        await _end(writer)


_ABOUT = {
    "id": "chatcmpl-0123456789abcdef",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "fake",
}


def _chunk(
    delta: dict[str, str],
    finish: str | None = None,
    *,
    plain: bool = False,
    usage: tuple[int, int] | None = None,
) -> str:
    said: dict[str, Any] = {"text": delta.get("content", "")} if plain else {"delta": delta}
    choice = {"index": 0, **said, "logprobs": None, "finish_reason": finish}
    chunk: dict[str, Any] = {**_ABOUT, "choices": [choice]}
    if usage:
        chunk["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    # Not escaped, as vLLM and transformers serve send it: U+2028 and the like stand as they are.
    return json.dumps(chunk, ensure_ascii=False)


async def _event(writer: asyncio.StreamWriter, data: str) -> None:
    payload = f"data: {data}\n\n".encode()
    writer.write(f"{len(payload):x}\r\n".encode() + payload + b"\r\n")
    await writer.drain()


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _send_json(
    writer: asyncio.StreamWriter, status: int, value: Any, headers: dict[str, str] | None = None
) -> None:
    is_text = isinstance(value, str)
    payload = (value if is_text else json.dumps(value)).encode()
    extra = "".join(f"{name}: {text}\r\n" for name, text in (headers or {}).items())
    kind = "text/html" if is_text else "application/json"
    writer.write(
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(payload)}\r\n"
        f"{extra}Connection: close\r\n\r\n".encode()
        + payload
    )
    await writer.drain()


def _cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]
