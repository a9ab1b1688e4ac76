"""More pictures of a tune, in any style or from any prompt, for the price on the button."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio import quoting
from studio.domain import Size, StudioError, Tune
from studio.models import BaseInfo
from studio.rules import MOST_COUNT, MOST_STEPS
from studio.tunes import CLASSES
from studio.ui import playground, views
from studio.ui.form import PRESETS, bases_here, seed_field, seed_in
from studio.ui.html import html
from studio.ui.visit import Visit
from studio.ui.words import t

NATIVE = ""  # of the sizes: the one that the base draws best
MOST_STRENGTH = 2.0


@dataclass(frozen=True, kw_only=True)
class Form:
    """The components, named as what they ask for."""

    prompt: gr.Textbox
    style: gr.Dropdown
    count: gr.Slider
    base: gr.Dropdown
    size: gr.Dropdown
    negative: gr.Textbox
    tune_strength: gr.Slider
    steps: gr.Slider
    guidance: gr.Slider
    seed: gr.Textbox
    super_resolution: gr.Checkbox
    face_enhance: gr.Checkbox

    def all(self) -> list[Any]:
        """The components in the order of `NAMES`."""
        return [getattr(self, name) for name in NAMES]

    def priced(self) -> list[Any]:
        """What the price hangs on."""
        return [self.count, self.super_resolution, self.face_enhance]


NAMES = tuple(field.name for field in fields(Form))


@dataclass(frozen=True, kw_only=True)
class More:
    """The form, its button, and what was refused."""

    form: Form
    go: gr.Button
    refused: gr.HTML
    ticket: gr.Textbox


def laid_out() -> More:
    with gr.Column(elem_id="tune-more"):
        prompt = gr.Textbox(
            "", label=t("more.prompt"), placeholder=t("more.prompt_hint"), info=t("more.prompt_info"), lines=2,
            max_lines=6, elem_id="more-prompt",
        )  # fmt: skip
        with gr.Row(elem_classes="pair"):
            style = gr.Dropdown([(t("form.no_style"), "")], value="", label=t("form.style"), elem_id="more-style")
            count = gr.Slider(
                1, MOST_COUNT, MOST_COUNT, step=1, label=t("form.count"), elem_id="more-count", buttons=[]
            )
        with gr.Accordion(t("form.advanced"), open=False, elem_id="more-advanced"):
            base = gr.Dropdown(
                [], label=t("form.base"), info=t("more.base_info"), elem_id="more-base", visible=False
            )  # fmt: skip
            with gr.Row(elem_classes="pair"):
                tune_strength = gr.Slider(
                    0, MOST_STRENGTH, 1, step=0.05, label=t("more.tune_strength"), info=t("more.tune_strength_info"),
                    elem_id="more-tune_strength", buttons=[],
                )  # fmt: skip
                guidance = gr.Slider(
                    0, 30, 7.5, step=0.5, label=t("form.guidance"), elem_id="more-guidance", buttons=[]
                )  # fmt: skip
            with gr.Row(elem_classes="pair"):
                steps = gr.Slider(
                    1, MOST_STEPS, 30, step=1, label=t("form.steps"), elem_id="more-steps", buttons=[]
                )  # fmt: skip
                seed = seed_field("more-seed")
            size = gr.Dropdown(
                [(t("more.native"), NATIVE), *((one.replace("x", " × "), one) for one in PRESETS)], value=NATIVE,
                label=t("form.size"), elem_id="more-size",
            )  # fmt: skip
            negative = gr.Textbox(
                "", label=t("form.negative"), placeholder=t("form.negative_hint"), max_lines=4, elem_id="more-negative"
            )
            super_resolution = gr.Checkbox(
                False, label=t("form.super_resolution"), info=t("form.super_resolution_info"),
                elem_id="more-super_resolution",
            )  # fmt: skip
            face_enhance = gr.Checkbox(
                False, label=t("more.face_enhance"), info=t("more.face_enhance_info"), elem_id="more-face_enhance"
            )
        go = gr.Button(t("more.go"), variant="primary", elem_classes="go", elem_id="more-go")
        refused = html("refused-more")
    form = Form(
        prompt=prompt,
        style=style,
        count=count,
        base=base,
        size=size,
        negative=negative,
        tune_strength=tune_strength,
        steps=steps,
        guidance=guidance,
        seed=seed,
        super_resolution=super_resolution,
        face_enhance=face_enhance,
    )
    ticket = gr.Textbox("", visible="hidden", show_label=False, container=False)
    return More(form=form, go=go, refused=refused, ticket=ticket)


# --- handlers --------------------------------------------------------------------------------------------------------


def fitted(visit: Visit, tune: Tune | None) -> list[Any]:
    """Updates, in the order of `NAMES`, that fit the form to a tune: its class's styles, what its base takes."""
    if tune is None:
        return [gr.skip() for _ in NAMES]
    words, here = visit.words, bases_here(visit.studio)
    language = words.language
    drawn_on = visit.studio.tuning.drawn_on(tune)
    styles = visit.studio.styles(class_name=tune.class_name if tune.class_name in CLASSES else None)
    named = [(f"{one.titled(language)} · {one.category.titled(language)}", one.id) for one in styles]
    updates: dict[str, Any] = {
        "prompt": gr.update(value=""),
        "style": gr.update(choices=[(words("form.no_style"), ""), *named], value=""),
        "base": gr.update(
            choices=[(here[one].title if one in here else one, one) for one in drawn_on],
            value=tune.base,
            visible=len(drawn_on) > 1,
        ),
        "seed": gr.update(value=""),
        "tune_strength": gr.update(value=1),
    }
    updates |= as_liked(tune, here.get(tune.base))
    return [updates.get(name, gr.skip()) for name in NAMES]


