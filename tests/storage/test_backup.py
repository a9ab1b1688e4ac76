"""A backup made while the studio works brings everything back, but for what was deleted or must not be kept."""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from studio import forgetting
from studio.credits import ledger, verify
from studio.domain import Conflict, NotFound, Refused, StorageFailed
from studio.rules import new_id
from studio.storage import forgotten, pictures, uploads
from studio.storage.backup import BackedUp, backup
from studio.storage.database import Database
from studio.storage.folder import DataFolder, WorkLock
from studio.storage.restore import NO_LOG, Restored, restore
from tests.credits.children import hold_and_resolve
from tests.fakes import CLIENT, Bench, FakeRunner, StillClock, open_bench, request
from tests.processes import needs_fork, start

HOUR = 3600


@pytest.fixture
def studio(tmp_path: Path, clock: StillClock) -> Bench:
    """A data folder that has been used: twelve pictures, an upload, credits spent and left, a list of deletions."""
    bench = open_bench(tmp_path / "data", clock)
    forgotten.begin(bench.folder.forgotten, now=clock() - 1000)
    bench.grant(100)
    make(bench, 8)
    make(bench, 4)
    with bench.database.write() as tx:
        uploads.add(tx, bench.folder.uploads, CLIENT, b"a photo of somebody", now=clock())
    bench.folder.prices.write_text("tools.face = 2")
    return bench


def make(bench: Bench, count: int) -> str:
    jobs = bench.jobs(FakeRunner())
    job = jobs.submit(CLIENT, request(count=count))
    jobs.run_next()
    return job.id


def back_up(bench: Bench, file: Path, **options: bool) -> BackedUp:
    return backup(bench.database, bench.folder, file, check=verify.faults, now=bench.clock(), **options)


def bring_back(bench: Bench, file: Path, folder: DataFolder | None = None) -> Restored:
    bench.database.close()

    def sweep(database: Database, staged: DataFolder) -> None:
        forgetting.erase_deleted(database, staged, now=bench.clock())

    return restore(file, folder or bench.folder, check=verify.faults, now=bench.clock(), sweep=sweep)


def state(root: Path) -> dict[str, object]:
    """Everything in a data folder that a restore must bring back."""
    folder = DataFolder.open(root)
    database = Database(folder.database)
    tables = ("account", "balance", "job", "grant", "hold", "entry", "picture")
    with database.read() as tx:
        rows = {table: [tuple(row) for row in tx.execute(f"SELECT * FROM {table} ORDER BY 1, 2")] for table in tables}
        assert verify.faults(tx) == []
    database.close()
    return {**rows, **{str(file.relative_to(root)): file.read_bytes() for file in folder.pictures.rglob("*.png")}}


