"""How an account stands: its plan as noted, its subscriptions and refills, and what it used of them this month."""

import json
import sqlite3

from studio.credits import plans
from studio.credits.plans import Standing, Subscription
from studio.domain import NotFound
from studio.storage.database import Tx


def standing_of(tx: Tx, account: str, *, now: int) -> Standing:
    """What is known of an account's plan. Raises NotFound."""
    row = tx.execute("SELECT plan, keeps_tunes FROM account WHERE id = ?", (account,)).fetchone()
    if row is None:
        raise NotFound("There is no such account.", field="account")
    newest = tx.execute(
        "SELECT expires_at FROM grant WHERE account = ? AND source = 'plan' ORDER BY id DESC LIMIT 1", (account,)
    ).fetchone()
    refilled = tx.execute("SELECT 1 FROM grant WHERE key = ?", (refill_key(account, now),)).fetchone()
    found = tx.execute("SELECT * FROM subscription WHERE account = ? ORDER BY id", (account,)).fetchall()
    return Standing(
        account=account,
        plan=row["plan"],
        keeps_tunes=bool(row["keeps_tunes"]),
        subscriptions=tuple(_subscription(one) for one in found),
        newest_refill=newest["expires_at"] if newest else None,
        refilled=refilled is not None,
    )


def lapse_noticed_at(tx: Tx, account: str) -> int | None:
    """When it was noticed that the account's plan keeps tunes no more; None while it keeps them, or never did."""
    row = tx.execute("SELECT lapse_noticed_at FROM account WHERE id = ?", (account,)).fetchone()
    if row is None:
        raise NotFound("There is no such account.", field="account")
    return row["lapse_noticed_at"]


def notice_no_later(tx: Tx, now: int) -> None:
    """Lapses that a wrong clock noticed in times to come count as noticed now: else tunes were kept until then."""
    tx.execute("UPDATE account SET lapse_noticed_at = ?1 WHERE lapse_noticed_at > ?1", (now,))


def this_month(tx: Tx, standing: Standing, *, now: int) -> tuple[int, int]:
    """What was used, and what is left (held or free), of the credits that plans gave for this month.

    Of a plan that has not begun, which is there where the clock went back, only what jobs hold is left.
    """
    waiting = [one.purchase for one in plans.upcoming(standing.subscriptions, now)]
    row = tx.execute(
        """
        SELECT coalesce(sum(CASE WHEN g.id IN (SELECT p.grant FROM purchase_grant p, json_each(?3) w
                                               WHERE p.purchase = w.value)
                            THEN allocated ELSE remaining END), 0) AS left_over,
            coalesce(sum(
                (SELECT -sum(e.posted_change) FROM entry e WHERE e.grant = g.id AND e.phase = 'capture')), 0) AS used
        FROM grant g WHERE account = ?1 AND source = 'plan' AND expires_at = ?2
        """,
        (standing.account, plans.first_of_month(now, 1), json.dumps(waiting)),
    ).fetchone()
    return int(row["used"]), int(row["left_over"])


def refill_key(account: str, now: int) -> str:
    """The key of the grant that is a month's refill: one for each account and month."""
    return f"refill:{account}:{plans.month_name(now)}"


def _subscription(row: sqlite3.Row) -> Subscription:
    return Subscription(
        id=row["id"],
        account=row["account"],
        purchase=row["purchase"],
        plan=row["plan"],
        credits=row["credits"],
        keeps_tunes=bool(row["keeps_tunes"]),
        annual=bool(row["annual"]),
        begins_at=row["begins_at"],
        ends_at=row["ends_at"],
    )
