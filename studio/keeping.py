"""Backup and restore of a studio's data folder, with what must be verified, and swept before anybody sees it again."""

from pathlib import Path

from studio import forgetting
from studio.credits import verify
from studio.domain import Clock, Refused, utc_now
from studio.settings import Settings
from studio.storage import backup, restore
from studio.storage.backup import BackedUp
from studio.storage.database import Database
from studio.storage.folder import DataFolder
from studio.storage.restore import Restored


def back_up(
    settings: Settings, file: Path, *, database_only: bool = False, overwrite: bool = False, clock: Clock = utc_now
) -> BackedUp:
    """Writes one archive of the data folder, also while the studio is in use. Raises Refused, StorageFailed."""
    folder = DataFolder(settings.data)
    if not folder.database.exists() and not folder.restored.exists():
        raise Refused(
            f"There is nothing to back up in {settings.data}.", field="data", allowed="a studio's data folder"
        )
    folder = DataFolder.open(settings.data)
    database = Database(folder.database)
    try:
        return backup.backup(
            database,
            folder,
            file,
            check=verify.faults,
            now=clock(),
            database_only=database_only,
            overwrite=overwrite,
        )
    finally:
        database.close()


def bring_back(settings: Settings, file: Path, *, clock: Clock = utc_now) -> Restored:
    """Puts a backup in the place of all that is in the data folder. Raises Refused, StorageFailed."""

    def sweep(database: Database, folder: DataFolder) -> None:
        forgetting.finish_restored(database, folder, now=clock())

    return restore.restore(file, DataFolder(settings.data), check=verify.faults, now=clock(), sweep=sweep)
