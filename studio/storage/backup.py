"""Backup: the database as of one moment, while it is in use, with its files and the list of what was deleted.

Photos and exports are never in a backup: they are to be forgotten soon, and a backup would remember them.
"""

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from studio.domain import Conflict, Refused, StorageFailed
from studio.paths import named
from studio.storage import archive, faults
from studio.storage.database import Database, Tx
from studio.storage.folder import DataFolder

DATABASE, PRICES, FORGOTTEN = "studio.db", "prices.toml", "forgotten.log"
STYLES = "styles"  # the folder of the operator's own
_PLAIN = re.compile(r"[\w+-][\w .+-]{0,99}")  # a name that every system takes


@dataclass(frozen=True)
class Kept:
    """A folder of the data folder that a backup has: the names of its files as the database has them, and how one
    that was deleted while the backup was made goes from the backup's database too."""

    folder: str
    names: str
    lose: str


KEPT = (
    Kept(
        "pictures",
        "SELECT file FROM picture WHERE deleted_at IS NULL",
        "DELETE FROM picture WHERE file = ? "
        "AND EXISTS (SELECT 1 FROM job WHERE job.id = picture.job AND ended_at IS NOT NULL)",
    ),
    Kept(
        "tunes",
        "SELECT file FROM tune WHERE file IS NOT NULL AND deleted_at IS NULL",
        "UPDATE tune SET model_gone_at = coalesce(trained_at, created_at), file = NULL WHERE file = ?",
    ),
)
"""What is kept beside the database. Another kind of file is a row here."""

LEFT_OUT = (
    "DELETE FROM upload",
    "DELETE FROM upload_cached",
    "DELETE FROM export",
    "DELETE FROM picture WHERE deleted_at IS NOT NULL AND job IN (SELECT id FROM job WHERE ended_at IS NOT NULL)",
)
"""What goes from a backup's database: rows that tell of what no backup has."""

Check = Callable[[Tx], list[str]]
"""Finds what is wrong with the account book, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class BackedUp:
    """A backup that is on the disk. `faults`: what was wrong with the account book already."""

    file: Path
    bytes: int
    files: int
    database_only: bool
    faults: tuple[str, ...]


def backup(
    database: Database,
    folder: DataFolder,
    file: Path,
    *,
    check: Check,
    now: int,
    database_only: bool = False,
    overwrite: bool = False,
) -> BackedUp:
    """Writes one archive while the studio is in use.

    Raises Conflict (a file of that name is there), Refused (no such folder), StorageFailed.
    """
    file = named("file", file)
    if file.exists() and not overwrite:
        raise Conflict(f"{file} is there already.", field="file", allowed="a new name, or --overwrite")
    if not file.parent.is_dir():
        raise Refused(f"There is no folder {file.parent}.", field="file", allowed="a file in a folder that is there")
    if not os.access(file.parent, os.W_OK):
        raise StorageFailed(f"{file.parent} cannot be written.", field="file", allowed="a folder that can be written")
    copy = file.with_name(f"{file.name}.database.part")
    try:
        with archive.writing(file) as writer:
            # 1. The database as of one moment. Writers go on: a reader of a write-ahead log keeps nobody waiting.
            copy.touch(mode=0o600)
            with database.read() as tx, closing(sqlite3.connect(copy)) as snapshot:
                tx.backup(snapshot)

            # 2. What no backup has goes from it; then the files it names. One that is gone was deleted meanwhile.
            with closing(opened(copy)) as snapshot:
                found = check(snapshot)
                for statement in LEFT_OUT:
                    snapshot.execute(statement)
                for kept in () if database_only else KEPT:
                    for (name,) in snapshot.execute(kept.names).fetchall():
                        try:
                            writer.add(f"{kept.folder}/{name}", folder.root / kept.folder / name)
                        except FileNotFoundError:
                            snapshot.execute(kept.lose, (name,))
                snapshot.execute("PRAGMA journal_mode = DELETE")

            # 3. The database itself, the operator's prices and styles, and what was deleted until now.
            writer.add(DATABASE, copy)
            for name in (PRICES, FORGOTTEN):
                with suppress(FileNotFoundError):
                    writer.add(name, folder.root / name)
            for style in sorted((folder.root / STYLES).glob("*.toml")):
                if style.is_file() and _PLAIN.fullmatch(style.name):
                    writer.add(f"{STYLES}/{style.name}", style)
            writer.about.update(made_at=now, database_only=database_only)
    except OSError as error:
        raise told(error, file.parent) from error
    except sqlite3.Error as error:
        raise faults.of_sqlite(error, copy) or error from error
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            copy.with_name(copy.name + end).unlink(missing_ok=True)
    return BackedUp(
        file=file,
        bytes=file.stat().st_size,
        files=len(writer.sums),
        database_only=database_only,
        faults=tuple(found),
    )


def opened(path: Path) -> sqlite3.Connection:
    """A plain connection to a database that nobody else uses. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def told(error: OSError, folder: Path) -> StorageFailed:
    """The sentence for what befell a file below the folder."""
    return faults.of_os(error, folder) or StorageFailed(f"{error.filename or folder}: {error.strerror or error}.")
