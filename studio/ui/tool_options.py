"""What each tool may be told: its settings as components, and as the fields of its request."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.domain import Refused
from studio.tools import (
    BACKGROUND_MODELS,
    BLUR,
    FACE_MODELS,
    PICTURE,
    SCALES,
    TRANSPARENT,
    UPSCALE_MODELS,
    BackgroundRequest,
    FaceRequest,
    UpscaleRequest,
)
from studio.ui.words import t

COLOUR = "colour"
GROUNDS = (TRANSPARENT, COLOUR, BLUR, PICTURE)


@dataclass(frozen=True, kw_only=True)
class Options:
    """A tool's settings. `fields` makes of the components' values the fields of its request; `behind` is the place of
    the component that holds a file to put pictures on, None where there is none."""

    components: Sequence[Any]
    fields: Callable[..., dict[str, object]]
    behind: int | None = None


def upscale() -> Options:
    scale = gr.Radio(
        [(f"{one} ×", one) for one in SCALES], value=UpscaleRequest.scale, label=t("upscale.scale"), elem_id="scale"
    )
    model = _model("upscale", UPSCALE_MODELS, UpscaleRequest.model)
    return Options(components=(scale, model), fields=lambda scale, model: {"scale": scale, "model": model})


def face() -> Options:
    strength = gr.Slider(
        0.05, 1, FaceRequest.strength, step=0.05, label=t("face.strength"), info=t("face.strength_info"),
        elem_id="face-strength", buttons=[],
    )  # fmt: skip
    model = _model("face", FACE_MODELS, FaceRequest.model)
    return Options(components=(strength, model), fields=lambda strength, model: {"strength": strength, "model": model})


def background() -> Options:
    on = gr.Radio(
        [(t(f"ground.{one}"), one) for one in GROUNDS],
        value=TRANSPARENT,
        label=t("background.on"),
        elem_id="ground",
    )
    colour = gr.ColorPicker("#ffffff", label=t("background.colour"), visible=False, elem_id="ground-colour")
    behind = gr.Image(
        label=t("background.behind"), type="filepath", image_mode=None, sources=["upload", "clipboard"], height=180,
        visible=False, elem_id="ground-picture", elem_classes="takes-files", buttons=[],
    )  # fmt: skip
    matting = gr.Checkbox(False, label=t("background.matting"), info=t("background.matting_info"), elem_id="matting")
    model = _model("background", BACKGROUND_MODELS, BackgroundRequest.model)
    on.input(
        None,
        on,
        [colour, behind],
        js=f"on => [{_shown(COLOUR)}, {_shown(PICTURE)}]",
        api_visibility="private",
    )

    def fields(on: str, colour: Any, behind: Any, matting: bool, model: str) -> dict[str, object]:
        if on == PICTURE and not behind:
            raise Refused("Choose the picture to put others on.", field="behind", allowed="a picture")
        return {"on": hex_of(colour) if on == COLOUR else on, "matting": matting, "model": model}

    return Options(components=(on, colour, behind, matting, model), fields=fields, behind=2)


OPTIONS: Mapping[str, Callable[[], Options]] = {"upscale": upscale, "face": face, "background": background}


def _shown(ground: str) -> str:
    return f"({{__type__: 'update', visible: on === '{ground}'}})"


def _model(kind: str, models: Sequence[str], default: str) -> gr.Dropdown:
    choices = [(t(f"{kind}.model_{re.sub('[^a-z0-9]+', '_', one)}"), one) for one in models]
    return gr.Dropdown(choices, value=default, label=t("tools.model"), elem_id=f"{kind}-model")


def hex_of(colour: Any) -> str:
    """A colour as the picker gives it: `#rrggbb`, or `rgba(255, 0, 0, 1)`, which some browsers make of it."""
    found = re.fullmatch(r"rgba?\(([\d.]+), *([\d.]+), *([\d.]+).*\)", str(colour))
    if found:
        return "#" + "".join(f"{min(round(float(part)), 255):02x}" for part in found.groups())
    return str(colour)
