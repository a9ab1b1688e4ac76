"""What a picture tells of how it was made comes back as settings; what cannot be asked for here is named."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from studio.domain import ImageRequest, Refused
from studio.models import Models
from studio.pipelines.bases import Bases
from studio.pipelines.recipe import save_png
from studio.recall import of_file, of_parameters, of_recipe
from studio.settings import Settings
from tests.test_service import a_base

RECIPE: dict[str, Any] = {
    "prompt": "an old man, storybook style",
    "negative": "hat",
    "asked": {"prompt": "an old man", "negative": "hat"},
    "style": "storybook",
    "base": {"id": "starter", "family": "starter", "revision": "1", "licence": "Apache-2.0"},
    "steps": 30,
    "scheduler": "ddim",
    "sampler": "DDIM",
    "guidance": 3.5,
    "seed": 7,
    "width": 1024,
    "height": 1536,
    "asked_size": [512, 768],
    "super_resolution": True,
    "versions": {"likeness": "Likeness 1"},
}


@pytest.fixture
def bases(tmp_path: Path) -> Bases:
    a_base(tmp_path / "models")
    settings = Settings(data=tmp_path / "data", models=tmp_path / "models")
    return Models.of(settings, {"HF_HUB_CACHE": str(tmp_path / "cache")}).bases


def a_file(texts: dict[str, str], kind: str = "PNG") -> bytes:
    info = PngInfo()
    for key, value in texts.items():
        info.add_itxt(key, value)
    body = io.BytesIO()
    Image.new("RGB", (8, 8)).save(body, kind, **({"pnginfo": info} if kind == "PNG" else {}))
    return body.getvalue()


def test_a_picture_made_here_gives_its_request_back(bases: Bases, tmp_path: Path) -> None:
    save_png(Image.new("RGB", (8, 8)), tmp_path / "made.png", RECIPE)
    recalled = of_file((tmp_path / "made.png").read_bytes(), bases)
    assert recalled.lost == ()
    assert ImageRequest.from_json(recalled.fields) == ImageRequest(
        prompt="an old man",
        negative="hat",
        style="storybook",
        width=512,
        height=768,
        steps=30,
        guidance=3.5,
        scheduler="ddim",
        seed=7,
        super_resolution=True,
    )


def test_a_picture_of_automatic1111_gives_what_can_be_asked_for_here(bases: Bases) -> None:
    text = (
        "a cat, (sitting:1.2)\nNegative prompt: dog\n"
        "Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1234, Size: 520x776, Model hash: abc, Model: dream"
    )
    recalled = of_file(a_file({"parameters": text}), bases)
    assert recalled.fields == {
        "prompt": "a cat, sitting",
        "negative": "dog",
        "steps": 28,
        "guidance": 7.5,
        "scheduler": "dpmpp-2m",
        "seed": 1234,
        "width": 512,
        "height": 768,
    }
    assert recalled.lost == ("weights", "base")


def test_a_picture_of_fooocus_gives_what_can_be_asked_for_here(bases: Bases) -> None:
    told = {
        "prompt": "a cat",
        "negative_prompt": "",
        "full_prompt": ["a cat, cinematic still"],
        "resolution": "(832, 1216)",
        "steps": 30,
        "guidance_scale": 4.0,
        "sampler": "dpmpp_2m_sde_gpu",
        "seed": "77",
        "base_model": "juggernautXL_v8Rundiffusion",
    }
    recalled = of_file(a_file({"parameters": json.dumps(told)}), bases)
    assert recalled.fields == {
        "prompt": "a cat", "steps": 30, "guidance": 4.0, "seed": 77, "width": 704, "height": 1024,
    }  # fmt: skip
    assert set(recalled.lost) == {"size", "scheduler", "base"}


def test_a_prompt_in_braces_is_no_object(bases: Bases) -> None:
    text = "{red|blue} hat\nSteps: 20, Sampler: DDIM, CFG scale: 7, Seed: 1, Size: 512x512"
    assert of_file(a_file({"parameters": text}), bases).fields["prompt"] == "{red|blue} hat"


def test_a_size_that_is_too_large_keeps_its_shape_and_is_named(bases: Bases) -> None:
    recalled = of_parameters({"Prompt": "x", "Size": "2048x1024"}, bases)
    assert recalled.fields == {"prompt": "x", "width": 1024, "height": 512}
    assert recalled.lost == ("size",)


def test_loras_and_weights_of_words_are_taken_out_of_a_prompt_and_named(bases: Bases) -> None:
    told = {"Prompt": "a (red:1.3) hat, <lora:hats:0.8>", "Negative prompt": "<lora:bad:1> blurred"}
    recalled = of_parameters(told, bases)
    assert recalled.fields == {"prompt": "a red hat", "negative": "blurred"}
    assert recalled.lost == ("lora", "weights")


def test_what_a_picture_was_made_from_is_named(bases: Bases) -> None:
    made = {**RECIPE, "strength": 0.6, "tune": {"id": "a" * 8, "strength": 1.0}}
    assert of_recipe(made, bases).lost == ("init", "tune")


def test_what_is_out_of_bounds_or_not_here_is_named_and_left_out(bases: Bases) -> None:
    told = {"Prompt": "x", "Steps": "900", "Sampler": "Heun", "CFG scale": "99", "Seed": "9" * 19, "Style": "none such"}
    recalled = of_parameters(told, bases)
    assert recalled.fields == {"prompt": "x"}
    assert set(recalled.lost) == {"steps", "scheduler", "guidance", "seed", "style"}


@pytest.mark.parametrize(
    "recipe",
    [
        {"prompt": ["no", "text"], "steps": "30", "seed": True, "asked_size": [512], "base": "starter"},
        {"asked": "x", "width": 1e400, "height": 512, "guidance": {"a": 1}},
        {"prompt": "a\x1b[31m", "style": "../../etc", "base": {"id": "../../etc"}, "scheduler": 7},
    ],
)
def test_a_recipe_that_somebody_else_wrote_does_no_harm(recipe: dict[str, Any], bases: Bases) -> None:
    fields = of_recipe(recipe, bases).fields
    ImageRequest.from_json({"prompt": "any", **fields})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n" + b"x" * 40,
        a_file({}),
        a_file({}, "JPEG"),
        a_file({"likeness": "[1]"}),
        a_file({"likeness": "{"}),
        a_file({"parameters": '{"nodes": []}'}),
    ],
    ids=["empty", "no picture", "cut short", "a bare PNG", "a bare JPEG", "no object", "broken JSON", "another's JSON"],
)
def test_a_file_that_tells_nothing_is_refused_in_one_sentence(content: bytes, bases: Bases) -> None:
    with pytest.raises(Refused) as refused:
        of_file(content, bases)
    assert refused.value.field == "file"
    assert refused.value.message.count(".") == 1


def test_texts_that_unpack_to_too_much_are_refused(bases: Bases) -> None:
    info = PngInfo()
    info.add_text("parameters", "x" * (2 << 20), zip=True)
    body = io.BytesIO()
    Image.new("RGB", (8, 8)).save(body, "PNG", pnginfo=info)
    with pytest.raises(Refused):
        of_file(body.getvalue(), bases)


def test_the_recipe_read_is_the_json_not_what_others_made_of_the_text(bases: Bases) -> None:
    recalled = of_file(a_file({"likeness": json.dumps(RECIPE), "parameters": "another prompt"}), bases)
    assert recalled.fields["prompt"] == "an old man"
