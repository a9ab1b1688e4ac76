"""A job is submitted once, paid for what it delivers, and leaves nothing behind, whatever goes wrong in between."""

import errno
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio import answers
from studio.domain import (
    OWNER,
    BrokenPicture,
    Cancelled,
    Conflict,
    Drawn,
    ImageRequest,
    IsCancelled,
    Job,
    NotEnoughCredits,
    NotFound,
    Progress,
    Refused,
    Report,
    StorageFailed,
    Task,
)
from studio.jobs import Jobs
from studio.rules import new_id
from studio.storage import job_store, pictures, uploads
from tests.fakes import CLIENT, Bench, FakeRunner, content, request


def finish(jobs: Jobs, *, account: str = OWNER, count: int = 8) -> Job:
    """Submits a job and runs it to its end."""
    job = jobs.submit(account, request(count=count))
    assert jobs.run_next() is not None
    return jobs.status(account, job.id)


def stored(bench: Bench, job: Job) -> list[int]:
    with bench.database.read() as tx:
        return sorted(pictures.indexes(tx, job.id))


def nothing_is_left_but_pictures(bench: Bench) -> bool:
    """Every file is a whole picture with a row, every row has its file, and nothing is held."""
    with bench.database.read() as tx:
        rows = tx.execute('SELECT file, job, "index" FROM picture').fetchall()
        held = tx.execute("SELECT sum(held) FROM balance").fetchone()[0]
    expected = {bench.folder.pictures / row["file"]: content(row["job"], row["index"]) for row in rows}
    return {file: file.read_bytes() for file in bench.files()} == expected and held == 0


# --- submitting ---


def test_a_job_that_runs_is_done_paid_and_stored(bench: Bench) -> None:
    job = finish(bench.jobs(FakeRunner()))
    assert (job.state, job.delivered, job.attempt, job.error) == ("done", 8, 1, None)
    assert stored(bench, job) == list(range(8))
    assert bench.captured(OWNER) == 8
    assert nothing_is_left_but_pictures(bench)


def drawn_seed(job: Job) -> int | None:
    assert isinstance(job.request, ImageRequest)
    return job.request.seed


def test_a_double_click_is_one_job(bench: Bench) -> None:
    jobs, job_id = bench.jobs(FakeRunner()), new_id()
    clicks = [jobs.submit(OWNER, request(seed=None), job_id=job_id) for _ in range(100)]
    assert {drawn_seed(click) for click in clicks} == {drawn_seed(clicks[0])}
    assert bench.count("job") == bench.count("hold") == 1
    assert bench.balance(OWNER) == (1, 1)


def test_a_click_after_the_job_has_ended_finds_it_ended(bench: Bench) -> None:
    jobs, job_id = bench.jobs(FakeRunner()), new_id()
    jobs.submit(OWNER, request(), job_id=job_id)
    jobs.run_next()
    assert jobs.submit(OWNER, request(), job_id=job_id).state == "done"
    assert jobs.run_next() is None


def test_the_same_id_for_another_request_is_refused(bench: Bench) -> None:
    jobs, job_id = bench.jobs(FakeRunner()), new_id()
    jobs.submit(OWNER, request(), job_id=job_id)
    for account, other in ((OWNER, request(steps=31)), (CLIENT, request())):
        with pytest.raises(Conflict) as caught:
            jobs.submit(account, other, job_id=job_id)
        assert caught.value.field == "id"
    assert bench.count("job") == 1


def test_what_cannot_be_paid_is_refused_and_leaves_nothing_behind(bench: Bench) -> None:
    bench.grant(3)
    jobs = bench.jobs(FakeRunner())
    with pytest.raises(NotEnoughCredits):
        jobs.submit(CLIENT, request(count=4))
    assert bench.count("job") == bench.count("hold") == 0
    assert bench.balance(CLIENT) == (3, 0)


def test_where_one_of_two_prices_cannot_be_paid_neither_is_held(bench: Bench) -> None:
    bench.grant(10, kind="tune_image")
    bench.tune("t1")
    with pytest.raises(NotEnoughCredits, match="playground"):
        bench.jobs(FakeRunner()).submit(CLIENT, request(tune="t1", super_resolution=True))
    assert (bench.count("job"), bench.count("hold")) == (1, 0), "the training's alone"


