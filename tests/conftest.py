"""Fixtures that every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import Bench, StillClock, open_bench


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def bench(tmp_path: Path, clock: StillClock) -> Iterator[Bench]:
    made = open_bench(tmp_path / "data", clock)
    yield made
    assert made.faults() == [], "every test leaves an account book that agrees with itself"
    made.database.close()
