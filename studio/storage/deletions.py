"""The deletions: each a list of what is to be erased, which becomes the receipt when that is done; the last sweep."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from studio.rules import canonical, new_id
from studio.storage.belongings import Belongings, needed
from studio.storage.database import Tx

Note = tuple[str, str]
"""What `forgotten.log` is told: what was deleted, and its random id."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is still there of something that is out of sight already. Erasing it twice is harmless.

    `stop` are jobs that must end first; `jobs` lose pictures, files and content, `tunes` their rows; `exports` are jobs
    whose export goes; `uploads` have no row any more; `files` are paths in the data folder.
    """

    stop: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    tunes: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    uploads: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """A deletion that is not finished: `work` until everything is erased; `warm` a tune that may be in memory."""

    seq: int
    id: str
    account: str
    at: int
    work: Work | None
    warm: str | None
    erased_at: int | None
    wiped_at: int | None


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """That something was deleted: when, why (`asked`, `restored`, or the clock that was over) and how many of what; no
    name and nothing of what it was.

    `erased_at` is when rows and files were gone, `wiped_at` when the database's log was wiped too; None: it is pending.
    """

    id: str
    account: str
    at: int
    why: str
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    erased_at: int | None
    wiped_at: int | None

    @property
    def is_pending(self) -> bool:
        return self.wiped_at is None


# --- out of sight: in the transaction of who deletes ------------------------------------------------------------------


def begin_all(tx: Tx, of: Belongings, *, why: str, now: int) -> tuple[str, list[Note]]:
    """Takes a tune and all that belongs to it out of sight; returns the receipt's id and what must be noted for good
    before the transaction is committed."""
    counts = {
        "tunes": 1,
        "models": int(of.file is not None),
        "photos": len(of.photos),
        "pictures": of.pictures,
        "uploads": len(of.copies),
        "exports": len(of.exports),
        "jobs_stopped": len(of.live),
    }
    tx.execute("UPDATE tune SET deleted_at = ? WHERE id = ?", (now, of.tune))
    for job in of.jobs:
        hide_job(tx, job, now=now)
        _hide_export(tx, job)
    work = Work(
        stop=of.live,
        jobs=of.jobs,
        tunes=(of.tune,),
        exports=of.jobs,
        uploads=(*of.photos, *of.copies),
        files=(*_model(of), *_drop_uploads(tx, (*of.photos, *of.copies))),
    )
    notes = [("tune", of.tune), *(("job", job) for job in of.jobs)]
    return _insert(tx, of.account, why, counts, work, warm=of.tune, now=now), notes


def begin_model(tx: Tx, of: Belongings, *, why: str, now: int) -> tuple[str, list[Note]]:
    """Takes a tune's model and what was exported of it out of sight, and stops what draws with it; returns as
    `begin_all`. Its avatars stay."""
    counts = {"models": 1, "exports": len(of.exports), "jobs_stopped": len(of.model_jobs)}
    tx.execute("UPDATE tune SET file = NULL, model_gone_at = ? WHERE id = ?", (now, of.tune))
    for job in of.model_jobs:
        tx.execute("UPDATE job SET cancel_requested = 1 WHERE id = ? AND ended_at IS NULL", (job,))
    exported = tuple({*of.exports, *of.model_jobs})
    for job in exported:
        _hide_export(tx, job)
    work = Work(stop=of.model_jobs, exports=exported, files=_model(of))
    return _insert(tx, of.account, why, counts, work, warm=of.tune, now=now), [("model", of.tune)]


def begin_uploads(tx: Tx, account: str, ids: Iterable[str], *, what: str, why: str, now: int) -> str | None:
    """Takes uploads out of sight that no job needs; the receipt's id, or None where none is left. `what` it counts."""
    free = [one for one in ids if not needed(tx, one)]
    there = [one for one in free if tx.execute("SELECT 1 FROM upload WHERE id = ?", (one,)).fetchone()]
    if not there:
        return None
    work = Work(uploads=tuple(there), files=_drop_uploads(tx, there))
    return _insert(tx, account, why, {what: len(there)}, work, warm=None, now=now)


def begin_exports(tx: Tx, account: str, jobs: Iterable[str], *, why: str, now: int) -> str:
    """Takes exports out of sight."""
    work = Work(exports=tuple(jobs))
    for job in work.exports:
        _hide_export(tx, job)
    return _insert(tx, account, why, {"exports": len(work.exports)}, work, warm=None, now=now)


def begin_hidden(tx: Tx, *, now: int) -> list[str]:
    """Has everything erased that is out of sight but was not: what a restored backup had and `forgotten.log` named."""
    made: list[str] = []
    for row in tx.execute("SELECT id FROM account ORDER BY id").fetchall():
        account = str(row["id"])
        jobs = _ids(tx, "SELECT id FROM job WHERE account = ? AND forgotten_at IS NOT NULL AND asked <> ''", account)
        tunes = _ids(tx, "SELECT id FROM tune WHERE account = ? AND deleted_at IS NOT NULL", account)
        stop = _ids(tx, "SELECT id FROM job WHERE account = ? AND cancel_requested AND ended_at IS NULL", account)
        if jobs or tunes or stop:
            work = Work(stop=tuple(stop), jobs=tuple(jobs), tunes=tuple(tunes), exports=tuple(jobs))
            made.append(_insert(tx, account, "restored", {"tunes": len(tunes)}, work, warm=None, now=now))
    return made


