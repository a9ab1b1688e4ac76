"""What others made, checked before it is used: a LoRA, whichever program named its parts, or a whole base in one file.

Of a file the header is looked at first: its length, and that names, kinds and places of all tensors fit each other.
Then every part must be one that the base has, in that part's shape, and every number finite. Pickles are never opened.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from studio.domain import BrokenWeights, ImportedLora, Refused
from studio.pipelines.bases import Base
from studio.pipelines.checkpoints import LORA_ENDS, family_of_file, read_header
from studio.pipelines.export.names import ORIGINALS, Blocks, Original, clip_name, kohya_name, unet_name
from studio.pipelines.export.single import tensors_of
from studio.pipelines.layouts import LAYOUTS
from studio.pipelines.weights import sha256

BYTES: Mapping[str, int] = {
    **{"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1},
    **{"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1},
}
"""How long a number of each kind is."""
UP = (".lora_up.weight", ".lora_B.weight", ".lora.up.weight", ".lora_B.default.weight")
KNOWN = "a LoRA with the names of diffusers, kohya's scripts or ComfyUI"
MOST_RANK = 1024


def check_header(path: Path) -> dict[str, Any]:
    """The tensors a file names, each in a place of the right length and no two in the same.

    Raises what `read_header` does, and BrokenWeights.
    """
    header = read_header(path)
    place = 0
    for name, entry in sorted(header.items(), key=lambda one: one[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        length = BYTES.get(str(entry.get("dtype")))
        if length is None:
            raise BrokenWeights(f"{path.name} has numbers of an unknown kind in {name}.", field="file")
        if begin != place or end - begin != length * math.prod(entry["shape"]):
            raise BrokenWeights(f"{path.name} is damaged: {name} has not the length that its shape asks for.")
        place = end
    return header


def check_base(path: Path) -> None:
    """Raises what `family_of_file` and `check_header` do, Refused where a part is missing or has another shape, and
    BrokenWeights where a number is none."""
    family = family_of_file(path)
    header = check_header(path)
    assert family.original is not None  # it was told by its original names
    wanted = tensors_of(_described(family.text.name), family.original)
    for name, tensor in wanted.items():
        if name not in header:
            raise Refused(f"{path.name} lacks {name}: it is no whole {family.title}.", field="file")
        if list(tensor.shape) != header[name]["shape"]:
            shapes = f"{header[name]['shape']} instead of {list(tensor.shape)}"
            raise Refused(
                f"{path.name} is a variant that the studio does not draw with: {name} is {shapes}.", field="file"
            )
    _check_numbers(path, wanted)


def take_lora(path: Path, base: Base, target: Path) -> ImportedLora:
    """Writes a LoRA for that base to `target`, named as diffusers names its parts, its alphas in its weights.

    Raises what `check_header` does, Refused (no LoRA, or one of another base) and BrokenWeights (a number is none).
    """
    # 1. Which layer is each part of?
    header = check_header(path)
    layers = dict(_layers(base))
    parts: dict[str, dict[str, str]] = {}
    for name in header:
        stem, which = _split(path, name)
        if stem not in layers:
            raise Refused(
                f"{path.name} is no LoRA for {base.id}, which has no part {stem}.", field="file", allowed=KNOWN
            )
        parts.setdefault(stem, {})[which] = name
    if not parts:
        raise Refused(f"{path.name} is no LoRA.", field="file", allowed=KNOWN)
    _check_numbers(path, header)

    # 2. Each with the shape of its layer.
    found: dict[str, torch.Tensor] = {}
    most = 0
    with safe_open(path, "pt") as file:
        told = dict(file.metadata() or {})
        for stem, named in parts.items():
            layer = layers[stem]
            if not {"down", "up"} <= named.keys():
                raise Refused(f"{path.name} has only a half of {stem}.", field="file", allowed=KNOWN)
            down, up = (file.get_tensor(named[which]).float() for which in ("down", "up"))
            rank = down.shape[0]
            if not layer.fits(down, up) or not 1 <= rank <= MOST_RANK:
                shapes = f"{list(down.shape)} and {list(up.shape)}"
                raise Refused(f"{path.name} is no LoRA for {base.id}: {stem} is {shapes}.", field="file", allowed=KNOWN)
            alpha = float(file.get_tensor(named["alpha"])) if "alpha" in named else _alpha(told, layer, rank)
            found[f"{layer.part}.{layer.path}.lora_A.weight"] = down.contiguous()
            found[f"{layer.part}.{layer.path}.lora_B.weight"] = (up * (alpha / rank)).contiguous()
            most = max(most, rank)
    if not any(bool(tensor.any()) for name, tensor in found.items() if "lora_B" in name):
        raise BrokenWeights(f"{path.name} changes nothing: all its numbers are zero.", field="file")

    # 3. As a tune.
    save_file(found, target, {"format": "pt"})
    return ImportedLora(
        words=_words(told),
        title=str(told.get("modelspec.title") or told.get("ss_output_name") or path.stem),
        layers=len(parts),
        rank=most,
        sha256=sha256(path),
    )


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of a network that a LoRA may change, by how diffusers calls both."""

    part: str
    path: str
    shape: tuple[int, ...]

    def fits(self, down: torch.Tensor, up: torch.Tensor) -> bool:
        """Whether what comes in and goes out is what the layer takes and gives. Convolutions of one pixel may be
        products, and the other way round."""
        ones = (1,) * (down.dim() - 2)
        same = down.shape[1:] == self.shape[1:] or (down.shape[1] == self.shape[1] and down.shape[2:] == ones == ())
        return (
            down.dim() == up.dim() == len(self.shape)
            and same
            and up.shape[:2] == (self.shape[0], down.shape[0])
            and all(side == 1 for side in up.shape[2:])
        )


