"""What the studio speaks of: requests, jobs, pictures, and the seam to the pipelines. Standard library only."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

# The errors are part of what the studio speaks of, and are imported from here.
from studio.errors import BrokenPicture as BrokenPicture
from studio.errors import BrokenWeights as BrokenWeights
from studio.errors import Cancelled as Cancelled
from studio.errors import Conflict as Conflict
from studio.errors import NotEnoughCredits as NotEnoughCredits
from studio.errors import NotFound as NotFound
from studio.errors import OutOfMemory as OutOfMemory
from studio.errors import Refused as Refused
from studio.errors import StorageFailed as StorageFailed
from studio.errors import StudioError as StudioError
from studio.errors import WeightsMissing as WeightsMissing
from studio.export_request import Export as Export

# So are the requests.
from studio.export_request import ExportRequest as ExportRequest
from studio.images import ImageRequest as ImageRequest
from studio.images import Size as Size
from studio.import_request import ImportedLora as ImportedLora
from studio.import_request import ImportRequest as ImportRequest
from studio.rules import shown
from studio.tools import BackgroundRequest as BackgroundRequest
from studio.tools import FaceRequest as FaceRequest
from studio.tools import UpscaleRequest as UpscaleRequest
from studio.tunes import TuneRequest as TuneRequest

# --- time -------------------------------------------------------------------------------------------------------------

Clock = Callable[[], int]
"""UTC in whole seconds since 1970. One is made at the top and handed down, so that tests own the time."""


def utc_now() -> int:
    return int(time.time())


# --- requests ---------------------------------------------------------------------------------------------------------

Request = ImageRequest | UpscaleRequest | FaceRequest | BackgroundRequest | TuneRequest | ExportRequest | ImportRequest
"""Any request. Further kinds join with the same `kind`, `base`, `style`, `pictures`, `inputs`, `resolve`, `to_json` and
`from_json`."""

REQUESTS: Mapping[str, type[Request]] = {
    request.kind: request
    for request in (
        ImageRequest,
        UpscaleRequest,
        FaceRequest,
        BackgroundRequest,
        TuneRequest,
        ExportRequest,
        ImportRequest,
    )
}


@dataclass(frozen=True, kw_only=True)
class ForgottenRequest:
    """What is left of a request once it was forgotten: of what kind it was, and how many results it asked for."""

    kind: str
    pictures: int
    base: ClassVar[None] = None
    style: ClassVar[None] = None

    def inputs(self) -> dict[str, str]:
        """No uploads any more."""
        return {}

    def to_json(self) -> dict[str, object]:
        return {}


def request_from_json(kind: str, body: object) -> Request:
    """The request of that kind. Raises `Refused`."""
    if kind not in REQUESTS:
        raise Refused(f"There is no kind of job {shown(kind)}.", field="kind", allowed=", ".join(REQUESTS))
    return REQUESTS[kind].from_json(body)


# --- the seam to the pipelines ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job as a runner sees it: what to make, where to put it, and what is there already.

    `folder` is the job's own scratch folder, on the file system of the pictures and kept between attempts;
    `done` the indexes that are stored and must not be made again; `inputs` the files of the uploads, by field;
    `tune` the weights of the request's tune, `about` what is known of it.
    """

    job_id: str
    request: Request
    folder: Path
    done: frozenset[int] = frozenset()
    inputs: Mapping[str, Path] = field(default_factory=dict[str, Path])
    tune: Path | None = None
    about: "Tune | None" = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a runner is, over all of the job's work. `preview` is a small picture directly in the task's folder;
    not every report is kept, so it is best written anew under the same name.

    `warning` is a sentence kept with the job (a prompt that was cut); the rest is overwritten by the next report.
    `kept` says that what was done since the start lies in the task's folder now, and the next attempt goes on from it.
    """

    step: int
    steps: int
    message: str = ""
    preview: Path | None = None
    warning: str | None = None
    kept: bool = False


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One finished picture: a PNG in the task's folder that already carries its recipe and the AI mark.

    `found` is false where a tool that was to work on something on it (a face) found nothing: that tool is not charged.
    """

    index: int
    file: Path
    width: int
    height: int
    seed: int | None
    recipe: Mapping[str, object]
    found: bool = True


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished tune: its weights as one safetensors file in the task's folder, the loss of every step, and how it
    was made."""

    index: int
    file: Path
    losses: tuple[float, ...]
    recipe: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A tune's file for other programs, in the task's folder, read back and found to be right."""

    index: int
    file: Path
    sha256: str


