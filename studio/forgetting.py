"""Carries deletions out: what was deleted is out of sight at once, and erased when it can no longer be restored."""

import logging

from studio.domain import StorageFailed
from studio.storage import pictures
from studio.storage.database import Database
from studio.storage.folder import DataFolder

UNDO = 3600
"""Seconds in which a deletion can be undone."""

log = logging.getLogger(__name__)


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
                pictures.erase(tx, folder.pictures, picture)
            erased += 1
        except (OSError, StorageFailed):
            log.warning("picture %s could not be erased; it is tried again", picture.id, exc_info=True)
    return erased
