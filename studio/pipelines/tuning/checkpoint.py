"""The state of a training on the disk: safetensors files, each replaced in one piece."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

NAME = "checkpoint.safetensors"
BELONGS = "belongs"  # in the file's metadata: to which training it belongs


def save(folder: Path, state: Mapping[str, torch.Tensor], belongs: str, *, name: str = NAME) -> None:
    """Writes the state; a crash leaves the one before it. Raises OSError."""
    part = folder / f"{name}.part"
    save_file({key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}, part, {BELONGS: belongs})
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(folder / name)


def read(folder: Path, belongs: str, *, name: str = NAME) -> dict[str, torch.Tensor] | None:
    """The state of this very training; None where there is none, or only another's or a damaged one."""
    try:
        with safe_open(folder / name, "pt") as file:
            if (file.metadata() or {}).get(BELONGS) != belongs:
                return None
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError):
        return None
