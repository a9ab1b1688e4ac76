"""The rules of accounts, plans and purchases once more, as plainly as they can be said: the real book must equal it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from studio.domain import OWNER

FIGURES = {"basic": 1000, "standard": 2500, "business": 6000}
PACKS = {"tune": {"tune": 1, "tune_image": 64}, "avatars-104": {"tune_image": 104}}
REFUND = 30 * 86_400
Purse = tuple[str, str]  # account and kind


class No(Exception):
    """The rules refuse this."""


def month_end(now: float, months: int = 1) -> float:
    at = datetime.fromtimestamp(now, UTC)
    for _ in range(months):
        at = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1, day=1, hour=0, minute=0, second=0)
    return at.timestamp()


@dataclass
class Grant:
    purse: Purse
    free: int
    expires: float = math.inf
    source: str = ""
    purchase: str = ""
    held: int = 0
    spent: int = 0
    withdrawn: bool = False


@dataclass
class Run:
    """A plan from `begins` until just before `ends`."""

    plan: str
    begins: float
    ends: float
    purchase: str


@dataclass
class Model:
    """Grants in the order in which they were made; a hold is a list of (grant's place, amount)."""

    grants: list[Grant] = field(default_factory=list[Grant])
    runs: dict[str, list[Run]] = field(default_factory=dict[str, list[Run]])
    months: set[tuple[str, float]] = field(default_factory=set[tuple[str, float]])
    last_month: dict[str, float] = field(default_factory=dict[str, float])
    bought: dict[str, tuple[str, float]] = field(default_factory=dict[str, tuple[str, float]])
    refunded: set[str] = field(default_factory=set[str])

    # --- the book ---

    def alive(self, test: Callable[[Grant], bool]) -> list[Grant]:
        return [grant for grant in self.grants if grant.free + grant.held and test(grant)]

    def give(self, purse: Purse, amount: int, expires: float = math.inf, source: str = "", purchase: str = "") -> int:
        self.grants.append(Grant(purse, amount, expires, source, purchase))
        return len(self.grants) - 1

    def expire(self, now: float, account: str | None = None) -> None:
        for grant in self.alive(lambda grant: grant.expires <= now and account in (None, grant.purse[0])):
            grant.free = 0

    def free(self, purse: Purse) -> int:
        return sum(grant.free for grant in self.grants if grant.purse == purse)

    def take(self, purse: Purse, amount: int) -> list[tuple[int, int]]:
        parts: list[tuple[int, int]] = []
        soonest = sorted(range(len(self.grants)), key=lambda i: (self.grants[i].expires, self.priority(i), i))
        for place in soonest:
            if self.grants[place].purse == purse and self.grants[place].free and amount:
                taken = min(self.grants[place].free, amount)
                self.grants[place].free -= taken
                amount -= taken
                parts.append((place, taken))
        return parts

    def priority(self, place: int) -> int:
        return 10 if self.grants[place].source in ("plan", "house") else 50

    def hold(self, purse: Purse, amount: int, now: float) -> list[tuple[int, int]]:
        self.catch_up(purse[0], now)
        missing = amount - self.free(purse)
        if missing > 0 and not (purse[0] == OWNER and self.running(OWNER, now) is None):
            raise No
        parts = self.take(purse, amount)
        if missing > 0:
            parts.append((self.give(purse, 0, now, "house"), missing))
        for place, part in parts:
            self.grants[place].held += part
        return parts

    def settle(self, parts: list[tuple[int, int]], spent: int, now: float) -> None:
        for place, part in parts:
            grant, used = self.grants[place], min(part, spent)
            spent -= used
            grant.held -= part
            grant.spent += used
            grant.free += 0 if grant.withdrawn or grant.expires <= now else part - used

    def correct(self, purse: Purse, amount: int, now: float) -> None:
        if amount > 0:
            self.give(purse, amount)
            return
        self.expire(now, purse[0])
        if self.free(purse) < -amount:
            raise No
        self.take(purse, -amount)

    def withdraw(self, grant: Grant) -> None:
        grant.free, grant.withdrawn = 0, True

    def refund_grant(self, place: int) -> None:
        grant = self.grants[place]
        if grant.withdrawn or grant.free + grant.held == 0:
            raise No
        self.withdraw(grant)

    # --- plans ---

    def running(self, account: str, now: float) -> Run | None:
        return next((run for run in reversed(self.runs.get(account, [])) if run.begins <= now < run.ends), None)

    def later(self, account: str, now: float) -> list[Run]:
        return sorted(
            (run for run in self.runs.get(account, []) if now < run.begins < run.ends), key=lambda r: r.begins
        )

    def plan_grants(self, account: str, test: Callable[[Grant], bool]) -> list[Grant]:
        return self.alive(
            lambda grant: grant.purse[0] == account and grant.source == "plan" and not grant.withdrawn and test(grant)
        )

    def refill(self, run: Run, account: str, amount: int, now: float) -> None:
        end = month_end(now)
        self.months.add((account, end))
        self.last_month[account] = end
        self.give((account, "playground"), amount, end, "plan", run.purchase)

    def catch_up(self, account: str, now: float) -> None:
        self.expire(now, account)
        run = self.running(account, now)
        if run and (account, month_end(now)) not in self.months and self.last_month.get(account) != month_end(now, 2):
            for grant in self.plan_grants(account, lambda grant: grant.expires > now):
                self.withdraw(grant)
            self.refill(run, account, FIGURES[run.plan], now)

    def drop_later(self, account: str, now: float) -> bool:
        later = self.later(account, now)
        for run in later:
            run.ends = run.begins
            self.refunded.add(run.purchase)
            for grant in self.alive(lambda grant, run=run: grant.purchase == run.purchase):
                self.withdraw(grant)
        return bool(later)

    def subscribe(self, account: str, plan: str, purchase: str, now: float) -> None:
        self.catch_up(account, now)
        run, later = self.running(account, now), self.later(account, now)
        if run and ((later and later[0].plan == plan) or (run.plan == plan and run.ends == math.inf)):
            raise No
        self.drop_later(account, now)
        if run and run.plan == plan:
            run.ends = math.inf
            return
        begins = now
        if run and FIGURES[plan] <= FIGURES[run.plan]:
            begins = run.ends if run.ends < math.inf else month_end(now)
        if run:
            run.ends = begins
        made = Run(plan, begins, math.inf, purchase)
        self.runs.setdefault(account, []).append(made)
        self.bought[purchase] = (account, begins)
        if begins == now:
            this_month = [
                grant
                for grant in self.grants
                if (grant.purse[0], grant.source, grant.expires) == (account, "plan", month_end(now))
            ]
            gives = FIGURES[plan] - sum(grant.free + grant.held + grant.spent for grant in this_month)
            if gives > 0:
                self.refill(made, account, gives, now)
            self.catch_up(account, now)

    def cancel(self, account: str, now: float) -> None:
        self.catch_up(account, now)
        run = self.running(account, now)
        if run is None:
            raise No
        dropped = self.drop_later(account, now)
        if run.ends == math.inf:
            run.ends = month_end(now)
        elif not dropped:
            raise No

    # --- purchases ---

    def buy(self, account: str, pack: str, purchase: str, now: float) -> None:
        self.bought[purchase] = (account, now)
        for kind, amount in PACKS[pack].items():
            self.give((account, kind), amount, source="pack", purchase=purchase)

    def refund(self, purchase: str, now: float) -> None:
        account, at = self.bought[purchase]
        self.catch_up(account, now)
        if purchase in self.refunded or now >= at + REFUND:
            raise No
        run, later = self.running(account, now), self.later(account, now)
        runs = run is not None and run.purchase == purchase
        waiting = [one for one in later if one.purchase == purchase]
        back = self.alive(lambda grant: grant.purchase == purchase and not grant.withdrawn)
        if runs:
            back += self.plan_grants(account, lambda grant: grant.purchase != purchase)
        if not back and not runs and not waiting:
            raise No
        for grant in back:
            self.withdraw(grant)
        for one in waiting:
            one.ends = one.begins
        if run and runs:
            self.drop_later(account, now)
            run.ends = now
        self.refunded.add(purchase)
