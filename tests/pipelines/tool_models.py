"""Stand-ins for the tools' weights: networks of the true layouts, small and random or with an outcome one can tell."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from studio.domain import Request, Task, WeightsMissing
from studio.pipelines.bases import Bases
from studio.pipelines.device import Device
from studio.pipelines.picture_files import Array
from studio.pipelines.weights import Catalogue, find
from studio.settings import Settings
from studio.tools import upload_field

COMPACT, PHOTO, DRAWING = "realesr-animevideov3", "realesrgan-x4plus", "realesrgan-x4plus-anime"


def repeating(channels: int = 4, convolutions: int = 2) -> dict[str, Tensor]:
    """The compact network with nothing learned: each pixel becomes sixteen like it."""
    return {name: tensor * 0 for name, tensor in compact(channels, convolutions).items()}


def compact(channels: int = 4, convolutions: int = 2) -> dict[str, Tensor]:
    """The compact network, random."""
    tensors: dict[str, Tensor] = {}
    random = torch.Generator().manual_seed(7)
    for layer in range(convolutions + 2):
        into = 3 if layer == 0 else channels
        out = 48 if layer == convolutions + 1 else channels
        tensors[f"body.{2 * layer}.weight"] = torch.randn((out, into, 3, 3), generator=random) / (into * 9) ** 0.5
        tensors[f"body.{2 * layer}.bias"] = torch.zeros(out)
        if layer <= convolutions:
            tensors[f"body.{2 * layer + 1}.weight"] = torch.full((channels,), 0.2)
    return tensors


def rrdbnet(blocks: int = 2, channels: int = 8, grown: int = 4) -> dict[str, Tensor]:
    """RRDBNet, random, with outcomes about the middle of the range."""
    random = torch.Generator().manual_seed(7)
    tensors: dict[str, Tensor] = {}

    def layer(name: str, into: int, out: int, bias: float = 0.0) -> None:
        tensors[f"{name}.weight"] = torch.randn((out, into, 3, 3), generator=random) / (into * 9) ** 0.5
        tensors[f"{name}.bias"] = torch.full((out,), bias)

    layer("conv_first", 3, channels)
    for block in range(blocks):
        for dense in (1, 2, 3):
            for place in range(5):
                name = f"body.{block}.rdb{dense}.conv{place + 1}"
                layer(name, channels + place * grown, channels if place == 4 else grown)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        layer(name, channels, channels)
    layer("conv_last", channels, 3, 0.5)
    return tensors


def models(folder: Path, files: Mapping[str, Mapping[str, Tensor]]) -> Bases:
    """The catalogue, with these tensors in place of the files of those ids, and all others missing."""
    catalogue = Catalogue.read()
    for name, tensors in files.items():
        path = folder / catalogue.weight(name).file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            save_file(dict(tensors), path)
        else:
            torch.save({"params": dict(tensors)}, path)
        catalogue = with_file(catalogue, name, path)
    return Bases((folder,), folder / "cache", catalogue)


def with_file(catalogue: Catalogue, name: str, path: Path) -> Catalogue:
    """The catalogue in which that file is the one it should be."""
    body = path.read_bytes()
    true = replace(catalogue.weight(name), sha256=hashlib.sha256(body).hexdigest(), bytes=len(body))
    weights = tuple(true if weight.id == name else weight for weight in catalogue.weights)
    return replace(catalogue, weights=weights)


def device(folder: Path, **settings: object) -> Device:
    return Device(Settings(data=folder / "data", device="cpu", **settings))  # type: ignore[arg-type]


def real_models(*names: str) -> Bases:
    """The models on this machine. Skips the test where one of those is not among them; in CI that is a failure."""
    settings = Settings.read({"STUDIO_DATA": "/nonexistent", **os.environ})
    bases = Bases.of(settings, os.environ)
    for name in names:
        try:
            find(bases.catalogue.weight(name), bases.folders, verify=False)
        except WeightsMissing as missing:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))
    return bases


def task(
    folder: Path, request: Request, files: Iterable[Path], *, done: Iterable[int] = (), behind: Path | None = None
) -> Task:
    folder.mkdir(exist_ok=True)
    inputs = {upload_field(index): path for index, path in enumerate(files)}
    if behind is not None:
        inputs["behind"] = behind
    return Task(job_id="job", request=request, folder=folder, done=frozenset(done), inputs=inputs)


def ids(count: int) -> tuple[str, ...]:
    return tuple(f"upload-{index}" for index in range(count))


def noise(height: int, width: int, dtype: type = np.uint8, channels: int = 3) -> Array:
    random = np.random.default_rng(7)
    return random.integers(0, np.iinfo(dtype).max, (height, width, channels), endpoint=True).astype(dtype)


def saved(path: Path, pixels: Array) -> Path:
    Image.fromarray(pixels).save(path)
    return path
