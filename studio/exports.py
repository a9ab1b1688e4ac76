"""What may be asked of exports: make a tune's file, find it, fetch it."""

from collections.abc import Callable
from pathlib import Path

from studio.domain import Clock, Export, ExportRequest, Job, NotFound, Refused
from studio.export_request import FORMATS
from studio.jobs import Jobs
from studio.pipelines.bases import Bases
from studio.pipelines.export.forms import check
from studio.rules import job_id as checked_id
from studio.storage import exports, tunes
from studio.storage.database import Database
from studio.storage.folder import DataFolder


class Exports:
    """The exports of one studio. Safe to share between threads; what is another account's does not exist: NotFound."""

    def __init__(
        self,
        *,
        database: Database,
        folder: DataFolder,
        bases: Bases,
        jobs: Jobs,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._folder = folder
        self._bases = bases
        self._jobs = jobs
        self._wake = wake
        self._clock = clock

    def formats(self, account: str, tune_id: str) -> tuple[str, ...]:
        """The forms that this tune can be exported in. Raises NotFound, Refused and WeightsMissing (its base)."""
        with self._database.read() as tx:
            family = self._bases.find(tunes.get(tx, account, tune_id).base).family
        return tuple(form for form in FORMATS if _can(family, form))

    def export(self, account: str, tune_id: str, format: str, *, job_id: str | None = None) -> Job:  # noqa: A002
        """Queues the export of a ready tune, at no cost; the file is there when the job is done, and for 24 hours.

        The same `job_id` with the same request is the same job. Raises Refused (the format, a tune without a model,
        a family that has no such form), NotFound, WeightsMissing (its base is not here) and Conflict.
        """
        # 1. Everything that can be wrong.
        request = ExportRequest(tune=tune_id, format=format)
        with self._database.read() as tx:
            tune = tunes.get(tx, account, tune_id)
            tunes.path(tx, self._folder.tunes, account, tune_id)
        check(self._bases.find(tune.base).family, format)

        # 2. The job.
        job = self._jobs.submit(account, request, job_id=job_id)
        self._wake()
        return job

    def get(self, account: str, job_id: str) -> Export:
        """What an export job has made. Raises Refused (no UUID), NotFound."""
        with self._database.read() as tx:
            return exports.get(tx, account, checked_id(job_id), now=self._clock())

    def file(self, account: str, job_id: str) -> Path:
        """The file that an export job has made. To be read, never changed. Raises Refused, NotFound (also: gone)."""
        path = self._folder.exports / self.get(account, job_id).file
        if not path.is_file():
            raise NotFound("There is no such export, or it has gone: exports are kept for 24 hours.", field="id")
        return path

    def of_tune(self, account: str, tune_id: str) -> list[Export]:
        """A tune's exports that can be fetched, newest first. Raises NotFound."""
        with self._database.read() as tx:
            tunes.get(tx, account, tune_id)
            found = exports.of_tune(tx, account, tune_id, now=self._clock())
        return [one for one in found if (self._folder.exports / one.file).is_file()]


def _can(family: object, form: str) -> bool:
    try:
        check(family, form)  # type: ignore[arg-type]
    except Refused:
        return False
    return True
