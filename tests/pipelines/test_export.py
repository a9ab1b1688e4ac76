"""Exports: named as everybody names them, read back by diffusers, the same tune to the number, or thrown away."""

import json
import pickletools
import re
import resource
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from studio.domain import BrokenWeights, Cancelled, Exported, ExportRequest, Progress, Refused, StorageFailed, Task
from studio.export_request import FORMATS
from studio.pipelines import layouts
from studio.pipelines.bases import Base, Bases
from studio.pipelines.device import Device
from studio.pipelines.export import exporter, lora_files, proof, single, tensors
from studio.pipelines.export.exporter import Exporter
from studio.pipelines.export.forms import FORMS, check
from studio.pipelines.export.names import ORIGINALS, Blocks, kohya_name
from studio.pipelines.families import FAMILIES
from tests.pipelines import key_names, narrow
from tests.pipelines.tiny import D

MODELS = Path(__file__).parents[2] / "models"
PROMPT = "a photo of sks woman"
LORAS = [form for form in FORMATS if not FORMS[form].whole]
LONG = [pytest.param("sdxl", form, marks=pytest.mark.nightly) for form in ("diffusers", "ckpt", "tar")]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this narrow are faster so; threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Packing:
    """A base with a tune of random numbers on it, and what makes exports of them."""

    base: Base
    bases: Bases
    device: Device
    file: Path
    folder: Path
    shared: dict[str, Exported] = field(default_factory=dict[str, Exported])

    def made(self, form: str) -> Exported:
        """An export that tests share: to be read, never changed."""
        if form not in self.shared:
            self.shared[form] = self.export(form, self.folder / form)
        return self.shared[form]

    def task(self, form: str, folder: Path) -> Task:
        folder.mkdir(exist_ok=True)
        request = ExportRequest(tune="tune", format=form)
        return Task(job_id="job", request=request, folder=folder, tune=self.file, about=narrow.tune(self.base))

    def export(
        self,
        form: str,
        folder: Path,
        is_cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> Exported:
        (made,) = list(Exporter(self.device, self.bases)(self.task(form, folder), report, is_cancelled))
        return made


@pytest.fixture(scope="session")
def packings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packing]:
    """Of each base a packing, made when the first test asks for it."""
    folder = tmp_path_factory.mktemp("narrow")

    class Made(dict[str, Packing]):
        def __missing__(self, name: str) -> Packing:
            place = MODELS if name == "starter" else narrow.MADE[name](folder / name).parent
            bases = narrow.bases(place)
            base, device = bases.find(name), narrow.device(folder)
            own = folder / f"{name}-exports"
            own.mkdir()
            self[name] = Packing(base, bases, device, narrow.random_tune(base, device, own), own)
            return self[name]

    return Made()


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the proof's picture: it is of noise here, and the tests draw others."""
    monkeypatch.setattr(proof, "STEPS", 2)


@pytest.fixture
def sd15(packings: dict[str, Packing]) -> Packing:
    return packings["sd15"]


# --- names ---


@pytest.mark.parametrize("name", key_names.LISTS)
def test_the_lists_of_names_are_what_the_rules_make(name: str) -> None:
    assert key_names.read(name) == sorted(key_names.LISTS[name]())


TEXT = {"CLIPTextModel": CLIPTextModel, "CLIPTextModelWithProjection": CLIPTextModelWithProjection}


class Nothing:
    """A pipeline as large as the published one, of networks without numbers."""

    def __init__(self, pipeline: str) -> None:
        for part, (_, made_by, configuration) in layouts.LAYOUTS[pipeline].items():
            with torch.device("meta"):
                if made_by in TEXT:
                    setattr(self, part, TEXT[made_by](CLIPTextConfig(**configuration)))
                elif part == "unet":
                    self.unet = UNet2DConditionModel(**configuration)
                elif part == "vae":
                    self.vae = AutoencoderKL(**configuration)


