"""After a deletion nothing of the person is left anywhere, whatever befell it; and the search would find it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.domain import OWNER, NotFound
from studio.storage import database as database_module
from studio.storage import erasing
from tests.fakes import StillClock
from tests.person import House, crowd, left_of, open_house, somebody

CLIENT = "client"


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for what passes."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def house(tmp_path: Path, clock: StillClock, temp: Path) -> Iterator[House]:
    made = open_house(tmp_path / "data", clock)
    yield made
    assert made.studio.verify() == []
    made.studio.close()


# --- nothing is left --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [4, pytest.param(150, marks=pytest.mark.nightly)])
def test_nothing_of_a_deleted_person_is_left_and_nothing_of_another_is_lost(
    house: House, temp: Path, caplog: pytest.LogCaptureFixture, others: int
) -> None:
    caplog.set_level(logging.DEBUG)
    first = somebody(house)
    crowd(house, others)
    person = somebody(house, ends=False)
    crowd(house, others)
    assert left_of(person, house.root, temp), "all of it is there before"

    receipt = house.studio.retention.delete(OWNER, person.tune)
    assert not receipt.is_pending
    assert receipt.counts == {
        "tunes": 1, "models": 1, "photos": 4, "pictures": 14, "uploads": 3, "exports": 1, "jobs_stopped": 1,
    }  # fmt: skip
    assert left_of(person, house.root, temp, logs=caplog.text) == []
    assert left_of(first, house.root), "the search finds the other one"
    assert {path: path.read_bytes() for path in first.contents} == first.contents
    with pytest.raises(NotFound):
        house.studio.tuning.get(OWNER, person.tune)
    assert {job.id for job in house.studio.jobs(OWNER, limit=500)}.isdisjoint(person.jobs)
    crowd(house, 2)


def test_what_was_deleted_at_its_time_leaves_as_little(house: House, temp: Path) -> None:
    house.studio.open_account(CLIENT)
    for kind, amount in (("tune", 1), ("tune_image", 100), ("playground", 100)):
        house.studio.counter.grant(OWNER, CLIENT, kind, amount, reason="bought")  # type: ignore[arg-type]
    person = somebody(house, CLIENT, policy="delete-all")
    for _ in range(31 * 24):
        house.clock.now += 3600
        house.studio.retention.sweep()
    assert left_of(person, house.root, temp) == []
    assert house.studio.retention.due(CLIENT) == []


def test_the_search_finds_rows_where_they_are_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = database_module._connect

    def careless(path: Path) -> database_module._Connection:
        connection = connect(path)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(database_module, "_connect", careless)
    house = open_house(tmp_path / "data")
    person = somebody(house)
    crowd(house, 3)
    assert not house.studio.retention.delete(OWNER, person.tune).is_pending
    assert "words in " + str(house.root / "studio.db") in left_of(person, house.root)
    house.studio.close()


@pytest.mark.parametrize("copy", ["pictures", "small", "tunes", "uploads", "exports", "cache", "jobs"])
def test_the_search_finds_a_copy_that_was_left_out(house: House, monkeypatch: pytest.MonkeyPatch, copy: str) -> None:
    person = somebody(house, ends=False)
    remove, rmtree = erasing._remove, erasing.shutil.rmtree

    def careless(path: Path, root: Path) -> set[Path]:
        return set() if path.relative_to(root).parts[0] == copy else remove(path, root)

    def careless_of_folders(path: Path) -> None:
        if path.relative_to(house.root).parts[0] != copy:
            rmtree(path)

    monkeypatch.setattr(erasing, "_remove", careless)
    monkeypatch.setattr("shutil.rmtree", careless_of_folders)
    house.studio.retention.delete(OWNER, person.tune)
    found = left_of(person, house.root)
    assert found and all(f"/{copy}/" in one or one == "words in names of files" for one in found)
