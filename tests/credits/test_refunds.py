"""A purchase goes back within thirty days, to the second, and takes with it what is left of it and nothing else."""

from dataclasses import replace

import pytest

from studio.credits.purchases import Purchase, newest
from studio.credits.refunds import Given, decide
from studio.domain import OWNER, Conflict, NotFound, Refused
from studio.rules import new_id
from tests.credits.shop import DAY, Shop, at
from tests.fakes import CLIENT

BOUGHT = Purchase(
    seq=1, id="p", account="client", what="pack", name="tune", title="Tune", annual=False, price=None, currency="USD",
    recorded_by="owner", recorded_at=1_000, bought_at=1_000, refund_before=1_000 + 30 * DAY, refunded_at=None,
    refunded_by=None, refund_reason=None,
)  # fmt: skip


def given(left: int, held: int = 0, *, kind: str = "tune_image", grant: int = 7) -> Given:
    return Given(grant=grant, kind=kind, amount=64, left=left, held=held)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grants", "ends_plan", "takes", "held", "from_grants"),
    [
        ([given(64)], False, {"tune_image": 64}, {}, (7,)),
        ([given(40, 16)], False, {"tune_image": 24}, {"tune_image": 16}, (7,)),
        ([given(16, 16)], False, {}, {"tune_image": 16}, (7,)),
        ([given(0), given(1, kind="tune", grant=8)], False, {"tune": 1}, {}, (8,)),
        ([given(5), given(6, 1, grant=8)], False, {"tune_image": 10}, {"tune_image": 1}, (7, 8)),
        ([given(0)], True, {}, {}, ()),
        ([], True, {}, {}, ()),
    ],
)
def test_what_a_refund_takes(
    grants: list[Given], ends_plan: bool, takes: dict[str, int], held: dict[str, int], from_grants: tuple[int, ...]
) -> None:
    found = decide(BOUGHT, grants, ends_plan=ends_plan, now=2_000)
    assert (found.takes, found.held, found.grants, found.ends_plan) == (takes, held, from_grants, ends_plan)


def test_what_is_spent_too_late_or_back_already_is_refused() -> None:
    with pytest.raises(Refused, match="it is spent"):
        decide(BOUGHT, [given(0)], ends_plan=False, now=2_000)
    with pytest.raises(Refused, match="too late"):
        decide(BOUGHT, [given(64)], ends_plan=True, now=1_000 + 30 * DAY)
    with pytest.raises(Conflict, match="already given back"):
        decide(replace(BOUGHT, refunded_at=1_500), [given(64)], ends_plan=True, now=2_000)


# --- packs ------------------------------------------------------------------------------------------------------------


def test_a_pack_gives_its_credits_and_records_price_and_who_recorded_it(shop: Shop) -> None:
    tune = replace(shop.prices.packs["tune"], price=990)
    shop.prices = replace(shop.prices, packs={**shop.prices.packs, "tune": tune}, currency="EUR")
    bought = shop.buy("tune")
    assert shop.balances() == (0, 1, 64)
    assert (bought.price, bought.currency, bought.recorded_by, bought.bought_at, bought.title) == (
        990, "EUR", OWNER, shop.bench.clock(), "Tune",
    )  # fmt: skip
    assert shop.buy("avatars-104", price=1500).price == 1500
    assert shop.balances() == (0, 1, 168)


def test_a_pack_without_a_price_is_recorded_without_one(shop: Shop) -> None:
    assert shop.buy("tune").price is None


def test_packs_do_not_expire(shop: Shop) -> None:
    shop.buy("tune")
    shop.set_clock("2036-01-01")
    shop.sweep()
    assert shop.balances() == (0, 1, 64)


def test_the_same_purchase_sent_again_is_one(shop: Shop) -> None:
    same = new_id()
    assert shop.buy("tune", purchase_id=same) == shop.buy("tune", purchase_id=same)
    assert shop.balances() == (0, 1, 64)
    for other in (lambda: shop.buy("avatars-104", purchase_id=same), lambda: shop.subscribe("basic", purchase_id=same)):
        with pytest.raises(Conflict):
            other()


def test_only_the_owner_records_purchases_and_refunds(shop: Shop) -> None:
    with pytest.raises(Refused, match="recorded by the owner"):
        shop.buy("tune", by=CLIENT)
    bought = shop.buy("tune")
    with pytest.raises(Refused, match="recorded by the owner"):
        shop.refund(bought.id, by=CLIENT)
    assert shop.balances() == (0, 1, 64)


