"""Whatever is done in whatever order, the account book agrees with a model of a few lines, and with itself."""

import contextlib
import math
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

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

from studio.credits import ledger, verify
from studio.domain import OWNER, Charge, Conflict, CreditKind, NotEnoughCredits, Refused
from studio.rules import new_id
from studio.storage import job_store
from tests.fakes import CLIENT, Bench, open_bench, request

ACCOUNTS = st.sampled_from([CLIENT, OWNER])
KINDS: st.SearchStrategy[CreditKind] = st.sampled_from(["playground", "tune_image"])
Purse = tuple[str, str]  # account and kind


@dataclass
class ModelGrant:
    """What one grant has left, free and held."""

    expires: float
    order: int
    free: int
    held: int = 0


@dataclass
class Model:
    """The rules of the account book, as plainly as they can be said. Grants by purse, a hold as (grant, amount)s."""

    grants: dict[Purse, list[ModelGrant]] = field(default_factory=dict)
    spent: int = 0
    made: int = 0

    def expire(self, now: int, accounts: tuple[str, ...] = (CLIENT, OWNER)) -> None:
        for (account, _), grants in self.grants.items():
            for grant in grants:
                if grant.expires <= now and account in accounts:
                    grant.free = 0

    def grant(self, purse: Purse, amount: int, expires: float) -> ModelGrant:
        self.made += 1
        made = ModelGrant(expires, self.made, amount)
        self.grants.setdefault(purse, []).append(made)
        return made

    def take(self, purse: Purse, amount: int) -> list[tuple[ModelGrant, int]]:
        parts: list[tuple[ModelGrant, int]] = []
        for grant in sorted(self.grants.get(purse, []), key=lambda grant: (grant.expires, grant.order)):
            taken = min(grant.free, amount - sum(part for _, part in parts))
            grant.free -= taken
            parts.append((grant, taken))
        return parts

    def free(self, purse: Purse, now: float = -math.inf) -> int:
        return sum(grant.free for grant in self.grants.get(purse, []) if grant.expires > now)

    def held(self, purse: Purse) -> int:
        return sum(grant.held for grant in self.grants.get(purse, []))


@dataclass
class ModelHold:
    job: str
    count: int
    each: int
    parts: list[tuple[ModelGrant, int]]


class Book(RuleBasedStateMachine):
    """Drives the ledger and the model side by side."""

    holds: Bundle[ModelHold] = Bundle("holds")
    paid: Bundle[tuple[int, ModelGrant]] = Bundle("paid")
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

    @rule(account=ACCOUNTS, kind=KINDS, amount=st.integers(1, 40), days=st.none() | st.integers(1, 5), target=paid)
    def grant(self, account: str, kind: CreditKind, amount: int, days: int | None) -> tuple[int, ModelGrant]:
        now = self.bench.clock()
        expires = None if days is None else now + days
        with self.bench.database.write() as tx:
            made = ledger.grant(
                tx, account, kind, amount, key=new_id(), source="test", reason="model", now=now, expires_at=expires
            )
        return made, self.model.grant((account, kind), amount, math.inf if expires is None else expires)

    @rule(account=ACCOUNTS, kind=KINDS, each=st.integers(1, 10), count=st.integers(1, 8), target=holds)
    def hold(self, account: str, kind: CreditKind, each: int, count: int) -> ModelHold | MultipleResults[ModelHold]:
        now, job, purse = self.bench.clock(), new_id(), (account, kind)
        missing = each * count - self.model.free(purse, now)
        charge = Charge(kind=kind, each=each, count=count)
        refused = False
        with contextlib.suppress(NotEnoughCredits), self.bench.database.write() as tx:
            job_store.insert(
                tx, job_id=job, account=account, request=request(count=count), asked="", charges=(charge,), now=now
            )
            refused = True
            ledger.hold(tx, account, charge, job=job, now=now)
            refused = False
        assert refused == (missing > 0 and account != OWNER)
        if refused:
            return multiple()  # and rolled back whole, the expiry it began with too
        self.model.expire(now, (account,))
        house = [(self.model.grant(purse, 0, now), missing)] if missing > 0 else []
        parts = self.model.take(purse, each * count) + house
        for grant, amount in parts:
            grant.held += amount
        return ModelHold(job, count, each, parts)

    @rule(hold=consumes(holds), share=st.floats(0, 1))
    def settle(self, hold: ModelHold, share: float) -> None:
        now, delivered = self.bench.clock(), round(share * hold.count)
        with self.bench.database.write() as tx:
            tx.execute("UPDATE job SET delivered = ?, state = 'done', ended_at = 0 WHERE id = ?", (delivered, hold.job))
            ledger.settle(tx, hold.job, delivered=delivered, now=now)
        left = delivered * hold.each
        for grant, amount in hold.parts:
            spent = min(left, amount)
            left -= spent
            self.model.spent += spent
            grant.held -= amount
            grant.free += amount - spent if grant.expires > now else 0

    @rule(grant=paid)
    def refund(self, grant: tuple[int, ModelGrant]) -> None:
        taken = 0
        with contextlib.suppress(Conflict), self.bench.database.write() as tx:
            taken = ledger.refund(tx, grant[0], reason="model", now=self.bench.clock())
        # Twice, and where nothing is left, is refused; and then nothing may have moved.
        if taken:
            assert taken == grant[1].free
            grant[1].free = 0

    @rule(account=ACCOUNTS, kind=KINDS, amount=st.integers(-20, 20).filter(bool))
    def correct(self, account: str, kind: CreditKind, amount: int) -> None:
        now, purse = self.bench.clock(), (account, kind)
        refused = True
        with contextlib.suppress(Refused), self.bench.database.write() as tx:
            ledger.correct(tx, account, kind, amount, key=new_id(), reason="model", now=now)
            refused = False
        if amount > 0:
            self.model.grant(purse, amount, math.inf)
            return
        assert refused == (self.model.free(purse, now) < -amount)
        if not refused:
            self.model.expire(now, (account,))
            self.model.take(purse, -amount)

    @rule(seconds=st.integers(1, 3) | st.just(365 * 86400))
    def wait(self, seconds: int) -> None:
        self.bench.clock.now += seconds

    @rule()
    def sweep(self) -> None:
        self.model.expire(self.bench.clock())
        with self.bench.database.write() as tx:
            ledger.expire(tx, now=self.bench.clock())

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "bench"):
            return
        with self.bench.database.read() as tx:
            assert verify.faults(tx) == []
            rows = tx.execute("SELECT account, kind, posted, held FROM balance").fetchall()
            spent = tx.execute("SELECT coalesce(sum(captured), 0) FROM hold").fetchone()[0]
        for row in rows:
            purse = (row["account"], row["kind"])
            assert row["held"] == self.model.held(purse)
            assert row["posted"] == self.model.free(purse) + self.model.held(purse)
        assert spent == self.model.spent


def test_the_book_agrees_with_the_model(tmp_path: Path) -> None:
    runs = int(os.environ.get("TEST_RUNS", "40"))
    open_bench(tmp_path / "template").database.close()
    Book.template = tmp_path / "template"
    run = Book.TestCase
    run.settings = settings(
        max_examples=runs, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run("runTest").runTest()
