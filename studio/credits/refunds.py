"""Giving a purchase back: what it would take back is decided purely and told first, then done in one transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from studio.credits import ledger, plans, purchases, subscriptions
from studio.credits.plans import Subscription
from studio.credits.prices import Prices
from studio.credits.purchases import Purchase
from studio.credits.standing import standing_of
from studio.domain import Conflict, CreditKind, Refused
from studio.rules import text
from studio.storage.database import Tx


@dataclass(frozen=True, kw_only=True)
class Given:
    """A grant that came of a purchase; `held` of what is left of it is promised to jobs."""

    grant: int
    kind: CreditKind
    amount: int
    left: int
    held: int


@dataclass(frozen=True, kw_only=True)
class Refund:
    """What giving a purchase back does: the credits it takes, those that jobs hold and keep, the plan it ends."""

    purchase: Purchase
    takes: Mapping[CreditKind, int]
    held: Mapping[CreditKind, int]
    ends_plan: bool
    grants: tuple[int, ...]


def decide(purchase: Purchase, given: Iterable[Given], *, ends_plan: bool, now: int) -> Refund:
    """What giving the purchase back would do now. Raises Conflict (given back before), Refused (too late, or nothing
    is left of it)."""
    if purchase.refunded_at is not None:
        day = plans.day_name(purchase.refunded_at)
        raise Conflict(f"This purchase was already given back on {day}.", field="purchase")
    if now >= purchase.refund_before:
        day = plans.day_name(purchase.refund_before)
        raise Refused(
            f"This purchase could be given back before {day}; it is too late now.",
            field="purchase",
            allowed="a purchase of the last days",
        )
    takes: dict[CreditKind, int] = {}
    held: dict[CreditKind, int] = {}
    grants: list[int] = []
    for one in given:
        if one.left:
            grants.append(one.grant)
            for sums, amount in ((takes, one.left - one.held), (held, one.held)):
                if amount:
                    sums[one.kind] = sums.get(one.kind, 0) + amount
    if not grants and not ends_plan:
        raise Refused("Nothing is left of this purchase: it is spent.", field="purchase", allowed="what is not spent")
    return Refund(purchase=purchase, takes=takes, held=held, ends_plan=ends_plan, grants=tuple(grants))


def preview(tx: Tx, purchase_id: str, *, now: int) -> Refund:
    """What `refund` would do, for an account that is up to date. Raises Refused, NotFound, Conflict."""
    purchase = purchases.get(tx, purchase_id)
    all_plans = standing_of(tx, purchase.account, now=now).subscriptions
    runs = _is_of(plans.active(all_plans, now), purchase)
    waits = any(_is_of(one, purchase) for one in plans.upcoming(all_plans, now))
    return decide(purchase, _given(tx, purchase, whole_plan=runs), ends_plan=runs or waits, now=now)


def refund(tx: Tx, prices: Prices, purchase_id: str, *, by: str, reason: str, now: int) -> Refund:
    """Gives a purchase back: takes what is left of its credits, but for what jobs hold, and ends the plan it is.

    What jobs release later of what they hold is taken too. Raises Refused, NotFound, Conflict.
    """
    # 1. Who may, and what it does.
    purchases.only_the_owner(by)
    text("reason", reason, most=500)
    subscriptions.catch_up(tx, prices, purchases.get(tx, purchase_id).account, now=now)
    does = preview(tx, purchase_id, now=now)

    # 2. What is left goes back.
    for grant in does.grants:
        ledger.refund(tx, grant, reason=f"{reason} (purchase {does.purchase.id})", now=now)

    # 3. The plan ends, or does not begin.
    if does.ends_plan:
        subscriptions.end(tx, prices, does.purchase, by=by, now=now)
    purchases.mark_refunded(tx, does.purchase, by=by, reason=reason, now=now)
    return does


def _is_of(subscription: Subscription | None, purchase: Purchase) -> bool:
    return subscription is not None and subscription.purchase == purchase.id


def _given(tx: Tx, purchase: Purchase, *, whole_plan: bool) -> list[Given]:
    """The grants of the purchase; with `whole_plan` all that plans gave the account and that are not over."""
    rows = tx.execute(
        """
        SELECT g.id, g.kind, g.amount, g.remaining, g.allocated FROM purchase_grant p JOIN grant g ON g.id = p.grant
        WHERE p.purchase = ?1 AND g.withdrawn_at IS NULL
        UNION
        SELECT id, kind, amount, remaining, allocated FROM grant
        WHERE ?2 AND account = ?3 AND source = 'plan' AND remaining > 0 AND withdrawn_at IS NULL
        """,
        (purchase.id, whole_plan, purchase.account),
    )
    return [
        Given(grant=row["id"], kind=row["kind"], amount=row["amount"], left=row["remaining"], held=row["allocated"])
        for row in rows
    ]
