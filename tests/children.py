"""What the tests run in processes of their own; apart, so that such a process starts quickly."""

import random
import time
from pathlib import Path

from studio.domain import OWNER
from studio.rules import new_id
from studio.storage import job_store
from studio.storage.database import Database
from studio.storage.folder import WorkLock
from studio.worker import Worker
from tests.fakes import CLIENT, FakeRunner, open_bench, request


def open_database(path: Path) -> None:
    Database(path).close()


def count_up(path: Path, times: int) -> None:
    """Adds one to a balance so often, by reading it and then writing it."""
    database = Database(path)
    for _ in range(times):
        with database.write() as tx:
            posted = tx.execute("SELECT posted FROM balance WHERE account = ?", (CLIENT,)).fetchone()["posted"]
            tx.execute("UPDATE balance SET posted = ? WHERE account = ?", (posted + 1, CLIENT))


def claim_all(path: Path, worker: str) -> None:
    """Claims jobs until none waits, and writes their ids to a file named after the worker."""
    database = Database(path)
    with path.with_name(worker).open("w") as out:
        while True:
            with database.write() as tx:
                made = job_store.claim(tx, worker, now=0)
            if made is None:
                return
            out.write(f"{made.job.id}\n")


def hold_lock_for_ever(path: Path, ready: Path) -> None:
    lock = WorkLock(path)
    lock.acquire()
    ready.touch()
    time.sleep(600)


def work_until_killed(root: Path, ready: Path, seed: int) -> None:
    """A process that submits and works as fast as it can, for as long as it is let."""
    draw = random.Random(seed)
    bench = open_bench(root)
    jobs = bench.jobs(FakeRunner(pause=0.0005), queue_limit=10_000)
    worker = Worker(jobs)
    worker.start()
    ready.touch()
    while True:
        jobs.submit(OWNER, request(count=draw.randint(1, 8)), job_id=new_id())
        if draw.random() < 0.1:
            jobs.cancel(OWNER, jobs.submit(OWNER, request(count=8)).id)
        time.sleep(draw.uniform(0, 0.06))
