"""Four hundred days of fifty accounts: one refill a month and never two, whatever happens to machine and clock."""

import random
from collections import Counter

import pytest

from studio.credits import ledger, plans, subscriptions
from studio.credits.price_list import shipped
from studio.domain import OWNER
from studio.storage.database import Database
from tests.credits.shop import DAY, at
from tests.fakes import Bench

PLANS = ("basic", "standard", "business")
FULL = pytest.param(400, 50, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])


class Days:
    """The machine through the days: swept hourly at best, restarted, switched off, its clock set wrong and right."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.draw = random.Random(seed)
        self.database = bench.database
        self.subscribed: dict[str, str] = {}

    def subscribe(self, account: str, now: int) -> None:
        plan = self.draw.choice(PLANS)
        with self.database.write() as tx:
            ledger.open_account(tx, account, now=now)
            subscriptions.subscribe(tx, shipped(), account, plan, annual=self.draw.random() < 0.5, by=OWNER, now=now)
        self.subscribed[account] = plan

    def restart(self) -> None:
        if self.database is not self.bench.database:
            self.database.close()
        self.database = Database(self.bench.database.path)
        with self.database.read() as tx:
            tx.execute("ROLLBACK")
            tx.execute("PRAGMA synchronous = OFF")  # this test is about dates, not about power cuts
            tx.execute("BEGIN")

    def visit(self, now: int) -> None:
        """One time that the studio looks: by the sweep, or since accounts do something."""
        if self.draw.random() < 0.5:
            subscriptions.sweep(self.database, shipped(), now=now)
        for account in self.draw.sample(sorted(self.subscribed), len(self.subscribed) // 5 or 1):
            with self.database.write() as tx:
                subscriptions.catch_up(tx, shipped(), account, now=now)

    def check(self, now: int, *, clock_is_right: bool) -> None:
        """After a sweep, every account has this month's refill, and no month was refilled twice."""
        subscriptions.sweep(self.database, shipped(), now=now)
        month = plans.month_name(now)
        with self.database.read() as tx:
            keys = [row["key"] for row in tx.execute("SELECT key FROM grant WHERE source = 'plan'")]
            left = dict(
                tx.execute(
                    "SELECT account, sum(remaining) FROM grant WHERE source = 'plan' GROUP BY account"
                ).fetchall()
            )
        months = Counter((key.split(":")[1], key.split(":")[2]) for key in keys)
        assert max(months.values()) == 1
        for account, plan in self.subscribed.items():
            if clock_is_right:
                assert months[account, month] == 1, f"{account} has no refill in {month}"
            # Nobody spends here, so that what there is is the plan's figure: set, never added to.
            assert left[account] == shipped().plans[plan].credits


@pytest.mark.parametrize(("days", "accounts"), [(100, 6), FULL])
def test_no_month_is_refilled_twice_and_none_is_missing(bench: Bench, days: int, accounts: int) -> None:
    machine = Days(bench, seed=days)
    machine.restart()
    began = at("2026-01-20 12:00:00")
    for number in range(accounts):
        machine.subscribe(f"account {number}", began)
    off_until = -1
    for day in range(days):
        now = began + day * DAY
        if day <= off_until:
            continue
        what = machine.draw.random()
        if what < 0.05:
            machine.restart()
        elif what < 0.06:
            off_until = day + 92  # three months
            continue
        elif what < 0.10:
            machine.visit(now - 2 * DAY)  # the clock went back, and is set right
        machine.visit(now + machine.draw.randrange(DAY))
        machine.check(now, clock_is_right=True)
    with machine.database.read() as tx:
        used = tx.execute("SELECT count(DISTINCT key) FROM grant WHERE source = 'plan'").fetchone()[0]
    assert used >= accounts * 2
    assert bench.faults() == []
    machine.database.close()


@pytest.mark.parametrize("day", [0, 11, 12, 40])
def test_a_clock_a_year_ahead_for_a_while_neither_doubles_nor_stops_the_refills(bench: Bench, day: int) -> None:
    machine = Days(bench, seed=day)
    machine.restart()
    began = at("2026-01-20 12:00:00")
    machine.subscribe("account", began)
    for today in range(day + 70):
        now = began + today * DAY
        if today == day:
            machine.check(now + 365 * DAY, clock_is_right=True)
        machine.check(now, clock_is_right=True)
    machine.database.close()


def test_a_clock_a_year_ahead_for_good_is_a_machine_that_was_off_for_a_year(bench: Bench) -> None:
    machine = Days(bench, seed=1)
    machine.restart()
    began = at("2026-01-20 12:00:00")
    machine.subscribe("account", began)
    for today in (0, 1, 366, 367, 400):
        machine.check(began + today * DAY, clock_is_right=True)
    with machine.database.read() as tx:
        assert tx.execute("SELECT count(*) FROM grant WHERE source = 'plan'").fetchone()[0] == 3
    machine.database.close()
