"""Months begin in UTC, refills fall due once, and a change of plan does what is said. Golden cases, no database."""

from datetime import UTC, datetime

import pytest

from studio.credits import plans
from studio.credits.plans import HOUSE, Change, Standing, Subscription
from studio.credits.price_list import shipped
from studio.domain import OWNER, Refused

PLANS = shipped().plans


def at(words: str) -> int:
    """`2026-01-20` or `2026-01-20 13:14:15`, UTC."""
    return int(datetime.fromisoformat(words).replace(tzinfo=UTC).timestamp())


def subscription(
    plan: str, begins: str, ends: str | None = None, *, annual: bool = False, number: int = 1
) -> Subscription:
    known = PLANS[plan]
    return Subscription(
        id=number, account="client", purchase=f"purchase {number}", plan=plan, credits=known.credits,
        keeps_tunes=known.keeps_tunes, annual=annual, begins_at=at(begins), ends_at=at(ends) if ends else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("now", "months", "first"),
    [
        ("2026-01-01", 0, "2026-01-01"),
        ("2026-01-31 23:59:59", 0, "2026-01-01"),
        ("2026-01-31 23:59:59", 1, "2026-02-01"),
        ("2026-12-31 23:59:59", 1, "2027-01-01"),
        ("2028-02-29 12:00:00", 1, "2028-03-01"),
        ("2026-03-31", 11, "2027-02-01"),
        ("2026-12-31", 12, "2027-12-01"),
    ],
)
def test_months_begin_at_midnight_utc(now: str, months: int, first: str) -> None:
    assert plans.first_of_month(at(now), months) == at(first)


def test_days_and_months_are_named() -> None:
    assert plans.month_name(at("2026-02-28 23:59:59")) == "2026-02"
    assert plans.day_name(at("2026-10-01")) == "1 October 2026"


@pytest.mark.parametrize(
    ("begins", "annual", "now", "end"),
    [
        ("2026-01-20", False, "2026-01-20", "2026-02-01"),
        ("2026-01-20", False, "2026-05-01", "2026-06-01"),
        ("2026-01-20", False, "2026-05-31 23:59:59", "2026-06-01"),
        ("2026-01-20", True, "2026-01-20", "2027-01-01"),
        ("2026-01-01", True, "2026-12-31 23:59:59", "2027-01-01"),
        ("2026-01-20", True, "2027-01-01", "2028-01-01"),
        ("2026-01-20", True, "2029-06-01", "2030-01-01"),
    ],
)
def test_a_period_is_a_month_or_twelve(begins: str, annual: bool, now: str, end: str) -> None:
    assert plans.period_end(subscription("basic", begins, annual=annual), at(now)) == at(end)


def test_the_plan_that_runs_is_the_one_that_has_begun_and_not_ended() -> None:
    old = subscription("standard", "2026-01-20", "2026-03-01")
    new = subscription("basic", "2026-03-01", number=2)
    for now, running, upcoming in (
        ("2026-01-19 23:59:59", None, [old, new]),
        ("2026-01-20", old, [new]),
        ("2026-02-28 23:59:59", old, [new]),
        ("2026-03-01", new, []),
        ("2036-03-01", new, []),
    ):
        assert plans.active([old, new], at(now)) == running
        assert plans.upcoming([old, new], at(now)) == upcoming
    dropped = subscription("basic", "2026-03-01", "2026-03-01", number=2)
    assert plans.upcoming([old, dropped], at("2026-02-01")) == []
    assert plans.active([old, dropped], at("2026-03-01")) is None


def due(
    now: str,
    *subscriptions: Subscription,
    account: str = "client",
    newest_refill: str | None = None,
    refilled: bool = False,
) -> tuple[str | None, bool, int | None]:
    standing = Standing(
        account=account, plan="as noted", keeps_tunes=False, subscriptions=subscriptions,
        newest_refill=at(newest_refill) if newest_refill else None, refilled=refilled,
    )  # fmt: skip
    found = plans.due(standing, PLANS, at(now))
    return found.plan, found.keeps_tunes, found.refill


def test_who_never_had_a_plan_stays_as_he_is() -> None:
    assert due("2026-05-05") == ("as noted", False, None)


def test_a_plan_is_refilled_once_a_month() -> None:
    plan = subscription("standard", "2026-01-20")
    assert due("2026-01-20", plan) == ("standard", True, 2500)
    assert due("2026-01-31", plan, newest_refill="2026-02-01", refilled=True) == ("standard", True, None)
    assert due("2026-02-01", plan, newest_refill="2026-02-01") == ("standard", True, 2500)


def test_an_annual_plan_is_refilled_monthly_too() -> None:
    assert due("2026-07-01", subscription("basic", "2026-01-20", annual=True), newest_refill="2026-07-01") == (
        "basic", False, 1000,
    )  # fmt: skip


