"""The operator's price file changes what it names; one with a fault is refused with its line, and the old one stays."""

import os
from decimal import Decimal
from pathlib import Path

import pytest

from studio.credits import pricing
from studio.credits.price_list import PriceList, overlaid, shipped
from studio.credits.prices import money
from studio.domain import Refused, Size

# What the two services ask for: credits a month, price of a month, of twelve, and a month's price if paid by the year.
PUBLISHED = {
    "basic": (1000, "19", "192", "16", False),
    "standard": (2500, "29", "294", "24.50", True),
    "business": (6000, "39", "390", "32.50", True),
}


def test_the_plans_are_the_published_ones() -> None:
    plans = shipped().plans
    assert set(plans) == set(PUBLISHED)
    for name, (credits, monthly, annual, a_month, keeps) in PUBLISHED.items():
        plan = plans[name]
        assert plan.monthly is not None and plan.annual is not None
        assert (plan.credits, plan.keeps_tunes, plan.offered) == (credits, keeps, True)
        assert (Decimal(plan.monthly) / 100, Decimal(plan.annual) / 100) == (Decimal(monthly), Decimal(annual))
        assert Decimal(plan.annual) / 1200 == Decimal(a_month)


def test_the_packs_are_the_published_ones_and_have_no_price() -> None:
    packs = shipped().packs
    assert {name: dict(pack.gives) for name, pack in packs.items()} == {
        "tune": {"tune": 1, "tune_image": 64},
        "avatars-104": {"tune_image": 104},
    }
    assert {pack.price for pack in packs.values()} == {None}


def test_a_purchase_can_be_given_back_for_thirty_days() -> None:
    assert shipped().refund_days == 30


def test_a_sum_is_shown_to_the_cent() -> None:
    assert [money(amount, "USD") for amount in (0, 5, 2450, 39000, None)] == [
        "0.00 USD", "0.05 USD", "24.50 USD", "390.00 USD", "no price set",
    ]  # fmt: skip


def write(folder: Path, words: str) -> Path:
    file = folder / "prices.toml"
    file.write_text(words, encoding="utf-8")
    return file


def test_what_the_operator_names_is_changed_and_the_rest_stays(tmp_path: Path) -> None:
    prices = overlaid(
        write(
            tmp_path,
            """
            currency = "EUR"
            tools.face = 3
            [packs.tune]
            price = 9.90
            [packs.wedding]
            title = "A wedding"
            tune = 2
            tune_image = 200
            price = 49
            [plans.basic]
            offered = false
            [plans.agency]
            credits = 20_000
            monthly = 99.5
            keeps_tunes = true
            """,
        )
    )
    assert prices.currency == "EUR"
    assert dict(prices.tools) == {**shipped().tools, "face": 3}
    assert (prices.packs["tune"].price, dict(prices.packs["tune"].gives)) == (990, {"tune": 1, "tune_image": 64})
    assert (prices.packs["wedding"].price, prices.packs["wedding"].title) == (4900, "A wedding")
    assert prices.plan("agency").monthly == 9950
    assert prices.plan("agency").title == "Agency"
    assert prices.plans["standard"] == shipped().plans["standard"]
    assert (prices.steps, prices.image) == (shipped().steps, shipped().image)
    with pytest.raises(Refused) as caught:
        prices.plan("basic")
    assert caught.value.allowed == "standard, business, agency"
    with pytest.raises(Refused) as caught:
        prices.pack("nothing")
    assert caught.value.allowed == "tune, avatars-104, wedding"


def test_the_table_of_sizes_is_replaced_as_a_whole(tmp_path: Path) -> None:
    prices = overlaid(write(tmp_path, "[image.credits]\n768x768 = [3, 3, 3]\n512x512 = [0, 1, 2]\n"))
    assert [str(size) for size, _ in prices.image] == ["512x512", "768x768"]
    assert pricing.picture(prices, Size(width=576, height=512), 60) == 3


