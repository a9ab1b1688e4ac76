"""Settings that are used again: those of a picture or a job, of a picture file, of the last visit."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import gradio as gr
from markupsafe import Markup
from PIL import Image

from studio.domain import ImageRequest, Refused, Size, StudioError
from studio.rules import MOST_SEED
from studio.ui.filling import filled
from studio.ui.form import NAMES, bases_here, request_fields
from studio.ui.html import el
from studio.ui.visit import Visit, ids_of, text_of

VARY_BY = 1  # how far the seeds of variations lie from the first one's


def reuse(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """Form updates for the settings of a picture, and what was lost on the way. Raises NotFound."""
    recalled = visit.studio.gallery.recall(visit.account, ids_of(data)[0])
    return filled(visit.words, {**recalled.fields, "count": 1}, bases_here(visit.studio)), lost(visit, recalled.lost)


def vary(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """The same settings with the seeds that come next: pictures that are near, and new. Raises NotFound."""
    recalled = visit.studio.gallery.recall(visit.account, ids_of(data)[0])
    fields = dict(recalled.fields)
    if isinstance(fields.get("seed"), int):
        fields["seed"] = (int(str(fields["seed"])) + VARY_BY) % (MOST_SEED + 1)
    return filled(visit.words, {**fields, "count": 4}, bases_here(visit.studio)), lost(visit, recalled.lost)


def seed(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """The seed of a picture alone. Raises NotFound."""
    picture = visit.studio.gallery.picture(visit.account, ids_of(data)[0])
    return filled(visit.words, {"seed": picture.seed}, {}), Markup("")


def start(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """A picture as the one to start from, in its own size where that may be asked for.

    Raises NotFound, Refused and StorageFailed.
    """
    copy = visit.studio.workshop.to_start_from(visit.account, ids_of(data)[0])
    with Image.open(copy) as picture:
        width, height = picture.size
    fields: dict[str, Any] = {}
    with suppress(Refused):
        size = Size(width=width, height=height)
        fields = {"width": size.width, "height": size.height}
    return filled(visit.words, fields, {}) | {"init": gr.update(value=str(copy))}, Markup("")


def reuse_job(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """The settings of a job, whatever came of it. Raises NotFound."""
    request = visit.studio.job(visit.account, text_of(data, "job")).request
    if not isinstance(request, ImageRequest):
        raise Refused("This job has no settings for the Playground.", field="job")
    fields = {name: value for name, value in request.to_json().items() if value is not None}
    aside = [name for name in ("init", "tune") if name in fields]
    return filled(visit.words, fields, bases_here(visit.studio)), lost(visit, aside) if aside else Markup("")


def restore(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """The settings that were read from a picture file. They come back by way of the browser: each is checked again."""
    given = data.get("fields")
    fields: dict[str, Any] = {}
    for name, value in given.items() if isinstance(given, dict) else ():
        if name in ("width", "height"):
            continue
        ImageRequest.from_json({"prompt": "any", name: value})
        fields[name] = value
    if isinstance(given, dict) and "width" in given and "height" in given:
        size = ImageRequest.from_json({"prompt": "any", "width": given["width"], "height": given["height"]}).size
        fields |= {"width": size.width, "height": size.height}
    names = data.get("lost")
    known = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return filled(visit.words, fields, bases_here(visit.studio)), lost(visit, known)


def as_it_was(visit: Visit, kept: str) -> dict[str, Any]:
    """The form as this browser last asked with it. What cannot be asked for any more leaves it as it is laid out."""
    try:
        held = json.loads(kept) if kept else None
        if not isinstance(held, dict):
            return {}
        if "size" not in held:  # nothing was asked yet, only written
            return {"prompt": gr.update(value=str(held.get("prompt", "")))}
        fields = request_fields([held.get(name) for name in NAMES], bases_here(visit.studio))
        visit.studio.check({**fields, "prompt": fields["prompt"] or "any"})
    except (StudioError, ValueError, TypeError):
        return {}
    return filled(visit.words, {**fields, "style": fields["style"] or ""}, bases_here(visit.studio))


def lost(visit: Visit, names: Any) -> Markup:
    """A notice of what could not be taken over, in the form's own words."""
    words = visit.words
    shown = [words(f"form.{name}") for name in names if words.has(f"form.{name}")]
    text = words("form.lost", names=", ".join(shown)) if shown else words("form.taken_over")
    return el("p", text, class_="notice", role="status")
