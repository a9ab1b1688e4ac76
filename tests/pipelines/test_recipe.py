"""What pictures carry: written, read back, and AUTOMATIC1111's own texts understood."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from studio.domain import Refused
from studio.pipelines.recipe import MARK, mark_png, parameters, read, read_parameters, save_png


def recipe(**changes: object) -> dict[str, object]:
    return {
        "format": 1,
        "prompt": "portrait of a woman, red hair",
        "negative": "hat, text",
        "base": {"id": "sd15", "family": "sd", "revision": "451f4fe16113bff5", "licence": "CreativeML OpenRAIL-M"},
        "steps": 25,
        "scheduler": "dpmpp-2m",
        "sampler": "DPM++ 2M",
        "schedule": "Karras",
        "guidance": 7.0,
        "seed": 4294967295,
        "width": 512,
        "height": 768,
        "strength": None,
        "style": None,
        "drawn": None,
        "versions": {"likeness": "Likeness 1", "torch": "2.14.1"},
    } | changes


def saved(path: Path, **changes: object) -> Path:
    save_png(Image.effect_noise((64, 96), 50).convert("RGB"), path, recipe(**changes))
    return path


def test_the_parameters_are_as_automatic1111_writes_them() -> None:
    assert parameters(recipe()) == (
        "portrait of a woman, red hair\n"
        "Negative prompt: hat, text\n"
        "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 4294967295, Size: 512x768, "
        "Model hash: 451f4fe161, Model: sd15, Version: Likeness 1"
    )


def test_without_negative_prompt_and_schedule_their_words_are_left_out() -> None:
    words = parameters(recipe(negative="", schedule=None))
    assert "Negative" not in words and "Schedule" not in words and words.count("\n") == 1


def test_a_picture_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    carried = read(saved(tmp_path / "a.png", prompt="Gesicht mit Mütze, 写真, 🎩"))
    assert carried.recipe == recipe(prompt="Gesicht mit Mütze, 写真, 🎩")
    assert carried.parameters == parameters(recipe(prompt="Gesicht mit Mütze, 写真, 🎩"))
    assert carried.marked


def test_the_mark_is_iptcs_property_in_xmp(tmp_path: Path) -> None:
    with Image.open(saved(tmp_path / "a.png")) as image:
        packet = ElementTree.fromstring(image.info["XML:com.adobe.xmp"].split("?>", 1)[1].rsplit("<?", 1)[0])
    property_ = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    found = [element.get(property_) for element in packet.iter() if element.get(property_)]
    assert found == [MARK] == ["http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"]


def test_what_was_made_from_a_picture_keeps_its_recipe_and_mark(tmp_path: Path) -> None:
    before = read(saved(tmp_path / "a.png"))
    mark_png(Image.new("RGB", (8, 8)), tmp_path / "b.png", before)
    assert read(tmp_path / "b.png") == before


def test_a_tools_picture_of_a_plain_photo_is_marked_all_the_same(tmp_path: Path) -> None:
    mark_png(Image.new("RGB", (8, 8)), tmp_path / "b.png")
    carried = read(tmp_path / "b.png")
    assert carried.marked and carried.recipe is None and carried.parameters is None


def test_a_strange_picture_carries_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    carried = read(tmp_path / "a.jpg")
    assert (carried.recipe, carried.parameters, carried.fields, carried.marked) == (None, None, {}, False)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(Refused, match=r"a\.png is no picture"):
        read(tmp_path / "a.png")


def test_a_damaged_recipe_is_none(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415

    info = PngInfo()
    info.add_text("likeness", "{not json")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    assert read(tmp_path / "a.png").recipe is None


# What AUTOMATIC1111 1.10 writes, as its users post it.
THEIRS = (
    "a castle on a hill, (golden hour:1.2), <lora:mist:0.8>\nsecond line of the prompt\n"
    "Negative prompt: blurry, text: none\nsecond line of it\n"
    "Steps: 20, Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG scale: 6.5, Seed: 1234567890, Size: 512x768, "
    "Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Denoising strength: 0.7, "
    'Lora hashes: "mist: 0123abcd, fog: 4", '
    "Hires upscale: 2, Hires upscaler: R-ESRGAN 4x+ Anime6B, Version: v1.10.1"
)


def test_automatic1111s_own_text_is_understood() -> None:
    fields = read_parameters(THEIRS)
    assert fields["Prompt"] == ("a castle on a hill, (golden hour:1.2), <lora:mist:0.8>\nsecond line of the prompt")
    assert fields["Negative prompt"] == "blurry, text: none\nsecond line of it"
    assert fields["Sampler"] == "DPM++ 2M SDE" and fields["CFG scale"] == "6.5" and fields["Size"] == "512x768"
    assert fields["Lora hashes"] == "mist: 0123abcd, fog: 4" and fields["Version"] == "v1.10.1"
    assert fields["Hires upscaler"] == "R-ESRGAN 4x+ Anime6B"


def test_a_prompt_alone_is_a_prompt() -> None:
    assert read_parameters("a cat: fluffy, grey") == {"Prompt": "a cat: fluffy, grey"}


@pytest.mark.parametrize("order", ["le", "be"])
def test_automatic1111s_jpeg_is_read_too(tmp_path: Path, order: str) -> None:
    image = Image.new("RGB", (8, 8))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + THEIRS.encode(f"utf-16-{order}")
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path / "a.jpg").fields == read_parameters(THEIRS)


LINE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=60).map(str.strip)


@given(prompt=LINE.filter(bool), negative=LINE, style=LINE)
def test_every_prompt_and_value_survives_the_text(prompt: str, negative: str, style: str) -> None:
    if prompt.startswith("Negative prompt:"):
        return
    fields = read_parameters(parameters(recipe(prompt=prompt, negative=negative, style=style or None)))
    assert fields["Prompt"] == prompt
    assert fields.get("Negative prompt", "") == negative
    assert fields["Seed"] == "4294967295" and fields["Version"] == "Likeness 1"
