"""The page in a real browser, on the starter model: what a person does from the first picture to the tidied gallery."""

import io
import os
import re
import statistics
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.ui.browsing import PATIENCE, ROOT, Home, Visitor, held

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

Visit = Callable[..., Visitor]
LATE = 500  # milliseconds: five times what the price may take on idle cores


@pytest.fixture(scope="module")
def shelf(home: Home) -> list[str]:
    """More pictures than a page of the gallery holds; the ids of the last eight."""
    for number in range(6):
        home.made(f"a man with a beard {number}", count=8)
    return [one["id"] for one in home.made("an old sailor", count=8, seed=70)["made"]]


# --- the Playground --------------------------------------------------------------------------------------------------


def test_a_prompt_becomes_pictures_for_the_price_on_the_button(visit: Visit, home: Home) -> None:
    one = visit()
    one.ask("a smiling woman with red hair", count=2, steps=60)
    expect(one.at("#generate")).to_contain_text("4 credits")
    job = one.go()
    one.state("done")
    expect(one.at("#made [data-view] img")).to_have_count(2)
    assert home.ended(job)["charged"] == {"playground": one.price()} == {"playground": 4}
    expect(one.at("#stage .head")).to_contain_text("4 credits")


def test_the_price_follows_a_sliders_move(visit: Visit) -> None:
    one = visit()
    moved = """async count => {
        const [slider, button] = ['#count input[type=range]', '#generate'].map(query => document.querySelector(query));
        const begun = performance.now();
        slider.value = count;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        while (!button.textContent.includes(`${count} credits`)) await new Promise(next => setTimeout(next, 2));
        return performance.now() - begun;
    }"""
    took = [one.page.evaluate(moved, count) for count in (2, 3, 4, 5, 6, 7, 8, 3, 5)]
    print(f"price: median {statistics.median(took):.0f} ms, best {min(took):.0f} ms of {len(took)} moves")
    assert min(took) < LATE


def test_a_reload_in_the_middle_finds_the_job_and_it_can_be_cancelled(visit: Visit, home: Home) -> None:
    one = visit()
    one.ask("somebody with very long hair", count=8, steps=150)
    job = one.go()
    expect(one.at("#stage [role=progressbar]")).to_be_visible()
    expect(one.at("#stage .said")).to_contain_text("%")
    expect(one.at("#made .coming img")).to_be_visible()
    expect(one.page).to_have_title(re.compile(r"^\d+% · Likeness$"))

    one.page.reload()
    one.ready()
    expect(one.at("#stage .job")).to_have_attribute("data-job", job)
    expect(one.at("#prompt textarea")).to_have_value("somebody with very long hair")
    expect(one.at("#steps input[type=number]")).to_have_value("150")
    expect(one.at("#topbar .live")).to_contain_text("1 job")

    one.at("#stage [data-do=halt]").click()
    one.state("cancelled")
    ended = home.ended(job)
    assert ended["charged"].get("playground", 0) < ended["price"]
    expect(one.page).to_have_title("Likeness")


def test_what_is_refused_is_said_beside_its_field(visit: Visit) -> None:
    one = visit()
    one.at("#generate").click()
    expect(one.at("#prompt .at-field")).to_contain_text("empty")
    expect(one.at("#prompt textarea")).to_be_focused()
    one.write("a woman")
    expect(one.at(".at-field")).to_have_count(0)


def test_use_again_brings_a_pictures_settings_back(visit: Visit, home: Home) -> None:
    made = home.made("a robot head", size="192x256", steps=2, seed=41, count=2)["made"]
    one = visit()
    one.at(f'#made [data-id="{made[1]["id"]}"] [data-do=reuse]').click()
    expect(one.at("#prompt textarea")).to_have_value("a robot head")
    expect(one.at("#seed input")).to_have_value("42")
    expect(one.at("#random input")).not_to_be_checked()
    for field, value in (("steps", "2"), ("width", "192"), ("height", "256"), ("count", "1")):
        expect(one.at(f"#{field} input[type=number]")).to_have_value(value)


def test_a_picture_is_started_from(visit: Visit, home: Home) -> None:
    made = home.made("a clown", size="192x256", steps=2)["made"][0]
    one = visit()
    one.at(f'#made [data-view="{made["id"]}"]').click()
    one.at("#viewer [data-do=start]").click()
    expect(one.at("#viewer")).not_to_be_visible()
    expect(one.at("#init img")).to_be_visible()
    expect(one.at("#painter .canvas")).to_be_visible()
    for field, value in (("width", "192"), ("height", "256")):
        expect(one.at(f"#{field} input[type=number]")).to_have_value(value)

    one.write("a sad clown")
    one.number("count", 1)
    one.number("steps", 4)
    job = one.go()
    one.state("done")
    assert [(one["width"], one["height"]) for one in home.ended(job)["made"]] == [(192, 256)]
    one.at("#made [data-view]").first.click()
    expect(one.at("#viewer dl")).to_contain_text("Strength")
    one.at("#viewer [data-do=reuse]").click()
    expect(one.at("#notice .notice")).to_contain_text("except: Picture to start from")


