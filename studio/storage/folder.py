"""Where things lie in the data folder, and the lock that says which process works its queue."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from studio import filelock
from studio.domain import Job, StorageFailed
from studio.storage import faults

FORGOTTEN_BY_RESTORE = ("uploads", "jobs", "small", "photos", "exports", "cache")
OLD = "old-"  # before the name of what a restore has put aside


@dataclass(frozen=True)
class DataFolder:
    """The layout of one data folder. Made by `open`, which also makes the folders."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Self:
        """The folder, made where it is missing, for its owner's eyes only. Raises StorageFailed."""
        folder = cls(root)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.restored.exists():
                folder._finish_alone()
            for part in (folder.pictures, folder.uploads, folder.jobs):
                part.mkdir(exist_ok=True)
        except OSError as error:
            told = faults.of_os(error, root)
            why = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
            raise told or StorageFailed(
                f"{root} cannot be the data folder: {why}.", field="data", allowed="a folder"
            ) from error
        return folder

    @property
    def database(self) -> Path:
        return self.root / "studio.db"

    @property
    def forgotten(self) -> Path:
        """The list of what was deleted for good."""
        return self.root / "forgotten.log"

    @property
    def restored(self) -> Path:
        """A verified backup that takes the place of what is there; gone when it has."""
        return self.root / "restore.ready"

    @property
    def lock(self) -> Path:
        return self.root / "worker.lock"

    @property
    def prices(self) -> Path:
        """The operator's own prices, where there are any."""
        return self.root / "prices.toml"

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    @property
    def tunes(self) -> Path:
        return self.root / "tunes"

    @property
    def exports(self) -> Path:
        """Tunes as files for other programs; made with the first of them."""
        return self.root / "exports"

    @property
    def cache(self) -> Path:
        """What was handed to the page, until it is taken over or a day old."""
        return self.root / "cache"

    def cached(self, file: object) -> Path | None:
        """The path of a file in the page's cache, from there; None for every other."""
        path = file.resolve() if isinstance(file, Path) else None
        root = self.cache.resolve()
        return path.relative_to(root) if path is not None and path.is_relative_to(root) else None

    @property
    def uploads(self) -> Path:
        return self.root / "uploads"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    def scratch(self, job_id: str) -> Path:
        """The job's own folder: what a runner writes before it is taken over. Gone when the job has ended."""
        return self.jobs / job_id

    def finish_restore(self) -> None:
        """Puts everything that a restore has made ready in its place, whatever of it was done before a crash.

        Raises OSError. Only for who holds the work lock.
        """
        # 1. The database, with no log of the one before: SQLite would take it for its own.
        if (self.restored / self.database.name).exists():
            for end in ("-wal", "-shm", "-journal"):
                (self.root / f"{self.database.name}{end}").unlink(missing_ok=True)
            (self.restored / self.database.name).replace(self.database)

        # 2. Whole folders and single files; what was there goes into the folder that is removed at the end.
        for new in sorted(self.restored.iterdir()):
            if not new.name.startswith(OLD):
                if (self.root / new.name).is_dir():
                    (self.root / new.name).rename(self.restored / f"{OLD}{new.name}")
                new.replace(self.root / new.name)

        # 3. What nothing in the restored database tells of.
        for name in FORGOTTEN_BY_RESTORE:
            if (self.root / name).exists():
                (self.root / name).rename(self.restored / f"{OLD}{name}")
        fsync_folder(self.root)
        shutil.rmtree(self.restored)

    def _finish_alone(self) -> None:
        lock = WorkLock(self.lock)
        if not lock.acquire():
            raise StorageFailed(f"{self.root} is being restored from a backup: try again when that is done.")
        try:
            if self.restored.exists():
                self.finish_restore()
        finally:
            lock.release()

    def preview(self, job: Job) -> Path | None:
        """The newest preview of a running job. It may be replaced or gone by the time it is read."""
        return self.scratch(job.id) / job.preview if job.preview else None


class WorkLock:
    """Held by the one process that works the queue of a data folder; the system lets go of it when that process dies.

    So whoever holds it knows that every job still marked as running belongs to a process that is gone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def acquire(self) -> bool:
        """Whether this object holds the lock now; never waits. Raises StorageFailed."""
        if self._file is not None:
            return True
        try:
            file = self.path.open("a+b")
        except OSError as error:
            told = faults.of_os(error, self.path.parent)
            if told is None:
                raise
            raise told from error
        if not filelock.try_lock(file):
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            filelock.unlock(self._file)
            self._file.close()
            self._file = None


def fsync_file(file: Path) -> None:
    """Forces the file's content to the disk. Raises OSError."""
    with file.open("r+b") as opened:  # Windows wants it open for writing
        os.fsync(opened.fileno())


def fsync_folder(folder: Path) -> None:
    """Makes a rename in the folder last through a power cut. Windows keeps renames itself and offers no such call."""
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
