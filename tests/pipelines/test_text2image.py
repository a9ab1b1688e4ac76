"""Drawing with tiny random bases: every family, seeds, batches, what goes wrong."""

import socket
import time
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from studio.domain import BrokenPicture, Cancelled, OutOfMemory, Refused, WeightsMissing
from studio.pipelines import preview, text2image
from studio.pipelines.device import Device
from studio.pipelines.larger import Larger
from studio.pipelines.loading import key, loaded
from studio.pipelines.recipe import read
from studio.pipelines.tool_weights import DRAWING, PHOTO
from tests.pipelines import tool_models
from tests.pipelines.drawing import Easel, easel, pixels
from tests.pipelines.tool_models import rrdbnet

EVERY_BASE = ["starter", "sd15", "sdxl", "klein-4b", "klein-base-4b", "z-image", "z-image-turbo"]


@pytest.fixture(scope="module")
def drawn(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Easel:
    """An easel whose bases stay warm from test to test."""
    return easel(models, tmp_path_factory.mktemp("task"))


@pytest.fixture(autouse=True)
def forgotten(drawn: Easel) -> None:
    drawn.progress.clear()


# --- every family ---


@pytest.mark.parametrize("base", EVERY_BASE)
def test_every_family_draws_pictures_of_the_asked_size(drawn: Easel, base: str) -> None:
    pictures = drawn.draw(base=base, count=2, width=128, height=192)
    assert [(one.index, one.seed, one.width, one.height) for one in pictures] == [(0, 7, 128, 192), (1, 8, 128, 192)]
    first, second = (pixels(one.file) for one in pictures)
    assert first.shape == (192, 128, 3) and not numpy.array_equal(first, second)
    assert drawn.warnings == []


@pytest.mark.parametrize("base", EVERY_BASE)
def test_every_family_starts_from_a_picture(drawn: Easel, base: str, tmp_path: Path) -> None:
    Image.effect_noise((200, 160), 80).save(tmp_path / "init.png")
    asked = {"base": base, "init": "upload", "inputs": {"init": tmp_path / "init.png"}, "steps": 4}
    (little,) = drawn.pixels(strength=0.3, **asked).values()
    (much,) = drawn.pixels(strength=1, **asked).values()
    assert little.shape == (128, 128, 3) and not numpy.array_equal(little, much)


@pytest.mark.parametrize("base", EVERY_BASE)
def test_what_is_not_masked_stays_to_the_pixel(drawn: Easel, base: str, tmp_path: Path) -> None:
    Image.effect_noise((128, 128), 80).convert("RGB").save(tmp_path / "init.png")
    mask = Image.new("L", (128, 128))
    mask.paste(255, (0, 0, 64, 128))
    mask.save(tmp_path / "mask.png")
    inputs = {"init": tmp_path / "init.png", "mask": tmp_path / "mask.png"}
    (out,) = drawn.pixels(base=base, init="upload", mask="upload2", strength=1, inputs=inputs).values()
    before = pixels(tmp_path / "init.png")
    assert numpy.array_equal(out[:, 64:], before[:, 64:])
    assert not numpy.array_equal(out[:, :64], before[:, :64])


# --- seeds ---


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("guidance", [5, 1])
@pytest.mark.parametrize("scheduler", ["ddim", "euler-a"])
def test_a_picture_is_the_same_to_the_bit_alone_and_in_any_batch(
    models: Path, tmp_path: Path, precision: str, guidance: float, scheduler: str
) -> None:
    here = easel(models, tmp_path, precision=precision)
    asked = {"guidance": guidance, "scheduler": scheduler, "width": 128, "height": 192}
    eight = here.pixels(count=8, **asked)
    again = here.pixels(count=8, **asked)
    assert all(numpy.array_equal(eight[index], again[index]) for index in range(8))
    for count in (1, 3):
        fewer = here.pixels(count=count, seed=7 + 5, **asked)
        assert all(numpy.array_equal(fewer[index], eight[5 + index]) for index in range(count))
    rest = here.pixels(count=8, done=frozenset(range(8)) - {2, 6}, **asked)
    assert rest.keys() == {2, 6}
    assert numpy.array_equal(rest[2], eight[2]) and numpy.array_equal(rest[6], eight[6])


@pytest.mark.parametrize("base", ["sdxl", "klein-base-4b", "z-image"])
def test_other_families_keep_their_seeds_in_any_batch_too(drawn: Easel, base: str) -> None:
    three = drawn.pixels(base=base, count=3)
    (second,) = drawn.pixels(base=base, seed=8).values()
    assert numpy.array_equal(second, three[1])


def test_another_request_in_between_changes_nothing(drawn: Easel) -> None:
    before = drawn.pixels()
    drawn.draw(scheduler="euler-a", guidance=9, seed=1, steps=4)
    assert numpy.array_equal(before[0], drawn.pixels()[0])


def test_what_is_done_is_not_drawn_again(drawn: Easel) -> None:
    assert drawn.draw(count=2, done=frozenset({0, 1})) == []
    assert drawn.progress == []


# --- what a request may ask ---


def test_prompt_negative_guidance_and_style_each_change_the_picture(drawn: Easel) -> None:
    plain = drawn.pixels(guidance=4)[0]
    for asked in ({"prompt": "a cat"}, {"negative": "hat"}, {"guidance": 8}, {"style": "comic"}):
        assert not numpy.array_equal(plain, drawn.pixels(**{"guidance": 4} | asked)[0]), asked


def test_a_prompt_that_is_too_long_is_cut_and_says_where(drawn: Easel) -> None:
    words = " ".join(f"word{number}" for number in range(30))
    drawn.draw(prompt=words)
    (warning,) = drawn.warnings
    kept = warning.split("“")[1].split("”")[0].removeprefix("...")
    assert "this base reads 75" in warning and kept in words
    cut = words[: words.index(kept) + len(kept)]
    assert numpy.array_equal(drawn.pixels(prompt=words)[0], drawn.pixels(prompt=cut)[0])


@pytest.mark.parametrize("base", ["klein-4b", "z-image"])
def test_a_chat_model_is_cut_inside_its_template(drawn: Easel, base: str) -> None:
    words = "word " * 300
    before = drawn.pixels(base=base, prompt=words)[0]
    assert "cut after" in drawn.warnings[0]
    # Words behind the cut change nothing: had the template's end been cut instead, they would.
    assert numpy.array_equal(before, drawn.pixels(base=base, prompt=words + "and more")[0])


def test_a_base_without_negative_prompt_or_guidance_says_what_it_left_out(drawn: Easel) -> None:
    drawn.draw(base="klein-4b", negative="hat", guidance=7)
    assert [warning.partition(":")[0] for warning in drawn.warnings] == [
        "FLUX.2 klein takes no negative prompt",
        "FLUX.2 klein takes no guidance",
    ]


@pytest.mark.parametrize(("base", "scheduler"), [("starter", "lcm"), ("sd15", "flow-euler"), ("klein-4b", "ddim")])
def test_a_scheduler_of_another_family_is_refused_naming_the_allowed(drawn: Easel, base: str, scheduler: str) -> None:
    with pytest.raises(Refused) as refused:
        drawn.draw(base=base, scheduler=scheduler)
    assert refused.value.field == "scheduler" and scheduler not in (refused.value.allowed or "")


@pytest.mark.parametrize("base", ["starter", "sd15", "sdxl"])
@pytest.mark.parametrize("scheduler", ["ddim", "dpmpp-2m", "euler-a", "unipc"])
def test_every_scheduler_of_a_row_draws(drawn: Easel, base: str, scheduler: str) -> None:
    (one,) = drawn.draw(base=base, scheduler=scheduler, steps=6)
    assert one.recipe["scheduler"] == scheduler
    assert (one.recipe["schedule"] == "Karras") == (base != "starter" and scheduler == "dpmpp-2m")


def test_an_unknown_base_is_refused_and_a_known_one_that_is_not_here_says_how_to_get_it(
    tmp_path: Path, models: Path
) -> None:
    empty = easel(tmp_path, tmp_path)
    started = time.monotonic()
    with pytest.raises(WeightsMissing, match="models fetch sdxl"):
        empty.draw(base="sdxl")
    with pytest.raises(Refused) as refused:
        easel(models, tmp_path).draw(base="nosuch")
    assert "starter" in (refused.value.allowed or "")
    assert time.monotonic() - started < 1


def test_an_unknown_style_is_refused(drawn: Easel) -> None:
    with pytest.raises(Refused) as refused:
        drawn.draw(style="cubist")
    assert refused.value.field == "style" and "comic" in (refused.value.allowed or "")


def test_super_resolution_doubles_the_sides(models: Path, tmp_path: Path) -> None:
    drawn = easel(models, tmp_path)
    with_weights = tool_models.models(tmp_path / "models", {PHOTO: rrdbnet(), DRAWING: rrdbnet()})
    drawn.runner.larger = Larger(drawn.runner.device, with_weights)
    (one,) = drawn.draw(super_resolution=True)
    assert (one.width, one.height) == (256, 256) and pixels(one.file).shape == (256, 256, 3)


# --- on the way ---


def test_the_progress_runs_to_its_end_and_never_back(drawn: Easel) -> None:
    drawn.draw(count=3, steps=4)
    steps = [one.step for one in drawn.progress]
    assert steps == sorted(steps) and steps[-1] == drawn.progress[-1].steps == 12


@pytest.mark.parametrize("base", ["starter", "klein-4b", "z-image"])
def test_a_preview_is_a_small_picture_of_the_drawn_shape(
    drawn: Easel, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "EVERY_S", 0)
    drawn.draw(base=base, width=128, height=192)
    path = drawn.progress[-1].preview
    assert path is not None and path.parent == drawn.folder
    with Image.open(path) as image:
        assert image.height == 256 and 160 <= image.width <= 180


def test_previews_come_at_most_once_a_second(drawn: Easel) -> None:
    started = time.monotonic()
    drawn.draw(steps=12)
    shown = [one for one in drawn.progress if one.preview]
    assert len(shown) <= time.monotonic() - started


def test_cancelling_stops_at_the_next_step(drawn: Easel) -> None:
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        drawn.draw(steps=50, cancelled=lambda: next(asked))  # a fourth question would raise StopIteration


def test_after_a_cancelled_job_the_next_draws_as_ever(drawn: Easel) -> None:
    before = drawn.pixels()[0]
    with pytest.raises(Cancelled):
        drawn.draw(cancelled=lambda: True)
    assert numpy.array_equal(before, drawn.pixels()[0])


def test_a_warm_base_is_not_loaded_again(drawn: Easel, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn.draw()
    monkeypatch.setattr("studio.pipelines.loading.load", None)
    drawn.draw(init="upload", inputs={"init": models / "init.png"} if (models / "init.png").exists() else _init(drawn))
    drawn.draw(seed=1)


def _init(drawn: Easel) -> dict[str, Path]:
    Image.effect_noise((128, 128), 80).save(drawn.folder / "init.png")
    return {"init": drawn.folder / "init.png"}


def test_drawing_opens_no_connection(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(easel(models, tmp_path).draw()) == 1


def test_the_file_carries_its_recipe_and_the_mark(drawn: Easel) -> None:
    (one,) = drawn.draw(negative="hat")
    carried = read(one.file)
    assert carried.marked and carried.recipe == one.recipe
    assert carried.fields["Seed"] == "7" and carried.fields["Negative prompt"] == "hat"


# --- what goes wrong ---


@pytest.mark.parametrize(("value", "words"), [(float("nan"), "no numbers"), (-1.0, "nothing but black")])
def test_a_broken_picture_is_an_error_and_leaves_no_file(
    models: Path, tmp_path: Path, value: float, words: str
) -> None:
    here = easel(models, tmp_path)
    base = here.runner.bases.find("starter")
    last = loaded(here.runner.device, base).pipelines["StableDiffusionPipeline"].vae.decoder.conv_out
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, value)
    with pytest.raises(BrokenPicture, match=words):
        here.draw()
    assert list(tmp_path.glob("*.png")) == []


class SmallMemory(text2image.Text2Image):
    """A device that holds so many pictures at once."""

    holds = 2
    batches: list[int]

    def _draw(self, pipeline, plan, seeds, arguments, steps):  # type: ignore[no-untyped-def]
        self.batches.append(len(seeds))
        if len(seeds) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super()._draw(pipeline, plan, seeds, arguments, steps)


def test_a_batch_that_does_not_fit_is_halved_and_the_pictures_are_the_same(drawn: Easel) -> None:
    whole = drawn.pixels(count=7)
    small = SmallMemory(drawn.runner.device, drawn.runner.bases)
    small.batches = []
    halves = Easel(runner=small, folder=drawn.folder).pixels(count=7)
    assert small.batches == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert all(numpy.array_equal(whole[index], halves[index]) for index in range(7))


def test_a_picture_that_does_not_fit_alone_fails_with_figures_and_advice(drawn: Easel) -> None:
    small = SmallMemory(drawn.runner.device, drawn.runner.bases)
    small.batches, small.holds = [], 0
    with pytest.raises(OutOfMemory, match=r"cpu has [\d.]+ GB, [\d.]+ GB of it free\. Choose a smaller size"):
        Easel(runner=small, folder=drawn.folder).draw(count=2)


def test_a_base_that_was_cut_short_on_the_disk_is_told(models: Path, tmp_path: Path) -> None:
    import shutil  # noqa: PLC0415

    shutil.copytree(models / "starter", tmp_path / "models/starter")
    tensors = tmp_path / "models/starter/unet/diffusion_pytorch_model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:5000])
    from studio.domain import BrokenWeights  # noqa: PLC0415

    with pytest.raises(BrokenWeights, match="starter cannot be loaded"):
        easel(tmp_path / "models", tmp_path).draw()


def test_what_does_not_fit_the_budget_is_let_go(models: Path, tmp_path: Path) -> None:
    here = easel(models, tmp_path, memory_gb=0.5)
    device: Device = here.runner.device
    here.draw()
    base = here.runner.bases.find("starter")
    assert device.is_warm(key(base))
    device.held("something large", 1 << 29, object)
    assert not device.is_warm(key(base))
    here.draw()
    assert device.is_warm(key(base)) and not device.is_warm("something large")