def test_a_dropped_picture_restores_its_settings(visit: Visit, home: Home) -> None:
    made = home.made("a pirate with an eye patch", steps=3, seed=9)["made"][0]
    one = visit()
    one.page.evaluate(
        """async url => {
            const file = new File([await (await fetch(url)).blob()], 'found.png', { type: 'image/png' });
            const carried = new DataTransfer();
            carried.items.add(file);
            for (const kind of ['dragover', 'drop']) {
                const event = new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true });
                document.querySelector('#stage').dispatchEvent(event);
            }
        }""",
        made["url"],
    )
    expect(one.at("#prompt textarea")).to_have_value("a pirate with an eye patch")
    expect(one.at("#seed input")).to_have_value("9")


def test_parameters_pasted_into_the_prompt_restore_their_settings(visit: Visit) -> None:
    one = visit()
    parameters = "an astronaut on the beach\nSteps: 12, Sampler: DDIM, CFG scale: 4.5, Seed: 77, Size: 256x384"
    one.page.evaluate(
        """text => {
            const carried = new DataTransfer();
            carried.setData('text', text);
            const event = new ClipboardEvent('paste', { clipboardData: carried, bubbles: true, cancelable: true });
            document.querySelector('#prompt textarea').dispatchEvent(event);
        }""",
        parameters,
    )
    expect(one.at("#prompt textarea")).to_have_value("an astronaut on the beach")
    expect(one.at("#seed input")).to_have_value("77")
    for field, value in (("steps", "12"), ("guidance", "4.5"), ("width", "256"), ("height", "384")):
        expect(one.at(f"#{field} input[type=number]")).to_have_value(value)


def test_two_browsers_with_two_jobs_see_each_its_own(visit: Visit) -> None:
    here, there = visit(), visit(viewport={"width": 900, "height": 700})
    here.ask("a knight", count=2, steps=20)
    there.ask("a queen", count=2, steps=4)
    mine, yours = here.go(), there.go()
    assert mine != yours
    for one, job, prompt in ((here, mine, "a knight"), (there, yours, "a queen")):
        one.state("done")
        assert one.job() == job
        expect(one.at("#stage .asked")).to_have_text(prompt)
        expect(one.at("#made [data-view]")).to_have_count(2)


# --- the Gallery -----------------------------------------------------------------------------------------------------


def test_the_gallery_is_paged_and_searched(visit: Visit, shelf: list[str]) -> None:
    one = visit("gallery")
    one.shelf_is("(ids, newest) => ids.length === 48 && ids.includes(newest)", shelf[0])
    newest = one.shelf()
    one.leaf("older")
    one.shelf_is("(ids, seen) => ids.length > 0 && !ids.some(id => seen.includes(id))", newest)
    one.leaf("newer")
    one.shelf_is("(ids, seen) => ids.join() === seen.join()", newest)
    one.at("#find input, #find textarea").fill("old sailor")
    one.shelf_is("(ids, all) => ids.length === 8 && ids.every(id => all.includes(id))", shelf)


def test_pictures_are_marked_deleted_and_brought_back(visit: Visit, shelf: list[str]) -> None:
    one = visit("gallery")
    first = one.at(f'#shelf [data-id="{shelf[0]}"]')
    first.hover()
    first.locator("[data-do=star]").click()
    expect(first.locator(".star.on")).to_have_count(1)
    one.at("#only-favourites input").check()
    one.shelf_is("(ids, star) => ids.join() === star", shelf[0])

    one.at("#only-favourites input").uncheck()
    one.shelf_is("ids => ids.length === 48")
    for id in shelf[1:3]:
        one.at(f'#shelf [data-pick="{id}"]').check()
    expect(one.at("#picked .count")).to_have_text("2 selected")
    one.at("#picked [data-picked=bin]").click()
    one.shelf_is("(ids, one, two) => !ids.includes(one) && !ids.includes(two)", *shelf[1:3])
    one.at("#notice [data-do=unbin]").click()
    one.shelf_is("(ids, one, two) => ids.includes(one) && ids.includes(two)", *shelf[1:3])


def test_quick_clicks_are_all_heard(visit: Visit, shelf: list[str]) -> None:
    one = visit("gallery")
    few = shelf[3:8]
    stars = one.at(", ".join(f'#shelf [data-id="{id}"] .star.on' for id in few))
    for on in (True, False):
        one.at(f'#shelf [data-id="{few[0]}"]').wait_for()
        one.page.evaluate(
            "ids => ids.forEach(id => document.querySelector(`#shelf [data-id='${id}'] [data-do=star]`).click())", few
        )
        expect(stars).to_have_count(len(few) if on else 0)


