"""What may be asked of the tools: upscale, face enhance, background; over many pictures at once, and on any of them."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from studio.credits import book, pricing
from studio.domain import Charge, Clock, Job, Picture, Refused, request_from_json
from studio.jobs import Jobs
from studio.pipelines import tool_weights
from studio.pipelines.bases import Bases
from studio.rules import shown
from studio.storage import job_store, pictures, uploads
from studio.storage.database import Database
from studio.storage.folder import DataFolder
from studio.tools import ToolRequest, told

if TYPE_CHECKING:  # the module brings OpenCV, which most commands do not need
    from studio.tool_files import Taken

KINDS = ("upscale", "face", "background")
HANDED_IN = "handed-in"  # stands in a checked request for the id that a picture does not have yet


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What became of one picture of a tool's job.

    `upload` is the id of the picture as it was handed in and `name` what it is called, None once that is gone;
    `picture` is what was made of it; `said` why nothing was.
    """

    index: int
    upload: str | None
    name: str | None
    picture: Picture | None
    said: str | None


class Workshop:
    """The tools of one studio. Safe to share between threads; what is another account's does not exist: NotFound."""

    def __init__(
        self,
        *,
        database: Database,
        folder: DataFolder,
        bases: Bases,
        jobs: Jobs,
        wake: Callable[[], None],
        prices: Callable[[], pricing.Prices],
        clock: Clock,
    ) -> None:
        self._database = database
        self._folder = folder
        self._bases = bases
        self._jobs = jobs
        self._wake = wake
        self._prices = prices
        self._clock = clock

    # --- asking ---

    def check(self, kind: str, fields: Mapping[str, object], *, behind: bool = False) -> ToolRequest:
        """The request of these fields, with pictures yet to come, if it can be done here; `behind`: a picture to put
        others on will be handed in. Raises Refused and WeightsMissing. Writes nothing.
        """
        given = {"uploads": [HANDED_IN], **fields}
        if behind:
            given["behind"] = HANDED_IN
        request = _request(kind, given)
        tool_weights.check(request, self._bases)
        return request

    def quote(self, kind: str, count: int, *, scale: int | None = None) -> tuple[Charge, ...]:
        """What the tool costs for so many pictures. Raises Refused."""
        return (pricing.tool(self._prices(), kind, scale=scale, count=count),)

    def has(self, *weights: str) -> bool:
        """Whether the files of all these weights are here."""
        return all(tool_weights.is_here(name, self._bases) for name in weights)

    # --- handing in ---

    def take_in(self, account: str, file: Path, *, name: str | None = None, field: str = "files") -> "Taken":
        """Keeps a picture to be worked on. `name` (default: the file's) is how it is called from then on.

        Raises Refused, NotFound (account) and StorageFailed.
        """
        return self._take_in(account, file, name=file.name if name is None else name, field=field)

    def _take_in(self, account: str, file: Path, *, name: str, field: str, picture: str | None = None) -> "Taken":
        self._known(account)
        return import_module("studio.tool_files").take_in(
            self._database,
            self._folder,
            account,
            file,
            name=name,
            field=field,
            now=self._clock(),
            picture=picture,
        )

    def take_picture(self, account: str, picture_id: str, *, field: str = "files") -> "Taken":
        """Keeps a copy of a picture of the gallery to be worked on. Raises NotFound and StorageFailed."""
        with self._database.read() as tx:
            picture = pictures.get(tx, account, picture_id)
        name = f"likeness-{picture.id[:8]}.png"
        file = self._folder.pictures / picture.file
        return self._take_in(account, file, name=name, field=field, picture=picture.id)

    def to_start_from(self, account: str, picture_id: str) -> Path:
        """A picture of the gallery as one that was handed in to start from. Raises NotFound, Refused, StorageFailed."""
        with self._database.read() as tx:
            picture = pictures.get(tx, account, picture_id)
        files = import_module("studio.tool_files")
        return files.to_start_from(self._database, self._folder, account, picture, now=self._clock())

    def drop(self, account: str, taken: Sequence[str]) -> None:
        """Forgets pictures that were taken in and that no job came of."""
        with self._database.write() as tx:
            for upload in taken:
                uploads.remove_unused(tx, self._folder.uploads, account, upload)

    def submit(
        self,
        account: str,
        kind: str,
        fields: Mapping[str, object],
        taken: Sequence[str],
        *,
        behind: str | None = None,
        job_id: str | None = None,
    ) -> Job:
        """Queues the tool on pictures that were taken in, and holds its price for all of them.

        Only what comes out is charged. The same `job_id` with the same request is the same job. What was taken in is
        dropped again where nothing is queued. Raises Refused, WeightsMissing, NotEnoughCredits, Conflict, NotFound.
        """
        given = {**fields, "uploads": list(taken)}
        if behind is not None:
            given["behind"] = behind
        try:
            request = _request(kind, given)
            tool_weights.check(request, self._bases)
            job = self._jobs.submit(account, request, job_id=job_id)
        except Exception:
            self.drop(account, [*taken, *([behind] if behind is not None else [])])
            raise
        self._wake()
        return job

    def left(self, account: str, job: Job) -> tuple[str, ...]:
        """The uploads of a job that failed or was cancelled of which nothing came and nothing was said, so that they
        may be done again; none where one of what that needs is gone."""
        request = job.request
        if not isinstance(request, ToolRequest) or job.state not in ("failed", "cancelled"):
            return ()
        with self._database.read() as tx:
            made = pictures.indexes(tx, job.id)
        if len(made) < job.delivered:  # some are deleted for good: which, is not known, and they would be paid again
            return ()
        about_the_only_one = request.pictures == 1 and job.error_field == "uploads"
        said = {0} if about_the_only_one else told(job.warnings).keys()
        left = tuple(one for index, one in enumerate(request.uploads) if index not in made and index not in said)
        if not left:
            return ()
        needed = set(replace(request, uploads=left).inputs().values())
        with self._database.read() as tx:
            return left if len(uploads.names(tx, account, needed)) == len(needed) else ()

    def again(self, account: str, job_id: str) -> Job:
        """Queues what is left of a job that failed or was cancelled, and holds the price of that. Asked for twice it is
        one job. Raises what `submit` does; Refused where nothing is left."""
        job = self._jobs.status(account, job_id)
        left = self.left(account, job)
        if not left:
            raise Refused("Nothing of this job can be done again.", field="id")
        assert isinstance(job.request, ToolRequest)
        request = replace(job.request, uploads=left)
        tool_weights.check(request, self._bases)
        queued = self._jobs.submit(account, request, job_id=str(uuid.uuid5(uuid.UUID(job.id), "again")))
        self._wake()
        return queued

    # --- what became of it ---

    def pieces(self, account: str, job_id: str) -> list[Piece]:
        """What became of each picture of a tool's job, in the order they were handed in. Raises Refused, NotFound."""
        job = self._jobs.status(account, job_id)
        if not isinstance(job.request, ToolRequest):
            raise Refused("This job has no pictures that were handed in.", field="id")
        ids = job.request.uploads
        with self._database.read() as tx:
            made = {picture.index: picture for picture in pictures.of_job(tx, job.id)}
            names = uploads.names(tx, account, ids)
        sentences = told(job.warnings)
        if len(ids) == 1 and job.error:
            sentences = {0: job.error}
        return [
            Piece(
                index=index,
                upload=upload if upload in names else None,
                name=names.get(upload) or None,
                picture=made.get(index),
                said=sentences.get(index),
            )
            for index, upload in enumerate(ids)
        ]

    def before(self, account: str, picture_id: str) -> Path:
        """The picture that one of the gallery was made of by a tool, as it was handed in. Raises NotFound."""
        with self._database.read() as tx:
            picture = pictures.get(tx, account, picture_id)
            job = job_store.get(tx, account, picture.job)
        upload = job.request.inputs().get(f"picture {picture.index + 1}", "")
        return import_module("studio.tool_files").path_of(self._database, self._folder, account, upload)

    def mask(self, account: str, picture_id: str) -> bytes | None:
        """What was cut out on a picture, as a grey PNG; None where nothing was. Raises NotFound."""
        with self._database.read() as tx:
            picture = pictures.get(tx, account, picture_id)
        return import_module("studio.pipelines.results").mask_png(self._folder.pictures / picture.file)

    def _known(self, account: str) -> None:
        with self._database.read() as tx:
            book.balances(tx, account)


def _request(kind: str, fields: Mapping[str, object]) -> ToolRequest:
    if kind not in KINDS:
        raise Refused(f"There is no tool {shown(kind)}.", field="tool", allowed=", ".join(KINDS))
    request = request_from_json(kind, dict(fields))
    assert isinstance(request, ToolRequest)
    return request
