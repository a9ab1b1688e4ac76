"""Credits are granted, held, captured, released and expire by the rules, and nothing written is ever changed."""

import sqlite3

import pytest

from studio.credits import book, ledger
from studio.domain import OWNER, Charge, Conflict, CreditKind, NotEnoughCredits, NotFound, Refused
from studio.rules import new_id
from studio.storage import job_store
from tests.fakes import CLIENT, Bench, request


def new_job(bench: Bench, account: str = CLIENT, count: int = 8) -> str:
    """A queued job without a hold."""
    job = new_id()
    with bench.database.write() as tx:
        job_store.insert(
            tx, job_id=job, account=account, request=request(count=count), asked="", charges=(), now=bench.clock()
        )
    return job


def hold(bench: Bench, amount: int, account: str = CLIENT, kind: CreditKind = "playground") -> str:
    job = new_job(bench, account, count=min(amount, 8))
    with bench.database.write() as tx:
        charge = Charge(kind=kind, each=1, count=amount)
        ledger.hold(tx, account, charge, job=job, now=bench.clock())
    return job


def settle(bench: Bench, job: str, delivered: int) -> None:
    """Ends the job as jobs.py does: row and book in one transaction."""
    with bench.database.write() as tx:
        tx.execute("UPDATE job SET delivered = ?, state = 'cancelled', ended_at = 0 WHERE id = ?", (delivered, job))
        ledger.settle(tx, job, delivered=delivered, now=bench.clock())


def phases(bench: Bench, account: str = CLIENT) -> list[tuple[str, int, int]]:
    with bench.database.read() as tx:
        entries = book.history(tx, account)
    return [(entry.phase, entry.posted_change, entry.held_change) for entry in reversed(entries)]


def grant_at(bench: Bench, amount: int, key: str, expires_at: int | None, priority: int = ledger.PACK_LATER) -> int:
    with bench.database.write() as tx:
        return ledger.grant(
            tx, CLIENT, "playground", amount, key=key, source="test", reason="for the test", now=bench.clock(),
            expires_at=expires_at, priority=priority,
        )  # fmt: skip


def remaining(bench: Bench) -> dict[str, int]:
    with bench.database.read() as tx:
        return {row["key"]: row["remaining"] for row in tx.execute("SELECT key, remaining FROM grant")}


def test_what_is_delivered_is_captured_and_the_rest_released(bench: Bench) -> None:
    bench.grant(10)
    job = hold(bench, 8)
    assert bench.balance(CLIENT) == (10, 8)
    settle(bench, job, 5)
    assert bench.balance(CLIENT) == (5, 0)
    assert phases(bench) == [("grant", 10, 0), ("hold", 0, 8), ("capture", -5, -5), ("release", 0, -3)]


def test_a_hold_beyond_the_balance_is_refused_with_the_missing_number(bench: Bench) -> None:
    bench.grant(10)
    hold(bench, 8)
    with pytest.raises(NotEnoughCredits, match="1 missing") as caught:
        hold(bench, 3)
    assert (caught.value.kind, caught.value.needed, caught.value.available) == ("playground", 3, 2)
    assert bench.balance(CLIENT) == (10, 8)


def test_credits_of_one_kind_do_not_pay_for_another(bench: Bench) -> None:
    bench.grant(10, kind="tune_image")
    with pytest.raises(NotEnoughCredits):
        hold(bench, 1, kind="playground")


def test_the_house_is_granted_what_is_missing_and_keeps_nothing_of_it(bench: Bench) -> None:
    job = hold(bench, 8, account=OWNER)
    assert bench.balance(OWNER) == (8, 8)
    settle(bench, job, 5)
    assert bench.balance(OWNER) == (0, 0)
    assert [phase for phase, *_ in phases(bench, OWNER)] == ["grant", "hold", "capture", "release", "expire"]


def test_the_house_spends_its_own_credits_first(bench: Bench) -> None:
    with bench.database.write() as tx:
        ledger.grant(tx, OWNER, "playground", 6, key="own", source="owner", reason="own", now=bench.clock())
    job = hold(bench, 8, account=OWNER)
    settle(bench, job, 5)
    assert bench.balance(OWNER) == (1, 0)


def test_burning_begins_with_what_expires_soonest_then_with_what_is_oldest(bench: Bench) -> None:
    now = bench.clock()
    grant_at(bench, 3, "pack, old", None)
    grant_at(bench, 3, "pack, new", None)
    grant_at(bench, 3, "plan", now + 100, ledger.PLAN_FIRST)
    grant_at(bench, 3, "promotion", now + 50)
    for spent, left in (
        (2, {"promotion": 1, "plan": 3, "pack, old": 3, "pack, new": 3}),
        (3, {"promotion": 0, "plan": 1, "pack, old": 3, "pack, new": 3}),
        (3, {"promotion": 0, "plan": 0, "pack, old": 1, "pack, new": 3}),
        (4, {"promotion": 0, "plan": 0, "pack, old": 0, "pack, new": 0}),
    ):
        settle(bench, hold(bench, spent), spent)
        assert remaining(bench) == left


