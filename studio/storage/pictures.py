"""The pictures: a file each, taken over from a job's scratch folder, and a row each, found newest first."""

import json
import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from studio.domain import Drawn, ImageRequest, Job, NotFound, Picture
from studio.rules import canonical
from studio.storage.database import NEWEST, Tx
from studio.storage.folder import fsync_folder


def file_name(job_id: str, index: int) -> str:
    """Where in the pictures folder the picture belongs. The same each time, so that a second attempt leaves no orphan.

    Folders by the first two characters keep each of them small.
    """
    return f"{job_id[:2]}/{job_id}-{index:03}.png"


def add(tx: Tx, folder: Path, job: Job, drawn: Drawn, *, now: int) -> bool:
    """Takes over a file that `fsync_file` was called on: the row and the final name, in the caller's transaction.

    False, and the file is dropped, if that picture is there already. Raises OSError.
    """
    if tx.execute('SELECT 1 FROM picture WHERE job = ? AND "index" = ?', (job.id, drawn.index)).fetchone():
        drawn.file.unlink()
        return False
    name = file_name(job.id, drawn.index)
    target = folder / name
    target.parent.mkdir(exist_ok=True)
    record(tx, job, drawn, now=now)
    drawn.file.replace(target)
    fsync_folder(target.parent)
    return True


def record(tx: Tx, job: Job, drawn: Drawn, *, now: int) -> None:
    """The picture's row alone, out of sight where its job was forgotten meanwhile; its file is looked for under
    `file_name`."""
    tx.execute(
        """
        INSERT INTO picture
            (id, job, "index", account, file, width, height, seed, recipe, kind, base, style, tune, created_at,
            searchable, deleted_at)
        VALUES (?1, ?2, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT forgotten_at FROM job WHERE id = ?2))
        """,
        (
            str(uuid.uuid5(uuid.UUID(job.id), str(drawn.index))),
            job.id,
            drawn.index,
            job.account,
            file_name(job.id, drawn.index),
            drawn.width,
            drawn.height,
            drawn.seed,
            canonical(dict(drawn.recipe)),
            job.request.kind,
            job.request.base,
            job.request.style,
            job.request.tune if isinstance(job.request, ImageRequest) else None,
            now,
            searchable(drawn.recipe),
        ),
    )


def searchable(recipe: Mapping[str, object]) -> str:
    """What a picture is found by: the prompt as it was asked, without upper case in any script."""
    asked = recipe.get("asked")
    prompt = cast(Mapping[str, object], asked if isinstance(asked, Mapping) else recipe).get("prompt")
    return str(prompt or "").casefold()


def indexes(tx: Tx, job_id: str) -> frozenset[int]:
    """Which of a job's pictures are stored, deleted ones too."""
    return frozenset(row["index"] for row in tx.execute('SELECT "index" FROM picture WHERE job = ?', (job_id,)))


def of_job(tx: Tx, job_id: str) -> list[Picture]:
    """A job's pictures in the order they were asked for."""
    rows = tx.execute('SELECT * FROM picture WHERE job = ? AND deleted_at IS NULL ORDER BY "index"', (job_id,))
    return [picture_of(row) for row in rows]


def get(tx: Tx, account: str, picture_id: str) -> Picture:
    """The picture. Raises NotFound, also where it is another account's or deleted."""
    row = tx.execute(
        "SELECT * FROM picture WHERE id = ? AND account = ? AND deleted_at IS NULL", (picture_id, account)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such picture.", field="id")
    return picture_of(row)


def newest(tx: Tx, account: str, *, limit: int = 48, before: str | None = None) -> list[Picture]:
    """A page of an account's pictures, newest first; the next page is what comes `before` the last one's id.

    Raises NotFound where `before` is no picture of the account.
    """
    start = NEWEST if before is None else _seq(tx, account, before)
    rows = tx.execute(
        "SELECT * FROM picture INDEXED BY picture_newest "
        "WHERE account = ? AND deleted_at IS NULL AND seq < ? ORDER BY seq DESC LIMIT ?",
        (account, start, limit),
    )
    return [picture_of(row) for row in rows]


def delete(tx: Tx, account: str, ids: list[str], *, now: int) -> None:
    """Takes pictures out of sight, all of them or none; those that are already stay so. Raises NotFound."""
    for picture_id in ids:
        changed = tx.execute(
            "UPDATE picture SET deleted_at = coalesce(deleted_at, ?) WHERE id = ? AND account = ?",
            (now, picture_id, account),
        )
        if changed.rowcount != 1:
            raise NotFound("There is no such picture.", field="id")


def restore(tx: Tx, account: str, ids: list[str]) -> None:
    """Puts deleted pictures back, all of them or none. Raises NotFound where one is gone for good."""
    for picture_id in ids:
        changed = tx.execute(
            "UPDATE picture SET deleted_at = NULL WHERE id = ? AND account = ? "
            "AND EXISTS (SELECT 1 FROM job WHERE job.id = picture.job AND forgotten_at IS NULL)",
            (picture_id, account),
        )
        if changed.rowcount != 1:
            raise NotFound("This picture is gone for good.", field="id")


def deleted_before(tx: Tx, moment: int) -> list[Picture]:
    """The deleted pictures of ended jobs that were deleted before that moment, of all accounts.

    Those of a job that still runs are kept: their rows tell it what it has made already.
    """
    rows = tx.execute(
        """
        SELECT picture.* FROM picture JOIN job ON job.id = picture.job
        WHERE picture.deleted_at < ? AND job.ended_at IS NOT NULL
        """,
        (moment,),
    )
    return [picture_of(row) for row in rows]


def erase(tx: Tx, folder: Path, picture: Picture) -> bool:
    """Removes a deleted picture's row and file; False for one that was restored meanwhile. Raises OSError."""
    gone = tx.execute("DELETE FROM picture WHERE id = ? AND deleted_at IS NOT NULL", (picture.id,))
    if gone.rowcount == 1:
        # Before the commit: where it fails, the row is still there to try again by.
        (folder / picture.file).unlink(missing_ok=True)
        small_file(folder, picture).unlink(missing_ok=True)
    return gone.rowcount == 1


def small_file(folder: Path, picture: Picture) -> Path:
    """Where the small copy for lists lies, once somebody has looked at one: beside the pictures folder."""
    return folder.parent / "small" / picture.file[:2] / f"{picture.id}.webp"


def drop_orphans(tx: Tx, folder: Path, job: Job) -> None:
    """Removes files that a crash left without a row. Raises OSError."""
    for index in frozenset(range(job.request.pictures)) - indexes(tx, job.id):
        (folder / file_name(job.id, index)).unlink(missing_ok=True)


def _seq(tx: Tx, account: str, picture_id: str) -> int:
    # Deleted ones count: the page after one must be found though it was deleted meanwhile.
    row = tx.execute("SELECT seq FROM picture WHERE id = ? AND account = ?", (picture_id, account)).fetchone()
    if row is None:
        raise NotFound("There is no such picture.", field="before")
    return int(row["seq"])


def picture_of(row: sqlite3.Row) -> Picture:
    """The row of the picture table as a value."""
    return Picture(
        id=row["id"],
        job=row["job"],
        index=row["index"],
        account=row["account"],
        file=row["file"],
        width=row["width"],
        height=row["height"],
        seed=row["seed"],
        recipe=json.loads(row["recipe"]),
        kind=row["kind"],
        base=row["base"],
        style=row["style"],
        tune=row["tune"],
        created_at=row["created_at"],
        favourite=bool(row["favourite"]),
        deleted_at=row["deleted_at"],
    )
