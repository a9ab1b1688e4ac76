"""The table of families: everything in which one architecture differs from another. No torch here.

Whoever draws, trains or exports reads a row and never asks which family it is. What a family does its own way is named
as a function in `conditioning` or `latents`; what it has not got is None or empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studio.domain import Refused
from studio.rules import shown
from studio.styles.eights import DRAWN, GENERAL, Eights

SCHEDULERS: Mapping[str, str] = {
    "dpmpp-2m": "DPM++ 2M",
    "euler-a": "Euler a",
    "ddim": "DDIM",
    "unipc": "UniPC",
    "lcm": "LCM",
    "flow-euler": "Euler (flow)",
}
"""Every scheduler's id and the name it has elsewhere (AUTOMATIC1111's, where it has one)."""


@dataclass(frozen=True, kw_only=True)
class Pipe:
    """A diffusers pipeline class by name, and what its call is given besides what every call is."""

    name: str
    extra: Mapping[str, object] = field(default_factory=dict[str, object])
    whole_mask: bool = False  # without a mask of the asker's it is given a white one


@dataclass(frozen=True, kw_only=True)
class Family:
    """An architecture.

    `native` is the side in pixels of the square it learnt on; sizes from `least_area` to `most_area` times that square
    are drawn as asked, others in the same shape at the native area and then resized. Sides drawn are multiples of
    `multiple`. `guidance` is the default; where `guided` is False the base takes none and `guidance` is what it needs;
    `guidance_shift` is added on the way to diffusers (its Z-Image counts from 0, all others from 1).
    `eights` are by class the styles that a new tune's avatars are made in where nobody chose others.
    `wide` are the parts that keep the latents' precision where the denoiser computes in less: the decoder, and text
    encoders whose dtype the pipeline hands on to the latents. `lora_targets` are the layers a tune trains; `recipe` the
    module of its training.
    """

    id: str
    title: str
    licence: str
    text: Pipe
    init: Pipe | None
    mask: Pipe | None
    denoiser: str
    wide: tuple[str, ...]
    conditioning: str
    latents: str
    native: int
    least_area: float
    most_area: float
    multiple: int
    schedulers: tuple[str, ...]
    karras: bool
    guidance: float
    steps: int
    strength: float = 0.6
    guided: bool = True
    guidance_shift: float = 0.0
    negative: bool = True
    eights: Eights = field(default_factory=lambda: GENERAL)
    lora_targets: tuple[str, ...]
    recipe: str
    signature: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def scheduler(self, asked: str | None) -> str:
        """The scheduler to use: the first of the row's, or the one asked for. Raises Refused naming the allowed."""
        if asked is None:
            return self.schedulers[0]
        if asked not in self.schedulers:
            allowed = ", ".join(self.schedulers)
            raise Refused(
                f"{self.title} cannot be drawn with the scheduler {shown(asked)}; it takes {allowed}.",
                field="scheduler",
                allowed=allowed,
            )
        return asked


UNET_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
SD = {"text": "StableDiffusionPipeline", "init": "StableDiffusionImg2ImgPipeline"}
SD_INPAINT = "StableDiffusionInpaintPipeline"
XL = "StableDiffusionXLPipeline"

