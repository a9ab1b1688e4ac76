"""What the tests of plans and purchases do again and again, each in a transaction of its own."""

from dataclasses import dataclass
from datetime import UTC, datetime

from studio.credits import book, ledger, purchases, refunds, subscriptions
from studio.credits.price_list import shipped
from studio.credits.prices import Prices
from studio.credits.purchases import Purchase
from studio.credits.refunds import Refund
from studio.credits.subscriptions import Subscribed
from studio.domain import CREDIT_KINDS, OWNER, Charge, CreditKind
from studio.rules import new_id
from studio.storage import job_store
from tests.fakes import CLIENT, Bench, request

DAY = 86_400


def at(words: str) -> int:
    """`2026-01-20` or `2026-01-20 13:14:15`, UTC."""
    return int(datetime.fromisoformat(words).replace(tzinfo=UTC).timestamp())


@dataclass
class Shop:
    """A bench with a price list, and the owner behind the counter."""

    bench: Bench
    prices: Prices

    def set_clock(self, words: str) -> None:
        self.bench.clock.now = at(words)

    def subscribe(
        self,
        plan: str,
        *,
        annual: bool = False,
        account: str = CLIENT,
        by: str = OWNER,
        purchase_id: str | None = None,
        price: int | None = None,
    ) -> Subscribed:
        with self.bench.database.write() as tx:
            return subscriptions.subscribe(
                tx, self.prices, account, plan, annual=annual, by=by, now=self.bench.clock(),
                purchase_id=purchase_id, price=price,
            )  # fmt: skip

    def cancel(self, *, account: str = CLIENT, by: str = OWNER) -> int:
        with self.bench.database.write() as tx:
            return subscriptions.cancel(tx, self.prices, account, by=by, now=self.bench.clock())

    def buy(
        self,
        pack: str,
        *,
        account: str = CLIENT,
        by: str = OWNER,
        purchase_id: str | None = None,
        price: int | None = None,
    ) -> Purchase:
        with self.bench.database.write() as tx:
            return purchases.buy(
                tx, self.prices, account, pack, by=by, now=self.bench.clock(), purchase_id=purchase_id, price=price
            )

    def preview_refund(self, purchase: str) -> Refund:
        with self.bench.database.read() as tx:
            return refunds.preview(tx, purchase, now=self.bench.clock())

    def refund(self, purchase: str, *, by: str = OWNER) -> Refund:
        with self.bench.database.write() as tx:
            return refunds.refund(tx, self.prices, purchase, by=by, reason="asked for", now=self.bench.clock())

    def catch_up(self, account: str = CLIENT) -> bool:
        with self.bench.database.write() as tx:
            return subscriptions.catch_up(tx, self.prices, account, now=self.bench.clock())

    def sweep(self) -> int:
        return subscriptions.sweep(self.bench.database, self.prices, now=self.bench.clock())

    def plan(self, account: str = CLIENT) -> str | None:
        """The plan as it is noted."""
        return self._account(account)[0]

    def lapse_noticed_at(self, account: str = CLIENT) -> int | None:
        return self._account(account)[1]

    def hold(self, amount: int, *, kind: CreditKind = "playground", account: str = CLIENT) -> str:
        """A job that holds so many credits."""
        job, charge = new_id(), Charge(kind=kind, each=1, count=amount)
        with self.bench.database.write() as tx:
            job_store.insert(
                tx, job_id=job, account=account, request=request(), asked="", charges=(charge,), now=self.bench.clock()
            )
            tx.execute("UPDATE job SET pictures = ? WHERE id = ?", (amount, job))
            ledger.hold(tx, account, charge, job=job, now=self.bench.clock())
        return job

    def settle(self, job: str, delivered: int) -> None:
        """Ends the job as jobs.py does: row and book in one transaction."""
        with self.bench.database.write() as tx:
            tx.execute("UPDATE job SET delivered = ?, state = 'done', ended_at = 0 WHERE id = ?", (delivered, job))
            ledger.settle(tx, job, delivered=delivered, now=self.bench.clock())

    def spend(self, amount: int, *, kind: CreditKind = "playground", account: str = CLIENT) -> None:
        self.settle(self.hold(amount, kind=kind, account=account), amount)

    def balances(self, account: str = CLIENT) -> tuple[int, ...]:
        """Posted credits: playground, tune, tune image."""
        with self.bench.database.read() as tx:
            found = book.balances(tx, account)
        return tuple(found[kind].posted for kind in CREDIT_KINDS)

    def _account(self, account: str) -> tuple[str | None, int | None]:
        with self.bench.database.read() as tx:
            row = tx.execute("SELECT plan, lapse_noticed_at FROM account WHERE id = ?", (account,)).fetchone()
        return row["plan"], row["lapse_noticed_at"]


def open_shop(bench: Bench, now: str = "2026-01-20 12:00:00") -> Shop:
    bench.clock.now = at(now)
    return Shop(bench, shipped())
