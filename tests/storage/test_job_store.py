"""A job is claimed once, and only its claimant writes to it."""

import pytest

from studio.domain import OWNER, Progress
from studio.rules import new_id
from studio.storage import job_store
from studio.storage.job_store import Claim, ClaimLost
from tests.children import claim_all
from tests.fakes import Bench, request
from tests.processes import needs_fork, together


def queue(bench: Bench, count: int = 1) -> list[str]:
    ids = [new_id() for _ in range(count)]
    with bench.database.write() as tx:
        for job in ids:
            job_store.insert(tx, job_id=job, account=OWNER, request=request(), asked="", charges=(), now=0)
    return ids


def claim(bench: Bench, worker: str = "a") -> Claim:
    with bench.database.write() as tx:
        made = job_store.claim(tx, worker, now=0)
    assert made is not None
    return made


@needs_fork
def test_four_processes_claim_each_job_once(bench: Bench) -> None:
    ids = queue(bench, 100)
    workers = ["a", "b", "c", "d"]
    together(claim_all, [(bench.database.path, worker) for worker in workers])
    claimed = [job for worker in workers for job in bench.database.path.with_name(worker).read_text().split()]
    assert sorted(claimed) == sorted(ids)


def test_jobs_are_claimed_in_the_order_they_came(bench: Bench) -> None:
    assert [claim(bench).job.id for _ in queue(bench, 5)] == [row.id for row in reversed(newest(bench))]


def newest(bench: Bench, **page: object) -> list[job_store.Job]:
    with bench.database.read() as tx:
        return job_store.newest(tx, OWNER, **page)  # type: ignore[arg-type]


def test_the_attempt_counts_before_the_work(bench: Bench) -> None:
    queue(bench)
    assert claim(bench).job.attempt == 1


@pytest.mark.parametrize("writes", [job_store.count_delivered, job_store.check, job_store.asked_to_stop])
def test_who_lost_the_job_writes_nothing_more(bench: Bench, writes: object) -> None:
    queue(bench)
    zombie = claim(bench, "zombie")
    with bench.database.write() as tx:
        job_store.requeue(tx, zombie.job, counts=False)
    heir = claim(bench, "heir")
    with pytest.raises(ClaimLost), bench.database.write() as tx:
        writes(tx, zombie)  # type: ignore[operator]
    with pytest.raises(ClaimLost), bench.database.write() as tx:
        job_store.progress(tx, zombie, Progress(step=5, steps=9), seconds_left=1)
    (job,) = newest(bench)
    assert (job.step, job.delivered, job.attempt) == (0, 0, heir.job.attempt)


def test_a_state_changes_only_from_the_one_that_was_expected(bench: Bench) -> None:
    queue(bench)
    job = claim(bench).job
    with bench.database.write() as tx:
        assert not job_store.end(tx, job, "cancelled", expected="queued", now=0)
        assert job_store.end(tx, job, "done", expected="running", now=0)
        assert not job_store.end(tx, job, "failed", expected="running", now=0)
        assert not job_store.requeue(tx, job, counts=True)
    assert newest(bench)[0].state == "done"


def test_a_warning_is_kept_once_while_progress_goes_on(bench: Bench) -> None:
    queue(bench)
    made = claim(bench)
    with bench.database.write() as tx:
        for step, warning in enumerate(("cut after 'hat'", "cut after 'hat'", None, "slow")):
            job_store.progress(tx, made, Progress(step=step, steps=9, warning=warning), seconds_left=None)
    (job,) = newest(bench)
    assert (job.step, job.warnings) == (3, ("cut after 'hat'", "slow"))


def test_jobs_are_paged_newest_first(bench: Bench) -> None:
    ids = queue(bench, 5)[::-1]
    first = newest(bench, limit=2)
    second = newest(bench, limit=2, before=first[-1].id)
    third = newest(bench, limit=2, before=second[-1].id)
    assert [job.id for job in first + second + third] == ids
