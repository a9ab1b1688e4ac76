"""The state of a training on the disk: one safetensors file, replaced in one piece."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

NAME = "checkpoint.safetensors"
BELONGS = "belongs"  # in the file's metadata: to which training it belongs


def save(folder: Path, state: Mapping[str, torch.Tensor], belongs: str) -> None:
    """Writes the state; a crash leaves the one before it. Raises OSError."""
    part = folder / f"{NAME}.part"
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, part, {BELONGS: belongs})
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(folder / NAME)


def read(folder: Path, belongs: str) -> dict[str, torch.Tensor] | None:
    """The state of this very training; None where there is none, or only another's or a damaged one."""
    try:
        with safe_open(folder / NAME, "pt") as file:
            if (file.metadata() or {}).get(BELONGS) != belongs:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError):
        return None
