"""The studio as a whole: the few things that a click on the page, a call of the API or a command may ask of it."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from studio import quoting
from studio.counter import Counter
from studio.credits import book, ledger, pricing, verify
from studio.credits.plans import HOUSE
from studio.credits.price_list import PriceList
from studio.domain import (
    OWNER,
    Charge,
    Clock,
    ForgottenRequest,
    ImageRequest,
    Job,
    NotFound,
    Refused,
    StudioError,
    utc_now,
)
from studio.exports import Exports
from studio.gallery import Gallery
from studio.imports import Imports
from studio.jobs import Jobs
from studio.jobs import Runners as AnyRunners
from studio.models import BaseInfo, Models
from studio.photo_report import CropMode, Nature, PhotoReport
from studio.photos import Photos
from studio.pipelines import Runners, tool_weights
from studio.retention import Retention
from studio.rules import name
from studio.settings import Settings
from studio.storage import forgotten, job_store
from studio.storage.database import Database
from studio.storage.folder import DataFolder
from studio.styles import Style
from studio.sweeper import Sweeper
from studio.tuning import Tuning
from studio.worker import Worker, put_right, see_through
from studio.workshop import Workshop

HANDED_IN = "handed-in"  # stands in a checked request for the id that the picture does not have yet

log = logging.getLogger(__name__)

Handed = Path | bytes  # a picture handed in: a file, or what is in it


class Studio:
    """One data folder and all that works on it; safe to share between threads.

    Pictures are asked for at its `gallery`, credits at its `counter`, models at `models`, what works on pictures at its
    `workshop`, what goes when at its `retention`; here, what makes them.
    Every method takes the account that asks. What belongs to another account does not exist for it: NotFound. What is
    refused raises a `StudioError` with one sentence, has cost nothing and has left nothing behind.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        folder: DataFolder,
        database: Database,
        models: Models,
        runners: AnyRunners,
        prices: Callable[[], pricing.Prices],
        unload: Callable[[str], object] = lambda tune: None,
        clock: Clock = utc_now,
    ) -> None:
        self.settings = settings
        self.models = models
        self._folder = folder
        self._database = database
        self._prices = prices
        self._clock = clock
        self._jobs = Jobs(
            database=database,
            folder=folder,
            runners=runners,
            prices=prices,
            clock=clock,
            queue_limit=settings.queue_limit,
        )
        self.counter = Counter(database=database, prices=prices, clock=clock)
        self.retention = Retention(
            database=database,
            folder=folder,
            clock=clock,
            catch_up=self.counter.sweep,
            notice_lapses=self.counter.notice_lapses,
            unload=unload,
        )
        self._worker = Worker(self._jobs, between=self.retention.unload_warm)
        self._sweeper = Sweeper(self.retention, working=lambda: self._worker.working, clock=clock)
        self.gallery = Gallery(database=database, folder=folder, bases=models.bases, clock=clock)
        self._photos = Photos(database=database, folder=folder, bases=models.bases)
        self.workshop = Workshop(
            database=database,
            folder=folder,
            bases=models.bases,
            jobs=self._jobs,
            wake=self._worker.wake,
            prices=prices,
            clock=clock,
        )
        self.tuning = Tuning(
            database=database,
            folder=folder,
            bases=models.bases,
            jobs=self._jobs,
            workshop=self.workshop,
            wake=self._worker.wake,
            put_right=lambda: put_right(self._jobs),
            prices=prices,
            clock=clock,
        )

        self.imports = Imports(database=database, folder=folder, bases=models.bases, clock=clock)
        self.exports = Exports(
            database=database,
            folder=folder,
            bases=models.bases,
            jobs=self._jobs,
            wake=self._worker.wake,
            clock=clock,
        )

    @classmethod
    def open(
        cls,
        settings: Settings,
        env: Mapping[str, str] | None = None,
        *,
        runners: AnyRunners | None = None,
        clock: Clock = utc_now,
    ) -> "Studio":
        """The studio on the settings' data folder, which is made where it is missing. Raises StorageFailed.

        Loads neither torch nor gradio. `env` (default: this process's) says where the Hugging Face cache lies.
        """
        folder = DataFolder.open(settings.data)
        database = Database(folder.database)
        models = Models.of(settings, os.environ if env is None else env)
        own = Runners(settings, models.bases) if runners is None else None
        studio = cls(
            settings=settings,
            folder=folder,
            database=database,
            models=models,
            runners=own or runners or {},
            prices=PriceList(folder.prices),
            unload=own.forget if own is not None else lambda tune: None,
            clock=clock,
        )
        studio.open_account(OWNER, plan=HOUSE)
        studio.retention.begin()
        try:
            forgotten.begin(folder.forgotten, now=clock())
        except OSError:
            log.warning("%s could not be made; the next start tries again", folder.forgotten, exc_info=True)
        return studio

    # --- its life ---

    def start(self) -> None:
        """Works the queue, and deletes what is due, in threads of their own from now on: the page does, commands do
        not."""
        self._worker.start()
        self._sweeper.start()

    def stop(self) -> bool:
        """Puts a running job back into the queue and ends the threads; whether it did in time."""
        return all([self._worker.stop(), self._sweeper.stop()])

    def close(self) -> None:
        """Lets go of the database. Nothing may be asked afterwards."""
        self._database.close()

    @property
    def working(self) -> bool:
        """Whether this process is the one that works the queue."""
        return self._worker.working

    @property
    def trouble(self) -> StudioError | None:
        """What keeps the queue from being worked just now, if something does."""
        return self._worker.trouble

    # --- what there is ---

    def bases(self) -> list[BaseInfo]:
        """Every base model, here or not, with what its family takes."""
        return self.models.base_infos()

    def styles(self, words: str = "", *, category: str | None = None, class_name: str | None = None) -> list[Style]:
        """The predefined styles: all category by category, or those with all the words (the best first), of a category
        and for a class of tunes. Raises Refused."""
        return self.models.bases.styles.find(words, category=category, class_name=class_name)

    # --- prices ---

    def prices(self) -> pricing.Prices:
        """The price list as it stands."""
        return self._prices()

    def quote(self, fields: Mapping[str, object]) -> tuple[Charge, ...]:
        """What pictures of these fields (of `ImageRequest`; texts do not matter) would cost. Raises Refused."""
        return quoting.of_pictures(self._prices(), fields)

    # --- photos ---

    def check_photos(
        self,
        account: str,
        photos: Sequence[Path | str],
        *,
        class_name: str = "person",
        nature: Nature = "auto",
        crop: CropMode = "face",
        seen: Callable[[int, int], None] = lambda done, of: None,
    ) -> PhotoReport:
        """The verdicts on photos for a tune: files, or ids of the account's uploads. Costs nothing; takes seconds.

        `seen` is told how far it is. Raises Refused, NotFound, WeightsMissing and BrokenWeights.
        """
        return self._photos.check(account, photos, class_name=class_name, nature=nature, crop=crop, seen=seen)

    def small_photo(self, account: str, upload: str) -> bytes:
        """A small copy of a photo that was handed in, as WebP, of which nothing is kept. Raises NotFound."""
        return self._photos.small(account, upload)

    # --- making ---

    def check(self, fields: Mapping[str, object], *, init: bool = False, mask: bool = False) -> ImageRequest:
        """The request of these fields if it can be done here; `init` and `mask`: such a picture will be handed in.

        Raises Refused and WeightsMissing. Writes nothing.
        """
        given = dict(fields)
        for field, handed_in in (("init", init), ("mask", mask)):
            if handed_in and given.get(field) is not None:
                raise Refused(f"{field} is given twice: as an id and as a picture.", field=field, allowed="one of them")
            if handed_in:
                given[field] = HANDED_IN
        request = ImageRequest.from_json(given)
        if request.tune is not None:
            raise Refused("Pictures of a tune are made as its avatars.", field="tune", allowed="no tune")
        self.models.bases.check(request)
        tool_weights.check(request, self.models.bases)
        return request

    def generate(
        self,
        account: str,
        fields: Mapping[str, object],
        *,
        init: Handed | None = None,
        mask: Handed | None = None,
        job_id: str | None = None,
    ) -> Job:
        """Queues pictures and holds their price; returns at once.

        `fields` are those of `ImageRequest`, with the types it names ("50" is refused). `init` is a picture to start
        from, `mask` (white: painted anew, black: kept; of init's size) where to paint into it; both are cut about
        their middle to the shape asked for. The same `job_id` with the same request is the same job.
        Raises Refused, WeightsMissing, NotEnoughCredits, Conflict, NotFound, StorageFailed.
        """
        # 1. Everything that can be wrong without looking at a picture.
        self.counter.balances(account)
        request = self.check(fields, init=init is not None, mask=mask is not None)

        if init is None:
            return self._submit(account, request, job_id)

        # 2. The pictures handed in: decoded, checked and kept. The module brings Pillow, which nothing else here needs.
        intake = import_module("studio.intake")
        pngs = intake.prepared(init, mask, request, most_bytes=self.settings.upload_mb << 20)
        handed = {"init": init, "mask": mask}
        kept = intake.keep(self._database, self._folder, account, pngs, handed, now=self._clock())

        # 3. The job and its hold, or nothing.
        try:
            return self._submit(account, replace(request, **kept), job_id)
        except StudioError:
            intake.drop(self._database, self._folder, account, kept)
            raise

    def _submit(self, account: str, request: ImageRequest, job_id: str | None) -> Job:
        job = self._jobs.submit(account, request, job_id=job_id)
        self._worker.wake()
        return job

    def job(self, account: str, job_id: str) -> Job:
        """The job as it stands. Raises Refused (no UUID), NotFound."""
        return self._jobs.status(account, job_id)

    def jobs(self, account: str, *, limit: int = 50, before: str | None = None) -> list[Job]:
        """A page of jobs, newest first; the next page is what comes `before` the last one's id. Raises NotFound."""
        with self._database.read() as tx:
            return job_store.newest(tx, account, limit=limit, before=before)

    def active_jobs(self, account: str) -> list[Job]:
        """The jobs that wait or run, in the order of the queue."""
        with self._database.read() as tx:
            return job_store.active(tx, account)

    def preview(self, account: str, job_id: str) -> Path | None:
        """The newest preview of a running job; it may be replaced or gone by the time it is read."""
        job = self.job(account, job_id)
        if isinstance(job.request, ForgottenRequest):
            raise NotFound("There is no such job any more.", field="id")
        return self._folder.preview(job)

    def cancel(self, account: str, job_id: str) -> Job:
        """Stops a job; what was delivered until then stays and is paid. Raises Refused (no UUID), NotFound."""
        job = self._jobs.cancel(account, job_id)
        if job.state == "running" and put_right(self._jobs):  # whoever ran it is gone
            job = self.job(account, job_id)
        return job

    def wait(self, account: str, job_id: str, show: Callable[[Job], None] = lambda job: None) -> Job:
        """Waits until the job has ended or is paused: for commands, since it works the queue itself where no other
        process does.

        On KeyboardInterrupt the job is back in the queue, or still runs in the other process.
        Raises NotFound, and StorageFailed where the queue stands still.
        """
        between = self.retention.unload_warm
        return see_through(self._jobs, account, self.job(account, job_id).id, show=show, between=between)

    # --- accounts ---

    def open_account(self, account: str, *, plan: str | None = None) -> None:
        """Makes the account, with empty balances, unless it is there. Raises Refused."""
        name("account", account)
        try:
            with self._database.read() as tx:
                book.balances(tx, account)
        except NotFound:
            with self._database.write() as tx:
                ledger.open_account(tx, account, plan=plan, now=self._clock())

    def verify(self) -> list[str]:
        """What is wrong with the account book, a sentence each; empty where nothing is."""
        with self._database.read() as tx:
            return verify.faults(tx)
