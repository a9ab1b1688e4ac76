"""The book itself: entries in one hash chain that is only ever added to, and the balances that follow from them."""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from studio.domain import CREDIT_KINDS, CreditKind, NotFound
from studio.rules import canonical
from studio.storage.database import NEWEST, Tx

Phase = Literal["grant", "hold", "capture", "release", "expire", "refund", "correct"]
PHASES: tuple[Phase, ...] = get_args(Phase)
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


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some of an account's entries, newest first: `total` of them there are, `first` of them are newer."""

    entries: Sequence[Entry]
    first: int
    total: int

    @property
    def is_last(self) -> bool:
        return self.first + len(self.entries) >= self.total


def accounts(tx: Tx, *, limit: int) -> list[Account]:
    """The newest accounts."""
    return [
        Account(id=row["id"], plan=row["plan"], created_at=row["created_at"], balances=balances(tx, row["id"]))
        for row in tx.execute(
            "SELECT id, plan, created_at FROM account ORDER BY created_at DESC, id LIMIT ?", (limit,)
        ).fetchall()
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
    where, values = _where(account, kind, phase)
    rows = tx.execute(
        f"SELECT * FROM entry WHERE {where} AND seq < :before ORDER BY seq DESC LIMIT :limit",
        {**values, "before": NEWEST if before is None else before, "limit": limit},
    )
    return [entry(row) for row in rows]


def page(
    tx: Tx,
    account: str,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    kind: CreditKind | None = None,
    phase: Phase | None = None,
) -> Page:
    """The newest entries, those next older than `before`, or those next newer than `after` (0: the oldest of all).

    It is full wherever there are enough.
    """
    where, values = _where(account, kind, phase)
    if after is None:
        found = history(tx, account, limit=limit, before=before, kind=kind, phase=phase)
    else:
        rows = tx.execute(
            f"SELECT * FROM entry WHERE {where} AND seq > :after ORDER BY seq LIMIT :limit",
            {**values, "after": after, "limit": limit},
        )
        found = [entry(row) for row in rows][::-1]
        if after and len(found) < limit:  # the first page, which has grown since
            found = history(tx, account, limit=limit, kind=kind, phase=phase)
    newest = found[0].seq if found else NEWEST
    total, first = tx.execute(
        f"SELECT count(*), coalesce(sum(seq > :newest), 0) FROM entry WHERE {where}", {**values, "newest": newest}
    ).fetchone()
    return Page(entries=found, first=first, total=total)


def _where(account: str, kind: CreditKind | None, phase: Phase | None) -> tuple[str, dict[str, object]]:
    terms, values = ["account = :account"], dict[str, object](account=account)
    for column, value in (("kind", kind), ("phase", phase)):
        if value is not None:
            terms.append(f"{column} = :{column}")
            values[column] = value
    return " AND ".join(terms), values


def spent(tx: Tx, account: str, *, since: int, days: int) -> dict[CreditKind, tuple[int, ...]]:
    """Credits captured on each of so many days since a midnight (UTC), by kind."""
    found: dict[CreditKind, list[int]] = {kind: [0] * days for kind in CREDIT_KINDS}
    for row in tx.execute(
        """
        SELECT kind, (at - ?2) / 86400 AS day, -sum(posted_change) AS credits FROM entry
        WHERE account = ?1 AND phase = 'capture' AND at >= ?2 AND at < ?2 + 86400 * ?3 GROUP BY kind, day
        """,
        (account, since, days),
    ):
        found[row["kind"]][row["day"]] = row["credits"]
    return {kind: tuple(each) for kind, each in found.items()}


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
