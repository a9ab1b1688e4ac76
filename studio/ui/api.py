"""The API of the page: typed functions, each named as its endpoint. They answer what commands print with --json."""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from gradio.events import api

from studio import answers
from studio.domain import Refused, Size
from studio.service import Studio
from studio.ui.access import account_of
from studio.ui.errors import told


def image_fields(given: Mapping[str, Any]) -> dict[str, object]:
    """`ImageRequest`'s fields from an endpoint's arguments: size as 512x768, empty texts and -1 as not given."""
    size = Size.parse(given["size"])
    fields = {name: value for name, value in given.items() if name != "size" and value not in ("", None)}
    if fields.get("seed") == -1:
        del fields["seed"]
    return {"negative": "", **fields, "width": size.width, "height": size.height}


def build(studio: Studio) -> None:
    """Adds the endpoints to the page that is being laid out."""

    def quote(size: str = "512x512", steps: int = 50, count: int = 1, super_resolution: bool = False) -> dict:
        """The price of pictures; nothing is spent.

        Args:
            size: width and height, each a multiple of 64 from 128 to 1024, as 512x768
            steps: from 1 to 150
            count: pictures, from 1 to 8
            super_resolution: whether the sides are doubled afterwards
        """
        fields = image_fields({"size": size, "steps": steps, "count": count, "super_resolution": super_resolution})
        return answers.of_charges(studio.quote(fields))

    def generate(
        prompt: str,
        negative: str = "",
        style: str = "",
        base: str = "starter",
        size: str = "512x512",
        steps: int = 30,
        guidance: float | None = None,
        scheduler: str = "",
        seed: int = -1,
        count: int = 1,
        super_resolution: bool = False,
        id: str = "",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """Queues pictures from a prompt and answers with the job at once; `job` tells how far it is.

        Args:
            prompt: what to draw
            negative: what to leave out
            style: a style's id; `styles list` has them
            base: a base model's id
            size: width and height, as 512x768
            steps: from 1 to 150
            guidance: how closely to follow the prompt; leave out for the base's own
            scheduler: leave out for the base's own
            seed: from 0 to 4294967295; -1 for a random one
            count: pictures, from 1 to 8
            super_resolution: double the sides afterwards
            id: a UUID of yours; the same id again is the same job
        """
        given = {name: value for name, value in locals().items() if name not in ("id", "request", "studio")}
        return answers.of_job(studio.generate(account_of(request), image_fields(given), job_id=id or None))

    def job(id: str, request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """A job: its state, progress, price and pictures so far.

        Args:
            id: the job's id
        """
        account = account_of(request)
        made = studio.pictures_of(account, id)
        return answers.of_job(studio.job(account, id)) | {"made": [_linked(p) for p in made]}

    def cancel(id: str, request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """Cancels a job; what was delivered stays and is paid, the rest is given back.

        Args:
            id: the job's id
        """
        return answers.of_job(studio.cancel(account_of(request), id))

    def pictures(limit: int = 48, before: str = "", request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """A page of pictures, newest first; get each from its `url`.

        Args:
            limit: how many, from 1 to 200
            before: the last id of the page before
        """
        if not 1 <= limit <= 200:
            raise Refused("limit must be from 1 to 200.", field="limit", allowed="1 to 200")
        found = studio.pictures(account_of(request), limit=limit, before=before or None)
        return {"pictures": [_linked(picture) for picture in found]}

    def balance(request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """The three balances: posted, held, available."""
        return answers.of_balances(studio.balances(account_of(request)))

    endpoints: tuple[Callable[..., Any], ...] = (quote, generate, job, cancel, pictures, balance)
    for endpoint in endpoints:
        api(told(endpoint), api_name=endpoint.__name__)  # pyright: ignore[reportArgumentType]


def _linked(picture: Any) -> dict[str, object]:
    return answers.of_picture(picture) | {"url": f"media/{picture.id}.png"}
