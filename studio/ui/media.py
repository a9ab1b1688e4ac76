"""What the page's pictures and files are served by: each by its id, one's own alone; what is another's is not there."""

import base64
import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from studio.domain import ImageRequest, NotFound, Picture, Refused, StudioError
from studio.service import Studio
from studio.ui.account_book import as_csv, kind_of, phase_of
from studio.ui.recipe import pairs, steps_of
from studio.ui.sheet import lines
from studio.ui.visit import MOST_IDS, Visit, visit_of

LASTING = {"Cache-Control": "private, max-age=3600"}
BRIEF = {"Cache-Control": "private, max-age=300"}
PASSING = {"Cache-Control": "no-store"}
NO_PREVIEW = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
)
COLUMNS = (
    "file", "kind", "prompt", "negative", "style", "base", "tune", "steps", "scheduler", "guidance", "strength", "seed",
    "width", "height", "super_resolution", "tools",
)  # fmt: skip


def routes(studio: Studio) -> list[APIRoute]:
    """The routes, all below `media/`."""

    def answer(visit_handler: Any) -> Any:
        def endpoint(request: Request) -> Response:
            visit = visit_of(studio, request)
            try:
                return visit_handler(visit, request)
            except (NotFound, Refused) as error:
                # A wrong id and somebody else's are told alike.
                return JSONResponse(error.to_json(), 404 if request.method == "GET" else 400)
            except StudioError as error:
                return JSONResponse(error.to_json(), 503)

        return endpoint

    async def settings(request: Request) -> Response:
        content = await request.body()
        visit = visit_of(studio, request)
        try:
            found = await run_in_threadpool(visit.studio.gallery.recall_file, content)
        except StudioError as error:
            return JSONResponse({"error": visit.words.sentence(error)}, 400)
        return JSONResponse({"fields": dict(found.fields), "lost": list(found.lost)})

    async def archive(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=1)
        ids = [one for one in str(form.get("ids", "")).split(",") if one]
        visit = visit_of(studio, request)
        try:
            found = await run_in_threadpool(_pictures, visit, ids)
        except StudioError as error:
            said = error.to_json() | {"error": visit.words.sentence(error)}
            return JSONResponse(said, 404 if isinstance(error, NotFound) else 400)
        headers = {**PASSING, "Content-Disposition": 'attachment; filename="likeness.zip"'}
        return StreamingResponse(zipped(visit, found), media_type="application/zip", headers=headers)

    return [
        APIRoute("/media/pictures/{id}.png", answer(whole), methods=["GET", "HEAD"]),
        APIRoute("/media/pictures/{id}/small", answer(small), methods=["GET", "HEAD"]),
        APIRoute("/media/pictures/{id}/before", answer(before), methods=["GET", "HEAD"]),
        APIRoute("/media/pictures/{id}/mask", answer(mask), methods=["GET"]),
        APIRoute("/media/pictures/{id}/about", answer(about), methods=["GET"]),
        APIRoute("/media/jobs/{id}/preview", answer(preview), methods=["GET"]),
        APIRoute("/media/photos/{id}/small", answer(small_photo), methods=["GET", "HEAD"]),
        APIRoute("/media/tunes/{id}/sample", answer(sample), methods=["GET", "HEAD"]),
        APIRoute("/media/exports/{id}", answer(export), methods=["GET", "HEAD"]),
        APIRoute("/media/credits.csv", answer(account_book), methods=["GET"]),
        APIRoute("/media/settings", settings, methods=["POST"]),
        APIRoute("/media/zip", archive, methods=["POST"]),
    ]


def whole(visit: Visit, request: Request) -> Response:
    """The PNG itself, with its recipe and mark; as a download where `?download` is asked for."""
    picture = visit.studio.gallery.picture(visit.account, request.path_params["id"])
    path = _there(visit.studio.gallery.file(visit.account, picture.id))
    kind = "attachment" if "download" in request.query_params else "inline"
    return FileResponse(
        path, media_type="image/png", headers=LASTING, filename=name(picture), content_disposition_type=kind
    )


def small(visit: Visit, request: Request) -> Response:
    path = visit.studio.gallery.small(visit.account, request.path_params["id"])
    return FileResponse(_there(path), media_type="image/webp", headers=LASTING)


def before(visit: Visit, request: Request) -> Response:
    """The picture that a tool made this one of, as it was handed in."""
    path = visit.studio.workshop.before(visit.account, request.path_params["id"])
    return FileResponse(_there(path), media_type="image/png", headers=LASTING)


def mask(visit: Visit, request: Request) -> Response:
    """What was cut out on the picture, as a grey PNG."""
    picture = visit.studio.gallery.picture(visit.account, request.path_params["id"])
    found = visit.studio.workshop.mask(visit.account, picture.id)
    if found is None:
        raise NotFound("There is no mask: nothing was cut out on this picture.", field="id")
    named = f'attachment; filename="{name(picture).removesuffix(".png")}-mask.png"'
    return Response(found, media_type="image/png", headers={**LASTING, "Content-Disposition": named})


