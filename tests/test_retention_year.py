"""A year and more of the studio, hour by hour: what is due goes with the next sweep, and nothing goes before its time.

What must be there is worked out beside the studio, from what happened and from what was promised in words.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from studio.credits.plans import first_of_month
from studio.domain import OWNER, Drawn, ExportRequest, Trained, TuneRequest
from studio.domain import Exported as MadeExport
from studio.images import ImageRequest
from studio.rules import new_id
from studio.service import Studio
from studio.settings import Settings
from studio.storage import exports, job_store, pictures, tunes, uploads
from studio.storage.database import Tx
from studio.tunes import CONSENT
from tests.fakes import StillClock

HOUR, DAY = 3600, 86_400
KEEPING = {"house", "standard", "business"}
PLANS = ("basic", "standard", "business")


@dataclass
class Account:
    """What is known of an account beside the studio: when which plan ran, and when a lapse could be noticed."""

    name: str
    spans: list[tuple[int, float, str]] = field(default_factory=list[tuple[int, float, str]])
    kept: bool = False
    noticed: int | None = None

    def plan(self, now: int) -> str | None:
        return next((plan for begin, end, plan in self.spans if begin <= now < end), None)

    def keeps(self, now: int) -> bool:
        return self.plan(now) in KEEPING

    def look(self, now: int) -> None:
        """What the studio does whenever it looks at the account."""
        keeps = self.keeps(now)
        if keeps:
            self.noticed = None
        elif self.kept:
            self.noticed = now
        self.kept = keeps

    def cut(self, at: int, plan: str | None) -> None:
        """From then on another plan, or none."""
        self.spans = [(begin, min(end, at), one) for begin, end, one in self.spans if begin < at]
        if plan is not None:
            self.spans.append((at, float("inf"), plan))


@dataclass
class Sitter:
    """A tune as it was trained, and what must be there of it."""

    account: Account
    job: str
    photos: list[str]
    uploaded: int
    policy: str
    ended: int | None = None
    trained: bool = False
    expires: int = 0
    model: bool = False
    avatars: set[str] = field(default_factory=set[str])
    exports: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def tune(self) -> str:
        return tunes.tune_id(self.job)

    def due(self, now: int) -> int | None:
        """When the model goes, as it stands now."""
        if not self.model or self.account.keeps(now):
            return None
        noticed = self.account.noticed
        return max(self.expires, noticed + 7 * DAY if noticed is not None else 0)

    def sweep(self, now: int) -> None:
        """What the next sweep is promised to do."""
        if self.ended is not None and self.photos:
            over = self.ended + DAY if self.trained else self.uploaded + 7 * DAY
            if now >= over:
                self.photos = []
        self.exports = {job: made for job, made in self.exports.items() if now < made + DAY}
        due = self.due(now)
        if due is not None and now >= due:
            self.model, self.exports = False, {}
            if self.policy == "delete-all":
                self.forget()
        elif self.policy == "delete-all" and self.ended is not None and not self.model and now >= self.ended + 30 * DAY:
            self.forget()

    def forget(self) -> None:
        self.avatars, self.photos, self.exports = set(), [], {}


class World:
    """The studio and, beside it, what should be."""

    def __init__(self, root: Path, seed: int, accounts: int) -> None:
        self.draw = random.Random(seed)
        self.clock = StillClock(first_of_month(1_790_000_000))
        self.studio = Studio.open(Settings(data=root), {}, runners={}, clock=self.clock)
        self.database, self.folder = self.studio._database, self.studio._folder
        self.accounts = [Account(OWNER, [(0, float("inf"), "house")], True)]
        for number in range(accounts - 1):
            self.studio.open_account(f"client-{number}")
            self.accounts.append(Account(f"client-{number}"))
        self.sitters: list[Sitter] = []
        self.loose: dict[str, int] = {}
        counted = ("models", "photos", "avatars", "exports", "uploads", "lapses", "upgrades")
        self.counts: dict[str, int] = dict.fromkeys(counted, 0)

    # --- what happens ---

    def hand_in(self, tx: Tx, account: Account) -> str:
        return uploads.add(tx, self.folder.uploads, account.name, self.draw.randbytes(40), now=self.clock())

    def begin(self, account: Account, policy: str) -> Sitter:
        with self.database.write() as tx:
            photos = [self.hand_in(tx, account) for _ in range(4)]
            request = TuneRequest(
                name="Ada", class_name="woman", photos=tuple(photos), consent=CONSENT, seed=1, policy=policy
            )
            job = self.job(tx, account, request)
            tunes.begin(tx, job_store.get(tx, account.name, job), statement="Agreed.", now=self.clock())
        made = Sitter(account, job, photos, self.clock(), policy)
        self.sitters.append(made)
        return made

    def job(self, tx: Tx, account: Account, request: TuneRequest | ImageRequest | ExportRequest) -> str:
        job = new_id()
        job_store.insert(tx, job_id=job, account=account.name, request=request, asked=job, charges=(), now=self.clock())
        return job

    def end(self, tx: Tx, account: Account, job: str, state: str) -> None:
        found = job_store.get(tx, account.name, job)
        job_store.end(tx, found, state, expected="queued", now=self.clock())  # type: ignore[arg-type]

    def train(self, sitter: Sitter, succeeds: bool) -> None:
        now = self.clock()
        with self.database.write() as tx:
            if succeeds:
                job = job_store.get(tx, sitter.account.name, sitter.job)
                file = self.folder.root / "lora"
                file.write_bytes(b"weights")
                trained = Trained(index=0, file=file, losses=(1.0,), recipe={"subject": "sks woman"})
                assert tunes.add(tx, self.folder.tunes, job, trained, now=now)
            self.end(tx, sitter.account, sitter.job, "done" if succeeds else "failed")
            sitter.ended, sitter.trained, sitter.model = now, succeeds, succeeds
            sitter.expires = now + 30 * DAY
            if not succeeds:
                return
            job_id = self.job(tx, sitter.account, ImageRequest(prompt="x", tune=sitter.tune, count=2, seed=1))
            job = job_store.get(tx, sitter.account.name, job_id)
            for index in range(2):
                file = self.folder.root / "drawn"
                file.write_bytes(b"picture")
                drawn = Drawn(index=index, file=file, width=8, height=8, seed=1, recipe={"prompt": "x"})
                pictures.add(tx, self.folder.pictures, job, drawn, now=now)
            self.end(tx, sitter.account, job_id, "done")
            sitter.avatars = {one.id for one in pictures.of_job(tx, job_id)}

    def export(self, sitter: Sitter) -> None:
        with self.database.write() as tx:
            job_id = self.job(tx, sitter.account, ExportRequest(tune=sitter.tune, format="kohya"))
            job = job_store.get(tx, sitter.account.name, job_id)
            file = self.folder.root / "made"
            file.write_bytes(b"export")
            exports.add(tx, self.folder.exports, job, MadeExport(index=0, file=file, sha256="0"), now=self.clock())
            self.end(tx, sitter.account, job_id, "done")
        sitter.exports[job_id] = self.clock()

    def extend(self, sitter: Sitter) -> None:
        now = self.clock()
        due = sitter.due(now)
        sitter.expires = (max(sitter.expires, now) if due is None else due) + 30 * DAY
        self.studio.retention.extend(sitter.account.name, sitter.tune)

    def change_plan(self, account: Account) -> None:
        """Subscribes, upgrades, goes down, cancels, or takes that back; the owner leaves his house and comes back."""
        now, counter = self.clock(), self.studio.counter
        account.look(now)
        running = account.plan(now)
        if account.name == OWNER and running == "house":
            wanted = self.draw.choice(PLANS)
        elif account.name == OWNER and self.draw.random() < 0.5:
            counter.subscribe(OWNER, OWNER, "house")
            account.cut(now, "house")
            account.look(now)
            return
        elif running is not None and self.draw.random() < 0.45:
            if account.spans[-1][1] == float("inf") and account.spans[-1][0] <= now:
                account.cut(counter.cancel(OWNER, account.name), "house" if account.name == OWNER else None)
                self.counts["lapses"] += 1
            return
        else:
            wanted = self.draw.choice([plan for plan in PLANS if plan != running])
        if account.spans and account.spans[-1][0] > now:
            return  # a change is coming already
        done = counter.subscribe(OWNER, account.name, wanted, annual=self.draw.random() < 0.2)
        self.counts["upgrades"] += done.change.how == "now" and running is not None
        account.cut(done.change.at, wanted)
        account.look(now)

    # --- what must be ---

    def sweep(self) -> None:
        now = self.clock()
        for account in self.accounts:
            account.look(now)
        before = self.there()
        self.studio.retention.sweep()
        for sitter in self.sitters:
            sitter.sweep(now)
        self.loose = {upload: at for upload, at in self.loose.items() if now < at + 7 * DAY}
        should, is_ = self.should(), self.there()
        assert is_ == should, f"{now}: {is_ ^ should}"
        for what, _ in before - is_:
            self.counts[what] += 1

    def should(self) -> set[tuple[str, str]]:
        found = {("uploads", upload) for upload in self.loose}
        for one in self.sitters:
            found |= {("models", one.tune)} if one.model else set()
            found |= {("photos", photo) for photo in one.photos} | {("avatars", id) for id in one.avatars}
            found |= {("exports", job) for job in one.exports}
        return found

    def there(self) -> set[tuple[str, str]]:
        with self.database.read() as tx:
            found = {("models", row["id"]) for row in tx.execute("SELECT id FROM tune WHERE file IS NOT NULL")}
            found |= {("avatars", row["id"]) for row in tx.execute("SELECT id FROM picture")}
            found |= {("exports", row["job"]) for row in tx.execute("SELECT job FROM export")}
            for row in tx.execute("SELECT id FROM upload"):
                found.add(("uploads" if row["id"] in self.loose else "photos", row["id"]))
        return found

    def files(self) -> Iterator[Path]:
        for folder in (self.folder.tunes, self.folder.uploads, self.folder.exports, self.folder.pictures):
            yield from (path for path in folder.rglob("*") if path.is_file())


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("days", "count", "seed"),
    [(50, 16, 1), pytest.param(400, 60, 2, marks=pytest.mark.nightly)],
    ids=["fifty days", "four hundred days"],
)
def test_nothing_goes_early_and_nothing_later_than_the_sweep_after_it_is_due(
    tmp_path: Path, days: int, count: int, seed: int
) -> None:
    world = World(tmp_path / "data", seed, accounts=13)
    draw = world.draw
    begins = sorted(draw.randrange(int(days * 0.8) * 24) for _ in range(count))
    waiting: dict[int, list[Sitter]] = {}
    for hour in range(days * 24):
        # 1. What people do in that hour, at some minute of it.
        world.clock.now += 1 + draw.randrange(HOUR - 2)
        for _ in range(begins.count(hour)):
            sitter = world.begin(
                draw.choice(world.accounts), draw.choice(("keep-avatars", "keep-avatars", "delete-all"))
            )
            waiting.setdefault(hour + draw.choice((0, 1, 5, 30, 24 * 9)), []).append(sitter)
        for sitter in waiting.pop(hour, []):
            world.train(sitter, draw.random() < 0.85)
        if draw.random() < 0.03:
            world.change_plan(draw.choice(world.accounts))
        ready = [one for one in world.sitters if one.model]
        if ready and draw.random() < 0.01:
            world.export(draw.choice(ready))
        if ready and draw.random() < 0.003:
            world.extend(draw.choice(ready))
        if draw.random() < 0.02:
            with world.database.write() as tx:
                world.loose[world.hand_in(tx, draw.choice(world.accounts))] = world.clock()

        # 2. The sweep of the full hour.
        world.clock.now += -world.clock.now % HOUR
        world.sweep()
    there = world.there()
    assert len(list(world.files())) == len(there)
    assert world.studio.verify() == []
    print(f"{days * 24} sweeps, {len(world.sitters)} tunes, went: {world.counts}, there: {len(there)}")
    assert all(world.counts.values()), world.counts
    world.studio.close()
