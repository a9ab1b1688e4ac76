"""Background removal: what is in front stays as it was, and stands on what was asked for."""

import io
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from studio.domain import BackgroundRequest, Cancelled, Drawn, Progress, Refused, WeightsMissing
from studio.pipelines import cutout, recipe
from studio.pipelines.background import Background, cut_out
from studio.pipelines.picture_files import Array, read
from studio.pipelines.results import mask_png
from tests.pipelines.tool_models import device, ids, models, noise, real_models, saved, task

PERSON = Path(__file__).parent.parent / "data" / "astronaut-mask.png"
"""The astronaut with her helmet, drawn by hand on the picture of 512 by 512: white is what is in front."""


def never() -> bool:
    return False


def nothing(progress: Progress) -> None:
    pass


class Disc:
    """In place of a session: finds a disc about the middle, soft at the edge over so many pixels."""

    def __init__(self, soft: float = 0) -> None:
        self.soft = soft

    def predict(self, image: Image.Image) -> list[Image.Image]:
        return [Image.fromarray(np.rint(disc(image.height, image.width, self.soft) * 255).astype(np.uint8))]


def disc(height: int, width: int, soft: float = 0) -> Array:
    rows, columns = np.mgrid[:height, :width]
    away = np.hypot(rows - height / 2 + 0.5, columns - width / 2 + 0.5) - min(height, width) * 0.3
    return np.clip(0.5 - away / max(soft, 1e-6), 0, 1).astype(np.float32)


@pytest.fixture
def runner(tmp_path: Path) -> Background:
    made = Background(device(tmp_path), models(tmp_path / "models", {}))
    made.device.held("background:u2netp", 0, Disc)
    made.bases = models(tmp_path / "models", {"u2netp": {}})
    return made


def made(runner: Background, folder: Path, *files: Path, behind: Path | None = None, **fields: object) -> list[Drawn]:
    request = BackgroundRequest.from_json(
        {"uploads": list(ids(len(files))), **fields} | ({"on": "picture", "behind": "b"} if behind else {})
    )
    return list(runner(task(folder / "job", request, files, behind=behind), nothing, never))


def step(drawn: Drawn) -> dict[str, Any]:
    """What the recipe says was done last."""
    steps: Any = drawn.recipe["tools"]
    return steps[-1]


# --- what comes out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_on_nothing_the_pixels_in_front_stay_as_they_were_and_the_rest_is_transparent(
    runner: Background, tmp_path: Path, mode: str
) -> None:
    picture = np.asarray(Image.fromarray(noise(40, 60)).convert(mode))
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", picture))
    found = read(drawn.file)
    assert np.array_equal(found.colour, picture)
    assert found.alpha is not None
    assert np.array_equal(found.alpha, np.rint(disc(40, 60) * 255))
    assert (drawn.width, drawn.height) == (60, 40)


def test_what_was_transparent_stays_transparent(runner: Background, tmp_path: Path) -> None:
    picture = noise(40, 60, channels=4)
    picture[20, 30, 3] = 100
    picture[20, 31, 3] = 0
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", picture))
    alpha = read(drawn.file).alpha
    assert alpha is not None
    assert (alpha[20, 30], alpha[20, 31]) == (100, 0)


