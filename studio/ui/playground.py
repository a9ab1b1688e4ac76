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
from studio.service import Studio
from studio.ui import filling, views
from studio.ui import form as forms
from studio.ui.form import Form, bases_here, priced_fields, request_fields
from studio.ui.html import button, el, html, icon
from studio.ui.visit import Visit, text_of
from studio.ui.words import t

NEWEST = 20  # jobs among which the newest of the Playground's is looked for
MASK_BEGINS = "data:image/png;base64,"


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
            unfold = gr.Button(t("form.settings"), elem_id="unfold", size="md")  # of a phone's page alone
            unfold.click(None, None, None, js="() => window.likeness.unfold()", api_visibility="private")
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
    return gr.update(value=visit.words("form.generate_for", price=views.cost(visit.words, charges)))


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
    """Why nothing was queued, and what to do about it. The page's script puts it beside the field it names."""
    advice = f"advice.{error.field}"
    return el(
        "p",
        visit.words.sentence(error),
        f" {visit.words(advice)}" if visit.words.has(advice) else None,
        class_="fault",
        role="alert",
        data_field=error.field,
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
    """The job that the stage shows: the one asked for if it is there; else the one that runs; else the newest.

    Those of the tools and of tunes are shown on their own tabs.
    """
    if isinstance(focus, str) and focus:
        try:
            return visit.studio.job(visit.account, focus)
        except (NotFound, Refused):
            pass
    found = [*visit.studio.active_jobs(visit.account), *visit.studio.jobs(visit.account, limit=NEWEST)]
    return next((job for job in found if isinstance(job.request, ImageRequest) and job.request.tune is None), None)


def stage(visit: Visit, focus: Any) -> Markup:
    """The job that is looked at: its progress while it runs, and a place for each of its pictures, so that nothing
    moves when they come."""
    words = visit.words
    job = focused(visit, focus)
    if job is None:
        return views.empty(words, "stage", "picture")
    made = visit.studio.gallery.of_job(visit.account, job.id)
    coming = 0 if job.ended else max(job.request.pictures - max(job.delivered, len(made)), 0)
    parts = [_head(visit, job), None if job.ended else _progress(visit, job), views.outcome(words, job)]
    if made or coming:
        parts.append(views.made(words, job, made, coming))
    return el("section", *parts, class_="job", data_job=job.id, data_state=job.state, aria_label=words("stage.label"))


def _head(visit: Visit, job: Job) -> Markup:
    words = visit.words
    cost = views.price(words, job)
    again = None
    if job.state in ("failed", "cancelled"):
        again = button(words("job.settings"), icon_name="again", data_do="reuse_job", data_job=job.id, class_="quiet")
    return el(
        "div",
        views.state(words, job),
        el("span", views.title_of(visit, job), class_="asked"),
        el("span", f"{cost} · {words.seconds(job.seconds)}" if job.ended else cost, class_="hint"),
        el("span", class_="grow"),
        again,
        views.cancel(words, job),
        class_="line head",
    )


def _progress(visit: Visit, job: Job) -> Markup:
    words = visit.words
    ahead = 0
    if job.state == "queued":
        active = visit.studio.active_jobs(visit.account)
        ahead = next((place for place, one in enumerate(active) if one.id == job.id), 0)
    said = el("p", views.progress(words, job, ahead), class_="said", role="status", aria_live="off")
    return el("div", views.bar(words, job), said, class_="told")


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
    drop = el(
        "div",
        words("restore.drop"),
        class_="drop",
        hidden=True,
        aria_hidden="true",
        data_failed=words("restore.failed"),
    )
    return el("div", el("label", file, icon("picture"), words("restore.choose"), class_="quiet filebutton"), drop)


# --- what follows a choice --------------------------------------------------------------------------------------------


def base_chosen(visit: Visit, base: str) -> dict[str, Any]:
    """Form updates for a base that was chosen."""
    return filling.for_base(bases_here(visit.studio), base)


def size_chosen(visit: Visit, size: str) -> tuple[Any, Any, Any]:
    """Which of the size's other fields are shown."""
    del visit
    own = size == forms.OWN_SIZE
    square = not own and len(set(str(size).split("x"))) == 1
    return gr.update(visible=not own and not square), gr.update(visible=own), gr.update(visible=own)


def turned(visit: Visit, landscape: bool) -> Any:
    """The sizes, named as they lie."""
    return gr.update(choices=forms.sizes(visit.words("form.own_size"), landscape=bool(landscape)))


def style_choices(visit: Visit) -> Any:
    """The styles in the visitor's language; the layout has them in English."""
    if visit.words.language == "en":
        return gr.skip()
    return gr.update(choices=forms.style_choices(visit.studio, visit.words("form.no_style"), visit.words.language))
