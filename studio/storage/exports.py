"""The exports: a file each in the exports folder, and a row that says whose it is and when it goes."""

import sqlite3
from pathlib import Path

from studio.domain import Export, Exported, ExportRequest, Job, NotFound
from studio.export_request import SUFFIXES, file_name
from studio.storage.database import Tx
from studio.storage.folder import fsync_folder
from studio.storage.retention import EXPORT_KEPT


def stored_name(job: Job) -> str:
    """Where in the exports folder a job's file belongs. The same each time: a second attempt leaves no other."""
    assert isinstance(job.request, ExportRequest)
    return f"{job.id}{SUFFIXES[job.request.format]}"


def add(tx: Tx, folder: Path, job: Job, exported: Exported, *, now: int) -> bool:
    """Takes over a file that `fsync_file` was called on: the row and the final name, in the caller's transaction.

    False, and the file is dropped, if it is there already. Raises OSError.
    """
    request = job.request
    assert isinstance(request, ExportRequest)
    if tx.execute("SELECT 1 FROM export WHERE job = ?", (job.id,)).fetchone():
        exported.file.unlink()
        return False
    file = stored_name(job)
    tx.execute(
        """
        INSERT INTO export (job, account, tune, format, file, bytes, sha256, made_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            job.id,
            job.account,
            request.tune,
            request.format,
            file,
            exported.file.stat().st_size,
            exported.sha256,
            now,
            now + EXPORT_KEPT,
        ),
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    exported.file.replace(folder / file)
    fsync_folder(folder)
    return True


def get(tx: Tx, account: str, job_id: str, *, now: int) -> Export:
    """What an export job has made. Raises NotFound, also where it is another account's, has gone or is due to go."""
    row = tx.execute(
        f"{_SELECT} WHERE export.job = ? AND export.account = ? AND export.expires_at > ?", (job_id, account, now)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such export, or it has gone: exports are kept for 24 hours.", field="id")
    return _export(row)


def of_tune(tx: Tx, account: str, tune: str, *, now: int) -> list[Export]:
    """A tune's exports that can be fetched, newest first."""
    rows = tx.execute(
        f"{_SELECT} WHERE export.tune = ? AND export.account = ? AND export.expires_at > ? ORDER BY export.seq DESC",
        (tune, account, now),
    )
    return [_export(row) for row in rows]


def drop_orphan(tx: Tx, folder: Path, job: Job) -> None:
    """Removes a file that a crash left without a row. Raises OSError."""
    if isinstance(job.request, ExportRequest):
        file = stored_name(job)
        if tx.execute("SELECT 1 FROM export WHERE file = ?", (file,)).fetchone() is None:
            (folder / file).unlink(missing_ok=True)


_SELECT = (
    "SELECT export.*, tune.name AS tune_name FROM export "
    "JOIN tune ON tune.id = export.tune AND tune.account = export.account AND tune.deleted_at IS NULL"
)
"""An export whose tune is deleted is out of sight with it."""


def _export(row: sqlite3.Row) -> Export:
    return Export(
        job=row["job"],
        account=row["account"],
        tune=row["tune"],
        format=row["format"],
        file=row["file"],
        name=file_name(row["tune_name"], row["format"]),
        bytes=row["bytes"],
        sha256=row["sha256"],
        made_at=row["made_at"],
        expires_at=row["expires_at"],
    )