@pytest.mark.parametrize("price", [-1, True, 9.9, "9"])
def test_a_price_that_is_none_is_refused(shop: Shop, price: object) -> None:
    with pytest.raises(Refused) as caught:
        shop.buy("tune", price=price)  # type: ignore[arg-type]
    assert caught.value.field == "price"
    assert shop.bench.count("purchase") == 0


def test_a_refund_says_what_it_will_do_and_then_does_it(shop: Shop) -> None:
    bought = shop.buy("tune")
    shop.spend(20, kind="tune_image")
    will = shop.preview_refund(bought.id)
    assert shop.balances() == (0, 1, 44)
    assert will.takes == {"tune": 1, "tune_image": 44}
    assert shop.refund(bought.id) == will
    assert shop.balances() == (0, 0, 0)
    with shop.bench.database.read() as tx:
        (noted,) = newest(tx, CLIENT)
    assert (noted.refunded_at, noted.refunded_by, noted.refund_reason) == (shop.bench.clock(), OWNER, "asked for")


def test_a_refund_leaves_other_purchases_alone(shop: Shop) -> None:
    shop.buy("avatars-104")
    bought = shop.buy("tune")
    shop.spend(10, kind="tune_image")  # of the older one
    shop.refund(bought.id)
    assert shop.balances() == (0, 0, 94)


@pytest.mark.parametrize(("second", "allowed"), [(30 * DAY - 1, True), (30 * DAY, False)])
def test_thirty_days_are_thirty_days_to_the_second(shop: Shop, second: int, allowed: bool) -> None:
    bought = shop.buy("tune")
    shop.bench.clock.now += second
    if allowed:
        shop.refund(bought.id)
        assert shop.balances() == (0, 0, 0)
        return
    with pytest.raises(Refused, match="too late"):
        shop.refund(bought.id)
    assert shop.balances() == (0, 1, 64)


def test_the_operator_may_allow_fewer_days_for_what_is_bought_from_then_on(shop: Shop) -> None:
    before = shop.buy("tune")
    shop.prices = replace(shop.prices, refund_days=1)
    after = shop.buy("tune")
    shop.bench.clock.now += 2 * DAY
    with pytest.raises(Refused):
        shop.refund(after.id)
    shop.refund(before.id)


def test_nothing_goes_back_twice(shop: Shop) -> None:
    bought = shop.buy("tune")
    shop.refund(bought.id)
    with pytest.raises(Conflict):
        shop.refund(bought.id)
    assert shop.balances() == (0, 0, 0)


def test_what_jobs_hold_stays_with_them_and_only_the_rest_goes_back(shop: Shop) -> None:
    bought = shop.buy("tune")
    job = shop.hold(60, kind="tune_image")
    will = shop.preview_refund(bought.id)
    assert (will.takes, will.held) == ({"tune": 1, "tune_image": 4}, {"tune_image": 60})
    shop.refund(bought.id)
    assert shop.bench.balance(CLIENT, "tune_image") == (60, 60)
    # What the job does not deliver was given back with the rest: nobody gets it twice.
    shop.settle(job, 50)
    assert shop.bench.balance(CLIENT, "tune_image") == (0, 0)


def test_a_pack_that_is_all_held_can_go_back(shop: Shop) -> None:
    bought = shop.buy("avatars-104")
    job = shop.hold(104, kind="tune_image")
    shop.refund(bought.id)
    assert shop.bench.balance(CLIENT, "tune_image") == (104, 104)
    shop.settle(job, 0)
    assert shop.bench.balance(CLIENT, "tune_image") == (0, 0)


def test_a_pack_that_is_spent_does_not_go_back(shop: Shop) -> None:
    bought = shop.buy("avatars-104")
    shop.spend(104, kind="tune_image")
    with pytest.raises(Refused, match="spent"):
        shop.refund(bought.id)