def test_what_is_refused_does_not_hold_up_what_comes_after_it(visit: Visit, shelf: list[str]) -> None:
    one = visit("gallery")
    star = one.at(f'#shelf [data-id="{shelf[4]}"]')
    star.wait_for()
    for on in (True, False):
        one.page.evaluate(
            """([id, on]) => {
                window.likeness.tell('star', { ids: ['00000000-0000-4000-8000-000000000000'], on });
                window.likeness.tell('star', { ids: [id], on });
            }""",
            [shelf[4], on],
        )
        expect(star.locator(".star.on")).to_have_count(1 if on else 0, timeout=PATIENCE / 10)


def test_a_button_that_is_put_anew_while_it_is_pressed_is_clicked(visit: Visit) -> None:
    one = visit()
    one.page.evaluate(
        """() => {
            document.body.insertAdjacentHTML('beforeend',
                '<div id="board" style="position: fixed; top: 40%; left: 40%; z-index: 999">' +
                '<button data-tab="jobs">Here</button></div>');
            window.clicked = [];
            document.getElementById('board').addEventListener('click', event => {
                if (event.target.dataset.tab) window.clicked.push(event.target.dataset.tab);
            });
        }"""
    )

    def press(put_anew: str) -> None:
        one.at("#board button").hover()
        one.page.mouse.down()
        one.at("#board").evaluate(f"board => {{ board.innerHTML = {put_anew}; }}")
        one.page.mouse.up()

    press("board.innerHTML.replace('jobs', 'credits')")  # that is not what was pressed
    press("board.innerHTML")
    one.at("#tab-credits-button[aria-selected=true]").wait_for()
    assert one.page.evaluate("window.clicked") == ["credits"], "one click, of the second press"


def test_selected_pictures_come_as_a_zip_with_their_recipes(visit: Visit, shelf: list[str]) -> None:
    one = visit("gallery", accept_downloads=True)
    for id in shelf[3:5]:
        one.at(f'#shelf [data-pick="{id}"]').check()
    with one.page.expect_download() as coming:
        one.at("#picked [data-picked=zip]").click()
    with zipfile.ZipFile(io.BytesIO(coming.value.path().read_bytes())) as archive:
        names = archive.namelist()
        recipes = archive.read("recipes.csv").decode()
    assert len([name for name in names if name.endswith(".png")]) == 2
    assert recipes.count("an old sailor") == 2


def test_the_gallery_can_be_used_with_the_keyboard(visit: Visit, shelf: list[str]) -> None:
    one = visit("gallery")
    one.at("#find input, #find textarea").fill("old sailor")
    one.shelf_is("ids => ids.length === 8")
    ids = one.shelf()
    one.at(f'#shelf [data-view="{ids[0]}"]').focus()
    press = one.page.keyboard.press
    press("ArrowRight")
    expect(one.at(f'#shelf [data-view="{ids[1]}"]')).to_be_focused()
    press("f")
    expect(one.at(f'#shelf [data-id="{ids[1]}"] .star.on')).to_have_count(1)
    press("Enter")
    expect(one.at("#viewer dl")).to_contain_text("an old sailor")
    press("ArrowRight")
    expect(one.at("#viewer figure img")).to_have_attribute("src", f"media/pictures/{ids[2]}.png")
    press("Escape")
    expect(one.at("#viewer")).not_to_be_visible()
    one.at(f'#shelf [data-view="{ids[7]}"]').focus()
    press("Delete")
    one.shelf_is("(ids, gone) => !ids.includes(gone)", ids[7])


# --- how it looks ----------------------------------------------------------------------------------------------------

DARK = re.compile(r"\bdark\b")
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "german": {"locale": "de-DE"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "wide": {"viewport": {"width": 1920, "height": 1080}},
}


# What is seen in front of the bar, at places all along it.
OVER_THE_BAR = """() => {
    const { left, width, top, height } = document.querySelector('#tabs > .tab-wrapper').getBoundingClientRect();
    const places = [...Array(80).keys()].map(n => left + width * (n + .5) / 80);
    const seen = places.map(x => document.elementFromPoint(x, top + height / 2));
    return seen.filter(one => !one.closest('#topbar, .tab-wrapper')).map(one => one.outerHTML.slice(0, 90));
}"""