@pytest.mark.parametrize(("name", "family"), [("sd15", "sd"), ("sdxl", "sdxl")])
def test_the_parts_of_the_published_models_are_named_as_they_were_published(name: str, family: str) -> None:
    row = FAMILIES[family]
    assert row.original is not None and row.training is not None
    pipeline: Any = Nothing(row.text.name)
    # 1. The whole model, each part in its original shape.
    found = single.tensors_of(pipeline, row.original)
    assert sorted(found) == key_names.read(name)
    assert sum(tensor.numel() for tensor in found.values()) == sum(
        tensor.numel() for part in vars(pipeline).values() for tensor in part.state_dict().values()
    )
    # 2. Every layer that a training gives a LoRA.
    original, blocks = ORIGINALS[row.original], Blocks.of(pipeline.unet.state_dict())
    named: list[str] = []
    for part in ("unet", *row.training.text_encoders):
        targets = row.training.targets if part == "unet" else row.training.text_targets
        for layer, _ in getattr(pipeline, part).named_modules():
            if re.fullmatch(targets, layer):
                layer_name = kohya_name(original, part, layer, blocks)
                named += [f"{layer_name}.{end}" for end in ("lora_down.weight", "lora_up.weight", "alpha")]
    assert sorted(named) == key_names.read(f"kohya-{name}")


def test_other_families_have_no_original_form_and_say_which_they_have() -> None:
    for family in ("klein-base", "z-image"):
        for form in ("kohya", "safetensors", "ckpt"):
            with pytest.raises(Refused, match="exported as diffusers, tar"):
                check(FAMILIES[family], form)
        check(FAMILIES[family], "diffusers")
        check(FAMILIES[family], "tar")


# --- every form is read by diffusers, and draws what the tune draws ---


def own_picture(packing: Packing) -> numpy.ndarray:
    pipeline = D.DiffusionPipeline.from_pretrained(packing.base.path, safety_checker=None, local_files_only=True)
    pipeline.load_lora_weights(packing.file.parent, weight_name=packing.file.name)
    return picture(packing, pipeline)


def picture(packing: Packing, pipeline: Any, steps: int = 3) -> numpy.ndarray:
    pipeline.set_progress_bar_config(disable=True)
    side = packing.base.family.native
    return pipeline(
        PROMPT,
        width=side,
        height=side,
        num_inference_steps=steps,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
    ).images[0]


def read(packing: Packing, form: str, file: Path, folder: Path) -> Any:
    """The file as diffusers reads it, without anything of the studio's."""
    if form in LORAS:
        pipeline = D.DiffusionPipeline.from_pretrained(packing.base.path, safety_checker=None, local_files_only=True)
        pipeline.load_lora_weights(file.parent, weight_name=file.name)
        return pipeline
    if form == "tar":
        with tarfile.open(file) as tar:
            tar.extractall(folder, filter="data")
        return D.DiffusionPipeline.from_pretrained(folder, safety_checker=None, local_files_only=True)
    made_by = getattr(D, packing.base.family.text.name)
    return made_by.from_single_file(str(file), config=str(packing.base.path), local_files_only=True)


def keys(form: str, file: Path) -> list[str]:
    """The names in a file; those of a state dict as its pickle has them, which is not carried out."""
    if form == "ckpt":
        return sorted(torch.load(file, weights_only=True)["state_dict"])
    with safe_open(file, "pt") as opened:
        return sorted(opened.keys())


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *(("starter", form) for form in FORMATS),
        *(("sd15", form) for form in FORMATS),
        *(("sdxl", form) for form in ("kohya", "safetensors")),
        *LONG,
    ],
)
def test_every_form_is_read_by_diffusers_with_every_key_and_draws_what_the_tune_draws(
    packings: dict[str, Packing], tmp_path: Path, name: str, form: str
) -> None:
    packing = packings[name]
    made = packing.made(form)
    pipeline = read(packing, form, made.file, tmp_path / "folder")
    apart = float(numpy.abs(picture(packing, pipeline) - own_picture(packing)).max())
    assert apart <= 1 / 255, f"{apart * 255} of 255"
    assert [left.name for left in made.file.parent.iterdir() if left.suffix == ".part"] == []
    if form in ("safetensors", "ckpt", "kohya") and name in ("sd15", "sdxl"):
        assert keys(form, made.file) == key_names.read(f"kohya-{name}" if form == "kohya" else name)


