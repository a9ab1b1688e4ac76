"""Plans as they run: what is due is carried out; accounts subscribe, change and cancel, each in one transaction."""

import logging
from dataclasses import dataclass

from studio.credits import ledger, plans, purchases
from studio.credits.plans import HOUSE, Change, Due, Standing, Subscription
from studio.credits.prices import Prices
from studio.credits.purchases import Purchase
from studio.credits.standing import refill_key, standing_of, this_month
from studio.domain import OWNER, Conflict, Refused, StorageFailed
from studio.storage.database import Database, Tx

SOURCE = "plan"  # of grants that a plan gave

log = logging.getLogger(__name__)


# --- what is due ------------------------------------------------------------------------------------------------------


def catch_up(tx: Tx, prices: Prices, account: str, *, now: int) -> bool:
    """Brings an account up to date: what has expired, the plan that has begun or ended, this month's refill.

    Call it before anything is read or spent; twice is once. Returns whether anything was due. Raises NotFound.
    """
    # 1. What has expired is gone before anything new comes.
    expired = ledger.expire(tx, account=account, now=now)

    # 2. The plan that runs now is noted; where tunes are kept no more, also since when that is known.
    standing = standing_of(tx, account, now=now)
    due = plans.due(standing, prices.plans, now)
    if not _is_due(standing, due):
        return expired > 0
    tx.execute(
        """
        UPDATE account SET plan = :plan, keeps_tunes = :keeps,
            lapse_noticed_at = CASE WHEN :keeps THEN NULL WHEN keeps_tunes THEN :now ELSE lapse_noticed_at END
        WHERE id = :account
        """,
        {"plan": due.plan, "keeps": due.keeps_tunes, "now": now, "account": account},
    )

    # 3. A refill sets the plan's credits: a refill of a month to come, made when the clock was wrong, does not add up.
    if due.refill is not None and due.subscription is not None:
        for row in tx.execute(
            "SELECT id FROM grant WHERE account = ? AND source = 'plan' AND remaining > 0 AND expires_at > ? "
            "AND withdrawn_at IS NULL",
            (account, now),
        ).fetchall():
            ledger.supersede(tx, row["id"], now=now)
        tx.execute(
            "UPDATE subscription SET credits = ?, keeps_tunes = ? WHERE id = ?",
            (due.refill, due.keeps_tunes, due.subscription.id),
        )
        purchase = purchases.get(tx, due.subscription.purchase)
        _give(tx, purchase, due.refill, key=refill_key(account, now), now=now)
    return True


def is_due(tx: Tx, prices: Prices, account: str, *, now: int) -> bool:
    """Whether `catch_up` would change anything, so that who only reads need not write. Raises NotFound."""
    over = tx.execute(
        "SELECT 1 FROM grant WHERE account = ? AND remaining > 0 AND remaining > allocated AND expires_at <= ?",
        (account, now),
    ).fetchone()
    standing = standing_of(tx, account, now=now)
    return over is not None or _is_due(standing, plans.due(standing, prices.plans, now))


def sweep(database: Database, prices: Prices, *, now: int) -> int:
    """Brings every account up to date, each in a transaction of its own; how many had something due.

    Where it cannot be written, that is logged and left to the next time.
    """
    with database.read() as tx:
        accounts = [row["id"] for row in tx.execute("SELECT id FROM account ORDER BY id")]
        late = [account for account in accounts if is_due(tx, prices, account, now=now)]
    done = 0
    for account in late:
        try:
            with database.write() as tx:
                done += catch_up(tx, prices, account, now=now)
        except StorageFailed:
            log.warning("account %s could not be brought up to date", account, exc_info=True)
    return done


def notice_lapses(database: Database, prices: Prices, *, now: int) -> None:
    """Notes where plans that kept tunes do so no more at that moment, and books nothing: for a look into other times.

    `catch_up` puts it right where that moment has not come.
    """
    with database.write() as tx:
        for row in tx.execute("SELECT id FROM account WHERE keeps_tunes AND plan IS NOT ?", (HOUSE,)).fetchall():
            standing = standing_of(tx, row["id"], now=now)
            if not plans.due(standing, prices.plans, now).keeps_tunes:
                tx.execute(
                    "UPDATE account SET keeps_tunes = 0, lapse_noticed_at = ? WHERE id = ?", (now, standing.account)
                )


