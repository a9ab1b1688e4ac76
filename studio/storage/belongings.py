"""What belongs to a tune: jobs, pictures, photos, copies of all of them; and the facts that say when each goes."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from studio.domain import NotFound
from studio.export_request import file_name
from studio.storage import retention
from studio.storage.database import Tx
from studio.storage.retention import Due, Model, Use, What, Why

Row = tuple[Due, str]
"""Something that is due, and whose it is."""


@dataclass(frozen=True, kw_only=True)
class Belongings:
    """All that there is of a tune, by ids. `jobs` are the training, everything drawn with it or exported of it, and
    what tools made of that; `live` those that wait or run, `model_jobs` those of them that need the model.

    `photos` were trained on and are needed by no other job, `copies` are other uploads: pictures of the tune that tools
    were given.
    """

    tune: str
    account: str
    name: str
    file: str | None
    job: str
    jobs: tuple[str, ...]
    live: tuple[str, ...]
    model_jobs: tuple[str, ...]
    exports: tuple[str, ...]
    pictures: int
    photos: tuple[str, ...]
    copies: tuple[str, ...]


def of_tune(tx: Tx, account: str, tune: str) -> Belongings:
    """Raises NotFound, also where the tune is another account's or deleted."""
    row = tx.execute("SELECT * FROM tune WHERE id = ? AND account = ? AND deleted_at IS NULL", (tune, account))
    if (found := row.fetchone()) is None:
        raise NotFound("There is no such tune.", field="tune")
    drawn = _ids(tx, "SELECT id FROM job WHERE tune = ? AND account = ? ORDER BY seq", tune, account)
    jobs = [str(found["job"]), *drawn]
    copies = _follow(tx, jobs)
    live = [job for job in jobs if tx.execute("SELECT 1 FROM job WHERE id = ? AND ended_at IS NULL", (job,)).fetchone()]
    photos = _ids(tx, "SELECT id FROM upload JOIN job_input ON upload = id WHERE job = ?", found["job"])
    return Belongings(
        tune=tune,
        account=account,
        name=str(found["name"]),
        file=found["file"],
        job=str(found["job"]),
        jobs=tuple(jobs),
        live=tuple(live),
        model_jobs=tuple(job for job in live if job in drawn),
        exports=tuple(_ids(tx, "SELECT job FROM export WHERE tune = ? ORDER BY seq", tune)),
        pictures=sum(_count(tx, "SELECT count(*) FROM picture WHERE job = ?", job) for job in jobs),
        photos=tuple(one for one in photos if not needed(tx, one, but=jobs)),
        copies=tuple(one for one in copies if one not in photos and not needed(tx, one, but=jobs)),
    )


def needed(tx: Tx, upload: str, *, but: Iterable[str] = ()) -> bool:
    """Whether a job that waits or runs needs the upload; those in `but` do not count."""
    jobs = _ids(tx, "SELECT job FROM job_input JOIN job ON job.id = job WHERE upload = ? AND ended_at IS NULL", upload)
    return bool(set(jobs) - set(but))


def _follow(tx: Tx, jobs: list[str]) -> list[str]:
    """Adds to `jobs` what tools made of their pictures, and of the pictures of that; returns the uploads between."""
    copies: list[str] = []
    for job in jobs:  # which grows meanwhile
        pictures = "SELECT upload FROM upload_copy JOIN picture ON picture.id = picture WHERE picture.job = ?"
        for upload in _ids(tx, pictures, job):
            if upload not in copies:
                copies.append(upload)
                made = _ids(tx, "SELECT job FROM job_input WHERE upload = ?", upload)
                jobs += [one for one in made if one not in jobs]
    return [one for one in copies if tx.execute("SELECT 1 FROM upload WHERE id = ?", (one,)).fetchone()]


# --- what is due ------------------------------------------------------------------------------------------------------


def due(tx: Tx, *, account: str | None = None, tune: str | None = None) -> list[Row]:
    """Everything that will go, of one account (or one tune) or of all, the soonest first; with whose it is.

    What a plan keeps, or a job needs, is not in it.
    """
    found = [*_tunes(tx, account, tune), *_uploads(tx, account, tune), *_exports(tx, account, tune)]
    return sorted(found, key=lambda one: (one[0].at, one[0].what, one[0].id))


def model_of(tx: Tx, account: str, tune: str) -> Model:
    """The clocks of a tune. Raises NotFound."""
    row = tx.execute(f"{_MODELS} AND tune.id = ? AND tune.account = ?", (tune, account)).fetchone()
    if row is None:
        raise NotFound("There is no such tune.", field="tune")
    return _model(row)


_MODELS = (
    "SELECT tune.id, tune.account, tune.name, tune.file, tune.policy, tune.created_at, tune.trained_at, "
    "tune.expires_at, job.ended_at, account.keeps_tunes, account.lapse_noticed_at "
    "FROM tune JOIN job ON job.id = tune.job JOIN account ON account.id = tune.account WHERE tune.deleted_at IS NULL"
)


