"""What is done with a mask: edges made finer, and what was cut out put on a colour, a blur or another picture.

Masks are (height, width) float32 from 0 to 1. Sources: closed-form matting, Levin et al. 2008, and multi-level
foreground estimation, Germer et al. 2020, both by pymatting; fast guided filter, He and Sun 2015.
"""

from typing import Any

import cv2
import numpy as np
from PIL import ImageColor
from pymatting.alpha.estimate_alpha_cf import estimate_alpha_cf
from pymatting.foreground.estimate_foreground_ml import estimate_foreground_ml

from studio.pipelines.picture_files import Photo, in_profile

MATTING_SIDE = 1024  # pixels of the longer side at which edges are worked out
SURE, SURELY_NOT = 240 / 255, 10 / 255  # where the mask is believed
BAND = 10  # pixels within what the mask is sure of where it is not believed yet
GUIDE_RADIUS, GUIDE_SMOOTH = 2, 1e-4
SOLID = 0.8  # coverage from which a pixel's own colour begins to count
BLUR_SIDE, BLUR = 512, 0.02  # size at which the ground is blurred, and by what share of that

Array = np.ndarray[Any, np.dtype[Any]]


def matted(rgb: Array, mask: Array) -> tuple[Array, Array] | None:
    """A finer mask of an (height, width, 3) uint8 picture, and its colours freed of what shone through at the edges
    (float32, 0 to 255). None where the mask is sure of nothing, so that there is no edge to find."""
    # 1. At a size at which it takes a second.
    height, width = mask.shape
    scale = min(MATTING_SIDE / max(height, width), 1)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    rough = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)

    # 2. What is surely in, surely out, and to be found out.
    around = np.ones((BAND, BAND), np.uint8)
    trimap = np.full(rough.shape, 0.5)
    trimap[cv2.erode((rough > SURE).astype(np.uint8), around) > 0] = 1
    trimap[cv2.erode((rough < SURELY_NOT).astype(np.uint8), around) > 0] = 0
    if not (trimap == 1).any() or not (trimap == 0).any():
        return None
    fine = estimate_alpha_cf(small.astype(np.float64), trimap).astype(np.float32)
    colours = np.asarray(estimate_foreground_ml(small, fine), np.float32) * 255

    # 3. At full size: along the edges as the picture itself has them.
    if scale < 1:
        fine = _enlarged(fine, small, rgb, trimap == 0.5)
        colours = cv2.resize(colours, (width, height), interpolation=cv2.INTER_LINEAR)
    own = np.clip((fine - SOLID) / (1 - SOLID), 0, 1)[..., None]
    return fine, own * rgb + (1 - own) * colours


def _enlarged(mask: Array, small: Array, rgb: Array, unsure: Array) -> Array:
    """The mask at the size of `rgb`; where it was unsure it follows the picture's brightness."""
    size = (rgb.shape[1], rgb.shape[0])
    guide = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    window = (2 * GUIDE_RADIUS + 1, 2 * GUIDE_RADIUS + 1)

    def mean(values: Array) -> Array:
        return cv2.blur(values, window)

    tilt = (mean(guide * mask) - mean(guide) * mean(mask)) / (mean(guide * guide) - mean(guide) ** 2 + GUIDE_SMOOTH)
    shift = mean(mask) - tilt * mean(guide)
    bright = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    plain, tilt, shift, share = (
        cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
        for values in (mask, mean(tilt), mean(shift), unsure.astype(np.float32))
    )
    return np.clip(share * (tilt * bright + shift) + (1 - share) * plain, 0, 1)


def on_ground(colours: Array, mask: Array, ground: Array) -> Array:
    """What was cut out over a ground: (height, width, 3) float32, or of one pixel for a plain colour."""
    share = mask[..., None]
    return colours * share + ground * (1 - share)


def colour_ground(colour: str, profile: bytes | None) -> Array:
    """One pixel of `#rrggbb`, in the numbers of a profile."""
    pixel = np.array([[ImageColor.getrgb(colour)]], np.uint8)
    return in_profile(Photo(colour=pixel), profile).astype(np.float32)


def blurred_ground(rgb: Array, mask: Array) -> Array:
    """The picture out of focus: what was cut out does not shine through, the ground goes on behind it."""
    height, width = mask.shape
    scale = min(BLUR_SIDE / max(height, width), 1)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    behind = 1 - cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    seen = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    # Where nothing behind is near, what is farther away fills in: each round is blurred wider and weighs less.
    total, weight, share = np.zeros_like(seen), np.zeros_like(behind), 1.0
    for spread in (1, 4, 16):
        sigma = spread * BLUR * max(size) + 0.5
        total += share * cv2.GaussianBlur(seen * behind[..., None], (0, 0), sigma)
        weight += share * cv2.GaussianBlur(behind, (0, 0), sigma)
        share *= 1e-3
    ground = total / np.maximum(weight, 1e-12)[..., None]
    return cv2.resize(ground, (width, height), interpolation=cv2.INTER_LINEAR)


def picture_ground(behind: Photo, width: int, height: int, profile: bytes | None) -> Array:
    """The picture behind, cut about its middle to the shape, in the numbers of a profile."""
    pixels = in_profile(behind, profile)
    scale = max(width / behind.width, height / behind.height)
    wide, high = min(round(width / scale), behind.width), min(round(height / scale), behind.height)
    left, top = (behind.width - wide) // 2, (behind.height - high) // 2
    cut = pixels[top : top + max(high, 1), left : left + max(wide, 1)]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(cut, (width, height), interpolation=way).astype(np.float32)
