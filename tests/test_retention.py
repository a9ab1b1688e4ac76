"""What goes when; clocks that are wrong, readers that are in the way, backups from before, addresses from before."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio import keeping
from studio.credits.plans import first_of_month
from studio.domain import OWNER, Job, NotFound, Refused
from studio.forgetting import UNDO
from studio.retention import Retention
from studio.storage import retention
from studio.storage.retention import Due, Model, Use
from studio.sweeper import Sweeper
from tests.fakes import StillClock
from tests.person import House, crowd, left_of, open_house, somebody

HOUR, DAY = 3600, 86_400
CLIENT = "client"


@pytest.fixture
def house(tmp_path: Path, clock: StillClock) -> Iterator[House]:
    made = open_house(tmp_path / "data", clock)
    made.studio.open_account(CLIENT)
    for kind, amount in (("tune", 2), ("tune_image", 100), ("playground", 100)):
        made.studio.counter.grant(OWNER, CLIENT, kind, amount, reason="bought")  # type: ignore[arg-type]
    yield made
    assert made.studio.verify() == []
    made.studio.close()


def kinds(house: House, account: str = CLIENT) -> dict[str, tuple[int, str]]:
    """In how many seconds what goes, and why."""
    return {one.what: (one.at - house.clock(), one.why) for one in house.studio.retention.due(account)}


# --- purely -----------------------------------------------------------------------------------------------------------


def model(**facts: object) -> Model:
    usual: dict[str, object] = {
        "has_model": True, "policy": "keep-avatars", "created_at": 0, "trained_at": 0, "ended_at": 0,
        "expires_at": 30 * DAY, "kept": False, "lapse_noticed_at": None,
    }  # fmt: skip
    return Model(**(usual | facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "due"),
    [
        ({}, (30 * DAY, "age")),
        ({"expires_at": 60 * DAY}, (60 * DAY, "extended")),
        ({"kept": True}, None),
        ({"lapse_noticed_at": 100 * DAY}, (107 * DAY, "lapse")),
        ({"lapse_noticed_at": 10 * DAY}, (30 * DAY, "age")),
        ({"lapse_noticed_at": 100 * DAY, "expires_at": 137 * DAY}, (137 * DAY, "extended")),
        ({"has_model": False}, None),
    ],
)
def test_a_model_is_due_at_the_latest_of_its_clocks(facts: dict[str, object], due: object) -> None:
    assert retention.model_due(model(**facts)) == due
    everything = None if due is None else (due[0], "policy")  # type: ignore[index]
    if facts.get("has_model", True):
        assert retention.avatars_due(model(**facts, policy="delete-all")) == everything
    assert retention.avatars_due(model(**facts)) is None


@pytest.mark.parametrize(
    ("uses", "due"),
    [
        ([], (107 * DAY, "handed-in")),
        ([Use(active=False, trained_at=101 * DAY)], (102 * DAY, "trained")),
        ([Use(active=False, trained_at=None)], (107 * DAY, "handed-in")),
        ([Use(active=True, trained_at=None)], None),
        ([Use(active=False, trained_at=101 * DAY), Use(active=True, trained_at=None)], None),
        ([Use(active=False, trained_at=99 * DAY)], (107 * DAY, "handed-in")),
    ],
    ids=["never used", "trained", "failed", "waits", "trained, and waits again", "handed in again since"],
)
def test_a_photo_is_due_by_what_became_of_it(uses: list[Use], due: object) -> None:
    assert retention.upload_due(100 * DAY, uses) == due


def test_an_extension_goes_from_the_present_end() -> None:
    assert retention.extended(model(), now=20 * DAY) == 60 * DAY
    assert retention.extended(model(lapse_noticed_at=100 * DAY), now=101 * DAY) == 137 * DAY
    assert retention.extended(model(kept=True), now=200 * DAY) == 230 * DAY


def test_models_and_avatars_are_warned_of_seven_days_and_one_day_before() -> None:
    due = Due(what="model", id="t", name="Ada", at=30 * DAY, why="age")
    days = {22: None, 23: 7, 28: 7, 29: 1, 30: 1}
    assert {day: retention.warned(due, now=day * DAY) for day in days} == days
    assert retention.warned(Due(what="photos", id="t", name="Ada", at=DAY, why="trained"), now=DAY) is None


# --- what goes when, in the studio ------------------------------------------------------------------------------------


def test_everything_of_a_tune_has_its_clock_and_says_why(house: House) -> None:
    person = somebody(house, CLIENT)
    assert kinds(house) == {
        "export": (DAY, "made"),
        "photos": (DAY, "trained"),
        "upload": (7 * DAY, "handed-in"),
        "model": (30 * DAY, "age"),
    }
    assert house.studio.retention.warnings(CLIENT) == []
    house.clock.now += 23 * DAY
    assert [(one.what, one.id) for one in house.studio.retention.warnings(CLIENT)] == [("model", person.tune)]
    before = house.studio.tuning.get(CLIENT, person.tune).expires_at or 0
    assert house.studio.retention.extend(CLIENT, person.tune).expires_at == before + 30 * DAY
    assert kinds(house)["model"] == (37 * DAY, "extended")
    assert house.studio.retention.warnings(CLIENT) == []


def test_a_plan_keeps_models_and_seven_days_after_its_lapse_was_noticed_they_go(house: House) -> None:
    house.clock.now = first_of_month(house.clock.now)
    somebody(house, CLIENT)
    house.studio.counter.subscribe(OWNER, CLIENT, "standard")
    assert "model" not in kinds(house)
    end = house.studio.counter.cancel(OWNER, CLIENT)
    house.clock.now = end + 5 * DAY  # nobody looked meanwhile
    house.studio.retention.sweep()
    assert kinds(house)["model"] == (7 * DAY, "lapse")
    house.studio.counter.subscribe(OWNER, CLIENT, "business")
    assert "model" not in kinds(house)


def test_what_is_another_accounts_does_not_exist(house: House) -> None:
    person = somebody(house, OWNER)
    asked = house.studio.retention
    assert asked.due(CLIENT) == asked.receipts(CLIENT) == []
    for ask in (asked.extend, asked.going, asked.delete):
        with pytest.raises(NotFound):
            ask(CLIENT, person.tune)


def test_a_waiting_training_is_stopped_and_its_credit_comes_back(house: House) -> None:
    studio = house.studio
    files = [house.uploaded(f"photo-{number}") for number in range(4)]
    asked = {"name": "Ada", "class_name": "woman", "consent": "2026-11"}
    job = studio.tuning.train(CLIENT, asked, files)
    tune = studio.tuning.of_job(CLIENT, job.id).id
    with pytest.raises(Refused):
        studio.retention.delete(CLIENT, tune, model_only=True)
    going = studio.retention.going(CLIENT, tune)
    assert (going.goes["jobs_stopped"], going.credits) == (1, {"tune": 1})
    assert not studio.retention.delete(CLIENT, tune).is_pending
    assert (studio.job(CLIENT, job.id).state, studio.counter.balances(CLIENT)["tune"].available) == ("cancelled", 2)
    assert list((house.root / "uploads").iterdir()) == []


def test_a_job_that_runs_stops_before_anything_of_it_is_erased(house: House) -> None:
    person = somebody(house, CLIENT)
    studio, seen = house.studio, dict[str, object]()
    make = house.maker.__class__.__call__

    def meanwhile(*arguments: object) -> Iterator[object]:
        receipt = studio.retention.delete(CLIENT, person.tune)
        seen.update(pending=receipt.is_pending, erased=receipt.erased_at, shown=studio.tuning.all(CLIENT))
        yield from make(house.maker, *arguments)  # type: ignore[arg-type]

    studio._jobs._runners = {"image": meanwhile}  # type: ignore[assignment]
    job: Job = studio.tuning.avatars(CLIENT, person.tune, {"count": 3})
    studio.start()
    try:
        deadline = time.monotonic() + 60
        while not (found := studio.retention.receipts(CLIENT)) or found[0].is_pending:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        assert studio.stop()
    assert seen == {"pending": True, "erased": None, "shown": []}
    assert studio.job(CLIENT, job.id).state == "cancelled"
    assert left_of(person, house.root) == []


def test_photos_that_a_job_needs_stay_however_old_they_are(house: House) -> None:
    files = [house.uploaded(f"photo-{number}") for number in range(4)]
    asked = {"name": "Ada", "class_name": "woman", "consent": "2026-11"}
    job = house.studio.tuning.train(CLIENT, asked, files)
    for _ in range(20):
        house.clock.now += DAY
        house.studio.retention.sweep()
    assert len(list((house.root / "uploads").iterdir())) == 4
    house.studio.cancel(CLIENT, job.id)
    house.studio.retention.sweep()
    assert list((house.root / "uploads").iterdir()) == []
    (receipt,) = house.studio.retention.receipts(CLIENT)
    assert (receipt.counts, receipt.why) == ({"photos": 4}, "untrained")


def test_addresses_from_before_lead_nowhere(house: House) -> None:
    person = somebody(house, CLIENT)
    studio = house.studio
    studio.retention.delete(CLIENT, person.tune)
    for picture in person.pictures:
        for ask in (studio.gallery.picture, studio.gallery.file, studio.gallery.small, studio.workshop.before):
            with pytest.raises(NotFound):
                ask(CLIENT, picture)
        with pytest.raises(NotFound):
            studio.gallery.restore(CLIENT, [picture])
    for job in person.jobs:
        with pytest.raises(NotFound):
            studio.exports.file(CLIENT, job)
        with pytest.raises(NotFound):
            studio.preview(CLIENT, job)
        assert studio.job(CLIENT, job).request.to_json() == {}
        assert studio.gallery.of_job(CLIENT, job) == []
    for photo in person.photos:
        with pytest.raises(NotFound):
            studio.check_photos(CLIENT, [photo] * 4)
    for ask in (studio.tuning.get, studio.tuning.first_avatars, studio.retention.delete):
        with pytest.raises(NotFound):
            ask(CLIENT, person.tune)


def test_the_same_photos_handed_in_again_begin_anew(house: House) -> None:
    person = somebody(house, CLIENT)
    photos = {file.name: file.read_bytes() for file in person.contents if file.stem in person.texts}
    house.studio.retention.delete(CLIENT, person.tune)
    again = house.root / "cache" / "again"
    again.mkdir(parents=True)
    taken = []
    for name, content in photos.items():
        (again / name).write_bytes(content)
        taken.append(house.studio.workshop.take_in(CLIENT, again / name).upload)
    assert sorted(taken) == sorted(person.photos)
    house.studio.retention.sweep()
    assert sorted(file.stem for file in (house.root / "uploads").iterdir()) == sorted(taken)


# --- clocks -----------------------------------------------------------------------------------------------------------


def test_a_clock_set_forward_a_year_deletes_nothing_until_a_second_sweep_agrees(house: House) -> None:
    person = somebody(house, CLIENT, policy="delete-all")
    house.studio.retention.sweep()
    there = house.files()
    house.clock.now += 365 * DAY
    assert house.studio.retention.sweep() == []
    assert house.files() == there
    house.clock.now -= 365 * DAY  # it was wrong
    assert house.studio.retention.sweep() == []
    assert house.files() == there
    house.clock.now += 365 * DAY
    assert house.studio.retention.sweep() == []
    house.clock.now += HOUR  # it was right
    assert house.studio.retention.sweep() != []
    assert left_of(person, house.root) == []


def test_two_days_without_a_sweep_are_believed_and_a_second_more_is_not() -> None:
    assert retention.believed(48 * HOUR, seen=0) == 48 * HOUR
    assert retention.believed(48 * HOUR + 1, seen=0) == 0
    assert retention.believed(10**9, seen=None) == 10**9
    assert retention.believed(5, seen=10**9) == 5


def test_a_studio_that_is_opened_once_a_week_forgets_a_week_later_at_most(house: House) -> None:
    somebody(house, CLIENT)
    went = []
    for _ in range(6):
        house.clock.now += 7 * DAY
        went.append(len(house.studio.retention.sweep()))
    assert went[0] == 0 and sum(went[:3]) >= 3
    assert house.studio.tuning.all(CLIENT)[0].state == "gone"


def test_a_clock_set_back_thirty_days_revives_nothing(house: House) -> None:
    first = somebody(house, CLIENT, policy="delete-all")
    second = somebody(house, CLIENT)
    for _ in range(31):
        house.clock.now += DAY
        house.studio.retention.sweep()
    house.clock.now -= 30 * DAY
    house.studio.retention.sweep()
    assert left_of(first, house.root) == []
    assert [(one.id, one.state) for one in house.studio.tuning.all(CLIENT)] == [(second.tune, "gone")]
    assert [one.what for one in house.studio.retention.due(CLIENT)] == []
    assert house.studio.exports.of_tune(CLIENT, second.tune) == []


# --- readers, backups, memory -----------------------------------------------------------------------------------------


def test_an_open_reader_delays_the_wipe_which_is_pending_until_it_ends(house: House) -> None:
    person = somebody(house, CLIENT)
    crowd(house, 2)
    reader = sqlite3.connect(house.root / "studio.db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM tune").fetchone() == (1,)

    receipt = house.studio.retention.delete(CLIENT, person.tune)
    assert receipt.is_pending and receipt.erased_at is not None
    assert house.studio.retention.receipts(CLIENT) == [receipt]
    assert not house.studio.retention.finish()
    sweeper = Sweeper(house.studio.retention, working=lambda: True, clock=house.clock)
    sweeper.start()
    time.sleep(5)
    assert house.studio.retention.receipts(CLIENT)[0].is_pending
    assert left_of(person, house.root), "the log still has it"

    reader.close()
    ended = time.monotonic()
    while house.studio.retention.receipts(CLIENT)[0].is_pending:
        assert time.monotonic() - ended < 60
        time.sleep(0.1)
    print(f"wiped {time.monotonic() - ended:.1f} s after the reader's end")
    assert sweeper.stop()
    assert left_of(person, house.root) == []


@pytest.mark.parametrize("policy", ["keep-avatars", "delete-all"])
@pytest.mark.parametrize("when", ["ended", "waiting"])
def test_a_backup_from_before_does_not_bring_a_deleted_person_back(
    house: House, tmp_path: Path, policy: str, when: str
) -> None:
    other = somebody(house)
    person = somebody(house, CLIENT, policy=policy, ends=when == "ended")
    file = tmp_path / "backup.tar"
    keeping.back_up(house.studio.settings, file, clock=house.clock)
    house.studio.retention.delete(CLIENT, person.tune)
    house.studio.close()

    done = keeping.bring_back(house.studio.settings, file, clock=house.clock)
    assert done.forgotten == len(person.pictures) + 1
    again = open_house(house.root, house.clock)
    house.studio = again.studio
    assert left_of(person, house.root) == []
    assert again.studio.tuning.all(CLIENT) == []
    assert again.studio.tuning.get(OWNER, other.tune).state == "ready"
    assert (house.root / "tunes" / f"{other.tune}.safetensors").is_file()
    assert [one.why for one in again.studio.retention.receipts(CLIENT)] == ["restored"]
    assert {again.studio.job(CLIENT, job).state for job in person.jobs} <= {"done", "cancelled"}


def test_a_backup_brings_a_model_back_but_not_one_that_was_deleted_since(house: House, tmp_path: Path) -> None:
    kept, gone = somebody(house), somebody(house, CLIENT)
    file = tmp_path / "backup.tar"
    keeping.back_up(house.studio.settings, file, clock=house.clock)
    house.studio.retention.delete(CLIENT, gone.tune, model_only=True)
    weights = (house.root / "tunes" / f"{kept.tune}.safetensors").read_bytes()
    (house.root / "tunes" / f"{kept.tune}.safetensors").unlink()
    house.studio.close()
    keeping.bring_back(house.studio.settings, file, clock=house.clock)
    house.studio = open_house(house.root, house.clock).studio
    assert (house.root / "tunes" / f"{kept.tune}.safetensors").read_bytes() == weights
    assert [one.state for one in house.studio.tuning.all(CLIENT)] == ["gone"]
    assert len(house.studio.gallery.page(CLIENT, tune=gone.tune).pictures) == 11


def test_a_deleted_picture_goes_an_hour_later_and_not_by_a_wrong_clock(house: House) -> None:
    job = house.run(house.studio.generate(OWNER, {"prompt": "x"}))
    (picture,) = house.studio.gallery.of_job(OWNER, job.id)
    house.studio.gallery.delete(OWNER, [picture.id])
    house.clock.now += 365 * DAY
    house.studio.retention.sweep()
    house.studio.gallery.restore(OWNER, [picture.id])
    house.studio.gallery.delete(OWNER, [picture.id])
    house.clock.now += UNDO + 1
    house.studio.retention.sweep()
    with pytest.raises(NotFound):
        house.studio.gallery.restore(OWNER, [picture.id])


def test_a_deleted_tune_leaves_the_memory_of_who_works_the_queue(house: House) -> None:
    unloaded: list[str] = []
    asked = Retention(
        database=house.studio._database,
        folder=house.studio._folder,
        clock=house.clock,
        catch_up=lambda: None,
        notice_lapses=lambda now: None,
        unload=unloaded.append,
    )
    first, second = somebody(house), somebody(house)
    asked.delete(OWNER, first.tune)
    assert unloaded == [first.tune], "nobody else works the queue"
    house.studio.start()  # now somebody does: the one who asks leaves it to him
    try:
        deadline = time.monotonic() + 60
        while not house.studio.working:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        house.studio._worker._between = lambda: None
        asked.delete(OWNER, second.tune)
        assert unloaded == [first.tune] and not asked.finish()
    finally:
        assert house.studio.stop()
    assert asked.finish()
    assert unloaded == [first.tune, second.tune]
