"""Who asks, and what is let in: identity from the server's side alone, checks of host, origin and length."""

import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.domain import OWNER
from studio.settings import Settings

BODY_MOST = 2 << 20  # bytes of a request that hands in no file: a form, a drawn mask
UPLOADS = ("/gradio_api/upload", "/media/settings")  # where files come in, and are limited by the setting upload_mb
CACHE = "cache"
KEPT = (  # in the data folder, some of it only later
    "studio.db", "studio.db-wal", "studio.db-shm", "studio.db-journal", "studio.db-turn", "studio.toml", "prices.toml",
    "worker.lock", "forgotten.log", "restore.ready", "pictures", "small", "uploads", "jobs", "photos", "tunes",
    "exports", "styles",
)  # fmt: skip
# What Gradio answers to and this page never asks for: recordings, code written by a model, links to a whole session,
# its own monitoring, calls of components, requests passed on to elsewhere. What is not needed is not there.
CLOSED = (
    "/gradio_api/component_server", "/gradio_api/deep_link", "/gradio_api/dev", "/gradio_api/process_recording",
    "/gradio_api/profiling", "/gradio_api/proxy", "/gradio_api/run-history", "/gradio_api/stream",
    "/gradio_api/undo-vibe", "/gradio_api/vibe", "/monitoring",
)  # fmt: skip
SAFE = ("GET", "HEAD", "OPTIONS")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing comes from another host and nothing goes there, whatever a page may be made to say. Gradio's own pages
    # need scripts inside of them and templates that are compiled as they are shown.
    "Content-Security-Policy": (
        "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; base-uri 'self'; form-action 'self'; "
        "frame-ancestors 'self'; object-src 'none'"
    ),
}


def account_of(request: object) -> str:
    """The account that a request acts for.

    On one's own machine everybody who reaches the page is its owner. Never read from what the page sends: not from a
    component's value, a `gr.State`, a session's hash or a path.
    """
    del request  # there is nothing in it yet that could say more
    return OWNER


def host_names(settings: Settings) -> frozenset[str]:
    """The names that this machine may be called by; addresses of numbers are always allowed."""
    own = socket.gethostname().lower()
    return frozenset({"localhost", own, f"{own}.local", settings.host.lower()})


def blocked_paths(settings: Settings) -> list[str]:
    """What is never to be given out by path: all of the data folder but the cache, which uploads pass through."""
    there = {path.name for path in settings.data.iterdir()} if settings.data.is_dir() else set[str]()
    return [str(settings.data / name) for name in sorted((there | set(KEPT)) - {CACHE})]


def cache_folder(settings: Settings) -> Path:
    """Where Gradio keeps what is uploaded to the page, until it is taken over or a day old."""
    return settings.data / CACHE


def gradio_environment(settings: Settings) -> Mapping[str, str]:
    """What must be in the environment before gradio is imported."""
    return {
        "GRADIO_TEMP_DIR": str(cache_folder(settings)),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_ALLOWED_PATHS": "",  # whoever has set it for another program does not open this one's folders
    }


class Guard:
    """Stands before everything that is served.

    - `Host` must be this machine, so that no foreign name can be pointed at it (DNS rebinding).
    - Only the page itself may ask by script: `Origin`, where a browser sends it, is this host. Another program's page
      on the same machine is another page.
    - A body has at most `BODY_MOST` bytes, a file `upload_mb`.
    - What this page does not use is not there, and neither are WebSockets.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], upload_bytes: int) -> None:
        self.app = app
        self.hosts = hosts
        self.upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()  # the browser's wish to connect, which is to be heard before it is denied
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        # 1. The host.
        host = headers.get("host", "")
        if not is_served(host, self.hosts):
            await PlainTextResponse("This address is not served here.", 400)(scope, receive, send)
            return

        # 2. The origin.
        origin = headers.get("origin")
        foreign = origin is not None and not is_origin_of(host, origin)
        changes = scope["method"] not in SAFE
        if foreign or (changes and headers.get("sec-fetch-site") in ("cross-site", "same-site")):
            await PlainTextResponse("Only the studio's own page may ask for this.", 403)(scope, receive, send)
            return

        # 3. What is not needed.
        if scope["path"].startswith(CLOSED):
            await PlainTextResponse("There is nothing here.", 404)(scope, receive, send)
            return

        # 4. The length, as it is said and as it comes.
        most = self.upload_bytes if scope["path"].startswith(UPLOADS) else BODY_MOST
        said = headers.get("content-length", "0")
        if not said.isdecimal() or int(said) > most:
            await PlainTextResponse(f"At most {most} bytes are allowed here.", 413)(scope, receive, send)
            return
        come = 0

        async def counted() -> Message:
            nonlocal come
            message = await receive()
            come += len(message.get("body", b""))
            if come > most:
                return {"type": "http.disconnect"}
            return message

        # 5. What every answer says.
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
            await send(message)

        await self.app(scope, counted, with_headers)


def is_origin_of(host: str, origin: str) -> bool:
    """Whether an `Origin` header names the page of this host; the scheme is the proxy's before it to choose."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def is_served(host: str, names: frozenset[str]) -> bool:
    """Whether a `Host` header may be answered: an address of numbers, or one of the names; the port does not matter."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if name is None or set(host) & set("@/?#\\"):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.removesuffix(".") in names
    return True
