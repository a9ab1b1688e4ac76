"""What may be asked of tunes: train one, look at it, make more avatars of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from studio.credits import pricing
from studio.domain import (
    AVATARS_A_STYLE,
    Charge,
    Clock,
    ImageRequest,
    Job,
    Refused,
    StudioError,
    Tune,
    TuneRequest,
    TuneState,
    first_avatars_id,
)
from studio.jobs import Jobs
from studio.pipelines import tool_weights
from studio.pipelines.bases import Bases
from studio.rules import name, text
from studio.storage import tunes
from studio.storage.database import Database
from studio.storage.folder import DataFolder
from studio.tunes import LOSSES, SAMPLE

if TYPE_CHECKING:  # the module brings OpenCV, which most commands do not need
    from studio.workshop import Workshop

STATEMENT = (
    "I have the right to use these photos, and everybody recognisable on them has agreed that a model of "
    "their likeness is trained."
)
"""What consent is given to, in the wording that `studio.tunes.CONSENT` names."""
MOST_STATEMENT = 2_000
IN_TRAINING: frozenset[TuneState] = frozenset({"waiting", "training", "paused"})


class Tuning:
    """The tunes of one studio. Safe to share between threads; what is another account's does not exist: NotFound."""

    def __init__(
        self,
        *,
        database: Database,
        folder: DataFolder,
        bases: Bases,
        jobs: Jobs,
        workshop: "Workshop",
        wake: Callable[[], None],
        put_right: Callable[[], bool],
        prices: Callable[[], pricing.Prices],
        clock: Clock,
    ) -> None:
        self._database = database
        self._folder = folder
        self._bases = bases
        self._jobs = jobs
        self._workshop = workshop
        self._wake = wake
        self._put_right = put_right
        self._prices = prices
        self._clock = clock

    # --- training ---

    def quote(self, styles: int) -> tuple[Charge, ...]:
        """What training a tune costs, and then its first avatars in so many styles. Raises Refused."""
        first = (pricing.avatars(self._prices(), styles * AVATARS_A_STYLE),) if styles else ()
        return (pricing.training(self._prices()), *first)

    def train(
        self,
        account: str,
        fields: Mapping[str, object],
        files: Sequence[Path] = (),
        *,
        statement: str = STATEMENT,
        job_id: str | None = None,
    ) -> Job:
        """Takes photos in and queues the training of a tune on them; holds its price, and not that of the avatars.

        `fields` are those of `TuneRequest`; `files` are photos whose ids are put into `photos`. Without styles the
        eight of the base's family are taken. `statement` is the text that was agreed to. The same `job_id` with the
        same request is the same job. Raises Refused, WeightsMissing, NotEnoughCredits, Conflict, NotFound,
        StorageFailed; photos that were taken in are dropped again.
        """
        agreed = text("statement", statement, most=MOST_STATEMENT)
        # 1. The photos, under ids.
        taken: list[str] = []
        try:
            for file in files:
                taken.append(self._workshop.take_in(account, file, field="photos").upload)
            # 2. Everything that can be wrong.
            given = dict(fields)
            if files:
                given["photos"] = taken
            request = self.check(given)
            # 3. The job, its hold, the tune's row and the consent, in one transaction.
            job = self._jobs.submit(
                account,
                request,
                job_id=job_id,
                also=lambda tx, job: tunes.begin(tx, job, statement=agreed, now=self._clock()),
            )
        except StudioError:
            self._workshop.drop(account, taken)
            raise
        self._wake()
        return job

    def check(self, fields: Mapping[str, object]) -> TuneRequest:
        """The request of these fields if it can be trained here. Raises Refused and WeightsMissing. Writes nothing."""
        given = dict(fields)
        asked = TuneRequest.from_json(given)
        base = self._bases.check_tune(asked)
        if "styles" not in given:
            given["styles"] = list(base.family.eights[asked.class_name])
        return TuneRequest.from_json(given)

    def pause(self, account: str, tune_id: str) -> Tune:
        """Has a training wait until it is resumed or its job is cancelled; the next job gets the device at its next
        step. It keeps its hold and goes on from where it was. Raises Refused where it is not trained now; NotFound."""
        self._check_in_training(account, tune_id, "paused")
        job = self._jobs.pause(account, self.get(account, tune_id).job)
        if job.state == "running":
            self._put_right()  # where whoever ran it is gone
        return self.get(account, tune_id)

    def resume(self, account: str, tune_id: str) -> Tune:
        """Has a paused training go on at its old place in the queue. Raises what `pause` does."""
        self._check_in_training(account, tune_id, "resumed")
        self._jobs.resume(account, self.get(account, tune_id).job)
        self._wake()
        return self.get(account, tune_id)

    def _check_in_training(self, account: str, tune_id: str, what: str) -> None:
        tune = self.get(account, tune_id)
        if tune.state not in IN_TRAINING:
            raise Refused(
                f"The training of {tune.name} cannot be {what}: it is {tune.state}.",
                field="tune",
                allowed="a tune that is waiting, training or paused",
            )

    # --- what there is ---

    def all(self, account: str, *, limit: int = 50, before: str | None = None) -> list[Tune]:
        """A page of tunes, newest first; the next page is what comes `before` the last one's id. Raises NotFound."""
        with self._database.read() as tx:
            found = tunes.newest(tx, account, limit=limit, before=before)
        return [self._as_it_stands(tune) for tune in found]

    def get(self, account: str, tune_id: str) -> Tune:
        """The tune. Raises NotFound."""
        with self._database.read() as tx:
            tune = tunes.get(tx, account, tune_id)
        return self._as_it_stands(tune)

    def sample(self, account: str, tune_id: str) -> Path | None:
        """The newest picture of a training under way or paused; it may be replaced or gone by the time it is read.

        Raises NotFound.
        """
        tune = self.get(account, tune_id)
        file = self._folder.scratch(tune.job) / SAMPLE
        return file if tune.state in IN_TRAINING and file.is_file() else None

    def _as_it_stands(self, tune: Tune) -> Tune:
        """With the losses so far, where it is still trained."""
        if tune.state not in IN_TRAINING:
            return tune
        try:
            losses = json.loads((self._folder.scratch(tune.job) / LOSSES).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # there are none yet, or no more
            return tune
        return replace(tune, losses=tuple(losses))

    def of_job(self, account: str, job_id: str) -> Tune:
        """The tune that a job trains. Raises NotFound."""
        return self.get(account, tunes.tune_id(job_id))

    def first_jobs(self, account: str, tune_id: str) -> list[Job]:
        """The jobs of a tune's first avatars that were asked for, in the order of its styles. Raises NotFound."""
        tune = self.get(account, tune_id)
        request = self._jobs.status(account, tune.job).request
        if not isinstance(request, TuneRequest):
            return []  # it was taken in from elsewhere
        asked = [style for style in request.styles if style not in tune.styles_left]
        return [self._jobs.status(account, first_avatars_id(tune, style)) for style in asked] if tune.recipe else []

    # --- avatars ---

    def drawn_on(self, tune: Tune) -> list[str]:
        """The ids of the bases that draw a tune: the one it is trained on, here or not, then others that are here."""
        try:
            family = _family_of(tune) if tune.recipe else self._bases.find(tune.base).family.id
        except StudioError:
            return [tune.base]
        here = [offer.base for offer in self._bases.offers() if offer.base and offer.base.family.draws(family)]
        return [tune.base, *(base.id for base in here if base.id != tune.base)]

    def check_avatars(self, account: str, tune_id: str, fields: Mapping[str, object]) -> ImageRequest:
        """The request for avatars of a tune if they can be made. `fields` are those of `ImageRequest` but for tune;
        what is left out is as the base likes it, and the base is the one that it was trained on.

        Without a prompt it is the sitter himself; in a prompt `{subject}` stands for him, and is put before one that
        does not have it. Raises Refused, WeightsMissing, NotFound.
        """
        tune = self.get(account, tune_id)
        if tune.state != "ready":
            raise Refused(f"{tune.name} has no model: it is {tune.state}.", field="tune", allowed="a ready tune")
        base = self._bases.to_draw(_family_of(tune), name("base", fields.get("base", tune.base)))
        native, steps = base.family.native, base.family.steps
        if base.id == tune.base:
            native, steps = tune.recipe["native"], tune.recipe["draws_in"]
        usual = {"width": native, "height": native, "steps": steps}
        given = usual | dict(fields) | {"base": base.id, "tune": tune.id}
        given["prompt"] = _with_subject(given.get("prompt"), str(tune.recipe["subject"]))
        request = ImageRequest.from_json(given)
        self._bases.check(request)
        tool_weights.check(request, self._bases)
        return request

    def avatars(self, account: str, tune_id: str, fields: Mapping[str, object], *, job_id: str | None = None) -> Job:
        """Queues avatars of a tune and holds their price.

        Raises what `check_avatars` does, NotEnoughCredits and Conflict.
        """
        job = self._jobs.submit(account, self.check_avatars(account, tune_id, fields), job_id=job_id)
        self._wake()
        return job

    def first_avatars(self, account: str, tune_id: str) -> list[Job]:
        """Queues what is left of a tune's first avatars. Raises NotEnoughCredits, Conflict, NotFound."""
        queued = self._jobs.ask_for_avatars(self.get(account, tune_id))
        self._wake()
        return queued


def _family_of(tune: Tune) -> str:
    """Of which family the base is that a tune was trained on, which need not be here any more."""
    return str(cast(Mapping[str, object], tune.recipe["base"])["family"])


def _with_subject(prompt: object, subject: str) -> object:
    if prompt is None or prompt == "":
        return subject
    if not isinstance(prompt, str):
        return prompt  # the request refuses it by its name
    return prompt.replace("{subject}", subject) if "{subject}" in prompt else f"{subject}, {prompt}"
