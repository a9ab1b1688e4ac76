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


@pytest.fixture
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout without weights: `start.py` fetches some into its models folder, where every studio looks too."""
    monkeypatch.setattr("studio.settings.REPOSITORY", tmp_path / "checkout")
