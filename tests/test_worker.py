"""One process works the queue; when it dies, whenever that is, another goes on and every sum holds."""

import random
import threading
import time
from pathlib import Path

import pytest

from studio import worker as worker_module
from studio.domain import OWNER, Job, StorageFailed
from studio.storage import job_store
from studio.storage.folder import WorkLock
from studio.worker import Worker, put_right, see_through
from tests.children import work_until_killed
from tests.fakes import Bench, FakeRunner, content, open_bench, request
from tests.processes import needs_fork, start

PATIENCE = 20.0


def eventually(fact: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while not fact():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_the_worker_runs_what_is_submitted_and_stops_when_told(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    worker = Worker(jobs)
    worker.start()
    ids = [jobs.submit(OWNER, request(count=2)).id for _ in range(3)]
    worker.wake()
    eventually(lambda: all(jobs.status(OWNER, job).state == "done" for job in ids))
    assert worker.working
    assert worker.stop()
    assert not worker.working
    assert bench.captured(OWNER) == 6


def test_a_stop_in_the_middle_of_a_job_loses_nothing(bench: Bench) -> None:
    third = threading.Event()
    runner = FakeRunner(before=lambda index: third.set() if index == 3 else None, pause=0.01)
    jobs = bench.jobs(runner)
    job = jobs.submit(OWNER, request(count=8)).id
    worker = Worker(jobs)
    worker.start()
    third.wait(PATIENCE)
    assert worker.stop()
    stopped = jobs.status(OWNER, job)
    assert (stopped.state, stopped.attempt) == ("queued", 0)
    assert see_through(jobs, OWNER, job).state == "done"
    assert bench.captured(OWNER) == 8


def test_what_only_its_thread_may_do_is_done_while_nothing_else_is(bench: Bench) -> None:
    threads: list[str] = []
    worker = Worker(bench.jobs(FakeRunner()), between=lambda: threads.append(threading.current_thread().name))
    worker.start()
    eventually(lambda: len(threads) >= 2)
    worker.stop()
    assert set(threads) == {"worker"}


def test_a_second_process_leaves_the_queue_to_the_first_and_waits_for_its_job(bench: Bench) -> None:
    lock = WorkLock(bench.folder.lock)
    assert lock.acquire()  # the first
    mine, theirs = bench.jobs(FakeRunner()), FakeRunner()
    job = mine.submit(OWNER, request(count=2)).id
    seen: list[Job] = []
    waiting = threading.Thread(target=lambda: seen.append(see_through(mine, OWNER, job)))
    waiting.start()
    time.sleep(0.3)
    assert mine.status(OWNER, job).state == "queued"
    bench.jobs(theirs).run_next()
    waiting.join(PATIENCE)
    assert seen[0].state == "done"
    assert len(theirs.drawn) == 2
    lock.release()


def test_a_waiting_command_takes_over_when_the_other_process_is_gone(bench: Bench) -> None:
    lock = WorkLock(bench.folder.lock)
    assert lock.acquire()
    jobs = bench.jobs(FakeRunner())
    job = jobs.submit(OWNER, request(count=2)).id
    threading.Timer(0.3, lock.release).start()
    assert see_through(jobs, OWNER, job).state == "done"


def test_what_a_dead_process_left_is_put_right_unless_another_works(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    job = jobs.submit(OWNER, request(count=2))
    with bench.database.write() as tx:
        assert job_store.claim(tx, "a process that died", now=0)
    lock = WorkLock(bench.folder.lock)
    assert lock.acquire()
    assert not put_right(jobs)
    assert jobs.cancel(OWNER, job.id).state == "running"
    lock.release()
    assert put_right(jobs)
    assert jobs.status(OWNER, job.id).state == "cancelled"
    assert bench.balance(OWNER) == (0, 0)
    assert WorkLock(bench.folder.lock).acquire()


def test_a_command_does_its_own_job_and_leaves_the_rest(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    mine = jobs.submit(OWNER, request()).id
    other = jobs.submit(OWNER, request()).id
    assert see_through(jobs, OWNER, mine).state == "done"
    assert jobs.status(OWNER, other).state == "queued"


def test_a_queue_that_cannot_be_written_says_so_and_goes_on_when_it_can(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "TRY_AGAIN", 0.05)
    jobs = bench.jobs(FakeRunner())
    job = jobs.submit(OWNER, request()).id
    full = True

    def run_next(stopping: object, run=jobs.run_next) -> Job | None:  # type: ignore[no-untyped-def]
        if full:
            raise StorageFailed("The disk is full.")
        return run(stopping)

    monkeypatch.setattr(jobs, "run_next", run_next)
    with pytest.raises(StorageFailed, match="is full"):
        see_through(jobs, OWNER, job)
    worker = Worker(jobs)
    worker.start()
    eventually(lambda: worker.trouble is not None)
    full = False
    eventually(lambda: jobs.status(OWNER, job).state == "done")
    assert worker.trouble is None
    worker.stop()


# --- kill -9 ---


def kill_often(root: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    for number in range(kills):
        ready = root.with_name(f"ready-{number}")
        process = start(work_until_killed, root, ready, seed + number)
        eventually(ready.exists)
        time.sleep(draw.uniform(0, 0.15))
        assert process.is_alive(), "it must not end by itself"
        process.kill()
        process.join()


@needs_fork
def test_after_a_hundred_kills_every_job_has_ended_once_and_every_sum_holds(tmp_path: Path) -> None:
    root = tmp_path / "data"
    open_bench(root).database.close()
    kill_often(root, kills=100, seed=20_260)

    bench = open_bench(root)
    runner = FakeRunner()
    jobs = bench.jobs(runner)
    jobs.recover()
    while jobs.run_next():
        pass

    with bench.database.read() as tx:
        states = dict(tx.execute("SELECT state, count(*) FROM job GROUP BY state").fetchall())
        twice = tx.execute("SELECT count(*) FROM job WHERE attempt = 2").fetchone()[0]
        rows = tx.execute('SELECT file, job, "index" FROM picture').fetchall()
        delivered = tx.execute("SELECT sum(delivered) FROM job").fetchone()[0]
    # The kills met what they were meant to meet.
    assert states.get("done", 0) >= 50
    assert twice >= 20
    # Every job has ended, nothing is held, what was captured is what was delivered.
    assert set(states) <= {"done", "failed", "cancelled"}
    assert bench.balance(OWNER) == (0, 0)
    assert bench.captured(OWNER) == delivered == len(rows)
    # Every picture is whole, none is there twice, and no other file is left.
    expected = {bench.folder.pictures / row["file"]: content(row["job"], row["index"]) for row in rows}
    assert len(expected) == len(rows)
    assert {file: file.read_bytes() for file in bench.files()} == expected
    assert list(bench.folder.jobs.iterdir()) == []
    assert bench.faults() == []
    bench.database.close()