def _tunes(tx: Tx, account: str | None, tune: str | None) -> Iterator[Row]:
    rows = tx.execute(
        f"{_MODELS} AND (?1 IS NULL OR tune.account = ?1) AND (?2 IS NULL OR tune.id = ?2)", (account, tune)
    )
    for row in rows.fetchall():
        model = _model(row)
        clocks: dict[What, tuple[int, Why] | None] = {
            "model": retention.model_due(model),
            "avatars": retention.avatars_due(model),
        }
        for what, found in clocks.items():
            if found is not None:
                yield Due(what=what, id=row["id"], name=row["name"], at=found[0], why=found[1]), str(row["account"])


def _model(row: sqlite3.Row) -> Model:
    return Model(
        has_model=row["file"] is not None,
        policy=row["policy"],
        created_at=row["created_at"],
        trained_at=row["trained_at"],
        ended_at=row["ended_at"],
        expires_at=row["expires_at"],
        kept=bool(row["keeps_tunes"]),
        lapse_noticed_at=row["lapse_noticed_at"],
    )


def _uploads(tx: Tx, account: str | None, tune: str | None) -> Iterable[Row]:
    """Photos by the newest tune that they were handed in for, other uploads one by one."""
    rows = tx.execute(
        """
        SELECT upload.id, upload.account, upload.name, upload.created_at, job.id AS job, job.ended_at, job.kind,
            job.state, tune.id AS tune, tune.name AS tune_name
        FROM upload LEFT JOIN job_input ON job_input.upload = upload.id LEFT JOIN job ON job.id = job_input.job
            LEFT JOIN tune ON tune.job = job.id AND tune.deleted_at IS NULL
        WHERE ?1 IS NULL OR upload.account = ?1 ORDER BY upload.id, job.seq
        """,
        (account,),
    ).fetchall()
    groups: dict[tuple[str, str], Row] = {}
    start = 0
    while start < len(rows):
        end = start + 1
        while end < len(rows) and rows[end]["id"] == rows[start]["id"]:
            end += 1
        uses, row = [one for one in rows[start:end] if one["job"] is not None], rows[start]
        start = end
        found = retention.upload_due(row["created_at"], [_use(one) for one in uses])
        if found is None:
            continue
        at, why = found
        owner = next((one for one in reversed(uses) if one["tune"] is not None), None)
        if tune is not None and (owner is None or owner["tune"] != tune):
            continue
        if owner is None:
            one = Due(what="upload", id=row["id"], name=row["name"], at=at, why=why)
        else:
            reason: Why = why if why == "trained" else "untrained"
            one = Due(what="photos", id=owner["tune"], name=owner["tune_name"], at=at, why=reason)
        # Photos are handed in within seconds of each other: one line, from when the first of them goes.
        known = groups.get((one.id, one.why))
        if known is None or at < known[0].at:
            groups[(one.id, one.why)] = one, str(row["account"])
    return groups.values()


def photos_due(tx: Tx, tune: str, *, by: int) -> list[str]:
    """The photos of a tune that are due by that moment."""
    rows = tx.execute(
        "SELECT upload.id, upload.created_at FROM upload JOIN job_input ON upload = upload.id "
        "JOIN tune ON tune.job = job_input.job WHERE tune.id = ?",
        (tune,),
    ).fetchall()
    return [row["id"] for row in rows if _is_due(tx, row["id"], row["created_at"], by)]


def tune_is_due(tx: Tx, account: str, one: Due, *, by: int) -> bool:
    """Whether a tune's model, or all of it, still is due by that moment."""
    try:
        model = model_of(tx, account, one.id)
    except NotFound:
        return False
    found = retention.model_due(model) if one.what == "model" else retention.avatars_due(model)
    return found is not None and found[0] <= by


def upload_is_due(tx: Tx, upload: str, *, by: int) -> bool:
    row = tx.execute("SELECT created_at FROM upload WHERE id = ?", (upload,)).fetchone()
    return row is not None and _is_due(tx, upload, row["created_at"], by)


def _is_due(tx: Tx, upload: str, uploaded_at: int, by: int) -> bool:
    rows = tx.execute("SELECT job.* FROM job_input JOIN job ON job.id = job WHERE upload = ?", (upload,)).fetchall()
    found = retention.upload_due(uploaded_at, [_use(row) for row in rows])
    return found is not None and found[0] <= by


def _use(row: sqlite3.Row) -> Use:
    trained = row["kind"] == "tune" and row["state"] == "done"
    return Use(active=row["ended_at"] is None, trained_at=row["ended_at"] if trained else None)


def _exports(tx: Tx, account: str | None, tune: str | None) -> Iterator[Row]:
    rows = tx.execute(
        """
        SELECT export.*, coalesce(tune.name, '') AS tune_name FROM export
        LEFT JOIN tune ON tune.id = export.tune AND tune.deleted_at IS NULL
        WHERE (?1 IS NULL OR export.account = ?1) AND (?2 IS NULL OR export.tune = ?2)
        """,
        (account, tune),
    )
    for row in rows.fetchall():
        name = file_name(row["tune_name"], row["format"])
        yield Due(what="export", id=row["job"], name=name, at=row["expires_at"], why="made"), str(row["account"])


def _ids(tx: Tx, sql: str, *values: object) -> list[str]:
    return [str(row[0]) for row in tx.execute(sql, values)]


def _count(tx: Tx, sql: str, *values: object) -> int:
    return int(tx.execute(sql, values).fetchone()[0])
