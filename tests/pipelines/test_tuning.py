"""Training with tiny random bases: every family through one loop, interruptions, what goes wrong."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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
from studio.pipelines.tuning.images import Bucket, bucket_of, buckets, cut
from studio.pipelines.tuning.run import Run
from studio.pipelines.tuning.train import Train
from studio.pipelines.weights import Catalogue
from studio.settings import Settings
from studio.tunes import CONSENT, LOSSES, photo_field

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


def bench(models: Path, folder: Path, name: str, **training: Any) -> Bench:
    settings = Settings.read(
        {"STUDIO_DATA": str(folder / "data"), "STUDIO_MODELS": str(models), "STUDIO_PRECISION": "fp32"}
    )
    row = FAMILIES[EVERY_BASE[name]]
    assert row.training is not None
    small = replace(row.training, rank=2, class_pictures=min(row.training.class_pictures, 2), **training)
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


# --- every family ---


@pytest.mark.parametrize("name", EVERY_BASE)
def test_every_family_is_trained_by_the_same_loop_and_diffusers_reads_all_of_what_comes_out(
    models: Path, tmp_path: Path, name: str
) -> None:
    here = bench(models, tmp_path, name)
    trained = here.train(here.task())
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


def test_all_single_blocks_of_klein_are_trained_however_many_there_are(models: Path, tmp_path: Path) -> None:
    here = bench(models, tmp_path, "klein-base-4b")
    keys = load_file(here.train(here.task()).file).keys()
    blocks = len(loading.load(here.device, here.base, to_train=True).transformer.single_transformer_blocks)  # type: ignore[attr-defined]
    for block in range(blocks):
        for layer in ("to_qkv_mlp_proj", "to_out"):
            assert f"transformer.single_transformer_blocks.{block}.attn.{layer}.lora_B.weight" in keys


def test_a_tune_of_klein_base_is_drawn_by_the_distilled_klein(models: Path, tmp_path: Path) -> None:
    here = bench(models, tmp_path, "klein-base-4b")
    file = here.train(here.task()).file
    assert FAMILIES["klein"].draws_tunes_of == here.base.family.id
    distilled = replace(bench(models, tmp_path, "klein-base-4b").base, path=models / "klein-4b")
    pipeline: Any = loading.load(here.device, distilled, to_train=True)
    pipeline.load_lora_weights(file.parent, weight_name=file.name)
    loaded = [key for key in pipeline.transformer.state_dict() if "lora_" in key]
    assert len(loaded) == len(load_file(file))


# --- interruptions ---


def test_a_training_that_was_interrupted_ends_with_the_same_weights_to_the_bit(starter: Bench) -> None:
    whole = starter.train(starter.task("whole"))
    task = starter.task("stopped")
    asked = itertools.count()
    with pytest.raises(Cancelled):
        starter.train(task, lambda: next(asked) >= 4)  # the class is there already: it is asked once a step
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
    kept = [progress.step for progress in starter.told if progress.kept]
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


def test_photos_at_once_and_one_by_one_are_trained_alike(models: Path, tmp_path: Path) -> None:
    here = bench(models, tmp_path, "starter")
    whole = here.train(here.task("whole"))
    plan = memory.plan
    try:
        memory.plan = lambda *args, **kwargs: replace(plan(*args, **kwargs), at_once=1, checkpointing=True)  # type: ignore[assignment]
        single = here.train(here.task("single"))
    finally:
        memory.plan = plan  # type: ignore[assignment]
    assert single.losses[0] != 0
    assert numpy.isfinite(single.losses).all() and len(whole.losses) == len(single.losses)


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


def test_a_photo_is_cut_to_its_box_and_fills_the_shape() -> None:
    image = Image.new("RGB", (100, 100), "red")
    image.paste((0, 0, 255), (50, 0, 100, 100))
    assert (cut(image, (60, 10, 90, 90), Bucket(width=64, height=64)) == (0, 0, 255)).all()
    both = cut(image, None, Bucket(width=64, height=32))
    assert both.shape == (32, 64, 3) and (both[:, :24] == (255, 0, 0)).all() and (both[:, 40:] == (0, 0, 255)).all()