def about(visit: Visit, request: Request) -> Response:
    """What the viewer shows beside a picture: its recipe by names, and as AUTOMATIC1111 writes it."""
    picture = visit.studio.gallery.picture(visit.account, request.path_params["id"])
    parameters = visit.studio.gallery.parameters(visit.account, picture.id)
    body = {
        "id": picture.id,
        "favourite": picture.favourite,
        "width": picture.width,
        "height": picture.height,
        "pairs": pairs(visit, picture),
        "parameters": parameters,
        "cannot": cannot(picture, parameters),
    }
    return JSONResponse(body, headers=PASSING)


def cannot(picture: Picture, parameters: str) -> list[str]:
    """What there is nothing of the picture to be done with: one that was only worked on has no prompt and no seed."""
    prompt, can_vary = picture.recipe.get("prompt"), picture.kind == ImageRequest.kind
    lacking = {"reuse": not prompt, "vary": not (prompt and can_vary), "seed": picture.seed is None}
    return [name for name, lacks in {**lacking, "copy": not parameters}.items() if lacks]


def preview(visit: Visit, request: Request) -> Response:
    """The newest preview of a running job; one that is gone by now, since the job has ended, is a clear pixel."""
    path = visit.studio.preview(visit.account, request.path_params["id"])
    content = NO_PREVIEW
    if path is not None:
        # Read here and now: the runner may put the next one in its place while this one is sent.
        with contextlib.suppress(OSError):
            content = path.read_bytes()
    kind = "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
    return Response(content, media_type=kind, headers=PASSING)


def small_photo(visit: Visit, request: Request) -> Response:
    """A small copy of a photo that was handed in for a tune; the browser keeps it no longer than it looks at it."""
    content = visit.studio.small_photo(visit.account, request.path_params["id"])
    return Response(content, media_type="image/webp", headers=BRIEF)


def sample(visit: Visit, request: Request) -> Response:
    """The newest picture of a training under way; one that is gone by now is a clear pixel."""
    path = visit.studio.tuning.sample(visit.account, request.path_params["id"])
    content = NO_PREVIEW
    if path is not None:
        with contextlib.suppress(OSError):
            content = path.read_bytes()
    return Response(content, media_type="image/png", headers=PASSING)


def export(visit: Visit, request: Request) -> Response:
    """The file that an export has made, under the name it is to have elsewhere."""
    path = visit.studio.exports.file(visit.account, request.path_params["id"])
    found = visit.studio.exports.get(visit.account, request.path_params["id"])
    return FileResponse(path, media_type="application/octet-stream", headers=PASSING, filename=found.name)


def account_book(visit: Visit, request: Request) -> Response:
    """The account book as CSV, filtered as the page shows it: one's own, and for the owner any."""
    asked = request.query_params
    account = visit.whose(asked.get("whose"))
    rows = as_csv(visit, account, kind_of(asked.get("kind")), phase_of(asked.get("phase")))
    headers = {**PASSING, "Content-Disposition": 'attachment; filename="likeness-credits.csv"'}
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)


def name(picture: Picture) -> str:
    """What a picture's file is called outside of the studio: `likeness-1234-0a1b2c3d.png`."""
    seed = "" if picture.seed is None else f"-{picture.seed}"
    return f"likeness{seed}-{picture.id[:8]}.png"


def _there(path: Path) -> Path:
    if not path.is_file():
        raise NotFound("There is no such picture.", field="id")
    return path


# --- several at once -------------------------------------------------------------------------------------------------


def _pictures(visit: Visit, ids: list[str]) -> list[tuple[Picture, Path]]:
    if not 1 <= len(ids) <= MOST_IDS:
        raise Refused(f"ids must name 1 to {MOST_IDS} pictures.", field="ids", allowed=f"1 to {MOST_IDS}")
    studio, account = visit.studio, visit.account
    return [
        (studio.gallery.picture(account, id), _there(studio.gallery.file(account, id))) for id in dict.fromkeys(ids)
    ]


def zipped(visit: Visit, found: list[tuple[Picture, Path]]) -> Iterator[bytes]:
    """A ZIP of pictures and a CSV of their recipes, piece by piece: nothing of it is left on the disk."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for picture, path in found:
            if path.is_file():  # deleted for good while the first were sent: the others still come
                archive.write(path, name(picture))
                yield pipe.taken()
        archive.writestr("recipes.csv", recipes([picture for picture, _ in found]))
    yield pipe.taken()


def recipes(pictures: list[Picture]) -> str:
    """One line a picture, for a spreadsheet."""
    rows: list[list[object]] = [[*COLUMNS]]
    for picture in pictures:
        recipe = picture.recipe
        asked = recipe.get("asked")
        told = {**recipe, **(asked if isinstance(asked, dict) else {})}
        told |= {"file": name(picture), "base": picture.base, "style": picture.style}
        told |= {"seed": picture.seed, "width": picture.width, "height": picture.height, "kind": picture.kind}
        tune = recipe.get("tune")
        told |= {"tune": tune.get("id") if isinstance(tune, dict) else None}
        told |= {"tools": " ".join(str(step.get("tool")) for step in steps_of(picture))}
        rows.append([told.get(column) for column in COLUMNS])
    return lines(rows)


class _Pipe(io.RawIOBase):
    """What ZipFile writes to, and what was written since last asked."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def taken(self) -> bytes:
        whole, self._parts = b"".join(self._parts), []
        return whole
