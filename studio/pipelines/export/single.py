"""A whole model with a tune in it as one file, its parts named as in the original layout."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from studio.pipelines.export import about, proof
from studio.pipelines.export.about import Source
from studio.pipelines.export.names import ORIGINALS, Blocks, unet_name, vae_name
from studio.pipelines.export.tensors import Tick, save_ckpt, save_safetensors

ATTENTION = re.compile(r"(.*\.self_attn)\.([qkv])_proj\.(weight|bias)")


def tensors_of(pipeline: Any, original: str) -> dict[str, torch.Tensor]:
    """Every tensor of a pipeline under its original name, in that name's shape. Raises ValueError for what has none."""
    layout = ORIGINALS[original]
    found: dict[str, torch.Tensor] = {}
    # 1. The UNet.
    unet = pipeline.unet.state_dict()
    blocks = Blocks.of(unet)
    for name, tensor in unet.items():
        found[layout.unet + unet_name(name, blocks)] = tensor

    # 2. The autoencoder, whose attention was made of convolutions.
    levels = len(pipeline.vae.config.up_block_types)
    for name, tensor in pipeline.vae.state_dict().items():
        theirs = vae_name(name, levels)
        as_convolution = ".attn_1." in theirs and tensor.dim() == 2
        found[layout.vae + theirs] = tensor[:, :, None, None] if as_convolution else tensor

    # 3. The text encoders.
    for part, text in layout.texts.items():
        words = getattr(pipeline, part).state_dict()
        for name, tensor in (_fused(words) if text.fused else words).items():
            found[text.prefix + text.rename(name)] = tensor.T if name == "text_projection.weight" else tensor
    return {name: tensor.contiguous() for name, tensor in found.items()}


def write_safetensors(source: Source, path: Path, tick: Tick) -> None:
    """Raises OSError."""
    save_safetensors(path, _tensors(source), about.metadata(source, whole=True), tick)


def write_ckpt(source: Source, path: Path, tick: Tick) -> None:
    """Raises OSError."""
    save_ckpt(path, _tensors(source), about.metadata(source, whole=True), tick)


def twin(source: Source, path: Path, tick: Tick) -> Path:
    """A safetensors file with what is in a state dict. The studio opens no pickle, not even its own: of the archive the
    names and each tensor's bytes are compared with those of the twin, which is then read in its place.

    Raises BrokenWeights and OSError.
    """
    written = _tensors(source)
    proof.check_archive(path, proof.sums(written))
    tick()
    other = path.with_name("twin.safetensors")
    save_safetensors(other, written, about.metadata(source, whole=True), tick)
    return other


def _tensors(source: Source) -> dict[str, torch.Tensor]:
    assert source.base.family.original is not None  # the form is offered to no other family
    return tensors_of(source.pipeline, source.base.family.original)


def _fused(words: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Query, key and value of each layer as one tensor, as OpenCLIP has them."""
    found: dict[str, torch.Tensor] = {}
    for name, tensor in words.items():
        if (match := ATTENTION.fullmatch(name)) is None:
            found[name] = tensor
        elif match[2] == "q":
            parts = [words[f"{match[1]}.{one}_proj.{match[3]}"] for one in "qkv"]
            found[f"{match[1]}.in_proj_{match[3]}"] = torch.cat(parts)
    return found
