"""Works on a picture tile by tile and gives it back as bands of rows, with no seam between tiles. Knows no network.

Every tile sees a margin of its neighbours' pixels; where two tiles meet, one goes over into the other along a ramp.
Beyond the picture's edges tiles see it mirrored. All tiles of a picture have one size, so that some can be one batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, isqrt
from typing import Any

import numpy as np

EDGE = 10  # mirrored pixels that a tile sees beyond the picture's edge
RAMP = 8
LEAST_SIDE = 64

Array = np.ndarray[Any, np.dtype[Any]]
Work = Callable[[Sequence[Array]], Sequence[Array]]
"""Makes tiles: each (height, width, channels) becomes (height * scale, width * scale, channels), of the same dtype."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Tiles along one axis: where each begins (from `-EDGE` on), how long all are, and where one hands over to the
    next, from 0 to the axis' length."""

    starts: tuple[int, ...]
    side: int
    cuts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """How a picture is cut. `margin` is how much a tile sees beyond a cut."""

    rows: Axis
    columns: Axis
    margin: int

    @property
    def ramp(self) -> int:
        """Pixels on either side of a cut along which two tiles go over into one another."""
        return min(RAMP, self.margin // 2)

    @property
    def tile_pixels(self) -> int:
        return self.rows.side * self.columns.side

    def __len__(self) -> int:
        """How many tiles."""
        return len(self.rows) * len(self.columns)


def grid(width: int, height: int, *, most: int, margin: int) -> Grid:
    """The fewest tiles of at most about `most` pixels each; one where the picture fits."""
    side = max(isqrt(most), LEAST_SIDE + 2 * margin)
    across, down = width + 2 * EDGE, height + 2 * EDGE
    # What a narrow picture does not need in one direction its tiles may have in the other.
    wide = max(side, most // down)
    high = max(side, most // min(across, wide))
    return Grid(rows=_axis(height, high, margin), columns=_axis(width, wide, margin), margin=margin)


def _axis(length: int, most: int, margin: int) -> Axis:
    whole = length + 2 * EDGE
    if whole <= most:
        return Axis(starts=(-EDGE,), side=whole, cuts=(0, length))
    count = ceil((whole - 2 * margin) / (most - 2 * margin))
    side = ceil((whole + (count - 1) * 2 * margin) / count)
    last = whole - side
    starts = tuple(-EDGE + last * index // (count - 1) for index in range(count))
    middles = tuple((start + side + after) // 2 for start, after in zip(starts, starts[1:], strict=False))
    return Axis(starts=starts, side=side, cuts=(0, *middles, length))


def bands(picture: Array, cut: Grid, work: Work, *, scale: int, batch: int = 1) -> Iterator[Array]:
    """The worked picture from top to bottom: arrays of whole rows, (rows, width * scale, channels).

    `picture` is (height, width, channels); `batch` is how many tiles `work` is given at once.
    """
    height, width = picture.shape[:2]
    ramped = 2 * cut.ramp * scale
    carry: Array | None = None  # the rows that the band above and this one both have
    for row in range(len(cut.rows)):
        down = _reach(cut.rows, row, cut.ramp)
        band = np.empty(((down.stop - down.start) * scale, width * scale, picture.shape[2]), picture.dtype)
        # 1. The band's tiles, side by side.
        for first in range(0, len(cut.columns), batch):
            columns = range(first, min(first + batch, len(cut.columns)))
            windows = [_window(picture, cut, row, column) for column in columns]
            for column, made in zip(columns, work(windows), strict=True):
                across = _reach(cut.columns, column, cut.ramp)
                top = (down.start - cut.rows.starts[row]) * scale
                left = (across.start - cut.columns.starts[column]) * scale
                there = band[:, across.start * scale : across.stop * scale]
                piece = made[top : top + there.shape[0], left : left + there.shape[1]]
                ramp = ramped if column else 0
                there[:, :ramp] = _over(there[:, :ramp], piece[:, :ramp], axis=1)
                there[:, ramp:] = piece[:, ramp:]
        # 2. Its first rows go over from those of the band above; its last ones wait for the band below.
        if carry is not None:
            band[: len(carry)] = _over(carry, band[: len(carry)], axis=0)
        if row + 1 < len(cut.rows):
            carry = band[-ramped:].copy()
            band = band[:-ramped]
        yield band


def _reach(axis: Axis, index: int, ramp: int) -> slice:
    """The pixels a tile gives, its ramps included."""
    return slice(max(axis.cuts[index] - ramp, 0), min(axis.cuts[index + 1] + ramp, axis.cuts[-1]))


def _window(picture: Array, cut: Grid, row: int, column: int) -> Array:
    """The pixels a tile sees, mirrored beyond the picture's edges."""
    rows = _mirrored(cut.rows.starts[row], cut.rows.side, picture.shape[0])
    columns = _mirrored(cut.columns.starts[column], cut.columns.side, picture.shape[1])
    return picture[rows][:, columns]


def _mirrored(start: int, count: int, length: int) -> Array:
    """The indexes from `start` on, mirrored at both ends as often as it takes; the ends themselves are not doubled."""
    period = max(2 * (length - 1), 1)
    index = np.arange(start, start + count) % period
    return np.minimum(index, period - index) if length > 1 else np.zeros(count, int)


def _over(before: Array, after: Array, *, axis: int) -> Array:
    """From the one into the other along the axis, linearly."""
    count = before.shape[axis]
    if not count:
        return after
    shape = [1] * before.ndim
    shape[axis] = count
    weight = ((np.arange(count, dtype=np.float32) + 0.5) / count).reshape(shape)
    return np.rint(before + (after.astype(np.float32) - before) * weight).astype(before.dtype)
