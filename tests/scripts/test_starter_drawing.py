"""The drawings and captions that the starter model learns from."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

pytest.importorskip("dicebear", reason="drawing portraits wants requirements-dev.txt")

from starter.drawing import SHAPES, cut_seed, draw
from starter.portrait import ATTRIBUTES, BACKGROUNDS, STYLES, Portrait, caption, draw_lots, prompt, sitter_photos

SITTER = Portrait(
    subject="woman", style="storybook", skin="light", hair="red", length="long", glasses="no", beard="no",
    mood="smiling", shirt="blue", background="teal",
)  # fmt: skip


def test_a_full_prompt_reads_as_people_write_it() -> None:
    assert (
        prompt(SITTER) == "portrait of a smiling woman with long red hair, light skin, teal background, storybook style"
    )


def test_a_prompt_names_only_what_its_style_can_show() -> None:
    bearded = replace(SITTER, subject="man", beard="yes", glasses="yes")
    assert "beard" not in prompt(bearded) and "shirt" not in prompt(bearded) and "glasses" in prompt(bearded)
    toon = prompt(replace(bearded, style="toon"))
    assert "a beard" in toon and "blue shirt" in toon and "glasses" not in toon


def test_one_caption_in_ten_is_empty_and_one_in_ten_says_hardly_more_than_the_class() -> None:
    random = Random(3)
    captions = [caption(draw_lots(random), random) for _ in range(4_000)]
    assert 0.08 < sum(not text for text in captions) / len(captions) < 0.12
    assert (
        0.07 < sum("with" not in text and "background" not in text and bool(text) for text in captions) / 4_000 < 0.14
    )


def test_a_caption_never_says_what_the_portrait_does_not_show() -> None:
    random = Random(4)
    for _ in range(1_000):
        portrait = draw_lots(random)
        words = caption(portrait, random).replace(",", "").split()
        colours = [before for before, after in zip(words, words[1:], strict=False) if after == "hair"]
        assert set(colours) <= {portrait.hair, portrait.length}
        assert ("beard" not in words) or portrait.beard == "yes" or "no" in words


def test_the_classes_of_a_portrait_mark_what_its_style_cannot_show() -> None:
    classes = SITTER.classes()
    assert classes["shirt"] == classes["beard"] == -1
    assert ATTRIBUTES["hair"][classes["hair"]] == "red"


@pytest.mark.parametrize("style", [style.name for style in STYLES])
def test_the_background_has_the_colour_its_word_promises(style: str) -> None:
    picture = draw(replace(SITTER, style=style), Random(1))
    assert "#{:02x}{:02x}{:02x}".format(*picture.getpixel((1, 1))) == BACKGROUNDS["teal"]  # type: ignore[misc]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_drawn_in_full(shape: tuple[int, int]) -> None:
    picture = draw(SITTER, Random(1), shape=shape)
    assert picture.size == shape
    columns = np.asarray(picture).reshape(shape[1], shape[0], 3)
    assert (columns != columns[0, 0]).any(axis=(0, 2)).mean() > 0.25, "the head fills a good part of the width"


def test_a_sitter_keeps_his_cut_in_every_photo() -> None:
    photos = [
        draw(replace(p, mood="smiling", shirt="blue", background="teal"), Random(9), cut=Random(cut_seed(p)))
        for p in sitter_photos(SITTER, 3, Random(5))
    ]
    assert all(photos[0].tobytes() == photo.tobytes() for photo in photos)


def test_drawing_is_the_same_from_the_same_seed() -> None:
    assert draw(SITTER, Random(2)).tobytes() == draw(SITTER, Random(2)).tobytes()
