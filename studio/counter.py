"""The counter: what may be asked about credits, plans, packs, purchases and refunds, and by whom."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from studio.credits import book, ledger, plans, purchases, refunds, subscriptions
from studio.credits.book import PHASES as PHASES
from studio.credits.book import Account as Account
from studio.credits.book import Entry as Entry
from studio.credits.book import Page as Page
from studio.credits.book import Phase as Phase
from studio.credits.prices import Pack as Pack
from studio.credits.prices import Plan as Plan
from studio.credits.prices import Prices as Prices
from studio.credits.prices import cents as cents
from studio.credits.purchases import Purchase as Purchase
from studio.credits.purchases import only_the_owner as only_the_owner
from studio.credits.refunds import Refund as Refund
from studio.credits.standing import lapse_noticed_at, standing_of
from studio.credits.subscriptions import Subscribed as Subscribed
from studio.domain import OWNER, Clock, CreditKind, NotFound, Refused
from studio.rules import job_id as checked_id
from studio.rules import new_id
from studio.storage.database import Database


@dataclass(frozen=True, kw_only=True)
class PlanOf:
    """The plan that an account is on. `name` is None where it has none; `credits` a month, None on the house plan.

    `refill_at` is when it is refilled next, `ends_at` when it ends (None: it goes on), `then` the plan that follows.
    """

    name: str | None
    title: str
    credits: int | None
    annual: bool
    keeps_tunes: bool
    refill_at: int | None
    ends_at: int | None
    then: str | None
    lapse_noticed_at: int | None


@dataclass(frozen=True, kw_only=True)
class Month:
    """Credits spent on each day of the month that began at `begins_at`; `today` is the day of the month."""

    begins_at: int
    today: int
    spent: Mapping[CreditKind, tuple[int, ...]]


class Counter:
    """Credits as the page, the API and the commands ask for them; safe to share between threads.

    `by` is who asks, `account` whose credits it is about; for anybody but the owner the two must be the same, and
    what gives credits is the owner's alone: the studio takes no payments, he records them. Everything that is read is
    brought up to date first: what has expired, this month's refill, a plan that began or ended.
    """

    def __init__(self, *, database: Database, prices: Callable[[], Prices], clock: Clock) -> None:
        self.prices = prices
        self._database = database
        self.clock = clock

    # --- what there is ---

    def balances(self, account: str) -> dict[CreditKind, book.Balance]:
        """The balance of each kind of credit: posted, held, available. Raises NotFound."""
        self._catch_up(account)
        with self._database.read() as tx:
            return book.balances(tx, account)

    def history(
        self,
        account: str,
        *,
        limit: int = 100,
        before: int | None = None,
        kind: CreditKind | None = None,
        phase: Phase | None = None,
    ) -> list[Entry]:
        """A page of the account book, newest first; the next page is what comes `before` the last one's seq."""
        self._catch_up(account)
        with self._database.read() as tx:
            return book.history(tx, account, limit=limit, before=before, kind=kind, phase=phase)

    def page(
        self,
        account: str,
        *,
        limit: int,
        before: int | None = None,
        after: int | None = None,
        kind: CreditKind | None = None,
        phase: Phase | None = None,
    ) -> Page:
        """A page of the account book and where in it that is: the newest, or what comes `before` or `after` a seq."""
        self._catch_up(account)
        with self._database.read() as tx:
            return book.page(tx, account, limit=limit, before=before, after=after, kind=kind, phase=phase)

    def month(self, account: str) -> Month:
        """What was spent in this month (UTC), day by day. Raises NotFound."""
        self._catch_up(account)
        now = self.clock()
        begins, ends = plans.first_of_month(now), plans.first_of_month(now, 1)
        with self._database.read() as tx:
            spent = book.spent(tx, account, since=begins, days=(ends - begins) // purchases.DAY)
        return Month(begins_at=begins, today=(now - begins) // purchases.DAY + 1, spent=spent)

    def plan(self, account: str) -> PlanOf:
        """The account's plan, and what comes after it. Raises NotFound."""
        self._catch_up(account)
        now, prices = self.clock(), self.prices()
        with self._database.read() as tx:
            standing = standing_of(tx, account, now=now)
            noticed = lapse_noticed_at(tx, account)
        running = plans.active(standing.subscriptions, now)
        then = next(iter(plans.upcoming(standing.subscriptions, now)), None)
        listed = prices.plans.get(standing.plan or "")
        refill_at = plans.first_of_month(now, 1) if running else None
        if running and refill_at and running.ends_at is not None and running.ends_at <= refill_at and then is None:
            refill_at = None
        return PlanOf(
            name=standing.plan,
            title=listed.title if listed else (standing.plan or "none").capitalize(),
            credits=plans.terms(running, prices.plans)[0] if running else None,
            annual=running is not None and running.annual,
            keeps_tunes=standing.keeps_tunes,
            refill_at=refill_at,
            ends_at=running.ends_at if running else None,
            then=then.plan if then else None,
            lapse_noticed_at=noticed,
        )

    def purchases(self, by: str, account: str | None, *, limit: int = 100, before: int | None = None) -> list[Purchase]:
        """A page of purchases, newest first: an account's, or with None everybody's. Raises NotFound."""
        self._may_see(by, account)
        with self._database.read() as tx:
            return purchases.newest(tx, account, limit=limit, before=before)

    def accounts(self, by: str, *, limit: int = 100) -> list[Account]:
        """The newest accounts; for the owner alone. Raises NotFound."""
        self._may_see(by, None)
        with self._database.read() as tx:
            found = book.accounts(tx, limit=limit)
        for one in found:
            self._catch_up(one.id)
        with self._database.read() as tx:
            return book.accounts(tx, limit=limit)

    # --- what may be done ---

    def would_subscribe(self, by: str, account: str, plan: str, *, annual: bool = False) -> Subscribed:
        """What `subscribe` would do. Raises Refused, NotFound."""
        self._may_see(by, account)
        self._catch_up(account)
        with self._database.read() as tx:
            return subscriptions.preview(tx, self.prices(), account, plan, annual=annual, now=self.clock())

    def subscribe(
        self,
        by: str,
        account: str,
        plan: str,
        *,
        annual: bool = False,
        purchase_id: str | None = None,
        price: int | None = None,
    ) -> Subscribed:
        """Puts the account on a plan: at once if it is the first or gives more, else from the next period.

        `price` (hundredths) is what was agreed, else the list's. The same purchase id again is the same purchase.
        Raises Refused, NotFound, Conflict.
        """
        with self._database.write() as tx:
            return subscriptions.subscribe(
                tx, self.prices(), account, plan, annual=annual, by=by, now=self.clock(),
                purchase_id=purchase_id, price=price,
            )  # fmt: skip

    def cancel(self, by: str, account: str) -> int:
        """Has the plan end with its period, and returns when that is. Raises Refused, NotFound, Conflict."""
        self._may_see(by, account)
        with self._database.write() as tx:
            return subscriptions.cancel(tx, self.prices(), account, by=by, now=self.clock())

    def buy(
        self, by: str, account: str, pack: str, *, purchase_id: str | None = None, price: int | None = None
    ) -> Purchase:
        """Records that a pack was bought and gives its credits. Raises Refused, NotFound, Conflict."""
        with self._database.write() as tx:
            return purchases.buy(
                tx, self.prices(), account, pack, by=by, now=self.clock(), purchase_id=purchase_id, price=price
            )

    def would_refund(self, by: str, purchase: str) -> Refund:
        """What giving the purchase back would take, and end. Raises Refused, NotFound, Conflict."""
        with self._database.read() as tx:
            account = purchases.get(tx, purchase).account
        self._may_see(by, account)
        self._catch_up(account)
        with self._database.read() as tx:
            return refunds.preview(tx, purchase, now=self.clock())

    def refund(self, by: str, purchase: str, *, reason: str) -> Refund:
        """Gives a purchase back. Raises Refused, NotFound, Conflict."""
        with self._database.write() as tx:
            return refunds.refund(tx, self.prices(), purchase, by=by, reason=reason, now=self.clock())

    def grant(
        self, by: str, account: str, kind: CreditKind, amount: int, *, reason: str, key: str | None = None
    ) -> None:
        """Gives credits that never expire; the same `key` is the same grant. Raises Refused, NotFound, Conflict."""
        if by != OWNER:
            raise Refused("Credits are granted by the owner of this studio.", field="account", allowed="the owner")
        key = f"owner:{checked_id(key) if key else new_id()}"
        with self._database.write() as tx:
            ledger.grant(tx, account, kind, amount, key=key, source="owner", reason=reason, now=self.clock())

    def sweep(self) -> int:
        """Brings every account up to date; how many had something due. At the start, and now and then."""
        return subscriptions.sweep(self._database, self.prices(), now=self.clock())

    def notice_lapses(self, now: int) -> None:
        """Notes which plans keep tunes no more at that moment; books nothing."""
        subscriptions.notice_lapses(self._database, self.prices(), now=now)

    def _catch_up(self, account: str) -> None:
        prices, now = self.prices(), self.clock()
        with self._database.read() as tx:
            late = subscriptions.is_due(tx, prices, account, now=now)
        if late:
            with self._database.write() as tx:
                subscriptions.catch_up(tx, prices, account, now=now)

    def _may_see(self, by: str, account: str | None) -> None:
        if by not in (OWNER, account):
            raise NotFound("There is no such account.", field="account")