def test_without_its_tune_the_base_draws_another_picture(sd15: Packing) -> None:
    plain = D.DiffusionPipeline.from_pretrained(sd15.base.path, safety_checker=None, local_files_only=True)
    assert float(numpy.abs(picture(sd15, plain) - own_picture(sd15)).max()) > 10 / 255


# --- what is inside ---


def test_text_encoders_keep_the_name_that_transformers_has_dropped(sd15: Packing, tmp_path: Path) -> None:
    file = sd15.made("diffusers").file
    assert any(name.startswith("text_encoder.text_model.encoder.layers.0.") for name in keys("diffusers", file))
    with tarfile.open(sd15.made("tar").file) as tar:
        tar.extractall(tmp_path / "folder", filter="data")
    assert all(name.startswith("text_model.") for name in load_file(tmp_path / "folder/text_encoder/model.safetensors"))
    assert (tmp_path / "folder/tokenizer/vocab.json").is_file() and (tmp_path / "folder/tokenizer/merges.txt").is_file()
    assert "sks woman" in (tmp_path / "folder/README.md").read_text()
    assert json.loads((tmp_path / "folder/likeness.json").read_text())["licence"] == sd15.base.licence


def test_a_layer_s_alpha_is_the_adapter_s_own(sd15: Packing, tmp_path: Path) -> None:
    tunes = tmp_path / "tune"
    tunes.mkdir()
    file = narrow.random_tune(sd15.base, sd15.device, tunes, alpha=2)
    found = load_file(replace(sd15, file=file).export("kohya", tmp_path / "job").file)
    alphas = {float(tensor) for name, tensor in found.items() if name.endswith(".alpha")}
    assert alphas == {2.0}, f"and not the rank, which is {narrow.RANK}"


@pytest.mark.parametrize("form", ["diffusers", "kohya", "safetensors"])
def test_a_file_says_its_licence_its_words_and_how_it_was_made(sd15: Packing, form: str) -> None:
    with safe_open(sd15.made(form).file, "pt") as opened:
        told = opened.metadata()
    assert told["modelspec.license"] == sd15.base.licence and told["modelspec.trigger_phrase"] == "sks woman"
    made = json.loads(told["likeness"])
    assert made["recipe"]["prompt"] == PROMPT and "account" not in told["likeness"]
    if form == "kohya":
        assert told["ss_base_model_version"] == "sd_v1" and told["ss_network_dim"] == str(narrow.RANK)
        assert json.loads(told["ss_tag_frequency"]) == {"likeness": {"sks woman": 12}}


