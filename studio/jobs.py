"""Where money, work and storage meet: jobs are submitted, run, cancelled and, after a crash, recovered."""

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Generator
from typing import Protocol

from studio.credits import charging, ledger, pricing
from studio.domain import (
    Cancelled,
    Clock,
    Conflict,
    Drawn,
    Exported,
    ExportRequest,
    ForgottenRequest,
    ImageRequest,
    Job,
    JobState,
    NotEnoughCredits,
    NotFound,
    Refused,
    Request,
    Result,
    Runner,
    StorageFailed,
    StudioError,
    Task,
    Trained,
    Tune,
    TuneRequest,
    first_avatars,
    first_avatars_id,
    utc_now,
)
from studio.rules import MOST_SEED, canonical, new_id
from studio.rules import job_id as checked_id
from studio.storage import exports, faults, job_store, pictures, scratch, tunes, uploads
from studio.storage.database import Database, Tx
from studio.storage.folder import DataFolder, fsync_file
from studio.storage.job_store import Claim, ClaimLost
from studio.storage.watch import Watch

MOST_ATTEMPTS = 2  # in a row that brought nothing

log = logging.getLogger(__name__)


class Runners(Protocol):
    """Gives the runner of a kind of job, as a dict does."""

    def __getitem__(self, kind: str, /) -> Runner: ...


def never() -> bool:
    return False


