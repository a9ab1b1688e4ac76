"""Pictures handed in to be worked on: kept under an id, so that nothing above this layer passes paths on."""

import hashlib
import uuid
from pathlib import Path

from studio.domain import NotFound
from studio.storage.database import Tx
from studio.storage.folder import fsync_file


def add(tx: Tx, folder: Path, account: str, png: bytes, *, now: int) -> str:
    """Keeps a picture that was checked and encoded anew, and returns its id. Raises OSError.

    The same picture from the same account has the same id, so that a request sent twice is the same request.
    """
    upload = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{account} {hashlib.sha256(png).hexdigest()}"))
    name = f"{upload}.png"
    tx.execute(
        "INSERT INTO upload (id, account, file, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (upload, account, name, now),
    )
    part = folder / f"{name}.part"
    try:
        part.write_bytes(png)
        fsync_file(part)
        part.replace(folder / name)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return upload


def path(tx: Tx, folder: Path, account: str, upload: str, *, field: str) -> Path:
    """The upload's file. Raises NotFound, naming the request's field, also where it is another account's."""
    row = tx.execute("SELECT file FROM upload WHERE id = ? AND account = ?", (upload, account)).fetchone()
    if row is None:
        raise NotFound(f"{field} names a picture that is not here.", field=field, allowed="the id of an upload")
    return folder / str(row["file"])


def remove_unused(tx: Tx, folder: Path, account: str, upload: str) -> None:
    """Forgets an upload that nothing came of; one that a job of the account names is kept."""
    rows = tx.execute(
        """
        DELETE FROM upload WHERE id = :id AND account = :account
            AND NOT EXISTS (SELECT 1 FROM job WHERE account = :account AND instr(request, :id))
        RETURNING file
        """,
        {"id": upload, "account": account},
    ).fetchall()
    for row in rows:
        (folder / str(row["file"])).unlink(missing_ok=True)
