"""LoRAs and bases that others made: whoever named their parts, and what is wrong with them told at once."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.domain import BrokenWeights, Refused, StudioError
from studio.pipelines import imports
from studio.pipelines.bases import Base
from studio.pipelines.export.names import Blocks, clip_name, unet_name
from studio.pipelines.imports import check_base, check_header, take_lora
from tests.pipelines import key_names, narrow
from tests.pipelines.original import write as write_original

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Base]:
    folder = tmp_path_factory.mktemp("bases")
    for name, made in narrow.MADE.items():
        made(folder / name)
    return {name: narrow.bases(folder).find(name) for name in narrow.MADE}


def kohya(name: str, base: Base) -> Tensors:
    """A LoRA in kohya's form by the list of names, in the shapes of the base; its alpha is half its rank."""
    shapes = {stem: layer.shape for stem, layer in imports._layers(base)}
    torch.manual_seed(1)
    found: Tensors = {}
    for key in key_names.read(f"kohya-{name}"):
        stem, _, end = key.partition(".")
        shape = shapes[stem]
        if end == "alpha":
            found[key] = torch.tensor(2.0)
        else:
            found[key] = torch.randn((4, shape[1]) if "down" in end else (shape[0], 4))
    return found


@pytest.mark.parametrize("name", narrow.MADE)
def test_a_lora_of_kohya_s_scripts_is_taken_in_whole(bases: dict[str, Base], tmp_path: Path, name: str) -> None:
    given = kohya(name, bases[name])
    save_file(given, tmp_path / "a.safetensors", {"ss_tag_frequency": '{"10_ada": {"a smile": 3, "ohwx woman": 12}}'})
    taken = take_lora(tmp_path / "a.safetensors", bases[name], tmp_path / "tune.safetensors")
    assert (taken.layers, taken.rank, taken.words) == (len(given) // 3, 4, "ohwx woman")
    found = load_file(tmp_path / "tune.safetensors")
    assert len(found) == 2 * taken.layers
    # Written again in the form it came in, it changes the base as before.
    stem = next(key for key in given if "text_model" in key and key.endswith(".alpha")).removesuffix(".alpha")
    layer = dict(imports._layers(bases[name]))[stem]
    at = f"{layer.part}.{layer.path}"
    change = found[f"{at}.lora_B.weight"] @ found[f"{at}.lora_A.weight"]
    assert torch.allclose(change, given[f"{stem}.lora_up.weight"] @ given[f"{stem}.lora_down.weight"] * 2 / 4)


def test_names_of_diffusers_and_of_comfyui_mean_the_same_layers(bases: dict[str, Base], tmp_path: Path) -> None:
    base = bases["sdxl"]
    unet = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    blocks = Blocks.of(imports._described_by(base).unet.state_dict())
    text = "encoder.layers.3.self_attn.v_proj"
    dialects = {
        "diffusers": (f"unet.{unet}.lora_A.weight", f"unet.{unet}.lora_B.weight", f"text_encoder_2.text_model.{text}"),
        "old diffusers": (f"unet.{unet}.lora.down.weight", f"unet.{unet}.lora.up.weight", f"text_encoder_2.{text}"),
        "ComfyUI": (
            f"diffusion_model.{unet_name(unet + '.', blocks)}lora_A.weight",
            f"diffusion_model.{unet_name(unet + '.', blocks)}lora_B.weight",
            f"text_encoders.clip_g.transformer.{clip_name(text)}",
        ),
    }
    torch.manual_seed(1)
    wide = dict(imports._layers(base))[f"unet.{unet}"].shape
    given = (torch.randn(4, wide[1]), torch.randn(wide[0], 4), torch.randn(4, 32), torch.randn(32, 4))
    found: list[Tensors] = []
    for down, up, words in dialects.values():
        tensors = dict(zip((down, up, f"{words}.lora_A.weight", f"{words}.lora_B.weight"), given, strict=True))
        save_file(tensors, tmp_path / "a.safetensors")
        take_lora(tmp_path / "a.safetensors", base, tmp_path / "tune.safetensors")
        found.append(load_file(tmp_path / "tune.safetensors"))
    assert all(one.keys() == found[0].keys() for one in found) and len(found[0]) == 4
    assert all(torch.equal(one[key], found[0][key]) for one in found for key in one)


def nan(tensors: Tensors) -> Tensors:
    tensors[next(key for key in tensors if key.endswith("lora_up.weight"))][0] = float("nan")
    return tensors


def zero(tensors: Tensors) -> Tensors:
    return {key: torch.zeros_like(tensor) for key, tensor in tensors.items()}


def halved(tensors: Tensors) -> Tensors:
    del tensors[next(key for key in tensors if key.endswith("lora_up.weight"))]
    return tensors


def narrower(tensors: Tensors) -> Tensors:
    key = next(key for key in tensors if key.endswith("lora_down.weight"))
    return tensors | {key: tensors[key][:, 1:].contiguous()}


def strange(tensors: Tensors) -> Tensors:
    return tensors | {"lora_unet_somewhere_else.lora_down.weight": torch.zeros(4, 4)}


def other(tensors: Tensors) -> Tensors:
    return tensors | {"a.hada_w1_a": torch.zeros(4)}


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (nan, BrokenWeights, "NaN or infinite"),
        (zero, BrokenWeights, "changes nothing"),
        (halved, Refused, "only a half"),
        (narrower, Refused, "is no LoRA for sd15: lora_"),
        (strange, Refused, "no part lora_unet_somewhere_else"),
        (other, Refused, "it has a.hada_w1_a"),
    ],
)
def test_a_lora_that_was_tampered_with_is_refused_with_the_reason(
    bases: dict[str, Base], tmp_path: Path, fault: Callable[[Tensors], Tensors], kind: type[StudioError], said: str
) -> None:
    save_file(fault(kohya("sd15", bases["sd15"])), tmp_path / "a.safetensors")
    with pytest.raises(kind, match=said):
        take_lora(tmp_path / "a.safetensors", bases["sd15"], tmp_path / "tune.safetensors")
    assert not (tmp_path / "tune.safetensors").exists()


