"""Hearth's web app: starts the engine, serves the page, prints the address.

`make run`, or `python app.py [--port N] [--model ID] …`: every setting but a key has an option.
"""

import ipaddress
import logging
import signal
import socket
import sys
import threading
from contextlib import closing, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from agent.console import tell, tell_fault
from errors import Cancelled, HearthError, InputError, SettingsError
from settings import Settings, add_options, load_settings

if TYPE_CHECKING:
    from agent.build import Hearth
    from serving.aside import Aside
    from serving.place import Place
    from serving.terminal import StartDisplay
    from web.server import Server

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

            with StartDisplay() as display:
                hearth = Hearth(settings, on_progress=display.say, on_measure=display.measure)
                try:
                    run(hearth, sock, display)
                finally:
                    hearth.stop()
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


def run(hearth: "Hearth", sock: socket.socket, display: "StartDisplay") -> None:
    """Serve the page on `sock`, and have the model started meanwhile, until SIGINT or SIGTERM.

    Raises SettingsError and InputError for what is wrong with the settings. Another fault of the
    start is told here and on the page, which stays: its runs may have the start tried again.
    """
    from serving.aside import Aside

    start = hearth.begin()

    def check() -> None:
        if isinstance(start.fault, InputError | SettingsError):
            raise start.fault

    # Aside, since its imports take a while in which a fault of the start should show.
    server = Aside(partial(new_server, hearth, start), "page").wait(check)
    introduce(hearth, sock)

    def watch() -> None:
        """Tell how the start ended; what is to be mended in the settings ends the app."""
        with suppress(HearthError):
            start.wait()
        display.end()
        if isinstance(start.fault, InputError | SettingsError):
            server.should_exit = True
        elif start.fault is not None and not isinstance(start.fault, Cancelled):
            tell_fault(start.fault)
        elif hearth.notice:
            tell(hearth.notice, "yellow")

    try:
        threading.Thread(target=watch, name="start-watch", daemon=True).start()
        server.run(sockets=[sock])
    finally:
        server.visitors.close()
    check()


def new_server(hearth: "Hearth", start: "Aside[Place]") -> "Server":
    """The server of the page. Raises SandboxError where code can't be confined as it is set."""
    from web.sandbox_note import sandbox_note
    from web.server import Server, build_app
    from web.visitors import Visitors

    visitors = Visitors(hearth.new_session, hearth.settings.max_visitors)
    app = build_app(
        visitors,
        hearth.settings,
        about=partial(about, hearth),
        ready=hearth.ready,
        standing=partial(standing, hearth, start),
        sandbox=sandbox_note(hearth.verdict),
    )
    return Server(app, visitors)


def introduce(hearth: "Hearth", sock: socket.socket) -> None:
    """Say where the page is, and what confines the code that runs here."""
    from sandbox.wording import warning

    host, port = sock.getsockname()[:2]
    verdict = hearth.verdict
    tell(f"Hearth is at {address(host, port)}  (Ctrl-C stops it)")
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


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def standing(hearth: "Hearth", start: "Aside[Place]") -> str:
    """How the model's start stands, in Markdown; empty once there is a model."""
    from web.render import inline

    if not start.over:
        doing = hearth.route.progress
        said = inline(doing.text if doing else "looking at the settings and the machine")
        return f"**The model is being started:** {said}. You can send a task already; it waits."
    if start.fault is None or hearth.route.present is not None:
        return ""
    why = inline(" ".join(str(start.fault).split()))
    return f"**No model could be started.** {why}"


def about(hearth: "Hearth") -> str:
    """What the page says of the model, in Markdown."""
    from web.render import inline

    place = hearth.route.present or hearth.route.preferred()
    said = "".join(f"**{inline(line)}**\n\n" for line in hearth.notice.splitlines())
    if place.bundled:
        return said + (
            "**Model:** the bundled one, five million parameters. It knows arithmetic, units, "
            "dates, text, statistics, small equations, questions on CSV and Excel files, plots, "
            "and looking things up; nothing else. For real work choose a stronger one: "
            "`HEARTH_MODEL=deepseek-ai/DeepSeek-R1-Distill-Qwen-7B make run`."
        )
    engine = f" ({place.endpoint.engine})" if place.endpoint is not None else ""
    return f"{said}**Model:** {inline(place.model_id)}{engine}."


def _terminate(*_: int | FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Until the server takes over its signals, SIGTERM ends the app as Ctrl-C does: tidily.
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    cli()
