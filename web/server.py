"""The HTTP server: the page and the health checks, on one port."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from settings import Settings
from web.publish import FilesAreNoPages, Publisher
from web.visitors import Visitors


def build_app(
    visitors: Visitors,
    settings: Settings,
    *,
    about: Callable[[], str],
    ready: Callable[[], bool],
    standing: Callable[[], str] = lambda: "",
    sandbox: str = "",
) -> FastAPI:
    """The whole web application. `ready` says whether the engine answers; `about` is what the page
    says of the model, `standing` how far its start is, or empty (Markdown, asked for again and
    again), `sandbox` what it says of the sandbox (HTML)."""
    # Read by gradio when it is imported: nothing is reported to anyone, uploads stay with our data.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    uploads = settings.data_dir / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    import gradio as gr

    from web.chat import CSS, build_page

    api = FastAPI(title="Hearth", docs_url=None, redoc_url=None, openapi_url=None)
    api.add_middleware(FilesAreNoPages)

    @api.get("/livez")
    def livez() -> dict[str, str]:
        return {"status": "ok", "app": "hearth"}

    @api.get("/readyz")
    def readyz() -> Any:
        if ready():
            return {"status": "ok"}
        return JSONResponse({"status": "the engine does not answer"}, status_code=503)

    page = build_page(visitors, about, Publisher(uploads), sandbox, standing)
    # gradio checks paths in requests, and keeps SVG from running as a page, only in apps that it
    # launched itself; mounted, it would hand any visitor any file that the app can read.
    page.has_launched = page.is_running = True
    return gr.mount_gradio_app(
        api,
        page,
        path="/",
        max_file_size=f"{settings.max_upload_mb}mb",
        footer_links=[],
        show_error=True,
        ssr_mode=False,
        enable_monitoring=False,
        # Fonts by name: the default theme asks a font server on the internet.
        theme=gr.themes.Soft(
            font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        css=CSS,
    )


class Server(uvicorn.Server):
    """Serves what `build_app` made, and closes the visitors' sessions when it ends."""

    def __init__(self, app: FastAPI, visitors: Visitors) -> None:
        super().__init__(
            uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3, lifespan="on")
        )
        self._mounted = app.routes[-1].app  # type: ignore[attr-defined]  # gradio's own
        self.visitors = visitors

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """First end what open pages wait for; uvicorn would wait for them, and then complain."""
        await asyncio.to_thread(self.visitors.close)
        self._mounted.stop_event.set()
        await super().shutdown(sockets)
