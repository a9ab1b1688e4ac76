"""The fields of a new tune besides its photos and styles, and what they hold as a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from studio.domain import Refused
from studio.models import BaseInfo
from studio.photo_report import CROP_MODES, NATURES
from studio.service import Studio
from studio.tunes import CLASSES, CONSENT, POLICIES, TuneRequest
from studio.ui.form import bases_here, seed_field, seed_in
from studio.ui.words import t

USUAL = ""  # of a choice: as the base has it


@dataclass(frozen=True, kw_only=True)
class Form:
    """The components, named as what they ask for."""

    class_name: gr.Dropdown
    nature: gr.Radio
    crop: gr.Radio
    name: gr.Textbox
    base: gr.Dropdown
    caption: gr.Textbox
    steps: gr.Number
    rank: gr.Number
    text_encoder: gr.Dropdown
    prior: gr.Checkbox
    mirrored: gr.Checkbox
    seed: gr.Textbox
    policy: gr.Radio
    consent: gr.Checkbox

    def all(self) -> list[Any]:
        """The components in the order of `NAMES`."""
        return [getattr(self, name) for name in NAMES]


NAMES = tuple(field.name for field in fields(Form))


def bases_to_train(studio: Studio) -> dict[str, BaseInfo]:
    """The bases that a tune can be trained on here."""
    here = bases_here(studio)
    return {id: base for id, base in here.items() if base.tune is not None} or here


def request_fields(values: Sequence[Any]) -> dict[str, object]:
    """The fields of a `TuneRequest` that the form asks for, but for photos, crops and styles. Raises Refused."""
    held = dict(zip(NAMES, values, strict=True))
    if not held["consent"]:
        raise Refused(
            "Nothing is trained without consent: tick the statement if it is true.",
            field="consent",
            allowed="the statement, ticked",
        )
    asked: dict[str, object] = {
        "name": held["name"] or "",
        "class_name": held["class_name"],
        "base": held["base"],
        "caption": held["caption"] or "",
        "prior": bool(held["prior"]),
        "mirrored": bool(held["mirrored"]),
        "policy": held["policy"],
        "consent": CONSENT,
    }
    for name in ("steps", "rank"):
        if held[name] is not None:
            asked[name] = held[name]
    asked |= seed_in(held["seed"])
    if held["text_encoder"]:
        asked["text_encoder"] = held["text_encoder"] == "yes"
    return asked


def usual_values(base: BaseInfo | None, words: Mapping[str, str]) -> list[Any]:
    """Updates of steps, rank and text encoder to what the base has; `words` are those of yes and no."""
    usual = base.tune if base else None
    if usual is None:
        return [gr.skip(), gr.skip(), gr.skip()]
    learns = words["yes"] if usual.text_encoder else words["no"]
    choices = [(f"{words['usual']} ({learns})", USUAL), (words["yes"], "yes"), (words["no"], "no")]
    return [
        gr.update(value=usual.steps),
        gr.update(value=usual.rank),
        gr.update(choices=choices),
    ]


# --- laying out ------------------------------------------------------------------------------------------------------


def subject(studio: Studio) -> dict[str, Any]:
    """What is on the photos, and how they are looked at."""
    return {
        "class_name": gr.Dropdown(
            [(t(f"class.{one}"), one) for one in CLASSES], value=CLASSES[0], label=t("new.class"),
            info=t("new.class_info"), elem_id="new-class",
        ),
        "name": gr.Textbox("", label=t("new.name"), placeholder=t("new.name_hint"), max_lines=1, elem_id="new-name"),
        "nature": gr.Radio(
            [(t(f"nature.{one}"), one) for one in NATURES], value="auto", label=t("new.nature"), elem_id="new-nature"
        ),
        "crop": gr.Radio(
            [(t(f"crop.{one}"), one) for one in CROP_MODES], value="face", label=t("new.crop"), elem_id="new-crop"
        ),
    }  # fmt: skip


def training(studio: Studio) -> dict[str, Any]:
    """On what and how it is trained."""
    bases = bases_to_train(studio)
    base_id = TuneRequest.base if TuneRequest.base in bases else next(iter(bases))
    usual = bases[base_id].tune
    base = gr.Dropdown(
        [(one.title, one.id) for one in bases.values()], value=base_id,
        label=t("form.base"), elem_id="new-base",
    )  # fmt: skip
    with gr.Accordion(t("form.advanced"), open=False, elem_id="new-advanced"):
        caption = gr.Textbox(
            "", label=t("new.caption"), info=t("new.caption_info"), placeholder="flat cartoon style", max_lines=2,
            elem_id="new-caption",
        )  # fmt: skip
        with gr.Row(elem_classes="pair"):
            steps, rank = (
                gr.Number(value, label=t(f"new.{name}"), precision=0, elem_id=f"new-{name}", min_width=120)
                for name, value in (("steps", usual and usual.steps), ("rank", usual and usual.rank))
            )
        with gr.Row(elem_classes="pair"):
            text_encoder = gr.Dropdown(
                [(t("new.usual"), USUAL), (t("new.yes"), "yes"), (t("new.no"), "no")], value=USUAL,
                label=t("new.text_encoder"), elem_id="new-text_encoder", min_width=120,
            )  # fmt: skip
            seed = seed_field("new-seed")
        prior = gr.Checkbox(True, label=t("new.prior"), info=t("new.prior_info"), elem_id="new-prior")
        mirrored = gr.Checkbox(True, label=t("new.mirrored"), info=t("new.mirrored_info"), elem_id="new-mirrored")
        policy = gr.Radio(
            [(t(f"policy.{one.replace('-', '_')}"), one) for one in POLICIES], value=POLICIES[0],
            label=t("new.policy"), elem_id="new-policy",
        )  # fmt: skip
    return {
        "base": base, "caption": caption, "steps": steps, "rank": rank, "text_encoder": text_encoder, "seed": seed,
        "prior": prior, "mirrored": mirrored, "policy": policy,
    }  # fmt: skip


def consent() -> gr.Checkbox:
    return gr.Checkbox(False, label=t("consent.text"), info=t("consent.info"), elem_id="new-consent")
