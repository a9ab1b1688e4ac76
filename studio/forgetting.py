"""Carries deletions out: what was deleted is out of sight at once, and erased as soon as nothing works on it any more.

Each deletion is a list of things to erase in the database (`storage.deletions`), so that one that a crash cut off is
finished at the next start.
"""

import logging

from studio.credits import ledger, standing
from studio.domain import StorageFailed
from studio.storage import belongings, deletions, erasing, forgotten, job_store, pictures, retention, scratch, uploads
from studio.storage.database import Database, Tx
from studio.storage.deletions import Deletion
from studio.storage.folder import DataFolder
from studio.storage.retention import Due

UNDO = 3600
"""Seconds in which the deletion of a picture can be undone."""

log = logging.getLogger(__name__)


# --- deletions that were asked for or due -----------------------------------------------------------------------------


def begin(
    database: Database, folder: DataFolder, account: str, tune: str, *, model_only: bool, why: str, now: int
) -> str:
    """Takes a tune, or its model alone, out of sight; returns the receipt's id. `finish` does the rest.

    Raises NotFound, StorageFailed.
    """
    with database.write() as tx:
        return _begin(tx, folder, account, tune, model_only=model_only, why=why, now=now)


def finish(database: Database, folder: DataFolder, *, alone: bool, now: int) -> bool:
    """Erases what is out of sight, and wipes the log; whether all of it is done. `alone`: nobody works the queue.

    What cannot be done yet, because a job has not stopped or somebody still reads, is tried again by the next call.
    """
    with database.read() as tx:
        waiting = [one for one in deletions.pending(tx) if one.work is not None]
    for deletion in waiting:
        try:
            # 1. What still works on it ends, and its credits come back.
            if _stopped(database, folder, deletion, alone=alone, now=now):
                # 2. Files and rows.
                erasing.erase(database, folder, deletion, now=now)
        except (OSError, StorageFailed):
            log.warning("deletion %s could not be carried out; it is tried again", deletion.id, exc_info=True)
    # 3. What the database's log still has of them.
    return wipe(database, now=now) and not is_pending(database)


def wipe(database: Database, *, now: int) -> bool:
    """Wipes the log of everything that is erased; False where somebody still reads or writes."""
    with database.read() as tx:
        erased = [one.seq for one in deletions.pending(tx) if one.erased_at is not None and one.wiped_at is None]
    if erased and not database.wipe_log():
        return False
    if erased:
        with database.write() as tx:
            deletions.wiped(tx, erased, now=now)
    return True


def is_pending(database: Database) -> bool:
    """Whether a deletion is not finished."""
    with database.read() as tx:
        return deletions.is_pending(tx)


def _begin(tx: Tx, folder: DataFolder, account: str, tune: str, *, model_only: bool, why: str, now: int) -> str:
    of = belongings.of_tune(tx, account, tune)
    receipt, notes = (deletions.begin_model if model_only else deletions.begin_all)(tx, of, why=why, now=now)
    # Before the commit: what is deleted must be in the list, so that no backup brings it back.
    forgotten.append_all(folder.forgotten, notes, now=now)
    return receipt


def _stopped(database: Database, folder: DataFolder, deletion: Deletion, *, alone: bool, now: int) -> bool:
    """Ends the jobs that work on it, and releases what they hold; whether all of them have ended."""
    stopped = True
    for job_id in deletion.work.stop if deletion.work is not None else ():
        with database.write() as tx:
            job = job_store.find(tx, job_id)
            if job is None or job.ended:
                continue
            if job.state == "running" and not alone:
                stopped = False  # whoever runs it has been asked to stop
                continue
            expected = "running" if job.state == "running" else "queued"
            if job_store.end(tx, job, "cancelled", expected=expected, now=now):
                ledger.settle(tx, job.id, delivered=job.delivered, now=now)
        scratch.sweep(database, folder, job)
    return stopped


