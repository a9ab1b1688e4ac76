"""Every family has, for every class, eight styles for the avatars of a new tune."""

import pytest

from studio.pipelines.families import FAMILIES
from studio.styles import read_styles
from studio.tunes import CLASSES

STYLES = read_styles()


@pytest.mark.parametrize("family", FAMILIES)
def test_each_class_has_eight_styles_that_are_there_and_fit_it(family: str) -> None:
    eights = FAMILIES[family].eights
    assert set(eights) == set(CLASSES)
    for name, styles in eights.items():
        assert len(styles) == len(set(styles)) == 8
        assert [style for style in styles if name not in STYLES[style].fits] == []


def test_the_starter_is_asked_for_the_art_styles_that_it_was_drawn_in() -> None:
    assert {STYLES[style].category.id for style in FAMILIES["starter"].eights["person"]} == {"drawn"}
    assert {STYLES[style].category.id for style in FAMILIES["sd"].eights["person"]} != {"drawn"}