def test_an_avatar_on_which_no_face_was_found_does_not_cost_the_face(bench: Bench) -> None:
    bench.grant(10, kind="tune_image", key="a")
    bench.grant(20, kind="playground", key="b")
    bench.tune("t1")
    faceless = FakeRunner()

    def draw(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        for drawn in faceless(task, report, is_cancelled):
            yield replace(drawn, found=drawn.index not in (2, 5, 6))

    jobs = bench.jobs(draw)
    job = jobs.submit(CLIENT, request(tune="t1", super_resolution=True, face_enhance=True, count=8))
    assert bench.balance(CLIENT) == (20, 16)
    done = jobs.run_next()
    assert done is not None and (done.state, answers.charged(done)) == ("done", {"tune_image": 8, "playground": 13})
    assert (bench.balance(CLIENT, "tune_image"), bench.balance(CLIENT)) == ((2, 0), (7, 0))
    assert jobs.status(CLIENT, job.id).spared == 3


def test_both_prices_of_an_avatar_with_a_tool_are_captured_for_what_was_delivered(bench: Bench) -> None:
    bench.grant(10, kind="tune_image", key="a")
    bench.grant(10, kind="playground", key="b")
    bench.tune("t1")

    def stop_at_three(index: int) -> None:
        if index == 3:
            raise BrokenPicture("That was black.")

    jobs = bench.jobs(FakeRunner(before=stop_at_three))
    jobs.submit(CLIENT, request(tune="t1", super_resolution=True, count=8))
    jobs.run_next()
    assert bench.balance(CLIENT, "tune_image") == bench.balance(CLIENT, "playground") == (7, 0)


@pytest.mark.parametrize("field", ["init", "mask"])
def test_a_picture_to_start_from_that_is_not_ones_own_is_not_found(bench: Bench, field: str) -> None:
    with bench.database.write() as tx:
        mine = uploads.add(tx, bench.folder.uploads, OWNER, b"png", now=0)
        theirs = uploads.add(tx, bench.folder.uploads, CLIENT, b"png", now=0)
    fields = {"init": mine, field: theirs}
    with pytest.raises(NotFound) as caught:
        bench.jobs(FakeRunner()).submit(OWNER, request(**fields))
    assert caught.value.field == field
    assert bench.count("job") == bench.count("entry") == 0


def test_the_runner_is_given_the_files_of_the_uploads(bench: Bench) -> None:
    with bench.database.write() as tx:
        upload = uploads.add(tx, bench.folder.uploads, OWNER, b"png", now=0)
    runner = FakeRunner()
    jobs = bench.jobs(runner)
    jobs.submit(OWNER, request(init=upload))
    jobs.run_next()
    assert {field: file.read_bytes() for field, file in runner.asked[0].inputs.items()} == {"init": b"png"}


@pytest.mark.parametrize("bad", ["", "7", "not-a-uuid"])
def test_a_job_id_that_is_none_is_refused(bench: Bench, bad: str) -> None:
    jobs = bench.jobs(FakeRunner())
    for ask in (lambda: jobs.submit(OWNER, request(), job_id=bad), lambda: jobs.status(OWNER, bad)):
        with pytest.raises(Refused) as caught:
            ask()
        assert caught.value.field == "id"
    assert bench.count("job") == bench.count("entry") == 0


def test_a_full_queue_says_so(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner(), queue_limit=2)
    jobs.submit(OWNER, request())
    jobs.submit(OWNER, request())
    with pytest.raises(Conflict, match="2 jobs wait already"):
        jobs.submit(OWNER, request())
    jobs.run_next()
    jobs.submit(OWNER, request())


def test_nobodys_job_is_not_taken(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.jobs(FakeRunner()).submit("nobody", request())


def test_another_accounts_job_does_not_exist(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    job = jobs.submit(OWNER, request())
    for ask in (jobs.status, jobs.cancel):
        with pytest.raises(NotFound):
            ask(CLIENT, job.id)
    assert jobs.status(OWNER, job.id).state == "queued"


# --- running ---


def test_a_drawn_seed_is_kept_with_the_job(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner(), draw_seed=lambda: 99)
    job = jobs.submit(OWNER, request(seed=None, count=2))
    jobs.run_next()
    assert drawn_seed(job) == 99
    with bench.database.read() as tx:
        assert [picture.seed for picture in pictures.of_job(tx, job.id)] == [99, 100]


def test_progress_is_written_at_most_once_a_second_and_a_warning_always(bench: Bench) -> None:
    def chatty(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        report(Progress(step=0, steps=100, message="Loading."))
        time.sleep(1.05)  # which does not count
        for step in range(100):
            report(Progress(step=step, steps=100, message=f"step {step}"))
        report(Progress(step=60, steps=100, warning="The prompt was cut after 'hat'."))
        seen.append(jobs.status(OWNER, task.job_id))
        time.sleep(1.05)
        preview = task.folder / "preview.jpg"
        preview.write_bytes(b"jpg")
        report(Progress(step=70, steps=100, preview=preview))
        seen.append(jobs.status(OWNER, task.job_id))
        before_that = bench.folder.preview(seen[-1])
        assert before_that is not None
        assert before_that.read_bytes() == b"jpg"
        yield from FakeRunner()(task, lambda progress: None, is_cancelled)

    seen: list[Job] = []
    jobs = bench.jobs(chatty)
    jobs.submit(OWNER, request())
    jobs.run_next()
    assert (seen[0].step, seen[0].warnings) == (60, ("The prompt was cut after 'hat'.",))
    assert (seen[1].step, seen[1].steps, seen[1].preview) == (70, 100, "preview.jpg")
    assert seen[1].seconds_left == 1  # 70 steps took a second, 30 are left
    done = jobs.status(OWNER, seen[0].id)
    assert (done.state, done.step, done.preview, done.warnings) == ("done", 100, None, seen[0].warnings)


def test_a_studio_error_fails_the_job_with_its_sentence_and_charges_what_came_before(bench: Bench) -> None:
    def break_at_five(index: int) -> None:
        if index == 5:
            raise BrokenPicture("Picture 6 came out black.", field="guidance", allowed="less")

    job = finish(bench.jobs(FakeRunner(before=break_at_five)))
    assert (job.state, job.error, job.error_field, job.error_allowed) == (
        "failed",
        "Picture 6 came out black.",
        "guidance",
        "less",
    )
    assert (job.delivered, bench.captured(OWNER)) == (5, 5)
    assert nothing_is_left_but_pictures(bench)


def test_an_unexpected_exception_fails_the_job_with_a_log_id_and_logs_the_traceback(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(index: int) -> None:
        raise RuntimeError("CUDA error: device-side assert at /home/somebody/secret")

    with caplog.at_level(logging.ERROR):
        job = finish(bench.jobs(FakeRunner(before=break_down)))
    assert job.state == "failed"
    assert job.error is not None
    assert "secret" not in job.error
    (record,) = caplog.records
    assert record.exc_info is not None
    assert job.error.split()[-1].rstrip(".") in record.getMessage()
    assert bench.captured(OWNER) == 0
    assert nothing_is_left_but_pictures(bench)


def test_a_runner_that_cannot_be_loaded_fails_the_job(bench: Bench) -> None:
    def missing(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        raise NotFound("The base 'sdxl' is not here: python -m studio models fetch sdxl")

    job = finish(bench.jobs(missing))
    assert (job.state, bench.captured(OWNER)) == ("failed", 0)


def test_a_full_disk_fails_the_job_with_one_sentence(bench: Bench) -> None:
    def fill_up(index: int) -> None:
        if index == 2:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/2.png")

    job = finish(bench.jobs(FakeRunner(before=fill_up)))
    assert job.state == "failed"
    assert "is full: free some space" in (job.error or "")
    assert (job.delivered, bench.captured(OWNER)) == (2, 2)
    assert nothing_is_left_but_pictures(bench)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full_while_a_picture_is_written_fails_the_job(bench: Bench) -> None:
    def write_to_a_full_disk(index: int) -> None:
        Path("/dev/full").write_bytes(b"picture")

    job = finish(bench.jobs(FakeRunner(before=write_to_a_full_disk)))
    assert "is full" in (job.error or "")
    assert nothing_is_left_but_pictures(bench)


def test_a_database_that_cannot_grow_in_the_middle_of_a_job_fails_it_and_the_sums_hold(bench: Bench) -> None:
    def fill_up(index: int) -> None:
        if index == 3:
            with bench.database.read() as tx:
                pages = tx.execute("PRAGMA page_count").fetchone()[0]
            bench.database._connection().execute(f"PRAGMA max_page_count = {pages}")  # pyright: ignore

    long = "word " * 399
    jobs = bench.jobs(FakeRunner(before=fill_up))
    job = jobs.submit(OWNER, request(prompt=long, count=8))  # recipes so long that a page holds two
    jobs.run_next()
    bench.database._connection().execute("PRAGMA max_page_count = 1000000")  # pyright: ignore
    job = jobs.status(OWNER, job.id)
    assert job.state == "failed"
    assert "is full" in (job.error or "")
    assert 3 <= job.delivered < 8
    assert bench.captured(OWNER) == job.delivered
    assert nothing_is_left_but_pictures(bench)


def test_a_database_that_is_full_at_the_click_says_so_and_keeps_nothing_of_it(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    with bench.database.read() as tx:
        pages = tx.execute("PRAGMA page_count").fetchone()[0]
    bench.database._connection().execute(f"PRAGMA max_page_count = {pages}")  # pyright: ignore
    taken = 0
    with pytest.raises(StorageFailed, match="is full: free some space"):
        while taken < 100:
            jobs.submit(OWNER, request(prompt="word " * 399))
            taken += 1
    assert bench.count("job") == bench.count("hold") == taken
    assert bench.balance(OWNER) == (taken, taken)
    assert bench.faults() == []


def test_too_few_pictures_are_a_failure_that_charges_for_them_alone(bench: Bench) -> None:
    def lazy(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        for drawn in FakeRunner()(task, report, is_cancelled):
            if drawn.index < 3:
                yield drawn

    job = finish(bench.jobs(lazy))
    assert (job.state, job.error, bench.captured(OWNER)) == ("failed", "Only 3 of 8 pictures came out.", 3)
    assert nothing_is_left_but_pictures(bench)


def test_a_picture_that_was_not_asked_for_is_not_taken(bench: Bench) -> None:
    def eager(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        for drawn in FakeRunner()(task, report, is_cancelled):
            yield Drawn(index=drawn.index + 7, file=drawn.file, width=1, height=1, seed=0, recipe={})

    job = finish(bench.jobs(eager))
    assert (job.state, job.delivered, bench.captured(OWNER)) == ("failed", 1, 1)


def test_the_same_picture_twice_is_one(bench: Bench) -> None:
    def stutter(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        for drawn in FakeRunner()(task, report, is_cancelled):
            yield drawn
            drawn.file.write_bytes(b"again")
            yield drawn

    job = finish(bench.jobs(stutter), count=3)
    assert (job.state, job.delivered, bench.captured(OWNER)) == ("done", 3, 3)
    assert nothing_is_left_but_pictures(bench)


def test_a_runner_that_fails_after_its_last_picture_has_delivered(bench: Bench) -> None:
    def late(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        yield from FakeRunner()(task, report, is_cancelled)
        raise BrokenPicture("too late")

    job = finish(bench.jobs(late))
    assert (job.state, job.error, bench.captured(OWNER)) == ("done", None, 8)


def test_no_statement_of_a_jobs_life_reads_a_whole_table(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    ran: list[str] = []
    connection = bench.database._connection()  # pyright: ignore[reportPrivateUsage]
    connection.set_trace_callback(ran.append)
    finish(jobs, count=2)
    jobs.recover()
    connection.set_trace_callback(None)
    with bench.database.read() as tx:
        plans = [
            (row["detail"], statement)
            for statement in set(ran)
            if statement.startswith((" ", "\n", "SELECT", "UPDATE", "INSERT"))
            for row in tx.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
    assert len(plans) > 10
    # The indexes on what is open: they hold what waits, runs or is left, and not what has been.
    # json_each walks a job's own warnings.
    short = ("job_waiting", "job_running", "grant_left")
    scans = [plan for plan in plans if plan[0].startswith("SCAN") and "json_each" not in plan[0]]
    assert [plan for plan in scans if not plan[0].endswith(short)] == []


# --- cancelling ---


def test_a_waiting_job_is_cancelled_at_once_and_costs_nothing(bench: Bench) -> None:
    runner = FakeRunner()
    jobs = bench.jobs(runner)
    job = jobs.submit(OWNER, request())
    assert jobs.cancel(OWNER, job.id).state == "cancelled"
    assert jobs.run_next() is None
    assert (runner.asked, bench.captured(OWNER), bench.balance(OWNER)) == ([], 0, (0, 0))


def test_a_running_job_is_cancelled_at_its_next_step_and_what_came_before_is_paid(bench: Bench) -> None:
    def cancel_at_five(index: int) -> None:
        if index == 5:
            assert jobs.cancel(OWNER, job.id).state == "running"

    runner = FakeRunner(before=cancel_at_five)
    jobs = bench.jobs(runner)
    job = jobs.submit(OWNER, request(count=8))
    jobs.run_next()
    job = jobs.status(OWNER, job.id)
    assert (job.state, job.delivered, bench.captured(OWNER)) == ("cancelled", 5, 5)
    assert len(runner.drawn) == 5
    assert nothing_is_left_but_pictures(bench)


def test_a_runner_may_say_cancelled_by_raising_it(bench: Bench) -> None:
    def raising(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        for drawn in FakeRunner()(task, report, is_cancelled):
            yield drawn
            jobs.cancel(OWNER, task.job_id)
            raise Cancelled

    jobs = bench.jobs(raising)
    job = finish(jobs)
    assert (job.state, job.delivered, job.error) == ("cancelled", 1, None)


def test_a_runner_that_never_asks_is_stopped_between_two_pictures(bench: Bench) -> None:
    def deaf(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        yield from FakeRunner()(task, report, lambda: False)

    def cancelling(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        for drawn in deaf(task, report, is_cancelled):
            if drawn.index == 2:
                jobs.cancel(OWNER, task.job_id)
            yield drawn

    jobs = bench.jobs(cancelling)
    job = finish(jobs)
    assert (job.state, job.delivered) == ("cancelled", 3)


def test_cancelling_what_has_ended_changes_nothing(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    job = finish(jobs)
    assert jobs.cancel(OWNER, job.id) == job


# --- stopping and recovering ---


class Died(BaseException):
    """What kills a process, as far as the database can tell."""


def crash_in(bench: Bench, jobs: Jobs, after: int) -> Job:
    """Leaves a job as a process does that dies after so many pictures of it."""

    def die(index: int) -> None:
        if index == after:
            raise Died

    dying = bench.jobs(FakeRunner(before=die))
    job = jobs.submit(OWNER, request(count=8))
    with pytest.raises(Died):
        dying.run_next()
    return jobs.status(OWNER, job.id)


def test_after_a_crash_only_what_is_missing_is_made(bench: Bench) -> None:
    runner = FakeRunner()
    jobs = bench.jobs(runner)
    assert crash_in(bench, jobs, after=5).state == "running"
    jobs.recover()
    job = jobs.run_next()
    assert job is not None
    assert (job.state, job.attempt, job.delivered, bench.captured(OWNER)) == ("done", 2, 8, 8)
    assert [index for _, index in runner.drawn] == [5, 6, 7]
    assert nothing_is_left_but_pictures(bench)


def die_at_once(bench: Bench) -> None:
    def die(index: int) -> None:
        raise Died

    with pytest.raises(Died):
        bench.jobs(FakeRunner(before=die)).run_next()


def test_after_two_crashes_in_a_row_that_brought_nothing_the_job_fails_and_the_rest_is_released(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    job = crash_in(bench, jobs, after=2)
    for state in ("queued", "queued", "failed"):
        jobs.recover()
        if state == "queued":
            assert jobs.status(OWNER, job.id).state == state
            die_at_once(bench)
    job = jobs.status(OWNER, job.id)
    assert (job.state, job.delivered, bench.captured(OWNER)) == ("failed", 2, 2)
    assert "stopped 2 times in a row" in (job.error or "")
    assert jobs.run_next() is None
    assert nothing_is_left_but_pictures(bench)


def test_a_job_that_comes_further_at_each_start_is_not_given_up_however_often_it_crashes(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    crash_in(bench, jobs, after=1)
    for last in range(2, 8):
        jobs.recover()

        def die(index: int, last: int = last) -> None:
            if index == last:
                raise Died

        with pytest.raises(Died):
            bench.jobs(FakeRunner(before=die)).run_next()
    jobs.recover()
    job = jobs.run_next()
    assert job is not None and (job.state, job.delivered, bench.captured(OWNER)) == ("done", 8, 8)


def test_what_a_runner_says_it_has_kept_is_coming_further_too(bench: Bench) -> None:
    brings = iter((True, True, False, True, False, False))

    def train(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        report(Progress(step=0, steps=9))
        report(Progress(step=1, steps=9, kept=next(brings)))  # within the same second: what was kept is always written
        raise Died
        yield

    jobs = bench.jobs(train)
    job = jobs.submit(OWNER, request())
    for _ in range(6):
        assert jobs.status(OWNER, job.id).state == "queued"
        with pytest.raises(Died):
            jobs.run_next()
        jobs.recover()
    assert jobs.status(OWNER, job.id).state == "failed"


# --- pausing ---


def test_a_paused_job_lets_the_next_one_go_first_keeps_its_hold_and_goes_on_when_resumed(bench: Bench) -> None:
    bench.grant(20)
    runner = FakeRunner()
    jobs = bench.jobs(runner)
    first, second = (jobs.submit(CLIENT, request(count=count)) for count in (3, 2))

    def pause_once(index: int) -> None:
        if index == 1 and len(runner.asked) == 1:
            jobs.pause(CLIENT, first.id)

    runner.before = pause_once
    paused = jobs.run_next()
    assert paused is not None and (paused.id, paused.state, paused.delivered) == (first.id, "paused", 1)
    assert bench.balance(CLIENT) == (20, sum(charge.amount for job in (first, second) for charge in job.charges))
    done = jobs.run_next()
    assert done is not None and (done.id, done.state) == (second.id, "done")
    assert jobs.run_next() is None and not jobs.waiting()
    jobs.recover()  # as after a restart
    assert jobs.run_next() is None and jobs.status(CLIENT, first.id).state == "paused"
    assert jobs.resume(CLIENT, first.id).state == "queued"
    done = jobs.run_next()
    assert done is not None and (done.id, done.state, done.attempt, done.delivered) == (first.id, "done", 1, 3)
    assert bench.balance(CLIENT)[1] == 0


def test_a_paused_job_that_is_cancelled_releases_what_is_held(bench: Bench) -> None:
    bench.grant(20)
    jobs = bench.jobs(FakeRunner())
    job = jobs.submit(CLIENT, request(count=2))
    assert jobs.pause(CLIENT, job.id).state == "paused"
    assert jobs.cancel(CLIENT, job.id).state == "cancelled"
    assert bench.balance(CLIENT) == (20, 0)
    assert jobs.resume(CLIENT, job.id).state == "cancelled" and jobs.run_next() is None


def test_a_job_resumed_before_its_worker_has_let_go_is_done_all_the_same(bench: Bench) -> None:
    runner = FakeRunner()
    jobs = bench.jobs(runner)
    job = jobs.submit(OWNER, request(count=3))

    def train(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        jobs.pause(OWNER, job.id)
        assert is_cancelled()
        jobs.resume(OWNER, job.id)
        raise Cancelled
        yield

    assert (seen := bench.jobs(train).run_next()) is not None and seen.state == "queued"
    assert (seen := jobs.run_next()) is not None and (seen.state, seen.attempt) == ("done", 1)


def test_a_process_that_dies_while_it_pauses_leaves_a_paused_job(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    job = crash_in(bench, jobs, after=0)
    assert jobs.pause(OWNER, job.id).state == "running"
    for _ in range(3):
        jobs.recover()
    assert jobs.status(OWNER, job.id).state == "paused" and jobs.run_next() is None


def test_a_job_cancelled_before_the_crash_is_not_begun_again(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    job = crash_in(bench, jobs, after=4)
    jobs.cancel(OWNER, job.id)
    jobs.recover()
    assert (jobs.status(OWNER, job.id).state, bench.captured(OWNER)) == ("cancelled", 4)
    assert nothing_is_left_but_pictures(bench)


def test_a_job_cancelled_between_crash_and_second_attempt_pays_for_the_first(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    job = crash_in(bench, jobs, after=5)
    jobs.recover()
    assert jobs.cancel(OWNER, job.id).state == "cancelled"
    assert (jobs.run_next(), bench.captured(OWNER)) == (None, 5)
    assert nothing_is_left_but_pictures(bench)


def test_a_file_that_a_crash_left_without_a_row_does_not_stay(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    job = crash_in(bench, jobs, after=4)
    orphan = bench.folder.pictures / pictures.file_name(job.id, 4)
    orphan.write_bytes(b"whole, but nobody knows of it")
    jobs.cancel(OWNER, job.id)
    jobs.recover()
    assert not orphan.exists()
    assert nothing_is_left_but_pictures(bench)


def test_an_upload_that_a_crash_cut_short_does_not_stay(bench: Bench) -> None:
    with bench.database.write() as tx:
        whole = uploads.add(tx, bench.folder.uploads, OWNER, b"png", now=0)
    left = [bench.folder.uploads / name for name in ("half.part", "nobodys.png", "just-now.part")]
    for file in left:
        file.write_bytes(b"x")
    for file in (*left[:2], bench.folder.uploads / f"{whole}.png"):
        os.utime(file, (0, 0))
    bench.jobs(FakeRunner()).recover()
    assert sorted(file.name for file in bench.folder.uploads.iterdir()) == sorted([f"{whole}.png", "just-now.part"])


def test_recovering_twice_is_recovering_once(bench: Bench) -> None:
    jobs = bench.jobs(FakeRunner())
    crash_in(bench, jobs, after=4)
    jobs.recover()
    jobs.recover()
    job = jobs.run_next()
    assert job is not None
    assert (job.state, job.attempt) == ("done", 2)


def test_a_stop_puts_the_job_back_and_does_not_count_as_an_attempt(bench: Bench) -> None:
    stopping: list[int] = []
    jobs = bench.jobs(FakeRunner(before=lambda index: stopping.append(index) if index == 3 else None))
    jobs.submit(OWNER, request(count=8))
    for _ in range(3):
        stopping.clear()
        job = jobs.run_next(lambda: bool(stopping))
        assert job is not None
        assert (job.state, job.attempt, job.delivered) == ("queued", 0, 3)
    job = jobs.run_next()
    assert job is not None
    assert (job.state, job.attempt, job.delivered, bench.captured(OWNER)) == ("done", 1, 8, 8)
    assert nothing_is_left_but_pictures(bench)


def test_who_lost_the_job_stops_and_writes_nothing(bench: Bench) -> None:
    def lose_it(index: int) -> None:
        if index == 3:  # as if another process took this one for dead and ended its job
            running = jobs.status(OWNER, job.id)
            with bench.database.write() as tx:
                job_store.requeue(tx, running, counts=True)
            heir.run_next()

    heir = bench.jobs(FakeRunner())
    jobs = bench.jobs(FakeRunner(before=lose_it))
    job = jobs.submit(OWNER, request(count=8))
    seen = jobs.run_next()
    assert seen is not None
    assert (seen.state, seen.attempt, seen.delivered, bench.captured(OWNER)) == ("done", 2, 8, 8)
    assert nothing_is_left_but_pictures(bench)