@pytest.mark.parametrize(
    ("purchase", "error"), [("no uuid", Refused), (new_id(), NotFound)], ids=["no uuid", "nobody's"]
)
def test_what_was_never_bought_does_not_go_back(shop: Shop, purchase: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        shop.refund(purchase)


# --- plans ------------------------------------------------------------------------------------------------------------


def subscribed(shop: Shop, plan: str, *, annual: bool = False) -> str:
    bought = shop.subscribe(plan, annual=annual).purchase
    assert bought is not None
    return bought.id


def test_a_plan_given_back_ends_and_takes_the_rest(shop: Shop) -> None:
    bought = subscribed(shop, "standard")
    shop.spend(400)
    shop.bench.grant(5)
    will = shop.preview_refund(bought)
    assert (will.takes, will.ends_plan) == ({"playground": 2100}, True)
    shop.refund(bought)
    assert (shop.balances(), shop.plan(), shop.lapse_noticed_at()) == ((5, 0, 0), None, shop.bench.clock())
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert shop.balances() == (5, 0, 0)


@pytest.mark.parametrize(("second", "allowed"), [(30 * DAY - 1, True), (30 * DAY, False)])
def test_a_plan_goes_back_within_thirty_days_though_the_month_has_turned(
    shop: Shop, second: int, allowed: bool
) -> None:
    bought = subscribed(shop, "basic", annual=True)
    shop.bench.clock.now += second
    if allowed:
        shop.refund(bought)
        assert (shop.balances(), shop.plan()) == ((0, 0, 0), None)
        return
    with pytest.raises(Refused, match="too late"):
        shop.refund(bought)
    shop.sweep()
    assert (shop.balances(), shop.plan()) == ((1000, 0, 0), "basic")


def test_a_plan_that_is_spent_still_ends(shop: Shop) -> None:
    bought = subscribed(shop, "basic")
    shop.spend(1000)
    assert shop.refund(bought).takes == {}
    assert shop.plan() is None


def test_an_upgrade_given_back_ends_the_plan_with_all_its_credits(shop: Shop) -> None:
    subscribed(shop, "basic")
    bought = subscribed(shop, "business")
    shop.spend(500)
    assert shop.refund(bought).takes == {"playground": 5500}
    assert (shop.balances(), shop.plan()) == ((0, 0, 0), None)


def test_a_plan_that_an_upgrade_took_the_place_of_gives_back_its_own_credits_alone(shop: Shop) -> None:
    bought = subscribed(shop, "basic")
    subscribed(shop, "business")
    shop.spend(300)
    will = shop.refund(bought)
    assert (will.takes, will.ends_plan) == ({"playground": 700}, False)
    assert (shop.balances(), shop.plan()) == ((5000, 0, 0), "business")


def test_a_plan_given_back_takes_the_one_that_would_follow_with_it(shop: Shop) -> None:
    bought = subscribed(shop, "business")
    later = subscribed(shop, "basic")
    shop.refund(bought)
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert (shop.plan(), shop.balances()) == (None, (0, 0, 0))
    with pytest.raises(Conflict):
        shop.refund(later)


def test_a_plan_given_back_before_it_begins_does_not_begin(shop: Shop) -> None:
    subscribed(shop, "business")
    later = subscribed(shop, "basic")
    will = shop.refund(later)
    assert (will.takes, will.ends_plan) == ({}, True)
    assert (shop.plan(), shop.balances()) == ("business", (6000, 0, 0))
    shop.set_clock("2026-02-01")
    shop.sweep()
    assert (shop.plan(), shop.balances()) == (None, (0, 0, 0))


def test_thirty_days_of_a_downgrade_count_from_when_it_begins(shop: Shop) -> None:
    subscribed(shop, "business")
    later = subscribed(shop, "basic")
    shop.bench.clock.now = at("2026-02-01") + 30 * DAY - 1
    shop.refund(later)
    assert shop.plan() is None


def test_a_lapsed_plan_of_which_nothing_is_left_does_not_go_back(shop: Shop) -> None:
    bought = subscribed(shop, "basic")
    shop.cancel()
    shop.set_clock("2026-02-02")
    with pytest.raises(Refused):
        shop.refund(bought)


# --- what is written stays --------------------------------------------------------------------------------------------


def test_the_account_book_says_what_was_bought_at_what_price_and_by_whom_it_was_recorded(shop: Shop) -> None:
    bought = shop.buy("tune", price=990)
    with shop.bench.database.read() as tx:
        reasons = {row["reason"] for row in tx.execute("SELECT reason FROM entry")}
    assert reasons == {f"pack Tune, 9.90 USD, recorded by owner as {bought.id}"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE purchase SET price = 1",
        "UPDATE purchase SET recorded_by = 'somebody'",
        "UPDATE purchase SET refund_before = refund_before + 1",
        "UPDATE purchase SET refunded_at = NULL, refunded_by = NULL, refund_reason = NULL",
        "DELETE FROM purchase",
    ],
)
def test_a_purchase_is_never_changed(shop: Shop, statement: str) -> None:
    shop.refund(shop.buy("tune").id)
    with pytest.raises(Exception, match="only ever added to"), shop.bench.database.write() as tx:
        tx.execute(statement)


def test_a_refund_of_nobodys_money_leaves_the_database_as_it_was(shop: Shop) -> None:
    bought = shop.buy("avatars-104")
    shop.spend(104, kind="tune_image")
    before = shop.bench.count("entry")
    with pytest.raises(Refused):
        shop.refund(bought.id)
    assert shop.bench.count("entry") == before