def _layers(base: Base) -> Iterator[tuple[str, Layer]]:
    """Every layer of a base by each name that some program gives it."""
    pipeline = _described_by(base)
    row = base.family
    original = ORIGINALS[row.original] if row.original else None
    texts = row.training.text_encoders if row.training else ()
    blocks = Blocks.of(pipeline.unet.state_dict()) if original else None
    for part in (row.denoiser, *texts):
        for path, module in getattr(pipeline, part).named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                layer = Layer(part=part, path=path, shape=tuple(module.weight.shape))
                for name in _names(part, path, is_text=part in texts, original=original, blocks=blocks):
                    yield name, layer


def _names(part: str, path: str, *, is_text: bool, original: Original | None, blocks: Blocks | None) -> Iterator[str]:
    """diffusers' name, with and without `text_model.`; kohya's, and for a UNet both kinds of it; ComfyUI's."""
    yield f"{part}.{path}"
    if is_text:
        yield f"{part}.{clip_name(path)}"
        yield f"{part}.{path.removeprefix('text_model.')}"
    if original is None or blocks is None:
        return
    yield kohya_name(original, part, path, blocks)
    if is_text:
        yield COMFY_TEXTS[part] + clip_name(path)
    else:
        theirs = unet_name(f"{path}.", blocks).removesuffix(".")
        yield f"lora_unet_{path}".replace(".", "_")
        yield f"lora_unet_{theirs}".replace(".", "_")
        yield f"diffusion_model.{theirs}"


COMFY_TEXTS: Mapping[str, str] = {
    "text_encoder": "text_encoders.clip_l.transformer.",
    "text_encoder_2": "text_encoders.clip_g.transformer.",
}


def _split(path: Path, name: str) -> tuple[str, str]:
    for which, ends in (("down", LORA_ENDS), ("up", UP), ("alpha", (".alpha",))):
        for end in ends:
            if name.endswith(end):
                return name.removesuffix(end), which
    raise Refused(f"{path.name} is no LoRA the studio knows: it has {name}.", field="file", allowed=KNOWN)


def _alpha(told: Mapping[str, str], layer: Layer, rank: int) -> float:
    """What diffusers notes of an adapter; where nobody says, the rank."""
    try:
        return float(json.loads(told.get("lora_adapter_metadata", "{}")).get(f"{layer.part}.lora_alpha", rank))
    except (ValueError, AttributeError, TypeError):
        return float(rank)


def _words(told: Mapping[str, str]) -> str:
    """The words that call it, as its file says: the ModelSpec's, else the tag that most of its photos had."""
    if told.get("modelspec.trigger_phrase"):
        return told["modelspec.trigger_phrase"]
    try:
        folders = json.loads(told.get("ss_tag_frequency", "{}")).values()
        counted = {str(tag): int(count) for folder in folders for tag, count in folder.items()}
    except (ValueError, AttributeError, TypeError):
        return ""
    return max(counted, key=lambda tag: counted[tag], default="").strip()


def _check_numbers(path: Path, names: Mapping[str, Any]) -> None:
    with safe_open(path, "pt") as file:
        for name in names:
            tensor = file.get_tensor(name)
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
                raise BrokenWeights(f"{path.name} has numbers that are none (NaN or infinite) in {name}.", field="file")


class Described:
    """A pipeline's networks as they are built, without numbers."""

    unet: Any


def _described(pipeline: str) -> Described:
    """The networks of a published layout."""
    made = Described()
    for part, (library, made_by, configuration) in LAYOUTS[pipeline].items():
        _build(made, part, library, made_by, dict(configuration))
    return made


def _described_by(base: Base) -> Described:
    """The networks of a base, by its own configuration."""
    if base.single:
        return _described(base.family.text.name)
    made = Described()
    index: dict[str, Any] = json.loads((base.path / "model_index.json").read_text(encoding="utf-8"))
    for part, told in index.items():
        config = base.path / part / "config.json"
        if isinstance(told, list) and told[0] in LIBRARIES and config.is_file():
            _build(made, part, told[0], told[1], json.loads(config.read_text(encoding="utf-8")))
    return made


LIBRARIES: Mapping[str, Any] = {"diffusers": diffusers, "transformers": transformers}


def _build(made: Described, part: str, library: str, made_by: str, configuration: dict[str, Any]) -> None:
    kind: Any = getattr(LIBRARIES[library], made_by)
    is_network = isinstance(kind, type) and nn.Module in kind.__mro__
    if not is_network:
        return
    with torch.device("meta"):
        if library == "diffusers":
            network = kind.from_config(configuration)
        else:
            network = kind(kind.config_class(**configuration))
    setattr(made, part, network)