# --- what an account may do -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Subscribed:
    """What subscribing did, or would do: how and when the plan begins, and the credits that come at once."""

    plan: str
    change: Change
    gives: int
    purchase: Purchase | None


def preview(tx: Tx, prices: Prices, account: str, plan_name: str, *, annual: bool = False, now: int) -> Subscribed:
    """What `subscribe` would do, for an account that is up to date. Raises Refused."""
    plan = prices.plan(plan_name)
    standing = standing_of(tx, account, now=now)
    change = plans.change(standing.subscriptions, plan, annual=annual, plans=prices.plans, now=now)
    if change.how == "now":
        used, left = this_month(tx, standing, now=now)
        return Subscribed(
            plan=plan.name, change=change, gives=plans.top_up(plan.credits, used=used, left=left), purchase=None
        )
    return Subscribed(plan=plan.name, change=change, gives=0, purchase=None)


def subscribe(
    tx: Tx,
    prices: Prices,
    account: str,
    plan_name: str,
    *,
    annual: bool = False,
    by: str,
    now: int,
    purchase_id: str | None = None,
    price: int | None = None,
) -> Subscribed:
    """Puts an account on a plan: at once, with the whole month's credits, where it is the first or gives more than the
    one before; else from the next period. The plan it has, cancelled before, simply goes on.

    The same purchase id again is the same purchase. Raises Refused, NotFound (account), Conflict.
    """
    # 1. Who may, and is it the same click again?
    purchases.only_the_owner(by)
    if plan_name == HOUSE:
        return _back_to_the_house(tx, prices, account, now=now)
    plan = prices.plan(plan_name)
    if annual and plan.annual is None and plan.monthly is not None:
        raise Refused(f"The plan {plan.title} is not sold by the year.", field="annual", allowed="by the month")
    again = purchases.known(tx, purchase_id, account, plan, annual=annual)
    if again is not None:
        return Subscribed(plan=plan.name, change=Change(how="now", at=again.bought_at), gives=0, purchase=again)

    # 2. What it does.
    catch_up(tx, prices, account, now=now)
    does = preview(tx, prices, account, plan_name, annual=annual, now=now)
    standing = standing_of(tx, account, now=now)
    running = plans.active(standing.subscriptions, now)
    _drop_upcoming(tx, standing, by=by, now=now)

    # 3. A plan that was cancelled goes on.
    if does.change.how == "resumed":
        assert running is not None
        _end(tx, running, None)
        return Subscribed(plan=plan.name, change=does.change, gives=0, purchase=purchases.get(tx, running.purchase))

    # 4. Another one takes its place.
    if running is not None:
        _end(tx, running, does.change.at)
    listed = plan.annual if annual else plan.monthly
    bought = purchases.record(
        tx, prices, account, plan, by=by, now=now, bought_at=does.change.at, purchase_id=purchase_id,
        price=listed if price is None else price, annual=annual,
    )  # fmt: skip
    tx.execute(
        "INSERT INTO subscription (account, purchase, plan, credits, keeps_tunes, annual, begins_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (account, bought.id, plan.name, plan.credits, plan.keeps_tunes, annual, does.change.at),
    )

    # 5. What begins now gives its credits now: as the month's refill, or on top of it.
    if does.gives:
        key = f"plan:{bought.id}" if standing.refilled else refill_key(account, now)
        _give(tx, bought, does.gives, key=key, now=now)
    catch_up(tx, prices, account, now=now)
    return Subscribed(plan=plan.name, change=does.change, gives=does.gives, purchase=bought)


