"""A plan gives its credits once a month, however it is changed, cancelled, slept through or the clock is set."""

from dataclasses import replace

import pytest

from studio.credits import subscriptions
from studio.domain import OWNER, Conflict, NotEnoughCredits, NotFound, Refused
from studio.rules import new_id
from tests.credits.shop import DAY, Shop, at
from tests.fakes import CLIENT, FakeRunner, request


def refills(shop: Shop, account: str = CLIENT) -> list[tuple[str, int]]:
    """Month and credits of each refill."""
    with shop.bench.database.read() as tx:
        rows = tx.execute(
            "SELECT key, amount FROM grant WHERE key GLOB 'refill:*' AND account = ? ORDER BY id", (account,)
        ).fetchall()
    return [(row["key"].rpartition(":")[2], row["amount"]) for row in rows]


# --- subscribing ------------------------------------------------------------------------------------------------------


def test_a_subscription_gives_the_full_month_at_once_whatever_the_day(shop: Shop) -> None:
    shop.set_clock("2026-01-31 23:59:59")
    done = shop.subscribe("basic")
    assert (done.change.how, done.gives, shop.balances(), shop.plan()) == ("now", 1000, (1000, 0, 0), "basic")


def test_a_subscription_is_a_purchase_with_its_price_and_who_recorded_it(shop: Shop) -> None:
    monthly = shop.subscribe("basic").purchase
    yearly = shop.subscribe("standard", annual=True).purchase
    agreed = shop.subscribe("business", price=2000).purchase
    assert monthly and yearly and agreed
    assert [(one.price, one.currency, one.annual, one.recorded_by) for one in (monthly, yearly, agreed)] == [
        (1900, "USD", False, OWNER), (29400, "USD", True, OWNER), (2000, "USD", False, OWNER),
    ]  # fmt: skip
    assert monthly.bought_at == shop.bench.clock()


def test_the_same_subscription_sent_again_is_one(shop: Shop) -> None:
    same = new_id()
    first = shop.subscribe("basic", purchase_id=same)
    assert shop.subscribe("basic", purchase_id=same).purchase == first.purchase
    with pytest.raises(Conflict):
        shop.subscribe("standard", purchase_id=same)
    assert (shop.bench.count("purchase"), shop.balances()) == (1, (1000, 0, 0))


def test_only_the_owner_records_a_subscription_and_only_an_account_and_he_may_cancel_it(shop: Shop) -> None:
    with pytest.raises(Refused, match="recorded by the owner"):
        shop.subscribe("basic", by=CLIENT)
    assert shop.bench.count("purchase") == 0
    shop.subscribe("basic")
    with pytest.raises(Refused):
        shop.cancel(by="somebody")
    assert shop.cancel(by=CLIENT) == at("2026-02-01")


@pytest.mark.parametrize("plan", ["gold", "", "Basic"])
def test_a_plan_that_is_none_is_refused_with_those_there_are(shop: Shop, plan: str) -> None:
    with pytest.raises(Refused) as caught:
        shop.subscribe(plan)
    assert caught.value.allowed == "basic, standard, business"


def test_nobody_cannot_subscribe(shop: Shop) -> None:
    with pytest.raises(NotFound):
        shop.subscribe("basic", account="nobody")


def test_the_operators_own_plan_is_one_like_the_others(shop: Shop) -> None:
    agency = replace(shop.prices.plans["business"], name="agency", title="Agency", credits=20_000, annual=None)
    shop.prices = replace(shop.prices, plans={**shop.prices.plans, "agency": agency})
    shop.subscribe("business")
    assert shop.subscribe("agency").gives == 14_000
    assert shop.balances() == (20_000, 0, 0)
    with pytest.raises(Refused, match="not sold by the year"):
        shop.subscribe("agency", annual=True)


# --- the month turns --------------------------------------------------------------------------------------------------


