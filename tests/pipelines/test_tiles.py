"""Tiles put together are the picture they were cut from."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from studio.pipelines.tiles import Array, bands, grid


def twice(tiles: Sequence[Array]) -> list[Array]:
    return [tile.repeat(2, axis=0).repeat(2, axis=1) for tile in tiles]


def picture(height: int, width: int, dtype: type = np.uint8) -> Array:
    rng = np.random.default_rng(7)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, 3), endpoint=True).astype(dtype)


@settings(deadline=None)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    most=st.integers(1, 60_000),
    margin=st.integers(2, 50),
    batch=st.integers(1, 5),
)
def test_tiles_that_do_not_see_beyond_themselves_give_the_picture_to_the_bit(
    width: int, height: int, most: int, margin: int, batch: int
) -> None:
    whole = picture(height, width)
    cut = grid(width, height, most=most, margin=margin)
    made = np.concatenate(list(bands(whole, cut, twice, scale=2, batch=batch)))
    assert np.array_equal(made, twice([whole])[0])


@given(width=st.integers(1, 5000), height=st.integers(1, 5000), most=st.integers(1, 10**6), margin=st.integers(0, 64))
def test_tiles_are_of_one_size_see_their_margin_and_are_no_larger_than_allowed(
    width: int, height: int, most: int, margin: int
) -> None:
    cut = grid(width, height, most=most, margin=margin)
    assert cut.tile_pixels <= max(most, (64 + 2 * margin) ** 2)
    for axis, length in ((cut.columns, width), (cut.rows, height)):
        assert axis.cuts[0] == 0
        assert axis.cuts[-1] == length
        assert axis.starts[0] < 0
        assert axis.starts[-1] + axis.side > length
        for before, after, between in zip(axis.starts, axis.starts[1:], axis.cuts[1:], strict=False):
            assert before + axis.side - between >= margin
            assert between - after >= margin


def test_what_looks_at_its_neighbours_leaves_no_seam_within_the_margin() -> None:
    whole = picture(150, 170, np.uint16)

    def smooth(tiles: Sequence[Array]) -> list[Array]:
        return [uniform_filter(tile, size=9, axes=(0, 1)) for tile in tiles]

    cut = grid(170, 150, most=90 * 90, margin=12)
    assert len(cut) > 4
    made = np.concatenate(list(bands(whole, cut, smooth, scale=1)))
    expected = uniform_filter(whole, size=9, axes=(0, 1), mode="mirror")
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_a_picture_that_fits_is_one_tile() -> None:
    assert len(grid(512, 512, most=1 << 20, margin=48)) == 1


def test_tiles_that_differ_go_over_into_one_another() -> None:
    whole = np.zeros((100, 300, 1), np.uint8)
    seen = 0

    def brighter(tiles: Sequence[Array]) -> list[Array]:
        nonlocal seen
        made = []
        for tile in tiles:
            made.append(np.full_like(tile, 80 * (seen % 2)))
            seen += 1
        return made

    cut = grid(300, 100, most=100 * 100, margin=16)
    made = np.concatenate(list(bands(whole, cut, brighter, scale=1)))
    assert seen > 3
    steps = np.abs(np.diff(made[0, :, 0].astype(int)))
    assert steps.max() <= 80 / 16 + 1


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_the_thinnest_pictures_are_pictures(size: tuple[int, int]) -> None:
    whole = picture(*size)
    cut = grid(size[1], size[0], most=10_000, margin=32)
    assert np.array_equal(np.concatenate(list(bands(whole, cut, twice, scale=2))), twice([whole])[0])
