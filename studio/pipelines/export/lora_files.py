"""A tune alone, as a LoRA file: as diffusers names its parts, and as kohya's scripts do."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from studio.pipelines.export import about
from studio.pipelines.export.about import Source
from studio.pipelines.export.names import ORIGINALS, Blocks, clip_name, kohya_name
from studio.pipelines.export.tensors import Tick, save_safetensors

ADAPTER = "lora_adapter_metadata"  # diffusers' word for where an adapter's settings stand
NAME = re.compile(r"([^.]+)\.(.+)\.lora_([AB])\.weight")
DOWN_UP = {"A": "lora_down", "B": "lora_up"}


@dataclass(frozen=True, kw_only=True)
class Lora:
    """The tensors of a tune by the names they have in its file, and its adapters' settings by their network."""

    tensors: Mapping[str, torch.Tensor]
    settings: Mapping[str, Any]
    metadata: Mapping[str, str]

    @classmethod
    def read(cls, file: Path) -> "Lora":
        with safe_open(file, "pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dict
            metadata = dict(opened.metadata() or {})
        return cls(tensors=tensors, settings=json.loads(metadata.get(ADAPTER, "{}")), metadata=metadata)

    def alpha(self, part: str, layer: str, rank: int) -> float:
        """The number that a layer's weights are multiplied with, times its rank: the adapter's own, else the rank."""
        patterns: Mapping[str, float] = self.settings.get(f"{part}.alpha_pattern") or {}
        for pattern, alpha in patterns.items():
            if re.match(rf"(.*\.)?({pattern})$", layer):  # as peft reads them
                return float(alpha)
        return float(self.settings.get(f"{part}.lora_alpha", rank))


def write_diffusers(source: Source, path: Path, tick: Tick) -> None:
    """Raises OSError."""
    lora = Lora.read(source.file)
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in lora.tensors.items():
        part, layer, which = _parsed(name)
        path_in = clip_name(layer) if part in _texts(source) else layer
        tensors[f"{part}.{path_in}.lora_{which}.weight"] = tensor
    kept = {ADAPTER: lora.metadata[ADAPTER]} if ADAPTER in lora.metadata else {}
    save_safetensors(path, tensors, about.metadata(source, whole=False) | kept, tick)


def write_kohya(source: Source, path: Path, tick: Tick) -> None:
    """Each layer with the alpha of its own. Raises OSError."""
    assert source.base.family.original is not None  # the form is offered to no other family
    original = ORIGINALS[source.base.family.original]
    lora, blocks = Lora.read(source.file), Blocks.of(source.pipeline.unet.state_dict())
    tensors: dict[str, torch.Tensor] = {}
    rank, alpha = 0, 0.0
    for name, tensor in sorted(lora.tensors.items()):
        part, layer, which = _parsed(name)
        theirs = kohya_name(original, part, layer, blocks)
        tensors[f"{theirs}.{DOWN_UP[which]}.weight"] = tensor
        if which == "A":
            rank = tensor.shape[0]
            alpha = lora.alpha(part, layer, rank)
            tensors[f"{theirs}.alpha"] = torch.tensor(alpha)
    metadata = about.metadata(source, whole=False) | about.kohya_metadata(source, rank=rank, alpha=alpha)
    save_safetensors(path, tensors, metadata, tick)


def _texts(source: Source) -> tuple[str, ...]:
    training = source.base.family.training
    return training.text_encoders if training else ()


def _parsed(name: str) -> tuple[str, str, str]:
    """The network, the layer, and A or B."""
    found = NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} is no part of a tune")
    return found[1], found[2], found[3]
