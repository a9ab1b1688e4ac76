"""Who asks, and what may be seen of files: identity comes from the server alone, files by id and to their owner."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastapi
import gradio as gr
from fastapi.responses import FileResponse, Response
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from studio.domain import OWNER, NotFound, Refused
from studio.service import Studio

LOCAL = ["127.0.0.1", "localhost", "[::1]"]


def identify(request: fastapi.Request) -> str:
    """The account behind a request. The page serves one person, the owner of the machine it runs on."""
    del request
    return OWNER


def account_of(request: gr.Request | None) -> str:
    """The account that a handler acts for, as `identify` said. Raises NotFound where there is no request."""
    if request is None or request.request is None:
        raise NotFound("There is nobody to do this for.", field="account")
    return identify(request.request)


def middleware(host: str) -> list[Middleware]:
    """Refuses requests for other host names, so that no foreign web page reaches the studio through DNS tricks."""
    if host in ("0.0.0.0", "::"):  # the owner opened it to his network, under names that are not known here
        return []
    return [Middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL, host])]


def routes(studio: Studio) -> list[APIRoute]:
    """Pictures and previews by id. What is not yours does not exist: 404."""

    def answer(find: Callable[[], Path | None], cache: str) -> Response:
        try:
            path = find()
        except (NotFound, Refused):
            path = None
        if path is None or not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, headers={"Cache-Control": cache, "X-Content-Type-Options": "nosniff"})

    def picture(picture_id: str, request: fastapi.Request) -> Response:
        return answer(lambda: studio.picture_file(identify(request), picture_id), "private, max-age=3600")

    def preview(job_id: str, request: fastapi.Request) -> Response:
        return answer(lambda: studio.preview(identify(request), job_id), "no-store")

    named: list[tuple[str, Any]] = [("/media/{picture_id}.png", picture), ("/preview/{job_id}", preview)]
    return [APIRoute(path, endpoint, include_in_schema=False) for path, endpoint in named]
