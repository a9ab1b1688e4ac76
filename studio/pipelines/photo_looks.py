"""What one photo shows: its faces, how sharp and how bright it is, and which part a training should see."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from studio.photo_report import CropMode, centre
from studio.pipelines.faces import DETECTOR_SIDE, Box, Faces
from studio.tunes import Box as Edges

FACE_SIDE = 128
"""Pixels to which a face is scaled before its sharpness is measured, so that photos of any size can be compared."""
BLURRED_BELOW = 45.0
"""The variance of the Laplacian (Pech-Pacheco and others, 2000) of a grey face of `FACE_SIDE` pixels. Measured: 161 to
654 on sharp ones; on the same under a Gaussian of a hundredth of the face's width 20 to 37, of a fiftieth 5 to 9.
"""
TILES, TILE_SIDE = 4, 64
"""Without a face the sharpest of 4 x 4 tiles is measured: a background may be blurred, the subject may not."""
DARK_BELOW = 80
"""Of 255: nine tenths of the face (or photo) are darker. It looks at the lightest parts, since those of dark skin in
good light are above it, and those of any skin without light are not. Measured: 163 to 208 on good photos, 57 to 72 on
the same ones made a third as bright."""
FIRST_LOOK, CLOSE_LOOK = 640, 1600  # pixels of the longer side on which faces are looked for
SURE = 0.4  # of a face beside the sitter's
BESIDE = 0.5  # how wide a face must be beside the sitter's to matter
CROP = 3.0  # times the face's width: hair and shoulders
FACE_AT = 0.45  # of the crop's height from above: where the middle of the face is
BEYOND = 0.03  # of its width a face may reach beyond the edge
EYE_ROOM = 0.2  # times the eyes' distance: what is beside an eye on a whole face

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class FaceLook:
    """The faces that matter on a photo, largest first, and what was measured of the largest; of a couple of two."""

    boxes: tuple[Box, ...]
    numbers: tuple[Array, ...]
    cut_off: bool
    sharpness: float
    light: float


def faces_of(rgb: Array, finder: Faces, *, wanted: int = 1) -> list[Box]:
    """The sitter's face and those at least half as wide beside it; `wanted` says how many there should be."""
    longer = max(rgb.shape[:2])
    # 1. On a small copy, where most photos show theirs; then on larger ones.
    scales = [scale for side in (FIRST_LOOK, CLOSE_LOOK) if (scale := side / longer) < 1]
    scales += [1.0] if longer <= CLOSE_LOOK else []
    scales += [2.0] if longer <= CLOSE_LOOK // 2 else []
    found: list[tuple[Box, float]] = []
    scale = 1.0
    for scale in scales:
        found = max(found, finder.seen(rgb, scale), key=len)
        if len(found) >= wanted:
            break
    if not found:
        return []

    # 2. About the sitter so closely that a face of half the size would be seen too.
    main = found[0][0]
    closer = DETECTOR_SIDE / BESIDE / main.width
    if closer > scale * 1.2:
        left, top, right, bottom = around([main], rgb.shape[1], rgb.shape[0])
        part = np.ascontiguousarray(rgb[top:bottom, left:right])
        for box, sure in finder.seen(part, min(closer, 2.0)):
            moved = Box(left=box.left + left, top=box.top + top, width=box.width, height=box.height)
            if not any(_overlap(moved, other) for other, _ in found):
                found.append((moved, sure))

    boxes = [main]
    boxes += [box for box, sure in found[1:] if box.width >= BESIDE * main.width and (sure >= SURE or wanted > 1)]
    return boxes


def look_at(rgb: Array, boxes: list[Box], finder: Faces) -> FaceLook:
    """What is to be said of these faces. `boxes` has one or more."""
    described = [finder.describe(rgb, box) for box in boxes]
    width, height = rgb.shape[1], rgb.shape[0]
    cut_off = False
    for box, one in zip(boxes, described, strict=True):
        beyond = max(-box.left, -box.top, box.left + box.width - width, box.top + box.height - height)
        room = EYE_ROOM * abs(one.right_eye - one.left_eye)
        near = min(one.left_eye, one.right_eye) < room or max(one.left_eye, one.right_eye) > width - room
        cut_off = cut_off or beyond > BEYOND * box.width or near
    parts = [_inside(rgb, box) for box in boxes]
    return FaceLook(
        boxes=tuple(boxes),
        numbers=tuple(one.numbers for one in described),
        cut_off=cut_off,
        sharpness=min(sharpness(part) for part in parts),
        light=min(light(part) for part in parts),
    )


def sharpness(face: Array) -> float:
    """The variance of the Laplacian of a face, scaled to `FACE_SIDE`."""
    return _detail(face, FACE_SIDE)


def sharpest_tile(rgb: Array) -> float:
    """The variance of the Laplacian where a photo is sharpest."""
    whole = TILES * TILE_SIDE
    grey = _grey(cv2.resize(rgb, (whole, whole), interpolation=cv2.INTER_AREA))
    curved = cv2.Laplacian(grey, cv2.CV_64F)
    return float(curved.reshape(TILES, TILE_SIDE, TILES, TILE_SIDE).var(axis=(1, 3)).max())


def light(rgb: Array) -> float:
    """How bright the brightest tenth is at least, of 255."""
    return float(np.percentile(_grey(rgb), 90))


def crop_of(mode: CropMode, boxes: list[Box], width: int, height: int) -> Edges | None:
    """The part of a photo that is proposed; about the middle where there is no face to go by."""
    if mode == "none":
        return None
    return around(boxes, width, height) if mode == "face" and boxes else centre(width, height)


def around(boxes: list[Box], width: int, height: int) -> Edges:
    """A square about the faces with room for hair and shoulders, moved and shrunk until it lies in the photo."""
    left, right = min(box.left for box in boxes), max(box.left + box.width for box in boxes)
    top, bottom = min(box.top for box in boxes), max(box.top + box.height for box in boxes)
    widest = max(box.width for box in boxes)
    side = min(round(right - left + (CROP - 1) * widest), width, height)
    x = round((left + right) / 2 - side / 2)
    y = round((top + bottom) / 2 - FACE_AT * side)
    x, y = min(max(x, 0), width - side), min(max(y, 0), height - side)
    return x, y, x + side, y + side


def _detail(rgb: Array, side: int) -> float:
    small = cv2.resize(_grey(rgb), (side, side), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_64F).var())


def _grey(rgb: Array) -> Array:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def _inside(rgb: Array, box: Box) -> Array:
    """The part of a face that lies on the photo."""
    top, left = max(box.top, 0), max(box.left, 0)
    return np.ascontiguousarray(rgb[top : box.top + box.height, left : box.left + box.width])


def _overlap(one: Box, other: Box) -> bool:
    """Whether the middle of the one lies in the other."""
    x, y = one.left + one.width / 2, one.top + one.height / 2
    return 0 <= x - other.left <= other.width and 0 <= y - other.top <= other.height
