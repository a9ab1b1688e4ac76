"""A job is seen through to its end: its progress shown, and cancelled where the command is stopped."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from studio.cli.output import Meter, note
from studio.domain import Job, NotFound, StorageFailed
from studio.service import Studio

PATIENCE = 30.0  # seconds that a cancelled job is given to come to its next step


def is_known(studio: Studio, account: str, job_id: str) -> bool:
    """Whether the account has a job of that id already."""
    with suppress(NotFound):
        studio.job(account, job_id)
        return True
    return False


def wait(studio: Studio, account: str, job_id: str) -> None:
    """Until the job has ended, with its progress. Where the queue stands still the job is cancelled."""
    meter = Meter()

    def show(job: Job) -> None:
        if job.state == "queued":
            meter.show("Waiting for its turn.")
        elif job.state == "running":
            meter.show(job.message or "Starting.", job.step, job.steps, job.seconds_left)

    try:
        studio.wait(account, job_id, show)
    except StorageFailed:
        with suppress(StorageFailed):
            studio.cancel(account, job_id)
        raise
    finally:
        meter.close()


@contextmanager
def cancelled_when_stopped(studio: Studio, account: str, job_id: str) -> Iterator[None]:
    """Ctrl-C, or being told to end, cancels the job; the block is left early and the job is at its end."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if in_main else None
    try:
        yield
    except KeyboardInterrupt:
        note("Cancelling.")
        try:
            job = studio.cancel(account, job_id)
        except NotFound:
            raise KeyboardInterrupt from None  # stopped before it was a job
        deadline = time.monotonic() + PATIENCE
        while not job.ended and time.monotonic() < deadline:
            time.sleep(0.1)
            job = studio.job(account, job_id)
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
