"""The Tunes tab in a real browser: from photos that are dropped to the ZIP of the avatars; and all of it deleted."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.pipelines.families import FAMILIES
from tests.ui.apprentice import photos
from tests.ui.browsing import Visitor
from tests.ui.test_axe import faults

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

Visit = Callable[..., Visitor]
STEPS = 12  # of a training that is only to be seen
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def shot(tmp_path: Path) -> Callable[[Visitor, str], None]:
    """Takes a picture of the whole page, into the folder that LIKENESS_SHOTS names."""
    folder = Path(os.environ.get("LIKENESS_SHOTS") or tmp_path)

    def take(one: Visitor, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        one.page.screenshot(path=folder / f"tunes-{name}.png", full_page=True)

    return take


def is_dark(one: Visitor, dark: bool) -> None:
    one.page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)


def has_no_fault(one: Visitor) -> None:
    """In light and dark nothing that axe-core calls serious; and nothing is wider than the window."""
    for dark in (True, False):
        is_dark(one, dark)
        assert faults(one.page) == []
    assert one.wider() <= 0


def saved(one: Visitor, query: str) -> bytes:
    with one.page.expect_download() as waiting:
        one.at(query).first.click()
    return Path(waiting.value.path()).read_bytes()


def test_the_whole_way_from_photos_to_the_zip(visit: Visit, shot: Any, tmp_path: Path) -> None:
    one = visit("tunes")
    # 1. Nothing there yet, and the way to a new tune.
    expect(one.at("#tunes-grid .empty")).to_contain_text("No tunes yet")
    has_no_fault(one)
    one.at("#tunes-grid .empty [data-place=new]").click()
    expect(one.at("#new-go")).to_contain_text("Train – 1 tune credit")
    expect(one.at("#new-cost")).to_contain_text("64 pictures follow in 8 styles, for 64 tune-image credits")

    # 2. Photos with their verdicts; the bad one is left out in one click.
    Image.new("RGB", (40, 40), "teal").save(tmp_path / "tiny.png")
    one.at("#new-photos input[type=file]").set_input_files([*photos(tmp_path, 5), tmp_path / "tiny.png"])
    expect(one.at(".photo[data-verdict=good]")).to_have_count(5)
    expect(one.at(".photo[data-verdict=blocking] .why")).to_contain_text("too small: 40x40")
    one.at("[data-do=photos_sift]").click()
    expect(one.at(".photo.out .name")).to_have_text("tiny.png")
    has_no_fault(one)
    shot(one, "photos")

    # 3. One style, found by its words; few steps; and nothing without consent.
    one.page.evaluate(
        "[...document.querySelectorAll('.picker [aria-pressed=true][data-style]')].slice(1).map(x => x.click())"
    )
    expect(one.at(".picker .chosen")).to_contain_text("1 of 8")
    expect(one.at("#new-cost")).to_contain_text("8 pictures follow in 1 style")
    one.at("[data-find-style]").fill("knight")
    expect(one.at(".picker [data-style]:visible").first).to_contain_text("night")
    one.at("#new-name input, #new-name textarea").fill("Ada")
    one.at("#new-advanced .label-wrap").click()
    usual = FAMILIES["starter"].training
    assert usual is not None
    expect(one.at("#new-steps input")).to_have_value(str(usual.steps))  # it comes a moment after the field
    one.at("#new-steps input").fill(str(STEPS))
    one.at("#new-prior input").uncheck()
    one.at("#new-go").click()
    expect(one.at("#new-consent .at-field")).to_contain_text("Nothing is trained without consent")
    one.at("#new-consent input").check()
    one.at("#new-go").dblclick()

    # 4. The training, found again by its address; its avatars follow by themselves.
    one.at(".tune-head h2", has_text="Ada").wait_for()
    one.page.reload()
    one.ready()
    one.at(".tune-head h2", has_text="Ada").wait_for()
    shot(one, "training")
    one.at(".tune-head[data-state=ready]").wait_for()
    expect(one.at("#tune-pictures .group .pic")).to_have_count(8)
    expect(one.at("#tune-pictures [data-job]")).to_have_count(0)
    has_no_fault(one)
    shot(one, "ready")

    # 5. One is a favourite, one is deleted and brought back; the rest as a ZIP.
    first = one.at("#tune-pictures .pic").first
    first.hover()
    first.locator("[data-do=star]").click()
    expect(one.at("#tune-pictures .star.on")).to_have_count(1)
    one.at("#tune-pictures .pic [data-do=bin]").last.click()
    expect(one.at("#tune-pictures .group .pic")).to_have_count(7)
    one.at("#notice [data-do=unbin]").click()
    expect(one.at("#tune-pictures .group .pic")).to_have_count(8)
    with zipfile.ZipFile(io.BytesIO(saved(one, "#tune-pictures .group form button"))) as archive:
        names = archive.namelist()
        assert len(names) == 9 and "recipes.csv" in names
        with Image.open(io.BytesIO(archive.read(names[0]))) as picture:
            assert picture.size == (128, 128)

    # 6. One more, for the price that is said.
    one.at("#more-prompt textarea").fill("wearing a hat")
    one.number("more-count", 1)
    expect(one.at("#more-go")).to_have_text("Make 1 picture – 1 tune-image credit")
    one.at("#more-go").click()
    one.at("#tune-pictures h3", has_text="wearing a hat").wait_for()

    # 7. All of them in the gallery, alone.
    one.at("[data-do=tune_gallery]").click()
    expect(one.at("#shelf .pic")).to_have_count(9)


def test_it_reads_well_on_a_phone_in_german(visit: Visit, shot: Any) -> None:
    one = visit("tunes", viewport=PHONE, locale="de-DE", has_touch=True)
    one.at(".tune[data-state=ready]").wait_for()
    expect(one.at(".tune[data-state=ready]")).to_contain_text("Fertig")
    has_no_fault(one)
    shot(one, "phone-grid")
    one.at(".tune[data-state=ready]").tap()
    expect(one.at("#tune-pictures h2").first).to_contain_text("9 Bilder")
    has_no_fault(one)
    is_dark(one, True)
    shot(one, "phone-dark")
    one.at(".tune-head [data-place='']").tap()
    one.at(".tune.add").tap()
    expect(one.at("#new-consent")).to_contain_text("Ich darf diese Fotos verwenden")
    for fold in one.at("#tunes-new .fold summary").all():
        fold.tap()
    has_no_fault(one)
    shot(one, "phone-new")


def test_deleting_says_what_goes_and_leaves_a_receipt(visit: Visit, shot: Any) -> None:
    one = visit("tunes")
    one.at(".tune[data-state=ready]").click()
    one.at("[data-do=tune_doom][data-which=all]").click()
    window = one.at("#tune-doom[open]")
    expect(window.locator(".goes")).to_contain_text("9 pictures")
    expect(window.locator(".stays")).to_contain_text("account book")
    assert faults(one.page) == []
    shot(one, "deleting")
    window.locator("[data-close]").click()
    expect(one.at(".tune-head h2")).to_have_text("Ada")
    one.at("[data-do=tune_doom][data-which=all]").click()
    window.locator("[type=submit]").click()
    expect(one.at("#tunes-grid .empty")).to_be_visible()
    expect(one.at("#notice")).to_contain_text("Everything is deleted")
    receipts = one.at("#tunes-grid details", has_text="Deleted: 1")
    receipts.locator("summary").click()
    expect(receipts.locator(".due")).to_contain_text("9 pictures")
