"""Brings a picture that was drawn to the size that was asked for: by Real-ESRGAN where its weights are, else plainly.

Two steps. A base that draws small (the starter) is brought to the size by the fast compact network, which costs less
than the drawing did. The super-resolution switch then doubles the sides by the network that fits the picture.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from studio.pipelines import tool_weights
from studio.pipelines.bases import Bases
from studio.pipelines.device import Device
from studio.pipelines.photo_or_drawing import looks_drawn
from studio.pipelines.shapes import fitted
from studio.pipelines.tool_weights import DRAWING, PHOTO
from studio.pipelines.upscale import Upscaler

FAST = "realesr-animevideov3"
SAME = 1.02  # times as large: what a network would add up to that cannot be seen


@dataclass(frozen=True, kw_only=True)
class Enlarged:
    """A picture at its size, and the networks it went through: none where it was resized plainly; and what was made of
    the faces on it, None where that was not asked for or nothing could be made of them."""

    image: Image.Image
    by: tuple[str, ...]
    faces: Mapping[str, Any] | None = None


class Larger:
    """Enlarges on a device; its networks stay warm."""

    def __init__(self, device: Device, bases: Bases) -> None:
        self.bases = bases
        self.upscaler = Upscaler(device, bases)

    def __call__(
        self, image: Image.Image, width: int, height: int, *, doubled: bool, tick: Callable[[], None] = lambda: None
    ) -> Enlarged:
        """The RGB picture at `width` by `height`, or twice that. `tick` is called again and again and may raise.

        Raises WeightsMissing (of the network that doubles), BrokenWeights and OutOfMemory.
        """
        by: list[str] = []

        # 1. To the size that was asked for.
        factor = max(width / image.width, height / image.height)
        if factor > SAME and tool_weights.is_here(FAST, self.bases):
            image = self._by(FAST, image, 2 if factor <= 2 else 4, tick)
            by.append(FAST)
        if not doubled:
            return Enlarged(image=fitted(image, width, height), by=tuple(by))

        # 2. Twice as large.
        image = fitted(image, width, height)
        name = DRAWING if looks_drawn(np.asarray(image)) else PHOTO
        image = self._by(name, image, 2, tick)
        by.append(name)
        return Enlarged(image=fitted(image, 2 * width, 2 * height), by=tuple(by))

    def _by(self, name: str, image: Image.Image, scale: int, tick: Callable[[], None]) -> Image.Image:
        return Image.fromarray(self.upscaler.enlarged(np.asarray(image), scale=scale, model=name, tick=tick))
