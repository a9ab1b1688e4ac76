"""The job rows. Each change names the state it expects, and what a worker writes names the worker and the attempt."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from studio.domain import (
    Charge,
    CreditKind,
    ForgottenRequest,
    Job,
    JobState,
    NotFound,
    Progress,
    Request,
    StudioError,
    request_from_json,
)
from studio.rules import canonical
from studio.storage.database import NEWEST, Tx

_CLAIMED = "id = :id AND state = 'running' AND worker = :worker AND attempt = :attempt"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to a job. Lost as soon as the row says another worker or attempt: then nothing is written."""

    job: Job
    worker: str

    @property
    def values(self) -> dict[str, object]:
        return {"id": self.job.id, "worker": self.worker, "attempt": self.job.attempt}


class ClaimLost(Exception):
    """Somebody else has the job, or has ended it: whoever still works on it must stop and write nothing."""


def insert(
    tx: Tx, *, job_id: str, account: str, request: Request, asked: str, charges: Iterable[Charge], now: int
) -> None:
    """A queued job. Raises NotFound where there is no such account."""
    if tx.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone() is None:
        raise NotFound("There is no such account.", field="account")
    tx.execute(
        """
        INSERT INTO job (id, account, kind, request, asked, charges, pictures, state, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', ?)
        """,
        (
            job_id,
            account,
            request.kind,
            canonical(request.to_json()),
            asked,
            canonical([asdict(charge) for charge in charges]),
            request.pictures,
            now,
        ),
    )
    tx.executemany(
        "INSERT OR IGNORE INTO job_input (job, upload) VALUES (?, ?)",
        [(job_id, upload) for upload in request.inputs().values()],
    )


