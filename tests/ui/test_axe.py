"""In a real browser: no tab has a serious fault that axe-core knows of, and everything can be done by keyboard."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from studio.domain import OWNER, Picture
from studio.workshop import KINDS
from tests.test_workshop import png
from tests.touch_up import NO_FACE
from tests.ui.conftest import Served
from tests.ui.test_tools import made as worked_on

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: start.py test installs it")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.browser
PATIENCE = 60_000  # milliseconds that the page has for anything
BAD = ("serious", "critical")
TABS = ["Playground", "Tunes", "Gallery", "Upscale", "Face", "Background", "Jobs", "Credits"]
MOST_STOPS = 300  # of the Tab key, until it has been through a tab of the page
WRITTEN = '<img src=x onerror="window.ran=1"> ${window.ran = 1} {{window.ran}} "\'><script>window.ran = 1</script>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as driver:
        if CHROMIUM is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no Chromium: apt-get install chromium")
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def made(served: Served, tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    """Something for every tab to show: pictures, what tools made and could not do, a job that failed, a prompt that
    would like to be a program."""
    served.done(prompt="this one will fail", count=2)
    served.done(prompt=WRITTEN)
    folder = tmp_path_factory.mktemp("handed in")
    for kind in KINDS:
        worked_on(served, png(folder / "a.png"), png(folder / "b.png", 40), png(folder / "c.png", NO_FACE), kind=kind)
    return served.pictures(count=4, style="toon")


@pytest.fixture
def page(browser: Any, served: Served, made: list[Picture]) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    broken: list[str] = []
    opened.on("pageerror", lambda error: broken.append(str(error)))
    opened.on("console", lambda said: broken.append(said.text) if "Content Security Policy" in said.text else None)
    opened.goto(served.url, timeout=PATIENCE)
    opened.locator("body[data-ready]").wait_for()
    yield opened
    assert opened.evaluate("window.ran") is None, "what was written as a prompt ran as a program"
    context.close()
    assert broken == []


def tabs(page: Any) -> list[str]:
    return [tab.inner_text() for tab in page.get_by_role("tab").all() if tab.is_visible()]


def open_tab(page: Any, name: str) -> None:
    """As the keyboard opens it; a tool's with what became of its pictures."""
    tab = page.get_by_role("tab", name=name, exact=True).first
    tab.focus()
    page.keyboard.press("Enter")
    sync_api.expect(tab).to_have_attribute("aria-selected", "true")
    if name.lower() in KINDS:
        sync_api.expect(page.locator(f"#results-{name.lower()} [data-compare]").first).to_be_visible()


def unfold(page: Any) -> None:
    """Opens what is folded away."""
    for fold in page.locator("button[aria-expanded=false], details:not([open]) > summary").all():
        if fold.is_visible():
            fold.click()


