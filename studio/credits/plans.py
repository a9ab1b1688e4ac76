"""Plans, purely: what months are, what is due, what a change of plan does. Knows no database.

A period is a calendar month in UTC, or twelve of them that begin with the month of the subscription; the first one is
given in full whenever in its month it begins, and a plan goes on from period to period until it is cancelled.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from studio.credits.prices import Plan
from studio.domain import OWNER, Refused

HOUSE = "house"
"""The owner's plan: every charge is recorded, and what is missing for it is granted as it is held."""


# --- months -----------------------------------------------------------------------------------------------------------


def first_of_month(now: int, months: int = 0) -> int:
    """00:00 UTC on the first of the month of `now`, or so many months later."""
    at = datetime.fromtimestamp(now, UTC)
    years, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    return int(datetime(years, month + 1, 1, tzinfo=UTC).timestamp())


def month_name(now: int) -> str:
    """The month as in `2026-09`."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m")


def day_name(now: int) -> str:
    """The day as a person reads it: `1 October 2026`."""
    at = datetime.fromtimestamp(now, UTC)
    return f"{at.day} {at:%B %Y}"


# --- subscriptions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A plan from `begins_at` until `ends_at`, or on and on. What it gives is what its plan gave when last looked."""

    id: int
    account: str
    purchase: str
    plan: str
    credits: int
    keeps_tunes: bool
    annual: bool
    begins_at: int
    ends_at: int | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of an account: its plan as noted, all its subscriptions, and the refills it has had.

    `newest_refill` is when the refill that was made last expires, `refilled` whether this month's was made.
    """

    account: str
    plan: str | None
    keeps_tunes: bool
    subscriptions: tuple[Subscription, ...]
    newest_refill: int | None
    refilled: bool


@dataclass(frozen=True, kw_only=True)
class Due:
    """How an account must stand: the plan to be noted, and the credits of a refill that must be made now."""

    plan: str | None
    keeps_tunes: bool
    refill: int | None
    subscription: Subscription | None


def active(subscriptions: Iterable[Subscription], now: int) -> Subscription | None:
    """The one that runs now."""
    running = [one for one in subscriptions if one.begins_at <= now and (one.ends_at is None or now < one.ends_at)]
    return max(running, key=lambda one: (one.begins_at, one.id), default=None)


def upcoming(subscriptions: Iterable[Subscription], now: int) -> list[Subscription]:
    """Those that have not begun, the soonest first: one at most, but where the clock went back."""
    later = [one for one in subscriptions if one.begins_at > now and one.ends_at != one.begins_at]
    return sorted(later, key=lambda one: (one.begins_at, one.id))


def period_end(subscription: Subscription, now: int) -> int:
    """When the period in which `now` lies ends: what is paid for until then."""
    if not subscription.annual:
        return first_of_month(max(now, subscription.begins_at), 1)
    end = first_of_month(subscription.begins_at, 12)
    while end <= now:
        end = first_of_month(end, 12)
    return end


def terms(subscription: Subscription, plans: Mapping[str, Plan]) -> tuple[int, bool]:
    """Credits a month and whether tunes are kept: as the price list has the plan now, else as it was last seen."""
    plan = plans.get(subscription.plan)
    return (subscription.credits, subscription.keeps_tunes) if plan is None else (plan.credits, plan.keeps_tunes)


def due(standing: Standing, plans: Mapping[str, Plan], now: int) -> Due:
    """How the account must stand now. Months that were slept through are not paid out later.

    Whatever the clock does, a month is refilled once: its key says so. Where the clock went back over the first of
    a month, the refill made last is next month's, and stands for this one too.
    """
    running = active(standing.subscriptions, now)
    if running is None:
        if not standing.subscriptions:
            return Due(plan=standing.plan, keeps_tunes=standing.keeps_tunes, refill=None, subscription=None)
        plan = HOUSE if standing.account == OWNER else None
        return Due(plan=plan, keeps_tunes=plan == HOUSE, refill=None, subscription=None)
    credits, keeps_tunes = terms(running, plans)
    went_back = standing.newest_refill == first_of_month(now, 2)
    refill = None if standing.refilled or went_back else credits
    return Due(plan=running.plan, keeps_tunes=keeps_tunes, refill=refill, subscription=running)


def top_up(figure: int, *, used: int, left: int) -> int:
    """What a plan begun within a month gives at once: its figure less what was used since the first, less what is
    left of the plan that it takes the place of."""
    return max(0, figure - used - left)


# --- changes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Change:
    """What subscribing does: the plan begins `now`, or `later`, or one that was cancelled is `resumed`."""

    how: Literal["now", "later", "resumed"]
    at: int


def change(
    subscriptions: Iterable[Subscription], wanted: Plan, *, annual: bool, plans: Mapping[str, Plan], now: int
) -> Change:
    """What subscribing to `wanted` does. More credits, or as many with tunes kept, is an upgrade and begins at once;
    everything else begins with the next period. Raises Refused where it would change nothing."""
    subscriptions = tuple(subscriptions)
    running, next_one = active(subscriptions, now), next(iter(upcoming(subscriptions, now)), None)
    if running is None:
        return Change(how="now", at=now)
    if next_one is not None and (next_one.plan, next_one.annual) == (wanted.name, annual):
        day = day_name(next_one.begins_at)
        raise Refused(f"The plan {wanted.title} begins on {day} already.", field="plan", allowed="another plan")
    if (running.plan, running.annual) == (wanted.name, annual):
        if running.ends_at is None:
            raise Refused(f"This account is on the plan {wanted.title} already.", field="plan", allowed="another plan")
        return Change(how="resumed", at=now)
    if (wanted.credits, wanted.keeps_tunes) > terms(running, plans):
        return Change(how="now", at=now)
    return Change(how="later", at=running.ends_at or period_end(running, now))