LIKED = ("steps", "guidance", "negative")


def as_liked(tune: Tune, base: BaseInfo | None) -> dict[str, Any]:
    """Updates of the fields of `LIKED` that fit them to a tune and the base that it is drawn on."""
    if base is None:
        return {}
    steps = tune.recipe.get("draws_in", base.steps) if base.id == tune.base else base.steps
    return {
        "steps": gr.update(value=steps),
        "guidance": gr.update(value=base.guidance, visible=base.takes_guidance),
        "negative": gr.update(visible=base.takes_negative),
    }


def chosen(visit: Visit, tune: Tune | None, base: Any) -> list[Any]:
    """What another base changes, in the order of `LIKED`."""
    updates = {} if tune is None else as_liked(tune, bases_here(visit.studio).get(base))
    return [updates.get(name, gr.skip()) for name in LIKED]


def request_fields(values: Sequence[Any], bases: Mapping[str, BaseInfo]) -> dict[str, object]:
    """The fields of an `ImageRequest` that the form asks for, but for the tune; what its base does not take is left
    out. Raises Refused."""
    held = dict(zip(NAMES, values, strict=True))
    base = bases.get(held["base"])
    asked: dict[str, object] = {
        "prompt": held["prompt"] or "",
        "style": held["style"] or None,
        "count": held["count"],
        "steps": held["steps"],
        "tune_strength": held["tune_strength"],
        "super_resolution": bool(held["super_resolution"]),
        "face_enhance": bool(held["face_enhance"]),
    }
    if held["base"]:
        asked["base"] = held["base"]
    if base is None or base.takes_negative:
        asked["negative"] = held["negative"] or ""
    if base is None or base.takes_guidance:
        asked["guidance"] = held["guidance"]
    asked |= seed_in(held["seed"])
    if held["size"]:
        size = Size.parse(held["size"])
        asked |= {"width": size.width, "height": size.height}
    return asked


def label(visit: Visit, count: Any, super_resolution: Any, face_enhance: Any) -> Any:
    """What the button says: how many pictures, and what they cost."""
    words = visit.words
    try:
        tools = {"super_resolution": bool(super_resolution), "face_enhance": bool(face_enhance)}
        charges = quoting.of_avatars(visit.studio.prices(), count, **tools)
    except StudioError:  # it is told when the button is pressed
        return gr.update(value=words("more.go"))
    cost = views.cost(words, charges)
    return gr.update(value=words("tools.for_price", what=words.count("more.go_for", count), price=cost))


def ask(visit: Visit, place: str, ticket: str, *values: Any) -> Markup:
    """Queues more pictures of the tune at that place; what was refused, or nothing."""
    try:
        tune = visit.studio.tuning.get(visit.account, place)
        asked = request_fields(values, bases_here(visit.studio))
        visit.studio.tuning.avatars(visit.account, tune.id, asked, job_id=ticket or None)
    except StudioError as error:
        return playground.refusal(visit, error)
    return Markup("")
