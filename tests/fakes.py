"""A bench to test on, made by hand: a data folder with its database, a clock that stands still, a runner that fakes."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio.credits import book, ledger, pricing, verify
from studio.credits.plans import HOUSE
from studio.domain import OWNER, CreditKind, Drawn, ImageRequest, IsCancelled, Progress, Report, Runner, Task
from studio.jobs import Jobs
from studio.rules import new_id
from studio.storage import job_store, tunes
from studio.storage.database import Database
from studio.storage.folder import DataFolder
from studio.storage.retention import MODEL_KEPT
from studio.tunes import CONSENT, TuneRequest

CLIENT = "client"
"""An account without a plan: it pays with what it was granted."""


@dataclass
class StillClock:
    """A clock that moves when told to."""

    now: int = 1_790_000_000

    def __call__(self) -> int:
        return self.now


def content(job_id: str, index: int) -> bytes:
    """What a fake picture's file holds: long enough to be cut in half, and its own proof of being whole."""
    line = f"{job_id} {index}\n".encode()
    return line * 400 + b"end"


@dataclass
class FakeRunner:
    """Writes small files instead of pictures, and remembers what it was asked.

    `before(index)` is called before each picture: to raise, to wait, to cancel.
    """

    before: Callable[[int], None] = lambda index: None
    pause: float = 0.0
    steps: int = 2
    asked: list[Task] = field(default_factory=list[Task])
    drawn: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        self.asked.append(task)
        wanted = task.request
        assert isinstance(wanted, ImageRequest)
        seeds = wanted.seeds
        for index in range(wanted.count):
            if index in task.done:
                continue
            self.before(index)
            for step in range(self.steps):
                if is_cancelled():
                    return
                report(Progress(step=index * self.steps + step, steps=wanted.count * self.steps))
                time.sleep(self.pause)
            file = task.folder / f"{index}.png"
            file.write_bytes(content(task.job_id, index))
            self.drawn.append((task.job_id, index))
            recipe = {"prompt": wanted.prompt, "seed": seeds[index]}
            yield Drawn(index=index, file=file, width=64, height=64, seed=seeds[index], recipe=recipe)


@dataclass
class Bench:
    """A data folder with everything that works on it."""

    folder: DataFolder
    database: Database
    clock: StillClock

    def jobs(self, runner: Runner, **options: object) -> Jobs:
        runners: Mapping[str, Runner] = {"image": runner}
        return Jobs(
            database=self.database,
            folder=self.folder,
            runners=runners,
            prices=pricing.shipped,
            clock=self.clock,
            **options,  # type: ignore[arg-type]
        )

    def grant(self, amount: int, *, kind: CreditKind = "playground", key: str = "first") -> int:
        with self.database.write() as tx:
            return ledger.grant(
                tx, CLIENT, kind, amount, key=key, source="owner", reason="for the test", now=self.clock()
            )

    def tune(self, tune: str, account: str = CLIENT) -> None:
        """A ready tune of that id, of a training that cost nothing."""
        asked = TuneRequest(name="Ada", class_name="woman", photos=tuple("abcd"), consent=CONSENT, seed=1)
        with self.database.write() as tx:
            job = new_id()
            job_store.insert(tx, job_id=job, account=account, request=asked, asked=job, charges=(), now=self.clock())
            made = job_store.get(tx, account, job)
            job_store.end(tx, made, "done", expected="queued", now=self.clock())
            tunes.begin(tx, made, statement="They have agreed.", now=self.clock())
            tx.execute(
                "UPDATE tune SET id = ?, file = ?, trained_at = ?, expires_at = ? WHERE job = ?",
                (tune, f"{tune}.safetensors", self.clock(), self.clock() + MODEL_KEPT, job),
            )

    def balance(self, account: str, kind: CreditKind = "playground") -> tuple[int, int]:
        """(posted, held)"""
        with self.database.read() as tx:
            found = book.balances(tx, account)[kind]
        return found.posted, found.held

    def captured(self, account: str) -> int:
        with self.database.read() as tx:
            row = tx.execute(
                "SELECT -coalesce(sum(posted_change), 0) FROM entry WHERE account = ? AND phase = 'capture'", (account,)
            ).fetchone()
        return int(row[0])

    def count(self, table: str) -> int:
        with self.database.read() as tx:
            return int(tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def files(self) -> list[Path]:
        """Every file below the folders that pictures, uploads and jobs lie in."""
        parts = (self.folder.pictures, self.folder.uploads, self.folder.jobs)
        return sorted(path for part in parts for path in part.rglob("*") if path.is_file())

    def faults(self) -> list[str]:
        with self.database.read() as tx:
            return verify.faults(tx)


def request(**fields: object) -> ImageRequest:
    return ImageRequest.from_json({"prompt": "a smiling woman", "seed": 7, **fields})


def open_bench(root: Path, clock: StillClock | None = None) -> Bench:
    folder = DataFolder.open(root)
    bench = Bench(folder, Database(folder.database), clock or StillClock())
    with bench.database.write() as tx:
        ledger.open_account(tx, OWNER, plan=HOUSE, now=bench.clock())
        ledger.open_account(tx, CLIENT, now=bench.clock())
    return bench