def test_a_lora_of_another_base_is_refused(bases: dict[str, Base], tmp_path: Path) -> None:
    save_file(kohya("sd15", bases["sd15"]), tmp_path / "a.safetensors")
    with pytest.raises(Refused, match="no LoRA for sdxl"):
        take_lora(tmp_path / "a.safetensors", bases["sdxl"], tmp_path / "tune.safetensors")


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A file whose header was changed, with as many bytes behind it as it asks for."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :].ljust(end, b"\0")[:end])


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["a"].update(data_offsets=[0, 8]),
        lambda header: header["b"].update(data_offsets=[0, 16]),
        lambda header: header["a"].update(shape=[5]),
        lambda header: header["a"].update(dtype="F16"),
        lambda header: header["a"].update(dtype="pickle"),
        lambda header: header["b"].update(data_offsets=[24, 40]),
    ],
)
def test_a_header_whose_tensors_do_not_fit_each_other_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    save_file({"a": torch.zeros(4), "b": torch.ones(4)}, tmp_path / "a.safetensors")
    assert check_header(tmp_path / "a.safetensors").keys() == {"a", "b"}
    rewritten(tmp_path / "a.safetensors", change)
    with pytest.raises(BrokenWeights):
        check_header(tmp_path / "a.safetensors")


def test_a_pickle_and_a_file_that_was_cut_short_are_refused_unopened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "went off",))

    (tmp_path / "a.safetensors").write_bytes(pickle.dumps(Bomb()) * 100)
    with pytest.raises(Refused, match="pickles are never opened"):
        check_header(tmp_path / "a.safetensors")
    torch.save({"a": torch.zeros(4)}, tmp_path / "b.safetensors")
    with pytest.raises(Refused, match="pickles are never opened"):
        check_header(tmp_path / "b.safetensors")
    save_file({"a": torch.zeros(4)}, tmp_path / "c.safetensors")
    (tmp_path / "c.safetensors").write_bytes((tmp_path / "c.safetensors").read_bytes()[:-1])
    with pytest.raises(BrokenWeights, match="cut short"):
        check_header(tmp_path / "c.safetensors")
    assert not (tmp_path / "went off").exists()


@pytest.fixture
def whole(bases: dict[str, Base], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base in one file, whose family is as narrow as it is."""
    base = bases["sd15"]
    monkeypatch.setattr(imports, "family_of_file", lambda path: base.family)
    described = imports._described_by(base)
    monkeypatch.setattr(imports, "_described", lambda pipeline: described)
    return write_original(base.path, tmp_path / "mine.safetensors")


def test_a_whole_base_is_found_whole(whole: Path) -> None:
    check_base(whole)
    tensors = load_file(whole)
    save_file(tensors | {"model_ema.decay": torch.zeros(1)}, whole)
    check_base(whole)


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (
            lambda found: found.pop("model.diffusion_model.out.2.bias"),
            Refused,
            "lacks model.diffusion_model.out.2.bias",
        ),
        (
            lambda found: found.update({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(16, 9, 3, 3)}),
            Refused,
            "a variant that the studio does not draw with",
        ),
        (
            lambda found: found["first_stage_model.quant_conv.bias"].fill_(float("inf")),
            BrokenWeights,
            "NaN or infinite",
        ),
    ],
)
def test_a_base_that_is_not_whole_is_refused_with_the_reason(
    whole: Path, fault: Callable[[Tensors], object], kind: type[StudioError], said: str
) -> None:
    found = load_file(whole)
    fault(found)
    save_file(found, whole)
    with pytest.raises(kind, match=said):
        check_base(whole)