def everything(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


# --- there and back ---------------------------------------------------------------------------------------------------


def test_what_was_lost_is_there_again(studio: Bench, tmp_path: Path) -> None:
    file, before = tmp_path / "backup.tar", state(studio.folder.root)
    made = back_up(studio, file)
    assert (made.files, made.bytes, made.faults) == (12 + 3, file.stat().st_size, ())
    make(studio, 8)
    for path in studio.folder.pictures.rglob("*.png"):
        path.write_bytes(b"overwritten")
    done = bring_back(studio, file)
    assert (done.files, done.made_at, done.notes) == (15, studio.clock(), ())
    assert state(studio.folder.root) == before
    assert not studio.folder.restored.exists() and not (studio.folder.root / "restore.part").exists()


def test_a_backup_comes_back_on_another_machine(studio: Bench, tmp_path: Path) -> None:
    file, before = tmp_path / "backup.tar", state(studio.folder.root)
    back_up(studio, file)
    other = DataFolder(tmp_path / "new machine")
    bring_back(studio, file, other)
    assert state(other.root) == before
    assert other.prices.read_text() == "tools.face = 2"


def test_the_operators_prices_of_today_stay(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "backup.tar")
    studio.folder.prices.write_text("tools.face = 3")
    bring_back(studio, tmp_path / "backup.tar")
    assert studio.folder.prices.read_text() == "tools.face = 3"


def test_the_operators_styles_come_along_and_those_of_today_stay(studio: Bench, tmp_path: Path) -> None:
    own = studio.folder.root / "styles"
    own.mkdir()
    for name in ("house.toml", "a:b.toml", "note.txt"):
        (own / name).write_text("# once")
    (own / "folder.toml").mkdir()
    back_up(studio, tmp_path / "backup.tar")
    other = DataFolder(tmp_path / "new machine")
    (own / "house.toml").write_text("# now")
    bring_back(studio, tmp_path / "backup.tar", other)
    assert {file.name: file.read_text() for file in (other.root / "styles").iterdir()} == {"house.toml": "# once"}
    bring_back(studio, tmp_path / "backup.tar")
    assert (own / "house.toml").read_text() == "# now" and (own / "note.txt").exists()


def test_a_backup_of_the_database_alone_leaves_the_pictures_as_they_are(studio: Bench, tmp_path: Path) -> None:
    file, before = tmp_path / "backup.tar", state(studio.folder.root)
    made = back_up(studio, file, database_only=True)
    assert (made.files, made.database_only) == (3, True)
    with tarfile.open(file) as tar:
        assert tar.getnames() == ["studio.db", "prices.toml", "forgotten.log", "manifest.json"]
    with studio.database.write() as tx:
        ledger.grant(tx, CLIENT, "tune", 1, key="later", source="test", reason="later", now=studio.clock())
    assert bring_back(studio, file).database_only
    assert state(studio.folder.root) == before


def test_what_jobs_held_is_released_when_they_are_run_after_a_restore(studio: Bench, tmp_path: Path) -> None:
    jobs = studio.jobs(FakeRunner())
    job = jobs.submit(CLIENT, request(count=8))
    back_up(studio, tmp_path / "backup.tar")
    jobs.cancel(CLIENT, job.id)
    bring_back(studio, tmp_path / "backup.tar")
    again = open_bench(studio.folder.root, studio.clock)
    assert again.balance(CLIENT) == (88, 8)
    ran = again.jobs(FakeRunner()).run_next()
    assert ran is not None and (ran.id, ran.state) == (job.id, "done")
    assert again.balance(CLIENT) == (80, 0)
    assert again.faults() == []


@needs_fork
def test_every_backup_made_while_others_write_is_whole(studio: Bench, tmp_path: Path) -> None:
    with studio.database.write() as tx:
        ledger.grant(tx, CLIENT, "playground", 100_000, key="many", source="test", reason="test", now=studio.clock())
    writers = [
        start(hold_and_resolve, studio.database.path, [CLIENT], 60, seed, tmp_path / f"spent {seed}") for seed in (1, 2)
    ]
    made: list[Path] = []
    while any(writer.is_alive() for writer in writers) or len(made) < 2:
        made.append(tmp_path / f"backup {len(made)}.tar")
        assert back_up(studio, made[-1]).faults == ()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    for number, file in enumerate(made):
        assert bring_back(studio, file, DataFolder(tmp_path / f"copy {number}")).files == 15


def test_a_writer_does_not_wait_for_a_backup(studio: Bench, tmp_path: Path) -> None:
    wrote = threading.Event()

    def check(tx: sqlite3.Connection) -> list[str]:  # in the middle of the backup
        thread = threading.Thread(target=lambda: (make(studio, 1), wrote.set()))
        thread.start()
        thread.join(20)
        return verify.faults(tx)

    backup(studio.database, studio.folder, tmp_path / "b.tar", check=check, now=studio.clock())
    assert wrote.is_set()


# --- what no backup has -----------------------------------------------------------------------------------------------


def test_photos_are_never_in_a_backup(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "backup.tar")
    assert b"a photo of somebody" not in (tmp_path / "backup.tar").read_bytes()
    bring_back(studio, tmp_path / "backup.tar")
    again = open_bench(studio.folder.root, studio.clock)
    assert again.count("upload") == 0
    assert list(again.folder.uploads.iterdir()) == []
    again.database.close()


def test_deleted_pictures_and_what_they_were_asked_with_are_not_in_a_backup(studio: Bench, tmp_path: Path) -> None:
    jobs = studio.jobs(FakeRunner())
    job = jobs.submit(CLIENT, request(count=1))
    jobs.run_next()
    with studio.database.write() as tx:
        (picture,) = pictures.of_job(tx, job.id)
        tx.execute('UPDATE picture SET recipe = \'{"prompt": "a secret of the sitter"}\' WHERE id = ?', (picture.id,))
        pictures.delete(tx, CLIENT, [picture.id], now=studio.clock())
    assert back_up(studio, tmp_path / "backup.tar").files == 15
    assert b"a secret of the sitter" not in (tmp_path / "backup.tar").read_bytes()
    assert picture.file.encode() not in (tmp_path / "backup.tar").read_bytes()


def test_a_backup_is_for_its_owners_eyes_only(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "backup.tar")
    assert os.name == "nt" or (tmp_path / "backup.tar").stat().st_mode & 0o077 == 0


# --- what was deleted stays deleted -----------------------------------------------------------------------------------


def first_picture(bench: Bench) -> str:
    with bench.database.read() as tx:
        return pictures.newest(tx, CLIENT, limit=1)[0].id


def shown(root: Path) -> set[str]:
    database = Database(root / "studio.db")
    with database.read() as tx:
        found = {picture.id for picture in pictures.newest(tx, CLIENT)}
        files = {picture.file for picture in pictures.newest(tx, CLIENT)}
    database.close()
    assert {str(file.relative_to(root / "pictures")) for file in (root / "pictures").rglob("*.png")} == files
    return found


@pytest.mark.parametrize("erased", [True, False])
def test_a_backup_from_before_a_deletion_does_not_bring_it_back(studio: Bench, tmp_path: Path, erased: bool) -> None:
    back_up(studio, tmp_path / "backup.tar")
    picture = first_picture(studio)
    with studio.database.write() as tx:
        pictures.delete(tx, CLIENT, [picture], now=studio.clock())
    if erased:
        studio.clock.now += 2 * HOUR
        assert forgetting.erase_deleted(studio.database, studio.folder, now=studio.clock()) == 1
        assert picture in studio.folder.forgotten.read_text()
    done = bring_back(studio, tmp_path / "backup.tar")
    assert (done.forgotten, done.notes) == (1, ())
    assert picture not in shown(studio.folder.root)
    assert len(shown(studio.folder.root)) == 11


def test_the_list_of_deletions_outlives_a_restore(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "first.tar")
    picture = first_picture(studio)
    with studio.database.write() as tx:
        pictures.delete(tx, CLIENT, [picture], now=studio.clock())
    back_up(studio, tmp_path / "second.tar")
    bring_back(studio, tmp_path / "second.tar")
    bring_back(studio, tmp_path / "first.tar")
    assert picture not in shown(studio.folder.root)


def test_where_there_is_no_list_a_restore_says_so_and_sweeps_first(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "backup.tar")
    swept: list[Path] = []
    for folder in (DataFolder(tmp_path / "fresh"), DataFolder(tmp_path / "begun since")):
        if "since" in folder.root.name:
            DataFolder.open(folder.root)
            forgotten.begin(folder.forgotten, now=studio.clock() + 1)
        done = restore(
            tmp_path / "backup.tar",
            folder,
            check=verify.faults,
            now=studio.clock() + 2,
            sweep=lambda database, staged: swept.append(staged.root),
        )
        assert done.notes == (NO_LOG,)
        assert swept.pop() == folder.root / "restore.part"  # before it took its place
        again = forgotten.read(folder.forgotten)
        assert again is not None and again.begin == studio.clock() + 2


def test_a_deleted_thing_that_this_version_does_not_know_stops_a_restore(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "backup.tar")
    with studio.folder.forgotten.open("a") as log:
        log.write('{"at":1,"id":"x","what":"hologram"}\n')
    before = state(studio.folder.root)
    with pytest.raises(Refused, match="hologram"):
        bring_back(studio, tmp_path / "backup.tar")
    assert state(studio.folder.root) == before


def test_a_list_that_a_crash_tore_loses_no_other_line(tmp_path: Path) -> None:
    log = tmp_path / "forgotten.log"
    first, second = new_id(), new_id()
    forgotten.append(log, "picture", first, now=5)
    with log.open("ab") as file:
        file.write(b'{"at":6,"id":"')
    forgotten.append(log, "picture", second, now=7)
    found = forgotten.read(log)
    assert found is not None
    assert (found.begin, [one.id for one in found.entries]) == (5, [first, second])
    with pytest.raises(ValueError, match="hologram"):
        forgotten.append(log, "hologram", "x", now=8)
    log.write_bytes(b'{"nonsense": 1}\n')
    with pytest.raises(Refused, match="line 1"):
        forgotten.read(log)


def test_a_picture_deleted_while_its_job_ran_in_the_backup_is_not_made_again(studio: Bench, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"

    def back_up_before_the_last(index: int) -> None:
        if index == 3:
            back_up(studio, file)

    jobs = studio.jobs(FakeRunner(before=back_up_before_the_last))
    job = jobs.submit(CLIENT, request(count=4))
    jobs.run_next()
    with studio.database.write() as tx:
        picture = pictures.of_job(tx, job.id)[0]
        pictures.delete(tx, CLIENT, [picture.id], now=studio.clock())
    studio.clock.now += 2 * HOUR
    forgetting.erase_deleted(studio.database, studio.folder, now=studio.clock())
    bring_back(studio, file)
    again = open_bench(studio.folder.root, studio.clock)
    runner = FakeRunner()
    again.jobs(runner).recover()
    ended = again.jobs(runner).run_next()
    assert ended is not None and (ended.state, ended.delivered) == ("done", 4)
    assert [index for _, index in runner.drawn] == [3]
    assert picture.id not in shown(again.folder.root)
    assert again.faults() == []
    again.database.close()


# --- what is no backup changes nothing --------------------------------------------------------------------------------


def refused(bench: Bench, file: Path, words: str) -> None:
    """The restore is refused with these words, and nothing at all is different."""
    before = state(bench.folder.root)
    with pytest.raises(Refused, match=words):
        bring_back(bench, file)
    assert state(bench.folder.root) == before
    assert not list(bench.folder.root.glob("restore*"))


def rewritten(file: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy of the archive with other files in it, and checksums that are right."""
    with tarfile.open(file) as tar:
        files = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    about = json.loads(files.pop("manifest.json"))
    change(files)
    about["files"] = {name: (hashlib.sha256(body).hexdigest(), len(body)) for name, body in files.items()}
    about.update(json.loads(files.pop("about", b"{}")))
    about["files"].pop("about", None)
    files["manifest.json"] = json.dumps(about).encode()
    other = file.with_name("rewritten.tar")
    with tarfile.open(other, "w") as tar:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return other


def test_a_rewritten_archive_that_is_right_is_taken(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "backup.tar")
    bring_back(studio, rewritten(tmp_path / "backup.tar", lambda files: None))


@pytest.mark.parametrize("points", [12, pytest.param(400, marks=pytest.mark.nightly)])
def test_a_byte_that_changed_anywhere_is_found(studio: Bench, tmp_path: Path, points: int) -> None:
    file = tmp_path / "backup.tar"
    back_up(studio, file)
    whole = file.read_bytes()
    with tarfile.open(file) as tar:
        spans = [(member.offset_data, member.size) for member in tar if member.size]
    for number in range(points):
        begin, size = spans[number % len(spans)]
        at = begin + (number * 7919) % size
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Refused):
            restore(file, DataFolder(tmp_path / "other"), check=verify.faults, now=studio.clock())
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["worker.lock"]
    refused(studio, file, "no whole backup")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_an_archive_that_was_cut_off_is_refused(studio: Bench, tmp_path: Path, share: float) -> None:
    file = tmp_path / "backup.tar"
    back_up(studio, file)
    whole = file.read_bytes()
    end = whole.rindex(b"manifest.json")
    file.write_bytes(whole[: int(end * share)])
    refused(studio, file, "no whole backup")


def test_what_is_no_archive_is_refused(studio: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("once upon a time " * 1000)
    refused(studio, tmp_path / "a.txt", "no whole backup")
    with pytest.raises(NotFound, match="there is no file"):
        bring_back(studio, tmp_path / "nothing")


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "pictures/../../escaped", "studio.toml", "uploads/x"])
def test_a_file_that_does_not_belong_there_is_refused(studio: Bench, tmp_path: Path, name: str) -> None:
    back_up(studio, tmp_path / "backup.tar")
    other = rewritten(tmp_path / "backup.tar", lambda files: files.update({name: b"x"}))
    refused(studio, other, "does not belong there")
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_in_an_archive_is_refused(studio: Bench, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        link = tarfile.TarInfo("studio.db")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    refused(studio, tmp_path / "link.tar", "does not belong there")


def tampered(statement: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        raw = sqlite3.connect(":memory:")
        raw.deserialize(files["studio.db"])
        for trigger in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger[0]}")
        raw.execute(statement)
        raw.commit()
        files["studio.db"] = raw.serialize()
        raw.close()

    return change


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE entry SET reason = 'a gift' WHERE seq = 1", "does not agree with itself: the chain is broken"),
        ("UPDATE balance SET posted = posted + 1 WHERE posted > 0", "does not agree with itself: posted"),
        ("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('likeness', 'm999', '')", "newer"),
        ("INSERT INTO balance (account, kind) VALUES ('nobody', 'tune')", "is damaged"),
    ],
)
def test_a_database_that_is_not_sound_is_refused(studio: Bench, tmp_path: Path, statement: str, words: str) -> None:
    back_up(studio, tmp_path / "backup.tar")
    refused(studio, rewritten(tmp_path / "backup.tar", tampered(statement)), words)


def test_a_database_that_is_none_is_refused(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "backup.tar")
    refused(
        studio, rewritten(tmp_path / "backup.tar", lambda files: files.update({"studio.db": b"x" * 9000})), "damaged"
    )
    refused(studio, rewritten(tmp_path / "backup.tar", lambda files: files.__delitem__("studio.db")), "damaged")


def test_an_archive_of_a_newer_kind_is_refused(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "backup.tar")
    refused(
        studio, rewritten(tmp_path / "backup.tar", lambda f: f.update({"about": b'{"format": 2}'})), "newer version"
    )


# --- who is in the way ------------------------------------------------------------------------------------------------


def test_a_studio_that_runs_is_not_restored_over(studio: Bench, tmp_path: Path) -> None:
    back_up(studio, tmp_path / "backup.tar")
    lock = WorkLock(studio.folder.lock)
    assert lock.acquire()
    with pytest.raises(Refused, match="stop it"):
        restore(tmp_path / "backup.tar", studio.folder, check=verify.faults, now=0)
    lock.release()
    studio.count("account")  # has the database open now, as a page does that waits for the lock
    with pytest.raises(Refused, match="stop it"):
        restore(tmp_path / "backup.tar", studio.folder, check=verify.faults, now=0)
    bring_back(studio, tmp_path / "backup.tar")


def test_a_damaged_database_is_no_hindrance(studio: Bench, tmp_path: Path) -> None:
    file, before = tmp_path / "backup.tar", state(studio.folder.root)
    back_up(studio, file)
    studio.database.close()
    studio.folder.database.write_bytes(b"once upon a time " * 1000)
    bring_back(studio, file)
    assert state(studio.folder.root) == before


def test_a_file_that_is_there_is_not_overwritten_unless_told_to(studio: Bench, tmp_path: Path) -> None:
    (tmp_path / "backup.tar").write_text("precious")
    with pytest.raises(Conflict, match="is there already"):
        back_up(studio, tmp_path / "backup.tar")
    assert (tmp_path / "backup.tar").read_text() == "precious"
    back_up(studio, tmp_path / "backup.tar", overwrite=True)
    with pytest.raises(Refused, match="no folder"):
        back_up(studio, tmp_path / "nowhere" / "backup.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "data"]


def test_a_backup_that_cannot_be_written_leaves_nothing(
    studio: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageFailed, match="is full"):
        back_up(studio, tmp_path / "backup.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


# --- a power cut in the middle of the swap ----------------------------------------------------------------------------


class PowerCut(BaseException):
    """Nothing catches it."""


@pytest.mark.parametrize("step", range(1, 11))
def test_a_swap_that_was_cut_off_anywhere_is_finished_at_the_next_start(
    studio: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    file, before = tmp_path / "backup.tar", state(studio.folder.root)
    back_up(studio, file)
    studio.database.close()
    shutil.rmtree(studio.folder.pictures)
    old = sqlite3.connect(studio.folder.database)
    old.execute("UPDATE account SET created_at = 1")
    old.commit()
    old.close()

    steps = 0
    whole = {name: getattr(Path, name) for name in ("replace", "rename", "unlink")}

    def counted(name: str) -> Callable[..., object]:
        def run(self: Path, *arguments: object, **options: object) -> object:
            nonlocal steps
            if studio.folder.restored.exists():
                steps += 1
                if steps == step:
                    raise PowerCut
            return whole[name](self, *arguments, **options)

        return run

    with monkeypatch.context() as patched:
        for name in whole:
            patched.setattr(Path, name, counted(name))
        try:
            bring_back(studio, file)
        except PowerCut:
            assert studio.folder.restored.exists()
    assert steps >= min(step, 6)
    assert state(studio.folder.root) == before  # which opens the folder, as the next start does
    assert not studio.folder.restored.exists()
    assert list(studio.folder.uploads.iterdir()) == []
