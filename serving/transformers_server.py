"""`transformers serve`, run as a process of its own, with four things put right and one added.

The command line and everything it does are transformers' own. On the application that it
builds, before it listens, and for the fourth before it loads the model:

1. A key is asked for on every path but /health, when ENGINE_API_KEY is set. Without one,
   any local user, and any web page in a local browser, could use or unload the model.
2. Models whose prompt isn't in the format that transformers guesses from the architecture
   get their text streamed as it is. It takes every `qwen2` for ChatML; for R1's distills,
   which aren't, it would send the whole prompt back as if the model had written it.
3. /v1/models lists the one model that this server answers for. It would otherwise scan the
   hub's cache, list what it then refuses, and fail where there is no cache yet.
4. Weights in 4 bits (NF4 with double quantisation, as transformers sets them) are computed with
   in a type that the card has units for. Its default is float32, which is several times slower.

Added: POST /apply-template (llama.cpp's name for it) gives the text that the chat template
makes of `messages`, as /v1/completions wants it. With both, a client can go on in the middle
of a reply: it breaks off thinking that takes too long, closes it, and has the model act.

Seen in transformers 5.23: `cli/serve.py`, `cli/serving/utils.py` (get_response_template).

What a client should know of it, seen by running it:
- It answers for the name on its command line alone (400 for another, or for `name@main`).
- `max_tokens`, `temperature` (0 is greedy), `top_p`, `stop` and `seed` are honoured; without
  `max_tokens` a reply ends after 1,024. A field it doesn't know is refused (422);
  `stream_options` is ignored, and the last chunk carries `usage` anyway.
- One request at a time, in order. A stream that its client closes ends within a token, also
  while it waits its turn; a reply that isn't streamed runs to its end.
- Thinking that the template opens comes as `content`, with the closing tag in it, except
  for models whose own format it knows: those send `reasoning_content`.
- A prompt longer than the model's context is not refused.
- A fault in mid-stream is a `data: {"error": "…"}` line whose text isn't escaped, then the end.
"""

import hmac
import os
from typing import Any

KEY_VARIABLE = "ENGINE_API_KEY"


class RequireKey:
    """ASGI middleware: 401 unless the request carries `Authorization: Bearer <key>`."""

    def __init__(self, app: Any, key: str) -> None:
        self.app = app
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or scope["path"] == "/health" or self._allows(scope):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        body = b'{"error": {"message": "The engine\'s key is missing or wrong.", "code": 401}}'
        headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _allows(self, scope: Any) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._expected)


def amend(app: Any, model_manager: Any, key: str) -> None:
    """Put three things right on an application that transformers has built, and add one."""
    if key:
        app.add_middleware(RequireKey, key=key)
    if model_manager.force_model is not None:
        entry = {"id": model_manager.force_model, "object": "model", "owned_by": "hearth"}
        model_manager.get_gen_models = lambda *_: [entry]
    for loaded in model_manager.loaded_models.values():
        _stream_raw_unless_it_fits(loaded.model, loaded.processor)
        _offer_template(app, getattr(loaded.processor, "tokenizer", loaded.processor))


def _offer_template(app: Any, tokenizer: Any) -> None:
    """Add the path /apply-template."""
    from starlette.responses import JSONResponse

    async def apply_template(request: Any) -> Any:
        try:
            body = await request.json()
            return JSONResponse({"prompt": prompt_text(tokenizer, body)})
        except Exception as error:  # noqa: BLE001 - whatever a template raises, it is the request's
            return JSONResponse({"error": {"message": str(error)[:300]}}, status_code=400)

    app.add_route("/apply-template", apply_template, methods=["POST"])


def prompt_text(tokenizer: Any, body: dict[str, Any]) -> str:
    """The prompt for `messages`, without the token that the tokenizer itself begins a text with."""
    prompt = tokenizer.apply_chat_template(
        body["messages"],
        add_generation_prompt=True,
        tokenize=False,
        **body.get("chat_template_kwargs", {}),
    )
    begins = tokenizer.bos_token
    if begins and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]:
        prompt = prompt.removeprefix(begins)
    return str(prompt)


def _stream_raw_unless_it_fits(model: Any, processor: Any) -> None:
    """Leave a response template that fits the chat template; replace a wrong guess by raw text."""
    from transformers.cli.serving.utils import get_response_template
    from transformers.utils.chat_parsing.response_templates import load_response_template

    tokenizer = getattr(processor, "tokenizer", processor)
    guess = get_response_template(processor, model)
    if guess is None or not getattr(tokenizer, "chat_template", None):
        return
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "x"}], add_generation_prompt=True, tokenize=False
    )
    if load_response_template(guess).start_anchor_re.search(prompt) is None:
        tokenizer.response_template = raw_template(tokenizer, model)


def raw_template(tokenizer: Any, model: Any) -> dict[str, Any]:
    """A response template that passes everything through up to the end of the turn."""
    ends = model.generation_config.eos_token_id
    ids = ends if isinstance(ends, list) else [ends]
    close = [tokenizer.convert_ids_to_tokens(i) for i in ids if i is not None]
    content: dict[str, Any] = {"content": "text", "content_args": {"strip": False}}
    if close:
        content["close"] = close
    return {
        "defaults": {"role": "assistant"},
        "start_anchor_pattern": r"\Z",  # the prompt's end: nothing of it is parsed
        "fields": {"content": content},
    }


def compute_with_what_the_card_has(manager: Any) -> None:
    """Have the class that loads models set the compute type of 4-bit weights."""
    given = manager.get_quantization_config

    def get_quantization_config(self: Any) -> Any:
        import torch

        config = given(self)
        if getattr(config, "load_in_4bit", False) and torch.cuda.is_available():
            config.bnb_4bit_compute_dtype = compute_type(torch.cuda.get_device_capability())
        return config

    manager.get_quantization_config = get_quantization_config


def compute_type(capability: tuple[int, int]) -> Any:
    """torch's type for a CUDA compute capability: bfloat16 begins with Ampere (8.0)."""
    import torch

    return torch.bfloat16 if capability >= (8, 0) else torch.float16


def main() -> None:
    """Run `transformers serve` with the command line's arguments."""
    import typer
    from transformers.cli.serve import Serve
    from transformers.cli.serving import server
    from transformers.cli.serving.model_manager import ModelManager

    key = os.environ.pop(KEY_VARIABLE, "")
    build = server.build_server

    def build_and_amend(model_manager: Any, *args: Any, **kwargs: Any) -> Any:
        app = build(model_manager, *args, **kwargs)
        amend(app, model_manager, key)
        return app

    server.build_server = build_and_amend
    compute_with_what_the_card_has(ModelManager)
    command = typer.Typer(add_completion=False)
    command.command()(Serve)
    command()


if __name__ == "__main__":
    main()
