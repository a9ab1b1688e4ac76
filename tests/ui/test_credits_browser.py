"""In a real browser: every balance that the page shows is what `credits show --json` says at the same moment."""

import contextlib
import io
import json
import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from studio.cli import opening
from studio.cli.main import main
from studio.domain import OWNER
from studio.service import Studio
from tests.fakes import StillClock
from tests.ui.artist import Artist
from tests.ui.conftest import launch, opened

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
PATIENCE = 120_000  # milliseconds
KINDS = ("playground", "tune", "tune_image")


def at(words: str) -> int:
    return int(datetime.fromisoformat(words).replace(tzinfo=UTC).timestamp())


class Desk:
    """The Credits tab in a browser, and the command line beside it, by the same clock."""

    def __init__(self, studio: Studio, artist: Artist, clock: StillClock, page: Any) -> None:
        self.studio, self.artist, self.clock, self.page = studio, artist, clock, page

    def told(self) -> dict[str, tuple[int, int, int]]:
        """What `credits show --json` says: available, posted and held."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert main(["credits", "show", "--json"], runners={}) == 0
        said = json.loads(out.getvalue())
        return {kind: (said[kind]["available"], said[kind]["posted"], said[kind]["held"]) for kind in KINDS}

    def shown(self) -> dict[str, tuple[int, int, int]]:
        """The same as the three cards show it."""
        cards = self.page.evaluate(
            """() => [...document.querySelectorAll('#credits .balance')].map(card => [
                card.querySelector('strong').dataset.available,
                card.querySelector('strong').innerText,
                card.querySelector('.hint').innerText])"""
        )
        found: dict[str, tuple[int, int, int]] = {}
        for kind, available, hint in cards:
            posted, held = re.findall(r"\d[\d,]*", hint)
            found[kind] = whole(available), whole(posted), whole(held)
        return found

    def agree(self, *expected: tuple[int, int, int]) -> None:
        """Waits until the page shows what the command says, in the cards, the bar above and the list of accounts."""
        said = self.told()
        assert [said[kind] for kind in KINDS] == list(expected)
        deadline = time.monotonic() + PATIENCE / 1000
        while (self.shown(), self.listed(), self.in_the_bar()) != (said, self.free(said), self.chip(said)):
            assert time.monotonic() < deadline, (said, self.shown(), self.listed(), self.in_the_bar())
            time.sleep(0.1)
        assert self.told() == said, "it was the same moment"

    def free(self, said: dict[str, tuple[int, int, int]]) -> list[int]:
        return [said[kind][0] for kind in KINDS]

    def listed(self) -> list[int]:
        row = self.page.locator("#office tr", has=self.page.locator(f"strong:text-is('{OWNER}')"))
        return [whole(text) for text in row.locator("td").all_inner_texts()[2:5]]

    def in_the_bar(self) -> str:
        return self.page.locator("#topbar [data-tab=credits]").inner_text().strip()

    def chip(self, said: dict[str, tuple[int, int, int]]) -> str:
        if self.studio.counter.plan(OWNER).name == "house":
            return "No limit"
        free = said["playground"][0]
        return f"{free:,} credit{'' if free == 1 else 's'}"

    def deal(self, opener: Any, notice: str, **fields: str) -> str:
        """Opens a window, fills it in, sends it, and returns what it said it would do."""
        opener.click()
        window = self.page.locator("#deal[open]")
        said = window.locator("form > p").first.inner_text()
        for name, value in fields.items():
            window.locator(f"[name={name}]").fill(value)
        window.locator("[type=submit]").click()
        self.page.locator("#notice", has_text=notice).wait_for()
        assert self.page.locator("#deal").count() == 0
        return said


def whole(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    clock, artist = StillClock(at("2026-11-20 12:00")), Artist()
    studio = opened(tmp_path, artist, clock=clock)
    monkeypatch.setenv("STUDIO_DATA", str(studio.settings.data))
    monkeypatch.setenv("STUDIO_MODELS", str(studio.settings.models))
    by_the_clock = SimpleNamespace(open=lambda settings, runners: Studio.open(settings, runners=runners, clock=clock))
    monkeypatch.setattr(opening, "Studio", by_the_clock)
    served = launch(studio)
    studio.start()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(locale="en-GB", timezone_id="UTC")
        page.set_default_timeout(PATIENCE)
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(f"http://127.0.0.1:{served.server_port}/?tab=credits")
        page.locator("#office table").first.wait_for()
        yield Desk(studio, artist, clock, page)
        browser.close()
    served.close(verbose=False)
    studio.stop()
    assert broken == []
    assert studio.verify() == []
    studio.close()


def test_the_page_and_the_command_tell_the_same_balances(desk: Desk) -> None:
    page = desk.page
    desk.agree((0, 0, 0), (0, 0, 0), (0, 0, 0))

    # 1. A plan and a pack are bought.
    basic = page.locator(".card", has_text="1,000 playground credits").locator("[data-what=subscribe]").first
    assert "gives 1,000 credits at once" in desk.deal(basic, "Plan Basic recorded for owner.")
    desk.agree((1000, 1000, 0), (0, 0, 0), (0, 0, 0))
    pack = page.locator("[data-what=buy][data-item=tune]")
    assert "1 tune credit, 64 tune-image credits" in desk.deal(pack, "Pack Tune recorded for owner.", price="9.90")
    desk.agree((1000, 1000, 0), (1, 1, 0), (64, 64, 0))

    # 2. A job holds, and spends.
    desk.artist.pause = 0.5
    job = desk.studio.generate(OWNER, {"prompt": "a face", "count": 8, "width": 128, "height": 128, "steps": 101})
    desk.agree((1000 - 32, 1000, 32), (1, 1, 0), (64, 64, 0))
    desk.artist.pause = 0
    while not desk.studio.job(OWNER, job.id).ended:
        time.sleep(0.05)
    desk.agree((968, 968, 0), (1, 1, 0), (64, 64, 0))
    page.locator("#book", has_text="for what was delivered").wait_for()
    page.locator(".month", has_text="Playground: 32 credits").wait_for()

    # 3. The pack is given back.
    give_back = page.locator("#office tr", has_text="9.90 USD").locator("[data-what=refund]")
    said = desk.deal(give_back, "Tune was given back", reason="did not like it")
    assert "That takes 1 tune credit, 64 tune-image credits." in said
    desk.agree((968, 968, 0), (0, 0, 0), (0, 0, 0))

    # 4. The month turns while the page is open.
    desk.clock.now = at("2026-12-01")
    desk.agree((1000, 1000, 0), (0, 0, 0), (0, 0, 0))
    assert page.locator(".plan time").first.get_attribute("datetime") == "2027-01-01T00:00:00+00:00"
    page.locator(".month", has_text="Playground: 0 credits").wait_for()

    # 5. An entry leads to its job and its pictures.
    page.locator("#book [data-do=look]").first.click()
    page.locator("#made .pic").nth(7).wait_for()


def test_what_is_wrong_is_said_in_the_window_and_what_is_left_changes_nothing(desk: Desk) -> None:
    page = desk.page
    page.locator("[data-what=grant]").click()
    window = page.locator("#deal[open]")
    window.locator("[name=amount]").fill("many")
    window.locator("[name=reason]").fill("a gift")
    window.locator("[type=submit]").click()
    page.locator("#deal[open] .fault", has_text="amount must be a whole number").wait_for()
    assert page.locator("#deal[open] [name=reason]").input_value() == "a gift"
    page.locator("#deal [data-close]").click()
    page.locator("#deal:not([open])").wait_for(state="attached")
    desk.agree((0, 0, 0), (0, 0, 0), (0, 0, 0))
