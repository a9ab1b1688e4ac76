"""Serves the page until it is told to stop: what Gradio is started with, and what stands before it."""

import contextlib
import importlib.util
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from studio.domain import Refused, StorageFailed
from studio.service import Studio
from studio.settings import Settings
from studio.ui import media
from studio.ui.access import Guard, blocked_paths, host_names
from studio.ui.page import build
from studio.ui.theme import css, head, theme
from studio.ui.words import i18n

MOST_WAITING = 64  # calls in Gradio's own queue
AT_ONCE = 8  # calls of one handler; Gradio's own default of 1 would let one slow page hold up everybody
ENVELOPE = 64 << 10  # bytes that a form adds to the file it carries


def launch(studio: Studio) -> gr.Blocks:
    """Serves the page in a thread of its own and returns when it answers. Raises Refused, StorageFailed."""
    settings = studio.settings
    if settings.mcp and importlib.util.find_spec("mcp") is None:
        raise Refused(
            "mcp is on, and needs packages that are not installed: "
            ".venv/bin/python -m pip install -r requirements-mcp.txt",
            field="mcp",
            allowed="0, or 1 once they are installed",
        )
    page = build(studio)
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    try:
        page.launch(**options(studio))
    except OSError as error:
        if "port" not in str(error):
            raise
        raise StorageFailed(
            f"Port {settings.port} of {settings.host} is taken: stop what runs there, or set STUDIO_PORT to another.",
            field="port",
        ) from error
    return page


def options(studio: Studio) -> dict[str, Any]:
    """What `Blocks.launch` is given. Mounted into another app, Gradio would leave its checks of paths out."""
    settings = studio.settings
    upload_bytes = settings.upload_mb << 20
    guard = Middleware(Guard, hosts=host_names(settings), upload_bytes=upload_bytes + ENVELOPE)
    return {
        "server_name": settings.host,
        "server_port": settings.port or free_port(settings.host),
        "prevent_thread_lock": True,
        "quiet": True,
        "share": False,
        "inbrowser": False,
        "ssr_mode": False,
        "show_error": False,
        "enable_monitoring": False,
        "run_history": False,
        "footer_links": ["api"],  # without it there is no view of the API; the footer itself is not shown
        "mcp_server": settings.mcp,
        "max_file_size": upload_bytes,
        "blocked_paths": blocked_paths(settings),
        "theme": theme(),
        "css": css(),
        "head": head(),
        "i18n": i18n(),
        "app_kwargs": {
            "routes": media.routes(studio),
            "middleware": [guard],
            "docs_url": None,
            "openapi_url": None,
            "redoc_url": None,
        },
    }


def free_port(host: str) -> int:
    """A port that nobody listens on just now: what port 0 stands for."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


def serve(studio: Studio, say: Callable[[str], None]) -> None:
    """Serves the page and works the queue until Ctrl-C or SIGTERM; the running job is back in the queue then."""
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    page = launch(studio)
    try:
        studio.start()
        say(f"Likeness is at {address(studio.settings, page)} (Ctrl-C ends it)")
        while not stopped.wait(0.5):  # a wait without end cannot be interrupted on Windows
            pass
    finally:
        studio.stop()
        with contextlib.suppress(OSError):
            page.close(verbose=False)


def address(settings: Settings, page: gr.Blocks) -> str:
    """Where the page is, as a person opens it."""
    host = settings.host if settings.host not in ("0.0.0.0", "::") else "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{page.server_port}"
