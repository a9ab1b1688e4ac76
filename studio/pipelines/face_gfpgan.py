"""Faces made anew by GFPGAN: found and cut upright by facexlib's detector, put back along its parsing of the face.

Only networks are taken from the packages gfpgan and facexlib: their own helpers fetch files when they are made.
Sources: Wang et al. 2021, https://arxiv.org/abs/2101.04061; RetinaFace, https://arxiv.org/abs/1905.00641. Template and
mask are those of facexlib's FaceRestoreHelper, for which GFPGAN was trained.
"""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from studio.domain import BrokenWeights
from studio.pipelines.bases import Bases
from studio.pipelines.batches import Advance
from studio.pipelines.compat import provide_functional_tensor
from studio.pipelines.device import Device
from studio.pipelines.faces import Box
from studio.pipelines.patches import Patch
from studio.pipelines.weights import find

SIDE = 512  # pixels of the upright face the networks work on
TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""Where eyes, nose and corners of the mouth lie on it (FFHQ's alignment)."""
SURE = 0.97  # of a detection
LEAST_EYES = 5  # pixels between the eyes
MOST_SEEN = 1600  # pixels of the longer side at which faces are looked for
NOT_FACE = (0, 14, 16, 17, 18)  # of the parsing's 19 classes: background, neck, cloth, hair, hat
BLUR, BORDER = (101, 11), 10

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Gfpgan:
    """The three networks, on a device."""

    detector: Any
    restorer: nn.Module
    parser: nn.Module
    device: torch.device

    def patches(self, rgb: Array, advance: Advance) -> Iterator[Patch]:
        """Each face of an (height, width, 3) uint8 picture, made anew, where it belongs. `advance` is told before each
        how many are done."""
        found = self.faces(rgb)
        for index, (box, marks) in enumerate(found):
            advance(index / len(found))
            yield self.patch(rgb, box, marks)

    def faces(self, rgb: Array) -> list[tuple[Box, Array]]:
        """Where faces are, with their five landmarks, (5, 2) in pixels."""
        scale = min(MOST_SEEN / max(rgb.shape[:2]), 1.0)
        seen = rgb if scale == 1 else cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            found = self.detector.detect_faces(np.ascontiguousarray(seen[..., ::-1]), SURE)
        faces: list[tuple[Box, Array]] = []
        for row in np.asarray(found, np.float64).reshape(-1, 15):
            left, top, right, bottom = (round(edge / scale) for edge in row[:4])
            marks = (row[5:] / scale).reshape(5, 2)
            if np.hypot(*(marks[0] - marks[1])) >= LEAST_EYES:
                faces.append((Box(left=left, top=top, width=right - left, height=bottom - top), marks))
        return faces

    def patch(self, rgb: Array, box: Box, marks: Array) -> Patch:
        """The face with those landmarks, made anew."""
        # 1. Upright, at the size the networks know.
        to_face = cv2.estimateAffinePartial2D(marks, TEMPLATE, method=cv2.LMEDS)[0]
        upright = cv2.warpAffine(rgb, to_face, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)

        # 2. Made anew, and what of it is face.
        with torch.inference_mode():
            made = self.restorer(self._tensor(upright), return_rgb=False)[0]
            classes = self.parser(made.clamp(-1, 1))[0].argmax(dim=1)[0].cpu().numpy()
        pixels = ((made[0].clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).float().cpu().numpy()
        mask = np.isin(classes, NOT_FACE, invert=True).astype(np.float32)
        for _ in range(2):
            mask = cv2.GaussianBlur(mask, (BLUR[0], BLUR[0]), BLUR[1])
        mask[:BORDER] = mask[-BORDER:] = 0
        mask[:, :BORDER] = mask[:, -BORDER:] = 0

        # 3. Back to where it was.
        back = cv2.invertAffineTransform(to_face)
        corners = np.array([[0, 0, 1], [SIDE, 0, 1], [0, SIDE, 1], [SIDE, SIDE, 1]]) @ back.T
        left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int), rgb.shape[1::-1])
        back[:, 2] -= (left, top)
        size = (int(right - left), int(bottom - top))
        return Patch(
            box=box,
            left=int(left),
            top=int(top),
            pixels=cv2.warpAffine(pixels, back, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            mask=cv2.warpAffine(mask, back, size, flags=cv2.INTER_LINEAR),
        )

    def _tensor(self, rgb: Array) -> torch.Tensor:
        return torch.from_numpy(rgb.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None].to(self.device)


def loaded(device: Device, bases: Bases) -> Gfpgan:
    """The networks, warm. Raises WeightsMissing and BrokenWeights."""
    names = ("facexlib-detection", "gfpgan", "facexlib-parsing")
    weights = [bases.catalogue.weight(name) for name in names]

    def make() -> Gfpgan:
        return load(*(find(weight, bases.folders) for weight in weights), device=device.torch)

    return device.held("face:gfpgan", sum(weight.bytes for weight in weights), make)


def load(detection: Path, restoration: Path, parsing: Path, *, device: torch.device) -> Gfpgan:
    """The networks in those files, which are read as tensors alone. Raises BrokenWeights."""
    provide_functional_tensor()
    detector: Any = import_module("facexlib.detection.retinaface").RetinaFace(network_name="resnet50", device=device)
    tensors = _read(detection)
    _fill(detector, {name.removeprefix("module."): tensor for name, tensor in tensors.items()}, detection, device)

    tensors = _read(restoration)
    tensors = tensors.get("params_ema", tensors.get("params", tensors))
    # How wide it is shows in its first layer: 32 channels at the published width.
    narrow = tensors["conv_body_first.weight"].shape[0] / 32 if "conv_body_first.weight" in tensors else 1
    restorer = import_module("gfpgan.archs.gfpganv1_clean_arch").GFPGANv1Clean(
        out_size=SIDE,
        num_style_feat=512,
        channel_multiplier=2,
        decoder_load_path=None,
        fix_decoder=False,
        num_mlp=8,
        input_is_latent=True,
        different_w=True,
        narrow=narrow,
        sft_half=True,
    )
    _fill(restorer, tensors, restoration, device)

    parser = import_module("facexlib.parsing.parsenet").ParseNet(in_size=SIDE, out_size=SIDE, parsing_ch=19)
    _fill(parser, _read(parsing), parsing, device)
    return Gfpgan(detector=detector, restorer=restorer, parser=parser, device=device)


def _read(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise BrokenWeights(f"{path} cannot be read as weights.", field="model") from error


def _fill(network: nn.Module, tensors: dict[str, Any], path: Path, device: torch.device) -> None:
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise BrokenWeights(f"{path} does not hold the network it should.", field="model") from error
    network.eval().requires_grad_(False).to(device)
