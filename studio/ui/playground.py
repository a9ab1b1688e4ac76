"""The Playground tab: pictures from a prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import gradio as gr
from gradio.events import Dependency

from studio.domain import Job, Size, StudioError
from studio.rules import MOST_COUNT, MOST_STEPS, SIZE_RULE, new_id
from studio.service import Studio
from studio.ui import show
from studio.ui.access import account_of
from studio.ui.errors import told

SIZES = [
    "512x512", "512x768", "768x512", "512x1024", "1024x512", "768x768", "768x1024", "1024x768", "1024x1024",
]  # fmt: skip
FIELDS = ("prompt", "negative", "style", "base", "size", "steps", "guidance", "scheduler", "seed", "count")
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True, kw_only=True)
class Playground:
    """What other parts of the page wire to: events after which the balance has to be painted anew."""

    timer: gr.Timer
    generate: Dependency
    cancel: Dependency


def request_fields(*values: Any) -> dict[str, object]:
    """The fields of an `ImageRequest` from what the components hold. Raises Refused for a size that is none."""
    given = dict(zip(FIELDS, values, strict=True))
    size = Size.parse(str(given.pop("size")))
    whole = {name: _whole(given[name]) for name in ("steps", "count", "seed")}
    return {
        **given,
        **whole,
        "style": given["style"] or None,
        "scheduler": given["scheduler"] or None,
        "guidance": None if given["guidance"] is None else given["guidance"],
        "width": size.width,
        "height": size.height,
    }


def _whole(value: Any) -> Any:
    """Sliders and number fields may hand over 50.0 for 50; anything else is left for the request to refuse."""
    return int(value) if isinstance(value, float) and isfinite(value) and value == int(value) else value


def label(studio: Studio, *values: Any) -> str:
    """What the Generate button says: the price, or what is wrong."""
    try:
        return f"Generate - {show.price(studio.quote(request_fields(*values)))}"
    except StudioError as error:
        return error.message


def submit(studio: Studio, account: str, job_id: str, values: Sequence[Any]) -> Job:
    """Queues the pictures; the same `job_id` again is the same job. Raises what the service refuses."""
    return studio.generate(account, request_fields(*values), job_id=job_id)


def newest(studio: Studio, account: str) -> Job | None:
    """The job to show: the one that runs, else the last one."""
    active = studio.active_jobs(account)
    last = studio.jobs(account, limit=1)
    return active[0] if active else last[0] if last else None


def painted(studio: Studio, account: str) -> Mapping[str, Any]:
    """Everything that changes while a job runs: its state, its pictures, whether to go on asking."""
    job = newest(studio, account)
    live = job is not None and not job.ended
    pictures = studio.pictures_of(account, job.id) if job else []
    return {
        "status": show.job(job),
        "results": show.pictures(pictures, "") if pictures else "",
        "timer": gr.Timer(active=live),
        "cancel": gr.Button(interactive=live),
        "job": job.id if live and job else "",
    }


def cancel_job(studio: Studio, account: str) -> None:
    """Cancels the job that is shown; one that has ended stays as it is."""
    job = newest(studio, account)
    if job is not None and not job.ended:
        studio.cancel(account, job.id)


def build(studio: Studio, page: gr.Blocks) -> Playground:
    """Lays the tab out and wires it."""
    bases = [(f"{base.title}", base.id) for base in studio.bases() if base.here] or [("starter", "starter")]
    styles = [("No style", "")] + [(f"{style.category}: {style.title}", style.id) for style in studio.styles()]
    with gr.Row():
        with gr.Column(scale=4, min_width=340):
            prompt = gr.Textbox(
                label="Prompt",
                lines=3,
                autofocus=True,
                elem_id="prompt",
                placeholder="portrait of a smiling woman with long red hair, teal background, storybook style",
            )
            with gr.Row():
                style = gr.Dropdown(styles, value="", label="Style")
                base = gr.Dropdown(bases, value=bases[0][1], label="Base")
            with gr.Row():
                size = gr.Dropdown(SIZES, value=SIZES[0], label="Size", info=SIZE_RULE, allow_custom_value=True)
                count = gr.Slider(1, MOST_COUNT, 4, step=1, label="Pictures")
            with gr.Accordion("Advanced", open=False):
                negative = gr.Textbox(label="Negative prompt", lines=2)
                steps = gr.Slider(1, MOST_STEPS, 25, step=1, label="Steps")
                guidance = gr.Number(None, label="Guidance", info="Empty: the base's own")
                scheduler = gr.Dropdown(_schedulers(studio), value="", label="Scheduler")
                seed = gr.Number(None, label="Seed", precision=0, info="Empty: random")
            values = [prompt, negative, style, base, size, steps, guidance, scheduler, seed, count]
            start = gr.Button(label(studio, *(one.value for one in values)), variant="primary", elem_id="generate")
            cancel = gr.Button("Cancel", interactive=False, elem_id="cancel")
        with gr.Column(scale=7, min_width=340):
            status = gr.HTML(elem_id="status")
            results = gr.HTML(elem_id="results")
    timer = gr.Timer(1, active=False)
    painted_parts = {"status": status, "results": results, "timer": timer, "cancel": cancel}

    def paint(request: gr.Request) -> dict[Any, Any]:
        parts = painted(studio, account_of(request))
        return {painted_parts[name]: part for name, part in parts.items() if name in painted_parts}

    @told
    def on_generate(*values: Any, request: gr.Request) -> dict[Any, Any]:
        submit(studio, account_of(request), new_id(), values)
        return paint(request)

    @told
    def on_cancel(request: gr.Request) -> dict[Any, Any]:
        cancel_job(studio, account_of(request))
        return paint(request)

    def on_change(*values: Any) -> gr.Button:
        return gr.Button(label(studio, *values))

    outputs = list(painted_parts.values())
    generated = start.click(
        on_generate, values, outputs, trigger_mode="once", show_progress="hidden", api_visibility="private"
    )
    cancelled = cancel.click(on_cancel, None, outputs, show_progress="hidden", api_visibility="private")
    gr.on([one.change for one in (size, steps, count)], on_change, values, start, **QUIET)
    timer.tick(paint, None, outputs, trigger_mode="once", **QUIET)
    page.load(paint, None, outputs, **QUIET)
    return Playground(timer=timer, generate=generated, cancel=cancelled)


def _schedulers(studio: Studio) -> list[tuple[str, str]]:
    titles = {id_: title for base in studio.bases() if base.here for id_, title in base.schedulers}
    return [("The base's own", ""), *((title, id_) for id_, title in titles.items())]
