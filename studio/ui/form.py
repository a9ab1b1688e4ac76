"""The Playground's form: its fields, what they hold as a request, and what a recipe puts into them."""

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


# --- putting something in --------------------------------------------------------------------------------------------


def filled(recalled: Mapping[str, Any], bases: Mapping[str, BaseInfo], *, keep_seed: bool = True) -> dict[str, Any]:
    """Updates by component name that make the form ask for these fields of a request; others stay as they are."""
    updates: dict[str, Any] = {}
    for name in ("prompt", "negative", "style", "count", "steps", "guidance", "super_resolution"):
        if name in recalled:
            updates[name] = gr.update(value=recalled[name])
    if "prompt" in recalled:
        # A recipe says what it has: what it does not name was not used.
        updates.setdefault("style", gr.update(value=""))
        updates.setdefault("negative", gr.update(value=""))
    if "base" in recalled:
        updates |= for_base(bases, str(recalled["base"]), values=False)
        updates["base"] = gr.update(value=recalled["base"])
    if "guidance" in recalled and "guidance" in updates:
        updates["guidance"] = {**updates["guidance"], "value": recalled["guidance"]}
    if "scheduler" in recalled:
        updates["scheduler"] = {**updates.get("scheduler", gr.update()), "value": recalled["scheduler"]}
    if "width" in recalled and "height" in recalled:
        updates |= _size_updates(int(recalled["width"]), int(recalled["height"]))
    if "seed" in recalled and keep_seed:
        updates |= {"seed": gr.update(value=recalled["seed"], visible=True), "random": gr.update(value=False)}
    return updates


def _size_updates(width: int, height: int) -> dict[str, Any]:
    standing = f"{min(width, height)}x{max(width, height)}"
    own = standing not in PRESETS
    return {
        "size": gr.update(value=OWN_SIZE if own else standing),
        "landscape": gr.update(value=width > height, visible=not own and width != height),
        "width": gr.update(value=width, visible=own),
        "height": gr.update(value=height, visible=own),
    }


def for_base(bases: Mapping[str, BaseInfo], base_id: str, *, values: bool = True) -> dict[str, Any]:
    """Updates that fit the form to a base: what it takes, and (`values`) what it does best with."""
    base = bases.get(base_id)
    if base is None:
        return {}
    choices = [(title, id) for id, title in base.schedulers]
    updates: dict[str, Any] = {
        "negative": gr.update(visible=base.takes_negative),
        "guidance": gr.update(visible=base.takes_guidance),
        "scheduler": gr.update(choices=choices, value=base.schedulers[0][0]),
    }
    if values:
        updates["guidance"] = gr.update(visible=base.takes_guidance, value=base.guidance)
        updates["steps"] = gr.update(value=base.steps)
        updates["strength"] = gr.update(value=base.strength)
    return updates


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


def laid_out(studio: Studio, prompt: gr.Textbox) -> Form:
    """The fields below the prompt, in the order in which one comes to need them."""
    bases = bases_here(studio)
    base_id = ImageRequest.base if ImageRequest.base in bases else next(iter(bases))
    first = bases[base_id]
    styles = [(t("form.no_style"), ""), *((f"{one.title} · {one.category}", one.id) for one in studio.styles())]
    with gr.Row(elem_classes="pair"):
        style = gr.Dropdown(styles, value="", label=t("form.style"), elem_id="style", min_width=140)
        base = gr.Dropdown(
            [(f"{one.id} · {one.title}", one.id) for one in bases.values()],
            value=base_id,
            label=t("form.base"),
            elem_id="base",
            min_width=140,
        )
    with gr.Group():
        size = gr.Radio(
            [*((one.replace("x", " × "), one) for one in PRESETS), (t("form.own_size"), OWN_SIZE)],
            value=PRESETS[0],
            label=t("form.size"),
            elem_id="size",
        )
        landscape = gr.Checkbox(False, label=t("form.landscape"), elem_id="landscape", visible=False)
        with gr.Row(elem_classes="pair"):
            width = gr.Slider(
                SIDE_LEAST, SIDE_MOST, 512, step=SIDE_STEP, label=t("form.width"), visible=False, min_width=140
            )
            height = gr.Slider(
                SIDE_LEAST, SIDE_MOST, 512, step=SIDE_STEP, label=t("form.height"), visible=False, min_width=140
            )
    count = gr.Slider(1, MOST_COUNT, 4, step=1, label=t("form.count"), elem_id="count")
    with gr.Row(elem_classes="pair"):
        random = gr.Checkbox(True, label=t("form.random"), elem_id="random", min_width=140)
        seed = gr.Number(
            None,
            label=t("form.seed"),
            precision=0,
            minimum=0,
            maximum=MOST_SEED,
            elem_id="seed",
            min_width=140,
            visible=False,
        )
    with gr.Accordion(t("form.advanced"), open=False, elem_id="advanced"):
        negative = gr.Textbox("", label=t("form.negative"), lines=2, visible=first.takes_negative, elem_id="negative")
        steps = gr.Slider(1, MOST_STEPS, first.steps, step=1, label=t("form.steps"), elem_id="steps")
        guidance = gr.Slider(
            0, 30, first.guidance, step=0.5, label=t("form.guidance"), info=t("form.guidance_info"),
            visible=first.takes_guidance, elem_id="guidance",
        )  # fmt: skip
        scheduler = gr.Dropdown(
            [(title, id) for id, title in first.schedulers],
            value=first.schedulers[0][0],
            label=t("form.scheduler"),
            elem_id="scheduler",
        )
        super_resolution = gr.Checkbox(
            False, label=t("form.super_resolution"), info=t("form.super_resolution_info"), elem_id="super-resolution"
        )
    with gr.Accordion(t("form.start_from"), open=False, elem_id="start-from"):
        init = gr.Image(
            label=t("form.init"), type="filepath", image_mode=None, sources=["upload", "clipboard"], height=220,
            elem_id="init", buttons=[],
        )  # fmt: skip
        strength = gr.Slider(
            0.05, 1, first.strength, step=0.05, label=t("form.strength"), info=t("form.strength_info"),
            elem_id="strength",
        )  # fmt: skip
        painter = html("painter")
        mask = gr.Textbox("", visible="hidden", elem_id="mask", show_label=False, container=False)
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
