"""What may be asked about keeping and forgetting: what goes when, 30 days more, delete now, and the receipts."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from studio import forgetting
from studio.domain import Clock, CreditKind, Refused, StorageFailed, Tune
from studio.storage import belongings, deletions, job_store, retention, tunes
from studio.storage.belongings import Belongings
from studio.storage.database import Database, Tx
from studio.storage.deletions import Receipt as Receipt
from studio.storage.folder import DataFolder, WorkLock
from studio.storage.retention import Due as Due
from studio.storage.retention import warned as warned

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Going:
    """What a deletion would take and what it would leave, by what it is, only what there is any of.

    `goes`: models, photos, pictures, uploads (pictures of the tune that tools were given), exports, jobs_stopped,
    records (of consent); `credits` come back from jobs that are stopped. `stays`: pictures, photos, bookings of the
    account book, jobs (their rows, without what was asked), receipts.
    """

    tune: str
    name: str
    model_only: bool
    goes: Mapping[str, int]
    stays: Mapping[str, int]
    credits: Mapping[CreditKind, int]


class Retention:
    """The clocks and deletions of one studio. Safe to share between threads; what is another account's does not exist:
    NotFound.

    `catch_up` brings the accounts' plans up to date, `notice_lapses` only notes which keep tunes no more at a moment;
    `unload` lets go of a tune that this process has warm, and is called by the thread that works the queue.
    """

    def __init__(
        self,
        *,
        database: Database,
        folder: DataFolder,
        clock: Clock,
        catch_up: Callable[[], object],
        notice_lapses: Callable[[int], object],
        unload: Callable[[str], object] = lambda tune: None,
    ) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._catch_up = catch_up
        self._notice_lapses = notice_lapses
        self._unload = unload

    # --- what goes when ---

    def due(self, account: str) -> list[Due]:
        """Everything of the account that will go, the soonest first; not what a plan keeps or a job needs."""
        with self._database.read() as tx:
            return [one for one, _ in belongings.due(tx, account=account)]

    def warnings(self, account: str) -> list[Due]:
        """The models and avatars that go within 7 days, the soonest first. (`warned` says which of 7 and 1 days.)"""
        now = self._clock()
        return [one for one in self.due(account) if retention.warned(one, now=now) is not None]

    def extend(self, account: str, tune_id: str) -> Tune:
        """Keeps a tune's model 30 days more, from its present end. Raises NotFound, and Refused where it has none."""
        with self._database.write() as tx:
            model = belongings.model_of(tx, account, tune_id)
            tune = tunes.get(tx, account, tune_id)
            if not model.has_model:
                raise Refused(
                    f"{tune.name} has no model to keep: it is {tune.state}.", field="tune", allowed="a ready tune"
                )
            tunes.keep_until(tx, tune_id, retention.extended(model, now=self._clock()))
            return tunes.get(tx, account, tune_id)

    # --- deleting ---

    def going(self, account: str, tune_id: str, *, model_only: bool = False) -> Going:
        """What `delete` would take and leave. Raises what it does."""
        with self._database.read() as tx:
            of = self._found(tx, account, tune_id, model_only=model_only)
            stopped = of.model_jobs if model_only else of.live
            goes = {
                "models": int(of.file is not None),
                "exports": len(of.exports),
                "jobs_stopped": len(stopped),
            }
            stays = {"bookings": job_store.bookings(tx, of.jobs), "receipts": 1}
            rest = {"photos": len(of.photos), "pictures": of.pictures}
            if model_only:
                stays |= rest
            else:
                goes |= rest | {"uploads": len(of.copies), "records": 1}
                stays |= {"jobs": len(of.jobs)}
            credits = job_store.held(tx, stopped)
        return Going(
            tune=of.tune,
            name=of.name,
            model_only=model_only,
            goes={what: count for what, count in goes.items() if count},
            stays={what: count for what, count in stays.items() if count},
            credits=credits,
        )

    def delete(self, account: str, tune_id: str, *, model_only: bool = False) -> Receipt:
        """Deletes a tune with everything of it, or its model alone: out of sight at once, erased as soon as its jobs
        have stopped. Returns the receipt as it stands then.

        Raises NotFound, and Refused where there is no model to delete.
        """
        # 1. Out of sight, or nothing.
        with self._database.read() as tx:
            self._found(tx, account, tune_id, model_only=model_only)
        now = self._clock()
        receipt = forgetting.begin(
            self._database, self._folder, account, tune_id, model_only=model_only, why="asked", now=now
        )
        # 2. Erased, as far as that goes now.
        self.finish()
        with self._database.read() as tx:
            return deletions.get(tx, receipt)

    def receipts(self, account: str, *, limit: int = 100) -> list[Receipt]:
        """What was deleted of the account's, newest first, without a name or anything of it."""
        with self._database.read() as tx:
            return deletions.receipts(tx, account, limit=limit)

    # --- by itself ---

    def sweep(self, now: int | None = None) -> list[Receipt]:
        """Deletes all that is due, of every account, and finishes what was not finished; returns the new receipts.

        `now`: as if it were then. Where that is more than 48 h ahead of the last sweep, nothing goes until the next
        one agrees.
        """
        if now is None:
            self._catch_up()
        elif self.is_believed(now):
            self._notice_lapses(now)
        now = self._clock() if now is None else now
        with self._alone() as alone:
            made = forgetting.sweep(self._database, self._folder, alone=alone, now=now)
            if alone:
                self.unload_warm()
        with self._database.read() as tx:
            return [deletions.get(tx, receipt) for receipt in made]

    def sweep_if_late(self) -> None:
        """Finishes what was not finished, and sweeps where nobody works the queue and nobody has for an hour: for
        commands, so that a studio without a page forgets in time too. What cannot be written is logged."""
        try:
            self.finish()
            with self._database.read() as tx:
                last = deletions.seen(tx)
            with self._alone() as alone:
                is_late = alone and last is not None and self._clock() - last >= retention.HOUR
            if is_late:
                self.sweep()
        except StorageFailed:
            log.warning("what is due could not be deleted; the next command tries again", exc_info=True)

    def is_believed(self, now: int) -> bool:
        """Whether a sweep at that moment would delete what is due then, or wait for another one to agree."""
        with self._database.read() as tx:
            return retention.believed(now, seen=deletions.seen(tx)) == now

    def finish(self) -> bool:
        """Goes on with deletions that are not finished; whether all are now."""
        if not forgetting.is_pending(self._database):
            return True
        with self._alone() as alone:
            if alone:
                self.unload_warm()
            return forgetting.finish(self._database, self._folder, alone=alone, now=self._clock())

    def unload_warm(self) -> None:
        """Lets go of deleted tunes that are warm; for the thread that works the queue, or where nobody does."""
        with self._database.read() as tx:
            found = deletions.warm(tx)
        for tune in found:
            self._unload(tune)
            with self._database.write() as tx:
                deletions.unloaded(tx, tune)

    def begin(self) -> None:
        """Notes, in a studio that was never swept, that its clock begins now."""
        with self._database.read() as tx:
            if deletions.seen(tx) is not None:
                return
        with self._database.write() as tx:
            deletions.saw(tx, self._clock())

    def _found(self, tx: Tx, account: str, tune_id: str, *, model_only: bool) -> Belongings:
        of = belongings.of_tune(tx, account, tune_id)
        if model_only and of.file is None:
            raise Refused(f"{of.name} has no model to delete.", field="tune", allowed="a ready tune")
        return of

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether nobody works the queue, and nobody begins to meanwhile."""
        lock = WorkLock(self._folder.lock)
        alone = lock.acquire()
        try:
            yield alone
        finally:
            if alone:
                lock.release()
