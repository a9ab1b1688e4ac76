"""The PNG writer: what it writes band by band, others read back to the bit."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from studio.pipelines.png import PngWriter, mask_in


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bands", [1, 3, 17])
def test_opencv_reads_every_bit_back(tmp_path: Path, dtype: type, channels: int, bands: int) -> None:
    rng = np.random.default_rng(7)
    picture = rng.integers(0, np.iinfo(dtype).max, (17, 5, channels), endpoint=True).astype(dtype)
    path = tmp_path / "a.png"
    with PngWriter(path, width=5, height=17, channels=channels, depth=picture.itemsize * 8) as png:
        for rows in np.array_split(picture, bands):
            png.write(rows)
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert np.array_equal(found.reshape(17, 5, channels)[..., order], picture)


def test_grey_with_transparency_keeps_both(tmp_path: Path) -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(3, 4, 2)
    with PngWriter(tmp_path / "a.png", width=4, height=3, channels=2, depth=8) as png:
        png.write(picture)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "LA"
        assert np.array_equal(np.asarray(image), picture)


def test_a_picture_of_many_blocks_is_whole(tmp_path: Path) -> None:
    picture = np.random.default_rng(7).integers(0, 255, (1500, 1000, 3)).astype(np.uint8)
    with PngWriter(tmp_path / "a.png", width=1000, height=1500, channels=3, depth=8) as png:
        png.write(picture)
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), picture)


def test_profile_texts_and_mask_are_found_again(tmp_path: Path) -> None:
    texts = {"parameters": "a cat", "likeness": '{"prompt": "猫"}', "XML:com.adobe.xmp": "<x/>"}
    path = tmp_path / "a.png"
    with PngWriter(path, width=1, height=1, channels=1, depth=8, profile=b"icc", texts=texts, mask=b"mask") as png:
        png.write(np.zeros((1, 1), np.uint8))
    with Image.open(path) as image:
        image.load()
        assert {key: image.info[key] for key in texts} == texts
        assert image.info["icc_profile"] == b"icc"
    assert mask_in(path) == b"mask"


def test_a_file_without_a_mask_has_none(tmp_path: Path) -> None:
    Image.new("RGB", (3, 3)).save(tmp_path / "a.png")
    Image.new("RGB", (3, 3)).save(tmp_path / "a.jpg")
    assert mask_in(tmp_path / "a.png") is None
    assert mask_in(tmp_path / "a.jpg") is None


def test_rows_that_do_not_fit_or_are_missing_are_faults(tmp_path: Path) -> None:
    with PngWriter(tmp_path / "a.png", width=4, height=2, channels=3, depth=8) as png:
        for wrong in (np.zeros((1, 5, 3), np.uint8), np.zeros((1, 4), np.uint8), np.zeros((1, 4, 3), np.uint16)):
            with pytest.raises(ValueError, match="do not fit"):
                png.write(wrong)
        png.write(np.zeros((2, 4, 3), np.uint8))
    with (
        pytest.raises(ValueError, match="1 rows are missing"),
        PngWriter(tmp_path / "b.png", width=4, height=2, channels=3, depth=8) as png,
    ):
        png.write(np.zeros((1, 4, 3), np.uint8))
