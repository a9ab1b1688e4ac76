"""A drawn picture is brought to its size: by networks where they are here, plainly where not, and it is told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.domain import Cancelled, WeightsMissing
from studio.pipelines.larger import FAST, Larger
from studio.pipelines.shapes import fitted
from studio.pipelines.tool_weights import DRAWING, PHOTO
from tests.pipelines.tool_models import device, models, noise, repeating, rrdbnet


def picture(width: int = 16, height: int = 16) -> Image.Image:
    return Image.fromarray(noise(height, width))


@pytest.fixture
def larger(tmp_path: Path) -> Larger:
    """The fast network repeats each pixel; the others are small and random."""
    files = {FAST: repeating(), PHOTO: rrdbnet(), DRAWING: rrdbnet(blocks=1)}
    return Larger(device(tmp_path), models(tmp_path / "models", files))


def test_a_small_drawing_is_brought_to_the_size_by_the_fast_network(larger: Larger) -> None:
    made = larger(picture(), 64, 64, doubled=False)
    assert made.by == (FAST,)
    assert np.array_equal(np.asarray(made.image), np.asarray(picture()).repeat(4, axis=0).repeat(4, axis=1))


@pytest.mark.parametrize(("width", "height"), [(24, 24), (128, 128), (30, 60)])
def test_every_size_is_met_to_the_pixel(larger: Larger, width: int, height: int) -> None:
    made = larger(picture(), width, height, doubled=False)
    assert made.image.size == (width, height) and made.by == (FAST,)


def test_what_has_its_size_already_goes_through_no_network(larger: Larger) -> None:
    made = larger(picture(), 16, 16, doubled=False)
    assert made.by == () and np.array_equal(np.asarray(made.image), np.asarray(picture()))


def test_super_resolution_doubles_by_the_network_that_fits_the_picture(larger: Larger) -> None:
    photo = larger(picture(), 16, 16, doubled=True)
    flat = Image.new("RGB", (16, 16), "teal")
    flat.paste("white", (4, 4, 12, 12))
    drawing = larger(flat, 16, 16, doubled=True)
    assert (photo.by, drawing.by) == ((PHOTO,), (DRAWING,))
    assert photo.image.size == drawing.image.size == (32, 32)


def test_without_weights_it_is_brought_to_its_size_plainly_and_not_doubled(tmp_path: Path) -> None:
    larger = Larger(device(tmp_path), models(tmp_path / "models", {}))
    made = larger(picture(), 64, 64, doubled=False)
    assert made.by == () and np.array_equal(np.asarray(made.image), np.asarray(fitted(picture(), 64, 64)))
    with pytest.raises(WeightsMissing, match="models fetch"):
        larger(picture(), 64, 64, doubled=True)


def test_cancelling_stops_within_a_picture(larger: Larger) -> None:
    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        larger(picture(), 64, 64, doubled=False, tick=stop)
