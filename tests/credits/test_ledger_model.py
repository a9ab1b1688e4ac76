"""Whatever is done in whatever order, the account book agrees with the model, grant for grant, and with itself."""

import contextlib
import math
import shutil
import tempfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from studio.credits import charging, ledger, plans, purchases, refunds, subscriptions, verify
from studio.credits.price_list import shipped
from studio.domain import OWNER, Charge, CreditKind, StudioError
from studio.rules import new_id
from studio.storage import job_store
from studio.storage.database import Tx
from tests.credits.model import FIGURES, PACKS, Model, No
from tests.fakes import CLIENT, Bench, open_bench, request

T = TypeVar("T")
DAY = 86_400
ACCOUNTS = st.sampled_from([CLIENT, OWNER])
KINDS: st.SearchStrategy[CreditKind] = st.sampled_from(["playground", "tune_image"])
JUMPS = st.integers(1, 3) | st.sampled_from([DAY, 12 * DAY, 30 * DAY - 1, 30 * DAY, 95 * DAY, 366 * DAY, -2 * DAY])


@dataclass
class Held:
    job: str
    count: int
    each: int
    parts: list[tuple[int, int]]


class Book(RuleBasedStateMachine):
    """Drives the account book and the model side by side: both do it, or both refuse and are as before."""

    holds: Bundle[Held] = Bundle("holds")
    grants: Bundle[int] = Bundle("grants")
    bought: Bundle[str] = Bundle("bought")
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="likeness-book-"))
        self.bench: Bench
        self.model = Model()

    @initialize()
    def open(self) -> None:
        shutil.copytree(self.template, self.root / "data")
        self.bench = open_bench(self.root / "data")
        with self.bench.database.read() as tx:
            tx.execute("ROLLBACK")
            tx.execute("PRAGMA synchronous = OFF")  # this test is about sums, not about power cuts
            tx.execute("BEGIN")

    def teardown(self) -> None:
        self.bench.database.close()
        shutil.rmtree(self.root)

    @property
    def now(self) -> int:
        return self.bench.clock()

    def both(self, real: Callable[[Tx], object], plain: Callable[[Model], T]) -> T | None:
        """What the model returns; None where it refuses, as the book then must too."""
        trial, told = deepcopy(self.model), None
        try:
            told = plain(trial)
            allowed = True
        except No:
            allowed = False
        done = False
        with contextlib.suppress(StudioError), self.bench.database.write() as tx:
            real(tx)
            done = True
        assert done == allowed
        if done:
            self.model = trial
        return told

    # --- the book ---

    @rule(account=ACCOUNTS, kind=KINDS, amount=st.integers(1, 40), seconds=st.none() | st.integers(1, 5), target=grants)
    def grant(self, account: str, kind: CreditKind, amount: int, seconds: int | None) -> Any:
        expires = None if seconds is None else self.now + seconds
        return self.both(
            lambda tx: ledger.grant(
                tx, account, kind, amount, key=new_id(), source="test", reason="model", now=self.now, expires_at=expires
            ),
            lambda model: model.give((account, kind), amount, math.inf if expires is None else expires),
        )

    @rule(account=ACCOUNTS, kind=KINDS, each=st.integers(1, 300), count=st.integers(1, 8), target=holds)
    def hold(self, account: str, kind: CreditKind, each: int, count: int) -> Held | MultipleResults[Held]:
        job, charge = new_id(), Charge(kind=kind, each=each, count=count)

        def real(tx: Tx) -> None:
            job_store.insert(
                tx, job_id=job, account=account, request=request(count=count), asked="", charges=(charge,), now=self.now
            )
            charging.hold(tx, shipped(), account, (charge,), job=job, now=self.now)

        parts = self.both(real, lambda model: model.hold((account, kind), charge.amount, self.now))
        return multiple() if parts is None else Held(job, count, each, parts)

    @rule(held=consumes(holds), share=st.floats(0, 1))
    def settle(self, held: Held, share: float) -> None:
        delivered = round(share * held.count)

        def real(tx: Tx) -> None:
            tx.execute("UPDATE job SET delivered = ?, state = 'done', ended_at = 0 WHERE id = ?", (delivered, held.job))
            ledger.settle(tx, held.job, delivered=delivered, now=self.now)

        self.both(real, lambda model: model.settle(held.parts, delivered * held.each, self.now))

    @rule(grant=grants)
    def refund_grant(self, grant: int) -> None:
        self.both(
            lambda tx: ledger.refund(tx, grant + 1, reason="model", now=self.now),
            lambda model: model.refund_grant(grant),
        )

    @rule(account=ACCOUNTS, kind=KINDS, amount=st.integers(-20, 20).filter(bool))
    def correct(self, account: str, kind: CreditKind, amount: int) -> None:
        self.both(
            lambda tx: ledger.correct(tx, account, kind, amount, key=new_id(), reason="model", now=self.now),
            lambda model: model.correct((account, kind), amount, self.now),
        )

    @rule()
    def expire(self) -> None:
        self.both(lambda tx: ledger.expire(tx, now=self.now), lambda model: model.expire(self.now))

    @rule(seconds=JUMPS)
    def jump(self, seconds: int) -> None:
        self.bench.clock.now += seconds

    @rule()
    def to_the_first(self) -> None:
        self.bench.clock.now = plans.first_of_month(self.now, 1)

    # --- plans and purchases ---

    @rule(account=ACCOUNTS, plan=st.sampled_from(sorted(FIGURES)), target=bought)
    def subscribe(self, account: str, plan: str) -> str | MultipleResults[str]:
        purchase = new_id()
        self.both(
            lambda tx: subscriptions.subscribe(
                tx, shipped(), account, plan, by=OWNER, now=self.now, purchase_id=purchase
            ),
            lambda model: model.subscribe(account, plan, purchase, self.now),
        )
        return purchase if purchase in self.model.bought else multiple()

    @rule(account=ACCOUNTS)
    def cancel(self, account: str) -> None:
        self.both(
            lambda tx: subscriptions.cancel(tx, shipped(), account, by=OWNER, now=self.now),
            lambda model: model.cancel(account, self.now),
        )

    @rule(account=ACCOUNTS, pack=st.sampled_from(sorted(PACKS)), target=bought)
    def buy(self, account: str, pack: str) -> str:
        purchase = new_id()
        self.both(
            lambda tx: purchases.buy(tx, shipped(), account, pack, by=OWNER, now=self.now, purchase_id=purchase),
            lambda model: model.buy(account, pack, purchase, self.now),
        )
        return purchase

    @rule(purchase=bought)
    def refund(self, purchase: str) -> None:
        self.both(
            lambda tx: refunds.refund(tx, shipped(), purchase, by=OWNER, reason="model", now=self.now),
            lambda model: model.refund(purchase, self.now),
        )

    @rule()
    def sweep(self) -> None:
        """By which plans lapse and begin, and months turn."""
        subscriptions.sweep(self.bench.database, shipped(), now=self.now)
        for account in (CLIENT, OWNER):
            self.model.catch_up(account, self.now)

    # --- at every step ---

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "bench"):
            return
        with self.bench.database.read() as tx:
            assert verify.faults(tx) == []
            rows = tx.execute("SELECT account, kind, remaining, allocated FROM grant ORDER BY id").fetchall()
            spent = tx.execute("SELECT coalesce(sum(captured), 0) FROM hold").fetchone()[0]
        expected = [(*grant.purse, grant.free + grant.held, grant.held) for grant in self.model.grants]
        assert [tuple(row) for row in rows] == expected
        assert spent == sum(grant.spent for grant in self.model.grants)


@pytest.mark.parametrize("runs", [40, pytest.param(2000, marks=[pytest.mark.nightly, pytest.mark.timeout(7200)])])
def test_the_book_agrees_with_the_model(tmp_path: Path, runs: int) -> None:
    open_bench(tmp_path / "template").database.close()
    Book.template = tmp_path / "template"
    run = Book.TestCase
    run.settings = settings(
        max_examples=runs, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run("runTest").runTest()
