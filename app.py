"""Hearth's web app: starts the engine, serves the page, prints the address.

`make run`, or `python app.py [--port N] [--model ID] …`: every setting has an option.
"""

import logging
import signal
import socket
import sys
from contextlib import closing
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agent.build import Hearth
from errors import HearthError, InputError
from settings import Settings, load_settings

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    model: Annotated[
        str | None, typer.Option(help="tiny (bundled), a folder, or a Hugging Face model id.")
    ] = None,
    endpoint_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible server to use instead of a local one.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
) -> None:
    """Start Hearth's web app."""
    try:
        settings = load_settings(model=model, endpoint_url=endpoint_url, host=host, port=port)
        # The port first: whoever finds it taken should not wait for an engine to learn so.
        with closing(listen(settings)) as sock, Hearth(settings, on_progress=tell) as hearth:
            serve(hearth, sock)
    except HearthError as error:
        tell(str(error), "red")
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        tell("Stopped.")
        raise typer.Exit(130) from None


def listen(settings: Settings) -> socket.socket:
    """A bound socket. Raises InputError where the address can't be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
        # Listening already now keeps a second app from binding the same port meanwhile.
        sock.listen(128)
    except OSError as error:
        sock.close()
        if is_hearth(settings.host, settings.port):
            raise InputError(
                f"Hearth already runs at http://{settings.host}:{settings.port}.",
                fix="Open that page, or choose another port: HEARTH_PORT=7861 make run",
            ) from None
        raise InputError(
            f"Can't listen on {settings.host}:{settings.port}: {error.strerror}.",
            fix="Choose another port: HEARTH_PORT=7861 make run (0 takes a free one)",
        ) from None
    return sock


def is_hearth(host: str, port: int) -> bool:
    """Whether a Hearth answers there."""
    import httpx

    try:
        reply = httpx.get(f"http://{host}:{port}/livez", timeout=2, trust_env=False)
        return reply.json().get("app") == "hearth"
    except (httpx.HTTPError, ValueError, AttributeError):
        return False


def serve(hearth: Hearth, sock: socket.socket) -> None:
    """Serve the page on `sock` until SIGINT or SIGTERM."""
    import uvicorn

    from web.server import build_app
    from web.visitors import Visitors

    visitors = Visitors(hearth.new_session, hearth.settings.max_visitors)
    app = build_app(visitors, hearth.settings, about=about(hearth), ready=hearth.ready)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3, lifespan="on")
    )
    host, port = sock.getsockname()[:2]
    tell(f"Hearth is at http://{f'[{host}]' if ':' in host else host}:{port}  (Ctrl-C stops it)")
    try:
        server.run(sockets=[sock])
    finally:
        visitors.close()


def about(hearth: Hearth) -> str:
    """What the page says of the model and of the sandbox, in Markdown."""
    from sandbox.confine import LEVELS
    from settings import BUNDLED_MODEL

    if hearth.settings.model == BUNDLED_MODEL and hearth.endpoint.engine == "transformers":
        model = (
            "**Model:** the bundled one, five million parameters. It knows arithmetic, units, "
            "dates, text, statistics, small equations, questions on CSV and Excel files, plots, "
            "and looking things up; nothing else. For real work choose a stronger one: "
            "`HEARTH_MODEL=deepseek-ai/DeepSeek-R1-Distill-Qwen-7B make run`."
        )
    else:
        model = f"**Model:** `{hearth.endpoint.model_id}` ({hearth.endpoint.engine})."
    level = LEVELS["process"]
    open_ = "; ".join(level.leaves_open)
    return f"{model}  \n**Sandbox:** {level.covers[0]}. It leaves open: {open_}."


def tell(text: str, style: str = "") -> None:
    """A line to standard error."""
    Console(stderr=True, highlight=False).print(Text(text, style=style), soft_wrap=True)


def _terminate(*_: int | FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Until the server takes over its signals, SIGTERM ends the app as Ctrl-C does: tidily.
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    cli()
