"""What the stress tests of the account book run in processes of their own."""

import random
import resource
import signal
import time
from pathlib import Path
from typing import Any

from studio.credits import charging, ledger, verify
from studio.credits.price_list import shipped
from studio.domain import Charge, NotEnoughCredits, StorageFailed
from studio.rules import new_id
from studio.storage import job_store
from studio.storage.database import Database
from studio.worker import Worker
from tests.fakes import CLIENT, FakeRunner, open_bench, request

NOW = 1_790_000_000


def hold_one(database: Database, account: str, count: int) -> str:
    """A queued job of so many pictures that holds a credit for each. Raises NotEnoughCredits, StorageFailed."""
    job, charge = new_id(), Charge(kind="playground", each=1, count=count)
    with database.write() as tx:
        job_store.insert(
            tx, job_id=job, account=account, request=request(count=count), asked="", charges=(charge,), now=NOW
        )
        charging.hold(tx, shipped(), account, (charge,), job=job, now=NOW)
    return job


def resolve_one(database: Database, job: str, delivered: int) -> None:
    with database.write() as tx:
        tx.execute("UPDATE job SET delivered = ?, state = 'done', ended_at = ? WHERE id = ?", (delivered, NOW, job))
        ledger.settle(tx, job, delivered=delivered, now=NOW)


def hold_and_resolve(path: Path, accounts: list[str], times: int, seed: int, told: Path) -> None:
    """So many holds on accounts drawn at random, each resolved by halves drawn at random; tells what it spent."""
    draw, database, spent = random.Random(seed), Database(path), 0
    for _ in range(times):
        count = draw.randint(1, 8)
        job = hold_one(database, draw.choice(accounts), count)
        delivered = draw.randint(0, count)
        resolve_one(database, job, delivered)
        spent += delivered
    told.write_text(str(spent))
    database.close()


def race(path: Path, accounts: list[str], barrier: Any, told: Path) -> None:
    """Tries to hold each account's last credit at the same moment as all others do; tells where it won."""
    database, won = Database(path), []
    for account in accounts:
        barrier.wait(120)
        try:
            hold_one(database, account, 1)
            won.append(account)
        except NotEnoughCredits:
            pass
    told.write_text("\n".join(won))
    database.close()


def wait_in_turn(path: Path, account: str, times: int, barrier: Any, told: Path) -> None:
    """Writes again and again, and tells for each time how many of the others' jobs came between asking and having."""
    database, passed = Database(path), []
    barrier.wait(120)
    for _ in range(times):
        with database.read() as tx:
            asked = tx.execute("SELECT coalesce(max(seq), 0) FROM job").fetchone()[0]
        job = hold_one(database, account, 1)
        with database.read() as tx:
            had = tx.execute("SELECT seq FROM job WHERE id = ?", (job,)).fetchone()["seq"]
        passed.append(had - asked - 1)
    told.write_text("\n".join(map(str, passed)))
    database.close()


def spend_until_killed(root: Path, ready: Path, seed: int) -> None:
    """A writer that submits, cancels and works the queue as fast as it is let."""
    draw = random.Random(seed)
    bench = open_bench(root)
    jobs = bench.jobs(FakeRunner(), queue_limit=10_000)
    worker = Worker(jobs)
    worker.start()
    ready.touch()
    while True:
        job = jobs.submit(CLIENT, request(count=draw.randint(1, 4)), job_id=new_id())
        if draw.random() < 0.3:
            jobs.cancel(CLIENT, job.id)
        time.sleep(draw.uniform(0, 0.05))


def run_into_a_full_disk(root: Path, points: int, seed: int) -> None:
    """Holds and resolves until the disk is full, again and again at another byte; after each the book must be sound."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then the write fails, as it does on a full disk
    draw, bench = random.Random(seed), open_bench(root)
    log = bench.database.path.with_name(bench.database.path.name + "-wal")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for _ in range(points):
        size = log.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + draw.randint(1, 120_000), hard))
        told = None
        try:
            while told is None:
                job = hold_one(bench.database, CLIENT, draw.randint(1, 8))
                resolve_one(bench.database, job, 1)
        except StorageFailed as error:
            told = error
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        with bench.database.read() as tx:
            assert verify.faults(tx) == []
        with bench.database.write() as tx:  # what was held when it failed
            for row in tx.execute("SELECT job FROM hold WHERE resolved_at IS NULL").fetchall():
                tx.execute("UPDATE job SET state = 'failed', ended_at = ? WHERE id = ?", (NOW, row["job"]))
                ledger.settle(tx, row["job"], delivered=0, now=NOW)
    bench.database.close()
