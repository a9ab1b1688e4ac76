"""The account book: credits granted, held for jobs, then captured for what was delivered and released for the rest.

Two-phase transfers after TigerBeetle (docs.tigerbeetle.com, "Two-phase transfers"), grants after Stripe's credit
grants. Whole numbers only. Every change is an entry in one hash chain that is only ever added to; balances and grants
are changed with their entry and nowhere else. All functions take the write transaction of their caller.
"""

import sqlite3

from studio.credits.book import Phase, append
from studio.credits.plans import HOUSE
from studio.domain import CREDIT_KINDS, Charge, Conflict, CreditKind, NotEnoughCredits, NotFound, Refused
from studio.rules import text, whole
from studio.storage.database import Tx

MOST_CREDITS = 1_000_000_000  # in one grant
PLAN_FIRST, PACK_LATER = 10, 50  # priorities of grants that expire at the same time


def open_account(tx: Tx, account: str, *, plan: str | None = None, now: int) -> None:
    """Makes the account with empty balances; one that is there stays as it is."""
    made = tx.execute(
        "INSERT INTO account (id, plan, keeps_tunes, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (account, plan, plan == HOUSE, now),
    )
    if made.rowcount:
        for kind in CREDIT_KINDS:
            tx.execute("INSERT INTO balance (account, kind) VALUES (?, ?)", (account, kind))


def grant(
    tx: Tx,
    account: str,
    kind: CreditKind,
    amount: int,
    *,
    key: str,
    source: str,
    reason: str,
    now: int,
    expires_at: int | None = None,
    priority: int = PACK_LATER,
) -> int:
    """Gives credits and returns the grant's id. The same key again is the same grant; with another body: Conflict."""
    _check(tx, account, kind, amount, least=1)
    text("reason", reason, most=500)
    body = (account, kind, amount, source, expires_at, priority)
    known = tx.execute("SELECT * FROM grant WHERE key = ?", (key,)).fetchone()
    if known is not None:
        if tuple(known[field] for field in ("account", "kind", "amount", "source", "expires_at", "priority")) != body:
            raise Conflict(f"There is already another grant with the key {key}.", field="key")
        return int(known["id"])
    made = _insert_grant(tx, account, kind, amount, key, source, priority, now, expires_at)
    append(tx, account, kind, "grant", posted=amount, grant=made, reason=reason, at=now)
    return made


def hold(tx: Tx, account: str, charge: Charge, *, job: str, now: int) -> None:
    """Promises a job its credits, from the grants that expire soonest, then the oldest.

    On the house plan, what is missing is granted with it. Raises NotEnoughCredits.
    """
    if charge.amount == 0:
        return
    kind = charge.kind
    _check(tx, account, kind, charge.amount, least=1)

    # 1. What has expired pays for nothing any more.
    expire(tx, account=account, now=now)

    # 2. Take from the grants in burn order.
    parts: list[tuple[int, int]] = []
    missing = charge.amount
    for row in _free_grants(tx, account, kind):
        if missing:
            taken = min(missing, int(row["free"]))
            parts.append((row["id"], taken))
            missing -= taken

    # 3. The house makes up for the rest. Its grant is expired from the start, so that it lives only while it is held.
    if missing:
        if tx.execute("SELECT plan FROM account WHERE id = ?", (account,)).fetchone()["plan"] != HOUSE:
            raise NotEnoughCredits(kind, charge.amount, charge.amount - missing)
        key, reason = f"house:{job}:{kind}", "granted by the house plan"
        made = _insert_grant(tx, account, kind, missing, key, HOUSE, PLAN_FIRST, now, now)
        append(tx, account, kind, "grant", posted=missing, grant=made, job=job, reason=reason, at=now)
        parts.append((made, missing))

    # 4. Write it down.
    made = tx.execute(
        "INSERT INTO hold (account, kind, job, each, amount, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (account, kind, job, charge.each, charge.amount, now),
    ).lastrowid
    for grant_id, amount in parts:
        tx.execute(
            "INSERT INTO hold_part (account, kind, hold, grant, amount) VALUES (?, ?, ?, ?, ?)",
            (account, kind, made, grant_id, amount),
        )
        tx.execute("UPDATE grant SET allocated = allocated + ? WHERE id = ?", (amount, grant_id))
    append(tx, account, kind, "hold", held=charge.amount, hold=made, job=job, reason="held for a job", at=now)


