"""The thread that works the queue, in whichever process holds the data folder's work lock."""

import logging
import threading
import time
from collections.abc import Callable

from studio.domain import Job, StorageFailed, StudioError
from studio.jobs import Jobs, never
from studio.storage.folder import WorkLock

LOOK_EVERY = 0.25  # seconds between two looks into an empty queue, or at a lock that another process holds
TRY_AGAIN = 5.0  # seconds after the data folder could not be written

log = logging.getLogger(__name__)


class Worker:
    """Runs jobs one after another until it is stopped, or `until()` is true; between two of them it calls `between`.

    While another process works the queue it waits; when that one ends or dies, it takes over and recovers.
    """

    def __init__(
        self, jobs: Jobs, *, until: Callable[[], bool] = never, between: Callable[[], object] = lambda: None
    ) -> None:
        self.jobs = jobs
        self.trouble: StudioError | None = None  # what keeps it from working just now
        self._until = until
        self._between = between
        self._lock = WorkLock(jobs.folder.lock)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self.run, name="worker", daemon=True)

    @property
    def working(self) -> bool:
        """Whether this process is the one that works the queue."""
        return self._lock.held

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Makes it look into the queue now, after a submit in this process."""
        self._wake.set()

    def stop(self, timeout: float = 20.0) -> bool:
        """Puts the running job back into the queue and ends; whether it did within `timeout` seconds."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def run(self) -> None:
        """The loop itself, in the calling thread."""
        recovered = False
        try:
            while not self._stop.is_set() and not self._until():
                try:
                    # 1. One process at a time.
                    if not self._lock.acquire():
                        self._wait(LOOK_EVERY)
                        continue

                    # 2. First of all, what a crash left.
                    if not recovered:
                        self.jobs.recover()
                        recovered = True
                        self.trouble = None

                    # 3. What only this thread may do, such as letting go of what is warm on its device.
                    self._between()

                    # 4. Then job after job.
                    if self.jobs.run_next(self._stop.is_set) is None:
                        self._wait(LOOK_EVERY)
                except StorageFailed as error:
                    log.error("the queue stands still: %s", error)
                    self._pause(error)
                    recovered = False
                except Exception:
                    log.exception("the queue stands still")
                    self._pause(StudioError("The queue stands still: something broke in the studio; see the log."))
                    recovered = False
        finally:
            self._lock.release()

    def _pause(self, trouble: StudioError) -> None:
        self.trouble = trouble
        self._wait(TRY_AGAIN)

    def _wait(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()


def put_right(jobs: Jobs) -> bool:
    """Recovers what a process that died has left, unless another one works the queue; whether it did."""
    lock = WorkLock(jobs.folder.lock)
    if not lock.acquire():
        return False
    try:
        jobs.recover()
    finally:
        lock.release()
    return True


def see_through(
    jobs: Jobs,
    account: str,
    job_id: str,
    *,
    show: Callable[[Job], None] = lambda job: None,
    between: Callable[[], object] = lambda: None,
    poll: float = 0.1,
) -> Job:
    """Waits until the job has ended or is paused and returns it; works the queue itself while no other process does.

    `show` is called with the job at each look. Raises NotFound, and StorageFailed where the queue stands still.
    """

    def is_over(job: Job) -> bool:
        return job.ended or job.state == "paused"

    worker = Worker(jobs, until=lambda: is_over(jobs.status(account, job_id)), between=between)
    worker.start()
    try:
        while not is_over(job := jobs.status(account, job_id)):
            show(job)
            if worker.trouble is not None:
                raise worker.trouble
            time.sleep(poll)
    finally:
        worker.stop()
    show(job)
    return job
