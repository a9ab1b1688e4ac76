"""Erases what was taken out of sight: files first, and then, in one transaction, rows and what others have of it."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from studio.storage import deletions, pictures
from studio.storage.database import Database, Tx
from studio.storage.deletions import Deletion, Work
from studio.storage.folder import DataFolder, fsync_folder

EMPTIED = (
    "UPDATE job SET request = '{}', asked = '', message = '', warnings = '[]', preview = NULL, "
    "error = NULL, error_field = NULL, error_allowed = NULL"
)
"""What takes the content out of a job's row: the account book needs the rest."""


def erase(database: Database, folder: DataFolder, deletion: Deletion, *, now: int) -> None:
    """Carries out what is left to do of a deletion whose jobs have ended; twice is harmless. Raises OSError."""
    work = deletion.work
    if work is None:
        return
    # 1. Pictures, with their small copies, and what their jobs left in scratch folders.
    touched = _remove_pictures(database, folder, work)
    for job in work.jobs:
        if (scratch := folder.scratch(job)).exists():
            shutil.rmtree(scratch)
            touched.add(scratch.parent)

    # 2. Weights, exports, and what the page's cache still has.
    for file in (*(folder.root / name for name in work.files), *_exports(folder, work)):
        touched |= _remove(file, folder.root)

    # 3. Photos and other uploads, unless the same one was handed in again meanwhile.
    for upload in work.uploads:
        with database.write() as tx:  # so that nobody hands it in between the look and the removal
            if tx.execute("SELECT 1 FROM upload WHERE id = ?", (upload,)).fetchone() is None:
                touched |= _remove(folder.uploads / f"{upload}.png", folder.root)

    # 4. On the disk before the rows go, which is what they are found by after a power cut.
    for path in touched:
        if path.is_dir():
            fsync_folder(path)

    # 5. The rows; of the deletion itself the receipt stays.
    with database.write() as tx:
        remove_rows(tx, work)
        deletions.erased(tx, deletion, now=now)


def remove_rows(tx: Tx, work: Work) -> None:
    """Removes the rows, and the content of those that the account book needs."""
    for job in work.exports:
        tx.execute("DELETE FROM export WHERE job = ?", (job,))
    for tune in work.tunes:
        tx.execute("DELETE FROM consent WHERE job = (SELECT job FROM tune WHERE id = ?)", (tune,))
        tx.execute("DELETE FROM tune WHERE id = ?", (tune,))
    for job in work.jobs:
        tx.execute("DELETE FROM upload_copy WHERE picture IN (SELECT id FROM picture WHERE job = ?)", (job,))
        tx.execute("DELETE FROM picture WHERE job = ?", (job,))
        tx.execute("DELETE FROM job_input WHERE job = ?", (job,))
        tx.execute(f"{EMPTIED} WHERE id = ?", (job,))


def remove_left_over(folder: DataFolder, *, before: int) -> int:
    """Removes from the page's cache what has lain there since before that moment; how many files. Raises OSError."""
    removed = 0
    for file in sorted(folder.cache.rglob("*")) if folder.cache.is_dir() else ():
        if file.is_file() and file.stat().st_mtime <= before:
            _remove(file, folder.root)
            removed += 1
    return removed


def drop_cached(tx: Tx, folder: DataFolder) -> None:
    """Forgets where uploads came from once nothing is there any more: a file's name tells something, too."""
    for row in tx.execute("SELECT DISTINCT path FROM upload_cached").fetchall():
        if not (folder.cache / row["path"]).exists():
            tx.execute("DELETE FROM upload_cached WHERE path = ?", (row["path"],))


def _remove_pictures(database: Database, folder: DataFolder, work: Work) -> set[Path]:
    touched: set[Path] = set()
    for job in work.jobs:
        with database.read() as tx:
            rows = tx.execute("SELECT * FROM picture WHERE job = ?", (job,)).fetchall()
        for picture in map(pictures.picture_of, rows):
            for file in (folder.pictures / picture.file, pictures.small_file(folder.pictures, picture)):
                touched |= _remove(file, folder.root)
    return touched


def _exports(folder: DataFolder, work: Work) -> Iterable[Path]:
    """The files of exports, also those that a crash left without a row: their names begin with their job's id."""
    if not folder.exports.is_dir():
        return []
    return [file for file in folder.exports.iterdir() if file.name[:36] in work.exports]


def _remove(path: Path, root: Path) -> set[Path]:
    """Removes a file or folder; which folder changed. A folder of the cache that is empty then goes too."""
    if not path.parent.is_dir():
        return set()
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent.parent == root / "cache":
        with suppress(OSError):  # it is not empty
            path.parent.rmdir()
            return {path.parent.parent}
    return {path.parent}
