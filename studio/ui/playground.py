"""The Playground tab: pictures from a prompt, with the price before and the progress while they are made."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio.domain import ImageRequest, Job, NotFound, Refused, StudioError
from studio.rules import MOST_SEED
from studio.service import Studio
from studio.ui import form as forms
from studio.ui import views
from studio.ui.form import NAMES, Form, bases_here, filled, for_base, priced_fields, request_fields
from studio.ui.html import button, el, html, icon
from studio.ui.visit import Visit, ids_of, text_of
from studio.ui.words import t

MASK_BEGINS = "data:image/png;base64,"
FIELD_OF = {"width": "width", "height": "height"}
VARY_BY = 1  # how far the seeds of variations lie from the first one's


@dataclass(frozen=True, kw_only=True)
class Playground:
    """The tab's components that other parts of the page write to or listen to."""

    form: Form
    generate: gr.Button
    refused: gr.HTML
    stage: gr.HTML
    restore_from: gr.HTML
    focus: gr.Textbox
    ticket: gr.Textbox


def laid_out(studio: Studio) -> Playground:
    """The tab's layout: on a wide screen the form on the left, on a phone the prompt, the pictures, the rest."""
    with gr.Column(elem_id="play"):
        with gr.Column(elem_id="play-prompt"):
            prompt = forms.prompt_box()
            generate = gr.Button(t("form.generate"), variant="primary", elem_id="generate")
            refused = html("refused")
        with gr.Column(elem_id="play-stage"):
            stage = html("stage")
        with gr.Column(elem_id="play-form"):
            form = forms.laid_out(studio, prompt)
            restore_from = html("restore")
    return Playground(
        form=form,
        generate=generate,
        refused=refused,
        stage=stage,
        restore_from=restore_from,
        focus=gr.Textbox("", visible="hidden", elem_id="focus", show_label=False, container=False),
        ticket=gr.Textbox("", visible="hidden", elem_id="ticket", show_label=False, container=False),
    )


# --- asking ----------------------------------------------------------------------------------------------------------


def label(visit: Visit, *priced: Any) -> Any:
    """What the Generate button says: the price of what the form asks for. What cannot be priced is told when asked."""
    try:
        charges = visit.studio.quote(priced_fields(priced))
    except StudioError:
        return gr.update(value=visit.words("form.generate"))
    cost = ", ".join(visit.words.count(f"credit.{charge.kind}", charge.amount) for charge in charges)
    return gr.update(value=visit.words("form.generate_for", price=cost))


def checked(visit: Visit, ticket: str, *values: Any) -> list[Any]:
    """Of every field whether it is fit, and what is wrong with the one that is not, to be told beside it."""
    del ticket
    wrong: StudioError | None = None
    try:
        fields = request_fields(values, bases_here(visit.studio))
        init = forms.values_of(values)["init"] is not None
        visit.studio.check(fields, init=init)
    except StudioError as error:
        wrong = error
    at = wrong.field if wrong is not None and wrong.field in NAMES else None
    said = visit.words.sentence(wrong) if wrong is not None else ""
    return [gr.validate(True, "")] + [gr.validate(name != at, said if name == at else "") for name in NAMES]


def generate(visit: Visit, ticket: str, *values: Any) -> tuple[Any, Markup, Any]:
    """Queues what the form asks for. The ticket is the job's id, drawn by the page, so that a double click is one job.

    Gives the job to be shown, what was refused (nothing is, where it went well) and how the stage looks.
    """
    held = forms.values_of(values)
    try:
        job = visit.studio.generate(
            visit.account,
            request_fields(values, bases_here(visit.studio)),
            init=Path(held["init"]) if held["init"] is not None else None,
            mask=mask_of(held["mask"]) if held["init"] is not None else None,
            job_id=ticket or None,
        )
    except StudioError as error:
        return gr.skip(), refusal(visit, error), gr.skip()
    return job.id, Markup(""), stage(visit, job.id)


def refusal(visit: Visit, error: StudioError) -> Markup:
    """Why nothing was queued, and what to do about it."""
    advice = f"advice.{error.field}"
    return el(
        "p",
        visit.words.sentence(error),
        f" {visit.words(advice)}" if visit.words.has(advice) else None,
        class_="fault",
        role="alert",
    )


def mask_of(drawn: Any) -> bytes | None:
    """The mask that was painted on the page, from its data URL; None where nothing is painted. Raises Refused."""
    if not drawn:
        return None
    wrong = Refused("mask is no picture.", field="mask", allowed="what is painted on the page")
    if not isinstance(drawn, str) or not drawn.startswith(MASK_BEGINS):
        raise wrong
    try:
        return base64.b64decode(drawn.removeprefix(MASK_BEGINS), validate=True)
    except binascii.Error as error:
        raise wrong from error


def halt(visit: Visit, data: Mapping[str, object]) -> None:
    """Cancels a job."""
    visit.studio.cancel(visit.account, text_of(data, "job"))


# --- showing ---------------------------------------------------------------------------------------------------------


def focused(visit: Visit, focus: Any) -> Job | None:
    """The job that the stage shows: the one asked for if it is there; else the one that runs; else the newest."""
    if isinstance(focus, str) and focus:
        try:
            return visit.studio.job(visit.account, focus)
        except (NotFound, Refused):
            pass
    active = visit.studio.active_jobs(visit.account)
    newest = visit.studio.jobs(visit.account, limit=1)
    return active[0] if active else newest[0] if newest else None