@pytest.mark.parametrize(("matting", "stages"), [(True, [0.2, 0.8]), (False, [0.8, 0.8])])
def test_after_each_stage_it_is_told_how_much_is_done_and_may_be_stopped(
    tmp_path: Path, matting: bool, stages: list[float]
) -> None:
    photo = read(saved(tmp_path / "a.png", noise(40, 60)))
    request = BackgroundRequest(uploads=("a",), matting=matting)
    session: Any = Disc()
    shares: list[float] = []
    cut_out(photo, request, session, None, shares.append)
    assert shares == stages

    def stop(share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        cut_out(photo, request, session, None, stop)


def test_sixteen_bits_stay_sixteen(runner: Background, tmp_path: Path) -> None:
    pixels = noise(40, 60, np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    for on in ("transparent", "#ff8000"):
        (drawn,) = made(runner, tmp_path, tmp_path / "a.png", on=on)
        found = read(drawn.file)
        assert found.depth == 16
        assert np.array_equal(found.colour[20, 30], pixels[20, 30, ::-1])
    assert found.colour[0, 0].tolist() == [65535, 128 * 257, 0]


def test_on_a_colour_the_ground_is_that_colour(runner: Background, tmp_path: Path) -> None:
    picture = noise(40, 60)
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", picture), on="#ff8000")
    found = read(drawn.file)
    inside = disc(40, 60) > 0.5
    assert found.alpha is None
    assert (found.colour[~inside] == (255, 128, 0)).all()
    assert np.array_equal(found.colour[inside], picture[inside])


def test_a_colour_means_what_it_says_on_a_picture_with_a_profile_too(runner: Background, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(noise(40, 60)).save(tmp_path / "a.png", icc_profile=profile)
    (drawn,) = made(runner, tmp_path, tmp_path / "a.png", on="#ff8000")
    found = read(drawn.file)
    assert found.profile == profile
    assert np.abs(found.colour[0, 0].astype(int) - (255, 128, 0)).max() <= 1


def test_on_a_blur_what_was_in_front_does_not_shine_through(runner: Background, tmp_path: Path) -> None:
    picture = np.full((200, 300, 3), (0, 0, 255), np.uint8)
    picture[disc(200, 300) > 0] = (255, 255, 0)
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", picture), on="blur")
    found = read(drawn.file)
    outside = disc(200, 300) == 0
    assert np.abs(found.colour[outside].astype(int) - (0, 0, 255)).max() <= 1
    assert np.array_equal(found.colour[100, 150], (255, 255, 0))


def test_a_blurred_ground_is_blurred() -> None:
    picture = noise(300, 300)
    ground = cutout.blurred_ground(picture, np.zeros((300, 300), np.float32))
    assert ground.std() < picture.std() / 5
    assert np.abs(ground.mean(axis=(0, 1)) - picture.mean(axis=(0, 1))).max() < 3


@pytest.mark.parametrize("size", [(30, 20), (400, 100), (100, 400), (1, 1)])
def test_on_a_picture_that_one_fills_the_ground_whatever_its_shape(
    runner: Background, tmp_path: Path, size: tuple[int, int]
) -> None:
    behind = saved(tmp_path / "behind.png", np.full((*size, 3), (10, 200, 30), np.uint8))
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", noise(40, 60)), behind=behind)
    assert (read(drawn.file).colour[disc(40, 60) == 0] == (10, 200, 30)).all()


def test_the_picture_behind_is_cut_about_its_middle(runner: Background, tmp_path: Path) -> None:
    wide = np.zeros((40, 240, 3), np.uint8)
    wide[:, 90:150] = noise(40, 60)
    behind = saved(tmp_path / "behind.png", wide)
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", noise(40, 60)), behind=behind)
    outside = disc(40, 60) == 0
    assert np.array_equal(read(drawn.file).colour[outside], noise(40, 60)[outside])


def test_a_broken_picture_behind_is_said_to_be_broken(runner: Background, tmp_path: Path) -> None:
    (tmp_path / "behind.png").write_bytes(b"no")
    with pytest.raises(Refused, match="The picture behind is no picture") as caught:
        made(runner, tmp_path, saved(tmp_path / "a.png", noise(40, 60)), behind=tmp_path / "behind.png")
    assert caught.value.field == "behind"


@pytest.mark.parametrize("on", ["transparent", "white", "blur"])
def test_the_mask_can_be_had_of_every_result(runner: Background, tmp_path: Path, on: str) -> None:
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", noise(40, 60)), on=on)
    png = mask_png(drawn.file)
    assert png is not None
    with Image.open(io.BytesIO(png)) as mask:
        assert np.array_equal(np.asarray(mask), np.rint(disc(40, 60) * 255))


def test_a_picture_nothing_was_cut_out_of_has_no_mask(tmp_path: Path) -> None:
    assert mask_png(saved(tmp_path / "a.png", noise(4, 6))) is None


def test_a_photo_without_its_background_is_marked_as_edited_not_as_drawn(runner: Background, tmp_path: Path) -> None:
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", noise(40, 60)))
    carried = recipe.read(drawn.file)
    assert not carried.marked
    assert b"digitalsourcetype/algorithmicallyEnhanced" in drawn.file.read_bytes()
    assert carried.recipe == drawn.recipe
    assert step(drawn)["model"] == "u2netp"


# --- matting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [300, 1500])
def test_matting_finds_the_edge_that_the_mask_has_only_roughly(side: int) -> None:
    true = disc(side, side, soft=2)
    picture = np.rint(cutout.on_ground(np.full((side, side, 3), (230, 180, 40.0)), true, np.array([20, 40, 90.0])))
    rough = disc(side, side, soft=side / 20)
    found = cutout.matted(picture.astype(np.uint8), rough)
    assert found is not None
    mask, colours = found
    assert np.abs(mask - true).mean() < np.abs(rough - true).mean() / 4
    edge = (true > 0.2) & (true < 0.8)
    assert np.abs(colours[edge] - (230, 180, 40)).mean() < np.abs(picture[edge] - (230, 180, 40)).mean() / 3


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_matting_of_a_mask_that_has_no_edge_leaves_the_mask(runner: Background, tmp_path: Path, value: float) -> None:
    assert cutout.matted(noise(40, 60), np.full((40, 60), value, np.float32)) is None


def test_matting_says_so_in_the_recipe(runner: Background, tmp_path: Path) -> None:
    runner.device.unload()
    runner.device.held("background:u2netp", 0, lambda: Disc(soft=20))
    picture = np.full((200, 200, 3), 40, np.uint8)
    picture[disc(200, 200) > 0.5] = 220
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", picture), matting=True)
    assert step(drawn)["matting"] is True


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["u2net", "isnet-general-use", "birefnet-portrait"])
def test_missing_weights_are_one_sentence_with_the_command_within_a_second(
    runner: Background, tmp_path: Path, model: str
) -> None:
    begun = time.monotonic()
    with pytest.raises(WeightsMissing, match=f"models fetch {model}"):
        made(runner, tmp_path, saved(tmp_path / "a.png", noise(4, 6)), model=model)
    assert time.monotonic() - begun < 1


def test_the_mask_of_the_astronaut_agrees_with_one_drawn_by_hand(tmp_path: Path) -> None:
    real = Background(device(tmp_path), real_models("u2netp"))
    (drawn,) = made(real, tmp_path, saved(tmp_path / "a.png", data.astronaut()))
    with Image.open(PERSON) as hand:
        drawn_by_hand = np.asarray(hand)
    alpha = read(drawn.file).alpha
    assert alpha is not None
    found = alpha >= 128
    assert (found & drawn_by_hand).sum() / (found | drawn_by_hand).sum() >= 0.9


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (3, 700)])
def test_odd_pictures_have_a_mask_too(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    real = Background(device(tmp_path), real_models("u2netp"))
    Image.new(mode, size).save(tmp_path / "a.jpg")
    (drawn,) = made(real, tmp_path, tmp_path / "a.jpg", on="white")
    assert (drawn.width, drawn.height) == size