def settle(tx: Tx, job: str, *, delivered: int, spared: int = 0, now: int) -> None:
    """Ends a job's holds: captures each one's price of what was delivered, of playground credits so many less, and
    releases the rest. Only once."""
    for held in tx.execute("SELECT * FROM hold WHERE job = ? AND resolved_at IS NULL", (job,)).fetchall():
        account, kind, hold_id = held["account"], held["kind"], held["id"]
        price = int(held["each"]) * delivered - (spared if kind == "playground" else 0)
        captured = min(price, int(held["amount"]))
        released = int(held["amount"]) - captured

        # 1. Capture from the parts in the order they were allocated; the rest of each part is free again.
        left = captured
        expired: list[tuple[int, int]] = []
        for part in tx.execute(
            "SELECT p.grant, p.amount, coalesce(g.expires_at <= ?, 0) OR g.withdrawn_at IS NOT NULL AS gone "
            "FROM hold_part p JOIN grant g ON g.id = p.grant WHERE p.hold = ? ORDER BY p.id",
            (now, hold_id),
        ).fetchall():
            taken = min(left, int(part["amount"]))
            left -= taken
            tx.execute(
                "UPDATE grant SET remaining = remaining - ?, allocated = allocated - ? WHERE id = ?",
                (taken, part["amount"], part["grant"]),
            )
            if taken:
                append(
                    tx, account, kind, "capture", posted=-taken, held=-taken,
                    grant=part["grant"], hold=hold_id, job=job, reason="for what was delivered", at=now,
                )  # fmt: skip
            if taken < part["amount"] and part["gone"]:
                expired.append((part["grant"], int(part["amount"]) - taken))

        # 2. Release the rest.
        if released:
            reason = "not delivered"
            append(tx, account, kind, "release", held=-released, hold=hold_id, job=job, reason=reason, at=now)
        tx.execute(
            "UPDATE hold SET captured = ?, released = ?, resolved_at = ? WHERE id = ? AND resolved_at IS NULL",
            (captured, released, now, hold_id),
        )

        # 3. What came back to a grant that has expired or was withdrawn meanwhile expires with it.
        for grant_id, amount in expired:
            _expire(tx, account, kind, grant_id, amount, now)


def expire(tx: Tx, *, now: int, account: str | None = None) -> int:
    """Takes what is left of grants whose time is over, but for what jobs hold of it. Returns how many credits."""
    due = tx.execute(
        """
        SELECT id, account, kind, remaining - allocated AS free FROM grant
        WHERE remaining > 0 AND remaining > allocated AND expires_at <= :now
            AND (:account IS NULL OR account = :account)
        """,
        {"now": now, "account": account},
    ).fetchall()
    for row in due:
        _expire(tx, row["account"], row["kind"], row["id"], row["free"], now)
    return sum(int(row["free"]) for row in due)


