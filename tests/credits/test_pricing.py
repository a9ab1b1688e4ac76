"""The price table is the published one, and no price falls as a picture grows."""

import math
from itertools import pairwise
from pathlib import Path

import pytest

from studio.credits import pricing
from studio.credits.price_list import overlaid
from studio.domain import REQUESTS, Charge, Refused, Size
from tests.fakes import request

PRICES = pricing.shipped()
TABLE = {
    (512, 512): (1, 2, 4),
    (512, 768): (1, 2, 4),
    (512, 1024): (1, 2, 6),
    (768, 768): (1, 2, 6),
    (768, 1024): (1, 2, 8),
    (1024, 1024): (2, 4, 10),
}
CELLS = [
    (size, steps, credits)
    for size, row in TABLE.items()
    for (least, most), credits in zip(((1, 50), (51, 100), (101, 150)), row, strict=True)
    for steps in (least, most)
]


def price(width: int, height: int, steps: int) -> int:
    return pricing.picture(PRICES, Size(width=width, height=height), steps)


@pytest.mark.parametrize(("size", "steps", "credits"), CELLS)
def test_each_of_the_18_cells_is_exact_at_both_ends_and_in_both_orientations(
    size: tuple[int, int], steps: int, credits: int
) -> None:
    assert price(*size, steps) == price(size[1], size[0], steps) == credits


def test_there_are_no_other_cells() -> None:
    assert {(size.width, size.height): row for size, row in PRICES.image} == TABLE
    assert sum(sum(row) for row in TABLE.values()) == 59
    assert PRICES.steps == (50, 100, 150)


def test_no_price_falls_when_steps_or_area_grow() -> None:
    by_area = sorted(TABLE, key=lambda size: size[0] * size[1])
    for steps in range(1, 151):
        column = [price(*size, steps) for size in by_area]
        assert column == sorted(column)
    for size in TABLE:
        row = [price(*size, steps) for steps in range(1, 151)]
        assert row == sorted(row)


def test_no_price_of_any_size_falls_when_a_side_grows() -> None:
    sides = range(128, 1025, 64)
    for steps in (50, 100, 150):
        for width in sides:
            for smaller, larger in pairwise(sides):
                assert price(width, smaller, steps) <= price(width, larger, steps)


@pytest.mark.parametrize(
    ("size", "row"),
    [
        ((128, 128), (512, 512)),
        ((576, 512), (512, 768)),
        ((128, 1024), (512, 1024)),
        ((576, 576), (768, 768)),
        ((640, 1024), (768, 1024)),
        ((832, 768), (768, 1024)),
        ((832, 832), (1024, 1024)),
    ],
)
def test_a_size_between_the_rows_costs_the_smallest_row_that_contains_it(
    size: tuple[int, int], row: tuple[int, int]
) -> None:
    assert [price(*size, steps) for steps in (50, 100, 150)] == list(TABLE[row])


@pytest.mark.parametrize("steps", [math.nan, math.inf, -math.inf, True, 50.7, "50", -1, 0, 151, 2**63])
def test_steps_that_are_none_have_no_price(steps: object) -> None:
    with pytest.raises(Refused) as caught:
        price(512, 512, steps)  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.allowed) == ("steps", "1 to 150")


def test_a_quote_counts_the_pictures() -> None:
    assert pricing.quote(PRICES, request(count=4)) == (Charge(kind="playground", each=1, count=4),)


def test_super_resolution_costs_one_upscale_for_each_picture() -> None:
    (charge,) = pricing.quote(PRICES, request(count=4, super_resolution=True))
    assert (charge.each, charge.amount) == (2, 8)


def test_an_avatar_costs_a_tune_image_credit_and_its_tools_playground_credits() -> None:
    plain = pricing.quote(PRICES, request(count=8, tune="t1", width=1024, height=1024, steps=150))
    assert plain == (Charge(kind="tune_image", each=1, count=8),)
    larger = pricing.quote(PRICES, request(count=8, tune="t1", super_resolution=True))
    assert larger == (Charge(kind="tune_image", each=1, count=8), Charge(kind="playground", each=1, count=8))
    clearer = pricing.quote(PRICES, request(count=8, tune="t1", face_enhance=True))
    assert clearer[1] == Charge(kind="playground", each=1, count=8, finding=1)
    both = pricing.quote(PRICES, request(count=8, tune="t1", super_resolution=True, face_enhance=True))
    assert both[1] == Charge(kind="playground", each=2, count=8, finding=1)


def test_faces_on_pictures_that_are_no_avatars_are_for_the_tool() -> None:
    with pytest.raises(Refused) as caught:
        request(face_enhance=True)
    assert caught.value.field == "face_enhance"


@pytest.mark.parametrize(
    ("tool", "scale", "each"), [("upscale", 2, 1), ("upscale", 4, 2), ("face", None, 1), ("background", None, 1)]
)
def test_each_tool_costs_what_the_table_says(tool: str, scale: int | None, each: int) -> None:
    assert pricing.tool(PRICES, tool, scale=scale, count=3) == Charge(kind="playground", each=each, count=3)


@pytest.mark.parametrize(
    ("tool", "scale", "count", "field"),
    [
        ("sharpen", None, 1, "tool"),
        ("upscale", None, 1, "scale"),
        ("upscale", 3, 1, "scale"),
        ("upscale", True, 1, "scale"),
        ("face", None, 0, "count"),
    ],
)
def test_a_tool_that_is_none_has_no_price(tool: str, scale: int | None, count: int, field: str) -> None:
    with pytest.raises(Refused) as caught:
        pricing.tool(PRICES, tool, scale=scale, count=count)
    assert caught.value.field == field


def test_every_kind_of_request_has_a_price() -> None:
    assert set(pricing._QUOTES) == set(REQUESTS)  # pyright: ignore[reportPrivateUsage]


def test_training_costs_a_tune_credit() -> None:
    assert pricing.training(PRICES) == Charge(kind="tune", each=1, count=1)


def test_a_table_that_ends_earlier_refuses_what_is_beyond_it(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text("[image]\nsteps = [50, 120]\n[image.credits]\n512x512 = [1, 2]\n768x1024 = [1, 3]\n")
    prices = overlaid(own)
    with pytest.raises(Refused, match="768x1024"):
        pricing.picture(prices, Size(width=1024, height=1024), 50)
    with pytest.raises(Refused, match="at most 120"):
        pricing.picture(prices, Size(width=512, height=512), 121)