def cancel(tx: Tx, prices: Prices, account: str, *, by: str, now: int) -> int:
    """Has the plan end with its period, and returns when that is. For the owner, and for the account itself.

    Raises Refused, NotFound (account), Conflict (cancelled before).
    """
    if by not in (OWNER, account):
        purchases.only_the_owner(by)
    catch_up(tx, prices, account, now=now)
    standing = standing_of(tx, account, now=now)
    running = plans.active(standing.subscriptions, now)
    if running is None:
        raise Refused("There is no plan to cancel.", field="plan", allowed="an account with a plan")
    had_next = _drop_upcoming(tx, standing, by=by, now=now)
    if running.ends_at is not None:
        if not had_next:
            day = plans.day_name(running.ends_at)
            raise Conflict(f"This plan was cancelled already; it ends on {day}.", field="plan")
        return running.ends_at
    end = plans.period_end(running, now)
    _end(tx, running, end)
    return end


def end(tx: Tx, prices: Prices, purchase: Purchase, *, by: str, now: int) -> None:
    """Ends the plan of this purchase at once, and one that would follow it; or sees to it that it does not begin.

    What it gave is not taken back here.
    """
    standing = standing_of(tx, purchase.account, now=now)
    waiting = [one for one in plans.upcoming(standing.subscriptions, now) if one.purchase == purchase.id]
    if waiting:
        _end(tx, waiting[0], waiting[0].begins_at)
    else:
        _end_now(tx, standing, by=by, now=now)
    catch_up(tx, prices, purchase.account, now=now)


def _end_now(tx: Tx, standing: Standing, *, by: str, now: int) -> None:
    _drop_upcoming(tx, standing, by=by, now=now)
    running = plans.active(standing.subscriptions, now)
    if running is not None:
        _end(tx, running, now)


def _back_to_the_house(tx: Tx, prices: Prices, account: str, *, now: int) -> Subscribed:
    if account != OWNER:
        raise Refused("The house plan is for the owner alone.", field="plan", allowed=", ".join(prices.plans))
    catch_up(tx, prices, account, now=now)
    standing = standing_of(tx, account, now=now)
    if standing.plan == HOUSE:
        raise Refused("This account is on the house plan already.", field="plan", allowed="another plan")
    _end_now(tx, standing, by=OWNER, now=now)
    tx.execute("UPDATE account SET plan = ?, keeps_tunes = 1, lapse_noticed_at = NULL WHERE id = ?", (HOUSE, account))
    return Subscribed(plan=HOUSE, change=Change(how="now", at=now), gives=0, purchase=None)


# --- the steps --------------------------------------------------------------------------------------------------------


def _is_due(standing: Standing, due: Due) -> bool:
    return (standing.plan, standing.keeps_tunes) != (due.plan, due.keeps_tunes) or due.refill is not None


def _give(tx: Tx, purchase: Purchase, amount: int, *, key: str, now: int) -> None:
    month_end = plans.first_of_month(now, 1)
    purchases.give(tx, purchase, "playground", amount, key=key, source=SOURCE, now=now, expires_at=month_end)


def _end(tx: Tx, subscription: Subscription, at: int | None) -> None:
    """Sets or lifts the end of a subscription that still is as it was read."""
    changed = tx.execute(
        "UPDATE subscription SET ends_at = ? WHERE id = ? AND ends_at IS ?", (at, subscription.id, subscription.ends_at)
    )
    assert changed.rowcount == 1


def _drop_upcoming(tx: Tx, standing: Standing, *, by: str, now: int) -> bool:
    """Takes back what would have begun later; whether there was anything."""
    upcoming = plans.upcoming(standing.subscriptions, now)
    reason = "changed before it began"
    for one in upcoming:
        _end(tx, one, one.begins_at)
        for row in tx.execute(  # it has given something where the clock went back over its beginning
            "SELECT g.id FROM purchase_grant p JOIN grant g ON g.id = p.grant "
            "WHERE p.purchase = ? AND g.remaining > 0 AND g.withdrawn_at IS NULL",
            (one.purchase,),
        ).fetchall():
            ledger.refund(tx, row["id"], reason=reason, now=now)
        purchase = purchases.get(tx, one.purchase)
        if purchase.refunded_at is None:
            purchases.mark_refunded(tx, purchase, by=by, reason=reason, now=now)
    return bool(upcoming)