Result = Drawn | Trained | Exported

Report = Callable[[Progress], None]
IsCancelled = Callable[[], bool]
Runner = Callable[[Task, Report, IsCancelled], Iterator[Result]]
"""A generator that yields each picture, the tune, or its file as it is finished. A `StudioError` fails the job with its
sentence."""


# --- jobs, pictures, money --------------------------------------------------------------------------------------------

JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
ENDED: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})

CreditKind = Literal["playground", "tune", "tune_image"]
CREDIT_KINDS: tuple[CreditKind, ...] = ("playground", "tune", "tune_image")

OWNER = "owner"
"""The account of whose machine it is."""


@dataclass(frozen=True, kw_only=True)
class Charge:
    """`each` credits of one kind for every picture delivered, `count` of them at most; `finding` of each only where a
    tool found what it works on."""

    kind: CreditKind
    each: int
    count: int
    finding: int = 0

    @property
    def amount(self) -> int:
        return self.each * self.count


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as it stands: the one row that the page, the API and a waiting command all read.

    `preview` is a file's name in the job's scratch folder; `seconds` how long it has been worked on, as of its end.
    `pausing` says that it is to wait until somebody resumes it; `advanced` that the attempt under way brought it
    further, `fruitless` how many before it in a row were cut off and did not; `spared` how many playground credits
    of what was delivered are not charged, since a tool found nothing to work on.
    """

    id: str
    account: str
    state: JobState
    request: Request | ForgottenRequest
    charges: tuple[Charge, ...]
    attempt: int
    created_at: int
    started_at: int | None
    ended_at: int | None
    seconds: float
    step: int
    steps: int
    message: str
    seconds_left: int | None
    preview: str | None
    warnings: tuple[str, ...]
    delivered: int
    spared: int
    cancel_requested: bool
    pausing: bool
    advanced: bool
    fruitless: int
    error: str | None
    error_field: str | None
    error_allowed: str | None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A stored picture. `file` is its name in the pictures folder; width and height are in pixels; `tune` is whose
    avatar it is."""

    id: str
    job: str
    index: int
    account: str
    file: str
    width: int
    height: int
    seed: int | None
    recipe: Mapping[str, object]
    kind: str
    base: str | None
    style: str | None
    tune: str | None
    created_at: int
    favourite: bool
    deleted_at: int | None


TuneState = Literal["waiting", "training", "paused", "ready", "gone", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Tune:
    """A trained likeness, or one in the making. `losses` is how its training went or goes, at most 200 means;
    `styles_left` are the styles of its first avatars that were not asked for yet; its model goes at `expires_at`, where
    no plan keeps it, and is `gone` then."""

    id: str
    job: str
    account: str
    name: str
    class_name: str
    base: str
    state: TuneState
    policy: str
    recipe: Mapping[str, object]
    losses: tuple[float, ...]
    styles_left: tuple[str, ...]
    created_at: int
    trained_at: int | None
    expires_at: int | None


AVATARS_A_STYLE = 8


def first_avatars_id(tune: Tune, style: str) -> str:
    """The id of the job that makes a tune's first avatars in a style: the same each time, so that there is one."""
    return str(uuid.uuid5(uuid.UUID(tune.id), style))


def first_avatars(tune: Tune, style: str) -> ImageRequest:
    """The request for a trained tune's first avatars in one of its styles, at the base's native size."""
    native, steps = tune.recipe["native"], tune.recipe["draws_in"]
    return ImageRequest.from_json(
        {
            "prompt": tune.recipe["subject"],
            "style": style,
            "base": tune.base,
            "width": native,
            "height": native,
            "steps": steps,
            "count": AVATARS_A_STYLE,
            "tune": tune.id,
        }
    )
