"""The Playground's form: its fields, and what they hold as a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from studio.domain import ImageRequest, Refused, Size
from studio.models import BaseInfo
from studio.rules import MOST_COUNT, MOST_SEED, MOST_STEPS, SIDE_LEAST, SIDE_MOST, SIDE_STEP
from studio.service import Studio
from studio.ui.html import html
from studio.ui.words import t

PRESETS = ("512x512", "512x768", "512x1024", "768x768", "768x1024", "1024x1024")
OWN_SIZE = "own"


@dataclass(frozen=True, kw_only=True)
class Form:
    """The components, named as what they ask for."""

    prompt: gr.Textbox
    negative: gr.Textbox
    style: gr.Dropdown
    base: gr.Dropdown
    size: gr.Radio
    landscape: gr.Checkbox
    width: gr.Slider
    height: gr.Slider
    count: gr.Slider
    steps: gr.Slider
    guidance: gr.Slider
    scheduler: gr.Dropdown
    random: gr.Checkbox
    seed: gr.Number
    super_resolution: gr.Checkbox
    init: gr.Image
    strength: gr.Slider
    mask: gr.Textbox
    painter: gr.HTML

    def all(self) -> list[Any]:
        """The components that hold values, in the order of `NAMES`."""
        return [getattr(self, name) for name in NAMES]


NAMES = tuple(field.name for field in fields(Form) if field.name != "painter")


def values_of(values: Sequence[Any]) -> dict[str, Any]:
    """What the form's components hold, by name."""
    return dict(zip(NAMES, values, strict=True))


def request_fields(values: Sequence[Any], bases: Mapping[str, BaseInfo]) -> dict[str, object]:
    """The fields of an `ImageRequest` that the form asks for; what does not apply to its base or is folded away is
    left out. Raises Refused for a size that is none."""
    held = values_of(values)
    base = bases.get(held["base"])
    asked: dict[str, object] = {
        "prompt": held["prompt"] or "",
        "base": held["base"],
        "style": held["style"] or None,
        "scheduler": held["scheduler"] or None,
        "count": held["count"],
        "steps": held["steps"],
        "super_resolution": held["super_resolution"],
        **size_of(held),
    }
    if base is None or base.takes_negative:
        asked["negative"] = held["negative"] or ""
    if base is None or base.takes_guidance:
        asked["guidance"] = held["guidance"]
    if not held["random"]:
        if held["seed"] is None:
            raise Refused(
                "seed is empty: write a number, or let it be drawn.", field="seed", allowed=f"0 to {MOST_SEED}"
            )
        asked["seed"] = held["seed"]
    if held["init"] is not None:
        asked["strength"] = held["strength"]
    return asked


def size_of(held: Mapping[str, Any]) -> dict[str, object]:
    """Width and height: a preset, lying where that is chosen, or the two sliders."""
    if held["size"] == OWN_SIZE:
        return {"width": held["width"], "height": held["height"]}
    if held["size"] not in PRESETS:
        raise Refused("size must be one of those shown.", field="size", allowed=", ".join(PRESETS))
    size = Size.parse(held["size"])
    short, long = size.width, size.height
    return {"width": long, "height": short} if held["landscape"] else {"width": short, "height": long}


def priced_fields(values: Sequence[Any]) -> dict[str, object]:
    """The fields that a price hangs on: of size, landscape, width, height, count, steps, super-resolution."""
    size, landscape, width, height, count, steps, super_resolution = values
    held = {"size": size, "landscape": landscape, "width": width, "height": height}
    return {"count": count, "steps": steps, "super_resolution": super_resolution, **size_of(held)}


# --- laying out ------------------------------------------------------------------------------------------------------


def bases_here(studio: Studio) -> dict[str, BaseInfo]:
    """The bases that can be drawn with; where there are none, those one could fetch, so that the sentence that says
    how can be shown."""
    infos = studio.bases()
    return {base.id: base for base in infos if base.here} or {base.id: base for base in infos[:1]}


def prompt_box() -> gr.Textbox:
    return gr.Textbox(
        "",
        label=t("form.prompt"),
        placeholder=t("form.prompt_hint"),
        lines=3,
        max_lines=10,
        autofocus=True,
        elem_id="prompt",
        max_length=None,
    )


def seed_field(elem_id: str) -> gr.Textbox:
    """Where a seed may be written. A text, because a number that is left empty comes back as 0 from what was folded."""
    return gr.Textbox(
        "", label=t("form.seed"), placeholder=t("form.seed_random"), max_lines=1, elem_id=elem_id, min_width=120
    )


def seed_in(text: Any) -> dict[str, object]:
    """The field of a request that a seed field asks for: none where it is empty. What is no number is refused there."""
    written = str(text or "").strip()
    if not written:
        return {}
    return {"seed": int(written) if written.isascii() and written.isdigit() else written}


