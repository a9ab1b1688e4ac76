"""Restore: a backup takes the place of all that is there, once it is verified and what was deleted since is erased."""

import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.domain import Refused
from studio.paths import to_read
from studio.storage import archive, forgotten, tables
from studio.storage.backup import DATABASE, FORGOTTEN, KEPT, PRICES, STYLES, Check, opened, told
from studio.storage.database import Database
from studio.storage.folder import DataFolder, WorkLock, fsync_file, fsync_folder
from studio.storage.forgotten import Forgotten, Log

NO_LOG = (
    "The list of what was deleted (forgotten.log) does not reach back to when this backup was made: what was deleted "
    "in between may be back. What was due for deletion has been deleted."
)


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What is there again, as of `made_at`. `notes`: sentences for whoever restores."""

    made_at: int
    files: int
    database_only: bool
    forgotten: int
    notes: tuple[str, ...]


def restore(
    file: Path,
    folder: DataFolder,
    *,
    check: Check,
    now: int,
    sweep: Callable[[Database, DataFolder], object] = lambda database, folder: None,
) -> Restored:
    """Puts a backup in the place of all that is there, photos and unfinished work included, or changes nothing.

    Its checksums, its database and account book are verified first. What was deleted since is erased from it, and
    `sweep` takes away what is due, before anybody sees it. Raises Refused, NotFound (no such file), StorageFailed.
    """
    file = to_read("file", file, allowed="a file that `backup` made")
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock, stage = WorkLock(folder.lock), folder.root / "restore.part"
    if not lock.acquire():
        raise _in_use()
    try:
        if folder.restored.exists():
            folder.finish_restore()  # one that a power cut stopped

        # 1. Nobody else has the database open. What is deleted in it counts, though it is not erased yet.
        deleted = _deleted(folder.database, now)

        # 2. Out of the archive, to a place beside what is there.
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(mode=0o700)
        about = archive.unpack(file, stage, wanted=_is_ours)
        _verify(stage / DATABASE, file)

        # 3. Brought up to this version; its account book agrees with itself.
        staged = Database(stage / DATABASE)
        with staged.read() as tx:
            found = check(tx)
        if found:
            raise Refused(f"The account book in {file} does not agree with itself: {found[0]}.", field="file")

        # 4. What was deleted since stays deleted; what is due goes before anybody sees it again.
        here = forgotten.read(folder.forgotten)
        gap = here is None or here.begin > about["made_at"]
        known = forgotten.merged(here, forgotten.read(stage / FORGOTTEN), made_at=about["made_at"], now=now)
        known = Log(begin=known.begin, entries=(*known.entries, *deleted))
        with staged.write() as tx:
            erased = forgotten.apply(tx, stage, known)
        forgotten.write(stage / FORGOTTEN, known)
        sweep(staged, DataFolder(stage))
        staged.close()

        # 5. All of it on the disk, then the swap: from the rename on, even a start after a power cut finishes it.
        own = [name for name in (PRICES, STYLES) if (folder.root / name).exists()]
        _settle(stage, stay=own, whole=not about["database_only"])
        stage.rename(folder.restored)
        fsync_folder(folder.root)
        folder.finish_restore()
    except OSError as error:
        raise told(error, folder.root) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        lock.release()
    return _restored(about, erased, (NO_LOG,) if gap else ())


def _deleted(path: Path, now: int) -> list[Forgotten]:
    """What is deleted in the database that is there, unless it is too damaged to say. Raises Refused where in use."""
    if not path.exists():
        return []
    try:
        with closing(opened(path)) as database:
            database.execute("PRAGMA busy_timeout = 500")
            database.execute("PRAGMA journal_mode = DELETE")  # which only works for who is alone with it
            rows = database.execute("SELECT id FROM picture WHERE deleted_at IS NOT NULL").fetchall()
    except sqlite3.Error as error:
        if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise _in_use() from error
        return []
    return [Forgotten(what="picture", id=row["id"], at=now) for row in rows]


def _verify(path: Path, file: Path) -> None:
    """Raises Refused unless this is a sound database that this version knows."""
    try:
        with closing(opened(path)) as database:
            sound = [row[0] for row in database.execute("PRAGMA quick_check")]
            crossed = database.execute("PRAGMA foreign_key_check").fetchone()
            taken = {row[0] for row in database.execute("SELECT name FROM _sqlite_migrations")}
    except sqlite3.Error as error:
        raise Refused(f"The database in {file} is damaged: {error}.", field="file") from error
    if sound != ["ok"] or crossed is not None:
        raise Refused(f"The database in {file} is damaged: {sound[0]}.", field="file")
    if not taken <= {step.__name__ for step in tables.STEPS}:
        raise Refused(f"{file} was made by a newer version of Likeness.", field="file", allowed="an older backup")


def _settle(stage: Path, *, stay: Sequence[str], whole: bool) -> None:
    """Leaves in the stage exactly what takes the place of something: nothing of what is to `stay` as it is."""
    with closing(opened(stage / DATABASE)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    (stage / f"{DATABASE}-turn").unlink(missing_ok=True)
    fsync_file(stage / DATABASE)
    for name in stay:
        if (stage / name).is_dir():
            shutil.rmtree(stage / name)
        (stage / name).unlink(missing_ok=True)
    for kept in KEPT if whole else ():
        (stage / kept.folder).mkdir(exist_ok=True)
    for path in (stage, *(path for path in stage.rglob("*") if path.is_dir())):
        fsync_folder(path)


def _is_ours(name: str) -> bool:
    return name in (DATABASE, PRICES, FORGOTTEN) or name.partition("/")[0] in {STYLES, *(one.folder for one in KEPT)}


def _in_use() -> Refused:
    return Refused(
        "The studio works with this data folder: stop it, and every command, first.",
        field="data",
        allowed="a studio that is not running",
    )


def _restored(about: Mapping[str, Any], erased: int, notes: tuple[str, ...]) -> Restored:
    return Restored(
        made_at=int(about["made_at"]),
        files=len(about["files"]),
        database_only=bool(about["database_only"]),
        forgotten=erased,
        notes=notes,
    )
