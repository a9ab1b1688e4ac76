"""The counter tells balances and plans as they are now, lets everybody see his own, and the owner alone give."""

from dataclasses import replace
from typing import Any

import pytest

from studio.counter import Counter
from studio.credits.price_list import shipped
from studio.domain import OWNER, Conflict, NotFound, Refused
from studio.rules import new_id
from tests.credits.shop import DAY, Shop, at, open_shop
from tests.fakes import CLIENT, Bench


@pytest.fixture
def shop(bench: Bench) -> Shop:
    return open_shop(bench)


@pytest.fixture
def counter(shop: Shop) -> Counter:
    return Counter(database=shop.bench.database, prices=lambda: shop.prices, clock=shop.bench.clock)


def playground(counter: Counter, account: str = CLIENT) -> tuple[int, int]:
    found = counter.balances(account)["playground"]
    return found.posted, found.available


def test_a_balance_is_this_months_though_nobody_swept(shop: Shop, counter: Counter) -> None:
    counter.subscribe(OWNER, CLIENT, "basic")
    shop.spend(400)
    assert playground(counter) == (600, 600)
    shop.set_clock("2026-02-01")
    assert playground(counter) == (1000, 1000)
    counter.cancel(CLIENT, CLIENT)
    shop.set_clock("2026-03-01")
    assert playground(counter) == (0, 0)
    assert [entry.phase for entry in counter.history(CLIENT, limit=1)] == ["expire"]


def test_a_plan_is_told_with_what_comes_next(shop: Shop, counter: Counter) -> None:
    none = counter.plan(CLIENT)
    assert (none.name, none.credits, none.refill_at, none.keeps_tunes) == (None, None, None, False)

    counter.subscribe(OWNER, CLIENT, "business", annual=True)
    now = counter.plan(CLIENT)
    assert (now.name, now.title, now.credits, now.annual, now.keeps_tunes) == ("business", "Business", 6000, True, True)
    assert (now.refill_at, now.ends_at, now.then) == (at("2026-02-01"), None, None)

    counter.subscribe(OWNER, CLIENT, "basic")
    now = counter.plan(CLIENT)
    assert (now.name, now.ends_at, now.then) == ("business", at("2027-01-01"), "basic")

    counter.cancel(OWNER, CLIENT)
    shop.set_clock("2026-12-24")
    now = counter.plan(CLIENT)
    assert (now.refill_at, now.ends_at, now.then) == (None, at("2027-01-01"), None)

    shop.set_clock("2027-01-05")
    now = counter.plan(CLIENT)
    assert (now.name, now.lapse_noticed_at) == (None, at("2027-01-05"))
    house = counter.plan(OWNER)
    assert (house.name, house.title, house.credits, house.keeps_tunes) == ("house", "House", None, True)


def test_what_subscribing_would_do_is_what_it_does(shop: Shop, counter: Counter) -> None:
    counter.subscribe(OWNER, CLIENT, "basic")
    shop.spend(300)
    would = counter.would_subscribe(CLIENT, CLIENT, "standard")
    assert (would.gives, would.change.how, playground(counter)) == (1500, "now", (700, 700))
    assert replace(counter.subscribe(OWNER, CLIENT, "standard"), purchase=None) == would


def test_what_a_refund_would_take_is_what_it_takes(shop: Shop, counter: Counter) -> None:
    bought = counter.buy(OWNER, CLIENT, "tune", price=990)
    shop.spend(4, kind="tune_image")
    would = counter.would_refund(CLIENT, bought.id)
    assert would.takes == {"tune": 1, "tune_image": 60}
    assert counter.refund(OWNER, bought.id, reason="did not like it") == would


def test_the_same_click_twice_is_one(counter: Counter) -> None:
    same, grant = new_id(), new_id()
    for _ in range(2):
        counter.buy(OWNER, CLIENT, "tune", purchase_id=same)
        counter.grant(OWNER, CLIENT, "playground", 5, reason="kind", key=grant)
    assert counter.balances(CLIENT)["tune"].posted == 1
    assert playground(counter) == (5, 5)
    with pytest.raises(Conflict):
        counter.grant(OWNER, CLIENT, "playground", 6, reason="kind", key=grant)


def test_the_owner_alone_gives_and_gives_back(counter: Counter) -> None:
    bought = counter.buy(OWNER, CLIENT, "tune")
    for attempt in (
        lambda: counter.buy(CLIENT, CLIENT, "tune"),
        lambda: counter.subscribe(CLIENT, CLIENT, "basic"),
        lambda: counter.grant(CLIENT, CLIENT, "playground", 5, reason="please"),
        lambda: counter.refund(CLIENT, bought.id, reason="please"),
    ):
        with pytest.raises(Refused):
            attempt()