class Jobs:
    """The queue of one data folder. Safe to share between threads; `run_next` is for the holder of the work lock."""

    def __init__(
        self,
        *,
        database: Database,
        folder: DataFolder,
        runners: Runners,
        prices: Callable[[], pricing.Prices],
        clock: Clock = utc_now,
        queue_limit: int = 50,
        draw_seed: Callable[[], int] = lambda: secrets.randbelow(MOST_SEED + 1),
    ) -> None:
        self.database = database
        self.folder = folder
        self._runners = runners
        self._prices = prices
        self._clock = clock
        self._queue_limit = queue_limit
        self._draw_seed = draw_seed
        self._worker = new_id()

    # --- what anybody may ask ---

    def submit(
        self,
        account: str,
        request: Request,
        *,
        job_id: str | None = None,
        also: Callable[[Tx, Job], object] = lambda tx, job: None,
    ) -> Job:
        """Queues the request and holds its price, or neither.

        The client's `job_id` makes a double click one job: the same id with the same request is the same job.
        `also` is done in the same transaction as the job is made.
        Raises Refused, Conflict (the id with another request, a full queue), NotFound (account, upload),
        NotEnoughCredits.
        """
        # 1. What is asked, and what it costs.
        job_id = new_id() if job_id is None else checked_id(job_id)
        asked = hashlib.sha256(canonical([request.kind, request.to_json()]).encode()).hexdigest()
        prices = self._prices()
        charges = pricing.quote(prices, request)
        resolved = request.resolve(self._draw_seed)

        with self.database.write() as tx:
            # 2. Is it the same click again?
            known = job_store.find(tx, job_id)
            if known is not None:
                if known.account == account and job_store.asked(tx, job_id) == asked:
                    return known
                raise Conflict("This id already belongs to another job.", field="id", allowed="a new UUID")

            # 3. Can it be done?
            for field, upload in request.inputs().items():
                uploads.path(tx, self.folder.uploads, account, upload, field=field)
            if isinstance(request, ImageRequest | ExportRequest) and request.tune is not None:
                tunes.path(tx, self.folder.tunes, account, request.tune)  # deleted since it was looked at?
            if job_store.waiting(tx) >= self._queue_limit:
                raise Conflict(
                    f"{self._queue_limit} jobs wait already: try again when some are done.",
                    field="queue",
                    allowed=f"{self._queue_limit} waiting jobs",
                )

            # 4. The job and its holds, in one transaction: where one of two prices cannot be held, nothing starts.
            job_store.insert(
                tx,
                job_id=job_id,
                account=account,
                request=resolved,
                asked=asked,
                charges=charges,
                now=self._clock(),
            )
            charging.hold(tx, prices, account, charges, job=job_id, now=self._clock())
            job = job_store.get(tx, account, job_id)
            also(tx, job)
            return job

    def status(self, account: str, job_id: str) -> Job:
        """The job as it stands. Raises Refused (no UUID), NotFound."""
        with self.database.read() as tx:
            return job_store.get(tx, account, checked_id(job_id))

    def cancel(self, account: str, job_id: str) -> Job:
        """Stops a job: a waiting one at once, a running one at its next step; one that has ended stays as it is.

        What was delivered until then stays and is paid. Raises Refused (no UUID), NotFound.
        """
        job_id = checked_id(job_id)
        with self.database.write() as tx:
            job = job_store.get(tx, account, job_id)
            if job.state in ("queued", "paused"):
                self._end(tx, job, "cancelled", expected="queued")
            elif job.state == "running":
                job_store.request_cancel(tx, job)
            job = job_store.get(tx, account, job_id)
        if job.ended:
            scratch.sweep(self.database, self.folder, job)
        return job

    def pause(self, account: str, job_id: str) -> Job:
        """Has a job wait, with its hold, until it is resumed or cancelled: a waiting one at once, a running one from
        its next step on. One that has ended stays as it is. Raises Refused (no UUID), NotFound."""
        return self._paused(account, job_id, paused=True)

    def resume(self, account: str, job_id: str) -> Job:
        """Puts a paused job back to its place in the queue; any other stays as it is. Raises what `pause` does."""
        return self._paused(account, job_id, paused=False)

    def _paused(self, account: str, job_id: str, *, paused: bool) -> Job:
        job_id = checked_id(job_id)
        with self.database.write() as tx:
            job_store.pause(tx, job_store.get(tx, account, job_id), paused=paused)
            return job_store.get(tx, account, job_id)

    # --- for the worker ---

    def waiting(self) -> bool:
        """Whether a job waits."""
        with self.database.read() as tx:
            return job_store.waiting(tx) > 0

    def run_next(self, stopping: Callable[[], bool] = never) -> Job | None:
        """Runs the oldest waiting job to its end and returns it; None where none waits.

        When `stopping()` turns true, or the job is to pause, it goes back into the queue and that attempt does not
        count.
        Raises StorageFailed where the end itself could not be written: `recover` then puts things right.
        """
        # 1. Claim it: one statement, so that no two workers get the same.
        if not self.waiting():
            return None
        with self.database.write() as tx:
            claim = job_store.claim(tx, self._worker, now=self._clock())
        if claim is None:
            return None

        # 2. Work.
        started = time.monotonic()
        watch = Watch(self.database, claim, stopping)
        try:
            error = self._work(claim, watch)
            if isinstance(error, StorageFailed):
                scratch.empty(self.folder, claim.job)  # so that there is room to write the end

            # 3. One transaction ends it: the state, what is captured, what is released.
            seconds = time.monotonic() - started
            with self.database.write() as tx:
                job_store.check(tx, claim)
                job = job_store.get(tx, claim.job.account, claim.job.id)
                if job.delivered == job.request.pictures:
                    self._end(tx, job, "done", seconds=seconds)
                elif error is not None:
                    self._end(tx, job, "failed", seconds=seconds, error=error)
                elif job.cancel_requested:
                    self._end(tx, job, "cancelled", seconds=seconds)
                elif stopping() or watch.paused:
                    job_store.requeue(tx, job, seconds=seconds, counts=False)
                else:
                    error = StudioError(f"Only {job.delivered} of {job.request.pictures} pictures came out.")
                    self._end(tx, job, "failed", seconds=seconds, error=error)
        except ClaimLost:
            log.warning("job %s was taken over or ended by another process", claim.job.id)

        # 4. What is left over goes; of a tune the first avatars are asked for.
        job = self.status(claim.job.account, claim.job.id)
        if job.ended:
            scratch.sweep(self.database, self.folder, job)
        if job.state == "done" and isinstance(job.request, TuneRequest):
            self.ask_for_first_avatars()
        return job

    def recover(self) -> None:
        """Puts right what a crash left: call it at the start, holding the work lock, with nothing running.

        Jobs that were running are queued again, or end if they were cancelled, complete, or tried often enough without
        coming any further.
        """
        # 1. Jobs marked as running: whoever ran them is gone.
        with self.database.read() as tx:
            orphans = job_store.running(tx)
        for orphan in orphans:
            with self.database.write() as tx:
                job = job_store.get(tx, orphan.account, orphan.id)
                if job.state != "running":
                    continue
                if job.delivered == job.request.pictures:
                    self._end(tx, job, "done")
                elif job.cancel_requested:
                    self._end(tx, job, "cancelled")
                elif (stopped := job.fruitless + 1) >= MOST_ATTEMPTS and not (job.advanced or job.pausing):
                    error = StudioError(
                        f"The studio stopped {stopped} times in a row while it worked on this and came no further; "
                        "it was given up. Only what was delivered is charged."
                    )
                    self._end(tx, job, "failed", error=error)
                else:
                    job_store.requeue(tx, job, counts=not job.pausing)

        # 2. What ended jobs left over, and first avatars that a crash kept from being asked for.
        scratch.sweep_all(self.database, self.folder)
        self.ask_for_first_avatars()

    # --- avatars of tunes ---

    def ask_for_first_avatars(self) -> None:
        """Queues the first avatars of every tune that was just trained, as far as the account's credits go."""
        with self.database.read() as tx:
            trained = tunes.untried(tx)
        for tune in trained:
            try:
                self.ask_for_avatars(tune)
            except (NotEnoughCredits, Conflict, NotFound, Refused) as error:
                log.info("first avatars of tune %s wait to be asked for: %s", tune.id, error)
            with self.database.write() as tx:
                tunes.tried(tx, tune.id)

    def ask_for_avatars(self, tune: Tune) -> list[Job]:
        """Queues what is left of a tune's first avatars, a job for each style; each once, however often it is asked.

        Raises what `submit` does; what was queued until then stays.
        """
        queued: list[Job] = []
        for style in tune.styles_left:

            def noted(tx: Tx, _job: Job, style: str = style) -> None:
                tunes.avatars_asked(tx, tune.id, style)

            job_id = first_avatars_id(tune, style)
            queued.append(self.submit(tune.account, first_avatars(tune, style), job_id=job_id, also=noted))
        return queued

    # --- the steps ---

    def _work(self, claim: Claim, watch: Watch) -> StudioError | None:
        """Runs the job's runner and keeps what it draws; what went wrong, if something did. Raises ClaimLost."""
        try:
            task = self._task(claim.job)
            drawings = self._runners[claim.job.request.kind](task, watch.report, watch.is_cancelled)
            try:
                for drawn in drawings:
                    self._keep(claim, task, drawn)
                    if watch.is_cancelled():
                        break
            finally:
                if isinstance(drawings, Generator):
                    drawings.close()
        except Cancelled:
            return None
        except StudioError as error:
            return error
        except ClaimLost:
            raise
        except Exception as error:
            told = faults.of_os(error, self.folder.root) if isinstance(error, OSError) else None
            if told is not None:
                return told
            log_id = secrets.token_hex(4)
            log.exception("job %s broke (log id %s)", claim.job.id, log_id)
            return StudioError(f"Something broke in the studio; the log has it under {log_id}.")
        return None

    def _task(self, job: Job) -> Task:
        if job.cancel_requested or isinstance(job.request, ForgottenRequest):  # since it was claimed
            raise Cancelled
        folder = self.folder.scratch(job.id)
        folder.mkdir(exist_ok=True)
        tune = job.request.tune if isinstance(job.request, ImageRequest | ExportRequest) else None
        with self.database.read() as tx:
            return Task(
                job_id=job.id,
                request=job.request,
                folder=folder,
                done=pictures.indexes(tx, job.id),
                inputs={
                    field: uploads.path(tx, self.folder.uploads, job.account, upload, field=field)
                    for field, upload in job.request.inputs().items()
                },
                tune=None if tune is None else tunes.path(tx, self.folder.tunes, job.account, tune),
                about=None if tune is None else tunes.get(tx, job.account, tune),
            )

    def _keep(self, claim: Claim, task: Task, drawn: Result) -> None:
        """Takes a result over: the file to the disk, then, in one transaction, its name and its row."""
        if drawn.index not in range(task.request.pictures) or drawn.file.parent != task.folder:
            raise ValueError(f"the runner gave picture {drawn.index} in {drawn.file}, which is not what it was asked")
        fsync_file(drawn.file)
        with self.database.write() as tx:
            # The check comes first and holds until the commit: a worker that lost its claim moves no file either.
            job_store.check(tx, claim)
            if self._add(tx, claim.job, drawn):
                nothing_found = isinstance(drawn, Drawn) and not drawn.found
                spared = sum(charge.finding for charge in claim.job.charges) if nothing_found else 0
                job_store.count_delivered(tx, claim, spared=spared)

    def _add(self, tx: Tx, job: Job, result: Result) -> bool:
        if isinstance(result, Exported):
            return exports.add(tx, self.folder.exports, job, result, now=self._clock())
        if isinstance(result, Trained):
            return tunes.add(tx, self.folder.tunes, job, result, now=self._clock())
        return pictures.add(tx, self.folder.pictures, job, result, now=self._clock())

    def _end(
        self,
        tx: Tx,
        job: Job,
        state: JobState,
        *,
        expected: JobState = "running",
        seconds: float = 0.0,
        error: StudioError | None = None,
    ) -> None:
        if job_store.end(tx, job, state, expected=expected, now=self._clock(), seconds=seconds, error=error):
            ended = job_store.get(tx, job.account, job.id)
            ledger.settle(tx, job.id, delivered=ended.delivered, spared=ended.spared, now=self._clock())