@pytest.mark.parametrize("look", LOOKS)
def test_every_tab_fits_its_window(visit: Visit, shelf: list[str], look: str) -> None:
    one = visit(**LOOKS[look])
    names = one.page.evaluate("() => [...document.querySelectorAll('#tabs [role=tab]')].map(tab => tab.dataset.tabId)")
    assert {"playground", "gallery", "jobs", "credits"} <= set(names)
    for name in names:
        one.tab(name)
        assert one.wider() <= 0, name
    one.tab("gallery")
    one.page.mouse.wheel(0, 600)
    one.page.wait_for_function("() => scrollY > 100")
    for always in ("#tab-gallery-button", "#topbar .chip >> nth=0"):
        expect(one.at(always)).to_be_in_viewport()
    one.tab("playground")
    for step in range(1, 9):
        one.page.evaluate("y => scrollTo(0, y)", 60 * step)
        assert one.page.evaluate(OVER_THE_BAR) == [], "what is scrolled goes below the bar"
    one.page.evaluate("scrollTo(0, 0)")
    if look == "phone":
        one.tab("playground")
        expect(one.at("#generate")).to_be_in_viewport()
        expect(one.at("#play-form")).not_to_be_visible()
        one.at("#unfold").click()
        expect(one.at("#play-form")).to_be_visible()


def test_light_and_dark_follow_the_system_and_the_button(visit: Visit) -> None:
    one = visit(color_scheme="dark")
    expect(one.at("body")).to_have_class(DARK)
    one.at("[data-dark]").click()
    expect(one.at("body")).not_to_have_class(DARK)
    one.page.reload()
    one.ready()
    expect(one.at("body")).not_to_have_class(DARK)


SHOTS = {
    "playground": ("playground", {"viewport": {"width": 1360, "height": 860}}),
    "playground-dark": ("playground", {"viewport": {"width": 1360, "height": 860}, "color_scheme": "dark"}),
    "gallery": ("gallery", {"viewport": {"width": 1360, "height": 860}}),
    "phone": ("playground", LOOKS["phone"]),
    "guide": ("tunes", {"viewport": {"width": 1100, "height": 900}}),
}
# All pictures in sight; those of other tabs and further down are loaded when one comes to them.
LOADED = """() => [...document.images].every(
    one => one.complete || !one.checkVisibility() || one.getBoundingClientRect().top > innerHeight)"""
DRAWN = (  # for the pictures of the README
    "portrait of a smiling woman with long red hair, teal background, storybook style",
    "portrait of a man with short black hair and a beard, yellow background, comic style",
    "portrait of a woman with glasses, purple background, flat cartoon style",
    "portrait of a smiling man with blonde hair, green background, toon style",
)


@pytest.mark.skipif(
    "LIKENESS_SCREENSHOTS" not in os.environ, reason="LIKENESS_SCREENSHOTS=1 makes the pictures of README and docs"
)
def test_the_pictures_of_readme_and_docs_are_made(visit: Visit, home: Home, tmp_path: Path) -> None:
    for number, prompt in enumerate((*DRAWN[1:], DRAWN[0])):
        home.made(prompt, size="512x512", steps=25, count=4, seed=7 + 10 * number)
    folder = ROOT / "docs" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (tab, options) in SHOTS.items():
        one = visit(tab, **options)
        if tab == "playground":
            one.write(DRAWN[0])
        one.page.wait_for_function(LOADED)
        seen: Any = one.page
        if name == "guide":
            seen = one.at(".guide .fold >> nth=0")
            seen.locator("summary").click()
        seen.screenshot(path=tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as shot:
            shot.convert("RGB").save(folder / f"{name}.webp", "WEBP", quality=80, method=6)
        assert (folder / f"{name}.webp").stat().st_size < 150_000, name


# --- a page that stays open ------------------------------------------------------------------------------------------


def test_memory_stays_flat_while_paging(visit: Visit, shelf: list[str]) -> None:
    one = visit("gallery")
    one.shelf_is("ids => ids.length === 48")

    def leaf(times: int) -> None:
        for _ in range(times):
            for way in ("older", "newer"):
                before = one.shelf()
                one.leaf(way)
                one.shelf_is("(ids, seen) => ids.length > 0 && ids.join() !== seen.join()", before)

    leaf(4)
    nodes, heap = held(one.page)
    leaf(12)
    later_nodes, later_heap = held(one.page)
    print(f"paging 24 times: {nodes} -> {later_nodes} nodes, {heap / 1e6:.1f} -> {later_heap / 1e6:.1f} MB")
    assert later_nodes < nodes * 1.2 + 200
    assert later_heap < heap * 1.25 + 2e6


def test_a_page_that_was_cut_off_catches_up(visit: Visit, home: Home) -> None:
    one = visit()
    one.state("done", "cancelled")
    one.page.context.set_offline(True)
    one.page.wait_for_timeout(1500)
    job = home.made("made meanwhile", count=1)["id"]
    one.page.context.set_offline(False)
    one.tab("jobs")
    deadline = time.monotonic() + PATIENCE / 1000
    while not one.at(f'#jobs [data-job="{job}"]').count():
        assert time.monotonic() < deadline
        one.page.wait_for_timeout(200)
    one.faults.clear()  # the browser says itself that it was offline