def test_what_is_anothers_does_not_exist(shop: Shop, counter: Counter) -> None:
    with shop.bench.database.write() as tx:
        tx.execute("INSERT INTO account (id, created_at) VALUES ('other', 0)")
    bought = counter.buy(OWNER, CLIENT, "tune")
    for attempt in (
        lambda: counter.purchases("other", CLIENT),
        lambda: counter.purchases("other", None),
        lambda: counter.accounts("other"),
        lambda: counter.would_subscribe("other", CLIENT, "basic"),
        lambda: counter.would_refund("other", bought.id),
        lambda: counter.cancel("other", CLIENT),
        lambda: counter.balances("nobody"),
        lambda: counter.plan("nobody"),
        lambda: counter.history("nobody"),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert [one.id for one in counter.purchases(CLIENT, CLIENT)] == [bought.id]


def test_the_owner_sees_every_account_and_every_purchase_a_page_at_a_time(shop: Shop, counter: Counter) -> None:
    made = [counter.buy(OWNER, account, "tune").id for account in (CLIENT, OWNER, CLIENT)]
    first = counter.purchases(OWNER, None, limit=2)
    assert [one.id for one in first] == [made[2], made[1]]
    assert [one.id for one in counter.purchases(OWNER, None, limit=2, before=first[-1].seq)] == [made[0]]
    counter.subscribe(OWNER, CLIENT, "basic")
    shop.set_clock("2026-02-01")
    accounts = {one.id: one for one in counter.accounts(OWNER)}
    assert {account: one.plan for account, one in accounts.items()} == {CLIENT: "basic", OWNER: "house"}
    assert accounts[CLIENT].balances["tune_image"].posted == 128


def test_history_is_filtered_by_kind_and_phase(shop: Shop, counter: Counter) -> None:
    counter.buy(OWNER, CLIENT, "tune")
    shop.spend(3, kind="tune_image")
    found = counter.history(CLIENT, kind="tune_image", phase="capture")
    assert [(entry.posted_change, entry.job is not None) for entry in found] == [(-3, True)]
    assert len(counter.history(CLIENT, kind="tune")) == 1
    assert len(counter.history(CLIENT)) == 4


def test_this_months_use_is_told_day_by_day(shop: Shop, counter: Counter) -> None:
    shop.set_clock("2026-01-31 23:59:59")
    counter.subscribe(OWNER, CLIENT, "basic")
    shop.spend(7)
    shop.set_clock("2026-02-01")
    shop.catch_up()
    shop.spend(3)
    shop.bench.clock.now += 2 * DAY
    shop.spend(4)
    shop.spend(5)
    month = counter.month(CLIENT)
    assert (month.begins_at, month.today) == (at("2026-02-01"), 3)
    assert month.spent == {"playground": (3, 0, 9, *[0] * 25), "tune": (0,) * 28, "tune_image": (0,) * 28}


def test_the_account_book_is_leafed_through_both_ways(shop: Shop, counter: Counter) -> None:
    for number in range(5):
        counter.grant(OWNER, CLIENT, "tune" if number == 2 else "playground", 1, reason="kind")
        counter.grant(OWNER, OWNER, "playground", 1, reason="another's entries are not counted")

    def told(**asked: Any) -> tuple[list[int], int, int]:
        page = counter.page(CLIENT, limit=2, **asked)
        return [entry.seq for entry in page.entries], page.first, page.total

    assert told() == ([9, 7], 0, 5)
    assert told(before=7) == ([5, 3], 2, 5)
    assert told(before=3) == ([1], 4, 5)
    assert told(after=0) == ([3, 1], 3, 5)
    assert told(after=3) == ([7, 5], 1, 5)
    assert told(after=7) == ([9, 7], 0, 5), "the first page is full"
    assert told(kind="playground", before=9) == ([7, 3], 1, 4)
    assert told(phase="hold") == ([], 0, 0)
    assert counter.page(CLIENT, limit=5).is_last


def test_a_sweep_finds_what_is_due(shop: Shop, counter: Counter) -> None:
    counter.subscribe(OWNER, CLIENT, "basic")
    assert counter.sweep() == 0
    shop.set_clock("2026-02-01")
    assert counter.sweep() == 1
    assert counter.prices() == shipped()