def test_a_state_dict_is_an_archive_that_automatic1111_accepts(sd15: Packing) -> None:
    with zipfile.ZipFile(sd15.made("ckpt").file) as archive:
        names = archive.namelist()
        words = archive.read("archive/data.pkl")
    # Its rule since 2022 (modules/safe.py); torch.save has added names to its archives since that break it.
    assert all(re.fullmatch(r"([^/]+)/((data/\d+)|version|(data\.pkl))", name) for name in names)
    named = {word for operation, word, _ in pickletools.genops(words) if operation.name == "GLOBAL"}
    assert named == {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage"}


def test_the_same_tune_gives_the_same_file_each_time(sd15: Packing, tmp_path: Path) -> None:
    for form in ("kohya", "tar"):
        assert sd15.export(form, tmp_path / form).sha256 == sd15.made(form).sha256


# --- what is not the tune is not offered ---


def dropped(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in found.items() if not name.endswith("attn2.to_k.weight")}


def swapped(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    one, other = (name for name in found if name.endswith((".0.self_attn.q_proj.weight", ".0.self_attn.k_proj.weight")))
    return found | {one: found[other], other: found[one]}


def without_text_model(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace(".transformer.text_model.", ".transformer."): tensor for name, tensor in found.items()}


@pytest.mark.parametrize("fault", [dropped, swapped, without_text_model])
def test_a_whole_model_that_is_read_as_something_else_is_thrown_away(
    sd15: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., Any]
) -> None:
    right = single.tensors_of
    monkeypatch.setattr(single, "tensors_of", lambda *given: fault(right(*given)))
    with pytest.raises(BrokenWeights, match="read back and is not the tune"):
        sd15.export("safetensors", tmp_path / "job")


def test_a_lora_with_another_alpha_is_thrown_away(
    sd15: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora_files.Lora, "alpha", lambda *given: 1.0)
    with pytest.raises(BrokenWeights, match="parts of the tune are not the same"):
        sd15.export("kohya", tmp_path / "job")


def test_a_lora_of_which_a_reader_ignores_a_part_is_thrown_away(
    sd15: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = lora_files.kohya_name
    monkeypatch.setattr(
        lora_files, "kohya_name", lambda *given: right(*given).replace("lora_te_text_model", "lora_text")
    )
    with pytest.raises(BrokenWeights, match="are not in it as they should be"):
        sd15.export("kohya", tmp_path / "job")


def test_a_damaged_state_dict_is_thrown_away(sd15: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = single.save_ckpt

    def damaged(path: Path, *given: Any) -> None:
        right(path, *given)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    monkeypatch.setattr(single, "save_ckpt", damaged)
    with pytest.raises(BrokenWeights, match="not the tune"):
        sd15.export("ckpt", tmp_path / "job")


# --- interruptions ---


@pytest.mark.parametrize("form", FORMATS)
def test_a_cancelled_export_stops_while_it_is_written(sd15: Packing, tmp_path: Path, form: str) -> None:
    told: list[str] = []
    with pytest.raises(Cancelled):
        sd15.export(
            form,
            tmp_path / "job",
            lambda: "Writing the file." in told,
            lambda progress: told.append(progress.message),
        )
    assert told[-1] == "Writing the file."


def test_another_attempt_begins_anew(sd15: Packing, tmp_path: Path) -> None:
    (tmp_path / "job" / "left over").mkdir(parents=True)
    (tmp_path / "job" / "export-lora.safetensors").write_text("half")
    assert sd15.export("kohya", tmp_path / "job").sha256 == sd15.made("kohya").sha256
    assert [left.name for left in (tmp_path / "job").iterdir()] == ["export-lora.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a file's length are POSIX's")
@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_told_as_the_system_tells_it(
    sd15: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def report(progress: Progress) -> None:
        if progress.message == "Writing the file.":
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))

    try:
        with pytest.raises(OSError, match="File too large"):
            sd15.export(form, tmp_path / "job", report=report)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_too_little_room_is_told_before_anything_is_written(
    sd15: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "_room", lambda *given: 1 << 60)
    with pytest.raises(StorageFailed, match="The export of Ada needs .* are free"):
        sd15.export("kohya", tmp_path / "job")
    assert list((tmp_path / "job").iterdir()) == []


# --- files of tensors ---


def test_both_kinds_of_file_give_back_what_was_written(tmp_path: Path) -> None:
    kinds = [torch.float32, torch.float16, torch.bfloat16]
    given = {f"a.{number}": torch.randn(5 + number, 7).to(kind) for number, kind in enumerate(kinds)}
    given |= {"one": torch.tensor(4.0), "whole": torch.arange(3), "turned": torch.randn(4, 6).T}
    tensors.save_safetensors(tmp_path / "a.safetensors", given, {"é": "ü"}, lambda: None)
    tensors.save_ckpt(tmp_path / "a.ckpt", given, {"likeness": "{}"}, lambda: None)
    for mapped in (True, False):
        state = torch.load(tmp_path / "a.ckpt", weights_only=True, mmap=mapped)["state_dict"]
        assert list(state) == list(given) and all(torch.equal(state[name], given[name]) for name in given)
    read_again = load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(read_again[name], given[name]) for name in given)