def stage(visit: Visit, focus: Any) -> Markup:
    """The job that is looked at: its progress while it runs, then what it made."""
    words = visit.words
    job = focused(visit, focus)
    if job is None:
        return views.empty(words, "stage", "picture")
    made = visit.studio.gallery.of_job(visit.account, job.id)
    parts = [_running(visit, job) if not job.ended else _ended(visit, job), views.outcome(words, job)]
    if made:
        parts.append(views.pictures(words, made, list_id="made", actions=True))
    return el("section", *parts, class_="job", data_job=job.id, data_state=job.state, aria_label=words("stage.label"))


def _running(visit: Visit, job: Job) -> Markup:
    words = visit.words
    ahead = 0
    if job.state == "queued":
        active = visit.studio.active_jobs(visit.account)
        ahead = next((place for place, one in enumerate(active) if one.id == job.id), 0)
    picture = None
    if job.preview:
        source = f"media/jobs/{job.id}/preview?step={job.step}"
        picture = el("img", src=source, alt=words("job.preview"), class_="preview")
    shape = job.request if isinstance(job.request, ImageRequest) else None
    frame = el(
        "div",
        picture,
        class_="frame" if picture else "frame waiting",
        style=f"aspect-ratio:{shape.width}/{shape.height}" if shape else None,
    )
    head = el("div", views.state(words, job), el("span", views.price(words, job), class_="hint"), class_="line")
    said = el("p", views.progress(words, job, ahead), class_="said", role="status", aria_live="off")
    told = el("div", head, views.bar(words, job), said, views.cancel(words, job), class_="told")
    return el("div", frame, told, class_="running")


def _ended(visit: Visit, job: Job) -> Markup:
    words = visit.words
    again = None
    if job.state in ("failed", "cancelled"):
        again = button(words("job.settings"), icon_name="again", data_do="reuse_job", data_job=job.id, class_="quiet")
    said = f"{views.price(words, job)} · {words.seconds(job.seconds)}"
    return el("div", views.state(words, job), el("span", said, class_="hint"), again, class_="line")


def painter(visit: Visit) -> Markup:
    """Where the mask is painted over the picture to start from; the page's script does the painting."""
    words = visit.words
    tools = el(
        "div",
        el("label", words("painter.brush"), el("input", type="range", min=4, max=120, value=40, data_brush=True)),
        button(words("painter.erase"), data_erase=True, aria_pressed="false", class_="quiet"),
        button(words("painter.undo"), data_undo=True, class_="quiet"),
        button(words("painter.clear"), data_clear=True, class_="quiet"),
        class_="line",
    )
    canvas = el("canvas", tabindex=0, role="img", aria_label=words("painter.canvas"))
    frame = el("div", el("img", alt=words("form.init"), class_="under"), canvas, class_="canvas")
    return el("div", el("p", words("painter.hint"), class_="hint"), frame, tools, class_="painter", hidden=True)


def restore_from(visit: Visit) -> Markup:
    """The way to take settings from a picture file, for those who do not drop it onto the page."""
    words = visit.words
    file = el("input", type="file", accept="image/png,image/jpeg,image/webp", data_restore=True, class_="unseen")
    drop = el("div", words("restore.drop"), class_="drop", hidden=True, aria_hidden="true")
    return el("div", el("label", file, icon("picture"), words("restore.choose"), class_="quiet filebutton"), drop)


# --- using a picture again -------------------------------------------------------------------------------------------


def reuse(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """Form updates for the settings of a picture, and what was lost on the way. Raises NotFound."""
    recalled = visit.studio.gallery.recall(visit.account, ids_of(data)[0])
    return filled({**recalled.fields, "count": 1}, bases_here(visit.studio)), lost(visit, recalled.lost)


def vary(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """The same settings with the seeds that come next: pictures that are near, and new. Raises NotFound."""
    recalled = visit.studio.gallery.recall(visit.account, ids_of(data)[0])
    fields = dict(recalled.fields)
    if isinstance(fields.get("seed"), int):
        fields["seed"] = (int(str(fields["seed"])) + VARY_BY) % (MOST_SEED + 1)
    return filled({**fields, "count": 4}, bases_here(visit.studio)), lost(visit, recalled.lost)


def seed(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """The seed of a picture alone. Raises NotFound."""
    picture = visit.studio.gallery.picture(visit.account, ids_of(data)[0])
    return filled({"seed": picture.seed}, {}), Markup("")


def reuse_job(visit: Visit, data: Mapping[str, object]) -> tuple[dict[str, Any], Markup]:
    """The settings of a job, whatever came of it. Raises NotFound."""
    request = visit.studio.job(visit.account, text_of(data, "job")).request
    if not isinstance(request, ImageRequest):
        raise Refused("This job has no settings for the Playground.", field="job")
    fields = {name: value for name, value in request.to_json().items() if value is not None}
    return filled(fields, bases_here(visit.studio)), Markup("")


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
    return filled(fields, bases_here(visit.studio)), lost(visit, known)


def lost(visit: Visit, names: Any) -> Markup:
    """A notice of what could not be taken over, in the form's own words."""
    words = visit.words
    shown = [words(f"form.{name}") for name in names if words.has(f"form.{name}")]
    text = words("form.lost", names=", ".join(shown)) if shown else words("form.taken_over")
    return el("p", text, class_="notice", role="status")


def base_chosen(visit: Visit, base: str) -> dict[str, Any]:
    """Form updates for a base that was chosen."""
    return for_base(bases_here(visit.studio), base)


def size_chosen(visit: Visit, size: str) -> tuple[Any, Any, Any]:
    """Which of the size's other fields are shown."""
    del visit
    own = size == forms.OWN_SIZE
    square = not own and len(set(str(size).split("x"))) == 1
    return gr.update(visible=not own and not square), gr.update(visible=own), gr.update(visible=own)