def refund(tx: Tx, grant_id: int, *, reason: str, now: int) -> int:
    """Takes back what is left of a grant, but for what is spent or held. Once only. Returns how many credits.

    What jobs hold of it pays for what they deliver; what they release is not free again, but expires.
    """
    row = tx.execute("SELECT remaining, withdrawn_at FROM grant WHERE id = ?", (grant_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such grant.", field="grant")
    if row["withdrawn_at"] is not None:
        raise Conflict("This grant was already given back.", field="grant")
    if row["remaining"] == 0:
        raise Conflict("Nothing is left of this grant to give back.", field="grant")
    return _withdraw(tx, grant_id, "refund", text("reason", reason, most=500), now)


def supersede(tx: Tx, grant_id: int, *, now: int) -> int:
    """Has a grant expire before its time, because another takes its place. Returns how many credits expire now."""
    return _withdraw(tx, grant_id, "expire", "another took its place", now)


def correct(tx: Tx, account: str, kind: CreditKind, amount: int, *, key: str, reason: str, now: int) -> None:
    """Puts a mistake right by a new entry: credits given (amount > 0), or taken from what is free (amount < 0).

    The same key again changes nothing. Raises Refused where there are not so many to take.
    """
    # 1. Is it new?
    _check(tx, account, kind, amount, least=-MOST_CREDITS)
    text("reason", reason, most=500)
    if amount == 0:
        raise Refused("amount must not be 0.", field="amount", allowed="a whole number but 0")
    known = tx.execute(
        "SELECT account, kind, sum(posted_change) AS amount FROM entry WHERE key = ? GROUP BY account, kind", (key,)
    ).fetchone()
    if known is not None:
        if tuple(known) != (account, kind, amount):
            raise Conflict(f"There is already another correction with the key {key}.", field="key")
        return

    # 2. Credits given are a grant of their own.
    if amount > 0:
        made = _insert_grant(tx, account, kind, amount, f"correct:{key}", "correction", PACK_LATER, now, None)
        append(tx, account, kind, "correct", posted=amount, grant=made, key=key, reason=reason, at=now)
        return

    # 3. Credits taken come from what is free, in burn order.
    expire(tx, account=account, now=now)
    grants = _free_grants(tx, account, kind)
    free = sum(int(row["free"]) for row in grants)
    if free < -amount:
        raise Refused(f"Only {free} can be taken, not {-amount}.", field="amount", allowed=f"-{free} or more")
    missing = -amount
    for row in grants:
        taken = min(missing, int(row["free"]))
        missing -= taken
        if taken:
            _take(tx, account, kind, "correct", row["id"], taken, reason, now, key=key)


def _check(tx: Tx, account: str, kind: str, amount: int, *, least: int) -> None:
    whole("amount", amount, least, MOST_CREDITS)
    if kind not in CREDIT_KINDS:
        raise Refused(f"There is no kind of credit {kind}.", field="kind", allowed=", ".join(CREDIT_KINDS))
    if tx.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone() is None:
        raise NotFound("There is no such account.", field="account")


def _free_grants(tx: Tx, account: str, kind: str) -> list[sqlite3.Row]:
    """Grants with something free, in burn order. Call `expire` first."""
    return tx.execute(
        """
        SELECT id, remaining - allocated AS free FROM grant
        WHERE account = ? AND kind = ? AND remaining > 0 AND remaining > allocated
        ORDER BY expires_at IS NULL, expires_at, priority, id
        """,
        (account, kind),
    ).fetchall()


def _insert_grant(
    tx: Tx, account: str, kind: str, amount: int, key: str, source: str, priority: int, now: int, expires_at: int | None
) -> int:
    made = tx.execute(
        """
        INSERT INTO grant (account, kind, amount, remaining, source, priority, key, created_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (account, kind, amount, amount, source, priority, key, now, expires_at),
    ).lastrowid
    assert made is not None
    return made


def _withdraw(tx: Tx, grant_id: int, phase: Phase, reason: str, now: int) -> int:
    row = tx.execute(
        "UPDATE grant SET withdrawn_at = ? WHERE id = ? AND withdrawn_at IS NULL "
        "RETURNING account, kind, remaining - allocated AS free",
        (now, grant_id),
    ).fetchone()
    free = int(row["free"])
    if free:
        _take(tx, row["account"], row["kind"], phase, grant_id, free, reason, now)
    return free


def _expire(tx: Tx, account: str, kind: CreditKind, grant_id: int, amount: int, now: int) -> None:
    _take(tx, account, kind, "expire", grant_id, amount, "its time was over", now)


def _take(
    tx: Tx,
    account: str,
    kind: CreditKind,
    phase: Phase,
    grant_id: int,
    amount: int,
    reason: str,
    now: int,
    key: str | None = None,
) -> None:
    tx.execute("UPDATE grant SET remaining = remaining - ? WHERE id = ?", (amount, grant_id))
    append(tx, account, kind, phase, posted=-amount, grant=grant_id, key=key, reason=reason, at=now)
