"""The proof of an export: what diffusers reads out of the file is the tune, number by number and in its picture."""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch

from studio.domain import BrokenWeights, Cancelled, IsCancelled
from studio.pipelines.bases import Base
from studio.pipelines.export.tensors import bytes_of, check_ckpt

NEAR = 1 / 255  # how far a picture's numbers, of 0 to 1, may be apart
STEPS = 8
SIDE = 256  # pixels at most
SEED = 1

Sums = Mapping[str, bytes]
"""A digest of each tensor, by its network and name."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a tune in a pipeline: the sums of its own layers (none where they are in the weights already)
    and of all networks with them added in, and a picture (height, width, 3; numbers of 0 to 1)."""

    layers: Sums
    networks: Sums
    picture: numpy.ndarray[Any, numpy.dtype[Any]]


def digest(content: memoryview) -> bytes:
    return hashlib.sha256(content).digest()


def sums(tensors: Mapping[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: digest(bytes_of(tensor)) for name, tensor in tensors.items()}


def add_in(pipeline: Any, file: Path) -> dict[str, bytes]:
    """Reads a LoRA file and adds it into the weights, all with diffusers; returns the sums of what it has read: of each
    layer both tensors, and what they are multiplied with."""
    pipeline.load_lora_weights(file.parent, weight_name=file.name, local_files_only=True)
    found: dict[str, bytes] = {}
    for part, network in _networks(pipeline).items():
        for name, module in network.named_modules():
            for adapter, factor in (getattr(module, "scaling", None) or {}).items():
                key = f"{part}.{name}"
                found[f"{key}.factor"] = repr(round(float(factor), 6)).encode()
                for which in ("lora_A", "lora_B"):
                    found[f"{key}.{which}"] = digest(bytes_of(getattr(module, which)[adapter].weight))
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    return found


def of_networks(pipeline: Any) -> dict[str, bytes]:
    """The sums of every tensor of a pipeline."""
    return {
        f"{part}.{name}": summed
        for part, network in _networks(pipeline).items()
        for name, summed in sums(network.state_dict()).items()
    }


def draw(pipeline: Any, base: Base, prompt: str, is_cancelled: IsCancelled) -> numpy.ndarray[Any, numpy.dtype[Any]]:
    """A small picture of always the same seed, in few steps. Raises Cancelled."""

    def step(_pipeline: Any, _step: int, _time: Any, _values: dict[str, Any]) -> dict[str, Any]:
        if is_cancelled():
            raise Cancelled
        return {}

    side = min(base.family.native, SIDE)
    with torch.inference_mode():
        return pipeline(
            prompt=prompt,
            width=side,
            height=side,
            num_inference_steps=STEPS,
            guidance_scale=base.family.guidance + base.family.guidance_shift,
            generator=torch.Generator("cpu").manual_seed(SEED),
            output_type="np",
            callback_on_step_end=step,
            **base.family.text.extra,
        ).images[0]


def compare(own: Evidence, read: Evidence) -> None:
    """Raises BrokenWeights unless both are the same tune."""
    for what, ours, theirs in (("tune", own.layers, read.layers), ("model", own.networks, read.networks)):
        if ours.keys() != theirs.keys():
            odd = sorted(ours.keys() ^ theirs.keys())
            raise wrong(f"{len(odd)} parts of the {what} are not in it as they should be, {odd[0]} among them")
        if others := [name for name in ours if ours[name] != theirs[name]]:
            raise wrong(f"{len(others)} parts of the {what} are not the same, {others[0]} among them")
    apart = float(numpy.abs(own.picture - read.picture).max()) if own.picture.shape == read.picture.shape else 1.0
    if not apart <= NEAR:  # no number is near nothing
        raise wrong(f"its picture is {apart * 255:.1f} of 255 away from the tune's own")


def check_archive(path: Path, expected: Sums) -> None:
    """Raises BrokenWeights where an archive that `save_ckpt` wrote has anything else in it."""
    try:
        found = check_ckpt(path, expected, digest)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise wrong(str(error)) from error
    if found:
        raise wrong(found[0])


def wrong(why: str) -> BrokenWeights:
    """What is said of a file that is not the tune."""
    return BrokenWeights(f"The file was read back and is not the tune: {why}. It was thrown away.", field="format")


def _networks(pipeline: Any) -> dict[str, torch.nn.Module]:
    return {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
