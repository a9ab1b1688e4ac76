"""The page's API: typed functions, each named as its endpoint. What they answer, the commands print with --json."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from gradio.events import api
from gradio.utils import get_upload_folder

from studio import answers
from studio.domain import Picture, Refused, Size
from studio.rules import whole
from studio.service import Studio
from studio.ui.visit import told, visit_of

MOST_LISTED = 200


def add(studio: Studio) -> None:
    """Adds the endpoints to the page that is being laid out."""

    def quote(
        size: str = "512x512",
        steps: int = 30,
        count: int = 1,
        super_resolution: bool = False,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """The price of pictures; nothing is spent.

        Args:
            size: width and height, each a multiple of 64 from 128 to 1024, as 512x768
            steps: 1 to 150
            count: how many pictures, 1 to 8
            super_resolution: double the sides of each picture
        """
        with told(visit_of(studio, request)):
            asked = {"steps": steps, "count": count, "super_resolution": super_resolution, **_sides(size)}
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
        """Queues pictures from a prompt and answers at once with the job; ask `job` for what becomes of it.

        Args:
            prompt: what to draw
            negative: what should not be seen
            style: the id of a style
            base: the id of a base model
            size: width and height, each a multiple of 64 from 128 to 1024, as 512x768
            steps: 1 to 150
            guidance: 0 to 30; left out, as the base likes it
            scheduler: one that the base takes; left out, its first
            seed: 0 to 4294967295; left out, drawn
            count: how many pictures, 1 to 8
            super_resolution: double the sides of each picture
            init: a picture to start from
            strength: 0.05 to 1, how much of init is drawn anew
            mask: white where init is painted anew, black where it is kept
            id: a UUID of your own: the same id again is the same job
        """
        visit = visit_of(studio, request)
        with told(visit):
            asked = {
                "prompt": prompt, "negative": negative, "style": style, "base": base, "steps": steps,
                "guidance": guidance, "scheduler": scheduler, "seed": seed, "count": count,
                "super_resolution": super_resolution, "strength": strength, **_sides(size),
            }  # fmt: skip
            files = {"init": _uploaded("init", init), "mask": _uploaded("mask", mask)}
            return answers.of_job(studio.generate(visit.account, asked, **files, job_id=id))

    def job(id: str, request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """A job: its state, progress and price, and the pictures it has made so far.

        Args:
            id: the job's id
        """
        visit = visit_of(studio, request)
        with told(visit):
            made = [_linked(one) for one in studio.gallery.of_job(visit.account, id)]
            return answers.of_job(studio.job(visit.account, id)) | {"made": made}

    def cancel(id: str, request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """Cancels a job. What was delivered stays and is paid, the rest of its price is released.

        Args:
            id: the job's id
        """
        visit = visit_of(studio, request)
        with told(visit):
            return answers.of_job(studio.cancel(visit.account, id))

    def pictures(limit: int = 48, before: str | None = None, request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """A page of pictures, newest first; each has the `url` of its PNG.

        Args:
            limit: how many, 1 to 200
            before: the id of the last picture of the page before
        """
        visit = visit_of(studio, request)
        with told(visit):
            found = studio.gallery.newest(visit.account, limit=whole("limit", limit, 1, MOST_LISTED), before=before)
            return {"pictures": [_linked(one) for one in found]}

    def balance(request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """The balance of each kind of credit: posted, held, available."""
        visit = visit_of(studio, request)
        with told(visit):
            return answers.of_balances(studio.counter.balances(visit.account))

    endpoints: tuple[Callable[..., Any], ...] = (quote, generate, job, cancel, pictures, balance)
    for endpoint in endpoints:
        api(endpoint, api_name=endpoint.__name__)


def _sides(size: Any) -> dict[str, object]:
    if not isinstance(size, str):
        raise Refused("size must look like 512x768.", field="size", allowed="WIDTHxHEIGHT")
    sides = Size.parse(size)
    return {"width": sides.width, "height": sides.height}


def _uploaded(field: str, file: Any) -> Path | None:
    """The path of a file that was uploaded to the page. Gradio checks it too; this does not hang on how it does."""
    if file is None:
        return None
    path = file.path if isinstance(file, FileData) else file.get("path") if isinstance(file, dict) else None
    folder = Path(get_upload_folder()).resolve()
    if not isinstance(path, str) or not Path(path).resolve().is_relative_to(folder):
        raise Refused(f"{field} must be a file that was uploaded here.", field=field, allowed="an uploaded picture")
    return Path(path).resolve()


def _linked(picture: Picture) -> dict[str, object]:
    return answers.of_picture(picture) | {"url": f"media/pictures/{picture.id}.png"}
