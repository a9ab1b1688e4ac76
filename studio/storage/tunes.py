"""The tunes: a row each from the moment a training is asked for, and a file of weights once it has succeeded."""

import json
import sqlite3
import uuid
from pathlib import Path
from typing import cast

from studio.domain import Job, NotFound, Refused, Trained, Tune, TuneRequest, TuneState
from studio.rules import canonical
from studio.storage.database import NEWEST, Tx
from studio.storage.folder import fsync_folder
from studio.storage.retention import MODEL_KEPT
from studio.tunes import thinned


def begin(tx: Tx, job: Job, *, statement: str, now: int) -> str:
    """The row of a tune whose training was just queued, and the record of consent; returns its id."""
    request = job.request
    assert isinstance(request, TuneRequest)
    tune = tune_id(job.id)
    tx.execute(
        """
        INSERT INTO tune (id, job, account, name, class_name, base, policy, avatars, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            tune,
            job.id,
            job.account,
            request.name,
            request.class_name,
            request.base,
            request.policy,
            canonical(list(request.styles)),
            now,
        ),
    )
    tx.execute(
        "INSERT INTO consent (job, account, version, statement, given_at) VALUES (?, ?, ?, ?, ?)",
        (job.id, job.account, request.consent, statement, now),
    )
    return tune


def tune_id(job_id: str) -> str:
    """The tune that a training makes. The same each time, so that a second attempt makes the same one."""
    return str(uuid.uuid5(uuid.UUID(job_id), "tune"))


def add(tx: Tx, folder: Path, job: Job, trained: Trained, *, now: int) -> bool:
    """Takes over weights that `fsync_file` was called on: the final name and the row, in the caller's transaction.

    False, and the file is dropped, if they are there already. Raises OSError.
    """
    tune = tune_id(job.id)
    file = f"{tune}.safetensors"
    done = tx.execute(
        """
        UPDATE tune SET file = ?, recipe = ?, losses = ?, trained_at = ?, expires_at = ?
        WHERE id = ? AND file IS NULL AND model_gone_at IS NULL AND deleted_at IS NULL
        """,
        (file, canonical(dict(trained.recipe)), canonical(thinned(trained.losses)), now, now + MODEL_KEPT, tune),
    )
    if done.rowcount == 0:
        trained.file.unlink()
        return False
    folder.mkdir(exist_ok=True)
    trained.file.replace(folder / file)
    fsync_folder(folder)
    return True


def get(tx: Tx, account: str, tune: str) -> Tune:
    """The tune. Raises NotFound, also where it is another account's or deleted."""
    row = tx.execute(f"{_SELECT} WHERE tune.id = ? AND tune.account = ? AND deleted_at IS NULL", (tune, account))
    if (found := row.fetchone()) is None:
        raise NotFound("There is no such tune.", field="tune")
    return _tune(found)


def newest(tx: Tx, account: str, *, limit: int = 50, before: str | None = None) -> list[Tune]:
    """A page of an account's tunes, newest first; the next page is what comes `before` the last one's id."""
    start = NEWEST
    if before is not None:
        row = tx.execute("SELECT seq FROM tune WHERE id = ? AND account = ?", (before, account)).fetchone()
        if row is None:
            raise NotFound("There is no such tune.", field="before")
        start = int(row["seq"])
    rows = tx.execute(
        f"{_SELECT} WHERE tune.account = ? AND deleted_at IS NULL AND tune.seq < ? ORDER BY tune.seq DESC LIMIT ?",
        (account, start, limit),
    )
    return [_tune(row) for row in rows]


def path(tx: Tx, folder: Path, account: str, tune: str) -> Path:
    """The file of a finished tune's weights. Raises NotFound, and Refused where it has none yet or no more."""
    found = get(tx, account, tune)
    if found.state != "ready":
        raise Refused(f"The tune {found.name} has no model: it is {found.state}.", field="tune", allowed="a ready tune")
    row = tx.execute("SELECT file FROM tune WHERE id = ?", (tune,)).fetchone()
    return folder / str(row["file"])


def keep_until(tx: Tx, tune: str, moment: int) -> None:
    """Has a tune's model go then."""
    tx.execute("UPDATE tune SET expires_at = ? WHERE id = ? AND file IS NOT NULL", (moment, tune))


def untried(tx: Tx) -> list[Tune]:
    """The ready tunes whose first avatars nobody has tried to ask for yet."""
    rows = tx.execute(f"{_SELECT} WHERE avatars_tried = 0 AND file IS NOT NULL AND deleted_at IS NULL")
    return [_tune(row) for row in rows]


def tried(tx: Tx, tune: str) -> None:
    """Notes that its first avatars were asked for as far as they could be: what is left waits to be asked for."""
    tx.execute("UPDATE tune SET avatars_tried = 1 WHERE id = ?", (tune,))


def avatars_asked(tx: Tx, tune: str, style: str) -> None:
    """Notes that a tune's first avatars in a style were asked for."""
    row = tx.execute("SELECT avatars FROM tune WHERE id = ?", (tune,)).fetchone()
    left = [one for one in _ids(row["avatars"]) if one != style]
    tx.execute("UPDATE tune SET avatars = ? WHERE id = ?", (canonical(left), tune))


_SELECT = "SELECT tune.*, job.state AS job_state, job.paused AS paused FROM tune JOIN job ON job.id = tune.job"

_STATES: dict[str, TuneState] = {
    "queued": "waiting",
    "running": "training",
    "failed": "failed",
    "cancelled": "cancelled",
}


def _tune(row: sqlite3.Row) -> Tune:
    return Tune(
        id=row["id"],
        job=row["job"],
        account=row["account"],
        name=row["name"],
        class_name=row["class_name"],
        base=row["base"],
        state=_state(row),
        policy=row["policy"],
        recipe=json.loads(row["recipe"]),
        losses=tuple(json.loads(row["losses"])),
        styles_left=tuple(_ids(row["avatars"])),
        created_at=row["created_at"],
        trained_at=row["trained_at"],
        expires_at=row["expires_at"] if row["file"] is not None else None,
    )


def _state(row: sqlite3.Row) -> TuneState:
    if row["file"] is not None:
        return "ready"
    if row["model_gone_at"] is not None:
        return "gone"
    state = _STATES.get(row["job_state"], "failed")
    return "paused" if row["paused"] and state in ("waiting", "training") else state


def _ids(text: str) -> list[str]:
    return cast(list[str], json.loads(text))
