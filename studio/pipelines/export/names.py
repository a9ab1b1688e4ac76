"""How the parts of a model are called in the layout it was first published in, by how diffusers calls them. No torch.

The layouts are those of the original code of Stable Diffusion 1.x (CompVis/stable-diffusion) and XL
(Stability-AI/generative-models): blocks of the UNet are counted through from its beginning, those of the decoder from
its end. A LoRA in kohya's form (kohya-ss/sd-scripts) has one name for each layer: a prefix for the network, and the
layer's path with underscores for dots; in the UNet of SD 1.x that is diffusers' path, in that of XL the original one.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Rename = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """What of a UNet's build its original names hang on: how many layers each of its blocks on the way down has, and
    which of its blocks on the way up have attention."""

    layers: int
    attended: frozenset[int]

    @classmethod
    def of(cls, names: Iterable[str]) -> "Blocks":
        """Read off the names of a UNet's tensors, as diffusers has them."""
        found = list(names)
        layers = {int(one[1]) for name in found if (one := re.match(r"down_blocks\.0\.resnets\.(\d+)\.", name))}
        attended = {int(one[1]) for name in found if (one := re.match(r"up_blocks\.(\d+)\.attentions\.", name))}
        return cls(layers=max(layers) + 1, attended=frozenset(attended))


UNET_ENDS: Mapping[str, str] = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
RESNET: Mapping[str, str] = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_ATTENTION: Mapping[str, str] = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
VAE_LAYERS: Mapping[str, str] = {"conv_norm_out": "norm_out", "conv_shortcut": "nin_shortcut"}
BIG_CLIP: Mapping[str, str] = {
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.final_layer_norm.": "ln_final.",
    "text_projection.weight": "text_projection",
    "text_model.encoder.layers.": "transformer.resblocks.",
    ".self_attn.": ".attn.",
    ".layer_norm1.": ".ln_1.",
    ".layer_norm2.": ".ln_2.",
    ".mlp.fc1.": ".mlp.c_fc.",
    ".mlp.fc2.": ".mlp.c_proj.",
}
"""What OpenCLIP, of which the second text encoder of XL was taken, calls otherwise. (Query, key and value of a layer
are one tensor there: see `single`.)"""


def unet_name(name: str, blocks: Blocks) -> str:
    """The original path of a UNet's layer or tensor. Raises ValueError for what no such UNet has."""
    for ours, theirs in UNET_ENDS.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", name):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        return f"middle_block.{place}.{_inner(found[1], found[3])}"
    found = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
    if found is None:
        raise ValueError(f"{name} is in no UNet of these layouts")
    side, kind, rest = found[1], found[3], found[5]
    level, number = int(found[2]), int(found[4])
    every = blocks.layers + 1
    # On the way down a block's last place is its downsampler's, after the very first, which is the input's; on the way
    # up each block has one layer more, and its upsampler stands in the last one's place.
    if kind == "downsamplers":
        return f"input_blocks.{every * (level + 1)}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        return f"output_blocks.{every * level + blocks.layers}.{2 if level in blocks.attended else 1}.{rest}"
    place = (
        f"input_blocks.{1 + every * level + number}" if side == "down" else f"output_blocks.{every * level + number}"
    )
    return f"{place}.{int(kind == 'attentions')}.{_inner(kind, rest)}"


def vae_name(name: str, levels: int) -> str:
    """The original path of an autoencoder's tensor; `levels` is how many blocks its decoder has."""
    name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda found: f"up.{levels - 1 - int(found[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda found: f"up.{levels - 1 - int(found[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d+)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    for ours, theirs in VAE_ATTENTION.items():
        name = name.replace(f"mid_block.attentions.0.{ours}.", f"mid.attn_1.{theirs}.")
    for ours, theirs in VAE_LAYERS.items():
        name = name.replace(f"{ours}.", f"{theirs}.")
    return name


def clip_name(name: str) -> str:
    """A text encoder's path with `text_model.`, which transformers leaves out since 5.6 and everybody else expects."""
    return name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}"


def big_clip_name(name: str) -> str:
    """OpenCLIP's name of a tensor of the second text encoder of XL."""
    name = clip_name(name)
    for ours, theirs in BIG_CLIP.items():
        name = name.replace(ours, theirs)
    return name


def _inner(kind: str, rest: str) -> str:
    if kind == "attentions":
        return rest
    first, _, end = rest.partition(".")
    return f"{RESNET[first]}.{end}"


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text encoder in the original layout: before its names stands `prefix`, and `rename` makes them. `fused`: query,
    key and value of a layer are one tensor. `kohya` is its prefix in a LoRA."""

    prefix: str
    rename: Rename
    fused: bool = False
    kohya: str


@dataclass(frozen=True, kw_only=True)
class Original:
    """A layout. `texts` are its text encoders by their names in the pipeline; `original_lora` says that a LoRA in
    kohya's form has the UNet's original paths. `version` and `architecture` are what kohya's scripts and the
    ModelSpec (https://github.com/Stability-AI/ModelSpec) call the model in a file's metadata."""

    texts: Mapping[str, Text]
    unet: str = "model.diffusion_model."
    vae: str = "first_stage_model."
    original_lora: bool
    version: str
    architecture: str


CLIP_L_IN_XL = "conditioner.embedders.0.transformer."
CLIP_G_IN_XL = "conditioner.embedders.1.model."

ORIGINALS: Mapping[str, Original] = {
    "sd": Original(
        texts={"text_encoder": Text(prefix="cond_stage_model.transformer.", rename=clip_name, kohya="lora_te")},
        original_lora=False,
        version="sd_v1",
        architecture="stable-diffusion-v1",
    ),
    "sdxl": Original(
        texts={
            "text_encoder": Text(prefix=CLIP_L_IN_XL, rename=clip_name, kohya="lora_te1"),
            "text_encoder_2": Text(prefix=CLIP_G_IN_XL, rename=big_clip_name, fused=True, kohya="lora_te2"),
        },
        original_lora=True,
        version="sdxl_base_v1-0",
        architecture="stable-diffusion-xl-v1-base",
    ),
}
"""By what a family's row names."""


def kohya_name(original: Original, part: str, layer: str, blocks: Blocks) -> str:
    """The name of a layer of a LoRA in kohya's form. `part` is the network's name in the pipeline."""
    if part in original.texts:
        prefix, path = original.texts[part].kohya, clip_name(layer)
    else:
        # The path is made of what is in the layer, so that its own name is one too.
        path = unet_name(f"{layer}.", blocks).removesuffix(".") if original.original_lora else layer
        prefix = "lora_unet"
    return f"{prefix}_{path}".replace(".", "_")