def laid_out(studio: Studio, prompt: gr.Textbox) -> Form:
    """The fields below the prompt, in the order in which one comes to need them."""
    bases = bases_here(studio)
    base_id = ImageRequest.base if ImageRequest.base in bases else next(iter(bases))
    first = bases[base_id]

    # 1. What it looks like.
    negative = gr.Textbox(
        "", label=t("form.negative"), placeholder=t("form.negative_hint"), lines=1, max_lines=6,
        visible=first.takes_negative, elem_id="negative",
    )  # fmt: skip
    with gr.Row(elem_classes="pair"):
        style = gr.Dropdown(
            style_choices(studio, t("form.no_style"), "en"), value="", label=t("form.style"), elem_id="style",
            min_width=140,
        )  # fmt: skip
        base = gr.Dropdown(
            [(one.title, one.id) for one in bases.values()],
            value=base_id,
            label=t("form.base"),
            elem_id="base",
            min_width=140,
        )

    # 2. Its size: the standing shapes, turned by the box in the corner, or two sliders.
    with gr.Column(elem_id="shape"):
        size = gr.Radio(sizes(t("form.own_size")), value=PRESETS[0], label=t("form.size"), elem_id="size")
        landscape = gr.Checkbox(False, label=t("form.landscape"), elem_id="landscape", visible=False)
        with gr.Row(elem_classes="pair"):
            width, height = (
                gr.Slider(
                    SIDE_LEAST, SIDE_MOST, 512, step=SIDE_STEP, label=t(f"form.{name}"), visible=False, min_width=140,
                    elem_id=name, buttons=[],
                )
                for name in ("width", "height")
            )  # fmt: skip

    # 3. How many, and how carefully.
    with gr.Row(elem_classes="pair"):
        count = gr.Slider(
            1, MOST_COUNT, 4, step=1, label=t("form.count"), elem_id="count", min_width=140, buttons=[]
        )  # fmt: skip
        steps = gr.Slider(
            1, MOST_STEPS, first.steps, step=1, label=t("form.steps"), elem_id="steps", min_width=140, buttons=[]
        )
    with gr.Row(elem_classes="pair"):
        guidance = gr.Slider(
            0, 30, first.guidance, step=0.5, label=t("form.guidance"), visible=first.takes_guidance,
            elem_id="guidance", min_width=140, buttons=[],
        )  # fmt: skip
        with gr.Column(elem_id="seeding", min_width=140):
            seed = gr.Number(
                None, label=t("form.seed"), placeholder=t("form.seed_random"), precision=0, minimum=0,
                maximum=MOST_SEED, elem_id="seed", min_width=140,
            )  # fmt: skip
            random = gr.Checkbox(True, label=t("form.random"), elem_id="random", min_width=100)

    # 4. What is needed now and then.
    with gr.Accordion(t("form.start_from"), open=False, elem_id="start-from"):
        init = gr.Image(
            label=t("form.init"), show_label=False, type="filepath", image_mode=None, sources=["upload", "clipboard"],
            height=220, elem_id="init", buttons=[],
        )  # fmt: skip
        painter = html("painter")
        strength = gr.Slider(
            0.05, 1, first.strength, step=0.05, label=t("form.strength"), info=t("form.strength_info"),
            elem_id="strength", buttons=[],
        )  # fmt: skip
        mask = gr.Textbox("", visible="hidden", elem_id="mask", show_label=False, container=False)
    with gr.Accordion(t("form.advanced"), open=False, elem_id="advanced"):
        scheduler = gr.Dropdown(
            [(title, id) for id, title in first.schedulers],
            value=first.schedulers[0][0],
            label=t("form.scheduler"),
            elem_id="scheduler",
        )
        super_resolution = gr.Checkbox(
            False, label=t("form.super_resolution"), info=t("form.super_resolution_info"), elem_id="super-resolution"
        )
    return Form(
        prompt=prompt,
        negative=negative,
        style=style,
        base=base,
        size=size,
        landscape=landscape,
        width=width,
        height=height,
        count=count,
        steps=steps,
        guidance=guidance,
        scheduler=scheduler,
        random=random,
        seed=seed,
        super_resolution=super_resolution,
        init=init,
        strength=strength,
        mask=mask,
        painter=painter,
    )


def sizes(own: Any, *, landscape: bool = False) -> list[tuple[Any, str]]:
    """The choices of the size: each named as it lies, and the way to any other."""
    shown = (" × ".join(reversed(one.split("x")) if landscape else one.split("x")) for one in PRESETS)
    return [*zip(shown, PRESETS, strict=True), (own, OWN_SIZE)]


def style_choices(studio: Studio, none: Any, language: str) -> list[tuple[Any, str]]:
    """No style and all there are, each with its category, so that typing either finds it."""
    named = ((f"{one.titled(language)} · {one.category.titled(language)}", one.id) for one in studio.styles())
    return [(none, ""), *named]
