"""LoRAs that were taken in from elsewhere: a ready tune each, whose job was done when it was made."""

from collections.abc import Mapping
from pathlib import Path

from studio.domain import ImportRequest
from studio.rules import canonical
from studio.storage import job_store, tunes
from studio.storage.database import Tx
from studio.storage.folder import fsync_folder
from studio.storage.retention import MODEL_KEPT


def add(
    tx: Tx,
    folder: Path,
    file: Path,
    *,
    account: str,
    job_id: str,
    request: ImportRequest,
    asked: str,
    recipe: Mapping[str, object],
    now: int,
) -> str:
    """Takes over weights that `fsync_file` was called on: rows and final name, in the caller's transaction; the tune's
    id. Raises NotFound (the account) and OSError."""
    # 1. The job, done in the same transaction: no worker ever sees it wait.
    job_store.insert(tx, job_id=job_id, account=account, request=request, asked=asked, charges=(), now=now)
    tx.execute(
        "UPDATE job SET state = 'done', delivered = 1, attempt = 1, started_at = ?, ended_at = ? WHERE id = ?",
        (now, now, job_id),
    )
    # 2. The tune. It was not trained here, so there is no consent to record and no avatar to follow.
    tune = tunes.tune_id(job_id)
    stored = f"{tune}.safetensors"
    tx.execute(
        """
        INSERT INTO tune (id, job, account, name, class_name, base, policy, avatars, avatars_tried, file, recipe,
            created_at, trained_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, 'keep-avatars', '[]', 1, ?, ?, ?, ?, ?)
        """,
        (
            tune,
            job_id,
            account,
            request.name,
            request.class_name,
            request.base,
            stored,
            canonical(dict(recipe)),
            now,
            now,
            now + MODEL_KEPT,
        ),
    )
    # 3. The file, before the commit: a row without one is never seen.
    folder.mkdir(exist_ok=True)
    file.replace(folder / stored)
    fsync_folder(folder)
    return tune
