"""Training with tiny random bases: every family through one loop, interruptions, what goes wrong."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from studio.domain import BrokenWeights, Cancelled, OutOfMemory, Progress, Task, Trained, TuneRequest
from studio.pipelines import loading
from studio.pipelines.bases import Base, Bases
from studio.pipelines.device import Device
from studio.pipelines.families import FAMILIES
from studio.pipelines.tuning import checkpoint, lora, memory, train
from studio.pipelines.tuning.diffusion import Diffusion
from studio.pipelines.tuning.flow import Flow
from studio.pipelines.tuning.images import Bucket, bucket_of, buckets, cut, photos_of
from studio.pipelines.tuning.plan import plan_of
from studio.pipelines.tuning.recipe import Compared
from studio.pipelines.tuning.run import Run
from studio.pipelines.tuning.train import Train
from studio.pipelines.weights import Catalogue
from studio.settings import Settings
from studio.tunes import CONSENT, LOSSES, photo_field
from tests.pipelines.drawing import easel
from tests.test_intake import swapped_profile

STEPS = 10
EVERY_BASE = {"starter": "starter", "sd15": "sd", "sdxl": "sdxl", "klein-base-4b": "klein-base", "z-image": "z-image"}


class OneBase:
    """Bases of which there is one, whose family is as small as the tests."""

    def __init__(self, base: Base) -> None:
        self.base = base

    def check_tune(self, request: TuneRequest) -> Base:
        return self.base


@dataclass
class Bench:
    """A place to train a tune of four photos."""

    device: Device
    base: Base
    folder: Path
    told: list[Progress]

    def task(self, name: str = "job", **fields: Any) -> Task:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        inputs = {}
        for index, size in enumerate([(96, 96), (80, 120), (120, 80), (64, 64)]):
            file = self.folder / f"{index}.png"
            if not file.exists():
                Image.effect_noise(size, 90).convert("RGB").save(file)
            inputs[photo_field(index)] = file
        asked: dict[str, Any] = {"name": "A", "class_name": "person", "consent": CONSENT, "steps": STEPS, "seed": 3}
        request = TuneRequest(photos=tuple(f"upload-{index}" for index in range(4)), **(asked | fields))
        return Task(job_id=name, request=request, folder=folder, inputs=inputs)

    def train(self, task: Task, is_cancelled: Callable[[], bool] = lambda: False) -> Trained:
        bases: Any = OneBase(self.base)
        (trained,) = list(Train(self.device, bases)(task, self.told.append, is_cancelled))
        return trained


Learnt = Callable[[str], tuple[Bench, Trained]]


def bench(models: Path, folder: Path, name: str, **training: Any) -> Bench:
    settings = Settings.read(
        {"STUDIO_DATA": str(folder / "data"), "STUDIO_MODELS": str(models), "STUDIO_PRECISION": "fp32"}
    )
    row = FAMILIES[EVERY_BASE[name]]
    assert row.training is not None
    few = {"class_pictures": min(row.training.class_pictures, 2), "traits": tuple(of[:2] for of in row.training.traits)}
    small = replace(row.training, rank=2, **few, **training)
    base = Bases((models,), folder, Catalogue.read()).find(name)
    family = replace(row, native=64, steps=2, training=small)
    return Bench(device=Device(settings), base=replace(base, family=family), folder=folder, told=[])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small are faster so; threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def starter(models: Path, tmp_path: Path) -> Bench:
    return bench(models, tmp_path, "starter")


@pytest.fixture(scope="module")
def learnt(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    """A training on a base at a rate that is seen in pictures after a few steps; once for all tests that ask for it."""

    @cache
    def trained(name: str) -> tuple[Bench, Trained]:
        here = bench(models, tmp_path_factory.mktemp(name), name, rate=1e-2, rates={})
        return here, here.train(here.task())

    return trained


# --- every family ---


@pytest.mark.parametrize("name", EVERY_BASE)
def test_every_family_is_trained_by_the_same_loop_and_diffusers_reads_all_of_what_comes_out(
    learnt: Learnt, name: str
) -> None:
    here, trained = learnt(name)
    assert len(trained.losses) == STEPS and numpy.isfinite(trained.losses).all()
    assert here.told[-1].step == here.told[-1].steps == STEPS

    pipeline: Any = loading.load(here.device, here.base, to_train=True)
    denoiser = getattr(pipeline, here.base.family.denoiser)
    before = {key: tensor.clone() for key, tensor in denoiser.state_dict().items()}
    pipeline.load_lora_weights(trained.file.parent, weight_name=trained.file.name)
    loaded = {
        key
        for part in pipeline.components.values()
        if isinstance(part, torch.nn.Module)
        for key in part.state_dict()
        if "lora_" in key
    }
    assert len(loaded) == len(load_file(trained.file)), "every tensor of the file found its layer"
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    changed = [key for key, tensor in denoiser.state_dict().items() if not torch.equal(tensor, before[key])]
    assert changed


def test_all_single_blocks_of_klein_are_trained_however_many_there_are(
    learnt: Learnt,
) -> None:
    here, trained = learnt("klein-base-4b")
    keys = load_file(trained.file).keys()
    blocks = len(loading.load(here.device, here.base, to_train=True).transformer.single_transformer_blocks)  # type: ignore[attr-defined]
    for block in range(blocks):
        for layer in ("to_qkv_mlp_proj", "to_out"):
            assert f"transformer.single_transformer_blocks.{block}.attn.{layer}.lora_B.weight" in keys


@pytest.mark.parametrize(
    ("trained_on", "drawn_on"),
    [*((name, name) for name in EVERY_BASE), ("klein-base-4b", "klein-4b"), ("z-image", "z-image-turbo")],
)
def test_a_tune_is_seen_in_the_pictures_of_every_base_that_draws_it_as_far_as_is_asked_and_in_no_others(
    models: Path, tmp_path: Path, learnt: Learnt, trained_on: str, drawn_on: str
) -> None:
    here, trained = learnt(trained_on)
    board = easel(models, tmp_path)
    assert board.runner.bases.find(drawn_on).family.draws(here.base.family.id)

    def drawn(**asked: Any) -> numpy.ndarray:
        return board.pixels(base=drawn_on, tune="tune" if "lora" in asked else None, **asked)[0].astype(int)

    plain = drawn()
    half, whole = (drawn(lora=trained.file, tune_strength=strength) for strength in (0.5, 1.0))
    assert numpy.array_equal(drawn(lora=trained.file, tune_strength=0.0), plain)
    assert 0 < abs(half - plain).mean() < abs(whole - plain).mean()
    assert numpy.array_equal(drawn(), plain), "the base itself is as it was"


def test_a_base_is_trained_without_what_reads_its_prompts_too(starter: Bench) -> None:
    trained = starter.train(starter.task(text_encoder=False))
    assert len(trained.losses) == STEPS and numpy.isfinite(trained.losses).all()
    assert not any(key.startswith("text_encoder") for key in load_file(trained.file))


# --- interruptions ---


def test_a_training_that_was_interrupted_ends_with_the_same_weights_to_the_bit(starter: Bench) -> None:
    starter.train(starter.task("before"))  # the class is there from now on
    asked = itertools.count()
    whole = starter.train(starter.task("whole"), lambda: next(asked) < 0)
    beginning = next(asked) - STEPS  # it is asked once a step
    task = starter.task("stopped")
    asked = itertools.count()
    with pytest.raises(Cancelled):
        starter.train(task, lambda: next(asked) >= beginning + 4)
    done = checkpoint.read(task.folder, belongs(task.folder))
    assert done is not None and int(done["steps"]) == 4
    resumed = starter.train(task)
    first, second = load_file(whole.file), load_file(resumed.file)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert resumed.losses == whole.losses


def test_what_a_training_has_kept_is_told_and_is_there_when_it_dies(
    starter: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "SAVED_FIRST", 0.0)
    monkeypatch.setattr(train, "SAVED_SHARE", 1e9)  # so it is kept at every step
    task = starter.task()
    starter.train(task)
    kept = [progress.step for progress in starter.told if progress.kept and progress.step]
    assert kept == list(range(1, STEPS + 1))


def belongs(folder: Path) -> str:
    with safe_open(folder / checkpoint.NAME, "pt") as file:
        return file.metadata()[checkpoint.BELONGS]


def test_a_checkpoint_of_another_request_is_not_gone_on_from(starter: Bench) -> None:
    starter.train(starter.task("job", seed=3))
    alone = starter.train(starter.task("alone", seed=4))
    after = starter.train(starter.task("job", seed=4))
    assert after.losses == alone.losses


def test_a_damaged_checkpoint_is_begun_anew(starter: Bench) -> None:
    whole = starter.train(starter.task("whole"))
    task = starter.task("damaged")
    (task.folder / checkpoint.NAME).write_bytes(b"torn")
    assert starter.train(task).losses == whole.losses


@pytest.mark.parametrize(("name", "recipe"), [("starter", Diffusion), ("klein-base-4b", Flow)])
def test_photos_at_once_and_one_by_one_are_trained_alike(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, recipe: Any
) -> None:
    here = bench(models, tmp_path, name, batch=4)
    compare, plan, groups = recipe.compare, memory.plan, []

    def counted(self: Any, examples: Sequence[Any], lots: Sequence[Any]) -> Compared:
        if torch.is_grad_enabled():
            groups.append(len(examples))
        return compare(self, examples, lots)

    monkeypatch.setattr(recipe, "compare", counted)
    whole = here.train(here.task("whole"))
    assert max(groups) > 1
    groups.clear()
    monkeypatch.setattr(
        memory, "plan", lambda *args, **kwargs: replace(plan(*args, **kwargs), at_once=1, checkpointing=True)
    )
    single = here.train(here.task("single"))
    assert set(groups) == {1}
    assert numpy.allclose(single.losses, whole.losses, rtol=1e-3), "in any company an example learns the same"


# --- what is kept, what is told ---


def test_pictures_of_the_class_are_drawn_once_for_a_base_and_a_class(starter: Bench) -> None:
    starter.train(starter.task("first"))
    (file,) = (starter.device.settings.data / "class").iterdir()
    made = file.stat().st_mtime_ns
    starter.told.clear()
    starter.train(starter.task("second"))
    assert file.stat().st_mtime_ns == made
    assert not any("class" in progress.message for progress in starter.told)
    starter.train(starter.task("third", class_name="dog"))
    assert len(list((starter.device.settings.data / "class").iterdir())) == 2


def test_pictures_of_the_class_that_were_drawn_before_it_was_killed_are_not_drawn_again(starter: Bench) -> None:
    starter.train(starter.task("first"))
    (file,) = (starter.device.settings.data / "class").iterdir()
    whole = load_file(file)["pixels"]
    save_file({"pixels": whole[:1].contiguous()}, file)
    starter.told.clear()
    starter.train(starter.task("second"))
    told = [progress for progress in starter.told if "class" in progress.message]
    assert [(progress.message, progress.kept) for progress in told] == [("Drawing the class: 2 of 2.", True)]
    assert (load_file(file)["pixels"].int() - whole.int()).abs().max() <= 1


def test_the_losses_and_a_sample_can_be_looked_at_meanwhile(starter: Bench) -> None:
    task = starter.task(steps=20)
    starter.train(task)
    assert len(json.loads((task.folder / LOSSES).read_text())) == 20
    previews = [progress.preview for progress in starter.told if progress.preview]
    assert previews and Image.open(previews[-1]).size == (64, 64)


def test_the_base_is_as_it_was(starter: Bench) -> None:
    before = {file.name: file.read_bytes() for file in starter.base.path.rglob("*.safetensors")}
    starter.train(starter.task())
    assert {file.name: file.read_bytes() for file in starter.base.path.rglob("*.safetensors")} == before


# --- what goes wrong ---


def test_a_loss_that_is_no_number_ends_the_training(starter: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Run.step

    def broken(run: Run) -> None:
        if run.masters.steps == 2:
            with torch.no_grad():
                next(iter(lora.trained(run.recipe.parts["unet"]))).fill_(float("nan"))
        step(run)

    monkeypatch.setattr(Run, "step", broken)
    with pytest.raises(BrokenWeights, match="The loss of step 3 is no number"):
        starter.train(starter.task())


def full_for_more_than(most: int, compare: Callable[..., Compared]) -> Callable[..., Compared]:
    """How examples are compared on a device that holds so many on their way back at once."""

    def held(recipe: Diffusion, examples: Sequence[Any], lots: Sequence[Any]) -> Compared:
        if len(examples) > most and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return compare(recipe, examples, lots)

    return held


def test_a_step_that_does_not_fit_is_taken_in_smaller_parts(starter: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = starter.train(starter.task("whole")).losses
    monkeypatch.setattr(Diffusion, "compare", full_for_more_than(1, Diffusion.compare))
    parts = starter.train(starter.task("parts")).losses
    assert len(parts) == len(whole) and all(numpy.isfinite(parts))


def test_a_training_for_which_there_is_no_room_says_so_with_figures(
    starter: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Diffusion, "compare", full_for_more_than(0, Diffusion.compare))
    with pytest.raises(OutOfMemory, match=r"does not fit: cpu has \d+\.\d GB"):
        starter.train(starter.task())


def test_a_sample_for_which_there_is_no_room_is_left_out(starter: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Path:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Run, "sample", full)
    starter.told.clear()
    starter.train(starter.task(steps=20))
    assert not any(progress.preview for progress in starter.told)


@pytest.mark.parametrize(
    ("up", "said"), [(float("nan"), "no finite numbers"), (0.0, "change nothing"), (None, "cannot be read back")]
)
def test_a_tune_that_is_none_is_not_passed_off_as_one(tmp_path: Path, up: float | None, said: str) -> None:
    file = tmp_path / lora.FILE
    if up is None:
        file.write_bytes(b"torn")
    else:
        save_file({"unet.x.lora_A.weight": torch.ones(2, 2), "unet.x.lora_B.weight": torch.full((2, 2), up)}, file)
    with pytest.raises(BrokenWeights, match=said):
        lora.verify(file)


# --- memory ---


def test_what_cannot_fit_is_refused_before_anything_is_loaded(starter: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = loading.load(starter.device, starter.base, to_train=True)
    networks = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    held = sum(one.numel() * one.element_size() for part in networks for one in part.parameters())
    assert loading.size_of(starter.base, starter.device.precision) == pytest.approx(held, rel=0.01)

    def unasked(*args: object, **kwargs: object) -> None:
        raise AssertionError("it was loaded")

    monkeypatch.setattr(loading, "load", unasked)
    monkeypatch.setattr(Device, "memory", lambda self: (300 << 20, 8 << 30))
    with pytest.raises(OutOfMemory, match=r"even at its smallest; cpu has 8\.0 GB, 0\.3 GB of it free"):
        starter.train(starter.task())


def test_of_two_variants_of_a_base_the_one_that_is_loaded_counts(starter: Bench, tmp_path: Path) -> None:
    shutil.copytree(starter.base.path, tmp_path / "both")
    base = replace(starter.base, path=tmp_path / "both")
    alone = loading.size_of(base, starter.device.precision)
    for file in list(base.path.glob("*/*.safetensors")):
        for variant in ("fp16", "non_ema"):
            shutil.copy(file, file.with_suffix(f".{variant}.safetensors"))
    (base.path / "safety_checker").mkdir()
    shutil.copy(next(base.path.glob("unet/*.safetensors")), base.path / "safety_checker" / "model.safetensors")
    assert loading.size_of(base, starter.device.precision) == alone


LOAD = memory.Load(base=4 * memory.GIB, staying=2 * memory.GIB, weights=3_000_000, pixels=512 * 512, wide=False)


def planned(free: float, *, eight_bit: bool = True, ram: float = 64) -> memory.MemoryPlan:
    training = FAMILIES["sd"].training
    assert training is not None
    return memory.plan(
        training,
        LOAD,
        free=int(free * memory.GIB),
        free_ram=int(ram * memory.GIB),
        own_memory=True,
        eight_bit=eight_bit,
        figures="cuda has 8.0 GB",
    )


def test_a_large_card_trains_the_whole_batch_at_once_and_keeps_everything() -> None:
    found = planned(48)
    assert (found.at_once, found.checkpointing, found.eight_bit) == (3, False, False)


def test_the_less_is_free_the_more_is_saved_and_never_more_than_is_free_is_planned() -> None:
    found = [planned(free) for free in (48, 12, 8, 7, 6, 5.2)]
    assert [one.need for one in found] == sorted((one.need for one in found), reverse=True)
    assert all(one.need <= free * memory.GIB for one, free in zip(found, (48, 12, 8, 7, 6, 5.2), strict=True))
    assert found[2].checkpointing


def test_what_cannot_fit_is_refused_with_the_figures() -> None:
    with pytest.raises(OutOfMemory, match=r"takes about \d+\.\d GB even at its smallest; cuda has 8.0 GB"):
        planned(2)
    with pytest.raises(OutOfMemory, match=r"about 4\.4 GB of the machine's memory; 3\.0 GB are free"):
        planned(48, ram=3)


# --- photos ---


def test_photos_are_brought_to_the_nearest_shape_of_the_same_area() -> None:
    shapes = buckets(512, 8)
    assert Bucket(width=512, height=512) in shapes
    assert all(0.85 <= one.width * one.height / 512**2 <= 1.15 for one in shapes)
    assert all(one.width % 16 == one.height % 16 == 0 for one in buckets(64, 16))
    assert bucket_of(1000, 1010, shapes) == Bucket(width=512, height=512)
    tall = bucket_of(600, 900, shapes)
    assert tall.height > tall.width and abs(tall.width / tall.height - 2 / 3) < 0.1


def test_photos_are_learnt_in_the_colours_that_the_check_saw(starter: Bench, tmp_path: Path) -> None:
    task = starter.task()
    clear = Image.new("RGBA", (96, 96), (200, 40, 40, 255))
    clear.paste((0, 0, 0, 0), (0, 0, 96, 48))
    clear.save(tmp_path / "clear.png", icc_profile=swapped_profile())
    bases: Any = OneBase(starter.base)
    assert isinstance(task.request, TuneRequest)
    inputs = {**task.inputs, photo_field(0): tmp_path / "clear.png"}
    groups = photos_of(replace(task, inputs=inputs), plan_of(bases, task.request))
    pixels = groups[0][0].pixels
    assert (pixels[0] == 255).all(), "what is transparent is white"
    red, green, _ = pixels[-1, 0]
    assert green > red, "a profile of its own is brought into sRGB"


def test_a_photo_is_cut_to_its_box_and_fills_the_shape() -> None:
    image = Image.new("RGB", (100, 100), "red")
    image.paste((0, 0, 255), (50, 0, 100, 100))
    assert (cut(image, (60, 10, 90, 90), Bucket(width=64, height=64)) == (0, 0, 255)).all()
    both = cut(image, None, Bucket(width=64, height=32))
    assert both.shape == (32, 64, 3) and (both[:, :24] == (255, 0, 0)).all() and (both[:, 40:] == (0, 0, 255)).all()
