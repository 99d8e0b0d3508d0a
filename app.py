"""Hearth's web app: starts the engine, serves the page, prints the address.

`make run`, or `python app.py [--port N] [--model ID] …`: every setting but a key has an option.
"""

import ipaddress
import logging
import signal
import socket
import sys
from contextlib import ExitStack, closing
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from agent.console import tell, tell_fault
from errors import HearthError, InputError
from settings import Settings, add_options, load_settings

if TYPE_CHECKING:
    from agent.build import Hearth

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
@add_options
def main(**given: Any) -> None:
    """Start Hearth's web app."""
    try:
        settings = load_settings(**given)
        # The port first: whoever finds it taken should not wait for an engine to learn so.
        with closing(listen(settings)) as sock:
            # Not at the top: these imports take a while, in which Ctrl-C should end as tidily.
            from agent.build import Hearth
            from serving.terminal import StartDisplay

            display = StartDisplay()
            hearth = Hearth(settings, on_progress=display.say, on_measure=display.measure)
            with ExitStack() as stack:
                with display:
                    stack.enter_context(hearth)
                serve(hearth, sock)
    except HearthError as error:
        tell_fault(error)
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
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that can be no name
        sock.close()
        url = address(settings.host, settings.port)
        if is_hearth(url):
            raise InputError(
                f"Hearth already runs at {url}.",
                fix="Open that page, or choose another port: HEARTH_PORT=7861 make run",
            ) from None
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"Can't listen at {url}: {why}.",
            fix="Choose another port: HEARTH_PORT=7861 make run (0 takes a free one); HEARTH_HOST "
            "must be an address of this machine.",
        ) from None
    return sock


def address(host: str, port: int) -> str:
    """The URL of what listens there."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_hearth(url: str) -> bool:
    """Whether a Hearth answers there."""
    import httpx

    try:
        reply = httpx.get(f"{url}/livez", timeout=2, trust_env=False)
        return reply.json().get("app") == "hearth"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
        return False


def serve(hearth: "Hearth", sock: socket.socket) -> None:
    """Serve the page on `sock` until SIGINT or SIGTERM."""
    from sandbox.wording import warning
    from web.sandbox_note import sandbox_note
    from web.server import Server, build_app
    from web.visitors import Visitors

    visitors = Visitors(hearth.new_session, hearth.settings.max_visitors)
    verdict = hearth.verdict
    app = build_app(
        visitors,
        hearth.settings,
        about=about(hearth),
        ready=hearth.ready,
        sandbox=sandbox_note(verdict),
    )
    host, port = sock.getsockname()[:2]
    tell(f"Hearth is at {address(host, port)}  (Ctrl-C stops it)")
    if hearth.notice:
        tell(hearth.notice, "yellow")
    tell(f"sandbox: {verdict.tier} ({verdict.summary})", "dim")
    if said := warning(verdict.tier):
        tell(said, "red" if verdict.tier == "unconfined" else "yellow")
    if not is_loopback(host):
        confined = verdict.tier != "unconfined"
        how = "in the sandbox" if confined else "with your rights and on your files"
        tell(
            f"Whoever can reach this address can run code here, {how}, and use its tools. "
            "Put a login before it, or leave HEARTH_HOST at 127.0.0.1.",
            "yellow",
        )
    try:
        Server(app, visitors).run(sockets=[sock])
    finally:
        visitors.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def about(hearth: "Hearth") -> str:
    """What the page says of the model, in Markdown."""
    from web.render import inline

    place = hearth.route.present
    said = "".join(f"**{inline(line)}**\n\n" for line in hearth.notice.splitlines())
    if place is not None and place.bundled:
        return said + (
            "**Model:** the bundled one, five million parameters. It knows arithmetic, units, "
            "dates, text, statistics, small equations, questions on CSV and Excel files, plots, "
            "and looking things up; nothing else. For real work choose a stronger one: "
            "`HEARTH_MODEL=deepseek-ai/DeepSeek-R1-Distill-Qwen-7B make run`."
        )
    return f"{said}**Model:** {inline(hearth.endpoint.model_id)} ({hearth.endpoint.engine})."


def _terminate(*_: int | FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Until the server takes over its signals, SIGTERM ends the app as Ctrl-C does: tidily.
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    cli()