def find(tx: Tx, job_id: str) -> Job | None:
    """The job, whoever's it is."""
    row = tx.execute("SELECT * FROM job WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else _job(row)


def get(tx: Tx, account: str, job_id: str) -> Job:
    """The job. Raises NotFound, also where it is another account's."""
    job = find(tx, job_id)
    if job is None or job.account != account:
        raise NotFound("There is no such job.", field="id")
    return job


def asked(tx: Tx, job_id: str) -> str:
    """The fingerprint of the request as it was sent."""
    return str(tx.execute("SELECT asked FROM job WHERE id = ?", (job_id,)).fetchone()["asked"])


def newest(tx: Tx, account: str, *, limit: int = 50, before: str | None = None) -> list[Job]:
    """A page of an account's jobs, newest first, without forgotten ones; the next page is what comes `before` the last
    one's id.

    Raises NotFound where `before` is no job of the account.
    """
    start = NEWEST if before is None else _seq(tx, account, before)
    rows = tx.execute(
        "SELECT * FROM job WHERE account = ? AND seq < ? AND forgotten_at IS NULL ORDER BY seq DESC LIMIT ?",
        (account, start, limit),
    )
    return [_job(row) for row in rows]


def active(tx: Tx, account: str) -> list[Job]:
    """An account's jobs that wait, run or are paused, in the order of the queue."""
    rows = tx.execute(
        "SELECT * FROM job WHERE account = ? AND state IN ('queued', 'running') AND forgotten_at IS NULL ORDER BY seq",
        (account,),
    )
    return [_job(row) for row in rows]


def waiting(tx: Tx) -> int:
    """How many jobs wait for their turn, of all accounts; a paused one waits for somebody to resume it."""
    return int(tx.execute("SELECT count(*) FROM job WHERE state = 'queued' AND paused = 0").fetchone()[0])


def running(tx: Tx) -> list[Job]:
    """The jobs that are marked as running, of all accounts."""
    return [_job(row) for row in tx.execute("SELECT * FROM job WHERE state = 'running' ORDER BY seq")]


def claim(tx: Tx, worker: str, *, now: int) -> Claim | None:
    """The oldest waiting job, now this worker's; None if none waits. The attempt counts before any work is done."""
    row = tx.execute(
        """
        UPDATE job SET
            state = 'running', worker = :worker, attempt = attempt + 1, started_at = coalesce(started_at, :now),
            step = 0, steps = 0, message = '', seconds_left = NULL, preview = NULL, advanced = 0
        WHERE id = (SELECT id FROM job WHERE state = 'queued' AND paused = 0 ORDER BY seq LIMIT 1)
            AND state = 'queued' AND paused = 0
        RETURNING *
        """,
        {"worker": worker, "now": now},
    ).fetchone()
    return None if row is None else Claim(job=_job(row), worker=worker)


def check(tx: Tx, claim: Claim) -> None:
    """Raises ClaimLost. In a write transaction the answer holds until its end."""
    if tx.execute(f"SELECT 1 FROM job WHERE {_CLAIMED}", claim.values).fetchone() is None:
        raise ClaimLost(claim.job.id)


def asked_to_stop(tx: Tx, claim: Claim) -> Literal["cancel", "pause"] | None:
    """What somebody wants of the running job, if something. Raises ClaimLost."""
    row = tx.execute(f"SELECT cancel_requested, paused FROM job WHERE {_CLAIMED}", claim.values).fetchone()
    if row is None:
        raise ClaimLost(claim.job.id)
    return "cancel" if row["cancel_requested"] else "pause" if row["paused"] else None


def progress(tx: Tx, claim: Claim, progress: Progress, *, seconds_left: int | None) -> None:
    """Writes how far the job is; its preview must lie in its scratch folder. Raises ClaimLost."""
    _change(
        tx,
        f"""
        UPDATE job SET step = :step, steps = :steps, message = :message, seconds_left = :seconds_left,
            preview = coalesce(:preview, preview), advanced = max(advanced, :kept),
            warnings = CASE
                WHEN :warning IS NULL OR EXISTS (SELECT 1 FROM json_each(warnings) WHERE value = :warning)
                THEN warnings ELSE json_insert(warnings, '$[#]', :warning) END
        WHERE {_CLAIMED}
        """,
        claim,
        step=progress.step,
        steps=progress.steps,
        message=progress.message,
        seconds_left=seconds_left,
        preview=progress.preview.name if progress.preview else None,
        warning=progress.warning,
        kept=int(progress.kept),
    )


def count_delivered(tx: Tx, claim: Claim, *, spared: int = 0) -> None:
    """One picture more, for so many playground credits less than its price. Raises ClaimLost."""
    sql = f"UPDATE job SET delivered = delivered + 1, spared = spared + :spared, advanced = 1 WHERE {_CLAIMED}"
    _change(tx, sql, claim, spared=spared)


def request_cancel(tx: Tx, job: Job) -> None:
    """Asks the worker of a running job to stop."""
    tx.execute("UPDATE job SET cancel_requested = 1 WHERE id = ? AND state = 'running'", (job.id,))


def pause(tx: Tx, job: Job, *, paused: bool) -> None:
    """Has a job that has not ended wait until it is resumed, or resumes it; a running one is left to its worker."""
    tx.execute("UPDATE job SET paused = ? WHERE id = ? AND state IN ('queued', 'running')", (int(paused), job.id))


def requeue(tx: Tx, job: Job, *, seconds: float = 0.0, counts: bool) -> bool:
    """Puts a running job back into the queue, at its old place; whether it did.

    `counts`: it was cut off, and that was an attempt. One that is to pause is not claimed again until it is resumed.
    """
    changed = tx.execute(
        """
        UPDATE job SET state = 'queued', worker = NULL, attempt = attempt - :back, seconds = seconds + :seconds,
            message = '', seconds_left = NULL, preview = NULL,
            fruitless = CASE WHEN advanced THEN 0 ELSE fruitless + 1 - :back END
        WHERE id = :id AND state = 'running' AND attempt = :attempt
        """,
        {"id": job.id, "attempt": job.attempt, "back": 0 if counts else 1, "seconds": seconds},
    )
    return changed.rowcount == 1


def end(
    tx: Tx,
    job: Job,
    state: JobState,
    *,
    expected: JobState,
    now: int,
    seconds: float = 0.0,
    error: StudioError | None = None,
) -> bool:
    """Ends a job that is in the expected state and attempt; whether it did."""
    changed = tx.execute(
        """
        UPDATE job SET state = :state, worker = NULL, ended_at = :now, seconds = seconds + :seconds,
            step = CASE WHEN :state = 'done' THEN steps ELSE step END,
            message = '', seconds_left = NULL, preview = NULL,
            error = :error, error_field = :field, error_allowed = :allowed
        WHERE id = :id AND state = :expected AND attempt = :attempt
        """,
        {
            "id": job.id,
            "state": state,
            "expected": expected,
            "attempt": job.attempt,
            "now": now,
            "seconds": seconds,
            "error": error.message if error else None,
            "field": error.field if error else None,
            "allowed": error.allowed if error else None,
        },
    )
    return changed.rowcount == 1


def held(tx: Tx, jobs: Iterable[str]) -> dict[CreditKind, int]:
    """What these jobs hold and would give back if they ended now, by kind."""
    found: dict[CreditKind, int] = {}
    for job in jobs:
        for row in tx.execute(
            "SELECT hold.kind, amount - each * delivered AS back FROM hold JOIN job ON job.id = hold.job "
            "WHERE job.id = ? AND resolved_at IS NULL",
            (job,),
        ):
            found[row["kind"]] = found.get(row["kind"], 0) + int(row["back"])
    return found


def bookings(tx: Tx, jobs: Iterable[str]) -> int:
    """How many lines of the account book are of these jobs."""
    return sum(int(tx.execute("SELECT count(*) FROM entry WHERE job = ?", (job,)).fetchone()[0]) for job in jobs)


def _seq(tx: Tx, account: str, job_id: str) -> int:
    row = tx.execute("SELECT seq FROM job WHERE id = ? AND account = ?", (job_id, account)).fetchone()
    if row is None:
        raise NotFound("There is no such job.", field="before")
    return int(row["seq"])


def _change(tx: Tx, sql: str, claim: Claim, **values: object) -> None:
    if tx.execute(sql, {**claim.values, **values}).rowcount != 1:
        raise ClaimLost(claim.job.id)


def _request(row: sqlite3.Row) -> Request | ForgottenRequest:
    if row["forgotten_at"] is not None and not row["asked"]:
        return ForgottenRequest(kind=row["kind"], pictures=row["pictures"])
    return request_from_json(row["kind"], json.loads(row["request"]))


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        account=row["account"],
        state="paused" if row["state"] == "queued" and row["paused"] else row["state"],
        request=_request(row),
        charges=tuple(Charge(**charge) for charge in json.loads(row["charges"])),
        attempt=row["attempt"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        seconds=row["seconds"],
        step=row["step"],
        steps=row["steps"],
        message=row["message"],
        seconds_left=row["seconds_left"],
        preview=row["preview"],
        warnings=tuple(json.loads(row["warnings"])),
        delivered=row["delivered"],
        spared=row["spared"],
        cancel_requested=bool(row["cancel_requested"]),
        pausing=bool(row["paused"]),
        advanced=bool(row["advanced"]),
        fruitless=row["fruitless"],
        error=row["error"],
        error_field=row["error_field"],
        error_allowed=row["error_allowed"],
    )
