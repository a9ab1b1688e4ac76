"""The book itself: entries in one hash chain that is only ever added to, and the balances that follow from them."""

import hashlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from studio.domain import CREDIT_KINDS, CreditKind, NotFound
from studio.rules import canonical
from studio.storage.database import NEWEST, Tx

Phase = Literal["grant", "hold", "capture", "release", "expire", "refund", "correct"]
ROOT = "0" * 64  # what the first entry's hash follows


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Credits of one kind: `held` of the `posted` ones are promised to jobs."""

    posted: int
    held: int

    @property
    def available(self) -> int:
        return self.posted - self.held


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the book."""

    seq: int
    account: str
    kind: CreditKind
    phase: Phase
    posted_change: int
    held_change: int
    grant: int | None
    hold: int | None
    job: str | None
    key: str | None
    reason: str
    at: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account with its plan as it was noted last, and its balances."""

    id: str
    plan: str | None
    created_at: int
    balances: Mapping[CreditKind, Balance]


def accounts(tx: Tx) -> list[Account]:
    """Every account, the newest first."""
    return [
        Account(id=row["id"], plan=row["plan"], created_at=row["created_at"], balances=balances(tx, row["id"]))
        for row in tx.execute("SELECT id, plan, created_at FROM account ORDER BY created_at DESC, id").fetchall()
    ]


def balances(tx: Tx, account: str) -> dict[CreditKind, Balance]:
    """The balance of each kind. Raises NotFound."""
    rows = tx.execute("SELECT kind, posted, held FROM balance WHERE account = ?", (account,)).fetchall()
    if not rows:
        raise NotFound("There is no such account.", field="account")
    found = {row["kind"]: Balance(posted=row["posted"], held=row["held"]) for row in rows}
    return {kind: found[kind] for kind in CREDIT_KINDS}


def history(
    tx: Tx,
    account: str,
    *,
    limit: int = 100,
    before: int | None = None,
    kind: CreditKind | None = None,
    phase: Phase | None = None,
) -> list[Entry]:
    """A page of the account's entries, newest first, of one kind or phase alone where it is given.

    The next page is what comes `before` the last one's seq.
    """
    rows = tx.execute(
        """
        SELECT * FROM entry
        WHERE account = :account AND seq < :before
            AND (:kind IS NULL OR kind = :kind) AND (:phase IS NULL OR phase = :phase)
        ORDER BY seq DESC LIMIT :limit
        """,
        {
            "account": account,
            "before": NEWEST if before is None else before,
            "kind": kind,
            "phase": phase,
            "limit": limit,
        },
    )
    return [entry(row) for row in rows]


def spent(tx: Tx, account: str, *, since: int) -> dict[CreditKind, dict[str, int]]:
    """Credits captured since a moment, by kind and day (`2026-09-01`, UTC); days without any are left out."""
    found: dict[CreditKind, dict[str, int]] = {kind: {} for kind in CREDIT_KINDS}
    for row in tx.execute(
        """
        SELECT kind, date(at, 'unixepoch') AS day, -sum(posted_change) AS credits FROM entry
        WHERE account = ? AND phase = 'capture' AND at >= ? GROUP BY kind, day ORDER BY day
        """,
        (account, since),
    ):
        found[row["kind"]][row["day"]] = row["credits"]
    return found


def append(
    tx: Tx,
    account: str,
    kind: CreditKind,
    phase: Phase,
    *,
    posted: int = 0,
    held: int = 0,
    grant: int | None = None,
    hold: int | None = None,
    job: str | None = None,
    key: str | None = None,
    reason: str,
    at: int,
) -> None:
    """Adds an entry to the chain and its changes to the balance."""
    last = tx.execute("SELECT seq, hash FROM entry WHERE seq = (SELECT max(seq) FROM entry)").fetchone()
    seq, prev = (last["seq"] + 1, last["hash"]) if last else (1, ROOT)
    made = Entry(
        seq=seq, account=account, kind=kind, phase=phase, posted_change=posted, held_change=held,
        grant=grant, hold=hold, job=job, key=key, reason=reason, at=at,
    )  # fmt: skip
    tx.execute(
        """
        INSERT INTO entry
            (seq, account, kind, phase, posted_change, held_change, grant, hold, job, key, reason, at, prev, hash)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (seq, account, kind, phase, posted, held, grant, hold, job, key, reason, at, prev, entry_hash(prev, made)),
    )
    tx.execute(
        "UPDATE balance SET posted = posted + ?, held = held + ? WHERE account = ? AND kind = ?",
        (posted, held, account, kind),
    )


def entry_hash(prev: str, row: Entry) -> str:
    """SHA-256 over the entry before and everything this one says."""
    body = canonical(
        [row.seq, row.account, row.kind, row.phase, row.posted_change, row.held_change,
         row.grant, row.hold, row.job, row.key, row.reason, row.at]
    )  # fmt: skip
    return hashlib.sha256(f"{prev}{body}".encode()).hexdigest()


def entry(row: sqlite3.Row) -> Entry:
    """The row of the entry table as a value."""
    return Entry(
        seq=row["seq"],
        account=row["account"],
        kind=row["kind"],
        phase=row["phase"],
        posted_change=row["posted_change"],
        held_change=row["held_change"],
        grant=row["grant"],
        hold=row["hold"],
        job=row["job"],
        key=row["key"],
        reason=row["reason"],
        at=row["at"],
    )
