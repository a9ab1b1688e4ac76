"""Faces on avatars: made clearer as on photos; a picture on which none is found stays as it was drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.domain import BrokenPicture, Refused, WeightsMissing
from studio.pipelines import tool_weights
from studio.pipelines.clearer import Clearer
from studio.pipelines.larger import Enlarged
from studio.pipelines.picture_files import Photo
from studio.pipelines.results import GENERATED, Result
from tests.pipelines.tool_models import device, models


class Tool:
    """In place of the tool: turns every pixel to its opposite, or finds nothing."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def enhanced(self, photo: Photo, model: str, strength: float, advance: Any) -> Result:
        advance(0.5)
        if self.error:
            raise self.error
        return Result(
            width=photo.width, height=photo.height, channels=3, depth=8, profile=None, bands=[255 - photo.rgb],
            did={"model": model, "strength": strength}, source_type=GENERATED,
        )  # fmt: skip


@pytest.fixture
def clearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clearer:
    monkeypatch.setattr(tool_weights, "check", lambda *_: None)
    bases: Any = None
    monkeypatch.setattr(tool_weights, "face_model", lambda *_: "gfpgan")
    return Clearer(device(tmp_path), bases)


DRAWN = Enlarged(image=Image.new("RGB", (8, 6), (10, 20, 30)), by=("some",))


def test_a_face_is_made_clearer_and_the_recipe_can_tell_how(clearer: Clearer) -> None:
    clearer._tool = Tool()  # pyright: ignore[reportPrivateUsage] - else it would load dlib
    made = clearer(DRAWN, lambda: None)
    assert (np.asarray(made.image) == (245, 235, 225)).all() and made.by == ("some",)
    assert made.faces == {"model": "gfpgan", "strength": 0.8}


@pytest.mark.parametrize("error", [Refused("No face was found."), BrokenPicture("Another one's.")])
def test_a_picture_of_which_nothing_can_be_made_stays_as_it_was(clearer: Clearer, error: Exception) -> None:
    clearer._tool = Tool(error)  # pyright: ignore[reportPrivateUsage]
    assert clearer(DRAWN, lambda: None) == DRAWN


def test_it_can_be_stopped_between(clearer: Clearer) -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    clearer._tool = Tool()  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(Stopped):
        clearer(DRAWN, stop)


def test_without_the_weights_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="models fetch"):
        Clearer(device(tmp_path), models(tmp_path, {}))(DRAWN, lambda: None)
