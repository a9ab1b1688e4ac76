"""Pictures handed in to be worked on: kept under an id, so that nothing above this layer passes paths on."""

import hashlib
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from studio.domain import NotFound
from studio.storage.database import Tx
from studio.storage.folder import fsync_file

AT_WORK = 3600
"""Seconds after which nobody writes on a file any more that has no row yet."""


def add(tx: Tx, folder: Path, account: str, png: bytes, *, now: int) -> str:
    """Keeps a picture that was checked and encoded anew, and returns its id. Raises OSError.

    The same picture from the same account has the same id, so that a request sent twice is the same request.
    """
    sha256 = hashlib.sha256(png).hexdigest()
    part = folder / f"{sha256}.part"
    try:
        part.write_bytes(png)
        fsync_file(part)
        return take(tx, folder, account, part, sha256=sha256, now=now)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def take(tx: Tx, folder: Path, account: str, part: Path, *, sha256: str, name: str = "", now: int) -> str:
    """Takes over such a picture from a file on the same file system that `fsync_file` was called on; returns its id.

    `name` is what it is called where it came from; of a picture handed in twice, the last time. Raises OSError.
    """
    upload = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{account} {sha256}"))
    file = f"{upload}.png"
    tx.execute(
        """
        INSERT INTO upload (id, account, file, name, created_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET
            name = coalesce(nullif(excluded.name, ''), name), created_at = excluded.created_at
        """,
        (upload, account, file, name, now),
    )
    part.replace(folder / file)
    return upload


def came_from(tx: Tx, upload: str, *, cached: Path | None = None, picture: str | None = None) -> None:
    """Notes what an upload is a copy of, so that they go together: a file of the page's cache, by its path in there, or
    a picture of the gallery."""
    if cached is not None:
        tx.execute("INSERT OR IGNORE INTO upload_cached (path, upload) VALUES (?, ?)", (cached.as_posix(), upload))
        # What the cache has of a picture was handed in before: this is a copy of it too.
        tx.execute(
            """
            INSERT OR IGNORE INTO upload_copy (upload, picture)
            SELECT ?, picture FROM upload_cached JOIN upload_copy USING (upload) WHERE path = ?
            """,
            (upload, cached.as_posix()),
        )
    if picture is not None:
        tx.execute("INSERT OR IGNORE INTO upload_copy (upload, picture) VALUES (?, ?)", (upload, picture))


def names(tx: Tx, account: str, ids: Iterable[str]) -> dict[str, str]:
    """What those of the account's uploads that are still here are called, by id; `""` for one without a name."""
    found: dict[str, str] = {}
    for upload in ids:
        row = tx.execute("SELECT name FROM upload WHERE id = ? AND account = ?", (upload, account)).fetchone()
        if row is not None:
            found[upload] = str(row["name"])
    return found


def path(tx: Tx, folder: Path, account: str, upload: str, *, field: str) -> Path:
    """The upload's file. Raises NotFound, naming the request's field, also where it is another account's."""
    row = tx.execute("SELECT file FROM upload WHERE id = ? AND account = ?", (upload, account)).fetchone()
    if row is None:
        raise NotFound(f"{field} names a picture that is not here.", field=field, allowed="the id of an upload")
    return folder / str(row["file"])


def remove_unused(tx: Tx, folder: Path, account: str, upload: str) -> None:
    """Forgets an upload that nothing came of; one that a job of the account names is kept."""
    rows = tx.execute(
        """
        DELETE FROM upload WHERE id = :id AND account = :account
            AND NOT EXISTS (SELECT 1 FROM job_input WHERE upload = :id)
        RETURNING file
        """,
        {"id": upload, "account": account},
    ).fetchall()
    for row in rows:
        (folder / str(row["file"])).unlink(missing_ok=True)


def drop_orphans(tx: Tx, folder: Path) -> None:
    """Removes what a crash left without a row, half files among them, but nothing that was written just now: another
    process may be about to take it over. Raises OSError."""
    for file in folder.iterdir():
        if file.stat().st_mtime >= time.time() - AT_WORK:
            continue
        if tx.execute("SELECT 1 FROM upload WHERE file = ?", (file.name,)).fetchone() is None:
            file.unlink(missing_ok=True)
