"""Upscale: the picture comes out larger and otherwise the same, in tiles or whole, whatever kind of file it was."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from skimage import data

from studio.domain import (
    BrokenWeights,
    Cancelled,
    OutOfMemory,
    Progress,
    Refused,
    UpscaleRequest,
    WeightsMissing,
)
from studio.pipelines import esrgan, recipe, tiles
from studio.pipelines.picture_files import Array, read
from studio.pipelines.recipe import save_png
from studio.pipelines.upscale import Upscale, Upscaler
from studio.pipelines.weights import Catalogue
from studio.tools import UPSCALE_MODELS, told
from tests.pipelines.tool_models import (
    COMPACT,
    DRAWING,
    PHOTO,
    compact,
    device,
    ids,
    models,
    noise,
    real_models,
    repeating,
    rrdbnet,
    saved,
    task,
)


def never() -> bool:
    return False


def nothing(progress: Progress) -> None:
    pass


@pytest.fixture
def runner(tmp_path: Path) -> Upscale:
    """Upscale with a compact network that repeats each pixel, so that what should come out is known to the bit."""
    return Upscale(device(tmp_path), models(tmp_path / "models", {COMPACT: repeating()}))


def larger(pixels: Array, scale: int = 4) -> Array:
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def upscaled(runner: Upscale, folder: Path, *files: Path, scale: int = 4) -> list[Path]:
    request = UpscaleRequest(uploads=ids(len(files)), scale=scale, model=COMPACT)
    return [drawn.file for drawn in runner(task(folder / "job", request, files), nothing, never)]


# --- every kind of file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_a_picture_keeps_its_pixels_and_its_kind(runner: Upscale, tmp_path: Path, mode: str, scale: int) -> None:
    image = Image.fromarray(noise(9, 13, channels=4)).convert(mode)
    image.save(tmp_path / "a.png")
    (made,) = upscaled(runner, tmp_path, tmp_path / "a.png", scale=scale)
    with Image.open(made) as result:
        kind = {"P": "RGBA" if image.has_transparency_data else "RGB", "1": "L"}.get(mode, mode)
        assert result.mode == kind
        expected = larger(np.asarray(image.convert(kind)), scale)
        seen = expected[..., -1] > 0 if kind in ("RGBA", "LA") else np.ones(expected.shape[:2], bool)
        assert np.array_equal(np.asarray(result)[seen], expected[seen])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_stay_sixteen(runner: Upscale, tmp_path: Path, channels: int) -> None:
    pixels = noise(9, 13, np.uint16, channels)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    (made,) = upscaled(runner, tmp_path, tmp_path / "a.png")
    found = cv2.imread(str(made), cv2.IMREAD_UNCHANGED)
    assert found is not None
    assert np.abs(found.reshape(36, 52, channels).astype(int) - larger(pixels)).max() <= 1


def test_the_smallest_picture_there_is(runner: Upscale, tmp_path: Path) -> None:
    (made,) = upscaled(runner, tmp_path, saved(tmp_path / "a.png", noise(1, 1)))
    assert np.array_equal(read(made).colour, larger(noise(1, 1)))


def test_what_nobody_sees_does_not_shine_through_at_the_edges(tmp_path: Path) -> None:
    pixels = np.zeros((24, 24, 4), np.uint8)
    pixels[4:20, 4:20] = (255, 255, 255, 255)
    saved(tmp_path / "a.png", pixels)
    runner = Upscale(device(tmp_path), models(tmp_path / "models", {COMPACT: repeating()}))
    (made,) = upscaled(runner, tmp_path, tmp_path / "a.png")
    assert (read(made).colour == 255).all(), "black was hidden beside the white, and is white now"


def test_a_phones_photo_is_turned_upright(runner: Upscale, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(8, 16)).save(tmp_path / "a.png", exif=exif)
    (made,) = upscaled(runner, tmp_path, tmp_path / "a.png")
    assert np.array_equal(read(made).colour, larger(np.rot90(noise(8, 16), -1)))


def test_the_colour_profile_is_kept(runner: Upscale, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.png", icc_profile=profile)
    (made,) = upscaled(runner, tmp_path, tmp_path / "a.png")
    assert read(made).profile == profile


# --- what it carries -------------------------------------------------------------------------------------------------


def a_recipe() -> dict[str, Any]:
    return {
        "format": 1,
        "prompt": "a cat",
        "steps": 5,
        "sampler": "Euler",
        "guidance": 7.0,
        "seed": 3,
        "width": 8,
        "height": 8,
        "base": {"id": "starter", "revision": "abc"},
        "versions": {"likeness": "Likeness 1"},
    }


def test_a_picture_of_the_studios_keeps_its_recipe_and_its_mark_and_says_what_was_done(
    runner: Upscale, tmp_path: Path
) -> None:
    save_png(Image.fromarray(noise(8, 8)), tmp_path / "a.png", a_recipe())
    (once,) = upscaled(runner, tmp_path, tmp_path / "a.png", scale=2)
    (twice,) = upscaled(runner, tmp_path / "job", once)
    carried = recipe.read(twice)
    assert carried.marked
    assert carried.fields["Prompt"] == "a cat"
    assert carried.recipe is not None
    assert carried.recipe["prompt"] == "a cat"
    assert [(step["tool"], step["scale"], step["to"]) for step in carried.recipe["tools"]] == [
        ("upscale", 2, [16, 16]),
        ("upscale", 4, [64, 64]),
    ]


def test_a_photo_is_not_passed_off_as_drawn_by_a_model(runner: Upscale, tmp_path: Path) -> None:
    (made,) = upscaled(runner, tmp_path, saved(tmp_path / "a.png", noise(8, 8)))
    assert not recipe.read(made).marked
    assert b"compositeWithTrainedAlgorithmicMedia" in made.read_bytes()


def test_what_a_foreign_file_carries_as_a_recipe_is_not_believed_without_limit(runner: Upscale, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    vast = a_recipe() | {"prompt": "x" * 60_000, "tools": "none"}
    save_png(Image.fromarray(noise(8, 8)), tmp_path / "x" / "a.png", vast)
    (made,) = upscaled(runner, tmp_path, tmp_path / "x" / "a.png")
    assert len(json.dumps(recipe.read(made).recipe)) < 1000


# --- a batch ---------------------------------------------------------------------------------------------------------


def test_a_bad_file_is_told_of_and_the_rest_is_done(runner: Upscale, tmp_path: Path) -> None:
    good = saved(tmp_path / "a.png", noise(8, 8))
    (tmp_path / "b.png").write_bytes(b"no picture")
    request = UpscaleRequest(uploads=ids(3), model=COMPACT)
    reports: list[Progress] = []
    drawings = runner(task(tmp_path / "job", request, [good, tmp_path / "b.png", good]), reports.append, never)
    assert [next(drawings).index, next(drawings).index] == [0, 2]
    with pytest.raises(Refused, match="1 of 3 pictures"):
        next(drawings)
    assert list(told(tuple(report.warning for report in reports if report.warning))) == [1]


def test_the_only_picture_fails_with_its_own_sentence(runner: Upscale, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(Refused, match="is no picture"):
        upscaled(runner, tmp_path, tmp_path / "a.png")


def test_what_is_done_is_not_done_again(runner: Upscale, tmp_path: Path) -> None:
    good = saved(tmp_path / "a.png", noise(8, 8))
    request = UpscaleRequest(uploads=ids(3), model=COMPACT)
    work = task(tmp_path / "job", request, [good] * 3, done=[0, 2])
    assert [drawn.index for drawn in runner(work, nothing, never)] == [1]


def test_progress_runs_from_picture_to_picture(
    runner: Upscale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.pipelines.batches.TELL_S", 0)
    good = saved(tmp_path / "a.png", noise(8, 8))
    reports: list[Progress] = []
    list(
        runner(task(tmp_path / "job", UpscaleRequest(uploads=ids(2), model=COMPACT), [good] * 2), reports.append, never)
    )
    steps = [report.step for report in reports]
    assert steps == sorted(steps)
    assert reports[-1].step <= reports[-1].steps
    assert {report.message for report in reports} == {"Picture 1 of 2.", "Picture 2 of 2."}


def test_cancelling_stops_within_a_picture_and_leaves_no_file(tmp_path: Path) -> None:
    runner = Upscale(device(tmp_path), models(tmp_path / "models", {PHOTO: rrdbnet(blocks=6)}))
    file = saved(tmp_path / "a.png", noise(40, 40))
    asked = 0

    def third_time() -> bool:
        nonlocal asked
        asked += 1
        return asked >= 3

    request = UpscaleRequest(uploads=ids(1), model=PHOTO)
    with pytest.raises(Cancelled):
        list(runner(task(tmp_path / "job", request, [file]), nothing, third_time))
    assert list((tmp_path / "job").iterdir()) == []


@pytest.mark.parametrize("model", [PHOTO, "auto", "realesr-general-x4v3"])
def test_missing_weights_are_one_sentence_with_the_command_within_a_second(tmp_path: Path, model: str) -> None:
    runner = Upscale(device(tmp_path), models(tmp_path / "models", {DRAWING: rrdbnet()}))
    file = saved(tmp_path / "a.png", noise(8, 8))
    begun = time.monotonic()
    with pytest.raises(WeightsMissing, match=r"models fetch real\S+$"):
        list(runner(task(tmp_path / "job", UpscaleRequest(uploads=ids(1), model=model), [file]), nothing, never))
    assert time.monotonic() - begun < 1


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tensors", [rrdbnet(), compact()], ids=["rrdbnet", "compact"])
def test_strips_of_the_last_layers_are_the_whole(
    tmp_path: Path, tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = PHOTO if "conv_first.weight" in tensors else COMPACT
    bases = models(tmp_path, {name: tensors})
    network = esrgan.load(tmp_path / bases.catalogue.weight(name).file, torch.device("cpu"), torch.float32)
    pixels = torch.rand((2, 3, 50, 20), generator=torch.Generator().manual_seed(7))

    def whole() -> torch.Tensor:
        strips = [strip for _, strip in network.strips(pixels, lambda: None)]
        made.append(len(strips))
        return torch.cat(strips, dim=2)

    made: list[int] = []
    with torch.inference_mode():
        one = whole()
        monkeypatch.setattr(esrgan, "STRIP_BYTES", 1)
        monkeypatch.setattr(esrgan, "LEAST_STRIP", 7)
        other = whole()
    assert made == [1, 8]
    assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", [PHOTO, COMPACT])
def test_tiles_give_what_the_whole_gives(tmp_path: Path, name: str) -> None:
    tensors = rrdbnet() if name == PHOTO else compact()
    upscaler = Upscaler(device(tmp_path, precision="fp32"), models(tmp_path / "models", {name: tensors}))
    picture = cv2.GaussianBlur(noise(150, 190), (0, 0), 2)
    plan = upscaler.plan(picture, scale=4, model=name)
    assert len(plan.grid) == 1
    whole = np.concatenate(list(upscaler.bands(picture, plan)))
    cut = tiles.grid(190, 150, most=1, margin=plan.enlarger.margin)
    assert len(cut) > 3
    tiled = np.concatenate(list(upscaler.bands(picture, replace(plan, grid=cut, batch=3))))
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_little_memory_makes_small_tiles(tmp_path: Path) -> None:
    bases = models(tmp_path / "models", {PHOTO: rrdbnet(channels=64, grown=32)})
    picture = noise(1000, 1000)
    little = Upscaler(device(tmp_path, memory_gb=0.5), bases).plan(picture, scale=4, model=PHOTO)
    plenty = Upscaler(device(tmp_path, memory_gb=8), bases).plan(picture, scale=4, model=PHOTO)
    assert len(little.grid) > len(plenty.grid)
    assert little.grid.tile_pixels * little.enlarger.pixel_bytes < 0.5 * 2**30


@pytest.mark.parametrize("scale", [2, 4])
def test_a_full_memory_halves_the_work_until_it_fits(tmp_path: Path, scale: int) -> None:
    upscaler = Upscaler(device(tmp_path, precision="fp32"), models(tmp_path / "models", {COMPACT: compact()}))
    picture = cv2.GaussianBlur(noise(200, 300), (0, 0), 2)
    plan = upscaler.plan(picture, scale=scale, model=COMPACT)
    expected = np.concatenate(list(upscaler.bands(picture, plan)))
    seen: list[int] = []

    def features(pixels: torch.Tensor, tick: esrgan.Tick) -> torch.Tensor:
        seen.append(pixels.shape[2] * pixels.shape[3])
        if seen[-1] > 20_000:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plan.enlarger.features(pixels, tick)

    full = replace(plan, enlarger=replace(plan.enlarger, features=features))
    made = np.concatenate(list(upscaler.bands(picture, full)))
    assert seen[0] > 20_000
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_memory_for_nothing_at_all_is_said_with_figures(tmp_path: Path) -> None:
    upscaler = Upscaler(device(tmp_path), models(tmp_path / "models", {COMPACT: compact()}))
    picture = noise(100, 100)
    plan = upscaler.plan(picture, scale=4, model=COMPACT)

    def features(pixels: torch.Tensor, tick: esrgan.Tick) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    full = replace(plan, enlarger=replace(plan.enlarger, features=features))
    with pytest.raises(OutOfMemory, match=r"cpu has \d"):
        list(upscaler.bands(picture, full))


def test_a_file_that_is_no_network_is_said_to_be_none(tmp_path: Path) -> None:
    upscaler = Upscaler(device(tmp_path), models(tmp_path / "models", {PHOTO: {"conv_first.weight": torch.zeros(3)}}))
    with pytest.raises(BrokenWeights, match="no Real-ESRGAN network"):
        upscaler.plan(noise(8, 8), scale=4, model=PHOTO)


# --- the real ones ---------------------------------------------------------------------------------------------------


def energy(picture: Array) -> float:
    """Mean length of the gradient of the grey picture."""
    grey = picture.astype(np.float64).mean(axis=2)
    return float(np.hypot(np.diff(grey, axis=0)[:, 1:], np.diff(grey, axis=1)[1:]).mean())


def test_a_photo_comes_out_sharper_than_bicubic_and_is_still_the_photo(tmp_path: Path) -> None:
    upscaler = Upscaler(device(tmp_path), real_models(PHOTO))
    original = data.astronaut()
    small = Image.fromarray(original).resize((128, 128), Image.Resampling.LANCZOS)
    bicubic = np.asarray(small.resize((512, 512), Image.Resampling.BICUBIC))
    made = upscaler.enlarged(np.asarray(small), scale=4)
    assert energy(made) > 1.3 * energy(bicubic)
    assert abs(energy(made) - energy(original)) < abs(energy(bicubic) - energy(original))
    back = np.asarray(Image.fromarray(made).resize((128, 128), Image.Resampling.LANCZOS))
    assert np.abs(back.astype(int) - np.asarray(small)).mean() < 5


def test_real_tiles_differ_little_from_the_whole(tmp_path: Path) -> None:
    upscaler = Upscaler(device(tmp_path), real_models(COMPACT))
    picture = np.ascontiguousarray(data.astronaut()[:200, 100:330])
    plan = upscaler.plan(picture, scale=4, model=COMPACT)
    whole = np.concatenate(list(upscaler.bands(picture, plan)))
    cut = tiles.grid(230, 200, most=1, margin=plan.enlarger.margin)
    tiled = np.concatenate(list(upscaler.bands(picture, replace(plan, grid=cut))))
    assert len(cut) > 3
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_the_network_that_comes_as_a_pth_loads_too(tmp_path: Path) -> None:
    name = "realesr-general-x4v3"
    upscaler = Upscaler(device(tmp_path), models(tmp_path / "models", {name: repeating(convolutions=3)}))
    assert np.array_equal(upscaler.enlarged(noise(8, 9), scale=4, model=name), larger(noise(8, 9)))


@pytest.mark.parametrize("name", [model for model in UPSCALE_MODELS if model != "auto"])
def test_every_model_that_may_be_asked_for_is_in_the_catalogue(name: str) -> None:
    assert Catalogue.read().weight(name).id == name
