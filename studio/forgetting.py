"""Carries deletions out: what was deleted is out of sight at once, and erased when it can no longer be restored."""

import logging

from studio.domain import StorageFailed
from studio.storage import forgotten, pictures
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
                if pictures.erase(tx, folder.pictures, picture):
                    # Before the commit: what is erased must be in the list, so that no backup brings it back.
                    forgotten.append(folder.forgotten, "picture", picture.id, now=now)
                    erased += 1
        except (OSError, StorageFailed):
            log.warning("picture %s could not be erased; it is tried again", picture.id, exc_info=True)
    return erased