def test_a_refill_sets_the_balance_and_does_not_add_to_it(shop: Shop) -> None:
    shop.subscribe("basic")
    shop.spend(300)
    shop.set_clock("2026-01-31 23:59:59")
    assert not shop.catch_up()
    assert shop.balances() == (700, 0, 0)
    shop.set_clock("2026-02-01")
    assert shop.catch_up()
    assert not shop.catch_up()
    assert shop.balances() == (1000, 0, 0)
    assert refills(shop) == [("2026-01", 1000), ("2026-02", 1000)]


def test_an_annual_plan_is_refilled_monthly_and_goes_on_after_its_year(shop: Shop) -> None:
    shop.subscribe("basic", annual=True)
    for month in (*range(2, 13), 13, 14):
        shop.set_clock(f"{2026 + (month - 1) // 12}-{(month - 1) % 12 + 1:02}-01")
        shop.sweep()
        shop.spend(1000)
    assert len(refills(shop)) == 14


def test_three_months_switched_off_are_not_paid_out_later(shop: Shop) -> None:
    shop.subscribe("basic")
    shop.set_clock("2026-05-10")
    shop.sweep()
    assert shop.balances() == (1000, 0, 0)
    assert [month for month, _ in refills(shop)] == ["2026-01", "2026-05"]


def test_a_month_begins_at_the_first_job_though_nobody_swept(shop: Shop) -> None:
    shop.subscribe("basic")
    shop.spend(1000)
    shop.set_clock("2026-02-01")
    jobs = shop.bench.jobs(FakeRunner())
    jobs.submit(CLIENT, request(count=8))
    assert shop.bench.balance(CLIENT) == (1000, 8)


def test_a_clock_set_back_gives_nothing_twice(shop: Shop) -> None:
    shop.subscribe("basic")
    shop.set_clock("2026-03-01")
    shop.sweep()
    shop.spend(400)
    for now in ("2026-02-27", "2026-02-28", "2026-03-01", "2026-02-27", "2026-03-31 23:59:59"):
        shop.set_clock(now)
        shop.sweep()
        assert shop.balances() == (600, 0, 0)


def test_a_clock_that_was_a_year_ahead_leaves_one_refill_a_month(shop: Shop) -> None:
    shop.subscribe("basic")
    shop.set_clock("2027-01-20")
    shop.sweep()
    assert shop.balances() == (1000, 0, 0)
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.balances() == (1000, 0, 0)
    assert [month for month, _ in refills(shop)] == ["2026-01", "2027-01", "2026-02"]


def test_what_a_job_holds_of_last_months_credits_it_still_pays_with(shop: Shop) -> None:
    shop.subscribe("basic")
    job = shop.hold(900)
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.bench.balance(CLIENT) == (1900, 900)
    shop.settle(job, 500)
    assert shop.bench.balance(CLIENT) == (1000, 0)


def test_credits_from_elsewhere_survive_the_month_and_the_plan_is_spent_first(shop: Shop) -> None:
    shop.bench.grant(50)
    shop.subscribe("basic")
    shop.spend(1010)
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.balances() == (1040, 0, 0)


def test_a_plan_whose_figure_the_operator_changed_is_refilled_to_the_new_one(shop: Shop) -> None:
    shop.subscribe("basic")
    basic = replace(shop.prices.plans["basic"], credits=1200, keeps_tunes=True)
    shop.prices = replace(shop.prices, plans={"basic": basic})
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.balances() == (1200, 0, 0)
    shop.prices = replace(shop.prices, plans={})
    shop.set_clock("2026-03-01")
    shop.sweep()
    assert shop.balances() == (1200, 0, 0)


def test_a_sweep_of_what_is_up_to_date_does_nothing(shop: Shop) -> None:
    shop.subscribe("basic")
    before = shop.bench.count("entry")
    assert shop.sweep() == 0
    assert shop.bench.count("entry") == before


# --- upgrades, downgrades ---------------------------------------------------------------------------------------------