def hide_job(tx: Tx, job: str, *, now: int) -> None:
    """Takes a job and its pictures out of sight, also those that it still makes, and has it stop."""
    tx.execute(
        "UPDATE job SET forgotten_at = coalesce(forgotten_at, ?), "
        "cancel_requested = CASE WHEN ended_at IS NULL THEN 1 ELSE cancel_requested END WHERE id = ?",
        (now, job),
    )
    tx.execute("UPDATE picture SET deleted_at = coalesce(deleted_at, ?) WHERE job = ?", (now, job))


def _hide_export(tx: Tx, job: str) -> None:
    """Its file is found by its name, which begins with the job's id."""
    tx.execute("DELETE FROM export WHERE job = ?", (job,))


def _model(of: Belongings) -> tuple[str, ...]:
    return () if of.file is None else (f"tunes/{of.file}",)


def _drop_uploads(tx: Tx, ids: Iterable[str]) -> tuple[str, ...]:
    """Removes rows of uploads; returns where the page's cache has what they were made of."""
    cached: list[str] = []
    for upload in ids:
        tx.execute("DELETE FROM upload WHERE id = ?", (upload,))
        rows = tx.execute("DELETE FROM upload_cached WHERE upload = ? RETURNING path", (upload,)).fetchall()
        cached += [f"cache/{row['path']}" for row in rows]
    return tuple(cached)


def _insert(
    tx: Tx, account: str, why: str, counts: Mapping[str, int], work: Work, *, warm: str | None, now: int
) -> str:
    made = new_id()
    kept = {what: count for what, count in counts.items() if count}
    tx.execute(
        "INSERT INTO deletion (id, account, why, counts, at, work, warm) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (made, account, why, canonical(kept), now, canonical(asdict(work)), warm),
    )
    return made


# --- how far they are -------------------------------------------------------------------------------------------------


def is_pending(tx: Tx) -> bool:
    """Whether any deletion is not finished."""
    return bool(tx.execute("SELECT 1 FROM deletion WHERE wiped_at IS NULL OR warm IS NOT NULL LIMIT 1").fetchone())


def pending(tx: Tx) -> list[Deletion]:
    """The deletions that are not finished, the oldest first."""
    rows = tx.execute("SELECT * FROM deletion WHERE wiped_at IS NULL OR warm IS NOT NULL ORDER BY seq")
    return [_deletion(row) for row in rows]


def erased(tx: Tx, deletion: Deletion, *, now: int) -> None:
    """Notes that everything is erased: only the receipt is left."""
    tx.execute(
        "UPDATE deletion SET work = NULL, erased_at = ? WHERE seq = ? AND erased_at IS NULL", (now, deletion.seq)
    )


def wiped(tx: Tx, seqs: Iterable[int], *, now: int) -> None:
    """Notes that the log was wiped since these were erased."""
    for seq in seqs:
        tx.execute("UPDATE deletion SET wiped_at = ? WHERE seq = ? AND wiped_at IS NULL", (now, seq))


def warm(tx: Tx) -> list[str]:
    """The tunes that were deleted and may still be in memory, of whoever works the queue."""
    return _ids(tx, "SELECT DISTINCT warm FROM deletion WHERE warm IS NOT NULL")


def unloaded(tx: Tx, tune: str) -> None:
    """Notes that a tune is in no memory any more."""
    tx.execute("UPDATE deletion SET warm = NULL WHERE warm = ?", (tune,))


def get(tx: Tx, receipt: str) -> Receipt:
    """The receipt of that id, which must be there."""
    return _receipt(tx.execute("SELECT * FROM deletion WHERE id = ?", (receipt,)).fetchone())


def receipts(tx: Tx, account: str, *, limit: int = 100) -> list[Receipt]:
    """An account's receipts, newest first."""
    rows = tx.execute("SELECT * FROM deletion WHERE account = ? ORDER BY seq DESC LIMIT ?", (account, limit))
    return [_receipt(row) for row in rows]


# --- the last sweep ---------------------------------------------------------------------------------------------------


def seen(tx: Tx) -> int | None:
    """The time of the last sweep; None before the first."""
    row = tx.execute("SELECT seen FROM sweep").fetchone()
    return None if row is None else int(row["seen"])


def saw(tx: Tx, now: int) -> None:
    """Notes the time of a sweep."""
    tx.execute(
        "INSERT INTO sweep (one, seen) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET seen = excluded.seen", (now,)
    )


def _deletion(row: sqlite3.Row) -> Deletion:
    body = None if row["work"] is None else cast(dict[str, list[str]], json.loads(row["work"]))
    return Deletion(
        seq=row["seq"],
        id=row["id"],
        account=row["account"],
        at=row["at"],
        work=None if body is None else Work(**{name: tuple(ids) for name, ids in body.items()}),
        warm=row["warm"],
        erased_at=row["erased_at"],
        wiped_at=row["wiped_at"],
    )


def _receipt(row: sqlite3.Row) -> Receipt:
    return Receipt(
        id=row["id"],
        account=row["account"],
        at=row["at"],
        why=row["why"],
        counts=cast(dict[str, Any], json.loads(row["counts"])),
        erased_at=row["erased_at"],
        wiped_at=row["wiped_at"],
    )


def _ids(tx: Tx, sql: str, *values: object) -> list[str]:
    return [str(row[0]) for row in tx.execute(sql, values)]