# Until colours have faded over, however slow the machine is: half of a fade is no contrast.
SETTLED = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const fading = () => document.getAnimations().filter(
        one => one.playState === 'running' && one.effect?.getComputedTiming().endTime !== Infinity);
    for (let round = 0; round === 0 || fading().length; round += 1) {
        if (round > 50) throw new Error('the page does not come to rest');
        await frame();
        await frame();
        await Promise.allSettled(fading().map(one => one.finished));
    }
}"""


def faults(page: Any) -> list[str]:
    """What axe-core finds to be serious or worse when the page has come to rest, one line each."""
    page.evaluate(SETTLED)
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{fault['id']} ({fault['impact']}): {fault['nodes'][0]['html'][:200]} and {len(fault['nodes']) - 1} more"
        for fault in found
        if fault["impact"] in BAD
    ]


# --- axe -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", ["light", "dark"])
def test_no_tab_has_a_serious_fault(page: Any, look: str) -> None:
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", look == "dark")
    names = tabs(page)
    assert names == TABS
    found: dict[str, list[str]] = {}
    for name in names:
        open_tab(page, name)
        unfold(page)
        found[name] = faults(page)
    assert found == {name: [] for name in names}


def test_axe_would_find_a_fault(page: Any) -> None:
    page.evaluate("document.body.append(document.createElement('button'))")
    assert [fault.split()[0] for fault in faults(page)] == ["button-name"]


def test_the_window_for_one_picture_has_no_serious_fault(page: Any) -> None:
    open_tab(page, "Gallery")
    page.locator("#shelf .open").first.press("Enter")
    page.locator("#viewer dl dd").first.wait_for()
    assert faults(page) == []


# --- keys ------------------------------------------------------------------------------------------------------------

STOP = """() => {
    const at = document.activeElement;
    if (!at || at === document.body) return 'outside';
    const known = at.dataset.walked === '1';
    at.dataset.walked = '1';
    return known ? 'again' : 'new';
}"""
MISSED = """() => {
    const radios = [...document.querySelectorAll('input[type=radio][data-walked]')].map(one => one.name);
    return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
        .filter(one => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({visibilityProperty: true}))
        .filter(one => one.dataset.walked !== '1' && !(one.type === 'radio' && radios.includes(one.name)))
        .map(one => one.outerHTML.slice(0, 160));
}"""


@pytest.mark.parametrize("name", TABS)
def test_the_tab_key_reaches_everything(page: Any, name: str) -> None:
    open_tab(page, name)
    unfold(page)
    stops: list[str] = []
    while "again" not in stops:  # all around, by way of the browser's own buttons
        page.keyboard.press("Tab")
        stops.append(page.evaluate(STOP))
        assert len(stops) < MOST_STOPS
    assert page.evaluate(MISSED) == []


def test_a_picture_is_asked_for_without_a_mouse(page: Any, served: Served) -> None:
    before = served.studio.jobs(OWNER, limit=1)[0].id
    prompt = page.locator("#prompt textarea")
    sync_api.expect(prompt).to_be_focused()
    page.keyboard.type("a woman by keyboard")
    page.keyboard.press("Control+Enter")
    page.locator("#stage [data-state=done]").wait_for()
    job = served.studio.jobs(OWNER, limit=1)[0]
    assert job.id != before
    assert getattr(job.request, "prompt", "") == "a woman by keyboard"


def test_pictures_are_looked_at_marked_deleted_and_brought_back_without_a_mouse(page: Any, served: Served) -> None:
    expect, keys = sync_api.expect, page.keyboard
    open_tab(page, "Gallery")
    cells = page.locator("#shelf .pic")
    cells.first.locator(".open").focus()
    ids = [cell.get_attribute("data-id") for cell in cells.all()]

    # 1. From one to the next; F marks it.
    keys.press("ArrowRight")
    expect(cells.nth(1).locator(".open")).to_be_focused()
    keys.press("f")
    expect(page.locator(f"#shelf [data-id='{ids[1]}'] [data-do=star]")).to_have_attribute("aria-pressed", "true")
    assert served.studio.gallery.picture(OWNER, str(ids[1])).favourite

    # 2. The window: opened, turned over, closed.
    page.locator(f"#shelf [data-view='{ids[0]}']").focus()
    keys.press("Enter")
    expect(page.locator("#viewer")).to_be_visible()
    keys.press("ArrowRight")
    expect(page.locator("#viewer figure img")).to_have_attribute("src", f"media/pictures/{ids[1]}.png")
    keys.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator(f"#shelf [data-view='{ids[0]}']")).to_be_focused()

    # 3. Deleted; the next one has the focus, and what undoes it is reached.
    keys.press("Delete")
    expect(page.locator(f"#shelf [data-id='{ids[0]}']")).to_have_count(0)
    expect(page.locator(f"#shelf [data-view='{ids[1]}']")).to_be_focused()
    page.locator("#notice [data-do=unbin]").focus()
    keys.press("Enter")
    expect(page.locator(f"#shelf [data-id='{ids[0]}']")).to_have_count(1)
