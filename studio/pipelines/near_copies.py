"""Finds photos that are the same picture: exact copies, and what was saved again, made smaller or cropped a little.

First ImageHash's perceptual hash (https://github.com/JohannesBuchner/imagehash: 64 signs of the lowest frequencies) of
the whole of one is compared with those of crops of the other. Where some crop is near, the two are laid over one
another (ECC alignment: Evangelidis and Psarakis, 2008) and compared spot by spot: in a true copy no spot differs, while
of two shots, or two drawings of one sitter, the mouth does. A mirrored picture is no copy: it is of use in training.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import imagehash
import numpy as np
from PIL import Image

SIDE = 128  # pixels of the longer side of what is compared
EDGES = (0.0, 0.07, 0.15)  # how much of a side is taken off in the crops whose hashes are looked at
NEAR = 12  # of 64 signs: how many may differ for a closer look. Copies differ in 0 to 10, other photos in 14 and more
STEPS = 150  # of the alignment
LEAST_SHARED = 0.6  # of the smaller picture must lie within the larger one
SPOT = 8  # pixels of the side of a spot
MOST_APART = 16.0
"""Steps of 255 of the spot that differs most. Measured: copies saved as JPEG of quality 30 reach 3, crops of up to an
eighth on each side 3 to 15; two drawings of a sitter, of whom only the shirt or the mood differs, 17 to 65."""

Array = np.ndarray[Any, np.dtype[Any]]
Edges = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Print:
    """What is kept of a picture to know it again: a small copy, and the hashes of its crops, the whole first."""

    small: Array
    hashes: Array


def print_of(rgb: Array) -> Print:
    """Of (height, width, 3) uint8."""
    height, width = rgb.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    grey = Image.fromarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    boxes = [_inside(size, edges) for edges in _crops()]
    hashes = [imagehash.phash(grey.crop(box)).hash.ravel() for box in boxes]
    return Print(small=small, hashes=np.array(hashes))


def copies(prints: Sequence[Print]) -> list[list[int]]:
    """The groups of two or more that are one picture, each in order."""
    group = list(range(len(prints)))
    for one in range(len(prints)):
        for other in range(one + 1, len(prints)):
            if group[one] != group[other] and is_copy(prints[one], prints[other]):
                group = [group[one] if place == group[other] else place for place in group]
    found = [[index for index, place in enumerate(group) if place == first] for first in dict.fromkeys(group)]
    return [members for members in found if len(members) > 1]


def is_copy(one: Print, other: Print) -> bool:
    """Whether the two are the same picture, or one a slightly cropped copy of the other."""
    return _lies_in(one, other) or _lies_in(other, one)


def _lies_in(part: Print, whole: Print) -> bool:
    """Whether `part` is `whole` or a crop of it."""
    apart = (whole.hashes != part.hashes[0]).sum(axis=1)
    nearest = int(apart.argmin())
    return bool(apart[nearest] <= NEAR) and _agree(part.small, whole.small, list(_crops())[nearest])


def _agree(part: Array, whole: Array, edges: Edges) -> bool:
    """Whether no spot differs when the two are laid over one another, beginning with that crop of `whole`."""
    # 1. Where each pixel of the part lies in the whole.
    height, width = part.shape[:2]
    left, top, right, bottom = _inside((whole.shape[1], whole.shape[0]), edges)
    place = np.array([[(right - left) / width, 0, left], [0, (bottom - top) / height, top]], np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, 1e-4)
    grey, whole_grey = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (part, whole))
    try:
        _, place = cv2.findTransformECC(grey, whole_grey, place, cv2.MOTION_AFFINE, stop)
    except cv2.error:
        return False  # it does not converge: there is nothing in common, or nothing at all to be seen

    # 2. Both of the same light, smooth enough that half a pixel of error does not matter.
    seen = cv2.warpAffine(whole, place, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    inside = np.ones(whole.shape[:2], np.uint8)
    shared = cv2.warpAffine(inside, place, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP) > 0
    if shared.mean() < LEAST_SHARED:
        return False
    first, second = (cv2.GaussianBlur(rgb, (0, 0), 2).astype(np.float32) for rgb in (part, seen))
    second = _in_the_light_of(first, second, shared)

    # 3. The spot that differs most.
    differs = np.where(shared, np.abs(first - second).max(axis=2), 0)
    spots = cv2.blur(differs, (SPOT, SPOT))
    return float(spots.max()) <= MOST_APART


def _in_the_light_of(model: Array, rgb: Array, where: Array) -> Array:
    """The picture as bright and as rich in contrast as the model."""
    mean, spread = rgb[where].mean(), rgb[where].std()
    return (rgb - mean) * (model[where].std() / max(spread, 1e-3)) + model[where].mean()


def _crops() -> Iterator[Edges]:
    """What is taken off at the left, top, right and bottom, as shares of the sides; first nothing."""
    return product(EDGES, repeat=4)  # type: ignore[return-value]


def _inside(size: tuple[int, int], edges: Edges) -> tuple[int, int, int, int]:
    width, height = size
    left, top, right, bottom = edges
    box = round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height)
    return box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1)