# --- what is due ------------------------------------------------------------------------------------------------------


def sweep(database: Database, folder: DataFolder, *, alone: bool, now: int, trust: bool = False) -> list[str]:
    """Deletes everything that is due, and finishes what was not finished; returns the ids of the new receipts.

    A clock that is far ahead of the last sweep is believed when another sweep agrees, or with `trust`.
    """
    # 1. Up to when it is believed.
    with database.write() as tx:
        by = now if trust else retention.believed(now, seen=deletions.seen(tx))
        deletions.saw(tx, now)
        standing.notice_no_later(tx, now)

    # 2. What is due goes out of sight, each looked at again in its own transaction: it may have been extended.
    with database.read() as tx:
        due = [(one, account) for one, account in belongings.due(tx) if one.at <= by]
    due.sort(key=lambda found: found[0].what != "avatars")  # with which the model goes too
    made: list[str] = []
    for one, account in due:
        try:
            with database.write() as tx:
                receipt = _begin_due(tx, folder, account, one, by=by, now=now)
            made += [] if receipt is None else [receipt]
        except (OSError, StorageFailed):
            log.warning("%s %s is due and could not be deleted; it is tried again", one.what, one.id, exc_info=True)

    # 3. Pictures that can no longer be restored, what the cache has had for a day, and half uploads.
    erase_deleted(database, folder, now=by)
    try:
        erasing.remove_left_over(folder, before=by - retention.PASSING_KEPT)
        with database.write() as tx:
            erasing.drop_cached(tx, folder)
        with database.read() as tx:
            uploads.drop_orphans(tx, folder.uploads)
    except OSError:
        log.warning("left-over files could not be removed; the next sweep tries again", exc_info=True)

    # 4. Everything that is out of sight now is erased.
    finish(database, folder, alone=alone, now=now)
    return made


def _begin_due(tx: Tx, folder: DataFolder, account: str, one: Due, *, by: int, now: int) -> str | None:
    """Takes something out of sight if it still is due."""
    if one.what == "export":
        known = tx.execute("SELECT 1 FROM export WHERE job = ? AND expires_at <= ?", (one.id, by)).fetchone()
        return deletions.begin_exports(tx, account, [one.id], why=one.why, now=now) if known else None
    if one.what == "upload":
        ids = [one.id] if belongings.upload_is_due(tx, one.id, by=by) else []
        return deletions.begin_uploads(tx, account, ids, what="uploads", why=one.why, now=now)
    if one.what == "photos":
        ids = belongings.photos_due(tx, one.id, by=by)
        return deletions.begin_uploads(tx, account, ids, what="photos", why=one.why, now=now)
    if not belongings.tune_is_due(tx, account, one, by=by):
        return None
    return _begin(tx, folder, account, one.id, model_only=one.what == "model", why=one.why, now=now)


def finish_restored(database: Database, folder: DataFolder, *, now: int) -> None:
    """Erases from a restored data folder, before anybody sees it, what `forgotten.log` names and what is due."""
    with database.write() as tx:
        deletions.begin_hidden(tx, now=now)
    sweep(database, folder, alone=True, now=now, trust=True)


def erase_deleted(database: Database, folder: DataFolder, *, now: int) -> int:
    """Erases the pictures whose time to be restored is over, and returns how many.

    One that cannot be removed is logged and stays, file and row, for the next time.
    """
    with database.read() as tx:
        due = pictures.deleted_before(tx, now - UNDO)
    erased = 0
    for picture in due:
        try:
            with database.write() as tx:
                if pictures.erase(tx, folder.pictures, picture):
                    # Before the commit: what is erased must be in the list, so that no backup brings it back.
                    forgotten.append(folder.forgotten, "picture", picture.id, now=now)
                    erased += 1
        except (OSError, StorageFailed):
            log.warning("picture %s could not be erased; it is tried again", picture.id, exc_info=True)
    if erased:
        database.wipe_log()
    return erased