def test_at_the_same_expiry_the_plan_comes_before_the_pack(bench: Bench) -> None:
    grant_at(bench, 3, "pack", bench.clock() + 100)
    grant_at(bench, 3, "plan", bench.clock() + 100, ledger.PLAN_FIRST)
    settle(bench, hold(bench, 2), 2)
    assert remaining(bench) == {"pack": 3, "plan": 1}


def test_expiry_leaves_what_a_job_holds_until_it_is_released(bench: Bench) -> None:
    grant_at(bench, 10, "plan", bench.clock() + 100)
    job = hold(bench, 6)
    bench.clock.now += 100
    with bench.database.write() as tx:
        assert ledger.expire(tx, now=bench.clock()) == 4
    assert bench.balance(CLIENT) == (6, 6)
    settle(bench, job, 2)
    assert bench.balance(CLIENT) == (0, 0)
    assert phases(bench)[-3:] == [("capture", -2, -2), ("release", 0, -4), ("expire", -4, 0)]


def test_expired_credits_pay_for_nothing_though_nobody_swept(bench: Bench) -> None:
    grant_at(bench, 10, "plan", bench.clock() + 100)
    bench.clock.now += 99
    hold(bench, 1)
    bench.clock.now += 1
    with pytest.raises(NotEnoughCredits):
        hold(bench, 1)


def test_the_same_grant_again_is_one_and_another_under_its_key_is_refused(bench: Bench) -> None:
    assert bench.grant(10, key="refill") == bench.grant(10, key="refill")
    assert bench.balance(CLIENT) == (10, 0)
    with pytest.raises(Conflict):
        bench.grant(11, key="refill")


def test_a_refund_takes_back_what_is_left_and_only_once(bench: Bench) -> None:
    grant = bench.grant(10)
    settle(bench, hold(bench, 3), 3)
    hold(bench, 2)
    with bench.database.write() as tx:
        assert ledger.refund(tx, grant, reason="asked for", now=bench.clock()) == 5
    assert bench.balance(CLIENT) == (2, 2)
    with pytest.raises(Conflict), bench.database.write() as tx:
        ledger.refund(tx, grant, reason="asked for", now=bench.clock())


def test_a_correction_gives_or_takes_and_the_same_one_again_does_nothing(bench: Bench) -> None:
    def correct(amount: int, key: str) -> None:
        with bench.database.write() as tx:
            ledger.correct(tx, CLIENT, "playground", amount, key=key, reason="counted wrong", now=bench.clock())

    correct(10, "a")
    correct(10, "a")
    correct(-4, "b")
    correct(-4, "b")
    assert bench.balance(CLIENT) == (6, 0)
    with pytest.raises(Conflict):
        correct(-5, "b")
    with pytest.raises(Refused, match="Only 6"):
        correct(-7, "c")
    with pytest.raises(Refused):
        correct(0, "d")
    assert bench.balance(CLIENT) == (6, 0)


def test_a_settled_hold_is_not_settled_again(bench: Bench) -> None:
    bench.grant(10)
    job = hold(bench, 8)
    settle(bench, job, 5)
    with bench.database.write() as tx:
        ledger.settle(tx, job, delivered=5, now=bench.clock())
    assert bench.balance(CLIENT) == (5, 0)


@pytest.mark.parametrize("amount", [0, -1, True, 1.0, "5", 2**63])
def test_only_whole_positive_numbers_are_granted(bench: Bench, amount: object) -> None:
    with pytest.raises(Refused):
        bench.grant(amount)  # type: ignore[arg-type]


def test_there_is_nothing_to_grant_to_nobody(bench: Bench) -> None:
    with pytest.raises(NotFound), bench.database.write() as tx:
        ledger.grant(tx, "nobody", "playground", 1, key="k", source="owner", reason="r", now=0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET posted_change = 1000 WHERE seq = 1",
        "DELETE FROM entry",
        "INSERT OR REPLACE INTO entry SELECT * FROM entry WHERE seq = 1",
    ],
)
def test_the_book_is_only_ever_added_to(bench: Bench, statement: str) -> None:
    bench.grant(10)
    with pytest.raises(sqlite3.IntegrityError, match="only ever added to"), bench.database.write() as tx:
        tx.execute(statement)
