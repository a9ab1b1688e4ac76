"""A job's price is held whole or not at all, and who cannot pay is told the missing number and what would give it."""

from dataclasses import replace

import pytest

from studio.credits import charging
from studio.credits.standing import standing_of
from studio.domain import OWNER, CreditKind, NotEnoughCredits
from studio.rules import new_id
from tests.credits.shop import Shop
from tests.fakes import CLIENT, FakeRunner, request


def remedy(shop: Shop, kind: CreditKind, missing: int, account: str = CLIENT) -> str:
    with shop.bench.database.read() as tx:
        standing = standing_of(tx, account, now=shop.bench.clock())
    return charging.remedy(shop.prices, kind, missing, standing, now=shop.bench.clock())


def test_without_a_plan_the_smallest_that_gives_enough_is_named(shop: Shop) -> None:
    assert remedy(shop, "playground", 6) == "What would give them: the plan Basic with 1000 a month."
    assert remedy(shop, "playground", 1001) == "What would give them: the plan Standard with 2500 a month."


def test_on_a_plan_the_upgrade_and_the_refill_are_named(shop: Shop) -> None:
    shop.subscribe("basic")
    assert remedy(shop, "playground", 1000) == (
        "What would give them: the plan Standard with 1500 more at once; the refill to 1000 on 1 February 2026."
    )
    assert remedy(shop, "playground", 1501) == "What would give them: the plan Business with 5000 more at once."
    shop.cancel()
    assert remedy(shop, "playground", 6) == "What would give them: the plan Standard with 1500 more at once."


def test_tunes_and_avatars_come_in_packs(shop: Shop) -> None:
    assert remedy(shop, "tune", 2) == "What would give them: 2 times the pack Tune with 1."
    assert remedy(shop, "tune_image", 65) == (
        "What would give them: 2 times the pack Tune with 64; the pack 104 more AI avatars with 104."
    )


def test_where_nothing_on_offer_gives_enough_there_is_still_the_owner(shop: Shop) -> None:
    assert remedy(shop, "playground", 7000) == "The owner of this studio can grant them."
    shop.prices = replace(shop.prices, packs={})
    assert remedy(shop, "tune", 1) == "The owner of this studio can grant them."


def test_the_owner_on_a_plan_is_told_of_his_house(shop: Shop) -> None:
    shop.subscribe("basic", account=OWNER)
    assert "the house plan, on which nothing is refused" in remedy(shop, "tune", 1, OWNER)


def test_a_refused_job_tells_the_number_that_is_missing_and_what_would_give_it(shop: Shop) -> None:
    shop.bench.grant(2)
    with pytest.raises(NotEnoughCredits) as caught:
        shop.bench.jobs(FakeRunner()).submit(CLIENT, request(count=8))
    assert caught.value.message == (
        "This needs 8 playground credits; 2 available, 6 missing. "
        "What would give them: the plan Basic with 1000 a month."
    )
    assert (caught.value.needed, caught.value.available) == (8, 2)
    assert shop.bench.count("job") == 0


@pytest.mark.parametrize(("avatars", "playground"), [(8, 0), (0, 8), (7, 8), (8, 7)])
def test_an_avatar_with_a_tool_starts_only_if_both_of_its_prices_can_be_held(
    shop: Shop, avatars: int, playground: int
) -> None:
    for kind, amount in (("tune_image", avatars), ("playground", playground)):
        if amount:
            shop.bench.grant(amount, kind=kind, key=kind)  # type: ignore[arg-type]
    shop.bench.tune("t1")
    with pytest.raises(NotEnoughCredits):
        shop.bench.jobs(FakeRunner()).submit(CLIENT, request(count=8, tune="t1", super_resolution=True))
    assert shop.balances() == (playground, 0, avatars)
    assert (shop.bench.count("job"), shop.bench.count("hold")) == (1, 0), "the training's alone"


def test_an_avatar_with_a_tool_holds_both_of_its_prices(shop: Shop) -> None:
    shop.bench.grant(8, kind="tune_image", key="a")
    shop.bench.grant(8, key="b")
    shop.bench.tune("t1")
    job = shop.bench.jobs(FakeRunner()).submit(CLIENT, request(count=8, tune="t1", super_resolution=True))
    assert [(charge.kind, charge.amount) for charge in job.charges] == [("tune_image", 8), ("playground", 8)]
    assert shop.bench.balance(CLIENT) == shop.bench.balance(CLIENT, "tune_image") == (8, 8)


def test_the_same_request_sent_a_hundred_times_is_one_job_and_one_hold(shop: Shop) -> None:
    shop.bench.grant(100)
    jobs, same = shop.bench.jobs(FakeRunner()), new_id()
    assert len({jobs.submit(CLIENT, request(count=8), job_id=same).id for _ in range(100)}) == 1
    assert (shop.bench.count("job"), shop.bench.count("hold"), shop.bench.balance(CLIENT)) == (1, 1, (100, 8))
