"""Turns a tiny diffusers folder into one file in Stable Diffusion's original layout, as people share bases."""

import re
from pathlib import Path

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def unet_name(name: str) -> str:
    for ours, theirs in UNET_ENDS.items():
        if name.startswith(ours + "."):
            return theirs + name.removeprefix(ours)
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        return f"middle_block.{place}.{_inner(found[1], found[3])}"
    found = re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", name)
    assert found, name
    side, level, kind, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if kind == "downsamplers":
        return f"input_blocks.{3 * (level + 1)}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        return f"output_blocks.{3 * level + 2}.{1 if level == 0 else 2}.{rest}"
    block = f"input_blocks.{3 * level + number + 1}" if side == "down" else f"output_blocks.{3 * level + number}"
    return f"{block}.{int(kind == 'attentions')}.{_inner(kind, rest)}"


def _inner(kind: str, rest: str) -> str:
    if kind == "attentions":
        return rest
    first, _, end = rest.partition(".")
    return f"{RESNET[first]}.{end}"


def vae_name(name: str) -> str:
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda found: f"up.{3 - int(found[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"up.{3 - int(found[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    for ours, theirs in ATTENTION.items():
        name = name.replace(f"mid_block.attentions.0.{ours}.", f"mid.attn_1.{theirs}.")
    return name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")


def write(folder: Path, target: Path) -> Path:
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in pipeline.unet.state_dict().items():
        tensors["model.diffusion_model." + unet_name(name)] = tensor
    for name, tensor in pipeline.vae.state_dict().items():
        in_attention = ".attn_1." in vae_name(name) and name.endswith("weight") and tensor.dim() == 2
        tensors["first_stage_model." + vae_name(name)] = tensor[:, :, None, None] if in_attention else tensor
    for name, tensor in pipeline.text_encoder.state_dict().items():
        name = name.removeprefix("text_model.")
        tensors["cond_stage_model.transformer.text_model." + name] = tensor
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, target)
    return target
