"""A studio of its own for each module of this folder, and the way for anybody to visit it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.ui.browsing import FLAGS, PATIENCE, Home, Visitor, needed, served


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The studio of a test module."""
    needed()
    with served(tmp_path_factory.mktemp("home") / "data") as studio:
        yield studio


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = needed()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        playwright.expect.set_options(timeout=PATIENCE)
        found = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any, home: Home) -> Iterator[Callable[..., Visitor]]:
    """Opens the page at a tab as somebody new; at the end none of the pages has complained."""
    contexts: list[Any] = []
    visitors: list[Visitor] = []

    def opened(tab: str = "", **options: Any) -> Visitor:
        given = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", "reduced_motion": "reduce", **options}
        contexts.append(browser.new_context(**given))
        visitors.append(Visitor(contexts[-1].new_page(), f"{home.url}?tab={tab}" if tab else home.url))
        return visitors[-1]

    yield opened
    for context in contexts:
        context.close()
    assert [fault for visitor in visitors for fault in visitor.faults] == []
