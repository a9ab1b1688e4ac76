"""Holds a job's price: of each kind of credit, or nothing; what cannot be paid is told with what would give it."""

from collections.abc import Iterable

from studio.credits import ledger, plans, subscriptions
from studio.credits.plans import Standing
from studio.credits.prices import Prices
from studio.credits.standing import standing_of
from studio.domain import OWNER, Charge, CreditKind, NotEnoughCredits
from studio.storage.database import Tx


def hold(tx: Tx, prices: Prices, account: str, charges: Iterable[Charge], *, job: str, now: int) -> None:
    """Promises a job all that it costs. Raises NotEnoughCredits, on which the caller's transaction must not commit."""
    subscriptions.catch_up(tx, prices, account, now=now)
    for charge in charges:
        try:
            ledger.hold(tx, account, charge, job=job, now=now)
        except NotEnoughCredits as error:
            standing = standing_of(tx, account, now=now)
            missing = error.needed - error.available
            told = remedy(prices, charge.kind, missing, standing, now=now)
            raise NotEnoughCredits(charge.kind, error.needed, error.available, told) from error


def remedy(prices: Prices, kind: CreditKind, missing: int, standing: Standing, *, now: int) -> str:
    """One sentence on what would give so many credits of a kind: a plan, the next refill, or packs."""
    ways = _plans(prices, missing, standing, now) if kind == "playground" else _packs(prices, kind, missing)
    if standing.account == OWNER:
        ways.append("the house plan, on which nothing is refused")
    if not ways:
        return "The owner of this studio can grant them."
    return f"What would give them: {'; '.join(ways)}."


def _plans(prices: Prices, missing: int, standing: Standing, now: int) -> list[str]:
    running = plans.active(standing.subscriptions, now)
    figure = plans.terms(running, prices.plans)[0] if running else 0
    enough = [plan for plan in prices.plans.values() if plan.offered and plan.credits - figure >= missing]
    least = min(enough, key=lambda plan: plan.credits, default=None)
    ways: list[str] = []
    if least is not None:
        more = f"{least.credits - figure} more at once" if running else f"{least.credits} a month"
        ways.append(f"the plan {least.title} with {more}")
    refill = plans.first_of_month(now, 1)
    if running is not None and figure >= missing and (running.ends_at is None or running.ends_at > refill):
        ways.append(f"the refill to {figure} on {plans.day_name(refill)}")
    return ways


def _packs(prices: Prices, kind: CreditKind, missing: int) -> list[str]:
    ways: list[str] = []
    for pack in prices.packs.values():
        if pack.offered and kind in pack.gives:
            times = -(-missing // pack.gives[kind])
            ways.append(f"{f'{times} times ' if times > 1 else ''}the pack {pack.title} with {pack.gives[kind]}")
    return ways
