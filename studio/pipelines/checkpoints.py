"""Single .safetensors files of base models: told apart by their header, and taken into the models folder.

Reads the header alone: a length, then JSON (https://huggingface.co/docs/safetensors). A pickle is never opened.
"""

import json
import os
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.domain import BrokenWeights, Conflict, Refused
from studio.paths import to_read
from studio.pipelines.disk import check_space, writing
from studio.pipelines.families import Family, recognise_width
from studio.pipelines.weights import sha256

LONGEST_HEADER = 100 << 20
CROSS_ATTENTION = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
CROSS_ATTENTION_XL = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight"
NEEDED = {
    "the text encoder": ("cond_stage_model.", "conditioner.embedders."),
    "the autoencoder": ("first_stage_model.",),
}
LORA_ENDS = (".lora_down.weight", ".lora_A.weight", ".lora.down.weight", ".lora_A.default.weight")
KNOWN = "a whole Stable Diffusion 1.x or XL model as one .safetensors file"


def read_header(path: Path) -> dict[str, Any]:
    """The tensors a file names, by name.

    Raises NotFound, StorageFailed (it cannot be read), Refused (no safetensors) and BrokenWeights (cut short).
    """
    path = to_read("file", path, allowed=KNOWN)
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(LONGEST_HEADER, size):
            raise Refused(f"{path.name} is no safetensors file; pickles are never opened.", field="file", allowed=KNOWN)
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            ends = [int(entry["data_offsets"][1]) for entry in header.values()]
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise Refused(f"{path.name} is no safetensors file.", field="file", allowed=KNOWN) from error
    if 8 + length + max(ends, default=0) != size:
        raise BrokenWeights(f"{path.name} is cut short or damaged: its length is not what its header says.")
    return header


def is_lora(header: Mapping[str, Any]) -> bool:
    """Whether a file's names are those of a LoRA."""
    return any(name.endswith(LORA_ENDS) for name in header)


def family_of_file(path: Path) -> Family:
    """The family of a base model in one file. Raises what `read_header` does, and Refused for any other model."""
    header = read_header(path)
    key = next((name for name in (CROSS_ATTENTION, CROSS_ATTENTION_XL) if name in header), None)
    if key is None:
        what = "a LoRA" if any("lora" in name for name in header) else "some other kind of file"
        raise Refused(f"{path.name} is no base model the studio knows, but {what}.", field="file", allowed=KNOWN)
    for part, prefixes in NEEDED.items():
        if not any(name.startswith(prefixes) for name in header):
            raise Refused(f"{path.name} lacks {part}.", field="file", allowed=KNOWN)
    width = int(header[key]["shape"][1])
    family = recognise_width(width)
    if family is None:
        raise Refused(
            f"{path.name} has a cross-attention {width} wide, which is no model the studio knows.",
            field="file",
            allowed=KNOWN,
        )
    return family


def add_file(path: Path, models: Path, *, overwrite: bool = False) -> Path:
    """Copies a base model into the models folder and notes its sha256 and family; it is then a base by its own name.

    Raises Refused, BrokenWeights, NotFound, Conflict (the name is taken) and StorageFailed.
    """
    # 1. Is it one?
    path = to_read("file", path, allowed=KNOWN)
    family = family_of_file(path)
    target = models / "bases" / f"{path.stem}.safetensors"
    if target.exists() and not overwrite:
        raise Conflict(f"There is a base {path.stem} already.", field="file", allowed="another name, or --overwrite")

    # 2. A whole copy under its name, or none.
    part = target.with_name(target.name + ".part")
    with writing(part):
        target.parent.mkdir(parents=True, exist_ok=True)
    check_space(target.parent, path.stat().st_size, path.stem)
    with writing(part):
        shutil.copyfile(path, part)
        note = {"family": family.id, "sha256": sha256(part), "from": path.name}
        target.with_suffix(".json").write_text(json.dumps(note, indent=1), encoding="utf-8")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    return target
