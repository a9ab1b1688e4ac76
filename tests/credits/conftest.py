"""Fixtures for plans and purchases."""

import pytest

from tests.credits.shop import Shop, open_shop
from tests.fakes import Bench


@pytest.fixture
def shop(bench: Bench) -> Shop:
    return open_shop(bench)
