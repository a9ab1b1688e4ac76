"""The page's API: typed functions, each named as its endpoint. What they answer, the commands print with --json."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import get_blocks_context
from gradio.data_classes import FileData
from gradio.events import api
from gradio.utils import get_function_description, get_function_params, get_upload_folder

from studio import answers, quoting
from studio.domain import Picture, Refused, Size
from studio.rules import flag, job_id, name, text, whole
from studio.service import Studio
from studio.ui import views
from studio.ui.visit import told, visit_of

MOST_LISTED = 200
MOST_TEXT = 200  # characters that prompts are searched for

Endpoint = Callable[..., Any]


def add(studio: Studio) -> None:
    """Adds the endpoints to the page that is being laid out."""
    for endpoint in (*_making(studio), *_finding(studio)):
        offer(endpoint)


def offer(endpoint: Endpoint) -> None:
    """Makes a function an endpoint of its name. Its docstring is what the API view shows: what it does, and below
    `Args:` a line for each argument."""
    page = get_blocks_context()
    assert page is not None, "endpoints are added while the page is laid out"
    dependency = api(endpoint, api_name=endpoint.__name__)
    _, about, _ = get_function_description(endpoint)
    names = [argument[0] for argument in get_function_params(endpoint)]
    for argument, component_id in zip(names, dependency["inputs"], strict=True):
        component: Any = page.blocks[component_id]
        component.label = argument
        component._api_info = {**component._api_info, "additional_description": about[argument]}


# --- what is made ----------------------------------------------------------------------------------------------------


def _making(studio: Studio) -> Sequence[Endpoint]:
    def quote(
        size: str = "512x512",
        steps: int = 30,
        count: int = 1,
        super_resolution: bool = False,
        tool: str | None = None,
        scale: int | None = None,
        avatars: int | None = None,
        face_enhance: bool = False,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """What something costs; nothing is spent. Of pictures from a prompt, unless tool or avatars says otherwise.
        Answers with price, kind (of credit) and charges, one for each kind of credit.

        Args:
            size: width and height in pixels as 512x768, each a multiple of 64 from 128 to 1024.
            steps: how many steps, 1 to 150.
            count: how many pictures, 1 to 8; of a tool 1 to 100000.
            super_resolution: true doubles the sides of each picture.
            tool: upscale, face or background, instead of pictures from a prompt.
            scale: of the tool upscale, how many times the sides, 2 or 4.
            avatars: how many pictures of a tune, 1 to 100000, instead of pictures from a prompt.
            face_enhance: of avatars, true makes the faces on them clearer.
        """
        with told(visit_of(studio, request)):
            if scale is not None and tool != "upscale":
                raise Refused("scale is for the tool upscale alone.", field="scale", allowed="only with tool upscale")
            if tool is not None and avatars is not None:
                raise Refused("tool and avatars cannot both be given.", field="avatars", allowed="one of the two")
            if tool is not None:
                return answers.of_charges(studio.workshop.quote(tool, count, scale=scale))
            if avatars is not None:
                tools = {"super_resolution": super_resolution, "face_enhance": face_enhance}
                return answers.of_charges(quoting.of_avatars(studio.prices(), avatars, **tools))
            asked = {"steps": steps, "count": count, "super_resolution": super_resolution, **sides_of(size)}
            asked["face_enhance"] = face_enhance
            return answers.of_charges(studio.quote(asked))

    def generate(
        prompt: str,
        negative: str = "",
        style: str | None = None,
        base: str = "starter",
        size: str = "512x512",
        steps: int = 30,
        guidance: float | None = None,
        scheduler: str | None = None,
        seed: int | None = None,
        count: int = 1,
        super_resolution: bool = False,
        init: FileData | None = None,
        strength: float | None = None,
        mask: FileData | None = None,
        id: str | None = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """Queues pictures from a prompt and holds their price. Answers at once with the job; ask job for what becomes
        of it.

        Args:
            prompt: what to draw, 1 to 2000 characters.
            negative: what should not be seen, at most 2000 characters.
            style: the id of a style; left out, none.
            base: the id of a base model that is on this machine.
            size: width and height in pixels as 512x768, each a multiple of 64 from 128 to 1024.
            steps: how many steps, 1 to 150.
            guidance: how closely the prompt is followed, 0 to 30; left out, as the base likes it.
            scheduler: the id of one that the base takes; left out, its first.
            seed: 0 to 4294967295; left out, drawn. The second picture has the next seed, and so on.
            count: how many pictures, 1 to 8.
            super_resolution: true doubles the sides of each picture.
            init: a picture to start from: an uploaded JPEG, PNG, WEBP or HEIF of at most 50 megapixels.
            strength: how much of init is drawn anew, 0.05 to 1; only together with init.
            mask: an uploaded picture of init's shape, white where init is painted anew and black where it is kept.
            id: a UUID of your own; the same id with the same request is the same job.
        """
        visit = visit_of(studio, request)
        with told(visit):
            asked = {
                "prompt": prompt, "negative": negative, "style": style, "base": base, "steps": steps,
                "guidance": guidance, "scheduler": scheduler, "seed": seed, "count": count,
                "super_resolution": super_resolution, "strength": strength, **sides_of(size),
            }  # fmt: skip
            files = {"init": uploaded("init", init), "mask": uploaded("mask", mask)}
            return answers.of_job(studio.generate(visit.account, asked, **files, job_id=id))

    def job(id: str, request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """A job: its state (queued, running, done, failed, cancelled), progress and price, and under made the pictures
        that it has made so far, each as pictures tells of it.

        Args:
            id: the job's id, a UUID.
        """
        visit = visit_of(studio, request)
        with told(visit):
            made = [_linked(one) for one in studio.gallery.of_job(visit.account, id)]
            return answers.of_job(studio.job(visit.account, id)) | {"made": made}

    def cancel(id: str, request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """Cancels a job and answers with it. What was delivered stays and is paid, the rest of its price is released.

        Args:
            id: the job's id, a UUID.
        """
        visit = visit_of(studio, request)
        with told(visit):
            return answers.of_job(studio.cancel(visit.account, id))

    return quote, generate, job, cancel


# --- what there is ---------------------------------------------------------------------------------------------------


def _finding(studio: Studio) -> Sequence[Endpoint]:
    def pictures(
        limit: int = 48,
        before: str | None = None,
        text: str = "",
        kind: str | None = None,
        base: str | None = None,
        style: str | None = None,
        favourites: bool = False,
        tune: str | None = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """A page of pictures, newest first, and the total that the filters let through. Each picture has the url of its
        PNG, relative to the page's address.

        Args:
            limit: how many, 1 to 200.
            before: the id of the last picture of the page before; left out, the newest.
            text: words that the prompt must have, all of them, at most 200 characters.
            kind: image, upscale, face or background; left out, any.
            base: the id of a base model; left out, any.
            style: the id of a style; left out, any.
            favourites: true lets through favourites alone.
            tune: the id of a tune, for the pictures that were drawn with it; left out, any.
        """
        visit = visit_of(studio, request)
        with told(visit):
            page = studio.gallery.page(
                visit.account,
                **_filter(text=text, kind=kind, base=base, style=style, tune=tune, favourites=favourites),
                limit=whole("limit", limit, 1, MOST_LISTED),
                before=None if before is None else job_id(before, field="before"),
            )
            return {"pictures": [_linked(one) for one in page.pictures], "total": page.total}

    def balance(request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """The balance of each kind of credit: posted, held by jobs, and available, which is the difference."""
        visit = visit_of(studio, request)
        with told(visit):
            return answers.of_balances(studio.counter.balances(visit.account))

    return pictures, balance


# --- what comes in ---------------------------------------------------------------------------------------------------


def sides_of(size: Any) -> dict[str, object]:
    """`512x768` as the fields of a request. Raises Refused."""
    if not isinstance(size, str):
        raise Refused("size must look like 512x768.", field="size", allowed="WIDTHxHEIGHT")
    sides = Size.parse(size)
    return {"width": sides.width, "height": sides.height}


def _filter(**given: Any) -> dict[str, Any]:
    """The gallery's filters as they came, each checked by its rule. Raises Refused."""
    named = {field: given[field] for field in ("kind", "base", "style", "tune")}
    return {
        "text": text("text", given["text"], most=MOST_TEXT, empty=True),
        "favourites": flag("favourites", given["favourites"]),
        **{field: None if value is None else name(field, value) for field, value in named.items()},
    }


def uploaded(field: str, file: Any) -> Path | None:
    """The path of a file that was uploaded to the page. Gradio checks it too; this does not hang on how it does."""
    if file is None:
        return None
    wrong = Refused(f"{field} must be a file that was uploaded here.", field=field, allowed="an uploaded picture")
    path = file.path if isinstance(file, FileData) else file.get("path") if isinstance(file, dict) else None
    if not isinstance(path, str):
        raise wrong
    try:
        there = Path(path).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in it, a name too long, links in a ring
        raise wrong from error
    if not there.is_relative_to(Path(get_upload_folder()).resolve()):
        raise wrong
    return there


# --- what goes out ---------------------------------------------------------------------------------------------------


def _linked(picture: Picture) -> dict[str, object]:
    """A picture as the commands tell of it, with what the gallery shows and the address of its PNG."""
    return answers.of_picture(picture) | {
        "job": picture.job,
        "kind": picture.kind,
        "prompt": views.prompt_of(picture),
        "base": picture.base,
        "style": picture.style,
        "tune": picture.tune,
        "favourite": picture.favourite,
        "created_at": picture.created_at,
        "url": f"media/pictures/{picture.id}.png",
    }