FAULTS = [
    ("tools.face = 1\ntools.face == 2", 2, "Invalid value"),
    ('currency = "EUR"\n\n[tools', 3, "Expected"),
    ("\n\n[tolls]\nface = 1", 3, "there is no 'tolls' here; known are currency, image"),
    ("[tools]\nface = 1\n# a note\nsharpen = 2", 4, "there is no 'sharpen' here; known are upscale-x2"),
    ("[tools]\nface = -1", 2, "face must be a whole number from 0 to 10000, not -1."),
    ("[tools]\nface = true", 2, "not True"),
    ("[tools]\nface = 1.0", 2, "must be a whole number"),
    ('[tools]\nface = "1"', 2, "not '1'"),
    ("tools = 3", 1, "tools must be a table, not 3."),
    ('currency = "euro"', 1, "three capitals"),
    ("[image]\nsteps = [50, 50, 100]", 2, "steps must grow."),
    ("[image]\nsteps = []", 2, "must be a list of whole numbers"),
    ("[image]\nsteps = [50, 100, 151]", 2, "from 1 to 150, not 151"),
    ("[image]\nsteps = [\n 50,\n 100,\n]\n", None, "must have 2 prices, one for each of steps, not 3."),
    ("[image.credits]\n512x512 = [1, 2]", 2, "must have 3 prices"),
    ("[image.credits]\n512x512 = [3, 2, 4]", 2, "a price must not fall when steps grow"),
    ("[image.credits]\n512x512 = [1, 2, 4]\n768x512 = [1, 2, 4]\n512x768 = [1, 2, 4]", 4, "is there twice"),
    ("[image.credits]\n512x512 = [2, 2, 4]\n512x768 = [1, 2, 4]", 3, "512x768 must not cost less than 512x512"),
    ("[image.credits]\n500x500 = [1, 2, 4]", 2, "width must be a multiple of 64"),
    ('[image.credits]\n"large" = [1, 2, 4]', 2, "size must look like 512x768"),
    ("[image]\ncredits = {}", 2, "at least one size"),
    ("[refund]\ndays = 30.5", 2, "days must be a whole number from 0 to 366"),
    ("[plans.gold]\nmonthly = 5", 1, "credits is missing."),
    ("\n[plans.gold]\ncredits = 0", 3, "credits must be a whole number from 1"),
    ("[plans.gold]\ncredits = 10\nmonthly = 9.999", 3, "in cents at most, not 9.999."),
    ("[plans.gold]\ncredits = 10\nmonthly = nan", 3, "monthly must be a sum"),
    ("[plans.gold]\ncredits = 10\nmonthly = -1", 3, "monthly must be a sum from 0"),
    ("[plans.gold]\ncredits = 10\nmonthly = true", 3, "not True"),
    ("[plans.gold]\ncredits = 10\nkeeps_tunes = 1", 3, "keeps_tunes must be true or false, not 1."),
    ("[plans.house]\ncredits = 10", 1, "house means something already"),
    ("[plans.Gold]\ncredits = 10", 1, "small letters, digits and -"),
    ("plans.gold = 3", 1, "gold must be a table"),
    ("[packs.tune]\nplayground = 500", 2, "playground credits are not sold in packs"),
    ('[packs.party]\ntitle = "Party"', 1, "the pack party gives nothing"),
    ("[packs.party]\ntune = 1\ntitle = 7", 3, "title must be a text, not 7."),
]


@pytest.mark.parametrize(("words", "line", "reason"), FAULTS)
def test_a_fault_is_told_with_its_line_and_the_reason(
    tmp_path: Path, words: str, line: int | None, reason: str
) -> None:
    file = write(tmp_path, words)
    with pytest.raises(Refused) as caught:
        overlaid(file)
    assert reason in caught.value.message
    assert line is None or caught.value.message.startswith(f"{file}, line {line}: ")


def test_a_file_that_is_no_text_or_far_too_long_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_bytes(b"tools.face = 1\n# \xff")
    with pytest.raises(Refused, match="line 2: this is not UTF-8"):
        overlaid(file)
    file.write_bytes(b"#" * 70_000)
    with pytest.raises(Refused, match="more than 65536 bytes"):
        overlaid(file)


def change(file: Path, words: str) -> None:
    """As an editor would: and at another time than before, however coarse the file system's clock."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(words)
    os.utime(file, ns=(before + 10**9, before + 10**9))


def test_a_changed_file_is_in_force_at_once_and_a_bad_one_leaves_the_old_prices(tmp_path: Path) -> None:
    prices = PriceList(tmp_path / "prices.toml")
    assert prices() == shipped()

    change(prices.file, "tools.face = 2")
    assert prices().tools["face"] == 2

    change(prices.file, "tools.face = -3")
    assert prices().tools["face"] == 2
    assert prices.trouble is not None and "line 1: face must be" in prices.trouble.message

    change(prices.file, "tools.face = 4")
    assert (prices().tools["face"], prices.trouble) == (4, None)

    prices.file.unlink()
    assert (prices(), prices.trouble) == (shipped(), None)


def test_the_old_prices_outlast_a_restart_with_a_bad_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    change(file, "tools.face = 2")
    assert PriceList(file)().tools["face"] == 2
    change(file, "tools.face = ")
    after = PriceList(file)
    assert after().tools["face"] == 2
    assert after.trouble is not None


def test_a_bad_file_from_the_start_leaves_the_shipped_prices(tmp_path: Path) -> None:
    prices = PriceList(write(tmp_path, "tools.face = "))
    assert prices() == shipped()
    assert prices.trouble is not None
