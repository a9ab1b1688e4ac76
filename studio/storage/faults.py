"""Turns what the disk or SQLite says into the one sentence a user is told."""

import errno
import os
import sqlite3
from pathlib import Path

from studio.domain import StorageFailed

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NO_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}


def of_os(error: OSError, folder: Path) -> StorageFailed | None:
    """The sentence for a full disk or missing rights; None for anything else, which is a fault of the program."""
    if error.errno in _FULL:
        return _full(folder)
    if error.errno in _NO_RIGHTS:
        return _refused(Path(os.fsdecode(error.filename)) if error.filename else folder, os.strerror(error.errno))
    return None


def of_sqlite(error: sqlite3.Error, database: Path) -> StorageFailed | None:
    """The sentence for what can befall a database file; None for anything else, which is a fault of the program."""
    # The extended codes carry the primary one in their low byte (https://sqlite.org/rescode.html).
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return _full(database.parent)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return _refused(database.parent, str(error))
    if code == sqlite3.SQLITE_IOERR:
        return StorageFailed(f"Reading or writing {database} failed ({error}): check the disk and its free space.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageFailed(f"{database} has been busy for too long: another program holds it. Try again.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StorageFailed(f"{database} is damaged ({error}): restore a backup of it.")
    return None


def _full(folder: Path) -> StorageFailed:
    return StorageFailed(f"The disk that holds {folder} is full: free some space and try again.")


def _refused(path: Path, why: str) -> StorageFailed:
    return StorageFailed(
        f"{path} cannot be written ({why}): give yourself the right to write there, or set STUDIO_DATA to another "
        "folder.",
        field="data",
        allowed="a folder that can be written",
    )
