"""Clears away what jobs leave over: their scratch folders, and files that a crash left without a row, uploads too."""

import logging
import shutil

from studio.domain import Job
from studio.storage import exports, job_store, pictures, uploads
from studio.storage.database import Database
from studio.storage.folder import DataFolder

log = logging.getLogger(__name__)


def sweep(database: Database, folder: DataFolder, job: Job) -> None:
    """Removes what an ended job left over; the scratch folder last, since it is what tells `sweep_all` of the job.

    What cannot be removed is logged, and left to the next start.
    """
    try:
        with database.read() as tx:
            pictures.drop_orphans(tx, folder.pictures, job)
            exports.drop_orphan(tx, folder.exports, job)
        if folder.scratch(job.id).exists():
            shutil.rmtree(folder.scratch(job.id))
    except OSError:
        log.warning("leftovers of job %s could not be removed; the next start tries again", job.id, exc_info=True)


def sweep_all(database: Database, folder: DataFolder) -> None:
    """Removes what a crash kept `sweep` from removing, and scratch folders of jobs that nobody knows."""
    for scratch in folder.jobs.iterdir():
        with database.read() as tx:
            job = job_store.find(tx, scratch.name)
        if job is None:
            shutil.rmtree(scratch, ignore_errors=True)
        elif job.ended:
            sweep(database, folder, job)
    try:
        with database.read() as tx:
            uploads.drop_orphans(tx, folder.uploads)
    except OSError:
        log.warning("half uploads could not be removed; the next start tries again", exc_info=True)


def empty(folder: DataFolder, job: Job) -> None:
    """Frees what the scratch folder takes, but keeps the folder. What cannot be removed is logged."""
    try:
        for left in folder.scratch(job.id).iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
    except OSError:
        log.warning("the scratch folder of job %s could not be emptied", job.id, exc_info=True)