FAMILIES: Mapping[str, Family] = {
    row.id: row
    for row in (
        Family(
            id="starter",
            title="the starter",
            licence="Apache-2.0",
            # Zero terminal SNR overexposes without rescaling (https://arxiv.org/abs/2305.08891, 3.4).
            text=Pipe(name=SD["text"], extra={"guidance_rescale": 0.7}),
            init=Pipe(name=SD["init"]),
            mask=Pipe(name=SD_INPAINT),
            denoiser="unet",
            wide=("vae", "text_encoder"),
            conditioning="clip",
            latents="plain",
            native=128,
            least_area=1.0,
            most_area=1.0,
            multiple=8,
            schedulers=("ddim", "dpmpp-2m", "euler-a", "unipc"),
            karras=False,  # half of its steps would fall where nothing is left to do
            guidance=3.0,
            steps=25,
            eights=DRAWN,
            lora_targets=UNET_ATTENTION,
            recipe="tune_sd",
        ),
        Family(
            id="sd",
            title="Stable Diffusion 1.x",
            licence="CreativeML OpenRAIL-M",
            text=Pipe(name=SD["text"]),
            init=Pipe(name=SD["init"]),
            mask=Pipe(name=SD_INPAINT),
            denoiser="unet",
            wide=("vae", "text_encoder"),
            conditioning="clip",
            latents="plain",
            native=512,
            least_area=0.5,
            most_area=1.75,  # above it grows a second head
            multiple=8,
            schedulers=("dpmpp-2m", "euler-a", "ddim", "unipc"),
            karras=True,
            guidance=7.0,
            steps=25,
            lora_targets=UNET_ATTENTION,
            recipe="tune_sd",
            signature={"pipeline": SD["text"], "cross_attention": 768},
        ),
        Family(
            id="lcm",
            title="Stable Diffusion 1.x with LCM weights",
            licence="its author's",
            text=Pipe(name=SD["text"]),
            init=Pipe(name=SD["init"]),
            mask=Pipe(name=SD_INPAINT),
            denoiser="unet",
            wide=("vae", "text_encoder"),
            conditioning="clip",
            latents="plain",
            native=512,
            least_area=0.5,
            most_area=1.75,
            multiple=8,
            schedulers=("lcm",),
            karras=False,
            guidance=8.5,
            steps=4,
            negative=False,
            lora_targets=UNET_ATTENTION,
            recipe="tune_sd",
            signature={"pipeline": "LatentConsistencyModelPipeline"},
        ),
        Family(
            id="sdxl",
            title="Stable Diffusion XL",
            licence="CreativeML OpenRAIL++-M",
            text=Pipe(name=XL),
            init=Pipe(name="StableDiffusionXLImg2ImgPipeline"),
            mask=Pipe(name="StableDiffusionXLInpaintPipeline"),
            denoiser="unet",
            wide=("vae", "text_encoder", "text_encoder_2"),
            conditioning="clip_pair",
            latents="plain",
            native=1024,
            least_area=0.4,
            most_area=1.2,
            multiple=8,
            schedulers=("dpmpp-2m", "euler-a", "ddim", "unipc"),
            karras=True,
            guidance=6.0,
            steps=30,
            lora_targets=UNET_ATTENTION,
            recipe="tune_sd",
            signature={"pipeline": XL, "cross_attention": 2048},
        ),
        Family(
            id="klein",
            title="FLUX.2 klein",
            licence="Apache-2.0",
            text=Pipe(name="Flux2KleinPipeline"),
            init=Pipe(name="Flux2KleinInpaintPipeline", whole_mask=True),
            mask=Pipe(name="Flux2KleinInpaintPipeline"),
            denoiser="transformer",
            wide=("vae",),
            conditioning="klein",
            latents="packed",
            native=1024,
            least_area=0.05,
            most_area=1.2,
            multiple=16,
            schedulers=("flow-euler",),
            karras=False,
            guidance=1.0,
            guided=False,  # distilled
            steps=4,
            strength=0.8,
            negative=False,
            lora_targets=UNET_ATTENTION,
            recipe="tune_flow",
            signature={"pipeline": "Flux2KleinPipeline", "distilled": True},
        ),
        Family(
            id="klein-base",
            title="FLUX.2 klein Base",
            licence="Apache-2.0",
            text=Pipe(name="Flux2KleinPipeline"),
            init=Pipe(name="Flux2KleinInpaintPipeline", whole_mask=True),
            mask=Pipe(name="Flux2KleinInpaintPipeline"),
            denoiser="transformer",
            wide=("vae",),
            conditioning="klein",
            latents="packed",
            native=1024,
            least_area=0.05,
            most_area=1.2,
            multiple=16,
            schedulers=("flow-euler",),
            karras=False,
            guidance=4.0,
            steps=50,
            strength=0.8,
            lora_targets=UNET_ATTENTION,
            recipe="tune_flow",
            signature={"pipeline": "Flux2KleinPipeline", "distilled": False},
        ),
        Family(
            id="z-image",
            title="Z-Image",
            licence="Apache-2.0",
            text=Pipe(name="ZImagePipeline"),
            init=Pipe(name="ZImageImg2ImgPipeline"),
            mask=Pipe(name="ZImageInpaintPipeline"),
            denoiser="transformer",
            wide=("vae",),
            conditioning="z_image",
            latents="plain",
            native=1024,
            least_area=0.05,
            most_area=1.2,
            multiple=16,
            schedulers=("flow-euler",),
            karras=False,
            guidance=5.0,
            guidance_shift=-1.0,
            steps=30,
            lora_targets=UNET_ATTENTION,
            recipe="tune_flow",
            signature={"pipeline": "ZImagePipeline"},
        ),
        Family(
            id="z-image-turbo",
            title="Z-Image-Turbo",
            licence="Apache-2.0",
            text=Pipe(name="ZImagePipeline"),
            init=Pipe(name="ZImageImg2ImgPipeline"),
            mask=Pipe(name="ZImageInpaintPipeline"),
            denoiser="transformer",
            wide=("vae",),
            conditioning="z_image",
            latents="plain",
            native=1024,
            least_area=0.05,
            most_area=1.2,
            multiple=16,
            schedulers=("flow-euler",),
            karras=False,
            guidance=1.0,
            guidance_shift=-1.0,
            guided=False,  # distilled
            steps=8,
            negative=False,
            lora_targets=UNET_ATTENTION,
            recipe="tune_flow",
        ),
    )
}


def recognise(pipeline: str, *, distilled: bool = False) -> Family | None:
    """The family of a diffusers folder by its model_index.json: the class it names, and whether it is distilled."""
    for row in FAMILIES.values():
        if row.signature.get("pipeline") == pipeline and row.signature.get("distilled", distilled) == distilled:
            return row
    return None


def recognise_width(cross_attention: int) -> Family | None:
    """The family of a single file in Stable Diffusion's original layout, by the width of its cross-attention."""
    for row in FAMILIES.values():
        if row.signature.get("cross_attention") == cross_attention:
            return row
    return None