def test_an_upgrade_gives_the_new_figure_less_what_was_used_since_the_first(shop: Shop) -> None:
    shop.subscribe("basic")
    shop.spend(300)
    job = shop.hold(100)
    done = shop.subscribe("standard")
    assert (done.change.how, done.gives) == ("now", 1500)
    assert shop.bench.balance(CLIENT) == (2200, 100)
    shop.settle(job, 0)
    assert (shop.balances(), shop.plan()) == ((2200, 0, 0), "standard")
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.balances() == (2500, 0, 0)


def test_an_upgrade_in_a_new_month_counts_nothing_of_the_old_one(shop: Shop) -> None:
    shop.subscribe("basic")
    shop.spend(1000)
    shop.set_clock("2026-02-01")
    assert shop.subscribe("business").gives == 5000
    assert shop.balances() == (6000, 0, 0)


def test_what_was_spent_of_other_credits_is_not_counted_against_an_upgrade(shop: Shop) -> None:
    shop.bench.grant(500)
    shop.spend(500)
    assert shop.subscribe("basic").gives == 1000


def test_a_downgrade_takes_effect_with_the_next_period(shop: Shop) -> None:
    shop.subscribe("business")
    done = shop.subscribe("basic")
    assert (done.change.how, done.change.at, done.gives) == ("later", at("2026-02-01"), 0)
    assert (shop.plan(), shop.balances()) == ("business", (6000, 0, 0))
    shop.set_clock("2026-01-31 23:59:59")
    shop.sweep()
    assert shop.plan() == "business"
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert (shop.plan(), shop.balances()) == ("basic", (1000, 0, 0))


def test_a_downgrade_of_an_annual_plan_waits_for_the_end_of_its_year(shop: Shop) -> None:
    shop.subscribe("standard", annual=True)
    assert shop.subscribe("basic").change.at == at("2027-01-01")
    shop.set_clock("2026-12-31")
    shop.sweep()
    assert shop.plan() == "standard"
    shop.set_clock("2027-01-01")
    shop.sweep()
    assert shop.plan() == "basic"


def test_a_downgrade_that_is_changed_again_was_never_bought(shop: Shop) -> None:
    shop.subscribe("business")
    dropped = shop.subscribe("basic").purchase
    shop.subscribe("standard")
    assert dropped is not None
    with pytest.raises(Conflict):
        shop.refund(dropped.id)
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.plan() == "standard"


def test_a_plan_that_a_clock_set_back_has_not_begun_takes_its_credits_with_it(shop: Shop) -> None:
    shop.subscribe("business")
    shop.spend(100)
    shop.bench.clock.now -= 2 * DAY
    done = shop.subscribe("standard")
    assert (done.change.how, done.gives) == ("now", 2400)
    assert shop.balances()[0] == 2400
    assert shop.bench.faults() == []


def test_of_all_plans_that_a_clock_set_back_has_not_begun_none_is_left_beside_a_new_one(shop: Shop) -> None:
    for plan in ("basic", "business", "basic"):
        shop.subscribe(plan)
        shop.bench.clock.now += 60
    shop.bench.clock.now -= 2 * DAY
    assert shop.subscribe("standard").gives == 2500
    assert shop.balances()[0] == 2500
    assert shop.bench.faults() == []
    shop.bench.clock.now += 40 * DAY
    shop.catch_up()
    assert (shop.plan(), shop.balances()[0]) == ("standard", 2500)


def test_a_plan_wanted_again_before_it_ends_goes_on_without_a_new_purchase(shop: Shop) -> None:
    first = shop.subscribe("basic").purchase
    shop.spend(200)
    shop.cancel()
    done = shop.subscribe("basic")
    assert (done.change.how, done.purchase) == ("resumed", first)
    assert (shop.bench.count("purchase"), shop.balances()) == (1, (800, 0, 0))
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.balances() == (1000, 0, 0)


