"""A page that stays open: an hour of looks at the jobs, at a faster pace, leaves it no larger than it was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.domain import OWNER
from studio.ui import page as whole
from tests.ui.artist import Artist
from tests.ui.browsing import FLAGS, PATIENCE, Visitor, held, needed
from tests.ui.conftest import launch, opened

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
PACE = 0.1  # seconds between two looks
LOOKS = 300


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that a page has asked what is new."""
    seen: list[int] = []
    looked = whole.looked

    def counted(*given: Any) -> list[Any]:
        seen.append(1)
        return looked(*given)

    monkeypatch.setattr(whole, "looked", counted)
    monkeypatch.setattr(whole, "BUSY", PACE)
    monkeypatch.setattr(whole, "IDLE", PACE)
    return seen


@pytest.fixture
def visitor(looks: list[int], tmp_path: Path) -> Iterator[tuple[Visitor, Any]]:
    path = needed()
    studio = opened(tmp_path, Artist())
    page = launch(studio)
    studio.start()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US", reduced_motion="reduce")
        yield Visitor(context.new_page(), f"http://127.0.0.1:{page.server_port}/"), studio
        browser.close()
    page.close(verbose=False)
    studio.stop()
    studio.close()


def test_an_hour_of_looks_leaves_the_page_as_small_as_it_was(visitor: tuple[Visitor, Any], looks: list[int]) -> None:
    one, studio = visitor

    def wait(times: int) -> None:
        end = len(looks) + times
        deadline = PATIENCE / 1000 * 4
        while len(looks) < end:
            one.page.wait_for_timeout(200)
            deadline -= 0.2
            assert deadline > 0, "the page has stopped looking"

    studio.generate(OWNER, {"prompt": "a woman", "count": 2, "seed": 1})
    one.state("done")
    wait(30)
    nodes, heap = held(one.page)
    wait(LOOKS)
    later_nodes, later_heap = held(one.page)
    print(f"{LOOKS} looks: {nodes} -> {later_nodes} nodes, {heap / 1e6:.1f} -> {later_heap / 1e6:.1f} MB")
    assert later_nodes < nodes * 1.1 + 100
    assert later_heap < heap * 1.15 + 1e6

    studio.generate(OWNER, {"prompt": "made at the end", "count": 1, "seed": 2})
    one.at("#stage .asked", has_text="made at the end").wait_for()
    assert one.faults == []
