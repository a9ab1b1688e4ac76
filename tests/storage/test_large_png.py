"""A picture too large to be decoded whole has a small copy all the same, and looks as it does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.pipelines.png import PngWriter
from studio.storage.large_png import reduced, size_of


def written(path: Path, pixels: np.ndarray, depth: int) -> Path:
    height, width, channels = pixels.shape
    with PngWriter(path, width=width, height=height, channels=channels, depth=depth, texts={"a": "b"}) as png:
        for top in range(0, height, 37):
            png.write(pixels[top : top + 37])
    return path


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_small_copy_is_the_picture_averaged(tmp_path: Path, channels: int, depth: int) -> None:
    rows, columns = np.mgrid[:300, :410]
    waves = 127 + 100 * np.sin(rows / 60) * np.cos(columns / 50)
    pixels = np.stack([np.roll(waves, 9 * one, axis=0) for one in range(channels)], axis=2)
    eight = pixels.astype(np.uint8)
    file = written(tmp_path / "a.png", eight if depth == 8 else (pixels * 257).astype(np.uint16), depth)
    assert size_of(file) == (410, 300)
    made = reduced(file, 100)
    assert made.size == (102, 75)
    means = eight[:300, :408].reshape(75, 4, 102, 4, channels).mean(axis=(1, 3))
    assert np.abs(np.asarray(made).reshape(75, 102, channels) - means).max() <= 1.5


def test_a_png_of_another_kind_is_said_to_be_one(tmp_path: Path) -> None:
    Image.effect_noise((90, 90), 60).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="otherwise|another kind"):
        reduced(tmp_path / "a.png", 10)
    (tmp_path / "b.png").write_bytes(b"no PNG")
    with pytest.raises(ValueError, match="is no PNG"):
        size_of(tmp_path / "b.png")
