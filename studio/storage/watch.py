"""What a runner is given to report by, and to ask whether it should stop."""

import math
import time
from collections.abc import Callable

from studio.domain import Progress
from studio.storage import job_store
from studio.storage.database import Database
from studio.storage.job_store import Claim

REPORT_EVERY = 1.0  # seconds between two writes of a job's progress


class Watch:
    """One claimed job's line to its row. Raises ClaimLost from both methods once the claim is.

    `paused` is true once the runner was told to stop because the job is to pause.
    """

    def __init__(self, database: Database, claim: Claim, stopping: Callable[[], bool]) -> None:
        self._database = database
        self._claim = claim
        self._stopping = stopping
        self._written = -math.inf
        self._first: tuple[float, int] | None = None
        self._warned: set[str] = set()
        self.paused = False

    def is_cancelled(self) -> bool:
        """Whether the runner should stop: the job is cancelled or to pause, or the studio ends."""
        with self._database.read() as tx:
            asked = job_store.asked_to_stop(tx, self._claim)
        self.paused = asked == "pause"
        return asked is not None or self._stopping()

    def report(self, progress: Progress) -> None:
        """Writes the progress, at most once a second; a new warning and what was kept always."""
        now = time.monotonic()
        if self._first is None and progress.step > 0:
            self._first = (now, progress.step)
        new_warning = progress.warning is not None and progress.warning not in self._warned
        if now - self._written < REPORT_EVERY and not new_warning and not progress.kept:
            return
        if progress.warning is not None:
            self._warned.add(progress.warning)
        self._written = now
        with self._database.write() as tx:
            job_store.progress(tx, self._claim, progress, seconds_left=self._seconds_left(now, progress))

    def _seconds_left(self, now: float, progress: Progress) -> int | None:
        """By the pace since the first step, so that the time a model takes to load does not count, nor the steps of an
        earlier attempt."""
        began, first_step = self._first or (now, progress.step)
        if progress.step <= first_step:
            return None
        return math.ceil((now - began) / (progress.step - first_step) * max(0, progress.steps - progress.step))
