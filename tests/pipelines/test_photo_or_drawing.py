"""Photos and drawings are told apart, also as JPEG, small, and cut out of their background."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

from studio.pipelines.photo_or_drawing import looks_drawn
from studio.pipelines.picture_files import Array


def drawing(side: int = 400) -> Array:
    image = Image.new("RGB", (side, side), "#8ecae6")
    pen = ImageDraw.Draw(image)
    for box, colour in (
        ((0.3, 0.75, 0.7, 1.3), "#d62828"),
        ((0.25, 0.2, 0.75, 0.8), "#f4c9a0"),
        ((0.35, 0.4, 0.42, 0.47), "#222222"),
        ((0.58, 0.4, 0.65, 0.47), "#222222"),
        ((0.4, 0.6, 0.6, 0.7), "#ffffff"),
    ):
        pen.ellipse([round(edge * side) for edge in box], fill=colour, outline="black", width=3)
    return np.asarray(image)


def jpeg(picture: Array, quality: int) -> Array:
    body = io.BytesIO()
    Image.fromarray(picture).save(body, "JPEG", quality=quality)
    return np.asarray(Image.open(body))


def small(picture: Array) -> Array:
    return np.asarray(Image.fromarray(picture).resize((128, 128), Image.Resampling.LANCZOS))


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "camera"])
def test_a_photo_is_a_photo(name: str) -> None:
    photo = getattr(data, name)()
    photo = photo if photo.ndim == 3 else photo[..., None].repeat(3, axis=2)
    for seen in (photo, jpeg(photo, 60), small(photo)):
        assert not looks_drawn(seen)


def test_a_drawing_is_a_drawing() -> None:
    for seen in (drawing(), drawing(2000), jpeg(drawing(), 60), small(drawing())):
        assert looks_drawn(seen)


def test_what_is_cut_out_is_judged_by_what_is_left() -> None:
    photo = data.astronaut()
    alpha = np.zeros(photo.shape[:2], np.uint8)
    alpha[80:250, 150:300] = 255
    emptied = np.where(alpha[..., None] > 0, photo, 0).astype(np.uint8)
    assert not looks_drawn(emptied, alpha)
    assert looks_drawn(drawing(), np.full((400, 400), 255, np.uint8))
    assert not looks_drawn(emptied, alpha * 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3, 2)])
def test_the_smallest_pictures_can_be_looked_at(size: tuple[int, int]) -> None:
    assert looks_drawn(np.zeros((*size, 3), np.uint8)) in (True, False)