def test_months_slept_through_are_not_paid_out() -> None:
    assert due("2026-05-09", subscription("basic", "2026-01-20"), newest_refill="2026-02-01")[2] == 1000


def test_a_clock_that_goes_back_over_the_first_refills_nothing_twice() -> None:
    plan = subscription("basic", "2025-11-20")
    # In January the studio was off; on the first of February it was refilled, and then the clock went back two days.
    assert due("2026-01-30", plan, newest_refill="2026-03-01") == ("basic", False, None)


def test_a_clock_that_was_a_year_ahead_does_not_stop_the_refills() -> None:
    assert due("2026-03-01", subscription("basic", "2026-01-20"), newest_refill="2027-03-01")[2] == 1000


def test_a_plan_that_ended_lapses_and_the_owner_is_back_on_the_house() -> None:
    ended = subscription("standard", "2026-01-20", "2026-03-01")
    assert due("2026-03-01", ended) == (None, False, None)
    assert due("2026-03-01", ended, account=OWNER) == (HOUSE, True, None)


def test_a_plan_gives_what_the_price_list_says_now_and_a_vanished_one_what_it_gave_last() -> None:
    old = Subscription(
        id=1, account="client", purchase="p", plan="basic", credits=7, keeps_tunes=True, annual=False,
        begins_at=0, ends_at=None,
    )  # fmt: skip
    assert plans.terms(old, PLANS) == (1000, False)
    assert plans.terms(old, {}) == (7, True)


@pytest.mark.parametrize(
    ("figure", "used", "left", "gives"),
    [
        (1000, 0, 0, 1000),  # the first plan: the full month, whatever the day
        (2500, 0, 1000, 1500),  # basic to standard, nothing used
        (2500, 300, 700, 1500),  # ... 300 used: 2200 are left of the new figure
        (6000, 2500, 0, 3500),  # standard used up, then business
        (1000, 300, 0, 700),  # given back after 300 were used, and begun again in the same month
        (1000, 300, 700, 0),
        (1000, 1200, 0, 0),
    ],
)
def test_a_plan_begun_within_a_month_gives_its_figure_less_what_was_used(
    figure: int, used: int, left: int, gives: int
) -> None:
    assert plans.top_up(figure, used=used, left=left) == gives


def change(now: str, wanted: str, *subscriptions: Subscription, annual: bool = False) -> Change:
    return plans.change(subscriptions, PLANS[wanted], annual=annual, plans=PLANS, now=at(now))


def test_the_first_plan_and_an_upgrade_begin_at_once() -> None:
    assert change("2026-01-20", "basic") == Change(how="now", at=at("2026-01-20"))
    basic = subscription("basic", "2026-01-20", annual=True)
    assert change("2026-02-05", "standard", basic) == Change(how="now", at=at("2026-02-05"))
    lapsed = subscription("business", "2026-01-20", "2026-03-01")
    assert change("2026-03-01", "basic", lapsed) == Change(how="now", at=at("2026-03-01"))


def test_a_downgrade_begins_with_the_next_period() -> None:
    monthly = subscription("business", "2026-01-20")
    yearly = subscription("business", "2026-01-20", annual=True)
    assert change("2026-05-31 23:59:59", "basic", monthly) == Change(how="later", at=at("2026-06-01"))
    assert change("2026-05-31", "basic", yearly) == Change(how="later", at=at("2027-01-01"))


def test_from_months_to_years_and_back_is_with_the_next_period() -> None:
    monthly = subscription("basic", "2026-01-20")
    yearly = subscription("basic", "2026-01-20", annual=True)
    assert change("2026-05-31", "basic", monthly, annual=True) == Change(how="later", at=at("2026-06-01"))
    assert change("2026-05-31", "basic", yearly) == Change(how="later", at=at("2027-01-01"))


def test_a_cancelled_plan_that_is_wanted_again_goes_on() -> None:
    cancelled = subscription("basic", "2026-01-20", "2026-06-01")
    assert change("2026-05-31", "basic", cancelled).how == "resumed"
    upcoming = subscription("basic", "2026-06-01", number=2)
    business = subscription("business", "2026-01-20", "2026-06-01")
    assert change("2026-05-31", "business", business, upcoming).how == "resumed"


def test_a_change_to_what_is_or_will_be_is_refused() -> None:
    with pytest.raises(Refused, match="on the plan Basic already"):
        change("2026-05-31", "basic", subscription("basic", "2026-01-20"))
    business = subscription("business", "2026-01-20", "2026-06-01")
    with pytest.raises(Refused, match="begins on 1 June 2026 already"):
        change("2026-05-31", "basic", business, subscription("basic", "2026-06-01", number=2))
