"""The table of families: everything in which one architecture differs from another. No torch here.

Whoever draws, trains or exports reads a row and never asks which family it is. What a family does its own way is named
as a function in `conditioning` or `latents`; what it has not got is None or empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
class Training:
    """How a tune of a family is trained, unless the request says otherwise.

    `recipe` is `module:class` in `studio.pipelines.tuning`. `targets` and `text_targets` are the layers of the
    denoiser and of the text encoders that get LoRA, as a pattern of their names, `text_still` those of them that
    change nothing and are in the file because diffusers tells kohya's form by them; `text_encoders` are trained
    where `text` is true. `rate` is the learning rate, `rates` what other networks than the denoiser have instead. A
    step takes `batch` photos, `class_batch` of the `class_pictures` and `lesson_batch` lessons (`tuning.lessons`).
    `prompt` goes with every photo; `class_prompts`, taken in turn, with the base's own pictures of the class. `traits`
    are the words that the base is known to have for a face, of each group one; with an empty one, none unless another
    is surely better. `bytes_a_pixel` is what the denoiser
    keeps of one pixel of one example for the way back, in two-byte numbers: all of it, and with gradient
    checkpointing.
    """

    recipe: str
    targets: str
    text_targets: str = ""
    text_still: str = ""
    text_encoders: tuple[str, ...] = ()
    text: bool = False
    rank: int = 16
    rate: float
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    steps: int
    batch: int
    class_batch: int
    class_pictures: int
    lesson_batch: int = 0
    traits: tuple[tuple[str, ...], ...] = ()
    prompt: str = "a photo of {subject}"
    class_prompts: tuple[str, ...] = ("a photo of {subject}",)
    bytes_a_pixel: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Family:
    """An architecture.

    `native` is the side in pixels of the square it learnt on; sizes from `least_area` to `most_area` times that square
    are drawn as asked, others in the same shape at the native area and then resized. Sides drawn are multiples of
    `multiple`. `guidance` is the default; where `guided` is False the base takes none and `guidance` is what it needs;
    `guidance_shift` is added on the way to diffusers (its Z-Image counts from 0, all others from 1).
    `eights` are by class the styles that a new tune's avatars are made in where nobody chose others.
    `wide` are the parts that keep the latents' precision where the denoiser computes in less: the decoder, and text
    encoders whose dtype the pipeline hands on to the latents. `training` is how a tune is trained on it, None where it
    only draws; `draws_tunes_of` the family whose tunes it draws as well as its own. `original` names the layout that
    its model was first published in, which other programs read (`export.names`), None where there is no other.
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
    training: Training | None
    draws_tunes_of: str | None = None
    original: str | None = None
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

    def draws(self, trained: str) -> bool:
        """Whether its bases draw the tunes that were trained on bases of that family."""
        return trained in (self.id, self.draws_tunes_of)


STARTER_HAIR = ("black", "brown", "blonde", "red", "gray", "pink", "blue", "green")
STARTER_TRAITS = (
    tuple(f"{length} {colour} hair" for colour in STARTER_HAIR for length in ("short", "long")),
    ("light skin", "tan skin", "brown skin", "dark skin"),
    ("", "glasses"),
    ("", "a beard"),
)
STARTER_STYLES = ("flat cartoon", "storybook", "toon", "comic", "minimal vector", "pixel art")
CLIP_ATTENTION = r".*\.(q_proj|k_proj|v_proj|out_proj)"
CLIP_FIRST_WORDS = r".*\.layers\.0\..*(q_proj|out_proj|fc1|fc2)"
CLIP_FIRST_OUT = r".*\.layers\.0\..*out_proj"
WORDS_READ = r".*attn2\.(to_k|to_v)"
UNET_TRAINING = Training(
    recipe="diffusion:Diffusion",
    targets=r".*\.(to_q|to_k|to_v|to_out\.0|ff\.net\.0\.proj|ff\.net\.2)",
    text_targets=CLIP_ATTENTION,
    text_encoders=("text_encoder",),
    rate=1e-4,
    steps=1_200,
    batch=2,
    class_batch=1,
    class_pictures=64,
    bytes_a_pixel=(20_000, 4_000),
)
FLOW_TRAINING = Training(
    recipe="flow:Flow",
    # Of klein's single blocks the attention's output has no number behind it.
    targets=r".*\.(to_q|to_k|to_v|to_out\.0|to_qkv_mlp_proj)|single_transformer_blocks\.\d+\.attn\.to_out",
    rate=1e-4,
    steps=1_000,
    batch=1,
    class_batch=0,
    class_pictures=0,
    bytes_a_pixel=(26_000, 3_000),
)
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
            training=replace(
                UNET_TRAINING,
                text=True,
                # Learnt in each word by itself, where it is first read, and where the denoiser reads words (as in
                # Kumari et al., 2022, https://arxiv.org/abs/2212.04488), a sitter becomes a word like others. Learnt
                # where words look at one another (out_proj) or in all of the denoiser, he is tied to the style of his
                # photos. Lessons make him himself in every art style.
                targets=WORDS_READ,
                text_targets=CLIP_FIRST_WORDS,
                text_still=CLIP_FIRST_OUT,
                rate=1e-4,
                rates={"text_encoder": 1e-2},
                steps=300,
                batch=4,
                class_batch=2,
                class_pictures=24,
                lesson_batch=2,
                traits=STARTER_TRAITS,
                prompt="portrait of {subject}",
                class_prompts=tuple(f"portrait of {{subject}}, {style} style" for style in STARTER_STYLES),
                bytes_a_pixel=(6_000, 1_500),
            ),
            original="sd",
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
            training=UNET_TRAINING,
            original="sd",
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
            training=None,  # its few steps are distilled
            draws_tunes_of="sd",
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
            training=replace(
                UNET_TRAINING, text_encoders=("text_encoder", "text_encoder_2"), batch=1, bytes_a_pixel=(18_000, 4_000)
            ),
            original="sdxl",
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
            training=None,  # its few steps are distilled
            draws_tunes_of="klein-base",
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
            training=FLOW_TRAINING,
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
            training=FLOW_TRAINING,
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
            training=None,  # its few steps are distilled
            draws_tunes_of="z-image",
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
