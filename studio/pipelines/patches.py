"""A face made anew, and putting it over the one that was there only as far as the person stays the person."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.pipelines.faces import Box, Faces
from studio.pipelines.picture_files import eight_bits

LIMIT = 0.35  # of the distance between a face before and after: photos of one person lie 0.24 to 0.45 apart
TENTHS = 10  # parts in which the strength is lowered

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A face made anew: `pixels` (height, width, 3) float32 of 0 to 255 belong at `left`, `top`, as far as `mask`
    (0 to 1) says. `box` is where the face was found."""

    box: Box
    left: int
    top: int
    pixels: Array
    mask: Array

    def over(self, picture: Array, strength: float) -> Array:
        """A copy of an (height, width, 3) picture, uint8 or uint16, with the patch on it."""
        scale = np.iinfo(picture.dtype).max / 255
        made = picture.copy()
        there = made[self.top : self.top + len(self.pixels), self.left : self.left + self.pixels.shape[1]]
        share = strength * self.mask[..., None]
        there[:] = np.rint(np.clip(there * (1 - share) + self.pixels * (scale * share), 0, 255 * scale))
        return made


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What became of one face: how strongly it was made anew (0: not at all), and how far it is from what it was."""

    box: Box
    strength: float
    distance: float

    def to_json(self) -> dict[str, Any]:
        box = [self.box.left, self.box.top, self.box.width, self.box.height]
        return {"box": box, "strength": round(self.strength, 3), "distance": round(self.distance, 3)}


def applied(picture: Array, patches: Iterable[Patch], strength: float, faces: Faces) -> tuple[Array, list[Kept]]:
    """The picture with every patch on it, each as strong as `strength` or as the limit lets it be, and the figures."""
    kept: list[Kept] = []
    for patch in patches:
        before = faces.embedding(eight_bits(picture), patch.box)
        chosen, distance = 0.0, 0.0
        result = picture
        for tenth in range(TENTHS, 0, -1):
            part = strength * tenth / TENTHS
            tried = patch.over(picture, part)
            apart = float(np.linalg.norm(faces.embedding(eight_bits(tried), patch.box) - before))
            if apart < LIMIT:
                chosen, distance, result = part, apart, tried
                break
        kept.append(Kept(box=patch.box, strength=chosen, distance=distance))
        picture = result
    return picture, kept