def test_the_plan_one_has_is_not_bought_again(shop: Shop) -> None:
    shop.subscribe("basic")
    with pytest.raises(Refused, match="already"):
        shop.subscribe("basic")
    assert shop.bench.count("purchase") == 1


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_cancelled_plan_runs_to_the_end_of_its_period_and_lapses(shop: Shop) -> None:
    shop.subscribe("standard")
    assert shop.cancel() == at("2026-02-01")
    with pytest.raises(Conflict, match="ends on 1 February 2026"):
        shop.cancel()
    assert (shop.plan(), shop.balances()) == ("standard", (2500, 0, 0))
    shop.set_clock("2026-02-03")
    shop.sweep()
    assert (shop.plan(), shop.balances(), shop.lapse_noticed_at()) == (None, (0, 0, 0), at("2026-02-03"))
    with pytest.raises(NotEnoughCredits):
        shop.hold(1)


def test_cancelling_takes_back_a_downgrade_too(shop: Shop) -> None:
    shop.subscribe("business")
    shop.subscribe("basic")
    assert shop.cancel() == at("2026-02-01")
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.plan() is None


def test_who_has_no_plan_has_none_to_cancel(shop: Shop) -> None:
    with pytest.raises(Refused, match="no plan"):
        shop.cancel()


def test_a_lapse_is_noted_when_it_is_noticed_and_forgotten_with_the_next_plan_that_keeps_tunes(shop: Shop) -> None:
    shop.subscribe("standard")
    assert shop.lapse_noticed_at() is None
    shop.subscribe("basic")  # which keeps none
    shop.set_clock("2026-04-09")
    shop.sweep()
    assert shop.lapse_noticed_at() == at("2026-04-09")
    shop.set_clock("2026-04-20")
    shop.sweep()
    assert shop.lapse_noticed_at() == at("2026-04-09")
    shop.subscribe("standard")
    assert shop.lapse_noticed_at() is None


def test_a_new_plan_after_a_lapse_begins_at_once(shop: Shop) -> None:
    shop.subscribe("standard")
    shop.cancel()
    shop.set_clock("2026-02-01")
    assert shop.subscribe("basic").gives == 1000
    assert (shop.plan(), shop.balances()) == ("basic", (1000, 0, 0))


def test_a_plan_given_back_and_begun_again_in_one_month_gives_one_months_credits(shop: Shop) -> None:
    bought = shop.subscribe("basic").purchase
    assert bought is not None
    shop.spend(300)
    shop.refund(bought.id)
    assert shop.balances() == (0, 0, 0)
    assert shop.subscribe("basic").gives == 700
    assert shop.balances() == (700, 0, 0)


# --- the owner --------------------------------------------------------------------------------------------------------


def test_the_owner_sees_on_a_plan_what_his_clients_see_and_goes_back_to_the_house(shop: Shop) -> None:
    shop.subscribe("basic", account=OWNER)
    shop.spend(1000, account=OWNER)
    with pytest.raises(NotEnoughCredits):
        shop.hold(1, account=OWNER)
    assert shop.lapse_noticed_at(OWNER) is not None
    shop.subscribe("house", account=OWNER)
    assert (shop.plan(OWNER), shop.lapse_noticed_at(OWNER)) == ("house", None)
    shop.hold(1, account=OWNER)
    with pytest.raises(Refused, match="already"):
        shop.subscribe("house", account=OWNER)


def test_the_owner_is_back_on_the_house_when_his_plan_ends(shop: Shop) -> None:
    shop.subscribe("basic", account=OWNER)
    shop.cancel(account=OWNER)
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.plan(OWNER) == "house"


def test_the_house_is_for_the_owner_alone(shop: Shop) -> None:
    with pytest.raises(Refused, match="for the owner alone"):
        shop.subscribe("house")


def test_what_is_read_is_told_to_be_late_exactly_when_it_is(shop: Shop) -> None:
    def late() -> bool:
        with shop.bench.database.read() as tx:
            return subscriptions.is_due(tx, shop.prices, CLIENT, now=shop.bench.clock())

    assert not late()
    shop.subscribe("standard")
    assert not late()
    shop.set_clock("2026-02-01")
    assert late()
    shop.catch_up()
    assert not late()
    shop.cancel()
    assert not late()
    shop.set_clock("2026-03-01")
    assert late()
    shop.catch_up()
    assert not late()
