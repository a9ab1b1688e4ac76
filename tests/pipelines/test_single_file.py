"""Bases as one .safetensors file: told by their header, taken in, described, drawn with."""

import gzip
import json
import pickle
import struct
from pathlib import Path

import numpy
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from studio.domain import BrokenWeights, Conflict, NotFound, Refused, StudioError, WeightsMissing
from studio.pipelines import checkpoints, layouts, loading
from studio.pipelines.checkpoints import CROSS_ATTENTION, CROSS_ATTENTION_XL, add_file, family_of_file
from tests.pipelines import original
from tests.pipelines.drawing import easel


def a_file(path: Path, **tensors: torch.Tensor) -> Path:
    save_file({name.replace("__", "."): tensor for name, tensor in tensors.items()}, path)
    return path


def a_base(path: Path, key: str = CROSS_ATTENTION, width: int = 768) -> Path:
    """As much of a base as its header shows."""
    tensors = {
        key: torch.zeros(2, width),
        "first_stage_model.x": torch.zeros(1),
        "cond_stage_model.x": torch.zeros(1),
    }
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(("key", "width", "family"), [(CROSS_ATTENTION, 768, "sd"), (CROSS_ATTENTION_XL, 2048, "sdxl")])
def test_a_base_is_told_by_its_cross_attention(tmp_path: Path, key: str, width: int, family: str) -> None:
    assert family_of_file(a_base(tmp_path / "a.safetensors", key, width)).id == family


def test_what_is_no_base_is_refused_in_one_sentence(tmp_path: Path) -> None:
    files: list[tuple[Path, type[StudioError], str]] = [
        (tmp_path / "missing.safetensors", NotFound, "no file"),
        (a_file(tmp_path / "lora.safetensors", lora_unet__down=torch.zeros(1)), Refused, "a LoRA"),
        (a_file(tmp_path / "other.safetensors", x=torch.zeros(1)), Refused, "some other kind"),
        (a_base(tmp_path / "wide.safetensors", width=1024), Refused, "1024 wide"),
    ]
    (tmp_path / "pickle.safetensors").write_bytes(pickle.dumps({"a": 1}) * 100)
    files.append((tmp_path / "pickle.safetensors", Refused, "pickles are never opened"))
    (tmp_path / "empty.safetensors").write_bytes(b"")
    files.append((tmp_path / "empty.safetensors", Refused, "no safetensors"))
    (tmp_path / "odd.safetensors").write_bytes(struct.pack("<Q", 4) + b"nope" + bytes(50))
    files.append((tmp_path / "odd.safetensors", Refused, "no safetensors"))
    whole = a_base(tmp_path / "cut.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-2])
    files.append((tmp_path / "cut.safetensors", BrokenWeights, "cut short"))
    save_file({CROSS_ATTENTION: torch.zeros(2, 768)}, tmp_path / "unet.safetensors")
    files.append((tmp_path / "unet.safetensors", Refused, "lacks the text encoder"))
    for path, kind, words in files:
        with pytest.raises(kind, match=words):
            add_file(path, tmp_path / "models")
    assert not (tmp_path / "models/bases").exists()


def test_a_base_is_taken_in_with_its_sum_and_never_over_another(tmp_path: Path) -> None:
    path = a_base(tmp_path / "mine.safetensors")
    target = add_file(path, tmp_path / "models")
    assert target.read_bytes() == path.read_bytes()
    note = json.loads(target.with_suffix(".json").read_text())
    assert note["family"] == "sd" and len(note["sha256"]) == 64
    with pytest.raises(Conflict):
        add_file(path, tmp_path / "models")
    assert add_file(path, tmp_path / "models", overwrite=True) == target
    offers = {offer.id: offer for offer in easel(tmp_path / "models", tmp_path).runner.bases.offers()}
    assert offers["mine"].base is not None and offers["mine"].base.single


def test_a_base_in_one_file_draws_what_its_folder_draws(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = original.write(models / "sd15", tmp_path / "mine.safetensors")
    # As wide as the tiny one is; its own folder describes it.
    monkeypatch.setattr(checkpoints, "recognise_width", lambda width: checkpoints_family(width))
    monkeypatch.setattr(loading, "layout_folder", lambda pipeline, folders: models / "sd15")
    add_file(path, tmp_path / "models")
    asked = {"scheduler": "ddim", "guidance": 5}
    (one,) = easel(tmp_path / "models", tmp_path).pixels(base="mine", **asked).values()
    (other,) = easel(models, tmp_path).pixels(base="sd15", **asked).values()
    assert numpy.array_equal(one, other)


def checkpoints_family(width: int):  # type: ignore[no-untyped-def]  # noqa: ANN201
    from studio.pipelines.families import FAMILIES  # noqa: PLC0415

    assert width == 32
    return FAMILIES["sd"]


def test_without_clips_words_the_command_that_gets_them_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="models fetch clip-words"):
        layouts.layout_folder("StableDiffusionPipeline", (tmp_path,))


# Parameter counts as published with the models.
COUNTS = {
    "StableDiffusionPipeline": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "StableDiffusionXLPipeline": {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    },
}
TEXT = {"CLIPTextModel": CLIPTextModel, "CLIPTextModelWithProjection": CLIPTextModelWithProjection}
NETWORKS = {"UNet2DConditionModel": UNet2DConditionModel, "AutoencoderKL": AutoencoderKL}


@pytest.mark.parametrize("pipeline", sorted(COUNTS))
def test_the_described_networks_have_as_many_numbers_as_the_published_ones(pipeline: str) -> None:
    for part, count in COUNTS[pipeline].items():
        _, made_by, configuration = layouts.LAYOUTS[pipeline][part]
        with torch.device("meta"):
            if made_by in TEXT:
                network = TEXT[made_by](CLIPTextConfig(**configuration))
            else:
                network = NETWORKS[made_by](**configuration)
        assert sum(tensor.numel() for tensor in network.parameters()) == count, part


def test_clips_words_are_numbered_as_clip_numbers_them(tmp_path: Path) -> None:
    merges = [f"a b{number}" for number in range(layouts.MERGES)]
    (tmp_path / "words.gz").write_bytes(gzip.compress("\n".join(["head", *merges, "beyond"]).encode()))
    vocabulary, kept = layouts.clip_words(tmp_path / "words.gz")
    assert len(vocabulary) == 49_408 and vocabulary["<|startoftext|>"] == 49_406
    assert vocabulary["!"] == 0 and vocabulary["a"] == 64 and vocabulary["a</w>"] == 320
    assert kept[0] == merges[0] and vocabulary["ab0"] == 512
